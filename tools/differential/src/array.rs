//! Arrays of any type as the bits of their elements, and the memory layouts that a call may have.

use crate::rng::Rng;
use half::{bf16, f16};
use kiln::ir::Scalar;
use kiln::{DType, Tensor, View};

/// An array in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Elements {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    /// Each element as it lies in memory.
    pub(crate) bits: Vec<u64>,
}

impl Elements {
    pub(crate) fn of_tensor(tensor: &Tensor) -> Elements {
        let bits = match tensor {
            Tensor::F16(a) => a.iter().map(|v| v.to_bits().into()).collect(),
            Tensor::BF16(a) => a.iter().map(|v| v.to_bits().into()).collect(),
            Tensor::F32(a) => a.iter().map(|v| v.to_bits().into()).collect(),
            Tensor::F64(a) => a.iter().map(|v| v.to_bits()).collect(),
            Tensor::Bool(a) => a.iter().map(|v| u64::from(*v)).collect(),
            Tensor::U8(a) => a.iter().map(|v| u64::from(*v)).collect(),
            Tensor::I32(a) => a.iter().map(|v| u64::from(*v as u32)).collect(),
            Tensor::I64(a) => a.iter().map(|v| *v as u64).collect(),
        };
        Elements { dtype: tensor.dtype(), shape: tensor.shape().to_vec(), bits }
    }

    pub(crate) fn value(&self, index: usize) -> Scalar {
        // What no output reads may be of another shape, or empty.
        value_of(self.dtype, self.bits.get(index).copied().unwrap_or(0))
    }

    /// The element that takes part in element `index` of a result of shape `shape`.
    pub(crate) fn index_in(&self, shape: &[usize], index: usize) -> usize {
        let (mut rest, mut at, mut stride) = (index, 0, 1);
        let sizes = self.shape.iter().rev().map(Some).chain(std::iter::repeat(None));
        for (&whole, own) in shape.iter().rev().zip(sizes) {
            let along = rest % whole.max(1);
            rest /= whole.max(1);
            if let Some(&own) = own {
                at += if own == 1 { 0 } else { along * stride };
                stride *= own;
            }
        }
        at
    }
}

/// The number that these bits are.
pub(crate) fn value_of(dtype: DType, bits: u64) -> Scalar {
    match dtype {
        DType::F16 => Scalar::Float(f16::from_bits(bits as u16).to_f64()),
        DType::BF16 => Scalar::Float(bf16::from_bits(bits as u16).to_f64()),
        DType::F32 => Scalar::Float(f32::from_bits(bits as u32).into()),
        DType::F64 => Scalar::Float(f64::from_bits(bits)),
        DType::Bool => Scalar::Float(f64::from(bits != 0)),
        DType::U8 => Scalar::Integer(i64::from(bits as u8)),
        DType::I32 => Scalar::Integer(i64::from(bits as u32 as i32)),
        DType::I64 => Scalar::Integer(bits as i64),
    }
}

/// The bits of a number, converted to `dtype`.
pub(crate) fn bits_of(dtype: DType, value: Scalar) -> u64 {
    match (dtype, value.cast(dtype)) {
        (DType::F16, Scalar::Float(v)) => f16::from_f64(v).to_bits().into(),
        (DType::BF16, Scalar::Float(v)) => bf16::from_f64(v).to_bits().into(),
        (DType::F32, Scalar::Float(v)) => (v as f32).to_bits().into(),
        (DType::F64, Scalar::Float(v)) => v.to_bits(),
        (DType::I32, Scalar::Integer(v)) => (v as i32 as u32).into(),
        (_, Scalar::Integer(v)) => v as u64,
        (_, Scalar::Float(v)) => u64::from(v != 0.0),
    }
}

