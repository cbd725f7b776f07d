//! Scans: running sums and products along an axis, in an order that is the definition of the result.
//!
//! Elements are merged from the first to the last. What is carried is an `f64` for floats, and rounded
//! for each element; a sum of `f64` carries besides what its additions lost, by Knuth's two-sum.
//!
//! The error of a running sum of `f32` after `n` elements: half a unit in the last place of the result,
//! and `n` times 2^-53 of the sum of magnitudes so far. Of `f64`: one unit of the result, and `n^2`
//! times 2^-106 of that sum. Of a product: `n` times 2^-53, relative, and of `f32` half a unit more.
//!
//! Several rows are carried side by side, since one alone waits for each of its additions: many of those
//! whose elements are neighbours, and few of others, which a cache may have no room for.

use super::exec::{PER_BYTE, threads_for};
use super::interrupt::goes_on;
use super::layout::Space;
use super::queue::{Queue, Shared};
use super::team::{self, share};
use super::view::Layout;
use kiln_ir::{DType, Running, Scan};

/// How many rows are carried side by side, if their elements are neighbours.
pub(super) const NEIGHBOURS: usize = 256;

/// How many others are.
pub(super) const LANES: usize = 4;

/// Elements after which somebody may end a scan of long rows.
const PORTION: usize = 1 << 18;

/// Nanoseconds for an element, roughly.
pub(super) const PER_ELEMENT: f64 = 0.5;

/// Scans an array into `output`.
///
/// # Safety
///
/// Both must have the type and the shape of the call, `input` be readable, and `output` writable and
/// apart.
pub(super) unsafe fn scan(by: Scan, input: &Layout, output: &Layout, threads: Option<usize>) {
    let axis = by.place(input.shape.len()).expect("the shape was inferred");
    // SAFETY: required of the caller.
    unsafe { rows(&Scanner::new(by.by, input.dtype), axis, input, output, threads) };
}

/// What rows that are scanned have come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct State(#[expect(dead_code, reason = "it is read as what it is of")] [u64; 2]);

impl State {
    /// Room for one, of which nothing is known.
    pub(super) const NONE: State = State([0; 2]);
}

/// Elements of some rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strip {
    /// The first element of the first row, of what is read and of what is written; these may be the same memory.
    pub(super) bases: [*mut u8; 2],
    /// How many rows there are, up to [`NEIGHBOURS`] if elements of rows are neighbours.
    pub(super) rows: usize,
    /// Elements of each.
    pub(super) len: usize,
    /// Bytes from row to row.
    pub(super) nearby: [isize; 2],
    /// Bytes from an element of a row to the next.
    pub(super) steps: [isize; 2],
}

/// What scans elements of a type in one way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner {
    size: usize,
    start: fn(&mut [State]),
    go_on: unsafe fn(&Strip, &mut [State]),
}

impl Scanner {
    pub(super) fn new(by: Running, dtype: DType) -> Scanner {
        match (by, dtype) {
            (Running::Sum, DType::F32) => Scanner::of::<Sum, f32>(),
            (Running::Sum, DType::F64) => Scanner::of::<Sum, f64>(),
            (Running::Sum, DType::U8) => Scanner::of::<Sum, u8>(),
            (Running::Sum, DType::I32) => Scanner::of::<Sum, i32>(),
            (Running::Sum, DType::I64) => Scanner::of::<Sum, i64>(),
            (Running::Product, DType::F32) => Scanner::of::<Product, f32>(),
            (Running::Product, DType::F64) => Scanner::of::<Product, f64>(),
            (Running::Product, DType::U8) => Scanner::of::<Product, u8>(),
            (Running::Product, DType::I32) => Scanner::of::<Product, i32>(),
            (Running::Product, DType::I64) => Scanner::of::<Product, i64>(),
            (_, dtype) => unreachable!("no scan is of {dtype}"),
        }
    }

    fn of<C: Carry<T>, T: Copy>() -> Scanner {
        const {
            assert!(size_of::<C::State>() <= size_of::<State>());
            assert!(align_of::<C::State>() <= align_of::<State>());
        }
        Scanner { size: size_of::<T>(), start: start::<C, T>, go_on: go_on::<C, T> }
    }

    /// The states of rows of which nothing was scanned.
    pub(super) fn start(&self, states: &mut [State]) {
        (self.start)(states);
    }

