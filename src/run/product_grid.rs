//! How a product is cut into blocks of rows and columns.

use std::ops::Range;

/// Fewest rows and columns of a block: several whole tiles.
const LEAST: [usize; 2] = [24, 64];

/// Blocks begin at multiples of these: whole tiles of six rows with AVX2. With AVX-512 a tile has up to 14, and the last one of a
/// block what is left.
const TILE: [usize; 2] = [12, 32];

/// Rows of a block that goes to a scratch: what is packed of the right operand is used for all of them.
const MOST_ROWS: usize = 384;

/// A product cut into blocks of rows and columns, each a product of its own.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    /// Rows and columns of the product.
    sizes: [usize; 2],
    /// How many parts each is cut into.
    parts: [usize; 2],
    /// Rows of each part, if these are not cut evenly.
    height: Option<usize>,
}

impl Grid {
    /// One block.
    pub(super) fn whole(m: usize, n: usize) -> Grid {
        Grid { sizes: [m, n], parts: [1, 1], height: None }
    }

    /// For `count` products on `threads` threads: enough blocks that each thread has equally many,
    /// or at least three.
    pub(super) fn new(m: usize, n: usize, count: usize, threads: usize) -> Grid {
        let mut grid = Grid::whole(m, n);
        let is_even = |blocks: usize| {
            blocks >= 3 * threads || (blocks >= threads && blocks.is_multiple_of(threads))
        };
        while !is_even(grid.blocks().saturating_mul(count)) {
            // The closer a block is to square, the less of the operands is read for it.
            let [rows, columns] = [0, 1].map(|axis| grid.sizes[axis] / grid.parts[axis]);
            let longer = usize::from(columns > rows);
            let cut = [longer, 1 - longer]
                .into_iter()
                .find(|&axis| grid.sizes[axis] / (grid.parts[axis] + 1) >= LEAST[axis]);
            match cut {
                Some(axis) => grid.parts[axis] += 1,
                None => break,
            }
        }
        grid
    }

    /// Whole rows, at most so many at a time: as few as let each of so many threads have some of `count`
    /// products.
    pub(super) fn of_rows(m: usize, n: usize, count: usize, threads: usize, most: usize) -> Grid {
        let fewest = m.div_ceil(most);
        let wanted = if threads < 2 { 1 } else { (3 * threads).div_ceil(count) };
        let parts = wanted.min(m / LEAST[0]).max(fewest).max(1);
        let height = m.div_ceil(parts);
        let whole = height.next_multiple_of(TILE[0]);
        let height = if whole <= most { whole } else { height };
        Grid { sizes: [m, n], parts: [m.div_ceil(height), 1], height: Some(height) }
    }

    /// Cuts on until no block has more elements than `most`, as far as blocks may be cut.
    pub(super) fn cut_to(&mut self, most: usize) {
        let size =
            |grid: &Grid, axis: usize| grid.sizes[axis].div_ceil(grid.parts[axis]) + TILE[axis];
        while size(self, 0) * size(self, 1) > most {
            // Long rows are read and written in fewer pieces.
            let axis = usize::from(size(self, 0) <= MOST_ROWS || self.sizes[0] < 2 * LEAST[0]);
            if self.sizes[axis] / (self.parts[axis] + 1) < LEAST[axis] {
                break;
            }
            self.parts[axis] += 1;
        }
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.parts[0] * self.parts[1]
    }

    /// Rows and columns of a block.
    pub(super) fn block(&self, index: usize) -> [Range<usize>; 2] {
        let at = [index / self.parts[1], index % self.parts[1]];
        [0, 1].map(|axis| {
            let (size, parts) = (self.sizes[axis], self.parts[axis]);
            let height = self.height.filter(|_| axis == 0);
            let bound = |part: usize| match (part == parts, height) {
                (true, _) => size,
                (false, Some(height)) => height * part,
                (false, None) => size * part / parts / TILE[axis] * TILE[axis],
            };
            bound(at[axis])..bound(at[axis] + 1)
        })
    }
}
