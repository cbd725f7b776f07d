//! The numbers 0, 1, 2, .., which whatever reads places along an axis reads.

use super::error::RunError;
use std::sync::{Arc, Mutex, PoisonError};

/// The most that are kept from call to call: 8 MiB.
const MOST_KEPT: usize = 1 << 20;

/// The numbers from 0 on, as many as a call of a kernel ever needed.
#[derive(Debug)]
pub(super) struct Numbers<T>(Mutex<Arc<[T]>>);

impl<T> Default for Numbers<T> {
    fn default() -> Numbers<T> {
        Numbers(Mutex::new(Arc::from([])))
    }
}

impl<T: Copy + TryFrom<usize, Error: std::fmt::Debug>> Numbers<T> {
    /// At least `len` of them, which the type must count.
    pub(super) fn up_to(&self, len: usize) -> Result<Arc<[T]>, RunError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if kept.len() >= len {
            return Ok(kept);
        }
        let mut numbers: Vec<T> = Vec::new();
        let bytes = len.saturating_mul(size_of::<T>());
        let reserved = numbers.try_reserve_exact(len);
        reserved.map_err(|_| RunError::OutOfMemory { bytes, array: None })?;
        let number = |number| T::try_from(number).expect("the type counts them");
        numbers.extend((0..len).map(number));
        let numbers: Arc<[T]> = numbers.into();
        if len <= MOST_KEPT {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = numbers.clone();
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_KEPT, Numbers};

    #[test]
    fn they_are_made_once() {
        let numbers = Numbers::<i64>::default();
        let first = numbers.up_to(100).unwrap();
        assert!(first.iter().copied().eq(0..100));
        assert!(std::sync::Arc::ptr_eq(&first, &numbers.up_to(7).unwrap()));
        assert_eq!(numbers.up_to(MOST_KEPT + 1).unwrap().len(), MOST_KEPT + 1);
        assert!(std::sync::Arc::ptr_eq(&first, &numbers.up_to(100).unwrap()));
        assert!(numbers.up_to(usize::MAX).is_err());
        assert_eq!(Numbers::<i32>::default().up_to(3).unwrap()[..], [0, 1, 2]);
    }
}
