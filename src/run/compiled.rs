//! What runs a fused body, or a reduction.

use super::passes::Passes;
use super::product_kernel::ProductKernel;
use super::row_kernel::RowKernel;
use super::rows::Reduction;
use super::unfit::Unfit;
use super::view::Layout;
use kiln_jit::emit::cost::Tally;
use kiln_jit::emit::{Code, EmitterKind};

/// What runs a fused body, or a reduction.
#[derive(Debug)]
// Without machine code it is not large.
#[allow(
    clippy::large_enum_variant,
    reason = "the shortest calls are of code: no step on the way to it"
)]
pub(crate) enum Compiled {
    /// Code, once for each element.
    Map(Code),
    /// Stages over rows, with reductions between them.
    Rows(Box<RowKernel>),
    /// A product, and code on blocks of its result.
    Product(Box<ProductKernel>),
    /// A reduction by itself.
    Reduction(Reduction),
}

impl Compiled {
    /// The code that it runs, in order.
    pub(crate) fn codes(&self) -> Box<dyn Iterator<Item = &Code> + '_> {
        match self {
            Compiled::Map(code) => Box::new(std::iter::once(code)),
            Compiled::Rows(kernel) => kernel.codes(),
            Compiled::Product(kernel) => kernel.codes(),
            Compiled::Reduction(_) => Box::new(std::iter::empty()),
        }
    }

    /// The emitter of its code and the width of its vectors in bits, if it has any.
    pub(crate) fn emitter(&self) -> Option<(EmitterKind, u32)> {
        self.codes().next().map(|code| (code.emitter(), code.bits()))
    }

    /// What runs a call on operands of such shapes and strides, the inputs and then the outputs, if that is not one
    /// pass, and why it is not.
    pub(super) fn passes(
        &self,
        operands: &[&Layout],
        threads: Option<usize>,
    ) -> Option<(&Passes, Unfit)> {
        match self {
            Compiled::Map(_) | Compiled::Reduction(_) => None,
            Compiled::Rows(kernel) => kernel.passes(operands),
            Compiled::Product(kernel) => kernel.passes(operands, threads),
        }
    }

    /// The primitives that it executes for an element.
    pub(crate) fn tally(&self) -> Tally {
        match self {
            Compiled::Map(code) => *code.tally(),
            Compiled::Product(kernel) => kernel.tally(),
            Compiled::Rows(_) | Compiled::Reduction(_) => Tally::default(),
        }
    }
}
