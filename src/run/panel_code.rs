//! Stages on rows that something holds some of at a time.

use super::epilogue::{Block, Place};
use super::layout::OPERANDS;
use super::product::Product;
use super::rows::{PanelSetup, RowCode};
use super::view::Layout;
use kiln_ir::DType;
use smallvec::SmallVec;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

/// See the module.
pub(super) struct PanelCode<'a> {
    pub(super) code: &'a RowCode,
    /// What has such rows as its result.
    pub(super) product: &'a Product,
    /// The type of those rows.
    pub(super) dtype: DType,
    placed: SmallVec<[Place<'a>; OPERANDS]>,
    setups: Setups,
}

/// What panels of some sizes need.
type Setups = Mutex<Vec<([usize; 2], Arc<PanelSetup>)>>;

impl<'a> PanelCode<'a> {
    /// Of these operands.
    pub(super) fn new(
        code: &'a RowCode,
        product: &'a Product,
        dtype: DType,
        placed: SmallVec<[Place<'a>; OPERANDS]>,
    ) -> PanelCode<'a> {
        PanelCode { code, product, dtype, placed, setups: Setups::default() }
    }

    /// Whether stages can run on such rows, and what they give may be multiplied, if it is: a number of each row is
    /// nothing to multiply.
    pub(super) fn can_run(&self, is_multiplied: bool) -> bool {
        let PanelCode { code, product, dtype, placed, .. } = self;
        let whole = Layout::row_major(ptr::null_mut(), *dtype, &product.shape);
        let mut verdict = Layout::row_major(ptr::null_mut(), *dtype, &product.shape);
        *verdict.shape.last_mut().expect("a product has rows") = 1;
        let mut all: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
        placed.iter().for_each(|place| {
            all.push(match place {
                Place::Product => &whole,
                Place::Array(placed) => placed.array,
                Place::Verdict => &verdict,
            });
        });
        let is_column = is_multiplied && code.is_of_rows(placed.len() - code.outputs());
        !is_column && code.folds_rows_of(&product.shape, &all)
    }

    /// Runs them on a block. Returns whether all its rows may leave out what is masked.
    ///
    /// # Safety
    ///
    /// The operands must be as the code needs them. Inputs and the block must be readable, outputs and the block
    /// writable, and nothing else may use these rows of them.
    pub(super) unsafe fn run(&self, block: &Block) -> bool {
        let sizes = [block.rows.len(), block.columns.len()];
        let mut verdicts: SmallVec<[f64; 64]> = SmallVec::from_elem(0.0, sizes[0]);
        let layouts = self.parts(block, verdicts.as_mut_ptr().cast());
        let setup = self.setup(sizes, &layouts);
        let bases: SmallVec<[*mut u8; OPERANDS]> =
            layouts.iter().map(|layout| layout.base).collect();
        // SAFETY: required of the caller.
        unsafe { self.code.run_on_panel(&setup, &bases) };
        let judges = matches!(self.placed.last(), Some(Place::Verdict));
        let numbers = verdicts.as_ptr();
        // SAFETY: there is room for as many of either type.
        let is_so = |row: usize| unsafe {
            match self.dtype {
                DType::F64 => *numbers.add(row) != 0.0,
                _ => *numbers.cast::<f32>().add(row) != 0.0,
            }
        };
        !judges || (0..sizes[0]).all(is_so)
    }

    /// [`run`](PanelCode::run) as the code runs on arrays, which is faster where rows are many and nothing else is held.
    ///
    /// # Safety
    ///
    /// As for [`run`](PanelCode::run).
    pub(super) unsafe fn run_whole(&self, block: &Block) {
        let mut layouts = self.parts(block, ptr::null_mut());
        for layout in &mut layouts {
            let Layout { shape, strides, .. } = layout;
            shape
                .iter_mut()
                .zip(strides)
                .filter(|(_, step)| **step == 0)
                .for_each(|(size, _)| *size = 1);
        }
        let mut operands: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
        layouts.iter().for_each(|layout| operands.push(layout));
        // SAFETY: required of the caller.
        unsafe {
            if !self.code.run(&operands, Some(1)) {
                self.run(block);
            }
        }
    }

    /// The operands of the code on some rows.
    fn parts(&self, block: &Block, verdicts: *mut u8) -> SmallVec<[Layout; OPERANDS]> {
        let mut layouts: SmallVec<[Layout; OPERANDS]> = SmallVec::new();
        for (index, place) in self.placed.iter().enumerate() {
            let mut layout = match place {
                Place::Product => block.layout(self.dtype),
                Place::Array(placed) => self.product.part(placed, block),
                Place::Verdict => {
                    let size = self.dtype.size() as isize;
                    block.layout_at(verdicts, [size, size], self.dtype)
                }
            };
            if self.code.is_of_rows(index) {
                layout.shape[1] = 1;
            }
            layouts.push(layout);
        }
        layouts
    }

    /// What panels of these sizes need: most are as large as others.
    fn setup(&self, sizes: [usize; 2], layouts: &[Layout]) -> Arc<PanelSetup> {
        let mut setups = self.setups.lock().unwrap_or_else(PoisonError::into_inner);
        match setups.iter().find(|(known, _)| *known == sizes) {
            Some((_, setup)) => Arc::clone(setup),
            None => {
                let mut operands: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
                layouts.iter().for_each(|layout| operands.push(layout));
                let setup = Arc::new(self.code.panel(sizes, &operands));
                setups.push((sizes, Arc::clone(&setup)));
                setup
            }
        }
    }
}
