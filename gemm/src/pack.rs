//! Panels of operands, packed so that a kernel reads them element after element.

use crate::blocked::Element;
use crate::matrix::Matrix;
use crate::operand::{Operand, Widen};
use crate::simd::{Place, Simd};
use crate::tile::Kernels;
use std::ops::Range;

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;

/// Bytes from one address to the next that has the same set of L1.
const PAGE: usize = 4096;
/// Lines that a set of L1 holds.
const WAYS: usize = 8;

/// Bytes that are read at once of each of a few lines that lie side by side: as processors ask memory for what
/// follows, and lines that share a set of L1 must not evict each other.
pub(crate) const RUN_BYTES: usize = 256;

/// Elements of each line that are widened at once.
const RUN: usize = 64;
/// The most lines of a panel.
const MOST_LINES: usize = 32;

/// Packs `width` lines of `k` elements: element `l` of line `i` goes to `to[l * pitch + i]`.
///
/// `lines` has a line in each row.
///
/// # Safety
///
/// The lines must be readable, and `width` elements of each of `k` rows writable. There are no more than
/// [`MOST_LINES`] lines of 16 bits.
#[inline]
pub(crate) unsafe fn lines<T: Element>(
    kernels: &Kernels<T>,
    lines: Operand<T>,
    width: usize,
    k: usize,
    to: *mut T,
    pitch: usize,
) {
    // SAFETY: required of the caller.
    unsafe {
        match lines {
            Operand::Plain(lines) => match (lines.down, lines.across) {
                (1, _) => side_by_side(lines, width, k, to, pitch),
                (_, 1) => (kernels.across)(lines, width, k, to, pitch),
                _ => one_by_one(lines, 0..width, 0..k, pitch, to),
            },
            Operand::Half(lines, widen) => match lines.down {
                1 => widen.rows(lines.transposed(), [k, width], to, pitch),
                _ => widened(kernels, lines, widen, [width, k], to, pitch),
            },
        }
    }
}

/// Lines of 16 bits that do not lie side by side: runs of them are widened first.
///
/// # Safety
///
/// As for [`lines`].
unsafe fn widened<T: Element>(
    kernels: &Kernels<T>,
    lines: Matrix<u16>,
    widen: Widen<T>,
    [width, k]: [usize; 2],
    to: *mut T,
    pitch: usize,
) {
    let mut wide = [T::ZERO; MOST_LINES * RUN];
    let mut narrow = [0; RUN];
    let wide = wide.as_mut_ptr();
    for start in (0..k).step_by(RUN) {
        let terms = RUN.min(k - start);
        // SAFETY: required of the caller; a run of each line has room.
        unsafe {
            for i in 0..width {
                let mut from = lines.at(i, start);
                if lines.across != 1 {
                    for (l, element) in narrow[..terms].iter_mut().enumerate() {
                        *element = *lines.at(i, start + l);
                    }
                    from = narrow.as_ptr();
                }
                widen.run(from, terms, wide.add(i * RUN));
            }
            let lines = Matrix { first: wide.cast_const(), down: RUN as isize, across: 1 };
            (kernels.across)(lines, width, terms, to.add(start * pitch), pitch);
        }
    }
}

/// Lines that lie side by side: what is packed together lies together.
///
/// # Safety
///
/// As for [`lines`].
unsafe fn side_by_side<T: Element>(
    lines: Matrix<T>,
    width: usize,
    k: usize,
    to: *mut T,
    pitch: usize,
) {
    for l in 0..k {
        // SAFETY: required of the caller.
        unsafe { std::ptr::copy_nonoverlapping(lines.at(0, l), to.add(l * pitch), width) };
    }
}

/// Packs rows of so many terms and columns as panels of two vectors, the last of whole ones: those beyond the rows are 0.
pub(crate) type Beside<T> = unsafe fn(Matrix<T>, [usize; 2], *mut T);

