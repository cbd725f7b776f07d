//! Sums and extremes of blocks of floats in vectors. Compilers, left alone, keep stripes in memory.
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, unused_macros, reason = "other machines have no versions of their own yet")
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod columns;
#[cfg(target_arch = "x86_64")]
mod machine;
#[cfg(target_arch = "x86_64")]
mod rows;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
pub(super) use columns::{BURST, Columns, Results};

use std::any::TypeId;

/// The vectors of a machine.
pub(super) trait Machine {
    /// The sum of a block in its order, if there are vectors of such elements.
    fn sum<T: Copy + 'static>(block: &[T]) -> Option<T>;

    /// The largest element of a block, or the least; of zeros any. Of a block with NaN, it is NaN. `None`
    /// where there are no such vectors.
    fn extreme<T: Copy + 'static, const LARGEST: bool>(block: &[T]) -> Option<T>;

    /// Whether there are vectors of such elements.
    fn has_vectors_of<T: 'static>() -> bool;

    /// Adds `CHAIN` rows of elements of each of some stripes, one after the other, and then the stripes in
    /// halves. There must be vectors of such elements.
    ///
    /// # Safety
    ///
    /// There must be `sums.width` elements of each row, which the sums may be among, and all sums.
    unsafe fn add<T: Copy + 'static, const STRIPES: usize, const CHAIN: usize>(
        from: [[*const T; CHAIN]; STRIPES],
        sums: Sums<T>,
    );

    /// The sums of rows that follow one another in memory, of up to as many elements as a vector has.
    ///
    /// # Safety
    ///
    /// There must be `rows * len` elements, and room for the sums.
    unsafe fn add_short<T: Copy + 'static>(
        from: *const T,
        rows: usize,
        len: usize,
        to: *mut T,
    ) -> bool;

    /// The [`sum`](Machine::sum) of each of some rows, as many at a time as a vector has lanes. Returns how
    /// many rows are done, here and below.
    ///
    /// # Safety
    ///
    /// The rows must be there, and room for the sums.
    unsafe fn sums<T: Copy + 'static>(rows: Blocked<T>, to: *mut T) -> usize;

    /// The [`extreme`](Machine::extreme) of each of some rows; NaN also of others where one has NaN.
    ///
    /// # Safety
    ///
    /// As above, and rows must have elements.
    unsafe fn extremes<T: Copy + 'static, const LARGEST: bool>(
        rows: Blocked<T>,
        to: *mut T,
    ) -> usize;

    /// As above, with the places of these or of the first NaN; of some short rows that follow one another in memory.
    ///
    /// # Safety
    ///
    /// As above.
    unsafe fn places<T: Copy + 'static, const LARGEST: bool>(
        rows: Blocked<T>,
        to: *mut (T, usize),
    ) -> usize;

    /// The sum of each of some rows side by side that have one element in each stripe, if there are vectors
    /// of such elements.
    ///
    /// # Safety
    ///
    /// The rows must be there, and room for what they come to.
    unsafe fn sum_columns<T: Copy + 'static>(rows: Columns<T>, to: Results<T>) -> bool;

    /// The largest element of each of some rows side by side, or the least; of zeros any; NaN if one is.
    ///
    /// # Safety
    ///
    /// As above.
    unsafe fn best_of_columns<T: Copy + 'static, const LARGEST: bool>(
        rows: Columns<T>,
        to: Results<T>,
    ) -> bool;

    /// Where these are, or the first NaN is.
    ///
    /// # Safety
    ///
    /// As above.
    unsafe fn places_of_columns<T: Copy + 'static, const LARGEST: bool>(
        rows: Columns<T>,
        to: Results<i64>,
    ) -> bool;
}

/// Where sums of rows of elements go.
#[derive(Clone, Copy)]
pub(super) struct Sums<T> {
    pub(super) to: *mut T,
    /// Whether the first stripe goes on from what is there.
    pub(super) goes_on: bool,
    /// How many sums before these are added to them, of which the first is the place of the result.
    pub(super) below: usize,
    /// Elements from one of those to the next.
    pub(super) pitch: usize,
    /// Elements of each sum.
    pub(super) width: usize,
}

impl<T> Sums<T> {
    fn of<U>(self) -> Sums<U> {
        let Sums { to, goes_on, below, pitch, width } = self;
        Sums { to: to.cast(), goes_on, below, pitch, width }
    }
}

/// Rows of up to a block of elements each.
#[derive(Clone, Copy)]
pub(super) struct Blocked<T> {
    pub(super) from: *const T,
    pub(super) rows: usize,
    pub(super) len: usize,
    /// Bytes from row to row.
    pub(super) step: isize,
}

impl<T> Blocked<T> {
    /// The elements of a row.
    pub(super) fn row(&self, row: usize) -> *const T {
        self.from.wrapping_byte_offset(row as isize * self.step)
    }

