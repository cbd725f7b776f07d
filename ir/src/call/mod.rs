//! Calls: the operations that are not elementwise. Each is a row here and a file.
//!
//! The file has the call's [`CallInfo`] (`info`) and functions of its operands: `infer` gives the shape of the
//! result, `check` finds faults before ranks are known, `eval` is the reference, and `terms` the cost.
//! Kernels run it in a branch of their own. No other stage needs to know which call a node is.

mod concat;
mod gather;
mod iota;
mod matmul;
mod pad;
mod reduce;
mod scan;
mod shapes;
mod view;
mod within;

pub use concat::Concat;
pub use gather::{Gather, index_at};
pub use iota::Iota;
pub use pad::Pad;
pub use reduce::{Axes, IntoAxes, Reduce, Reduction};
pub use scan::{Running, Scan};
pub use shapes::CallShapes;
pub(crate) use shapes::absorbed;
pub(crate) use view::small_axis;
pub use view::{IntoSizes, Permutation, Sizes, Slice, View, ViewAxis};
pub use within::Within;

use crate::array::Array;
use crate::shape::{Dim, Dims, Extent, Shape};
use crate::typing::Typing;
use std::ops::RangeInclusive;

/// A row of the table of calls.
#[derive(Clone, Copy, Debug)]
pub struct CallInfo {
    /// Its name in text, as a function.
    pub name: &'static str,
    /// What messages call it, with its article.
    pub noun: &'static str,
    /// Its number of operands, where it is not of any number.
    pub arity: usize,
    /// The types that it takes, and the one that it gives.
    pub typing: Typing,
    /// How else it is written, or what it means.
    pub doc: &'static str,
}

