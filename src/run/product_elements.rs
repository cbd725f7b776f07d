//! A product, and code of elements on blocks of its result.

use super::aligned::is_aligned;
use super::bound::Bound;
use super::epilogue::{Block, BlockCode, Epilogue, Place};
use super::factors::product_type;
use super::layout::broadcasts_to;
use super::overlap::overlap;
use super::product::{Product, Run};
use super::queue::Shared;
use super::view::Layout;
use crate::lower::product::Source;
use kiln_ir::DType;
use kiln_jit::emit::Code;

/// What is multiplied, and what is read and written beside it.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub(super) factors: [&'a Layout; 2],
    /// What is computed of the product reads these, input by input.
    pub(super) sources: &'a [Source],
    /// What the sources are of.
    pub(super) inputs: &'a [&'a Layout],
    pub(super) outputs: &'a [&'a Layout],
}

impl<'a> Operands<'a> {
    /// What is read beside the product.
    pub(super) fn read(&self) -> impl Iterator<Item = &'a Layout> + Clone + use<'a> {
        let Operands { sources, inputs, .. } = *self;
        sources.iter().filter_map(|source| match source {
            Source::Product => None,
            Source::Parameter(at) => Some(inputs[*at]),
        })
    }

    /// The product and its type, if blocks of it are worth their while and can have what is read and written.
    pub(super) fn product(&self) -> Option<(Product, DType)> {
        let Operands { factors: [left, right], outputs, .. } = self;
        let product = Product::new(&left.shape, &right.shape).ok()?;
        if product.is_small() {
            return None;
        }
        let dtype = product_type(left.dtype, right.dtype).ok()?;
        // Factors are read again and again.
        let can_write = |output: &Layout| !overlap(output, left) && !overlap(output, right);
        let fits = is_aligned(left)
            && is_aligned(right)
            && self.read().all(|input| broadcasts_to(&input.shape, &product.shape))
            && outputs.iter().all(|output| can_write(output));
        fits.then_some((product, dtype))
    }

    /// Multiplies, and runs the code on blocks. Returns whether it can; if not, nothing is written.
    ///
    /// # Safety
    ///
    /// Operands must have the types and shapes of what is computed. Inputs must be readable, and outputs
    /// writable; an output must overlap nothing, unless it is exactly an input.
    pub(super) unsafe fn run(&self, code: &Code, threads: Option<usize>, bound: &Bound) -> bool {
        let Operands { factors, sources, inputs, outputs } = *self;
        let Some((product, dtype)) = self.product() else { return false };
        if outputs.iter().any(|output| output.shape != product.shape) {
            return false;
        }
        let mut placed = Place::of_sources(sources, &product, inputs);
        placed.extend(Place::of_outputs(&product, outputs));
        let holds = |output: &&&Layout| {
            let is_apart = |input: &Layout| !overlap(output, input);
            output.dtype == dtype && is_aligned(output) && self.read().all(is_apart)
        };
        let target = outputs.iter().find(holds).copied();
        let on_blocks = Shared(BlockCode { code, placed });
        let run = |block: Block| {
            // SAFETY: required of the caller. The operands are those of a block that no other
            // thread has, and the product lies in a scratch or is exactly an output.
            unsafe { on_blocks.get().run(&product, &block, dtype) };
            true
        };
        let nanoseconds = code.nanoseconds();
        let epilogue = Some(Epilogue { nanoseconds, takes_rows: false, columns: None, run: &run });
        // SAFETY: required of the caller; the target overlaps nothing that is read.
        unsafe {
            Run { product: &product, operands: factors, target, epilogue }.run(threads, bound)
        }
    }
}