    fn of<U>(self) -> Blocked<U> {
        let Blocked { from, rows, len, step } = self;
        Blocked { from: from.cast(), rows, len, step }
    }
}

/// One without vectors.
pub(super) struct Plain;

impl Machine for Plain {
    fn sum<T: Copy + 'static>(_: &[T]) -> Option<T> {
        None
    }

    fn extreme<T: Copy + 'static, const LARGEST: bool>(_: &[T]) -> Option<T> {
        None
    }

    fn has_vectors_of<T: 'static>() -> bool {
        false
    }

    unsafe fn add<T: Copy + 'static, const STRIPES: usize, const CHAIN: usize>(
        _: [[*const T; CHAIN]; STRIPES],
        _: Sums<T>,
    ) {
        unreachable!("there are no vectors");
    }

    unsafe fn add_short<T: Copy + 'static>(_: *const T, _: usize, _: usize, _: *mut T) -> bool {
        false
    }

    unsafe fn sums<T: Copy + 'static>(_: Blocked<T>, _: *mut T) -> usize {
        0
    }

    unsafe fn extremes<T: Copy + 'static, const LARGEST: bool>(_: Blocked<T>, _: *mut T) -> usize {
        0
    }

    unsafe fn places<T: Copy + 'static, const LARGEST: bool>(
        _: Blocked<T>,
        _: *mut (T, usize),
    ) -> usize {
        0
    }

    unsafe fn sum_columns<T: Copy + 'static>(_: Columns<T>, _: Results<T>) -> bool {
        false
    }

    unsafe fn best_of_columns<T: Copy + 'static, const LARGEST: bool>(
        _: Columns<T>,
        _: Results<T>,
    ) -> bool {
        false
    }

    unsafe fn places_of_columns<T: Copy + 'static, const LARGEST: bool>(
        _: Columns<T>,
        _: Results<i64>,
    ) -> bool {
        false
    }
}

/// A vector of floats. Its functions may be called where the machine has such vectors.
pub(super) trait Vector: Copy {
    type Element: Copy + 'static;
    /// A choice of lanes.
    type Mask: Copy;
    const LANES: usize;
    /// What changes no sum.
    const NEGATIVE_ZERO: Self::Element;
    const NAN: Self::Element;
    const ONE: Self::Element;

    /// A small number.
    fn number(of: usize) -> Self::Element;

    unsafe fn splat(element: Self::Element) -> Self;
    unsafe fn load(from: *const Self::Element) -> Self;
    /// The first `count` elements, fewer than there are lanes or as many, and others after them.
    unsafe fn load_some(from: *const Self::Element, count: usize, others: Self) -> Self;
    unsafe fn store(self, to: *mut Self::Element);
    /// The first `count` elements, fewer than there are lanes.
    unsafe fn store_some(self, to: *mut Self::Element, count: usize);
    unsafe fn add(self, other: Self) -> Self;
    /// The larger one or the lesser: `other` where one is NaN, and where both are zeros.
    unsafe fn better<const LARGEST: bool>(self, other: Self) -> Self;
    unsafe fn no_lane() -> Self::Mask;
    /// The lanes of a mask, and those in which one of the two is NaN.
    unsafe fn odd(mask: Self::Mask, a: Self, b: Self) -> Self::Mask;
    unsafe fn is_any(mask: Self::Mask) -> bool;
    /// The lanes in which this is larger than the other, or less, or NaN, but for some.
    unsafe fn beyond<const LARGEST: bool>(self, other: Self, but: Self::Mask) -> Self::Mask;
    /// The lanes of a mask of one vector, and the others of another.
    unsafe fn choose(mask: Self::Mask, these: Self, others: Self) -> Self;
    /// The first `count` elements, which are integers.
    unsafe fn store_integers(self, to: *mut i64, count: usize);
    /// Merges lane `j` with lane `j + LANES / 2`, and so on.
    unsafe fn in_halves(self, merge: impl Fn(Self, Self) -> Self) -> Self::Element;
}

/// A vector whose lanes can be put into any order.
pub(super) trait Ordered: Vector {
    /// Where each lane comes from.
    type Order: Copy;

    /// Lane `j` is lane `from(j)` of one vector, or `from(j) - LANES` of another.
    unsafe fn order(from: impl Fn(usize) -> usize) -> Self::Order;
    unsafe fn pick(self, other: Self, order: Self::Order) -> Self;
}

/// The vectors of a part of a block.
#[inline(always)]
unsafe fn vectors<V: Vector, const N: usize>(from: *const V::Element) -> [V; N] {
    // SAFETY: required of the caller.
    unsafe {
        let mut vectors = [V::splat(V::NEGATIVE_ZERO); N];
        for (index, vector) in vectors.iter_mut().enumerate() {
            *vector = V::load(from.add(index * V::LANES));
        }
        vectors
    }
}

