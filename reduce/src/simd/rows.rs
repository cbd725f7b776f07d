//! Sums, extremes and their places of many rows at once: a lane of a vector has what is of one row.

use super::columns::{BURST, add as plus, keep, some};
use super::{Blocked, Ordered, Sums, Vector, extreme_lanes, sum_lanes};

/// See [`Machine::add`](super::Machine::add).
#[inline(always)]
pub(super) unsafe fn add<V: Vector, const STRIPES: usize, const CHAIN: usize>(
    from: &[[*const V::Element; CHAIN]; STRIPES],
    sums: Sums<V::Element>,
) {
    let (lanes, width) = (V::LANES, sums.width);
    let mut at = 0;
    // SAFETY: required of the caller.
    unsafe {
        while at + BURST * lanes <= width {
            add_at::<V, BURST, STRIPES, CHAIN>(from, &sums, at, lanes);
            at += BURST * lanes;
        }
        while at + lanes <= width {
            add_at::<V, 1, STRIPES, CHAIN>(from, &sums, at, lanes);
            at += lanes;
        }
        if at < width {
            add_at::<V, 1, STRIPES, CHAIN>(from, &sums, at, width - at);
        }
    }
}

/// The same for `N` vectors, of which the last has `count` elements.
#[inline(always)]
unsafe fn add_at<V: Vector, const N: usize, const STRIPES: usize, const CHAIN: usize>(
    from: &[[*const V::Element; CHAIN]; STRIPES],
    sums: &Sums<V::Element>,
    at: usize,
    count: usize,
) {
    let mut to = sums.to.wrapping_add(at);
    // No closures: they would have no vectors of their own where they are not inlined.
    macro_rules! stripe {
        ($index:literal) => {{
            let rows = &from[$index % STRIPES];
            let mut stripe = several::<V, N>(rows[0].wrapping_add(at), count);
            if STRIPES == 1 && sums.goes_on {
                stripe = plus(several(to, count), stripe);
            }
            for row in &rows[1..] {
                stripe = plus(stripe, several(row.wrapping_add(at), count));
            }
            stripe
        }};
    }
    // In the order of the tree, so that few wait.
    macro_rules! stripes {
        ($left:literal $right:literal) => {
            plus(stripe!($left), stripe!($right))
        };
    }
    // SAFETY: required of the caller.
    unsafe {
        let mut sum = match STRIPES {
            1 => stripe!(0),
            2 => stripes!(0 1),
            4 => plus(stripes!(0 2), stripes!(1 3)),
            8 => {
                let even = plus(stripes!(0 4), stripes!(2 6));
                plus(even, plus(stripes!(1 5), stripes!(3 7)))
            }
            _ => unreachable!("there are no such leaves"),
        };
        for _ in 0..sums.below {
            to = to.wrapping_sub(sums.pitch);
            sum = plus(several(to, count), sum);
        }
        for (number, sum) in sum.into_iter().enumerate() {
            keep(sum, to.add(number * V::LANES), count);
        }
    }
}

/// `N` vectors, or the first elements of one.
#[inline(always)]
unsafe fn several<V: Vector, const N: usize>(from: *const V::Element, count: usize) -> [V; N] {
    // SAFETY: required of the caller.
    unsafe {
        let mut vectors = [V::splat(V::NEGATIVE_ZERO); N];
        for (number, vector) in vectors.iter_mut().enumerate() {
            *vector = some(from.add(number * V::LANES), count);
        }
        vectors
    }
}

