//! Sums of many rows at once: a lane of a vector has what is of one row.

use super::{Blocked, Ordered, Sums, Vector, extreme_lanes, merged, sum_lanes};

/// See [`Machine::add`](super::Machine::add).
#[inline(always)]
pub(super) unsafe fn add<V: Vector, const STRIPES: usize, const CHAIN: usize>(
    from: [[*const V::Element; CHAIN]; STRIPES],
    sums: Sums<V::Element>,
) {
    // SAFETY: required of the caller.
    unsafe {
        match sums.goes_on || sums.below > 0 {
            true => add_all::<V, STRIPES, CHAIN, true>(from, sums),
            false => add_all::<V, STRIPES, CHAIN, false>(from, sums),
        }
    }
}

/// The same; `IS_MORE` tells that there are other sums to add.
#[inline(always)]
unsafe fn add_all<V: Vector, const STRIPES: usize, const CHAIN: usize, const IS_MORE: bool>(
    from: [[*const V::Element; CHAIN]; STRIPES],
    sums: Sums<V::Element>,
) {
    let whole = sums.width / V::LANES * V::LANES;
    // SAFETY: required of the caller.
    unsafe {
        for at in (0..whole).step_by(V::LANES) {
            add_at::<V, STRIPES, CHAIN, IS_MORE>(&from, &sums, at, V::LANES);
        }
        if whole < sums.width {
            let left = sums.width - whole;
            add_at::<V, STRIPES, CHAIN, IS_MORE>(&from, &sums, whole, left);
        }
    }
}

/// The same for `count` elements, at most those of a vector.
#[inline(always)]
unsafe fn add_at<V: Vector, const STRIPES: usize, const CHAIN: usize, const IS_MORE: bool>(
    from: &[[*const V::Element; CHAIN]; STRIPES],
    sums: &Sums<V::Element>,
    at: usize,
    count: usize,
) {
    // SAFETY: required of the caller.
    unsafe {
        let mut to = sums.to.add(at);
        let mut stripes = [V::splat(V::NEGATIVE_ZERO); STRIPES];
        // No closures: they would have no vectors of their own where they are not inlined.
        for (stripe, rows) in stripes.iter_mut().zip(from) {
            *stripe = some(rows[0].add(at), count);
            if IS_MORE && STRIPES == 1 && sums.goes_on {
                *stripe = some::<V>(to, count).add(*stripe);
            }
            for row in &rows[1..] {
                *stripe = stripe.add(some(row.add(at), count));
            }
        }
        let mut sum = merged(stripes, |a, b| a.add(b));
        if IS_MORE {
            for _ in 0..sums.below {
                to = to.sub(sums.pitch);
                sum = some::<V>(to, count).add(sum);
            }
        }
        keep(sum, to, count);
    }
}

/// A vector, or the first elements of one.
#[inline(always)]
unsafe fn some<V: Vector>(from: *const V::Element, count: usize) -> V {
    // SAFETY: required of the caller.
    unsafe {
        match count == V::LANES {
            true => V::load(from),
            false => V::load_some(from, count, V::splat(V::NEGATIVE_ZERO)),
        }
    }
}

#[inline(always)]
unsafe fn keep<V: Vector>(vector: V, to: *mut V::Element, count: usize) {
    // SAFETY: required of the caller.
    unsafe {
        match count == V::LANES {
            true => vector.store(to),
            false => vector.store_some(to, count),
        }
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

/// Rows of up to `P` elements, as many as lanes at a time: each vector has some, filled up to `P` elements by
/// what changes no sum, unless rows are full. Halves are added to halves until a lane has the sum of a row.
#[inline(always)]
unsafe fn short<V: Ordered, const P: usize, const IS_FULL: bool>(
    from: *const V::Element,
    rows: usize,
    len: usize,
    to: *mut V::Element,
) {
    let of_vector = V::LANES / P;
    let len = if IS_FULL { P } else { len };
    let elements = rows * len;
    // Elements from the first one of the first vector to the last one that is read of the last.
    let reads = (P - 1) * of_vector * len + V::LANES;
    // SAFETY: required of the caller.
    unsafe {
        let none = V::splat(V::NEGATIVE_ZERO);
        let fill = V::order(|lane| match lane % P < len {
            true => lane / P * len + lane % P,
            false => V::LANES,
        });
        let mut row = 0;
        while row < rows {
            let first = row * len;
            let mut vectors = [none; P];
            if first + reads <= elements {
                for (index, vector) in vectors.iter_mut().enumerate() {
                    *vector = V::load(from.add(first + index * of_vector * len));
                }
            } else {
                for (index, vector) in vectors.iter_mut().enumerate() {
                    let at = first + index * of_vector * len;
                    *vector =
                        some(from.wrapping_add(at), elements.saturating_sub(at).min(V::LANES));
                }
            }
            if !IS_FULL {
                for vector in &mut vectors {
                    *vector = vector.pick(none, fill);
                }
            }
            let sums = in_halves(vectors, |a, b| a.add(b));
            keep(sums, to.add(row), V::LANES.min(rows - row));
            row += V::LANES;
        }
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
    let of_vector = V::LANES / P;
    let (from, len) = (rows.from, rows.len);
    let elements = rows.rows * len;
    let reads = (P - 1) * of_vector * len + V::LANES;
    let mut row = 0;
    // SAFETY: required of the caller.
    unsafe {
        let fill = V::order(|lane| lane / P * len + lane % P % len);
        while row + V::LANES <= rows.rows && row * len + reads <= elements {
            let mut odd = V::no_lane();
            let mut vectors = [V::splat(V::NAN); P];
            for (index, vector) in vectors.iter_mut().enumerate() {
                let loaded = V::load(from.add((row + index * of_vector) * len));
                *vector = if P == len { loaded } else { loaded.pick(loaded, fill) };
                odd = V::odd(odd, *vector, *vector);
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
