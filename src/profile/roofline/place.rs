//! Where a kernel is under the roofs.

use super::Roofline;
use super::bandwidth::Access;
use super::level::Level;
use super::peak::Peak;
use crate::profile::report::Profile;
use crate::run::Kernel;
use kiln_ir::DType;
use std::fmt;

/// What a kernel computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// The type of most of its numbers; all but `f64` are computed with at the rate of `f32`.
    pub dtype: DType,
    /// The width of its vectors. Products of matrices have the widest that there are.
    pub bits: u32,
    /// How many threads it may use.
    pub threads: usize,
}

impl Resources {
    /// Those of a kernel: its first output's type, its emitter's vectors.
    pub fn of(kernel: &Kernel, threads: usize) -> Resources {
        let bits = kernel.emitter().map_or(u32::MAX, |(_, bits)| bits);
        Resources { dtype: kernel.output_dtype(0), bits, threads }
    }
}

/// What a kernel meets first when it becomes faster.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Roof {
    /// The processor's peak.
    Compute {
        /// The width of its vectors.
        bits: u32,
        /// 10^9 FLOPs a second.
        gflops: f64,
    },
    /// The bandwidth of what its arrays are in.
    Bandwidth {
        /// The level that most of its time goes to.
        level: String,
        /// How much of what it moves is read: the measured access that is most like it.
        access: Access,
        /// 10^9 bytes a second. It is more than the level's where a part of the arrays stays in a smaller
        /// and faster one.
        gbytes: f64,
    },
}

/// A kernel under the roof that binds it. `Display` is a sentence.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Placed {
    /// What the kernel is called.
    pub name: String,
    /// The roof that binds.
    pub roof: Roof,
    /// FLOPs for each byte that it moves.
    pub intensity: f64,
    /// 10^9 FLOPs a second that it does, at the median.
    pub gflops: f64,
    /// 10^9 bytes a second that it moves, at the median.
    pub gbytes: f64,
    /// The part of what the roof admits that it reaches: 1 is at the roof.
    pub part: f64,
    /// How far the measurements of the kernel and of the roof spread: what `part` may be above 1 by.
    pub spread: f64,
}

impl Placed {
    /// 10^9 FLOPs a second under this roof.
    pub fn attainable_gflops(&self) -> f64 {
        self.gflops / self.part
    }

    /// 10^9 bytes a second under this roof.
    pub fn attainable_gbytes(&self) -> f64 {
        self.gbytes / self.part
    }
}

impl Roofline {
    /// The roof that binds a kernel with these resources, and how near to it the kernel is.
    ///
    /// The time that its FLOPs take at the peak is held against the time that its bytes take, at best,
    /// in the level that its inputs, outputs and intermediates fit into. Of what fits into none but
    /// memory, as much as a cache holds may come from there in every call.
    pub fn place(&self, profile: &Profile, with: Resources) -> Placed {
        let counts = profile.counts();
        let peak = self.peak(with, counts.flops.products > 0);
        let computes = peak.map_or(0.0, |(_, gflops)| counts.flops.total() as f64 / gflops);
        let part_read = match counts.bytes() {
            0 => 0.0,
            bytes => counts.loaded as f64 / bytes as f64,
        };
        let shares = self.shares(counts.memory as f64, part_read, with.threads);
        let per_byte: f64 = shares.iter().map(|share| share.time).sum();
        let moves = counts.bytes() as f64 * per_byte;
        let slowest = shares.iter().max_by(|a, b| a.time.total_cmp(&b.time));
        let (roof, roof_spread) = match (peak, slowest) {
            (Some((peak, gflops)), _) if computes >= moves => {
                (Roof::Compute { bits: peak.bits, gflops }, peak.spread)
            }
            (_, Some(share)) => {
                let level = share.level.name.clone();
                (
                    Roof::Bandwidth { level, access: share.access, gbytes: 1.0 / per_byte },
                    share.spread,
                )
            }
            _ => (Roof::Compute { bits: with.bits, gflops: f64::INFINITY }, 0.0),
        };
        let latency = profile.latency();
        Placed {
            name: profile.name().to_string(),
            roof,
            intensity: counts.intensity(),
            gflops: profile.gflops(),
            gbytes: profile.gbytes(),
            part: computes.max(moves) / latency.median(),
            spread: latency.spread().max(roof_spread),
        }
    }

    /// 10^9 FLOPs a second that these resources can do at most; `None` if nothing computes so.
    pub fn peak_of(&self, with: Resources) -> Option<f64> {
        self.peak(with, false).map(|(_, gflops)| gflops)
    }

