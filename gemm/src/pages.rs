//! Memory that is read again and again, in huge pages where the system grants them: with small ones, a row by a
//! constant of 64 MiB takes half as long again (Zen 4).

use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};

/// Bytes of a huge page on x86-64 and most AArch64 systems.
const HUGE_PAGE: usize = 2 << 20;

/// Rooms of less than this part of a huge page are no more than is asked for.
const SMALL: usize = 8;

/// Elements, which begin with a page if they fill a huge one.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    elements: Vec<T>,
    start: usize,
}

impl<T: Copy> Pages<T> {
    pub(crate) const fn none() -> Pages<T> {
        Pages { elements: Vec::new(), start: 0 }
    }

    /// Room for so many elements, of which `zero` is one: whole huge pages, unless a small part of one is enough. In small pages
    /// of 3 MiB of panels 1024 by 1024 by 1024 takes 1.09 times as long (Xeon 6).
    pub(crate) fn room(zero: T, len: usize) -> Pages<T> {
        let page = HUGE_PAGE / size_of::<T>();
        let is_small = len < page / SMALL;
        Pages::zeros(zero, if is_small { len } else { len.next_multiple_of(page) })
    }

    /// So many zeros, of which `zero` is one.
    pub(crate) fn zeros(zero: T, len: usize) -> Pages<T> {
        let page = HUGE_PAGE / size_of::<T>();
        if len < page {
            return Pages { elements: vec![zero; len], start: 0 };
        }
        let mut elements = vec![zero; len + page];
        let start = elements.as_ptr().align_offset(HUGE_PAGE).min(page);
        elements.truncate(start + len);
        let used: *mut [T] = &mut elements[start..];
        // SAFETY: what may be uninitialised is what is not read, and nothing is written.
        ask_for_huge_pages(unsafe { &mut *(used as *mut [MaybeUninit<T>]) });
        Pages { elements, start }
    }
}

impl<T> Deref for Pages<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.elements[self.start..]
    }
}

impl<T> DerefMut for Pages<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.elements[self.start..]
    }
}

/// Asks the system for huge pages within `room`, when they are first touched. Without this, pages are small.
#[doc(hidden)]
#[cfg(target_os = "linux")]
pub fn ask_for_huge_pages<T>(room: &mut [MaybeUninit<T>]) {
    let start = room.as_mut_ptr().cast::<u8>();
    let (first, end) = (start.addr().next_multiple_of(HUGE_PAGE), start.addr() + size_of_val(room));
    let pages = end.saturating_sub(first) / HUGE_PAGE;
    if pages > 0 {
        let start = start.with_addr(first).cast();
        // SAFETY: whole pages of memory that is borrowed here; their contents do not change. If the
        // system refuses, only time is lost.
        unsafe { libc::madvise(start, pages * HUGE_PAGE, libc::MADV_HUGEPAGE) };
    }
}

/// Elsewhere the system chooses.
#[doc(hidden)]
#[cfg(not(target_os = "linux"))]
pub fn ask_for_huge_pages<T>(_: &mut [MaybeUninit<T>]) {}

#[cfg(test)]
mod tests {
    use super::{HUGE_PAGE, Pages, ask_for_huge_pages};

    #[test]
    fn pages_hold_zeros_and_begin_at_a_huge_page() {
        for len in [0, 1, HUGE_PAGE / 4 - 1, HUGE_PAGE / 4, HUGE_PAGE / 2 + 17] {
            let mut pages = Pages::zeros(0_f32, len);
            assert_eq!(pages.len(), len);
            assert!(pages.iter().all(|&element| element == 0.0));
            assert!(len < HUGE_PAGE / 4 || pages.as_ptr().addr().is_multiple_of(HUGE_PAGE));
            pages.fill(7.0);
            assert!(pages.iter().all(|&element| element == 7.0));
        }
    }

    /// Sizes around the first huge page: the memory is good whatever the system grants.
    #[test]
    fn huge_pages_lie_within_the_room() {
        for bytes in [0, 1, 4096, HUGE_PAGE - 1, HUGE_PAGE, 2 * HUGE_PAGE - 1, 2 * HUGE_PAGE + 17] {
            let mut elements = Vec::<u8>::with_capacity(bytes);
            ask_for_huge_pages(elements.spare_capacity_mut());
            elements.resize(bytes, 7);
            assert!(elements.iter().all(|&byte| byte == 7));
        }
    }
}
