//! Memory of intermediates: one block, in which those that are never live together share places, unless a plan keeps
//! all of them to its end.

use super::{Dims, Plan, ShapeError};
use std::cmp::Reverse;
use std::fmt;

/// Buffers begin at multiples of this many bytes: cache lines, and any vector.
pub(crate) const ALIGNMENT: usize = 64;

/// The most bytes an array may have.
const MOST: usize = isize::MAX as usize;

/// The memory that a call takes for its intermediates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    peak: usize,
    regions: Vec<Region>,
    /// Bytes of constants, which are not the call's alone.
    bound: usize,
}

/// A part of the block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Region {
    offset: usize,
    /// A multiple of the alignment.
    bytes: usize,
    /// The first and last step during which nothing else may lie there.
    live: [usize; 2],
}

impl Region {
    fn end(self) -> usize {
        self.offset + self.bytes
    }

    /// Whether there is a step during which both are live.
    fn meets(self, other: Region) -> bool {
        self.live[0] <= other.live[1] && other.live[0] <= self.live[1]
    }
}

impl Memory {
    /// Bytes that intermediates take. Those that are never live together share places, but for those of
    /// [unfused](crate::CompileOptions::unfused) kernels: each of these has its own, as a real temporary would.
    pub fn peak(&self) -> usize {
        self.peak
    }

    /// Bytes that they would take if no two shared a place.
    pub fn total(&self) -> usize {
        self.regions.iter().fold(0, |total, region| total.saturating_add(region.bytes))
    }

    /// Bytes of what inputs are [bound](crate::Kernel::bind_constant) to, and of what is packed of it. They
    /// are the kernel's, whatever calls it, and those of all kernels that are made of it.
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// The same beside so many bytes of constants.
    pub(crate) fn beside(self, bound: usize) -> Memory {
        Memory { bound, ..self }
    }

    /// That of one array of so many bytes.
    pub(crate) fn of_one(bytes: usize) -> Memory {
        let bytes = bytes.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
        let region = Region { offset: 0, bytes, live: [0, usize::MAX] };
        Memory { peak: bytes, regions: vec![region], bound: 0 }
    }

    /// Both, which share no place.
    pub(crate) fn and(mut self, other: Memory) -> Memory {
        self.regions.extend(other.regions);
        self.peak = self.peak.saturating_add(other.peak);
        self
    }

    /// Where in the block each buffer begins.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = usize> {
        self.regions.iter().map(|region| region.offset)
    }

    /// Places regions, whose sizes together are one.
    ///
    /// The largest go first, each into the smallest gap that holds it, between those that are live
    /// at the same time. A later, smaller one fits into the gaps that are left.
    fn place(&mut self) {
        let regions = &mut self.regions;
        let mut order: Vec<usize> = (0..regions.len()).collect();
        order.sort_by_key(|&index| Reverse(regions[index].bytes));
        // By where they begin.
        let mut placed: Vec<usize> = Vec::new();
        for index in order {
            let region = regions[index];
            let mut end = 0;
            let mut best: Option<(usize, usize)> = None;
            for other in placed.iter().map(|&other| regions[other]).filter(|o| o.meets(region)) {
                let gap = other.offset.saturating_sub(end);
                if gap >= region.bytes && best.is_none_or(|(smallest, _)| gap < smallest) {
                    best = Some((gap, end));
                }
                end = end.max(other.end());
            }
            let offset = best.map_or(end, |(_, offset)| offset);
            regions[index].offset = offset;
            let at = placed.partition_point(|&other| regions[other].offset <= offset);
            placed.insert(at, index);
        }
        self.peak = regions.iter().map(|region| region.end()).max().unwrap_or(0);
    }
}

impl<K> Plan<K> {
    /// The memory of a call of these shapes.
    pub(crate) fn memory(&self, shapes: &[Dims]) -> Result<Memory, ShapeError> {
        let mut memory = Memory::default();
        self.update_memory(&mut memory, shapes, self.computes_parts(shapes))?;
        Ok(memory)
    }

