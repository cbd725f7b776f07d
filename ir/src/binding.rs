//! Sizes of a call, bound to the named axes of inputs.

use crate::graph::Input;
use crate::shape::Dim;
use smallvec::SmallVec;

/// The sizes of named axes, as the inputs so far have bound them.
#[derive(Debug, Default)]
pub struct Binding<'g> {
    /// The name of each axis, its size, and the input that bound it.
    sizes: SmallVec<[(&'g str, usize, &'g str); 8]>,
}

/// Why the shape of an array does not fit its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError<'g> {
    /// It has another number of axes.
    #[error("it must have {expected} {}; reshape it", if *.expected == 1 { "axis" } else { "axes" })]
    Rank {
        /// The input's.
        expected: usize,
    },
    /// An axis has another size than is declared.
    #[error("axis {axis} must be {expected}")]
    Size {
        /// Which.
        axis: usize,
        /// The size declared.
        expected: usize,
    },
    /// A named axis has another size than where its name first appears.
    #[error("axis {axis}, {symbol}, is {bound} in input {by}")]
    Symbol {
        /// Which.
        axis: usize,
        /// Its name.
        symbol: &'g str,
        /// The size there.
        bound: usize,
        /// The input that has it.
        by: &'g str,
        /// The size here.
        found: usize,
    },
}

impl<'g> Binding<'g> {
    /// Binds the axes of an input to the shape of its array.
    #[inline]
    pub fn bind(&mut self, input: &'g Input, shape: &[usize]) -> Result<(), BindError<'g>> {
        let Some(dims) = &input.dims else { return Ok(()) };
        if dims.len() != shape.len() {
            return Err(BindError::Rank { expected: dims.len() });
        }
        for (axis, (dim, &found)) in dims.iter().zip(shape).enumerate() {
            match dim {
                Dim::Size(expected) if *expected != found => {
                    return Err(BindError::Size { axis, expected: *expected });
                }
                Dim::Size(_) => {}
                Dim::Symbol(symbol) => {
                    let known = self.sizes.iter().find(|(name, ..)| *name == &**symbol);
                    let Some(&(_, bound, by)) = known else {
                        self.sizes.push((symbol, found, &input.name));
                        continue;
                    };
                    if bound != found {
                        return Err(BindError::Symbol { axis, symbol, bound, by, found });
                    }
                }
            }
        }
        Ok(())
    }
}
