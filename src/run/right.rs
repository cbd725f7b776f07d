//! Right operands that products of some rows each read again and again, packed.

use super::bound::{Bound, Packed};
use super::factors::{Matrices, Stored};
use super::product::Product;
use super::view::Layout;
use kiln_gemm::Operand;
use kiln_ir::DType;
use std::sync::{Arc, Mutex, PoisonError};

/// Most bytes of an operand that is packed as a whole for one call.
const MOST: usize = 64 << 20;
/// Most bytes of a matrix that each thread has room for.
const MOST_OF_THREAD: usize = 4 << 20;

/// See the module.
pub(super) enum Right {
    AsItLies,
    /// All matrices, for this call.
    Whole(Matrices),
    /// All matrices, once for all calls.
    Bound(Arc<Packed>),
    /// One for each thread, which packs the next one in its place: when it is read, L2 still holds it, and threads need
    /// not wait for one that packs all. Two threads that need the same one pack it twice.
    OfThreads(Lent),
}

/// Matrices, and which each is, that no thread is reading.
pub(super) enum Lent {
    F32(Spare<f32>),
    F64(Spare<f64>),
}

pub(super) type Spare<T> = Mutex<Vec<(usize, kiln_gemm::Packed<T>)>>;

impl Right {
    /// The operand as it was bound, or else packed, if that can be.
    ///
    /// # Safety
    ///
    /// The operand must be readable and aligned.
    pub(super) unsafe fn packed(product: &Product, right: &Layout, bound: &Bound) -> Right {
        if let Some(bound) = bound.packed(right) {
            return Right::Bound(bound);
        }
        let [.., k, n] = right.shape[..] else { return Right::AsItLies };
        let matrix = k.saturating_mul(n).saturating_mul(right.dtype.size());
        let count = product.matrices(right);
        if n > 1 && count > 1 && matrix <= MOST_OF_THREAD {
            return Right::OfThreads(match right.dtype {
                DType::F64 => Lent::F64(Mutex::default()),
                _ => Lent::F32(Mutex::default()),
            });
        }
        // SAFETY: required of the caller.
        let pack = || unsafe { Matrices::pack(right) };
        match matrix.saturating_mul(count) <= MOST {
            true => pack().map_or(Right::AsItLies, Right::Whole),
            false => Right::AsItLies,
        }
    }

    /// Lends one of the matrices, unless it is read as it lies: `operand`, of these sizes.
    ///
    /// # Safety
    ///
    /// The operand must be readable, and be that matrix of the one that this is.
    pub(super) unsafe fn lend<T: Stored>(
        &self,
        matrix: usize,
        sizes: [usize; 2],
        operand: Operand<T>,
        multiply: impl FnOnce(Option<&kiln_gemm::Packed<T>>),
    ) {
        let lent = match self {
            Right::AsItLies => return multiply(None),
            Right::Whole(all) => return multiply(Some(&T::packed(all)[matrix])),
            Right::Bound(packed) => return multiply(Some(&T::packed(&packed.matrices)[matrix])),
            Right::OfThreads(lent) => T::spare(lent),
        };
        let spare = || lent.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = {
            let mut spare = spare();
            let found = spare.iter().position(|(held, _)| *held == matrix);
            found.or(spare.len().checked_sub(1)).map(|at| spare.swap_remove(at))
        };
        // SAFETY: required of the caller.
        let packed = unsafe {
            match taken {
                Some((held, packed)) if held == matrix => packed,
                Some((_, mut packed)) => {
                    packed.renew(operand);
                    packed
                }
                None => kiln_gemm::Packed::new(sizes, operand),
            }
        };
        multiply(Some(&packed));
        spare().push((matrix, packed));
    }
}
