//! Reductions over views: rows of elements become one element each.
//!
//! A row is all elements that one element of the result is made of, in logical order: the last axis
//! fastest, whatever lies next to what. [`fold`] says what becomes of it.

mod fold;

use super::queue::{Queue, Shared};
use super::team::{self, share};
use super::view::Layout;
use fold::{All, Any, BLOCK, Count, Extreme, Fold, Place, Product, Sum};
use kiln_ir::{DType, Reduce, Reduction};
use smallvec::SmallVec;

/// Bytes that make a second thread worth calling.
const WORTH_THREADS: usize = 1 << 20;

/// Portions of work for each thread.
const PORTIONS: usize = 8;

/// Rows that are read side by side where the elements of a row lie farther apart than the rows do: a
/// cache line of `f32`.
const SIDE_BY_SIDE: usize = 16;

/// Room for a block of each of the rows that are read side by side. The step from row to row is no
/// power of two, so that they do not fall on the same lines of a cache.
const PITCH: usize = BLOCK + 16;

/// Reduces `input` to `output`, on at most `threads` threads.
///
/// # Safety
///
/// The operands must have the types and shapes of such a reduction. `input` must be readable, and
/// `output` writable and used by nothing else.
pub(super) unsafe fn reduce(
    reduce: Reduce,
    input: &Layout,
    output: &Layout,
    threads: Option<usize>,
) {
    let rows = Rows::new(reduce, input, output);
    /// The fold of each reduction, and whether it is for the largest, of each type of number.
    macro_rules! dispatch {
        ($($by:ident: $fold:ident $($largest:literal)?;)*) => {
            match (reduce.by, input.dtype) {
                $(
                    (Reduction::$by, DType::F32) => rows.run::<$fold<f32 $(, $largest)?>>(threads),
                    (Reduction::$by, DType::F64) => rows.run::<$fold<f64 $(, $largest)?>>(threads),
                    (Reduction::$by, DType::U8) => rows.run::<$fold<u8 $(, $largest)?>>(threads),
                    (Reduction::$by, DType::I32) => rows.run::<$fold<i32 $(, $largest)?>>(threads),
                    (Reduction::$by, DType::I64) => rows.run::<$fold<i64 $(, $largest)?>>(threads),
                )*
                (Reduction::All, DType::Bool) => rows.run::<All>(threads),
                (Reduction::Any, DType::Bool) => rows.run::<Any>(threads),
                (by, dtype) => panic!("no graph has {} of {dtype}", by.info().noun),
            }
        };
    }
    dispatch! {
        Sum: Sum;
        Prod: Product;
        Max: Extreme true;
        Min: Extreme false;
        ArgMax: Place true;
        ArgMin: Place false;
        Count: Count;
    }
}

/// An axis that is longer than one element, and bytes from one element to the next.
#[derive(Clone, Copy)]
struct Axis {
    size: usize,
    input: isize,
    output: isize,
}

type Axes = SmallVec<[Axis; 4]>;

/// The rows of a reduction, and where they are.
struct Rows {
    input: *const u8,
    output: *mut u8,
    /// From row to row; the last axis is the fastest.
    kept: Axes,
    /// Along a row.
    reduced: Axes,
    /// Rows, and elements of each.
    count: usize,
    len: usize,
    /// Whether elements are read; a count reads none.
    reads: bool,
}

impl Rows {
    fn new(reduce: Reduce, input: &Layout, output: &Layout) -> Rows {
        let rank = input.shape.len();
        let is_reduced = reduce.axes.of_rank(rank).expect("the shape was inferred");
        let (mut kept, mut reduced) = (Axes::new(), Axes::new());
        for (axis, is_reduced) in is_reduced.into_iter().enumerate() {
            let (size, step) = (input.shape[axis], input.strides[axis]);
            match is_reduced {
                true => push(&mut reduced, Axis { size, input: step, output: 0 }),
                false => {
                    push(&mut kept, Axis { size, input: step, output: output.strides[axis] });
                }
            }
        }
        // A view that repeats elements may have more than can be counted; nobody waits for those.
        let product =
            |axes: &Axes| axes.iter().fold(1, |n: usize, axis| n.saturating_mul(axis.size));
        Rows {
            input: input.base,
            output: output.base,
            count: product(&kept),
            len: product(&reduced),
            kept,
            reduced,
            reads: reduce.by.reads(),
        }
    }

    /// Rows that are read side by side: several where neighbouring rows lie closer than the elements
    /// of one.
    fn side_by_side(&self) -> usize {
        match (self.kept.last(), self.reduced.last()) {
            (Some(kept), Some(reduced)) if kept.input.abs() < reduced.input.abs() => SIDE_BY_SIDE,
            _ => 1,
        }
    }

