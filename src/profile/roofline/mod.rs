//! What this machine can do at most, measured, and how near to it a kernel comes.

mod bandwidth;
mod level;
mod peak;
mod place;
mod table;
mod work;

pub use bandwidth::{Access, Bandwidth, Way};
pub use level::Level;
pub use peak::Peak;
pub use place::{Placed, Resources, Roof};

use super::counts::Counts;
use super::error::ProfileError;
use super::report::Profile;
use bandwidth::Move;
use peak::Chains;
use std::sync::OnceLock;
use work::{Care, Memory, Rate, Work};

/// The roofs over kernels: how fast this machine computes, and how fast it moves bytes.
///
/// A kernel that does `f` FLOPs for each byte that it moves can do no more than `f` times the bandwidth
/// of the memory that its arrays are in, and no more than the processor's peak. Which of the two is less
/// says what there is to gain: [`Roofline::place`].
///
/// `Display` is a table.
///
/// ```no_run
/// use kiln::profile::{Profiler, Resources, Roofline};
/// use ndarray::Array1;
///
/// let kernel = kiln::compile_text("x + y")?;
/// let x = Array1::<f32>::ones(1 << 24);
/// let inputs = [(&x).into(), (&x).into()];
/// let profile = Profiler::new("add", &kernel, &inputs)?.profile(2, 20)?;
///
/// let roofline = Roofline::measure()?; // a few seconds, the first time
/// println!("{roofline}");
/// println!("{}", roofline.place(&profile, Resources::of(&kernel, roofline.threads())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Roofline {
    threads: usize,
    peaks: Vec<Peak>,
    levels: Vec<Level>,
}

impl Roofline {
    /// The roofs of this machine, for one thread and for all that it has; measured when first asked for,
    /// in a few seconds, and kept.
    ///
    /// Each figure is the best of many rounds, and of several ways: chains of FMAs that Kiln's own
    /// emitters compile, for each width of vectors; copies by `memcpy`, by plain loops and by kernels
    /// whose stores go to the caches or past them, on arrays that lie in several ways. Where
    /// there is no machine code, plain loops show what the compiler of this crate makes of them.
    /// A machine that is busy with something else has more rounds, up to a limit.
    ///
    /// Fails where there is no memory for arrays that are larger than the caches.
    pub fn measure() -> Result<&'static Roofline, ProfileError> {
        static MEASURED: OnceLock<Result<Roofline, ProfileError>> = OnceLock::new();
        MEASURED.get_or_init(measure).as_ref().map_err(Clone::clone)
    }

    /// How many threads "all" are.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The peaks of one thread and of all, from the widest vectors.
    pub fn peaks(&self) -> &[Peak] {
        &self.peaks
    }

    /// The caches, from the one next to the core, and memory.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }
}

/// First which ways of moving bytes are worth more rounds; then these, and chains of FMAs, on one thread
/// and on all, in rounds that go through everything, so that a disturbance hits one round of each.
fn measure() -> Result<Roofline, ProfileError> {
    let threads = work::threads();
    let levels = level::levels(threads);
    let most = |of: fn(&Level) -> usize| levels.iter().map(of).max().unwrap_or(0);
    let mut memory = Memory::new(threads, most(|level| level.alone), most(|level| level.each))?;

    let mut entries: Vec<Entry> = peak::chains().into_iter().map(Entry::Chains).collect();
    for (index, level) in levels.iter().enumerate() {
        let finalists = bandwidth::finalists(level, &mut memory)?;
        entries.extend(finalists.into_iter().map(|work| Entry::Move(index, work)));
    }
    let mut roofline = Roofline { threads, peaks: Vec::new(), levels };
    let works: Vec<&dyn Work> = entries.iter().map(|entry| entry as &dyn Work).collect();
    let profiles = work::alone(&works, Care::Much, &mut memory)?;
    let winners = winners(entries, profiles);
    winners.iter().for_each(|(entry, profile)| roofline.add(entry, 1, profile));
    if threads > 1 {
        let shared = |(entry, profile): (Entry, Profile)| {
            let alone = profile.latency().minimum();
            match entry {
                Entry::Chains(_) => (entry, alone),
                Entry::Move(index, work) => {
                    let Level { alone: bytes, each, .. } = roofline.levels[index];
                    let part = each as f64 / bytes as f64;
                    (Entry::Move(index, work.of_bytes(each)), part * alone)
                }
            }
        };
        let entries: Vec<(Entry, f64)> = winners.into_iter().map(shared).collect();
        let works: Vec<_> = entries.iter().map(|(work, time)| (work as &dyn Work, *time)).collect();
        let profiles = work::together(&works, &mut memory)?;
        for ((entry, _), profile) in entries.iter().zip(&profiles) {
            roofline.add(entry, threads, profile);
        }
    }
    Ok(roofline)
}

/// What competes to be a roof.
enum Entry {
    Chains(Chains),
    /// In the level of this number.
    Move(usize, Move),
}

impl Entry {
    /// Whether both are for one roof.
    fn is_rival(&self, other: &Entry) -> bool {
        match (self, other) {
            (Entry::Chains(a), Entry::Chains(b)) => a.is_rival(b),
            (Entry::Move(of, a), Entry::Move(level, b)) => of == level && a.access == b.access,
            _ => false,
        }
    }
}

impl Work for Entry {
    fn run(&self, times: u32, memory: &mut [u8]) {
        match self {
            Entry::Chains(chains) => chains.run(times, memory),
            Entry::Move(_, work) => work.run(times, memory),
        }
    }

    fn counts(&self) -> Counts {
        match self {
            Entry::Chains(chains) => chains.counts(),
            Entry::Move(_, work) => work.counts(),
        }
    }
}

impl Roofline {
    fn add(&mut self, entry: &Entry, threads: usize, profile: &Profile) {
        match entry {
            Entry::Chains(chains) => self.peaks.push(chains.peak(threads, profile)),
            Entry::Move(level, work) => {
                self.levels[*level].bandwidths.push(work.bandwidth(threads, profile));
            }
        }
    }
}

/// The fastest entry for each roof.
fn winners(entries: Vec<Entry>, profiles: Vec<Profile>) -> Vec<(Entry, Profile)> {
    // FLOPs of chains, bytes of moves.
    let rate =
        |profile: &Profile| Rate::of(profile, |counts| counts.flops.total() + counts.bytes()).giga;
    let mut winners: Vec<(Entry, Profile)> = Vec::new();
    for (entry, profile) in entries.into_iter().zip(profiles) {
        match winners.iter_mut().find(|(winner, _)| winner.is_rival(&entry)) {
            Some(winner) if rate(&profile) > rate(&winner.1) => *winner = (entry, profile),
            Some(_) => {}
            None => winners.push((entry, profile)),
        }
    }
    winners
}
