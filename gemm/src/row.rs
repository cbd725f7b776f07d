//! A product of a single row: the right operand is read once, as fast as memory gives it.

use crate::blocked::Element;
use crate::matrix::Matrix;
use crate::pack;
use crate::simd::Simd;

/// Rows of the right operand that are read side by side: each is a stream, and the result is loaded and
/// stored once for all of them.
const STREAMS: usize = 8;
/// Bytes of the result that stay in L1 meanwhile.
const STRIP: usize = 16 << 10;

/// Elements of a column that are turned at once, where columns are what lies together.
const RUN: usize = 32;
/// The most lanes of a vector.
const MOST_LANES: usize = 16;

/// `(k, n, a, b, c)`: the row `a` times `b`, of which columns lie side by side, or each element after
/// element. Columns of `c` lie side by side.
pub(crate) type Run<T> = unsafe fn(usize, usize, Matrix<T>, Matrix<T>, *mut T);

/// An element that is multiplied alone, not in a vector.
pub(crate) trait Scalar: Copy {
    /// `self * b + c`, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;
}

macro_rules! scalar {
    ($($element:ty)*) => {$(
        impl Scalar for $element {
            #[inline(always)]
            fn fma(self, b: $element, c: $element) -> $element {
                self.mul_add(b, c)
            }
        }
    )*};
}

scalar! { f32 f64 }

/// # Safety
///
/// The processor must have the vectors of `S`. The operands must be readable and `c` writable, as
/// [`Run`] says.
#[inline(always)]
pub(crate) unsafe fn row<S: Simd>(
    k: usize,
    n: usize,
    a: Matrix<S::Element>,
    b: Matrix<S::Element>,
    c: *mut S::Element,
) where
    S::Element: Scalar + Element,
{
    if b.across != 1 {
        // SAFETY: required of the caller.
        return unsafe { columns::<S>(k, n, a, b, c) };
    }
    let strip = STRIP / size_of::<S::Element>();
    for start in (0..n).step_by(strip) {
        let width = strip.min(n - start);
        let mut l = 0;
        loop {
            let streams = STREAMS.min(k - l);
            let (from, to) = (b.at(l, start), c.wrapping_add(start));
            // SAFETY: rows `l` and the next ones, and this strip, are within the operands.
            unsafe {
                match streams {
                    STREAMS => streams_of::<S, STREAMS>(
                        l > 0,
                        a.at(0, l),
                        a.across,
                        from,
                        b.down,
                        to,
                        width,
                    ),
                    0 => streams_of::<S, 0>(l > 0, a.first, 0, from, 0, to, width),
                    _ => {
                        for l in l..l + streams {
                            let from = b.at(l, start);
                            streams_of::<S, 1>(l > 0, a.at(0, l), 0, from, 0, to, width);
                        }
                    }
                }
            }
            l += streams;
            if l == k {
                break;
            }
        }
    }
}

/// [`row`] where a column lies element after element: as many columns as a vector has lanes are turned,
/// a run at a time, in L1.
///
/// # Safety
///
/// As for [`row`].
#[inline(always)]
unsafe fn columns<S: Simd>(
    k: usize,
    n: usize,
    a: Matrix<S::Element>,
    b: Matrix<S::Element>,
    c: *mut S::Element,
) where
    S::Element: Scalar + Element,
{
    let zero = <S::Element as Element>::ZERO;
    let mut turned = [zero; RUN * MOST_LANES];
    let whole = n / S::LANES * S::LANES;
    // SAFETY: required of the caller: all elements are within the operands.
    unsafe {
        for side in (0..whole).step_by(S::LANES) {
            let mut sum = S::zero();
            for start in (0..k).step_by(RUN) {
                let terms = RUN.min(k - start);
                for column in side..side + S::LANES {
                    let next = b.at(start + RUN, column);
                    for ahead in 0..RUN * size_of::<S::Element>() / pack::LINE {
                        S::prefetch(next.wrapping_byte_add(ahead * pack::LINE));
                    }
                }
                let lines = b.from(start, side).transposed();
                pack::lines(lines, S::LANES, terms, turned.as_mut_ptr());
                for l in 0..terms {
                    let factor = S::splat(a.at(0, start + l));
                    sum = S::fma(factor, S::load(turned.as_ptr().add(l * S::LANES)), sum);
                }
            }
            S::store(c.add(side), sum);
        }
        for column in whole..n {
            let terms = (0..k).map(|l| (*a.at(0, l), *b.at(l, column)));
            *c.add(column) = terms.fold(zero, |sum, (a, b)| a.fma(b, sum));
        }
    }
}

/// Adds the products of `COUNT` elements of the row, `across` apart, with rows that are `down` apart.
///
/// # Safety
///
/// As for [`row`].
#[inline(always)]
unsafe fn streams_of<S: Simd, const COUNT: usize>(
    goes_on: bool,
    a: *const S::Element,
    across: isize,
    b: *const S::Element,
    down: isize,
    c: *mut S::Element,
    width: usize,
) where
    S::Element: Scalar + Element,
{
    // SAFETY: required of the caller.
    unsafe {
        let rows: [*const S::Element; COUNT] = std::array::from_fn(|l| b.offset(l as isize * down));
        let factors: [S::Vector; COUNT] =
            std::array::from_fn(|l| S::splat(a.offset(l as isize * across)));
        let mut at = 0;
        while at + S::LANES <= width {
            let mut sum = if goes_on { S::load(c.add(at)) } else { S::zero() };
            for (row, &factor) in rows.iter().zip(&factors) {
                sum = S::fma(factor, S::load(row.add(at)), sum);
            }
            S::store(c.add(at), sum);
            at += S::LANES;
        }
        for at in at..width {
            let mut sum = if goes_on { *c.add(at) } else { <S::Element as Element>::ZERO };
            for (l, row) in rows.iter().enumerate() {
                sum = (*a.offset(l as isize * across)).fma(*row.add(at), sum);
            }
            *c.add(at) = sum;
        }
    }
}
