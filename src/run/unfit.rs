//! Why a fused body goes pass by pass.

use super::chained::Chained;
use super::epilogue::Place;
use super::layout::OPERANDS;
use super::panel_code::PanelCode;
use super::product::Product;
use super::product_elements::Operands;
use super::product_kernel::Rest;
use super::prologue;
use super::view::Layout;
use crate::lower::product::{Product as Program, Source, Tail, Then};
use kiln_jit::emit::Code;
use smallvec::SmallVec;
use std::fmt;

/// Why a kernel does not run a call as one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Nothing was made that could.
    NoCode,
    /// Its operands lie, or their shapes are, as no stages or blocks can have them.
    Operands,
    /// Stages would take longer on its rows.
    Apart,
    /// Blocks of the product, or the calls for each of many, are not worth their while.
    Small,
    /// Of rows of so many bytes too few are held at once.
    LongRows { bytes: usize },
    /// They are fewer than threads need, or than a product of many is worth.
    FewRows,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::NoCode => f.write_str("what it computes has no code for whole rows"),
            Unfit::Operands => f.write_str("its operands do not fit rows or blocks"),
            Unfit::Apart => f.write_str("its rows are too short, or lie too far apart"),
            Unfit::Small => f.write_str("its product is too small"),
            Unfit::LongRows { bytes } => {
                write!(
                    f,
                    "its rows are too long, of {bytes} bytes where a cache is to hold several"
                )
            }
            Unfit::FewRows => f.write_str("its rows are too few"),
        }
    }
}

impl Program<Rest, Code> {
    /// Why it does not run a call on operands that lie so, if it does not. The call itself looks again: how
    /// many threads it gets may change.
    pub(super) fn unfit(&self, operands: &[&Layout], threads: Option<usize>) -> Option<Unfit> {
        let flat = self.flat(operands);
        let flat: Option<SmallVec<[&Layout; OPERANDS]>> =
            flat.as_ref().map(|flat| flat.iter().collect());
        let operands = flat.as_deref().unwrap_or(operands);
        let (inputs, outputs) = operands.split_at(operands.len() - self.outputs());
        match (self.operands, &self.then) {
            (Some(factors), then) => {
                let factors = factors.map(|at| inputs[at]);
                let operands = Operands { factors, sources: &self.inputs, inputs, outputs };
                self.unfit_of(operands, then.as_ref(), threads)
            }
            (None, Some(then)) => match self.computed(operands) {
                Some(left) => self.unfit_computed(&left, then, [inputs, outputs], threads),
                None => Some(Unfit::Operands),
            },
            (None, None) => Some(Unfit::NoCode),
        }
    }

    /// The same of a product of parameters.
    fn unfit_of(
        &self,
        operands: Operands<'_>,
        then: Option<&Then<Code>>,
        threads: Option<usize>,
    ) -> Option<Unfit> {
        let Operands { factors: [left, right], sources, inputs, outputs } = operands;
        match Product::new(&left.shape, &right.shape) {
            Ok(product) if product.is_small() => return Some(Unfit::Small),
            _ => {}
        }
        let Some((product, dtype)) = operands.product() else { return Some(Unfit::Operands) };
        let code = match &self.rest {
            Rest::Elements(_) => {
                let fits = outputs.iter().all(|output| output.shape == product.shape);
                return (!fits).then_some(Unfit::Operands);
            }
            Rest::Rows(code) => code,
        };
        if !product.has_rows() || product.shape.contains(&0) {
            return Some(Unfit::Operands);
        }
        let chained = then.map(|then| Chained::new(&product, dtype, then, inputs, outputs));
        let mut placed = Place::of_sources(sources, &product, inputs);
        let more = match &chained {
            Some(None) => return Some(Unfit::Operands),
            Some(Some(chained)) => {
                placed.push(Place::Product);
                placed.extend((self.rest.outputs() > 1).then_some(Place::Verdict));
                chained.nanoseconds()
            }
            None => {
                placed.extend(Place::of_outputs(&product, outputs));
                0.0
            }
        };
        let nanoseconds = code.nanoseconds() + more;
        if !PanelCode::new(code, &product, dtype, placed).can_run(chained.is_some()) {
            return Some(Unfit::Operands);
        }
        let is_masked = self.mask.is_some() && chained.is_some();
        let Some(most) = product.most_rows(dtype.size(), is_masked) else {
            let bytes = product.shape[product.shape.len() - 1].saturating_mul(dtype.size());
            return Some(Unfit::LongRows { bytes });
        };
        let count = product.threads(dtype.size(), nanoseconds, threads).count;
        product.grid_of_rows(count, most).is_none().then_some(Unfit::FewRows)
    }

    /// The same of the product of a left operand of this shape that is computed.
    fn unfit_computed(
        &self,
        left: &[usize],
        then: &Then<Code>,
        [inputs, outputs]: [&[&Layout]; 2],
        threads: Option<usize>,
    ) -> Option<Unfit> {
        let dtype = then.left;
        let right = inputs[then.right];
        let is_small = Product::new(left, &right.shape).is_ok_and(|product| product.is_small());
        let [.., m, k] = left[..] else { return Some(Unfit::Operands) };
        if prologue::is_whole(left, dtype) {
            return self.unfit_whole(left, then, [inputs, outputs], is_small);
        }
        let bytes = k.saturating_mul(dtype.size());
        if prologue::rows_at_once(m, bytes).is_none() {
            return Some(Unfit::LongRows { bytes });
        }
        if is_small {
            return Some(Unfit::Small);
        }
        let Some(rows) = Product::with_result(left.into()) else { return Some(Unfit::Operands) };
        let Some(chained) = Chained::new(&rows, dtype, then, inputs, outputs) else {
            return Some(Unfit::Operands);
        };
        let nanoseconds = match &self.rest {
            Rest::Elements(code) => code.nanoseconds(),
            Rest::Rows(code) => {
                let mut placed = Place::of_sources(&self.inputs, &rows, inputs);
                placed.push(Place::Product);
                if !PanelCode::new(code, &rows, dtype, placed).can_run(true) {
                    return Some(Unfit::Operands);
                }
                code.nanoseconds()
            }
        };
        let nanoseconds = nanoseconds + chained.nanoseconds();
        prologue::cut(&rows, dtype, nanoseconds, threads).is_none().then_some(Unfit::FewRows)
    }

    /// The same where the left operand is computed as a whole.
    fn unfit_whole(
        &self,
        left: &[usize],
        then: &Then<Code>,
        [inputs, outputs]: [&[&Layout]; 2],
        is_small: bool,
    ) -> Option<Unfit> {
        if then.tail.is_some() && is_small {
            return Some(Unfit::Small);
        }
        let left = Layout::row_major(std::ptr::null_mut(), then.left, left);
        if let Rest::Rows(code) = &self.rest {
            let mut read: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
            self.inputs.iter().for_each(|source| {
                read.extend(match source {
                    Source::Product => None,
                    Source::Parameter(at) => Some(inputs[*at]),
                });
            });
            read.push(&left);
            if !code.can_run(&read) {
                return Some(Unfit::Operands);
            }
        }
        let Some(Tail { inputs: sources, .. }) = &then.tail else { return None };
        let factors = [&left, inputs[then.right]];
        let product = Operands { factors, sources, inputs, outputs }.product();
        let fits = product
            .is_some_and(|(product, _)| outputs.iter().all(|output| output.shape == product.shape));
        (!fits).then_some(Unfit::Operands)
    }
}