    /// The peak of a width, and what so many threads reach of it.
    fn peak(&self, with: Resources, has_products: bool) -> Option<(&Peak, f64)> {
        let dtype = if with.dtype == DType::F64 { DType::F64 } else { DType::F32 };
        let bits = if has_products { u32::MAX } else { with.bits };
        let of = |threads: usize| {
            let fitting = self.peaks.iter().filter(move |peak| {
                peak.dtype == dtype && peak.threads == threads && peak.bits <= bits
            });
            // Narrow vectors can be as fast as wide ones.
            fitting.max_by(|a, b| a.gflops.total_cmp(&b.gflops))
        };
        let one = of(1)?;
        let few = with.threads.clamp(1, self.threads);
        match of(self.threads) {
            Some(all) if few > 1 => {
                // One thread may do the work of all, and on a busy machine be faster.
                Some((all, all.gflops.clamp(one.gflops, few as f64 * one.gflops)))
            }
            _ => Some((one, one.gflops)),
        }
    }

    /// Nanoseconds for a byte of so many that are in use, level by level.
    fn shares(&self, bytes: f64, part_read: f64, threads: usize) -> Vec<Share<'_>> {
        let threads = threads.clamp(1, self.threads);
        let mut shares = Vec::new();
        let mut held = 0.0f64;
        for level in &self.levels {
            let room = level.room(threads).min(bytes);
            let part = if bytes > 0.0 { (room - held).max(0.0) / bytes } else { 0.0 };
            held = held.max(room);
            let Some(bandwidth) = level.bandwidth(part_read, threads) else { continue };
            let (access, spread) = (bandwidth.access, bandwidth.spread);
            let one = level.bandwidth(part_read, 1).map_or(f64::INFINITY, |one| one.gbytes);
            let time = part / bandwidth.gbytes.min(threads as f64 * one);
            shares.push(Share { level, access, spread, time });
        }
        shares
    }
}

