//! All ways to scan rows against the definition, element for element.

use super::carry::{Carry, Product, Sum};
use super::strips::{State, Strip, Way, start};

/// How rows lie: bytes from row to row and from element to element, of elements of this size.
fn strides(layout: usize, [rows, len]: [usize; 2], size: usize) -> [isize; 2] {
    let [rows, len, size] = [rows, len, size].map(|number| number as isize);
    match layout {
        // Dense, with gaps that are no multiple of a line, and in reverse.
        0 => [len * size, size],
        1 => [(len + 3) * size, size],
        2 => [-(len + 1) * size, size],
        // Rows that are neighbours, elements with gaps, elements in reverse, and rows between elements of others.
        3 => [size, rows * size],
        4 => [2 * len * size, 2 * size],
        5 => [len * size, -size],
        _ => [len * size + 1, size],
    }
}

/// Memory that strips of rows reach, and the place of their first element.
struct Memory {
    bytes: Vec<u8>,
    first: usize,
    steps: [isize; 2],
}

impl Memory {
    fn new(layout: usize, sizes: [usize; 2], size: usize, offset: usize) -> Memory {
        let steps = strides(layout, sizes, size);
        let span = |axis: usize| steps[axis] * (sizes[axis].max(1) as isize - 1);
        let below = span(0).min(0) + span(1).min(0);
        let above = span(0).max(0) + span(1).max(0);
        let first = below.unsigned_abs() + offset;
        Memory { bytes: vec![0; first + above as usize + size], first, steps }
    }

    fn at(&self, row: usize, at: usize) -> usize {
        let offset = row as isize * self.steps[0] + at as isize * self.steps[1];
        self.first.strict_add_signed(offset)
    }

    fn put<T: Copy>(&mut self, row: usize, at: usize, element: T) {
        let place = self.at(row, at);
        let to = self.bytes[place..place + size_of::<T>()].as_mut_ptr();
        // SAFETY: the slice has so many bytes.
        unsafe { to.cast::<T>().write_unaligned(element) };
    }

    fn get<T: Copy>(&self, row: usize, at: usize) -> T {
        let place = self.at(row, at);
        let from = self.bytes[place..place + size_of::<T>()].as_ptr();
        // SAFETY: the slice has so many bytes, which some element is.
        unsafe { from.cast::<T>().read_unaligned() }
    }

    fn base(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr().wrapping_add(self.first)
    }
}

fn check<C: Carry<T>, T: Copy>(draw: fn(&mut fastrand::Rng) -> T, bits: fn(T) -> u64) {
    let mut random = fastrand::Rng::with_seed(3);
    for case in 0..400 {
        let rows = [1, 3, 4, 7, 8, 9, 15, 16, 17, 24, 33, 70, 256][random.usize(..13)];
        let len = [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 200][random.usize(..15)];
        let (sizes, size) = ([rows, len], size_of::<T>());
        let [from, to] = [0, 1].map(|_| random.usize(..7));
        let in_place = random.bool();
        let offset = random.usize(..3) * size;
        let elements: Vec<Vec<T>> =
            (0..rows).map(|_| (0..len).map(|_| draw(&mut random)).collect()).collect();
        // Rows in two parts, or whole.
        let cut = if random.bool() { Some(random.usize(..=len)) } else { None };
        for (which, way) in Way::all::<C, T>().enumerate() {
            let mut input = Memory::new(from, sizes, size, offset);
            let mut output = Memory::new(if in_place { from } else { to }, sizes, size, offset);
            for (row, elements) in elements.iter().enumerate() {
                for (at, &element) in elements.iter().enumerate() {
                    input.put(row, at, element);
                    output.put(row, at, element);
                }
            }
            let output_base = output.base();
            let bases = [if in_place { output_base } else { input.base() }, output_base];
            let strip = Strip {
                bases,
                rows,
                len,
                nearby: [input.steps[0], output.steps[0]],
                steps: [input.steps[1], output.steps[1]],
            };
            scan::<C, T>(way, strip, cut);
            for (row, elements) in elements.iter().enumerate() {
                let mut state = C::start();
                for (at, &element) in elements.iter().enumerate() {
                    let (found, expected) = (output.get(row, at), C::step(&mut state, element));
                    assert_eq!(
                        bits(found),
                        bits(expected),
                        "{case}: way {which}, {sizes:?}, {from} {to} {in_place} {cut:?}: {row} {at}"
                    );
                }
            }
        }
    }
}

/// Scans a strip, the elements before a cut first.
fn scan<C: Carry<T>, T: Copy>(way: Way, strip: Strip, cut: Option<usize>) {
    let size = size_of::<T>();
    // SAFETY: the memory has all elements of the strip, and the processor what each way needs.
    unsafe {
        let Some(cut) = cut else { return way.scan(size, &strip, std::ptr::null_mut()) };
        let mut states = vec![State::NONE; strip.rows];
        start::<C, T>(&mut states);
        way.scan(size, &Strip { len: cut, ..strip }, states.as_mut_ptr());
        let bases =
            [0, 1].map(|of| strip.bases[of].wrapping_offset(strip.steps[of] * cut as isize));
        way.scan(size, &Strip { bases, len: strip.len - cut, ..strip }, states.as_mut_ptr());
    }
}

/// Numbers of all magnitudes, and some that are none.
fn float(random: &mut fastrand::Rng) -> f64 {
    match random.u8(..60) {
        0 => f64::INFINITY,
        1 => f64::NAN,
        2..5 => -0.0,
        _ => (random.f64() - 0.5) * (f64::from(random.u8(..20)) - 10.0).exp2(),
    }
}

#[test]
fn floats_are_as_the_definition_says() {
    check::<Sum, f32>(|random| float(random) as f32, |x| x.to_bits().into());
    check::<Product, f32>(|random| float(random) as f32, |x| x.to_bits().into());
    check::<Sum, f64>(float, f64::to_bits);
    check::<Product, f64>(float, f64::to_bits);
}

#[test]
fn integers_are_as_the_definition_says() {
    check::<Sum, i32>(|random| random.i32(..), |x| x as u64);
    check::<Product, i32>(|random| random.i32(..), |x| x as u64);
    check::<Sum, i64>(|random| random.i64(..), |x| x as u64);
    check::<Product, i64>(|random| random.i64(..), |x| x as u64);
    check::<Sum, u8>(|random| random.u8(..), u64::from);
}
