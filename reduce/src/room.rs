//! Memory for stripes that wait for one another.

use std::cell::Cell;

const PAGE: usize = 4 << 10;

/// Memory as it is cached, a line at a time.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read and written through pointers only")] [u8; 64]);

/// Room for the stripes of a strip.
pub(super) struct Room(Vec<Line>);

thread_local! {
    /// This thread's last one.
    static KEPT: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

impl Room {
    pub(super) fn new(bytes: usize) -> Room {
        let bytes = if bytes == 0 { 0 } else { bytes + PAGE };
        let lines = bytes.div_ceil(size_of::<Line>());
        let mut room = match lines {
            0 => Vec::new(),
            _ => KEPT.try_with(Cell::take).unwrap_or_default(),
        };
        if room.len() < lines {
            room.resize(lines, Line([0; 64]));
        }
        Room(room)
    }

    /// The room, which begins half a page further into a page than elements do: a load waits for a store
    /// before it where only the pages of the two differ, and a set of a cache has few lines.
    pub(super) fn lanes<T>(&mut self, elements: *const u8) -> *mut T {
        let base = self.0.as_mut_ptr();
        let place = elements.addr().wrapping_add(PAGE / 2);
        let before = place.wrapping_sub(base.addr()) % PAGE / size_of::<Line>();
        base.wrapping_add(before).cast()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            // The slot is gone once the thread ends.
            let _ = KEPT.try_with(|kept| kept.set(std::mem::take(&mut self.0)));
        }
    }
}