    /// Scans elements of rows, of which these are the states, and leaves the states after them.
    ///
    /// # Safety
    ///
    /// Elements must be of the scanner's type, what is read readable, and what is written writable. A row may be
    /// written where it is read, element for element; else both must be apart. There must be a state for each row
    /// that this scanner left or started.
    pub(super) unsafe fn go_on(&self, strip: &Strip, states: &mut [State]) {
        debug_assert!(states.len() >= strip.rows);
        // SAFETY: required of the caller.
        unsafe { (self.go_on)(strip, states) };
    }
}

/// See [`Scanner::start`].
fn start<C: Carry<T>, T>(states: &mut [State]) {
    for state in states {
        // SAFETY: it has room for one of this kind, as `Scanner::of` asserts.
        unsafe { (&raw mut *state).cast::<C::State>().write(C::start()) };
    }
}

/// See [`Scanner::go_on`].
///
/// # Safety
///
/// As there.
unsafe fn go_on<C: Carry<T>, T: Copy>(strip: &Strip, states: &mut [State]) {
    let &Strip { bases, rows, len, nearby, steps } = strip;
    let (states, size) = (states.as_mut_ptr(), size_of::<T>() as isize);
    // SAFETY: required of the caller.
    unsafe {
        if nearby == [size; 2] {
            return neighbours::<C, T>(bases, rows, steps, len, states);
        }
        let mut row = 0;
        while row < rows {
            let at = [0, 1].map(|of| bases[of].wrapping_offset(row as isize * nearby[of]));
            let count = if rows - row < LANES { 1 } else { LANES };
            let states = states.add(row);
            match (count, steps == [size; 2]) {
                (LANES, true) => {
                    side_by_side::<C, T, LANES>(at, nearby, [size; 2], len, states);
                }
                (LANES, false) => side_by_side::<C, T, LANES>(at, nearby, steps, len, states),
                (_, true) => side_by_side::<C, T, 1>(at, nearby, [size; 2], len, states),
                (_, false) => side_by_side::<C, T, 1>(at, nearby, steps, len, states),
            }
            row += count;
        }
    }
}

/// A way to carry elements of a type.
trait Carry<T> {
    type State: Copy;

    fn start() -> Self::State;

    /// Merges an element, and gives what the elements come to so far.
    fn step(state: &mut Self::State, element: T) -> T;
}

struct Sum;
struct Product;

impl Carry<f32> for Sum {
    type State = f64;

    fn start() -> f64 {
        -0.0
    }

    #[inline(always)]
    fn step(sum: &mut f64, element: f32) -> f32 {
        *sum += f64::from(element);
        // One NaN, whatever it came of.
        if sum.is_nan() { f32::NAN } else { *sum as f32 }
    }
}

impl Carry<f64> for Sum {
    /// The sum, and what was lost.
    type State = (f64, f64);

    fn start() -> (f64, f64) {
        (-0.0, 0.0)
    }

    #[inline(always)]
    fn step((sum, lost): &mut (f64, f64), element: f64) -> f64 {
        let next = *sum + element;
        let back = next - *sum;
        *lost += (*sum - (next - back)) + (element - back);
        *sum = next;
        match *lost {
            _ if next.is_nan() => f64::NAN,
            // What infinity loses is no number, and nothing lost would change the sign of zero.
            lost if next.is_finite() && lost != 0.0 => next + lost,
            _ => next,
        }
    }
}

macro_rules! define_float_products {
    ($($float:ident)*) => {
        $(impl Carry<$float> for Product {
            type State = f64;

            fn start() -> f64 {
                1.0
            }

            #[inline(always)]
            fn step(product: &mut f64, element: $float) -> $float {
                *product *= f64::from(element);
                if product.is_nan() { $float::NAN } else { *product as $float }
            }
        })*
    };
}

define_float_products! { f32 f64 }

macro_rules! define_integer_scans {
    ($($integer:ident)*) => {
        $(
            define_integer_scans! { $integer Sum wrapping_add 0 }
            define_integer_scans! { $integer Product wrapping_mul 1 }
        )*
    };
    ($integer:ident $carry:ident $merge:ident $start:literal) => {
        impl Carry<$integer> for $carry {
            type State = $integer;

            fn start() -> $integer {
                $start
            }

            #[inline(always)]
            fn step(state: &mut $integer, element: $integer) -> $integer {
                *state = state.$merge(element);
                *state
            }
        }
    };
}