    fn run<F: Fold>(&self, threads: Option<usize>) {
        if self.count == 0 {
            return;
        }
        let (fastest, others) = match self.kept.last() {
            Some(axis) => (axis.size, self.count / axis.size),
            None => (1, 1),
        };
        let side_by_side = self.side_by_side();
        let groups = fastest.div_ceil(side_by_side);
        let group = |buffer: &mut Vec<F::Element>, task: usize| {
            let first = task / groups * fastest + task % groups * side_by_side;
            let rows = side_by_side.min(fastest - task % groups * side_by_side);
            self.group::<F>(first, rows, buffer);
        };
        let group = Shared(group);
        let tasks = others * groups;
        let bytes = self.count.saturating_mul(self.len).saturating_mul(size_of::<F::Element>());
        let most = threads.unwrap_or(usize::MAX);
        let is_worth_it = most > 1 && tasks > 1 && self.reads && bytes >= WORTH_THREADS;
        let threads = if is_worth_it { most.min(team::pool_size()) } else { 1 };
        if threads < 2 {
            let mut buffer = Vec::new();
            return (0..tasks).for_each(|task| (group.get())(&mut buffer, task));
        }
        let queue = Queue::new(tasks, tasks.div_ceil(threads * PORTIONS));
        share(threads, &|| {
            let mut buffer = Vec::new();
            while let Some(tasks) = queue.take() {
                tasks.for_each(|task| (group.get())(&mut buffer, task));
            }
        });
    }

    /// Rows `first` and the `count - 1` after it along the fastest axis.
    fn group<F: Fold>(&self, first: usize, count: usize, buffer: &mut Vec<F::Element>) {
        let (mut input, mut output, mut rest) = (self.input, self.output, first);
        for axis in self.kept.iter().rev() {
            let at = (rest % axis.size) as isize;
            rest /= axis.size;
            input = input.wrapping_offset(at * axis.input);
            output = output.wrapping_offset(at * axis.output);
        }
        let step = self.kept.last().copied().unwrap_or(Axis { size: 1, input: 0, output: 0 });
        let mut states: SmallVec<[F::State; SIDE_BY_SIDE]> =
            (0..count).map(|_| F::start()).collect();
        if self.reads && self.len > 0 {
            self.fold::<F>(input, step.input, &mut states, buffer);
        }
        for (at, state) in (0..).zip(states) {
            let result = F::finish(state, self.len);
            let place = output.wrapping_offset(at * step.output).cast::<F::Result>();
            // SAFETY: row `first + at` has this place in the output, which is writable.
            unsafe { place.write_unaligned(result) };
        }
    }

    /// Adds the elements of rows that begin at `input` and `step` bytes apart to their states.
    fn fold<F: Fold>(
        &self,
        input: *const u8,
        step: isize,
        states: &mut [F::State],
        buffer: &mut Vec<F::Element>,
    ) {
        let size = size_of::<F::Element>();
        let is_dense = match self.reduced[..] {
            [] => true,
            [Axis { input: step, .. }] => step == size as isize,
            _ => false,
        };
        if let ([state], true) = (&mut *states, is_dense && input.cast::<F::Element>().is_aligned())
        {
            // SAFETY: the row lies element after element, is aligned, and is readable.
            let row = unsafe { std::slice::from_raw_parts(input.cast::<F::Element>(), self.len) };
            for (index, block) in row.chunks(BLOCK).enumerate() {
                F::add(state, index * BLOCK, block);
            }
            return;
        }
        let mut steps = Steps::new(&self.reduced);
        let mut done = 0;
        while done < self.len {
            let block = BLOCK.min(self.len - done);
            if buffer.is_empty() {
                // SAFETY: every row has at least one element, and it is readable.
                let any = unsafe { input.cast::<F::Element>().read_unaligned() };
                buffer.resize(PITCH * SIDE_BY_SIDE, any);
            }
            for at in 0..block {
                let element = input.wrapping_offset(steps.next());
                for row in 0..states.len() {
                    let place = element.wrapping_offset(row as isize * step);
                    // SAFETY: it is element `done + at` of a row.
                    buffer[row * PITCH + at] =
                        unsafe { place.cast::<F::Element>().read_unaligned() };
                }
            }
            for (state, row) in states.iter_mut().zip(buffer.chunks(PITCH)) {
                F::add(state, done, &row[..block]);
            }
            done += block;
        }
    }
}

/// Adds an axis, or lengthens the last one where both are walked in equal steps.
fn push(axes: &mut Axes, axis: Axis) {
    if axis.size == 1 {
        return;
    }
    if let Some(last) = axes.last_mut() {
        let whole = axis.size as isize;
        let follows = |outer: isize, inner: isize| inner.checked_mul(whole) == Some(outer);
        if follows(last.input, axis.input)
            && follows(last.output, axis.output)
            && let Some(size) = last.size.checked_mul(axis.size)
        {
            *last = Axis { size, ..axis };
            return;
        }
    }
    axes.push(axis);
}

/// The elements of a row, one after the other, as bytes from the first.
struct Steps<'a> {
    axes: &'a [Axis],
    at: SmallVec<[usize; 4]>,
    offset: isize,
}

impl<'a> Steps<'a> {
    fn new(axes: &'a [Axis]) -> Steps<'a> {
        Steps { axes, at: SmallVec::from_elem(0, axes.len()), offset: 0 }
    }

    /// The place of the next element; after the last one, the first again.
    fn next(&mut self) -> isize {
        let offset = self.offset;
        for (axis, at) in self.axes.iter().zip(&mut self.at).rev() {
            *at += 1;
            self.offset += axis.input;
            if *at < axis.size {
                break;
            }
            self.offset -= axis.size as isize * axis.input;
            *at = 0;
        }
        offset
    }
}
