//! Arrays of the reference interpreter.

use crate::dtype::DType;
use crate::number::Scalar;
use crate::shape::MAX_RANK;

/// The most elements that an array of the interpreter may have: 1 GiB of `f64`.
const MAX_ELEMENTS: usize = 1 << 27;

/// An array of the reference interpreter.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Data,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    /// Floats and bools.
    Floats(Vec<f64>),
    Integers(Vec<i64>),
}

impl Data {
    /// Collects values that already have the type.
    pub(crate) fn collect(dtype: DType, values: impl Iterator<Item = Scalar>) -> Data {
        let integer = |value| match value {
            Scalar::Integer(value) => value,
            Scalar::Float(_) => panic!("an op on integers gave a float"),
        };
        match dtype.is_integer() {
            true => Data::Integers(values.map(integer).collect()),
            false => Data::Floats(values.map(Scalar::to_f64).collect()),
        }
    }

    pub(crate) fn at(&self, index: usize) -> Scalar {
        match self {
            Data::Floats(data) => Scalar::Float(data[index]),
            Data::Integers(data) => Scalar::Integer(data[index]),
        }
    }
}

impl Array {
    /// An array of `data` in row-major order, each an `f64` or an `i64`, converted to `dtype`.
    pub fn new<T: Into<Scalar>>(
        dtype: DType,
        shape: Vec<usize>,
        data: Vec<T>,
    ) -> Result<Array, EvalError> {
        let _env = kiln_fenv::hold_default();
        if shape.len() > MAX_RANK {
            return Err(EvalError::Rank { rank: shape.len() });
        }
        if element_count(&shape)? != data.len() {
            return Err(EvalError::Length { shape, length: data.len() });
        }
        let data = Data::collect(dtype, data.into_iter().map(|value| value.into().cast(dtype)));
        Ok(Array { dtype, shape, data })
    }

    /// A single number.
    pub fn scalar(dtype: DType, value: impl Into<Scalar>) -> Array {
        let _env = kiln_fenv::hold_default();
        let data = Data::collect(dtype, std::iter::once(value.into().cast(dtype)));
        Array { dtype, shape: Vec::new(), data }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The size of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements in row-major order; a bool is 1 or 0.
    ///
    /// # Panics
    ///
    /// If the elements are integers; see [`integers`](Array::integers).
    pub fn data(&self) -> &[f64] {
        match &self.data {
            Data::Floats(data) => data,
            Data::Integers(_) => panic!("an array of {} has no floats", self.dtype),
        }
    }

    /// The elements in row-major order.
    ///
    /// # Panics
    ///
    /// If the elements are not integers; see [`data`](Array::data).
    pub fn integers(&self) -> &[i64] {
        match &self.data {
            Data::Integers(data) => data,
            Data::Floats(_) => panic!("an array of {} has no integers", self.dtype),
        }
    }
}

/// Arrays that a graph cannot be evaluated with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The number of elements is not the product of the shape.
    #[error("the shape {shape:?} does not have {length} elements")]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// The number of elements.
        length: usize,
    },
    /// Too many elements.
    #[error("an array of shape {shape:?} is too large for the reference interpreter")]
    TooLarge {
        /// The shape.
        shape: Vec<usize>,
    },
    /// More axes than an array may have.
    #[error("an array of {rank} axes has over {MAX_RANK}")]
    Rank {
        /// The number of axes.
        rank: usize,
    },
    /// The wrong number of inputs.
    #[error(
        "the kernel takes {} input{} ({}), found {found}",
        .inputs.len(), if .inputs.len() == 1 { "" } else { "s" }, .inputs.join(", ")
    )]
    InputCount {
        /// The kernel's, as declared.
        inputs: Vec<String>,
        /// How many were given.
        found: usize,
    },
    /// An input of the wrong element type.
    #[error("input {name} is {found}, the kernel takes {expected}")]
    InputDType {
        /// Its name.
        name: String,
        /// The kernel's type.
        expected: DType,
        /// The type given.
        found: DType,
    },
    /// An input of another shape than was declared.
    #[error("input {input} got shape {found:?}: {reason}")]
    InputShape {
        /// As declared.
        input: String,
        /// The shape given.
        found: Vec<usize>,
        /// What does not fit.
        reason: String,
    },
    /// Shapes that do not broadcast.
    #[error(
        "{op}: shapes {left:?} and {right:?} do not broadcast: axis -{axis} is {} on the left and {} \
         on the right; sizes must be equal, or one of them 1", .sizes[0], .sizes[1]
    )]
    Broadcast {
        /// The op's name.
        op: &'static str,
        /// Shape of the left operand.
        left: Vec<usize>,
        /// Shape of the right operand.
        right: Vec<usize>,
        /// The axis that differs, counted from the last, which is 1.
        axis: usize,
        /// Its sizes.
        sizes: [usize; 2],
    },
    /// Operands of a call that do not fit.
    #[error("{}", crate::misfit(.call, .operands.iter().map(|shape| format!("{shape:?}")), .reason))]
    Call {
        /// Its name.
        call: &'static str,
        /// The operands' shapes.
        operands: Vec<Vec<usize>>,
        /// What does not fit, and a hint.
        reason: String,
    },
}

pub(crate) fn element_count(shape: &[usize]) -> Result<usize, EvalError> {
    let too_large = || EvalError::TooLarge { shape: shape.to_vec() };
    if shape.contains(&0) {
        return Ok(0);
    }
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    count.filter(|&count| count <= MAX_ELEMENTS).ok_or_else(too_large)
}

/// Walks an array of shape `to`, and gives for each element its index in an array of shape `from` that
/// is broadcast to it.
pub(crate) struct Walk {
    to: Vec<usize>,
    /// How far apart neighbours along each axis of `to` lie in `from`; 0 where it repeats.
    strides: Vec<usize>,
    at: Vec<usize>,
    index: usize,
    left: usize,
}

impl Walk {
    /// `from` broadcasts to `to`, whose elements have been counted.
    pub(crate) fn new(from: &[usize], to: &[usize]) -> Walk {
        let mut strides = vec![0; to.len()];
        let mut stride = 1;
        for (axis, &size) in from.iter().enumerate().rev() {
            if size != 1 {
                strides[axis + to.len() - from.len()] = stride;
            }
            stride *= size;
        }
        let left = to.iter().product();
        Walk { to: to.to_vec(), strides, at: vec![0; to.len()], index: 0, left }
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let index = self.index;
        for axis in (0..self.to.len()).rev() {
            self.at[axis] += 1;
            self.index += self.strides[axis];
            if self.at[axis] < self.to[axis] {
                break;
            }
            self.at[axis] = 0;
            self.index -= self.strides[axis] * self.to[axis];
        }
        Some(index)
    }
}