/// Row by row: what memory brings in lies together.
///
/// # Safety
///
/// The rows must be readable, and there must be room for the panels, on a processor that has the vectors of `S`.
#[inline(always)]
pub(crate) unsafe fn beside<S: Simd>(
    rows: Matrix<S::Element>,
    [terms, width]: [usize; 2],
    to: *mut S::Element,
) {
    let columns = 2 * S::LANES;
    let (panels, rest) = (width / columns, width % columns);
    for l in 0..terms {
        let (mut from, mut to) = (rows.at(l, 0), to.wrapping_add(l * columns));
        // SAFETY: required of the caller.
        unsafe {
            for _ in 0..panels {
                let both = [S::load(from), S::load(from.add(S::LANES))];
                S::store(to, both[0]);
                S::store(to.add(S::LANES), both[1]);
                from = from.wrapping_add(columns);
                to = to.wrapping_add(columns * terms);
            }
        }
    }
    let last = to.wrapping_add(panels * columns * terms);
    let pitch = rest.next_multiple_of(S::LANES);
    for l in (0..terms).filter(|_| rest > 0) {
        let (from, to) = (rows.at(l, panels * columns), last.wrapping_add(l * pitch));
        // SAFETY: required of the caller.
        unsafe {
            for at in (0..rest).step_by(S::LANES) {
                let vector = match rest - at {
                    part if part < S::LANES => S::load_part(from.add(at), part),
                    _ => S::load(from.add(at)),
                };
                S::store(to.add(at), vector);
            }
        }
    }
}

/// Lines whose elements lie one after the other, as [`lines`] packs them.
pub(crate) type Across<T> = unsafe fn(Matrix<T>, usize, usize, *mut T, usize);

/// Lines whose elements lie one after the other: a transposition, of as many lines at once as half a vector has lanes: more
/// may evict each other from L1 before they are read. But where a vector is a cache line, that is read at once.
///
/// # Safety
///
/// As for [`lines`], on a processor that has the vectors of `S`.
#[inline(always)]
pub(crate) unsafe fn across<S: Simd>(
    lines: Matrix<S::Element>,
    width: usize,
    k: usize,
    to: *mut S::Element,
    pitch: usize,
) where
    S::Element: Element,
{
    let [rows, columns] = S::Element::BLOCK;
    let whole_k = k / columns * columns;
    let run = RUN_BYTES / size_of::<S::Element>();
    // SAFETY: required of the caller; blocks are within the lines.
    unsafe {
        let mut whole = 0;
        if size_of::<S::Vector>() == LINE {
            let head = head::<S>(lines).min(k);
            for elements in [0..head, head..k] {
                whole = turn::<S>(lines, 0..width, elements, to, pitch, false);
            }
        }
        let mut done = whole;
        for start in (0..k).step_by(run).filter(|_| whole < width) {
            let end = k.min(start + run);
            done = turn::<S::Half>(lines, whole..width, start..end, to, pitch, true);
            // What is left is packed with lines before it, again, if that is less work: of 14 rows the last six with two.
            if width - done > rows && width >= S::Half::LANES {
                let last = width - S::Half::LANES;
                done = turn::<S::Half>(lines, last..width, start..end, to, pitch, true);
            }
            let whole_end = whole_k.min(end);
            while done < width && rows <= width {
                let first = done.min(width - rows);
                for l in (start..whole_end).step_by(columns) {
                    S::Element::transpose(
                        lines.at(first, l),
                        lines.down,
                        to.add(l * pitch + first),
                        pitch,
                    );
                }
                one_by_one(lines, first..first + rows, whole_end.max(start)..end, pitch, to);
                done = first + rows;
            }
        }
        one_by_one(lines, done..width, 0..k, pitch, to);
    }
}

/// Whether of so many lines more share a set of L1 than it holds: they evict each other.
pub(crate) fn are_crowded<T>(lines: Matrix<T>, count: usize) -> bool {
    let down = lines.down * size_of::<T>() as isize;
    let sets = PAGE >> down.trailing_zeros().min(PAGE.ilog2());
    count > sets * WAYS
}

/// How many elements of lines come before vectors lie within cache lines, where these must be read at once.
pub(crate) fn head<S: Simd>(lines: Matrix<S::Element>) -> usize {
    let vector = size_of::<S::Vector>();
    let past = lines.first as usize % vector;
    match past > 0 && are_crowded(lines, S::LANES) {
        true => (vector - past) / size_of::<S::Element>(),
        false => 0,
    }
}

