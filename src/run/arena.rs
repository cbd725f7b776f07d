//! Memory of intermediates: buffers that steps reuse, within a call and from call to call.

use super::view::Layout;
use crate::error::RunError;
use kiln_ir::DType;
use smallvec::SmallVec;

/// Free buffers.
#[derive(Debug, Default)]
pub(super) struct Arena {
    free: Vec<Vec<u64>>,
}

/// Memory for one intermediate array, row-major.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Owns the memory; read and written through `layout` only. Initialised; a bool in it is 0, or
    /// what the step that filled it wrote, 0 or 1.
    words: Vec<u64>,
    pub(super) layout: Layout,
}

impl Arena {
    /// A buffer for an array: the smallest free one that is large enough, or a new one.
    pub(super) fn take(&mut self, dtype: DType, shape: &[usize]) -> Result<Buffer, RunError> {
        let mut strides = SmallVec::from_elem(0, shape.len());
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
        let layout =
            Layout { base: words.as_mut_ptr().cast(), dtype, shape: shape.into(), strides };
        Ok(Buffer { words, layout })
    }

    /// Takes buffers back.
    pub(super) fn give_all(&mut self, buffers: &mut [Option<Buffer>]) {
        let words = buffers.iter_mut().filter_map(Option::take).map(|buffer| buffer.words);
        self.free.extend(words);
    }
}
