//! No byte outside an operand is read or written: arrays that end, or begin, where the memory
//! does, next to pages that cannot be touched.

use common::{Rng, emitters, random_program};
use kiln::internals::emit::Code;
use kiln::internals::vir::Storage;
use kiln::internals::{Work, dtype, execute};
use kiln::{View, ViewMut};

/// Memory between two pages that cannot be touched.
struct Guarded {
    map: *mut u8,
}

const PAGE: usize = 1 << 16;

impl Guarded {
    fn new() -> Guarded {
        // SAFETY: a new mapping, nowhere in particular.
        let map = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let map = libc::mmap(std::ptr::null_mut(), 3 * PAGE, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(map, libc::MAP_FAILED);
            let middle = map.byte_add(PAGE);
            assert_eq!(libc::mprotect(middle, PAGE, libc::PROT_READ | libc::PROT_WRITE), 0);
            map
        };
        Guarded { map: map.cast() }
    }

    /// Room for `len` bytes at the end or at the beginning.
    fn place(&self, len: usize, at_end: bool) -> *mut u8 {
        assert!(len <= PAGE);
        self.map.wrapping_add(if at_end { 2 * PAGE - len } else { PAGE })
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`.
        unsafe { libc::munmap(self.map.cast(), 3 * PAGE) };
    }
}

#[test]
fn nothing_outside_is_touched() {
    let memory: Vec<Guarded> = (0..8).map(|_| Guarded::new()).collect();
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let size = 1 + rng.below(12);
        let program = random_program(&mut rng, size, seed % 4 == 0);
        for code in emitters(&program) {
            check(&code, &memory, &mut rng);
        }
    }
}

/// Runs `code` on arrays of every length and layout.
fn check(code: &Code, memory: &[Guarded], rng: &mut Rng) {
    let storages: Vec<Storage> = code.inputs().iter().chain(code.outputs()).copied().collect();
    // Past as many vectors as go side by side, too.
    for n in (0..=67).chain([127, 129, 143, 271]) {
        // Forward, backward, every second element, one repeated element; rows of three.
        for layout in 0..5 {
            let mut operands = storages.iter().enumerate().map(|(i, &storage)| {
                let input = i < code.inputs().len();
                let layout = if input || layout < 2 { layout } else { 0 };
                let size = storage.size() as isize;
                let (count, shape, strides) = match layout {
                    2 => (2 * n - n.min(1), vec![n], vec![2 * size]),
                    3 => (1, vec![n], vec![0]),
                    4 => (3, vec![n, 3], vec![0, size]),
                    _ => (n, vec![n], vec![size]),
                };
                let bytes = count * storage.size();
                let mut base = memory[i].place(bytes, rng.below(2) == 0);
                for j in 0..bytes {
                    // SAFETY: within the room.
                    unsafe { base.add(j).write(if storage == Storage::Bool { 1 } else { 63 }) };
                }
                if layout == 1 && n > 0 {
                    base = base.wrapping_add(bytes - storage.size());
                    return (base, dtype(storage), shape, vec![-size]);
                }
                (base, dtype(storage), shape, strides)
            });
            let inputs: Vec<_> = operands.by_ref().take(code.inputs().len()).collect();
            let mut outputs: Vec<_> = operands.collect();
            if layout == 4 {
                for (output, storage) in outputs.iter_mut().zip(code.outputs()) {
                    let size = storage.size();
                    output.0 = memory[7].place(3 * n * size, true);
                    output.2 = vec![n, 3];
                    output.3 = vec![3 * size as isize, size as isize];
                }
                if outputs.len() > 1 {
                    continue;
                }
            }
            // SAFETY: every operand lies in its own room, which shape and strides keep to.
            let views: Vec<View> = inputs
                .iter()
                .map(|(base, dtype, shape, strides)| unsafe {
                    View::from_raw(*base, *dtype, shape, strides)
                })
                .collect();
            // SAFETY: as above.
            let mut targets: Vec<ViewMut> = outputs
                .iter()
                .map(|(base, dtype, shape, strides)| unsafe {
                    ViewMut::from_raw(*base, *dtype, shape, strides)
                })
                .collect();
            let work = Work::new(Some(1), 1.0);
            execute(code, &views, &mut targets, work).unwrap();
        }
    }
}
