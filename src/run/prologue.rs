//! A product whose left operand is computed some rows at a time, and multiplied while a cache holds them:
//! `layer_norm(x) @ w` needs no memory for what it multiplies.
//!
//! Every row is computed once, whatever the right operand is, and in the type of the product. What few rows or
//! large right operands would make slower goes pass by pass.

use super::bound::Bound;
use super::chained::Chained;
use super::epilogue::{Block, BlockCode, with_scratch};
use super::exec::{Threads, threads_for};
use super::panel_code::PanelCode;
use super::product::{PANEL, Product};
use super::product_grid::Grid;
use super::queue::Shared;
use super::tasks::each;
use kiln_ir::DType;

/// Most rows at a time: several tiles of rows in L2, with what is packed of them.
const MOST_ROWS: usize = 96;
/// A left operand of so few bytes is computed as a whole: it stays in L1 and L2 anyway.
const WHOLE: usize = 128 << 10;
/// Fewest rows, where there are more: the right operand is read for each few.
const FEWEST_ROWS: usize = 24;

/// Rows of a left operand, and what computes them.
pub(super) struct Prologue<'a> {
    /// What has them as its result.
    pub(super) rows: &'a Product,
    pub(super) dtype: DType,
    pub(super) code: Code<'a>,
}

/// Code that writes rows.
pub(super) enum Code<'a> {
    Elements(BlockCode<'a>),
    Rows(PanelCode<'a>),
}

impl Code<'_> {
    fn nanoseconds(&self) -> f64 {
        match self {
            Code::Elements(elements) => elements.code.nanoseconds(),
            Code::Rows(panel) => panel.code.nanoseconds(),
        }
    }
}

/// Whether a left operand of this shape is computed as a whole.
pub(super) fn is_whole(shape: &[usize], dtype: DType) -> bool {
    let bytes = shape.iter().fold(dtype.size(), |bytes, &size| bytes.saturating_mul(size));
    bytes <= WHOLE
}

/// How many rows of so many bytes are computed at once, of `m`, if enough of them fit.
pub(super) fn rows_at_once(m: usize, row: usize) -> Option<usize> {
    let most = (PANEL / row.max(1)).min(MOST_ROWS);
    (most >= FEWEST_ROWS.min(m)).then_some(most.min(m))
}

/// How left operands that are the result of `rows` are cut, and for how many threads, if they are: an element takes so
/// many nanoseconds.
pub(super) fn cut(
    rows: &Product,
    dtype: DType,
    nanoseconds: f64,
    threads: Option<usize>,
) -> Option<(Threads, Grid)> {
    let ([m, k], count) = rows.sizes();
    let most = rows_at_once(m, k * dtype.size())?;
    let elements = m.saturating_mul(k).saturating_mul(count) as f64;
    let threads = threads_for(elements * nanoseconds, threads.unwrap_or(usize::MAX));
    let grid = Grid::of_rows(m, k, count, threads.count, most);
    // Few rows are cut into columns of the result, and each of many products is multiplied by few.
    let are_few =
        grid.blocks().saturating_mul(count) < threads.count || (count > 1 && m < FEWEST_ROWS);
    (!are_few).then_some((threads, grid))
}

impl Prologue<'_> {
    /// Computes all rows, and multiplies them. Returns whether it can; if not, nothing is written.
    ///
    /// # Safety
    ///
    /// All operands must be as the code and the product need them. Inputs must be readable. Outputs must be
    /// writable and overlap nothing.
    pub(super) unsafe fn run(
        &self,
        chained: Chained<'_>,
        threads: Option<usize>,
        bound: &Bound,
    ) -> bool {
        let ([_, k], count) = self.rows.sizes();
        if matches!(&self.code, Code::Rows(panel) if !panel.can_run(true)) {
            return false;
        }
        let nanoseconds = self.code.nanoseconds() + chained.nanoseconds();
        let cut = cut(self.rows, self.dtype, nanoseconds, threads);
        let Some((threads, grid)) = cut else { return false };
        let [rows, _] = grid.block(0);
        // SAFETY: required of the caller.
        let chained = unsafe { chained.by_rows(rows.len(), bound) };
        let size = self.dtype.size();
        let one = |task: usize| {
            let (index, [rows, columns]) = (task / grid.blocks(), grid.block(task % grid.blocks()));
            with_scratch(rows.len() * k * size, |first| {
                let steps = [k * size, size].map(|step| step as isize);
                let block = Block { index, rows, columns, first, steps };
                // SAFETY: required of the caller. The scratch has room for these rows, which no other thread has.
                unsafe {
                    match &self.code {
                        Code::Elements(code) => code.run(self.rows, &block, self.dtype),
                        Code::Rows(panel) => panel.run_whole(&block),
                    }
                    chained.multiply_all(&block, k);
                }
            });
        };
        each(count * grid.blocks(), grid.blocks(), threads, &Shared(one));
        true
    }
}
