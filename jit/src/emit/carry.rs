//! What rows that begin between vectors of memory leave for the rows that follow.

/// Bytes of a vector. Only code of such long ones is realigned.
pub(super) const VECTOR: usize = 64;
/// Bytes of what an index moves.
const ELEMENT: usize = 4;
const LANES: usize = VECTOR / ELEMENT;

/// The elements of an output that wait for those that follow, until together they are a vector of memory: see
/// [`Code::call_tiles_realigned`](super::Code::call_tiles_realigned).
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Carry {
    /// 0, 1, 2, ...: any vector of them says which elements of two vectors, the one that waits and the next, become
    /// one.
    numbers: [u32; 3 * LANES],
    /// A vector, of which the last elements wait.
    waiting: [u8; VECTOR],
    /// Bytes that wait.
    pub(super) bytes: usize,
}

impl Carry {
    /// Where code finds it.
    #[cfg(feature = "x86")]
    pub(super) const NUMBERS: usize = std::mem::offset_of!(Carry, numbers);
    #[cfg(feature = "x86")]
    pub(super) const WAITING: usize = std::mem::offset_of!(Carry, waiting);

    /// For calls that store from a place of an output on: the elements that wait are those before it in its vector of
    /// memory.
    ///
    /// # Panics
    ///
    /// If the place is no multiple of four bytes.
    ///
    /// # Safety
    ///
    /// These must be readable.
    pub unsafe fn new(place: *const u8) -> Carry {
        let bytes = place.addr() % VECTOR;
        assert!(bytes.is_multiple_of(ELEMENT), "elements of four bytes are moved");
        let numbers = std::array::from_fn(|number| number as u32);
        let mut carry = Carry { numbers, waiting: [0; VECTOR], bytes };
        let from = place.wrapping_sub(bytes);
        // SAFETY: required of the caller; a vector has as many bytes.
        unsafe { from.copy_to_nonoverlapping(carry.waiting[VECTOR - bytes..].as_mut_ptr(), bytes) };
        carry
    }

    /// Stores the elements that wait before a place, the one that rows have come to.
    ///
    /// # Safety
    ///
    /// They must be writable.
    pub unsafe fn store(&self, place: *mut u8) {
        let (to, waiting) = (place.wrapping_sub(self.bytes), &self.waiting[VECTOR - self.bytes..]);
        // SAFETY: required of the caller.
        unsafe { to.copy_from_nonoverlapping(waiting.as_ptr(), self.bytes) };
    }
}
