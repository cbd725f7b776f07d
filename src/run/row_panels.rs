//! Rows of a product, some at a time: stages run on them where they were added up.

use super::bound::Bound;
use super::chained::Chained;
use super::epilogue::{Block, Columns, Epilogue};
use super::needed::Needed;
use super::panel_code::PanelCode;
use super::product::Run;
use super::queue::Shared;
use super::view::Layout;
use std::ops::Range;

/// A product whose rows are folded.
pub(super) struct RowPanels<'a> {
    pub(super) panel: PanelCode<'a>,
    pub(super) factors: [&'a Layout; 2],
    /// The mask of what follows.
    pub(super) needed: Option<Needed<'a>>,
}

impl RowPanels<'_> {
    /// Runs the code on all rows, and then what is `chained` to it. Returns whether it can; if not, nothing is
    /// written.
    ///
    /// # Safety
    ///
    /// All operands must be as the code and the product need them. Inputs must be readable. Outputs must be
    /// writable and overlap nothing, except that one may be exactly an input that is no factor.
    pub(super) unsafe fn run(
        &self,
        chained: Option<Chained<'_>>,
        threads: Option<usize>,
        bound: &Bound,
    ) -> bool {
        let RowPanels { panel, factors, needed } = self;
        if !panel.can_run(chained.is_some()) {
            return false;
        }
        // SAFETY: required of the caller.
        let chained = chained.map(|chained| unsafe { chained.packed(bound) });
        let width = panel.product.shape[panel.product.shape.len() - 1];
        let on_panel = Shared(|block: Block| {
            // SAFETY: required of the caller. The operands are those of rows that no other thread has, and the
            // product lies in a scratch.
            unsafe {
                let may_leave_out = panel.run(&block);
                (block.columns.len() == width || may_leave_out)
                    && chained.as_ref().is_none_or(|chained| chained.multiply(&block))
            }
        });
        let run = |block: Block| (on_panel.get())(block);
        let columns = needed.as_ref().zip(chained.as_ref()).map(|(needed, chained)| {
            Shared(move |index: usize, rows: Range<usize>| {
                // SAFETY: required of the caller.
                let (needed, kept) =
                    unsafe { (needed.columns(index, rows, width), chained.kept_rows(index)) };
                // One more stands for those that are masked.
                (needed + 1).max(kept).min(width)
            })
        });
        let columns = columns.as_ref().map(|columns| |index, rows| (columns.get())(index, rows));
        let columns = columns.as_ref().map(|columns| columns as &Columns<'_>);
        let more = chained.as_ref().map_or(0.0, Chained::nanoseconds);
        let nanoseconds = panel.code.nanoseconds() + more;
        let epilogue = Some(Epilogue { nanoseconds, takes_rows: true, columns, run: &run });
        let (product, operands) = (panel.product, *factors);
        // SAFETY: required of the caller.
        unsafe { Run { product, operands, target: None, epilogue }.run(threads, bound) }
    }
}
