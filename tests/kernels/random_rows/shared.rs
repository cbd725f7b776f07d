//! Inputs that share memory.

use super::{Order, array};
use common::Rng;
use common::windows::{self, Window};
use kiln::{DType, Tensor, View};
use ndarray::ArrayD;

/// Memory that inputs share, and where each of them lies.
pub(crate) struct Shared {
    memory: Tensor,
    pub(super) windows: Vec<Window>,
}

impl Shared {
    pub(super) fn draw(
        rng: &mut Rng,
        dtype: DType,
        shapes: &[Vec<usize>],
        special: usize,
    ) -> Shared {
        let (len, windows) = windows::cut(rng, shapes);
        Shared { memory: array(rng, dtype, &[len], Order::Rows, special), windows }
    }

    /// The elements of each input by themselves.
    pub(super) fn apart(&self) -> Vec<Tensor> {
        fn pick<T: Copy>(memory: &ArrayD<T>, window: &Window) -> ArrayD<T> {
            let elements = window.places().into_iter().map(|place| memory[place]).collect();
            ArrayD::from_shape_vec(&window.shape[..], elements).unwrap()
        }
        let of = |window| match &self.memory {
            Tensor::F32(memory) => Tensor::F32(pick(memory, window)),
            Tensor::F64(memory) => Tensor::F64(pick(memory, window)),
            _ => unreachable!("inputs are floats"),
        };
        self.windows.iter().map(of).collect()
    }

    pub(super) fn views(&self) -> Vec<View<'_>> {
        let (dtype, base) = match &self.memory {
            Tensor::F32(memory) => (DType::F32, memory.as_ptr().cast::<u8>()),
            Tensor::F64(memory) => (DType::F64, memory.as_ptr().cast()),
            _ => unreachable!("inputs are floats"),
        };
        let bytes = dtype.size() as isize;
        let view = |Window { shape, first, steps }: &Window| {
            // A step that is never taken may be of any number of bytes.
            let of_bytes = |(&size, &step): (&usize, &isize)| step * bytes + isize::from(size == 1);
            let strides: Vec<isize> = shape.iter().zip(steps).map(of_bytes).collect();
            // SAFETY: the memory is as long as its windows reach, and is borrowed.
            unsafe {
                View::from_raw(base.wrapping_add(first * dtype.size()), dtype, shape, &strides)
            }
        };
        self.windows.iter().map(view).collect()
    }
}