define_integer_scans! { u8 i32 i64 }

/// Scans every row along `axis`.
///
/// # Safety
///
/// As for [`scan`]; elements must be of the scanner's type.
unsafe fn rows(
    scanner: &Scanner,
    axis: usize,
    input: &Layout,
    output: &Layout,
    threads: Option<usize>,
) {
    let elements: usize = output.shape.iter().product();
    if elements == 0 {
        return;
    }
    let len = input.shape[axis];
    let steps = [input.strides[axis], output.strides[axis]];
    let (input, output) = (without(input, axis), without(output, axis));
    let space = Space::new(&output.shape, &[&input, &output], 1);
    let nearby = [space.inner_stride(0), space.inner_stride(1)];
    let lanes = if nearby == [scanner.size as isize; 2] { NEIGHBOURS } else { LANES };
    let groups = space.inner().div_ceil(lanes);
    let queue = Queue::new(space.rows() * groups, 1);
    let work = Shared(|group: usize| {
        let (row, first) = (group / groups, group % groups * lanes);
        let start = |operand: usize| {
            let offset = first as isize * space.inner_stride(operand);
            space.bases[operand].wrapping_offset(space.row_offset(row, operand) + offset)
        };
        let (bases, rows) = ([start(0), start(1)], lanes.min(space.inner() - first));
        let mut states = [State::NONE; NEIGHBOURS];
        scanner.start(&mut states[..rows]);
        // SAFETY: elements of both arrays, which are apart; no other group has these rows.
        unsafe { scanner.go_on(&Strip { bases, rows, len, nearby, steps }, &mut states) };
    });
    let cost = PER_ELEMENT.max(2.0 * scanner.size as f64 * PER_BYTE);
    let threads = threads_for(elements as f64 * cost, threads.unwrap_or(usize::MAX));
    let run = work.get();
    let all = Shared(|()| {
        while let Some(groups) = queue.take() {
            groups.for_each(run);
        }
    });
    match threads.count {
        1 => all.get()(()),
        count => share(count, &|| all.get()(())),
    }
    if threads.are_worth_it {
        team::ended();
    }
}

/// The array of the first element of each row.
fn without(layout: &Layout, axis: usize) -> Layout {
    let mut rest = layout.clone();
    rest.shape.remove(axis);
    rest.strides.remove(axis);
    rest
}

/// Scans `L` rows of `len` elements, which lie `nearby` bytes apart, and their elements `steps` bytes.
///
/// # Safety
///
/// From `bases`, the first elements, there must be such elements of type `T`, those of the first readable,
/// those of the second writable; and a state of each row.
#[inline(always)]
unsafe fn side_by_side<C: Carry<T>, T: Copy, const L: usize>(
    mut bases: [*mut u8; 2],
    nearby: [isize; 2],
    steps: [isize; 2],
    len: usize,
    states: *mut State,
) {
    // SAFETY: required of the caller.
    let state = |lane: usize| unsafe { states.add(lane).cast::<C::State>() };
    // SAFETY: required of the caller.
    let mut carried: [C::State; L] = std::array::from_fn(|lane| unsafe { state(lane).read() });
    in_portions(len, PORTION / L, || {
        for (lane, state) in carried.iter_mut().enumerate() {
            let at = |of: usize| bases[of].wrapping_offset(lane as isize * nearby[of]).cast::<T>();
            // SAFETY: required of the caller.
            unsafe { at(1).write_unaligned(C::step(state, at(0).read_unaligned())) };
        }
        bases = [0, 1].map(|of| bases[of].wrapping_offset(steps[of]));
    });
    for (lane, &carried) in carried.iter().enumerate() {
        // SAFETY: required of the caller.
        unsafe { state(lane).write(carried) };
    }
}

