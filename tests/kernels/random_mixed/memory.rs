//! Arrays that lie in memory in every way.

use common::Rng;
use common::windows::{self, Window};
use half::{bf16, f16};
use kiln::{DType, View, ViewMut};
use std::sync::Arc;

/// An array's elements, in rows.
pub(crate) struct Elements {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
    /// Whether those of axis 0 are all the same.
    pub(crate) repeats: bool,
    /// Memory of several arrays that has them too, and where.
    pub(crate) shared: Option<(Arc<Vec<u64>>, Window)>,
}

impl Elements {
    pub(crate) fn draw(rng: &mut Rng, dtype: DType, shape: &[usize], special: usize) -> Elements {
        let repeats = !shape.is_empty() && rng.below(5) == 0;
        let count: usize = shape.iter().product();
        let distinct = if repeats { shape[1..].iter().product() } else { count };
        let scale = rng.pick(&[0.1, 1.0, 1.0, 4.0, 50.0]);
        let mut row = Vec::new();
        for _ in 0..distinct {
            let value = match special > 0 && rng.below(special) == 0 {
                true => rng.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1e30]),
                false => (rng.below(1 << 20) as f64 / (1 << 19) as f64 - 1.0) * scale,
            };
            match dtype {
                DType::F16 => row.extend(f16::from_f64(value).to_le_bytes()),
                DType::BF16 => row.extend(bf16::from_f64(value).to_le_bytes()),
                DType::F32 => row.extend((value as f32).to_le_bytes()),
                DType::F64 => row.extend(value.to_le_bytes()),
                DType::U8 => row.push(value.abs() as u8),
                DType::I32 => row.extend((value as i32).to_le_bytes()),
                DType::I64 => row.extend((value as i64).to_le_bytes()),
                DType::Bool => row.push(u8::from(value > 0.0)),
            }
        }
        let bytes = if repeats { row.repeat(shape[0]) } else { row };
        Elements { dtype, shape: shape.to_vec(), bytes, repeats, shared: None }
    }

    /// Arrays that are windows of one memory.
    pub(crate) fn windows(
        rng: &mut Rng,
        dtype: DType,
        shapes: &[Vec<usize>],
        special: usize,
    ) -> Vec<Elements> {
        let (len, windows) = windows::cut(rng, shapes);
        let memory = Memory::of(&Elements::draw(rng, dtype, &[len], special), Order::Rows).words;
        let of = |window: Window| {
            let shape = window.shape.clone();
            let shared = Some((Arc::clone(&memory), window));
            let mut elements = Elements { dtype, shape, bytes: vec![], repeats: false, shared };
            let lies = Memory::of(&elements, Order::Shared);
            let count = elements.shape.iter().product();
            elements.bytes = (0..count).flat_map(|at| lies.element(at).to_vec()).collect();
            elements
        };
        windows.into_iter().map(of).collect()
    }
}

/// How an array lies in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    Rows,
    Columns,
    Backwards,
    Apart,
    Misaligned,
    /// A byte of something else after each element, as in records.
    Records,
    Repeated,
    /// In memory that others have too, if it is in some.
    Shared,
}

pub(crate) const ORDERS: [Order; 7] = [
    Order::Rows,
    Order::Columns,
    Order::Backwards,
    Order::Apart,
    Order::Misaligned,
    Order::Records,
    Order::Repeated,
];

/// Memory of an array.
pub(crate) struct Memory {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    /// Of 8 bytes each, so that it is aligned.
    words: Arc<Vec<u64>>,
    base: usize,
    strides: Vec<isize>,
}

