//! Rows of a product, some at a time: stages run on them where they were added up.

use super::bound::Bound;
use super::chained::Chained;
use super::epilogue::{Block, Columns, Epilogue, Place};
use super::layout::OPERANDS;
use super::needed::Needed;
use super::product::{Product, Run};
use super::queue::Shared;
use super::rows::{PanelSetup, RowCode};
use super::view::Layout;
use kiln_ir::DType;
use smallvec::SmallVec;
use std::ops::Range;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

/// A product whose rows are folded.
pub(super) struct RowPanels<'a> {
    pub(super) code: &'a RowCode,
    pub(super) product: &'a Product,
    pub(super) factors: [&'a Layout; 2],
    /// The operands of the code.
    pub(super) placed: SmallVec<[Place<'a>; OPERANDS]>,
    /// The mask of what follows.
    pub(super) needed: Option<Needed<'a>>,
    /// The type of the product.
    pub(super) dtype: DType,
}

/// What panels of some sizes need.
type Setups = Mutex<Vec<([usize; 2], Arc<PanelSetup>)>>;

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
        let RowPanels { code, product, factors, placed, needed, dtype } = self;
        let whole = Layout::row_major(ptr::null_mut(), *dtype, &product.shape);
        let mut verdict = Layout::row_major(ptr::null_mut(), DType::Bool, &product.shape);
        *verdict.shape.last_mut().expect("a product has rows") = 1;
        let mut all: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
        placed.iter().for_each(|place| {
            all.push(match place {
                Place::Product => &whole,
                Place::Array(placed) => placed.array,
                Place::Verdict => &verdict,
            });
        });
        // A number of each row is nothing to multiply.
        let is_column = chained.is_some() && code.is_of_rows(placed.len() - code.outputs());
        if is_column || !code.folds_rows_of(&product.shape, &all) {
            return false;
        }
        // SAFETY: required of the caller.
        let chained = chained.map(|chained| unsafe { chained.packed(bound) });
        let width = product.shape[product.shape.len() - 1];
        let setups = Setups::default();
        let on_panel = Shared(|block: Block| {
            let sizes = [block.rows.len(), block.columns.len()];
            let mut verdicts: SmallVec<[u8; 128]> = SmallVec::from_elem(0, sizes[0]);
            let layouts = self.parts(&block, verdicts.as_mut_ptr());
            let setup = setup(&setups, sizes, || {
                let mut operands: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
                layouts.iter().for_each(|layout| operands.push(layout));
                code.panel(sizes, &operands)
            });
            let bases: SmallVec<[*mut u8; OPERANDS]> =
                layouts.iter().map(|layout| layout.base).collect();
            let judges = matches!(placed.last(), Some(Place::Verdict));
            // SAFETY: required of the caller. The operands are those of rows that no other thread has, and the
            // product lies in a scratch.
            unsafe {
                code.run_on_panel(&setup, &bases);
                let may_leave_out = !judges || verdicts.iter().all(|&verdict| verdict != 0);
                (sizes[1] == width || may_leave_out)
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
        let nanoseconds = code.nanoseconds() + more;
        let epilogue = Some(Epilogue { nanoseconds, takes_rows: true, columns, run: &run });
        // SAFETY: required of the caller.
        unsafe { Run { product, operands: *factors, target: None, epilogue }.run(threads, bound) }
    }

    /// The operands of the code on some rows.
    fn parts(&self, block: &Block, verdicts: *mut u8) -> SmallVec<[Layout; OPERANDS]> {
        let mut layouts: SmallVec<[Layout; OPERANDS]> = SmallVec::new();
        for (index, place) in self.placed.iter().enumerate() {
            let mut layout = match place {
                Place::Product => block.layout(self.dtype),
                Place::Array(placed) => self.product.part(placed, block),
                Place::Verdict => block.layout_at(verdicts, [1, 1], DType::Bool),
            };
            if self.code.is_of_rows(index) {
                layout.shape[1] = 1;
            }
            layouts.push(layout);
        }
        layouts
    }
}

/// What panels of these sizes need: most are as large as others.
fn setup(setups: &Setups, sizes: [usize; 2], make: impl FnOnce() -> PanelSetup) -> Arc<PanelSetup> {
    let mut setups = setups.lock().unwrap_or_else(PoisonError::into_inner);
    match setups.iter().find(|(known, _)| *known == sizes) {
        Some((_, setup)) => Arc::clone(setup),
        None => {
            let setup = Arc::new(make());
            setups.push((sizes, Arc::clone(&setup)));
            setup
        }
    }
}
