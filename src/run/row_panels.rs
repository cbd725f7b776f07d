//! Rows of a product, some at a time: stages run on them where they were added up.

use super::bound::Bound;
use super::chained::Chained;
use super::epilogue::{Block, Epilogue, Placed};
use super::layout::OPERANDS;
use super::product::{Product, Run};
use super::queue::Shared;
use super::rows::{PanelSetup, RowCode};
use super::view::Layout;
use kiln_ir::DType;
use smallvec::SmallVec;
use std::ptr;
use std::sync::OnceLock;

/// A product whose rows are folded.
pub(super) struct RowPanels<'a> {
    pub(super) code: &'a RowCode,
    pub(super) product: &'a Product,
    pub(super) factors: [&'a Layout; 2],
    /// The operands of the code: `None` is the product itself, or what is computed in its place.
    pub(super) placed: SmallVec<[Option<Placed<'a>>; OPERANDS]>,
    /// The type of the product.
    pub(super) dtype: DType,
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
        let RowPanels { code, product, factors, placed, dtype } = self;
        let whole = Layout::row_major(ptr::null_mut(), *dtype, &product.shape);
        let mut all: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
        placed.iter().for_each(|operand| {
            all.push(operand.as_ref().map_or(&whole, |operand| operand.array));
        });
        // A number of each row is nothing to multiply.
        let is_column = chained.is_some() && code.is_of_rows(placed.len() - 1);
        if is_column || !code.folds_rows_of(&product.shape, &all) {
            return false;
        }
        // SAFETY: required of the caller.
        let chained = chained.map(|chained| unsafe { chained.packed(bound) });
        // Most panels have as many rows as the first one.
        let usual: OnceLock<(usize, PanelSetup)> = OnceLock::new();
        let on_panel = Shared(|block: Block| {
            let layouts = self.parts(&block);
            let setup = || {
                let mut operands: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
                layouts.iter().for_each(|layout| operands.push(layout));
                code.panel([block.rows.len(), block.columns.len()], &operands)
            };
            let (rows, known) = usual.get_or_init(|| (block.rows.len(), setup()));
            let other = (*rows != block.rows.len()).then(setup);
            let bases: SmallVec<[*mut u8; OPERANDS]> =
                layouts.iter().map(|layout| layout.base).collect();
            // SAFETY: required of the caller. The operands are those of rows that no other thread has, and the
            // product lies in a scratch.
            unsafe {
                code.run_on_panel(other.as_ref().unwrap_or(known), &bases);
                if let Some(chained) = &chained {
                    chained.multiply(&block);
                }
            }
        });
        let run = |block: Block| (on_panel.get())(block);
        let more = chained.as_ref().map_or(0.0, Chained::nanoseconds);
        let nanoseconds = code.nanoseconds() + more;
        let epilogue = Some(Epilogue { nanoseconds, takes_rows: true, run: &run });
        // SAFETY: required of the caller.
        unsafe { Run { product, operands: *factors, target: None, epilogue }.run(threads, bound) }
    }

    /// The operands of the code on some rows.
    fn parts(&self, block: &Block) -> SmallVec<[Layout; OPERANDS]> {
        let mut layouts: SmallVec<[Layout; OPERANDS]> = SmallVec::new();
        for (index, operand) in self.placed.iter().enumerate() {
            let mut layout = match operand {
                Some(operand) => self.product.part(operand, block),
                None => block.layout(self.dtype),
            };
            if self.code.is_of_rows(index) {
                layout.shape[1] = 1;
            }
            layouts.push(layout);
        }
        layouts
    }
}