impl Memory {
    pub(crate) fn new(dtype: DType, shape: &[usize], order: Order) -> Memory {
        let size = dtype.size();
        let mut strides = vec![0; shape.len()];
        let mut step = match order {
            Order::Apart => 3 * size as isize,
            Order::Records => size as isize + 1,
            _ => size as isize,
        };
        let axes: Vec<usize> = match order {
            Order::Columns => (0..shape.len()).collect(),
            _ => (0..shape.len()).rev().collect(),
        };
        for axis in axes {
            strides[axis] = step;
            step *= shape[axis].max(1) as isize;
        }
        let mut base = usize::from(order == Order::Misaligned);
        if order == Order::Backwards && !shape.contains(&0) {
            for (stride, &size) in strides.iter_mut().zip(shape) {
                base += (size - 1) * *stride as usize;
                *stride = -*stride;
            }
        }
        if order == Order::Repeated {
            strides[0] = 0;
        }
        let words = Arc::new(vec![0; step as usize / 8 + 2]);
        Memory { dtype, shape: shape.to_vec(), words, base, strides }
    }

    pub(crate) fn of(elements: &Elements, order: Order) -> Memory {
        if let (Order::Shared, Some((words, window))) = (order, &elements.shared) {
            let size = elements.dtype.size();
            let (dtype, shape, words) = (elements.dtype, elements.shape.clone(), Arc::clone(words));
            let strides = window.steps.iter().map(|step| step * size as isize).collect();
            return Memory { dtype, shape, words, base: window.first * size, strides };
        }
        let order = match order {
            Order::Repeated if !elements.repeats => Order::Rows,
            order => order,
        };
        let mut memory = Memory::new(elements.dtype, &elements.shape, order);
        let size = elements.dtype.size();
        for (at, element) in elements.bytes.chunks_exact(size).enumerate() {
            let place = memory.place(at);
            memory.bytes()[place..place + size].copy_from_slice(element);
        }
        memory
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let words = Arc::get_mut(&mut self.words).expect("memory of its own");
        let len = words.len() * 8;
        // SAFETY: bytes of words that are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), len) }
    }

    /// The bytes of an element, counted in rows.
    fn element(&self, at: usize) -> &[u8] {
        let base = self.words.as_ptr().cast::<u8>().wrapping_add(self.place(at));
        // SAFETY: all elements are in the memory, which is borrowed.
        unsafe { std::slice::from_raw_parts(base, self.dtype.size()) }
    }

    /// The byte where an element begins, counted in rows.
    fn place(&self, mut at: usize) -> usize {
        let mut place = self.base as isize;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            place += (at % size) as isize * stride;
            at /= size;
        }
        place as usize
    }

    pub(crate) fn view(&self) -> View<'_> {
        let base = self.words.as_ptr().cast::<u8>().wrapping_add(self.base);
        // SAFETY: `new` made room for all elements; nothing writes them while they are borrowed.
        unsafe { View::from_raw(base, self.dtype, &self.shape, &self.strides) }
    }

    pub(crate) fn view_mut(&mut self) -> ViewMut<'_> {
        let base = self.bytes().as_mut_ptr().wrapping_add(self.base);
        // SAFETY: as above, and they are borrowed mutably.
        unsafe { ViewMut::from_raw(base, self.dtype, &self.shape, &self.strides) }
    }

    /// Bits of every element in rows, any NaN as one NaN.
    pub(crate) fn bits(&mut self) -> Vec<u64> {
        let (count, size, dtype) = (self.shape.iter().product(), self.dtype.size(), self.dtype);
        let places: Vec<usize> = (0..count).map(|at| self.place(at)).collect();
        let bytes = self.bytes();
        let bits = |&place: &usize| {
            let mut word = [0; 8];
            word[..size].copy_from_slice(&bytes[place..place + size]);
            let bits = u64::from_le_bytes(word);
            let is_nan = match dtype {
                DType::F16 => f16::from_bits(bits as u16).is_nan(),
                DType::BF16 => bf16::from_bits(bits as u16).is_nan(),
                DType::F32 => f32::from_bits(bits as u32).is_nan(),
                DType::F64 => f64::from_bits(bits).is_nan(),
                _ => false,
            };
            if is_nan { u64::MAX } else { bits }
        };
        places.iter().map(bits).collect()
    }
}