/// Makes the enum and its dispatch from rows: a variant, its attributes if it has any, and its file.
macro_rules! define_calls {
    ($($(#[$doc:meta])* $variant:ident $(($attributes:ident: $type:ty))? = $file:ident;)*) => {
        /// An operation that is not elementwise. Passes copy it and know nothing else about it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Call {
            $($(#[$doc])* $variant $(($type))?,)*
        }

        impl Call {
            /// Its row.
            pub fn info(self) -> &'static CallInfo {
                match self {
                    $(Call::$variant $(($attributes))? => $file::info($($attributes)?),)*
                }
            }

            /// The calls that are functions in text.
            pub fn all() -> impl Iterator<Item = Call> {
                [$($file::ALL),*].into_iter().flatten().copied()
            }

            /// The call that is a function of this name in text.
            pub fn from_name(name: &str) -> Option<Call> {
                Call::all().find(|call| call.info().name == name)
            }

            /// The shape of the result for operands of these shapes, as many as its arity, symbolic
            /// or actual; an error says why they do not fit.
            #[inline]
            pub fn infer<E: Extent>(self, operands: &[&[E]]) -> Result<Dims<E>, String> {
                match self {
                    $(Call::$variant $(($attributes))? => {
                        $file::infer($($attributes,)? operands)
                    })*
                }
            }

            /// Why operands do not fit, if that is certain even though some ranks are unknown.
            fn check(self, operands: &[&Shape]) -> Result<(), String> {
                match self {
                    $(Call::$variant $(($attributes))? => {
                        $file::check($($attributes,)? operands)
                    })*
                }
            }

            /// The reference, for operands that fit; `shape` is what [`infer`](Call::infer) gave.
            pub(crate) fn eval(self, operands: &[&Array], shape: Vec<usize>) -> Array {
                match self {
                    $(Call::$variant $(($attributes))? => {
                        $file::eval($($attributes,)? operands, shape)
                    })*
                }
            }

            /// Operations for each element of the result, for operands of these shapes, symbolic or
            /// actual: a number, to be multiplied by sizes.
            pub fn terms<E: Extent>(self, operands: &[&[E]]) -> (usize, Dims<E>) {
                match self {
                    $(Call::$variant $(($attributes))? => {
                        $file::terms($($attributes,)? operands)
                    })*
                }
            }
        }
    };
}

impl Call {
    /// As [`infer`](Call::infer) for symbolic shapes; `None` where no symbol says a size of the result.
    pub(crate) fn infer_symbolic(self, operands: &[&[Dim]]) -> Result<Option<Dims<Dim>>, String> {
        match self {
            Call::View(view) => view::infer_symbolic(view, operands[0]),
            Call::Concat(concat) => concat::infer_symbolic(concat, operands),
            Call::Pad(pad) => pad::infer_symbolic(pad, operands),
            _ => self.infer(operands).map(Some),
        }
    }

    /// Whether it moves elements, or counts places, and computes nothing.
    pub fn moves(self) -> bool {
        matches!(
            self,
            Call::View(_)
                | Call::Concat(_)
                | Call::Pad(_)
                | Call::Gather(_)
                | Call::Iota(_)
                | Call::Within(_)
        )
    }

    /// Whether it is a function in text without brackets.
    pub(crate) fn stands_alone(self) -> bool {
        match self {
            Call::Scan(_) => false,
            _ => !self.moves() || self == Call::View(View::Transpose),
        }
    }

    /// What it is if it is a view.
    pub fn view(self) -> Option<View> {
        match self {
            Call::View(view) => Some(view),
            _ => None,
        }
    }

    /// What is written in brackets behind its name; nothing where there are none.
    pub(crate) fn attributes(self) -> String {
        match self {
            Call::Reduce(reduce) => reduce.axes.to_string(),
            Call::View(view) => view.attributes().unwrap_or_default(),
            Call::Concat(Concat { axis })
            | Call::Gather(Gather { axis, .. })
            | Call::Within(Within { axis })
            | Call::Scan(Scan { axis, .. }) => format!("[{axis}]"),
            Call::Pad(pad) => format!("[{pad}]"),
            Call::Iota(iota) => format!("[{iota}]"),
            Call::Matmul => String::new(),
        }
    }

    /// Why elements of its operands do not fit, which have shapes that do.
    pub(crate) fn check_elements(self, operands: &[&Array]) -> Result<(), String> {
        match self {
            Call::Gather(gather) => gather::check_elements(gather, operands),
            Call::Within(within) => within::check_elements(within, operands),
            _ => Ok(()),
        }
    }

    /// Whether this is a place along an axis of this size, for what picks by places or checks them.
    pub fn has_place(self, place: i64, size: usize) -> bool {
        match self {
            Call::Within(_) => Within::is_place(place, size),
            _ => index_at(place, size).is_some(),
        }
    }

    /// Why this is no place along an axis of this size.
    pub fn no_place(self, place: i64, axis: usize, size: usize) -> String {
        let from_end = if matches!(self, Call::Within(_)) { 0 } else { size };
        let hint = match size {
            0 => "it has none".to_string(),
            _ => format!("they go from {} to {}", -(from_end as i64), size - 1),
        };
        format!("{place} is no place along axis {axis}, of size {size}; {hint}")
    }

    /// The axes that it goes along, where it has any to name.
    pub fn axes(self) -> Option<Axes> {
        match self {
            Call::Reduce(reduce) => Some(reduce.axes),
            _ => None,
        }
    }

    /// Whether it may stand in a fused body.
    pub fn fuses(self) -> bool {
        matches!(self, Call::Reduce(_) | Call::Scan(_) | Call::Matmul)
    }

    /// Whether it is a matrix product.
    pub fn multiplies(self) -> bool {
        self == Call::Matmul
    }

    /// Whether it reads its operands' elements, and not their shapes alone.
    pub fn reads(self) -> bool {
        self.read_count(1) > 0
    }

    /// How many of so many operands it reads, the first ones. Of the others it looks at shapes alone.
    pub fn read_count(self, operands: usize) -> usize {
        match self {
            Call::Reduce(reduce) => usize::from(reduce.by.reads()),
            Call::Iota(_) => 0,
            Call::Within(_) => 1,
            _ => operands,
        }
    }

    /// Whether it is no pass over memory: what reads it reads something else as it says.
    pub fn is_free(self) -> bool {
        matches!(self, Call::View(_) | Call::Iota(_) | Call::Within(_))
    }

    /// How many operands it may have.
    pub fn arity(self) -> RangeInclusive<usize> {
        let arity = self.info().arity;
        match self {
            Call::Concat(_) => 1..=usize::MAX,
            Call::Iota(_) | Call::Within(_) => arity..=usize::MAX,
            _ => arity..=arity,
        }
    }

    /// Operations for each element of the result, for operands of these shapes.
    pub fn ops(self, operands: &[&[usize]]) -> usize {
        let (count, sizes) = self.terms(operands);
        sizes.into_iter().fold(count, usize::saturating_mul)
    }
}

define_calls! {
    /// A matrix product, as NumPy's `matmul`.
    Matmul = matmul;
    /// A reduction along axes.
    Reduce(reduce: Reduce) = reduce;
    /// The elements of an array in another order or shape.
    View(view: View) = view;
    /// Arrays put together along an axis.
    Concat(concat: Concat) = concat;
    /// A number before and after each row along an axis.
    Pad(pad: Pad) = pad;
    /// Elements picked by their places along an axis.
    Gather(gather: Gather) = gather;
    /// The places along an axis.
    Iota(iota: Iota) = iota;
    /// Running sums and products along an axis.
    Scan(scan: Scan) = scan;
    /// Integers that must be places along an axis.
    Within(within: Within) = within;
}

#[cfg(test)]
mod tests;