/// A level's part in moving a byte.
struct Share<'a> {
    level: &'a Level,
    access: Access,
    spread: f64,
    /// Nanoseconds.
    time: f64,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Placed { name, intensity, gflops, gbytes, .. } = self;
        let percent = 100.0 * self.part;
        match &self.roof {
            Roof::Compute { bits, gflops: peak } => write!(
                f,
                "{name} is bound by arithmetic: at {intensity:.3} FLOP/byte, memory would give more than \
                 the {peak:.1} GFLOP/s of {bits}-bit FMAs; it does {gflops:.1}, {percent:.0}% of that"
            ),
            Roof::Bandwidth { level, gbytes: most, .. } => {
                write!(f, "{name} is bound by the bandwidth of {level}: ")?;
                match *intensity > 0.0 {
                    true => write!(
                        f,
                        "{intensity:.3} FLOP/byte at {most:.1} GB/s are {:.1} GFLOP/s, below what \
                         vectors can do; it moves {gbytes:.1} GB/s, {percent:.0}% of that",
                        self.attainable_gflops()
                    ),
                    false => write!(
                        f,
                        "it does no FLOPs, and moves {gbytes:.1} of {most:.1} GB/s, {percent:.0}% of that"
                    ),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bandwidth::{Bandwidth, Way};
    use super::super::level::Level;
    use super::super::peak::Peak;
    use super::{Access, Resources, Roof, Roofline};
    use crate::profile::counts::Counts;
    use crate::profile::flops::Flops;
    use crate::profile::latency::Latency;
    use crate::profile::report::Profile;
    use kiln_ir::DType;

    const ONE: Resources = Resources { dtype: DType::F32, bits: 256, threads: 1 };

    /// A machine of round numbers: 100 GFLOP/s with 256 bits; L1, L2 and memory move 100, 50 and 10 GB/s,
    /// and reading alone half more.
    fn machine() -> Roofline {
        let level = |name: &str, bytes, is_shared, gbytes: f64| {
            let bandwidth = |access, threads: usize| Bandwidth {
                access,
                threads,
                gbytes: gbytes
                    * if access == Access::Read { 1.5 } else { 1.0 }
                    * if is_shared { 1.0 } else { threads as f64 },
                spread: 0.0,
                way: Way::Loop,
                offset: 0,
                non_temporal: None,
            };
            let all = [1, 4].map(|threads| Access::ALL.map(|access| bandwidth(access, threads)));
            let bandwidths = all.into_iter().flatten().collect();
            Level {
                name: name.into(),
                bytes,
                is_shared,
                bandwidths,
                alone: 0,
                each: 0,
                is_first: false,
            }
        };
        let peak = |bits: u32, threads: usize| Peak {
            dtype: DType::F32,
            bits,
            threads,
            gflops: (bits as f64 / 256.0) * 100.0 * threads as f64,
            spread: 0.0,
            by: "test",
        };
        Roofline {
            threads: 4,
            peaks: vec![peak(512, 1), peak(256, 1), peak(512, 4), peak(256, 4)],
            levels: vec![
                level("L1", Some(1 << 15), false, 100.0),
                level("L2", Some(1 << 20), false, 50.0),
                level("memory", None, true, 10.0),
            ],
        }
    }

    fn profile(flops: Flops, loaded: u64, stored: u64, nanoseconds: f64) -> Profile {
        let memory = loaded + stored;
        let counts = Counts { flops, loaded, stored, memory, ..Counts::default() };
        Profile::new("it".into(), Latency::new(vec![nanoseconds], 1), counts)
    }

    fn adds(adds: u64) -> Flops {
        Flops { adds, ..Flops::default() }
    }

    /// Under the roof of its level, which is where the working set fits.
    #[test]
    fn bandwidth_binds_what_does_little() {
        let kernel = profile(adds(1000), 8000, 4000, 240.0);
        let placed = machine().place(&kernel, ONE);
        let level = "L1".to_string();
        assert_eq!(placed.roof, Roof::Bandwidth { level, access: Access::Sum, gbytes: 100.0 });
        assert_eq!((placed.part, placed.attainable_gbytes()), (0.5, 100.0));
        assert!((placed.attainable_gflops() - 1000.0 / 120.0).abs() < 1e-9);
        assert_eq!(
            placed.to_string(),
            "it is bound by the bandwidth of L1: 0.083 FLOP/byte at 100.0 GB/s are 8.3 GFLOP/s, below \
             what vectors can do; it moves 50.0 GB/s, 50% of that"
        );
    }

    #[test]
    fn arithmetic_binds_what_does_much() {
        let kernel = profile(adds(80_000), 4000, 4000, 1000.0);
        let placed = machine().place(&kernel, ONE);
        assert_eq!(placed.roof, Roof::Compute { bits: 256, gflops: 100.0 });
        assert_eq!((placed.part, placed.intensity), (0.8, 10.0));
        // Products have the widest vectors.
        let flops = Flops { products: 80_000, ..Flops::default() };
        let placed = machine().place(&profile(flops, 4000, 4000, 1000.0), ONE);
        assert_eq!(placed.roof, Roof::Compute { bits: 512, gflops: 200.0 });
    }

    /// A third of it can stay in L2, so it may be faster than memory.
    #[test]
    fn a_cache_keeps_what_it_holds() {
        let kernel = profile(adds(1), 3 << 19, 3 << 19, 1e6);
        let placed = machine().place(&kernel, ONE);
        let Roof::Bandwidth { level, gbytes, .. } = &placed.roof else { panic!("{placed}") };
        assert_eq!(level, "memory");
        let (l1, l2) = (1.0 / 96.0, 1.0 / 3.0 - 1.0 / 96.0);
        let expected = 1.0 / (l1 / 100.0 + l2 / 50.0 + 2.0 / 3.0 / 10.0);
        assert!((gbytes - expected).abs() < 1e-9, "{gbytes} {expected}");
    }

    /// What reads more than it writes may be as fast as reading alone.
    #[test]
    fn what_was_not_measured_is_under_the_higher_roof() {
        let four = Resources { threads: 4, ..ONE };
        let placed = machine().place(&profile(adds(1), 9000, 1000, 100.0), four);
        assert!(matches!(placed.roof, Roof::Bandwidth { gbytes, .. } if gbytes == 600.0));
        let two = Resources { threads: 2, ..ONE };
        let placed = machine().place(&profile(adds(1), 5000, 5000, 100.0), two);
        assert!(matches!(placed.roof, Roof::Bandwidth { gbytes, .. } if gbytes == 200.0));
    }

    /// Nothing to do, nothing measured: no division by nothing.
    #[test]
    fn nothing_has_a_place_too() {
        let nothing = profile(Flops::default(), 0, 0, 100.0);
        assert_eq!(machine().place(&nothing, ONE).part, 0.0);
        let empty = Roofline { threads: 1, peaks: Vec::new(), levels: Vec::new() };
        assert_eq!(empty.place(&profile(adds(1), 4, 4, 1.0), ONE).part, 0.0);
    }
}
