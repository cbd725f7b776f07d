//! Memory of intermediates: one block, in which those that are never live together share places.

use super::{Buffer, Dims, Plan, ShapeError};
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::fmt;

/// Buffers begin at multiples of this many bytes: cache lines, and any vector.
pub(crate) const ALIGNMENT: usize = 64;

/// The most bytes that an array may have.
const MOST: usize = isize::MAX as usize;

/// The memory that a call takes for its intermediates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    peak: usize,
    buffers: SmallVec<[Region; 4]>,
}

/// A part of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    offset: usize,
    /// A multiple of the alignment.
    bytes: usize,
}

impl Region {
    fn end(self) -> usize {
        self.offset + self.bytes
    }
}

impl Memory {
    /// Bytes that intermediates take at once: those of the one block that they are in.
    pub fn peak(&self) -> usize {
        self.peak
    }

    /// Bytes that they would take if none shared a place with another.
    pub fn total(&self) -> usize {
        self.buffers.iter().map(|region| region.bytes).sum()
    }

    /// Where in the block a buffer begins.
    pub(crate) fn offset(&self, buffer: usize) -> usize {
        self.buffers[buffer].offset
    }

    /// Places buffers of these sizes in bytes, which together are a size.
    ///
    /// The largest go first, each into the smallest gap, between those that are live when it is,
    /// that holds it. A later, smaller one finds what gaps are left.
    fn place(buffers: &[Buffer], bytes: SmallVec<[usize; 4]>) -> Memory {
        let mut regions: SmallVec<[Region; 4]> = SmallVec::new();
        bytes.iter().for_each(|&bytes| regions.push(Region { offset: 0, bytes }));
        let mut order: SmallVec<[usize; 8]> = (0..buffers.len()).collect();
        order.sort_unstable_by_key(|&buffer| (Reverse(bytes[buffer]), buffer));
        // By where they begin.
        let mut placed: SmallVec<[usize; 8]> = SmallVec::new();
        for buffer in order {
            let wanted = regions[buffer].bytes;
            let mut end = 0;
            let mut best: Option<(usize, usize)> = None;
            for &other in placed.iter().filter(|&&other| meet(&buffers[buffer], &buffers[other])) {
                let gap = regions[other].offset.saturating_sub(end);
                if gap >= wanted && best.is_none_or(|(smallest, _)| gap < smallest) {
                    best = Some((gap, end));
                }
                end = end.max(regions[other].end());
            }
            let offset = best.map_or(end, |(_, offset)| offset);
            regions[buffer].offset = offset;
            let at = placed.partition_point(|&other| regions[other].offset <= offset);
            placed.insert(at, buffer);
        }
        let peak = regions.iter().map(|region| region.end()).max().unwrap_or(0);
        Memory { peak, buffers: regions }
    }
}

/// Whether there is a step during which both are live.
fn meet(a: &Buffer, b: &Buffer) -> bool {
    a.live[0] <= b.live[1] && b.live[0] <= a.live[1]
}

impl<K> Plan<K> {
    /// The memory of a call whose steps have these shapes.
    pub(crate) fn memory(&self, shapes: &[Dims]) -> Result<Memory, ShapeError> {
        let mut sizes = SmallVec::new();
        let mut total = 0usize;
        for buffer in &self.buffers {
            let (shape, dtype) = (&shapes[buffer.written], buffer.dtype);
            let bytes =
                shape.iter().try_fold(dtype.size(), |bytes, &n| bytes.checked_mul(n.max(1)));
            let bytes = bytes.and_then(|bytes| bytes.checked_next_multiple_of(ALIGNMENT));
            // What is not shared must fit, too, so that no offset wraps around.
            let sum = bytes.and_then(|bytes| total.checked_add(bytes));
            let (Some(bytes), Some(sum @ 0..=MOST)) = (bytes, sum) else {
                return Err(ShapeError::TooLarge { shape: shape.to_vec(), dtype });
            };
            total = sum;
            sizes.push(bytes);
        }
        Ok(Memory::place(&self.buffers, sizes))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, peak, total) = (self.buffers.len(), self.peak, self.total());
        match count {
            0 => f.write_str("no intermediate"),
            1 => write!(f, "{peak} bytes for 1 intermediate"),
            _ => write!(f, "{peak} bytes for {count} intermediates of {total} bytes in all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffer, Memory, meet};
    use kiln_ir::DType;

    fn placed(buffers: &[(usize, [usize; 2])]) -> (Vec<Buffer>, Memory) {
        let buffer =
            |&(_, live): &(usize, [usize; 2])| Buffer { dtype: DType::F32, written: live[0], live };
        let lives: Vec<Buffer> = buffers.iter().map(buffer).collect();
        let memory = Memory::place(&lives, buffers.iter().map(|(bytes, _)| *bytes).collect());
        (lives, memory)
    }

    #[test]
    fn what_is_never_live_together_shares() {
        let peak = |buffers: &[(usize, [usize; 2])]| placed(buffers).1.peak();
        assert_eq!(peak(&[]), 0);
        assert_eq!(peak(&[(64, [0, 1]), (64, [1, 2]), (64, [2, 3])]), 128);
        assert_eq!(peak(&[(64, [0, 9]), (64, [0, 9]), (64, [0, 9])]), 192);
        // A chain of growing sizes: each pair of neighbours, at most.
        assert_eq!(peak(&[(64, [0, 1]), (128, [1, 2]), (256, [2, 3]), (512, [3, 4])]), 768);
        // The second gap is the smaller one that fits.
        let (_, memory) = placed(&[
            (512, [0, 9]),
            (448, [0, 1]),
            (384, [0, 9]),
            (320, [0, 1]),
            (256, [0, 9]),
            (192, [3, 4]),
        ]);
        assert_eq!(
            memory.buffers.iter().map(|region| region.offset).collect::<Vec<_>>(),
            [0, 512, 960, 1344, 1664, 1344]
        );
    }

    /// Whatever is live together lies apart, and what is not counted is not taken.
    #[test]
    fn buffers_that_meet_lie_apart() {
        let mut state = 1u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for _ in 0..2000 {
            let buffers: Vec<(usize, [usize; 2])> = (0..draw(12))
                .map(|_| {
                    let start = draw(8) as usize;
                    (64 * (1 + draw(9) as usize), [start, start + draw(4) as usize])
                })
                .collect();
            let (lives, memory) = placed(&buffers);
            for (i, a) in lives.iter().enumerate() {
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    let (x, y) = (memory.buffers[i], memory.buffers[j]);
                    assert!(!meet(a, b) || x.end() <= y.offset || y.end() <= x.offset);
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
