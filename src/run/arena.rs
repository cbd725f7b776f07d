//! Memory of intermediates: buffers that steps reuse, within a call and from call to call.

use super::view::{View, ViewMut};
use crate::error::RunError;
use kiln_ir::DType;

/// Free buffers.
#[derive(Debug, Default)]
pub(super) struct Arena {
    free: Vec<Vec<u64>>,
}

/// Memory for one intermediate array, row-major.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Owns the memory; read and written through `base` only.
    words: Vec<u64>,
    base: *mut u8,
    dtype: DType,
    shape: Vec<usize>,
    /// In bytes.
    strides: Vec<isize>,
}

impl Arena {
    /// A buffer for an array: the smallest free one that is large enough, or a new one.
    pub(super) fn take(&mut self, dtype: DType, shape: &[usize]) -> Result<Buffer, RunError> {
        let mut strides = vec![0; shape.len()];
        let mut bytes = dtype.size();
        for (stride, &size) in strides.iter_mut().zip(shape).rev() {
            *stride = bytes as isize;
            bytes = bytes
                .checked_mul(size.max(1))
                .filter(|bytes| isize::try_from(*bytes).is_ok())
                .ok_or_else(|| RunError::TooLarge { shape: shape.to_vec(), dtype })?;
        }
        let count = bytes.div_ceil(8);
        let fitting = self.free.iter().enumerate().filter(|(_, words)| words.len() >= count);
        let best = fitting.min_by_key(|(_, words)| words.len()).map(|(index, _)| index);
        let mut words = match best {
            Some(index) => self.free.swap_remove(index),
            None => {
                let mut words = Vec::new();
                words.try_reserve_exact(count).map_err(|_| RunError::OutOfMemory {
                    bytes,
                    shape: shape.to_vec(),
                    dtype,
                })?;
                words.resize(count, 0);
                words
            }
        };
        let base = words.as_mut_ptr().cast();
        Ok(Buffer { words, base, dtype, shape: shape.to_vec(), strides })
    }

    /// Takes a buffer back.
    pub(super) fn give(&mut self, buffer: Buffer) {
        self.free.push(buffer.words);
    }
}

impl Buffer {
    /// Its elements, read.
    pub(super) fn view(&self) -> View<'_> {
        // SAFETY: the buffer holds an array of this type and shape, initialised; a bool in it is
        // 0, or what the step that filled it wrote, 0 or 1.
        unsafe { View::from_raw(self.base, self.dtype, &self.shape, &self.strides) }
    }

    /// Its elements, written.
    ///
    /// # Safety
    ///
    /// No other view of the buffer may be used while this one is.
    pub(super) unsafe fn view_mut(&self) -> ViewMut<'_> {
        // SAFETY: as in `view`; the caller vouches that it is the only one.
        unsafe { ViewMut::from_raw(self.base, self.dtype, &self.shape, &self.strides) }
    }
}