/// See [`Machine::add_short`](super::Machine::add_short).
#[inline(always)]
pub(super) unsafe fn add_short<V: Ordered>(
    from: *const V::Element,
    rows: usize,
    len: usize,
    to: *mut V::Element,
) -> bool {
    // SAFETY: required of the caller.
    unsafe {
        match (len.next_power_of_two(), len.is_power_of_two()) {
            (2, _) => short::<V, 2, true>(from, rows, len, to),
            (4, true) => short::<V, 4, true>(from, rows, len, to),
            (4, false) => short::<V, 4, false>(from, rows, len, to),
            (8, true) if V::LANES >= 8 => short::<V, 8, true>(from, rows, len, to),
            (8, false) if V::LANES >= 8 => short::<V, 8, false>(from, rows, len, to),
            (16, true) if V::LANES >= 16 => short::<V, 16, true>(from, rows, len, to),
            (16, false) if V::LANES >= 16 => short::<V, 16, false>(from, rows, len, to),
            _ => return false,
        }
    }
    true
}

/// Elements from the first one of `P` vectors of short rows to the last one that is read.
fn reads<V: Vector, const P: usize>(len: usize) -> usize {
    (P - 1) * (V::LANES / P) * len + V::LANES
}

/// Rows of up to `P` elements, as many as lanes at a time: each vector has some, filled up to `P` elements by
/// what changes no sum, unless rows are full. Halves are added to halves until a lane has the sum of a row.
#[inline(always)]
unsafe fn short<V: Ordered, const P: usize, const IS_FULL: bool>(
    from: *const V::Element,
    rows: usize,
    len: usize,
    to: *mut V::Element,
) {
    let len = if IS_FULL { P } else { len };
    let (elements, reads) = (rows * len, reads::<V, P>(len));
    // SAFETY: required of the caller.
    unsafe {
        let fill = V::order(|lane| match lane % P < len {
            true => lane / P * len + lane % P,
            false => V::LANES,
        });
        let mut row = 0;
        while row + V::LANES <= rows && row * len + reads <= elements {
            let sums = short_at::<V, P, IS_FULL, true>(from.add(row * len), len, reads, fill);
            sums.store(to.add(row));
            row += V::LANES;
        }
        while row < rows {
            let left = elements - row * len;
            let sums = short_at::<V, P, IS_FULL, false>(from.add(row * len), len, left, fill);
            keep(sums, to.add(row), V::LANES.min(rows - row));
            row += V::LANES;
        }
    }
}

/// A vector of such rows, from where `left` elements are; all that is read if the rows `ARE_THERE`.
#[inline(always)]
unsafe fn short_at<V: Ordered, const P: usize, const IS_FULL: bool, const ARE_THERE: bool>(
    from: *const V::Element,
    len: usize,
    left: usize,
    fill: V::Order,
) -> V {
    let step = V::LANES / P * len;
    // SAFETY: required of the caller.
    unsafe {
        let none = V::splat(V::NEGATIVE_ZERO);
        let mut vectors = [none; P];
        for (index, vector) in vectors.iter_mut().enumerate() {
            let at = index * step;
            *vector = match ARE_THERE {
                true => V::load(from.add(at)),
                false => some(from.wrapping_add(at), left.saturating_sub(at).min(V::LANES)),
            };
            if !IS_FULL {
                *vector = vector.pick(none, fill);
            }
        }
        in_halves(vectors, |a, b| a.add(b))
    }
}

/// Merges halves of `P` lanes, then of `P / 2`, until one is left of each: lane `j` of the result is what is
/// left of number `j` of all vectors, one after the other.
///
/// # Safety
///
/// The machine must have these vectors.
#[inline(always)]
unsafe fn in_halves<V: Ordered, const P: usize>(
    mut vectors: [V; P],
    merge: impl Fn(V, V) -> V,
) -> V {
    let mut half = P / 2;
    while half > 0 {
        // SAFETY: required of the caller.
        unsafe {
            let lower = V::order(|lane| lane / half * 2 * half + lane % half);
            let upper = V::order(|lane| lane / half * 2 * half + lane % half + half);
            for index in 0..half {
                let (a, b) = (vectors[2 * index], vectors[2 * index + 1]);
                vectors[index] = merge(a.pick(b, lower), a.pick(b, upper));
            }
        }
        half /= 2;
    }
    vectors[0]
}