/// The vectors of the last part of a block, which has `count` elements.
#[inline(always)]
unsafe fn last_vectors<V: Vector, const N: usize>(
    from: *const V::Element,
    count: usize,
    others: V::Element,
) -> [V; N] {
    // SAFETY: required of the caller; nothing is read after the elements.
    unsafe {
        let others = V::splat(others);
        let mut vectors = [others; N];
        for (index, vector) in vectors.iter_mut().enumerate() {
            let left = count.saturating_sub(index * V::LANES).min(V::LANES);
            *vector = V::load_some(from.wrapping_add(index * V::LANES), left, others);
        }
        vectors
    }
}

/// The sum of a block, with `N` vectors of stripes: 2048 bits of them, or fewer if each element has one.
///
/// # Safety
///
/// The machine must have these vectors.
#[inline(always)]
unsafe fn sum<V: Vector, const N: usize>(block: &[V::Element]) -> V::Element {
    // SAFETY: required of the caller.
    unsafe { sum_lanes::<V, N>(block.as_ptr(), block.len()).in_halves(|a, b| a.add(b)) }
}

/// The same but for the lanes of the last vector, which are left.
///
/// # Safety
///
/// The machine must have these vectors, and the block `len` elements.
#[inline(always)]
unsafe fn sum_lanes<V: Vector, const N: usize>(from: *const V::Element, len: usize) -> V {
    let part = N * V::LANES;
    // SAFETY: required of the caller; loads are within the block.
    unsafe {
        let mut stripes = [V::splat(V::NEGATIVE_ZERO); N];
        let whole = len / part * part;
        for at in (0..whole).step_by(part) {
            let row = vectors::<V, N>(from.add(at));
            for index in 0..N {
                stripes[index] = stripes[index].add(row[index]);
            }
        }
        if whole < len {
            let row = last_vectors::<V, N>(from.add(whole), len - whole, V::NEGATIVE_ZERO);
            for index in 0..N {
                stripes[index] = stripes[index].add(row[index]);
            }
        }
        merged(stripes, |a, b| a.add(b))
    }
}

/// The largest element or the least, of zeros any; NaN if one is.
///
/// # Safety
///
/// The machine must have these vectors.
#[inline(always)]
unsafe fn extreme<V: Vector, const N: usize, const LARGEST: bool>(
    block: &[V::Element],
) -> V::Element {
    // SAFETY: required of the caller.
    unsafe {
        let none = V::no_lane();
        let (best, odd) = extreme_lanes::<V, N, LARGEST>(block.as_ptr(), block.len(), none);
        match V::is_any(odd) {
            true => V::NAN,
            false => best.in_halves(|a, b| a.better::<LARGEST>(b)),
        }
    }
}

/// The same but for the lanes of the last vector, which are left; and `odd` with the lanes in which NaN was.
///
/// # Safety
///
/// The machine must have these vectors, and the block `len` elements, at least one.
#[inline(always)]
unsafe fn extreme_lanes<V: Vector, const N: usize, const LARGEST: bool>(
    from: *const V::Element,
    len: usize,
    mut odd: V::Mask,
) -> (V, V::Mask) {
    let part = N * V::LANES;
    // SAFETY: required of the caller; loads are within the block.
    unsafe {
        let first = *from;
        let mut best = [V::splat(first); N];
        odd = V::odd(odd, best[0], best[0]);
        let mut add = |row: [V; N]| {
            for index in 0..N {
                best[index] = row[index].better::<LARGEST>(best[index]);
            }
            for index in (0..N).step_by(2) {
                odd = V::odd(odd, row[index], row[(index + 1) % N]);
            }
        };
        let whole = len / part * part;
        for at in (0..whole).step_by(part) {
            add(vectors::<V, N>(from.add(at)));
        }
        if whole < len {
            add(last_vectors::<V, N>(from.add(whole), len - whole, first));
        }
        (merged(best, |a, b| a.better::<LARGEST>(b)), odd)
    }
}

/// Vectors of stripes, merged in halves.
#[inline(always)]
fn merged<V: Vector, const N: usize>(mut stripes: [V; N], merge: impl Fn(V, V) -> V) -> V {
    let mut half = N / 2;
    while half > 0 {
        for index in 0..half {
            stripes[index] = merge(stripes[index], stripes[index + half]);
        }
        half /= 2;
    }
    stripes[0]
}

/// Whether two types are the same.
fn is<T: 'static, U: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<U>()
}

/// A slice of elements of a type that turns out to be another's.
fn of_type<T: Copy + 'static, U: Copy + 'static>(block: &[T]) -> Option<&[U]> {
    // SAFETY: they are the same type.
    (TypeId::of::<T>() == TypeId::of::<U>())
        .then(|| unsafe { std::slice::from_raw_parts(block.as_ptr().cast(), block.len()) })
}

/// The same for one element.
fn back<T: Copy + 'static, U: Copy + 'static>(element: U) -> T {
    assert!(TypeId::of::<T>() == TypeId::of::<U>());
    // SAFETY: they are the same type.
    unsafe { std::mem::transmute_copy(&element) }
}