    /// Makes `memory` that of a call of these shapes. It is left as it is if the
    /// lives and sizes of buffers are the same, as they are from call to call. With `in_parts`, intermediates
    /// that are [parts](super::Part) of others, or of outputs, take none.
    pub(crate) fn update_memory(
        &self,
        memory: &mut Memory,
        shapes: &[Dims],
        in_parts: bool,
    ) -> Result<(), ShapeError> {
        let mut is_same = memory.regions.len() == self.buffers.len();
        memory.regions.resize(self.buffers.len(), Region::default());
        let mut total = 0usize;
        for (buffer, region) in self.buffers.iter().zip(&mut memory.regions) {
            let (shape, dtype) = (&shapes[buffer.written.shape], buffer.dtype);
            // An array without elements gets an address of its own, however large its other axes are.
            let elements = match shape.contains(&0) {
                _ if in_parts && buffer.part.is_some() => Some(0),
                true => Some(1),
                false => shape.iter().try_fold(1usize, |elements, &n| elements.checked_mul(n)),
            };
            let bytes = elements.and_then(|elements| elements.checked_mul(dtype.size()));
            let bytes = bytes.and_then(|bytes| bytes.checked_next_multiple_of(ALIGNMENT));
            // The sum without sharing must fit too, so that no offset wraps around.
            let sum = bytes.and_then(|bytes| total.checked_add(bytes));
            let (Some(bytes), Some(sum @ 0..=MOST)) = (bytes, sum) else {
                *memory = Memory::default();
                return Err(ShapeError::TooLarge { shape: shape.to_vec(), dtype });
            };
            total = sum;
            is_same &= region.bytes == bytes && region.live == buffer.live;
            (region.bytes, region.live) = (bytes, buffer.live);
        }
        if !is_same {
            memory.place();
        }
        Ok(())
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.regions.iter().filter(|region| region.bytes > 0).count();
        let (peak, total) = (self.peak, self.total());
        match count {
            0 => f.write_str("no intermediate")?,
            1 => write!(f, "{peak} bytes for 1 intermediate")?,
            _ => write!(f, "{peak} bytes for {count} intermediates of {total} bytes in all")?,
        }
        match self.bound {
            0 => Ok(()),
            bound => write!(f, ", and {bound} bytes of constants"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, Region};

    fn placed(buffers: &[(usize, [usize; 2])]) -> Memory {
        let region = |&(bytes, live): &(usize, [usize; 2])| Region { offset: 0, bytes, live };
        let mut memory =
            Memory { peak: 0, regions: buffers.iter().map(region).collect(), bound: 0 };
        memory.place();
        memory
    }

    #[test]
    fn what_is_never_live_together_shares() {
        let peak = |buffers: &[(usize, [usize; 2])]| placed(buffers).peak();
        assert_eq!(peak(&[]), 0);
        assert_eq!(peak(&[(64, [0, 1]), (64, [1, 2]), (64, [2, 3])]), 128);
        assert_eq!(peak(&[(64, [0, 9]), (64, [0, 9]), (64, [0, 9])]), 192);
        // A chain of growing sizes: at most, each pair of neighbours.
        assert_eq!(peak(&[(64, [0, 1]), (128, [1, 2]), (256, [2, 3]), (512, [3, 4])]), 768);
        // The second gap is the smaller one that fits.
        let memory = placed(&[
            (512, [0, 9]),
            (448, [0, 1]),
            (384, [0, 9]),
            (320, [0, 1]),
            (256, [0, 9]),
            (192, [3, 4]),
        ]);
        assert_eq!(memory.offsets().collect::<Vec<_>>(), [0, 512, 960, 1344, 1664, 1344]);
    }

    /// Whatever is live together lies apart, and nothing uncounted is used.
    #[test]
    fn buffers_that_meet_lie_apart() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut draw = |below: usize| rng.usize(..below);
        for _ in 0..2000 {
            let buffers: Vec<(usize, [usize; 2])> = (0..draw(12))
                .map(|_| {
                    let start = draw(8);
                    (64 * (1 + draw(9)), [start, start + draw(4)])
                })
                .collect();
            let memory = placed(&buffers);
            for (i, a) in memory.regions.iter().enumerate() {
                for b in &memory.regions[i + 1..] {
                    assert!(!a.meets(*b) || a.end() <= b.offset || b.end() <= a.offset);
                }
            }
            let live = |at: usize| {
                let now = |(_, live): &&(usize, [usize; 2])| live[0] <= at && at <= live[1];
                buffers.iter().filter(now).map(|(bytes, _)| bytes).sum::<usize>()
            };
            assert!(memory.peak() >= (0..12).map(live).max().unwrap());
            assert!(memory.peak() <= memory.total());
        }
    }
}