/// Scans up to [`NEIGHBOURS`] rows of `len` elements, `steps` bytes apart, whose first elements are neighbours.
///
/// # Safety
///
/// As for [`side_by_side`].
unsafe fn neighbours<C: Carry<T>, T: Copy>(
    mut bases: [*mut u8; 2],
    count: usize,
    steps: [isize; 2],
    len: usize,
    states: *mut State,
) {
    debug_assert!(count <= NEIGHBOURS);
    let count = count.min(NEIGHBOURS);
    // SAFETY: required of the caller.
    let state = |lane: usize| unsafe { states.add(lane).cast::<C::State>() };
    let mut carried = [C::start(); NEIGHBOURS];
    for (lane, carried) in carried[..count].iter_mut().enumerate() {
        // SAFETY: required of the caller.
        *carried = unsafe { state(lane).read() };
    }
    in_portions(len, PORTION / NEIGHBOURS, || {
        let [from, to] = bases.map(|base| base.cast::<T>());
        for (lane, state) in carried[..count].iter_mut().enumerate() {
            // SAFETY: required of the caller.
            unsafe {
                to.add(lane).write_unaligned(C::step(state, from.add(lane).read_unaligned()))
            };
        }
        bases = [0, 1].map(|of| bases[of].wrapping_offset(steps[of]));
    });
    for (lane, &carried) in carried[..count].iter().enumerate() {
        // SAFETY: required of the caller.
        unsafe { state(lane).write(carried) };
    }
}

/// Steps along rows, until somebody ends the work.
#[inline(always)]
fn in_portions(len: usize, portion: usize, mut step: impl FnMut()) {
    let mut left = len;
    loop {
        let here = left.min(portion);
        (0..here).for_each(|_| step());
        left -= here;
        if left == 0 || !goes_on() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Carry, Product, Sum};

    fn scan<C: Carry<T>, T: Copy>(row: &[T]) -> Vec<T> {
        let mut state = C::start();
        row.iter().map(|&element| C::step(&mut state, element)).collect()
    }

    /// The errors that the module states, against sums that are exact: of multiples of 2^-20.
    #[test]
    fn sums_are_near() {
        let mut random = fastrand::Rng::with_seed(9);
        let row: Vec<f32> = (0..100_000)
            .map(|_| (random.f32() - 0.5) * f32::from(random.u8(..32)).exp2())
            .map(|x| (x * 1048576.0).round() / 1048576.0)
            .collect();
        let wide: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        let (short, long) = (scan::<Sum, f32>(&row), scan::<Sum, f64>(&wide));
        let (mut exact, mut magnitudes) = (0i128, 0.0);
        for (at, &x) in wide.iter().enumerate() {
            exact += (x * 1048576.0) as i128;
            magnitudes += x.abs();
            let exact = exact as f64 / 1048576.0;
            let carried = (at + 1) as f64 * magnitudes * 2f64.powi(-53);
            let error = (f64::from(short[at]) - exact).abs();
            assert!(error <= exact.abs() * 2f64.powi(-24) + carried, "{at}: {error:e}");
            assert!((long[at] - exact).abs() <= exact.abs() * 2f64.powi(-52), "{at}");
        }
        // What a plain sum would lose.
        let row: Vec<f64> = (0..3000).map(|i| if i == 0 { 1e16 } else { 1.0 }).collect();
        assert_eq!(scan::<Sum, f64>(&row)[2999], 1e16 + 2999.0);
        let tenths = scan::<Sum, f32>(&vec![0.1; 1_000_000]);
        assert_eq!(tenths[999_999], (f64::from(0.1f32) * 1e6) as f32);
    }

    #[test]
    fn special_values() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let bits = |row: Vec<f32>| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let sums = scan::<Sum, f32>(&[-0.0, -0.0, 0.0, 1.0, inf, 1.0, -inf, 1.0]);
        assert_eq!(bits(sums), bits(vec![-0.0, -0.0, 0.0, 1.0, inf, inf, nan, nan]));
        let products = scan::<Product, f32>(&[-0.0, 2.0, inf, 0.0]);
        assert_eq!(bits(products), bits(vec![-0.0, -0.0, nan, nan]));
        let sums = scan::<Sum, f64>(&[-0.0, f64::MAX, f64::MAX, 1.0, f64::NEG_INFINITY]);
        assert_eq!(sums[..4], [-0.0, f64::MAX, f64::INFINITY, f64::INFINITY]);
        assert_eq!(
            (sums[0].to_bits(), sums[4].to_bits()),
            ((-0.0f64).to_bits(), f64::NAN.to_bits())
        );
        assert_eq!(scan::<Sum, u8>(&[200, 100]), [200, 44]);
    }
}
