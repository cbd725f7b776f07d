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

use super::error::ProfileError;
use super::report::Profile;
use bandwidth::Move;
use std::sync::OnceLock;
use work::{Care, Memory, Work};

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
        MEASURED.get_or_init(Roofline::measure_anew).as_ref().map_err(Clone::clone)
    }

    /// [`Roofline::measure`], but never what was kept: on machines whose memory others use, too, it
    /// changes from minute to minute.
    pub fn measure_anew() -> Result<Roofline, ProfileError> {
        measure()
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

/// First which ways of moving bytes are worth more rounds; then these, on one thread and on all, in rounds
/// that go through all levels, so that a disturbance hits one round of each.
fn measure() -> Result<Roofline, ProfileError> {
    let peaks = Peak::measure()?.to_vec();
    let threads = work::threads();
    let mut levels = level::levels(threads);
    let most = |of: fn(&Level) -> usize| levels.iter().map(of).max().unwrap_or(0);
    let mut memory = Memory::new(threads, most(|level| level.alone), most(|level| level.each))?;

    let mut moves = Vec::new();
    for (index, level) in levels.iter().enumerate() {
        let finalists = bandwidth::finalists(level, &mut memory)?;
        moves.extend(finalists.into_iter().map(|work| (index, work)));
    }
    let works: Vec<&dyn Work> = moves.iter().map(|(_, work)| work as &dyn Work).collect();
    let profiles = work::alone(&works, Care::Much, &mut memory)?;
    let rivals = |a: &(usize, Move), b: &(usize, Move)| (a.0, a.1.access) == (b.0, b.1.access);
    let best = work::fastest(moves, profiles, rivals);
    for ((level, work), profile) in &best {
        levels[*level].bandwidths.push(work.bandwidth(1, profile));
    }
    if threads > 1 {
        let shared = |((level, work), profile): ((usize, Move), Profile)| {
            let Level { alone, each, .. } = levels[level];
            let time = profile.latency().minimum() * each as f64 / alone as f64;
            (level, work.of_bytes(each), time)
        };
        let moves: Vec<(usize, Move, f64)> = best.into_iter().map(shared).collect();
        let works: Vec<_> =
            moves.iter().map(|(_, work, time)| (work as &dyn Work, *time)).collect();
        let profiles = work::together(&works, &mut memory)?;
        for ((level, work, _), profile) in moves.iter().zip(&profiles) {
            levels[*level].bandwidths.push(work.bandwidth(threads, profile));
        }
    }
    Ok(Roofline { threads, peaks, levels })
}