/// See [`Machine::sums`](super::Machine::sums). Row by row each would wait for its own last few lanes.
#[inline(always)]
pub(super) unsafe fn sums<V: Ordered, const LANES: usize, const N: usize>(
    rows: Blocked<V::Element>,
    to: *mut V::Element,
) -> usize {
    let done = rows.rows / LANES * LANES;
    for first in (0..done).step_by(LANES) {
        // SAFETY: required of the caller.
        unsafe {
            let mut vectors = [V::splat(V::NEGATIVE_ZERO); LANES];
            for (index, vector) in vectors.iter_mut().enumerate() {
                *vector = sum_lanes::<V, N>(rows.row(first + index), rows.len);
            }
            in_halves(vectors, |a, b| a.add(b)).store(to.add(first));
        }
    }
    done
}

/// See [`Machine::extremes`](super::Machine::extremes).
#[inline(always)]
pub(super) unsafe fn extremes<
    V: Ordered,
    const LANES: usize,
    const N: usize,
    const LARGEST: bool,
>(
    rows: Blocked<V::Element>,
    to: *mut V::Element,
) -> usize {
    let done = rows.rows / LANES * LANES;
    let is_dense = rows.step == (rows.len * size_of::<V::Element>()) as isize;
    let first = match rows.len {
        // SAFETY: as above.
        2..=16 if is_dense && rows.len <= V::LANES => unsafe {
            best_of_short::<V, LARGEST>(rows, to)
        },
        _ => 0,
    };
    for first in (first..done).step_by(LANES) {
        // SAFETY: required of the caller.
        unsafe {
            let mut odd = V::no_lane();
            let mut vectors = [V::splat(V::NAN); LANES];
            for (index, vector) in vectors.iter_mut().enumerate() {
                let row = rows.row(first + index);
                (*vector, odd) = extreme_lanes::<V, N, LARGEST>(row, rows.len, odd);
            }
            let best = match V::is_any(odd) {
                true => V::splat(V::NAN),
                false => in_halves(vectors, |a, b| a.better::<LARGEST>(b)),
            };
            best.store(to.add(first));
        }
    }
    done
}

/// The same of short rows that follow one another, as [`add_short`] adds them, and as many as can be without reading
/// after the last one. Returns how many.
#[inline(always)]
unsafe fn best_of_short<V: Ordered, const LARGEST: bool>(
    rows: Blocked<V::Element>,
    to: *mut V::Element,
) -> usize {
    // SAFETY: required of the caller.
    unsafe {
        match rows.len.next_power_of_two() {
            2 => best::<V, 2, LARGEST>(rows, to),
            4 => best::<V, 4, LARGEST>(rows, to),
            8 if V::LANES >= 8 => best::<V, 8, LARGEST>(rows, to),
            16 if V::LANES >= 16 => best::<V, 16, LARGEST>(rows, to),
            _ => 0,
        }
    }
}

/// See [`short`]; rows are filled up with their own elements.
#[inline(always)]
unsafe fn best<V: Ordered, const P: usize, const LARGEST: bool>(
    rows: Blocked<V::Element>,
    to: *mut V::Element,
) -> usize {
    let (from, len) = (rows.from, rows.len);
    let (elements, reads) = (rows.rows * len, reads::<V, P>(len));
    let mut row = 0;
    // SAFETY: required of the caller.
    unsafe {
        let fill = V::order(|lane| lane / P * len + lane % P % len);
        while row + V::LANES <= rows.rows && row * len + reads <= elements {
            let vectors = filled::<V, P>(from.add(row * len), len, fill);
            let mut odd = V::no_lane();
            for &vector in &vectors {
                odd = V::odd(odd, vector, vector);
            }
            let best = match V::is_any(odd) {
                true => V::splat(V::NAN),
                false => in_halves(vectors, |a, b| a.better::<LARGEST>(b)),
            };
            best.store(to.add(row));
            row += V::LANES;
        }
    }
    row
}