/// Whether two elements differ, any two NaN counting as one.
pub(crate) fn differ(dtype: DType, a: u64, b: u64) -> bool {
    let is_nan = |bits| matches!(value_of(dtype, bits), Scalar::Float(v) if v.is_nan());
    a != b && !(is_nan(a) && is_nan(b))
}

/// How an array lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Row after row.
    Contiguous,
    /// Every axis backwards.
    Reversed,
    /// Column after column.
    Transposed,
    /// Elements this far apart, at an address off by this many bytes: a field of packed records.
    Records { gap: usize, offset: usize },
}

impl Layout {
    pub(crate) fn draw(rng: &mut Rng) -> Layout {
        match rng.below(5) {
            0 => Layout::Reversed,
            1 => Layout::Transposed,
            2 | 3 => Layout::Records { gap: rng.below(8), offset: rng.below(8) },
            _ => Layout::Contiguous,
        }
    }
}

/// An array laid out, for as long as its views live.
pub(crate) struct Placed {
    memory: Vec<u8>,
    base: usize,
    dtype: DType,
    shape: Vec<usize>,
    strides: Vec<isize>,
}

impl Placed {
    pub(crate) fn new(elements: &Elements, layout: Layout) -> Placed {
        let Elements { dtype, shape, bits } = elements;
        let size = dtype.size();
        let (step, offset) = match layout {
            Layout::Records { gap, offset } => (size + gap, offset),
            _ => (size, 0),
        };
        // A vector loads beyond no array.
        let count = bits.len();
        let mut memory = vec![0xa5u8; count * step + offset];
        let mut strides = vec![0isize; shape.len()];
        let mut along = step as isize;
        let mut axes: Vec<usize> = (0..shape.len()).rev().collect();
        if layout == Layout::Transposed {
            axes.reverse();
        }
        for axis in axes {
            strides[axis] = along;
            along *= shape[axis] as isize;
        }
        let mut base = offset as isize;
        if layout == Layout::Reversed {
            for (stride, &extent) in strides.iter_mut().zip(shape) {
                base += *stride * (extent.max(1) as isize - 1);
                *stride = -*stride;
            }
        }
        for (index, bits) in bits.iter().enumerate() {
            let (mut rest, mut at) = (index, base);
            for (&extent, stride) in shape.iter().zip(&strides).rev() {
                at += (rest % extent) as isize * stride;
                rest /= extent;
            }
            let at = at as usize;
            memory[at..at + size].copy_from_slice(&bits.to_le_bytes()[..size]);
        }
        Placed { memory, base: base as usize, dtype: *dtype, shape: shape.clone(), strides }
    }

    pub(crate) fn view(&self) -> View<'_> {
        let base = self.memory[self.base.min(self.memory.len())..].as_ptr();
        // SAFETY: `new` wrote every element that shape and strides reach, inside `memory`, which
        // the view borrows; a bool is 0 or 1.
        unsafe { View::from_raw(base, self.dtype, &self.shape, &self.strides) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Elements, Layout, Placed};
    use crate::rng::Rng;
    use kiln::{CompileOptions, DType, EmitterKind, compile_with};

    /// What the interpreter reads through a view is what was laid out.
    #[test]
    fn layouts_hold_the_same_elements() {
        let mut rng = Rng::new(3);
        for dtype in [DType::U8, DType::F16, DType::I32, DType::F64] {
            let bits = (0..6).collect();
            let elements = Elements { dtype, shape: vec![2, 3], bits };
            let graph = kiln::ir::parse(&format!("kernel f(x: {dtype}) {{ x }}")).unwrap();
            let options = CompileOptions::new().emitter(EmitterKind::Interp);
            let kernel = compile_with(&graph, options).unwrap();
            for _ in 0..40 {
                let layout = Layout::draw(&mut rng);
                let placed = Placed::new(&elements, layout);
                let copy = kernel.run(&[placed.view()]).unwrap();
                assert_eq!(Elements::of_tensor(&copy[0]), elements, "{layout:?}");
            }
        }
    }
}