/// Asks for what is read next of a line.
#[inline(always)]
fn prefetch_run<S: Simd>(next: *const S::Element) {
    (0..RUN_BYTES).step_by(LINE).for_each(|at| S::prefetch_near(next.wrapping_byte_add(at)));
}

/// Packs as many of these lines as make whole vectors, and returns where the others begin. It may ask memory for what
/// follows.
///
/// # Safety
///
/// As for [`across`].
#[inline(always)]
unsafe fn turn<S: Simd>(
    lines: Matrix<S::Element>,
    which: Range<usize>,
    elements: Range<usize>,
    to: *mut S::Element,
    pitch: usize,
    asks: bool,
) -> usize
where
    S::Element: Element,
{
    let mut first = which.start;
    let whole = elements.start + elements.len() / S::LANES * S::LANES;
    while first + S::LANES <= which.end {
        // SAFETY: required of the caller; there are so many lines.
        unsafe {
            for line in (first..first + S::LANES).filter(|_| asks) {
                prefetch_run::<S>(lines.at(line, elements.end));
            }
            let place =
                |l: usize| Place::<S> { to: to.add(l * pitch + first), pitch: pitch as isize };
            for l in (elements.start..whole).step_by(S::LANES) {
                S::turn(lines.at(first, l), lines.down, &mut place(l));
            }
            if whole < elements.end {
                let (from, rest) = (lines.at(first, whole), elements.end - whole);
                S::turn_part(from, lines.down, rest, &mut place(whole));
            }
        }
        first += S::LANES;
    }
    first
}

/// # Safety
///
/// As for [`lines`]; the ranges are within them.
unsafe fn one_by_one<T: Element>(
    lines: Matrix<T>,
    which: Range<usize>,
    elements: Range<usize>,
    pitch: usize,
    to: *mut T,
) {
    for l in elements {
        for i in which.clone() {
            // SAFETY: required of the caller.
            unsafe { *to.add(l * pitch + i) = *lines.at(i, l) };
        }
    }
}

/// Transposes a block of four rows of `f32`, which are `down` elements apart, into four columns.
///
/// # Safety
///
/// Four elements of four rows must be readable; four of each of four rows, `pitch` elements apart,
/// writable.
#[inline(always)]
pub(crate) unsafe fn transpose_f32(from: *const f32, down: isize, to: *mut f32, pitch: usize) {
    // SAFETY: required of the caller.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{
                _mm_loadu_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_storeu_ps, _mm_unpackhi_ps,
                _mm_unpacklo_ps,
            };
            let [a, b, c, d] =
                std::array::from_fn(|row| _mm_loadu_ps(from.offset(row as isize * down)));
            let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
            _mm_storeu_ps(to, _mm_movelh_ps(ab, cd));
            _mm_storeu_ps(to.add(pitch), _mm_movehl_ps(cd, ab));
            _mm_storeu_ps(to.add(2 * pitch), _mm_movelh_ps(ab_high, cd_high));
            _mm_storeu_ps(to.add(3 * pitch), _mm_movehl_ps(cd_high, ab_high));
        }
        #[cfg(not(target_arch = "x86_64"))]
        for row in 0..4 {
            for column in 0..4 {
                *to.add(column * pitch + row) = *from.offset(row as isize * down).add(column);
            }
        }
    }
}

/// Transposes a block of two rows of `f64`, which are `down` elements apart, into two columns.
///
/// # Safety
///
/// As for [`transpose_f32`], with two for four.
#[inline(always)]
pub(crate) unsafe fn transpose_f64(from: *const f64, down: isize, to: *mut f64, pitch: usize) {
    // SAFETY: required of the caller.
    unsafe {
        let [a, b] =
            [from.cast::<[f64; 2]>(), from.offset(down).cast()].map(|p| p.read_unaligned());
        to.cast::<[f64; 2]>().write_unaligned([a[0], b[0]]);
        to.add(pitch).cast::<[f64; 2]>().write_unaligned([a[1], b[1]]);
    }
}
