//! Elements picked by their places along an axis.

use super::error::RunError;
use super::exec::{PER_BYTE, threads_for};
use super::interrupt;
use super::queue::{Queue, Shared};
use super::team::{self, share};
use super::view::Layout;
use kiln_ir::{Call, DType, Dims, Gather, index_at};
use smallvec::SmallVec;

/// Nanoseconds for an element, or elements that are copied together, at least.
const PER_ELEMENT: f64 = 1.0;

/// Parts of the work for each thread.
const PARTS: usize = 4;
/// Most lines of memory of a part, roughly, each of which may be waited for: the work can end between parts.
const LONG: usize = 1 << 15;
const LINE: f64 = 64.0;

/// Refuses places that an axis of this size does not have.
///
/// # Safety
///
/// `places` must be readable.
pub(super) unsafe fn check(
    call: Call,
    axis: usize,
    size: usize,
    places: &Layout,
) -> Result<(), RunError> {
    let mut wrong = None;
    let steps: Dims<[isize; 1]> = places.strides.iter().map(|&stride| [stride]).collect();
    let mut visit = |[offset]: [isize; 1]| {
        // SAFETY: an element of the places.
        let place = unsafe { place_at(places, offset) };
        if wrong.is_none() && !call.has_place(place, size) {
            wrong = Some(place);
        }
    };
    let count: usize = places.shape.iter().product();
    match Cut::new(&places.shape, count / LONG) {
        None => walk(&places.shape, &steps, visit),
        Some(cut) => {
            for part in 0..cut.parts {
                // Nothing may be picked by places that were not looked at.
                interrupt::check()?;
                cut.walk(part, &places.shape, &steps, &mut visit);
            }
        }
    }
    match wrong {
        Some(place) => Err(RunError::Place { call, place, axis, size }),
        None => Ok(()),
    }
}

/// Picks elements of an array into `output`.
///
/// # Safety
///
/// Operands must have the types and shapes of the call, and be readable, and `output` writable and
/// apart. The places must have been [checked](check).
pub(super) unsafe fn pick(
    gather: Gather,
    array: &Layout,
    places: &Layout,
    output: &Layout,
    threads: Option<usize>,
) {
    // Axes without elements must not be taken for parts of rows: there would be places to look at.
    if output.shape.contains(&0) {
        return;
    }
    let rank = array.shape.len();
    let axis = gather.place(rank).expect("the shape was inferred");
    let axes = gather.axes(rank, places.shape.len()).expect("the shape was inferred");
    let (size, stride) = (array.shape[axis], array.strides[axis]);
    // An axis of size 1 repeats.
    let step = |of: &Layout, from: Option<usize>| {
        from.filter(|&from| of.shape[from] != 1).map_or(0, |from| of.strides[from])
    };
    let of = |(own, &[from, place]): (&isize, &[Option<usize>; 2])| {
        [*own, step(array, from), step(places, place)]
    };
    let mut steps: Dims<[isize; 3]> = output.strides.iter().zip(&axes).map(of).collect();
    let mut shape: Dims<usize> = output.shape.clone();
    // Rows that lie one element after another in both, and have one place, are copied whole.
    let bytes = output.dtype.size();
    let mut run = bytes;
    while let (Some(&[to, from, 0]), Some(&count)) = (steps.last(), shape.last()) {
        if count != 1 && (to, from) != (run as isize, run as isize) {
            break;
        }
        run *= count;
        steps.pop();
        shape.pop();
    }
    let pick = |[to, from, at]: [isize; 3]| {
        // SAFETY: an element of the places.
        let place = unsafe { place_at(places, at) };
        let index = index_at(place, size).expect("places were checked") as isize;
        let from = array.base.wrapping_offset(from + index * stride);
        let to = output.base.wrapping_offset(to);
        // SAFETY: elements within both arrays, which are apart.
        unsafe {
            match run {
                4 => from.cast::<[u8; 4]>().copy_to_nonoverlapping(to.cast(), 1),
                8 => from.cast::<[u8; 8]>().copy_to_nonoverlapping(to.cast(), 1),
                _ => from.copy_to_nonoverlapping(to, run),
            }
        }
    };
    let count = shape.iter().fold(1.0, |count, &size| count * size as f64);
    let cost = PER_ELEMENT.max(2.0 * run as f64 * PER_BYTE);
    let threads = threads_for(count * cost, threads.unwrap_or(usize::MAX));
    // For threads, or such that the work can end between them.
    let parts = if threads.count < 2 { 0 } else { PARTS * threads.count };
    let lines = count * (run as f64 / LINE).max(1.0);
    let parts = parts.max(lines as usize / LONG);
    let Some(cut) = Cut::new(&shape, parts) else {
        walk(&shape, &steps, pick);
        return;
    };
    let queue = Queue::new(cut.parts, 1);
    let work = Shared(|part: usize| cut.walk(part, &shape, &steps, pick));
    let part = work.get();
    let all = Shared(|()| {
        while let Some(parts) = queue.take() {
            parts.for_each(part);
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

/// # Safety
///
/// There must be an element at this distance from the first.
unsafe fn place_at(places: &Layout, offset: isize) -> i64 {
    let at = places.base.wrapping_offset(offset);
    // SAFETY: required of the caller.
    unsafe {
        match places.dtype {
            DType::I32 => i64::from(at.cast::<i32>().read_unaligned()),
            _ => at.cast::<i64>().read_unaligned(),
        }
    }
}

/// A shape in parts along its longest axis.
struct Cut {
    axis: usize,
    /// Of each part along the axis, but for the last.
    len: usize,
    parts: usize,
}

impl Cut {
    /// About so many parts, if there are any.
    fn new(shape: &[usize], parts: usize) -> Option<Cut> {
        let axis = (0..shape.len()).max_by_key(|&at| shape[at]).filter(|_| parts > 0)?;
        let len = shape[axis].div_ceil(parts).max(1);
        Some(Cut { axis, len, parts: shape[axis].div_ceil(len) })
    }

    /// Visits each element of a part.
    fn walk<const N: usize>(
        &self,
        part: usize,
        shape: &[usize],
        steps: &[[isize; N]],
        mut visit: impl FnMut([isize; N]),
    ) {
        let start = part * self.len;
        let mut shape = Dims::from_slice(shape);
        shape[self.axis] = self.len.min(shape[self.axis] - start);
        let first = steps[self.axis].map(|step| step.wrapping_mul(start as isize));
        walk(&shape, steps, |at| visit(std::array::from_fn(|of| first[of].wrapping_add(at[of]))));
    }
}

/// Visits each element of a shape, the last axis fastest, with its distance from the first in several
/// arrays.
fn walk<const N: usize>(shape: &[usize], steps: &[[isize; N]], mut visit: impl FnMut([isize; N])) {
    if shape.contains(&0) {
        return;
    }
    let (outer, inner) = match shape.split_last() {
        Some((&inner, outer)) => (outer, inner),
        None => (shape, 1),
    };
    let inner_step = steps.last().copied().unwrap_or([0; N]);
    let mut at: SmallVec<[usize; 6]> = SmallVec::from_elem(0, outer.len());
    let mut row = [0isize; N];
    loop {
        let mut offsets = row;
        for _ in 0..inner {
            visit(offsets);
            (0..N).for_each(|of| offsets[of] += inner_step[of]);
        }
        let mut axis = outer.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            at[axis] += 1;
            (0..N).for_each(|of| row[of] += steps[axis][of]);
            if at[axis] < outer[axis] {
                break;
            }
            (0..N).for_each(|of| row[of] -= steps[axis][of] * outer[axis] as isize);
            at[axis] = 0;
        }
    }
}
