//! Code on slices: safe, for whatever has no arrays of its own.

use super::code::{Code, Cursor, fence};
use crate::vir::Storage;

/// An input of [`Code::apply`].
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// An array of at least as many elements as are asked for.
    Array(&'a [u8]),
    /// [`Code::copies`] copies of a repeated element.
    Splat(&'a [u8]),
}

impl Code {
    /// Runs on `n` elements of slices, in the default floating-point environment. `outputs` are the
    /// outputs, and then what folds leave.
    ///
    /// # Panics
    ///
    /// Where [`Code::call`] does, or if a slice is too short for `n` elements.
    pub fn apply(&self, n: usize, inputs: &[Operand<'_>], outputs: &mut [&mut [u8]]) {
        let mut cursors = self.cursors(n, inputs, outputs);
        let _env = kiln_fenv::hold_default();
        // SAFETY: every slice was checked to hold what `n` elements need, and the borrows keep
        // inputs unchanged and outputs disjoint from everything. Inputs are read only.
        unsafe { self.call(1, n, &mut cursors) }
    }

    /// [`apply`](Code::apply) so many times, past the caches as
    /// [`call_streaming`](Code::call_streaming) if it `streams`. What is looked at once for all costs no
    /// time in between: for measurements.
    ///
    /// # Panics
    ///
    /// Where [`Code::apply`] does.
    pub fn apply_times(
        &self,
        times: u32,
        streams: bool,
        n: usize,
        inputs: &[Operand<'_>],
        outputs: &mut [&mut [u8]],
    ) {
        let mut cursors = self.cursors(n, inputs, outputs);
        let _env = kiln_fenv::hold_default();
        for _ in 0..times {
            // SAFETY: as in `apply`; a call of one row leaves the cursors as they are.
            unsafe {
                match streams {
                    true => self.call_streaming(1, n, &mut cursors),
                    false => self.call(1, n, &mut cursors),
                }
            }
        }
        fence();
    }

    /// A cursor for each operand, which is long enough.
    fn cursors(&self, n: usize, inputs: &[Operand<'_>], outputs: &mut [&mut [u8]]) -> Vec<Cursor> {
        let bytes_of = |storage: &Storage| {
            let bytes = n.checked_mul(storage.size());
            bytes.unwrap_or_else(|| panic!("no slice has {n} elements of {storage:?}"))
        };
        assert_eq!(inputs.len(), self.inputs.len(), "one slice per input");
        let results = self.outputs.len() + self.folds.len();
        assert_eq!(outputs.len(), results, "one slice per output and per fold");
        let mut cursors = Vec::with_capacity(inputs.len() + outputs.len());
        for (slot, (operand, storage)) in inputs.iter().zip(&self.inputs).enumerate() {
            let size = storage.size();
            let (bytes, need, step) = match *operand {
                Operand::Array(bytes) | Operand::Splat(bytes) if self.scalars[slot] => {
                    (bytes, size, 0)
                }
                Operand::Array(bytes) => (bytes, bytes_of(storage), self.lanes * size),
                Operand::Splat(bytes) => (bytes, self.copies * size, 0),
            };
            assert!(bytes.len() >= need, "an input of {} bytes, not {need}", bytes.len());
            cursors.push(Cursor { base: bytes.as_ptr().cast_mut(), step, row: 0 });
        }
        let needs = self.outputs.iter().map(bytes_of);
        let needs = needs.chain(self.folds.iter().map(|storage| storage.size()));
        for (bytes, need) in outputs.iter_mut().zip(needs) {
            assert!(bytes.len() >= need, "an output of {} bytes, not {need}", bytes.len());
            cursors.push(Cursor { base: bytes.as_mut_ptr(), step: 0, row: 0 });
        }
        cursors
    }
}
