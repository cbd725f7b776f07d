//! The kernel of a tile whose columns of the right operand lie element after element, as `x @ w.T` reads a matrix: they are
//! turned in registers, and multiplied at once. Shuffles run beside multiply-adds, where to pack a panel first takes its time.

use crate::blocked::Element;
use crate::matrix::Matrix;
use crate::pack;
use crate::simd::{Simd, Take};

/// Adds `k` products to a tile: `([k, columns], a, b, panel, c, down, goes_on)`, as for [`tile`](crate::tile). Rows of `a` are
/// packed, and columns are whole vectors. What is turned of them stays in the panel, if there is one, for the tiles that follow.
pub(crate) type Run<T> =
    unsafe fn([usize; 2], *const T, Matrix<T>, Option<*mut T>, *mut T, isize, bool);

/// # Safety
///
/// The processor must have the vectors of `S`. The operands must be readable, and the tile and the panel writable, as [`Run`]
/// says.
#[inline(always)]
pub(crate) unsafe fn tiles<S: Simd, const ROWS: usize>(
    [k, columns]: [usize; 2],
    a: *const S::Element,
    b: Matrix<S::Element>,
    panel: Option<*mut S::Element>,
    c: *mut S::Element,
    down: isize,
    goes_on: bool,
) where
    S::Element: Element,
{
    let a = Matrix { first: a, down: 1, across: ROWS as isize };
    for side in (0..columns).step_by(S::LANES) {
        let panel = panel.map(|panel| (panel.wrapping_add(side), columns));
        // SAFETY: required of the caller.
        unsafe { tile::<S, ROWS, 1>(k, a, b.from(0, side), panel, c.add(side), down, goes_on) };
    }
}

/// The sums of one vector of columns, and what is added to them next: a term of each row in each column of `left`.
struct Sums<'s, S: Simd, const ROWS: usize> {
    sums: &'s mut [S::Vector; ROWS],
    left: Matrix<S::Element>,
    /// Where turned columns stay, and how far apart.
    panel: Option<(*mut S::Element, usize)>,
}

impl<S: Simd, const ROWS: usize> Take<S::Vector> for Sums<'_, S, ROWS> {
    #[inline(always)]
    unsafe fn take(&mut self, before: usize, columns: &[S::Vector]) {
        for (ahead, &column) in columns.iter().enumerate() {
            let term = before + ahead;
            // SAFETY: required of the caller of [`tile`].
            unsafe {
                if let Some((to, pitch)) = self.panel {
                    S::store(to.add(term * pitch), column);
                }
                for (row, sum) in self.sums.iter_mut().enumerate() {
                    *sum = S::fma(S::splat(self.left.at(row, term)), column, *sum);
                }
            }
        }
    }
}

/// Adds `k` products to a tile of so many rows and vectors of columns: a sum waits for what was added before, so one row alone
/// takes several.
///
/// # Safety
///
/// As for [`tiles`]; rows of the panel are as far apart as it says.
#[inline(always)]
pub(crate) unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
    k: usize,
    a: Matrix<S::Element>,
    b: Matrix<S::Element>,
    panel: Option<(*mut S::Element, usize)>,
    c: *mut S::Element,
    down: isize,
    goes_on: bool,
) where
    S::Element: Element,
{
    let head = pack::head::<S>(b.transposed()).min(k);
    let at = |row: usize, vector: usize| {
        c.wrapping_offset(row as isize * down).wrapping_add(vector * S::LANES)
    };
    // SAFETY: required of the caller.
    unsafe {
        let mut sums = [[S::zero(); ROWS]; VECTORS];
        for (vector, sums) in sums.iter_mut().enumerate().filter(|_| goes_on) {
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = S::load(at(row, vector));
            }
        }
        let mut start = 0;
        while start < k {
            let count = if start < head { head } else { S::LANES.min(k - start) };
            for (vector, sums) in sums.iter_mut().enumerate() {
                let left = a.from(0, start);
                let panel =
                    panel.map(|(to, pitch)| (to.add(start * pitch + vector * S::LANES), pitch));
                let (from, mut sums) =
                    (b.at(start, vector * S::LANES), Sums::<S, ROWS> { sums, left, panel });
                match count == S::LANES {
                    true => S::turn(from, b.across, &mut sums),
                    false => S::turn_part(from, b.across, count, &mut sums),
                }
            }
            start += count;
        }
        for (vector, sums) in sums.iter().enumerate() {
            for (row, &sum) in sums.iter().enumerate() {
                S::store(at(row, vector), sum);
            }
        }
    }
}