/// `P` vectors of short rows, each filled up with its own elements.
#[inline(always)]
unsafe fn filled<V: Ordered, const P: usize>(
    from: *const V::Element,
    len: usize,
    fill: V::Order,
) -> [V; P] {
    // SAFETY: required of the caller.
    unsafe {
        let mut vectors = [V::splat(V::NAN); P];
        for (index, vector) in vectors.iter_mut().enumerate() {
            let loaded = V::load(from.add(index * (V::LANES / P) * len));
            *vector = if P == len { loaded } else { loaded.pick(loaded, fill) };
        }
        vectors
    }
}

/// See [`Machine::places`](super::Machine::places).
#[inline(always)]
pub(super) unsafe fn places<V: Ordered, const LARGEST: bool>(
    rows: Blocked<V::Element>,
    to: *mut (V::Element, usize),
) -> usize {
    let is_dense = rows.step == (rows.len * size_of::<V::Element>()) as isize;
    if !is_dense || rows.len > V::LANES {
        return 0;
    }
    // SAFETY: required of the caller.
    unsafe {
        match rows.len.next_power_of_two() {
            2 => places_of_short::<V, 2, LARGEST>(rows, to),
            4 => places_of_short::<V, 4, LARGEST>(rows, to),
            8 if V::LANES >= 8 => places_of_short::<V, 8, LARGEST>(rows, to),
            16 if V::LANES >= 16 => places_of_short::<V, 16, LARGEST>(rows, to),
            _ => 0,
        }
    }
}

/// See [`best`]. Each element is compared with its neighbour, then the better ones with theirs, and so on: what is on
/// the left comes first in its row, and stays where it is as good.
#[inline(always)]
unsafe fn places_of_short<V: Ordered, const P: usize, const LARGEST: bool>(
    rows: Blocked<V::Element>,
    to: *mut (V::Element, usize),
) -> usize {
    const MOST: usize = 16;
    let (from, len) = (rows.from, rows.len);
    let (elements, reads) = (rows.rows * len, reads::<V, P>(len));
    let mut row = 0;
    // SAFETY: required of the caller.
    unsafe {
        let fill = V::order(|lane| lane / P * len + lane % P % len);
        let (even, odd) = (V::order(|lane| 2 * lane), V::order(|lane| 2 * lane + 1));
        // Filled up with the elements of the row, whose places they have.
        let mut numbers = [V::NEGATIVE_ZERO; MOST];
        for (lane, number) in numbers.iter_mut().enumerate() {
            *number = V::number(lane % P % len);
        }
        let numbers = V::load(numbers.as_ptr());
        while row + V::LANES <= rows.rows && row * len + reads <= elements {
            let mut best = filled::<V, P>(from.add(row * len), len, fill);
            let mut places = [numbers; P];
            let mut half = P / 2;
            while half > 0 {
                for index in 0..half {
                    let (a, b) = (best[2 * index], best[2 * index + 1]);
                    let (left, right) = (a.pick(b, even), a.pick(b, odd));
                    let is_nan = V::odd(V::no_lane(), left, left);
                    let takes = right.beyond::<LARGEST>(left, is_nan);
                    best[index] = V::choose(takes, right, left);
                    let (a, b) = (places[2 * index], places[2 * index + 1]);
                    places[index] = V::choose(takes, a.pick(b, odd), a.pick(b, even));
                }
                half /= 2;
            }
            let mut of_rows = [V::NEGATIVE_ZERO; MOST];
            let mut at = [0i64; MOST];
            best[0].store(of_rows.as_mut_ptr());
            places[0].store_integers(at.as_mut_ptr(), V::LANES);
            for (lane, (&best, &at)) in of_rows.iter().zip(&at).enumerate().take(V::LANES) {
                to.add(row + lane).write((best, at as usize));
            }
            row += V::LANES;
        }
    }
    row
}
