//! Products against the definition.

use crate::{
    Matrix, MatrixMut, Number, Observer, Operand, Packed, Vectors, multiply_by, multiply_packed,
    multiply_with,
};
use half::{bf16, f16};
use std::cell::Cell;
use std::ops::{Neg, Range};

/// How numbers are stored, and what they are.
struct Kind<S, T> {
    store: fn(f32) -> S,
    load: fn(S) -> T,
}

const F32: Kind<f32, f32> = Kind { store: |x| x, load: |x| x };
const F64: Kind<f64, f64> = Kind { store: |x| f64::from(x) / 3.0, load: |x| x };
const BF16: Kind<bf16, f32> = Kind { store: bf16::from_f32, load: bf16::to_f32 };
const F16: Kind<f16, f32> = Kind { store: f16::from_f32, load: f16::to_f32 };

/// Steps of a matrix: by rows, by columns, with gaps both ways, or of rows that share elements; and how many elements that
/// takes.
fn steps([rows, columns]: [usize; 2], layout: usize) -> ([isize; 2], usize) {
    let [down, across] = match layout {
        0 => [columns, 1],
        1 => [1, rows],
        2 => [2 * columns + 1, 2],
        _ => [1, 1],
    };
    ([down as isize, across as isize], rows * down + columns * across + 1)
}

/// Random numbers, and the matrix that they are.
fn draw<S, T>(
    sizes: [usize; 2],
    kind: &Kind<S, T>,
    random: &mut fastrand::Rng,
) -> (Vec<S>, Matrix<S>) {
    let ([down, across], count) = steps(sizes, random.usize(..4));
    let numbers: Vec<S> = (0..count).map(|_| (kind.store)(random.f32() * 2.0 - 1.0)).collect();
    let first = numbers.as_ptr();
    (numbers, Matrix { first, down, across })
}

/// Products of all sizes near those of tiles and blocks, in every layout, by every kernel of this machine.
fn check<T, A: Copy, B: Copy>(
    rounds: usize,
    kinds: (&Kind<A, T>, &Kind<B, T>),
    fma: fn(T, T, T) -> T,
    bits: fn(T) -> u64,
) where
    T: Number + Default + Neg<Output = T> + From<f32>,
    Operand<T>: From<Matrix<A>> + From<Matrix<B>>,
{
    let mut random = fastrand::Rng::with_seed(1);
    let sizes = [1, 2, 3, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 27, 31, 32, 33, 50, 70, 300];
    let inner = [0, 1, 3, 8, 17, 63, 130, 511, 512, 513, 1100];
    for round in 0..rounds {
        let mut pick = |from: &[usize]| from[random.usize(..from.len())];
        let (m, k, n) = (pick(&sizes), pick(&inner), pick(&sizes));
        let sizes @ [m, k, n] = match round % 8 {
            0 => [1, k, 700],
            1 => [1, 0, n],
            // Two rows of a right operand that no L2 holds.
            2 if round == 2 => [2, 800, 700],
            // More columns than such as meet rows as they lie, or rows that evict each other.
            3 => [m.min(13), k, 550],
            4 if n < 20 => [m.min(13), 1024, n],
            // A vector of columns, or two.
            5 => [m, k, 16],
            _ => [m, k, n],
        };
        let (_a, left) = draw([m, k], kinds.0, &mut random);
        let (_b, right) = draw([k, n], kinds.1, &mut random);
        let (_other, other) = draw([k, n], kinds.1, &mut random);
        let ([down, across], count) = steps([m, n], random.usize(..3));
        for vectors in Vectors::ALL.into_iter().filter(|vectors| vectors.are_there()) {
            // Whatever was there before.
            let mut c = vec![T::from(f32::NAN); count];
            let product = MatrixMut { first: c.as_mut_ptr(), down, across };
            // What is finished is told once, and not touched afterwards.
            let mut told = vec![0; m * n];
            let mut finished = |rows: Range<usize>, columns: Range<usize>| {
                for (i, j) in rows.flat_map(|i| columns.clone().map(move |j| (i, j))) {
                    told[i * n + j] += 1;
                    let found = product.at(i, j);
                    // SAFETY: within the product, which nothing else uses.
                    unsafe { *found = -*found };
                }
            };
            let operands = [left.into(), right.into()];
            let mut used = k;
            // SAFETY: each matrix has as many elements as its sizes say; so have the columns of each cut.
            unsafe {
                if random.bool() {
                    multiply_by(vectors, sizes, operands, product, &mut finished);
                } else {
                    let mut packed = Packed::by(vectors, [k, n], other.into());
                    packed.renew(operands[1]);
                    used = random.usize(..=2 * k).min(k);
                    let cut = random.usize(..=n / Packed::<T>::START) * Packed::<T>::START;
                    for columns in [0..cut, cut..n] {
                        let first = product.at(0, columns.start);
                        let start = columns.start;
                        let part = MatrixMut { first, ..product };
                        multiply_packed(
                            [m, used],
                            operands[0],
                            &packed,
                            columns,
                            part,
                            &mut |rows, its: Range<usize>| {
                                finished(rows, its.start + start..its.end + start);
                            },
                        );
                    }
                }
            }
            assert!(told.iter().all(|&times| times == 1), "{vectors:?}, {sizes:?}");
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let terms = (0..used).map(|l| {
                    // SAFETY: within the matrices.
                    let (a, b) = unsafe { (*left.at(i, l), *right.at(l, j)) };
                    ((kinds.0.load)(a), (kinds.1.load)(b))
                });
                let expected = terms.fold(T::default(), |sum, (a, b)| fma(a, b, sum));
                // SAFETY: as above.
                let found = unsafe { *product.at(i, j) };
                assert_eq!(bits(found), bits(-expected), "{vectors:?}, {sizes:?}: {i} {j}");
            }
        }
    }
}

fn narrow_bits(number: f32) -> u64 {
    number.to_bits().into()
}

#[test]
fn elements_are_chains() {
    check(400, (&F32, &F32), f32::mul_add, narrow_bits);
    check(150, (&F64, &F64), f64::mul_add, f64::to_bits);
}

#[test]
fn numbers_of_16_bits_are_what_they_are() {
    check(150, (&BF16, &BF16), f32::mul_add, narrow_bits);
    check(100, (&F16, &F16), f32::mul_add, narrow_bits);
    check(100, (&F32, &BF16), f32::mul_add, narrow_bits);
    check(100, (&BF16, &F16), f32::mul_add, narrow_bits);
}

/// All of them.
#[test]
fn every_number_of_16_bits_is_widened() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let mut wide = vec![0.0; all.len()];
    // SAFETY: there is room for all.
    unsafe { crate::widen::bf16(all.as_ptr(), 0, [1, all.len()], wide.as_mut_ptr(), 0) };
    for (&bits, wide) in all.iter().zip(&wide) {
        assert_eq!(wide.to_bits(), u32::from(bits) << 16);
    }
    // SAFETY: as above.
    unsafe { crate::widen::f16(all.as_ptr(), 0, [1, all.len()], wide.as_mut_ptr(), 0) };
    for (&bits, &wide) in all.iter().zip(&wide) {
        let expected = f16::from_bits(bits);
        assert!(wide == expected.to_f32() || wide.is_nan() && expected.is_nan(), "{bits:x}");
    }
}

/// Sizes `(m, k, n)`, and how many elements a right operand lies past a vector: columns that lie together near each other in
/// memory or in one set of L1, and not all in line.
const COLUMNS: &[(usize, usize, usize, usize)] = &[
    (1, 1024, 277, 0),
    (1, 1024, 43, 5),
    (1, 1003, 277, 3),
    (1, 2048, 136, 7),
    (1, 11, 50, 3),
    (2, 0, 33, 0),
    (2, 1, 64, 3),
    (2, 1024, 70, 5),
    (3, 17, 100, 1),
    (4, 192, 5, 1),
    (4, 2080, 64, 2),
    (7, 1024, 31, 0),
    (8, 1024, 560, 0),
    (12, 300, 48, 1),
    (13, 2100, 40, 3),
    (14, 500, 80, 1),
    (15, 300, 33, 0),
    (16, 1024, 277, 3),
    (16, 10_000, 13, 1),
    (20, 300, 33, 0),
    (20, 2048, 64, 7),
    (29, 400, 37, 2),
    (64, 2100, 66, 0),
    (64, 768, 11, 5),
    (100, 130, 600, 1),
    (205, 800, 30, 1),
];

/// Rows that lie together, and that L2 need not hold: of one tile, of a few and of many.
const FAR_ROWS: &[(usize, usize, usize, usize)] = &[
    (3, 140, 5700, 0),
    (7, 49, 16_100, 3),
    (12, 100, 7900, 0),
    (13, 770, 1024, 0),
    (14, 60, 4500, 0),
    (15, 800, 1100, 1),
    (32, 97, 8110, 5),
    (49, 129, 2048, 0),
    (60, 300, 900, 1),
    (200, 193, 1400, 0),
    (400, 500, 497, 0),
];

/// Rows times a matrix whose columns or rows lie together.
fn check_lying<T>(
    are_columns: bool,
    sizes: &[(usize, usize, usize, usize)],
    fma: fn(T, T, T) -> T,
    bits: fn(T) -> u64,
) where
    T: Number + Default + From<f32>,
    Operand<T>: From<Matrix<T>>,
{
    let mut random = fastrand::Rng::with_seed(4);
    // Vectors may lie anywhere within cache lines.
    for &(m, k, n, past) in sizes {
        let mut draw =
            |count: usize| -> Vec<T> { (0..count).map(|_| T::from(random.f32() - 0.5)).collect() };
        // Each column has another between it and the next, if they are short.
        let apart = if k < 200 { 2 * k + 1 } else { k };
        let [down, across] = if are_columns { [1, apart] } else { [n, 1] };
        let (a, b) = (draw(m * k), draw(past + k * down + n * across));
        let chain = |i: usize, j: usize| {
            let column = b[past + j * across..].iter().step_by(down);
            a[i * k..][..k].iter().zip(column).fold(T::default(), |c, (&a, &b)| fma(a, b, c))
        };
        for vectors in Vectors::ALL.into_iter().filter(|vectors| vectors.are_there()) {
            let mut c = vec![T::from(f32::NAN); m * n];
            let mut told = vec![0; m * n];
            let mut finished = |rows: Range<usize>, columns: Range<usize>| {
                rows.for_each(|row| columns.clone().for_each(|column| told[row * n + column] += 1));
            };
            let rows = Matrix { first: a.as_ptr(), down: k as isize, across: 1 };
            let [down, across] = [down, across].map(|step| step as isize);
            let right = Matrix { first: b[past..].as_ptr(), down, across };
            let to = MatrixMut { first: c.as_mut_ptr(), down: n as isize, across: 1 };
            // SAFETY: the matrices are as large as that, and the processor has these vectors.
            unsafe {
                multiply_by(vectors, [m, k, n], [rows.into(), right.into()], to, &mut finished);
            }
            for (at, &found) in c.iter().enumerate() {
                let (i, j) = (at / n, at % n);
                assert_eq!(bits(found), bits(chain(i, j)), "{m} {k} {n} {vectors:?}: {i} {j}");
            }
            assert!(told.iter().all(|&times| times == 1), "{m} {k} {n} {vectors:?}");
        }
    }
}

#[test]
fn columns_that_lie_together_make_chains() {
    check_lying(true, COLUMNS, f32::mul_add, narrow_bits);
    check_lying(true, COLUMNS, f64::mul_add, f64::to_bits);
}

#[test]
fn rows_far_away_make_chains() {
    check_lying(false, FAR_ROWS, f32::mul_add, narrow_bits);
    check_lying(false, FAR_ROWS, f64::mul_add, f64::to_bits);
}

/// Says no after some questions, and counts elements that are finished.
struct Impatient {
    left: Cell<usize>,
    told: usize,
}

impl Observer for Impatient {
    fn finished(&mut self, rows: Range<usize>, columns: Range<usize>) {
        self.told += rows.len() * columns.len();
    }

    fn goes_on(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

/// Products of one row, of few rows and of many ask whether to go on, and what was asked for is finished.
#[test]
fn all_products_may_end() {
    for (m, k, n, is_turned) in [
        (1, 5000, 4500, false),
        (1, 5000, 4500, true),
        (1, 9 << 20, 1, false),
        (1, 9 << 20, 2, true),
        (2, 5000, 4500, false),
        (8, 50, 40_000, false),
        (8, 50, 40_000, true),
        (8, 500, 4000, true),
        (130, 800, 1000, true),
        (300, 20, 5000, false),
        (300, 20, 5000, true),
    ] {
        let (a, b) = (vec![1f32; m * k], vec![1f32; k * n]);
        let left = Matrix { first: a.as_ptr(), down: k as isize, across: 1 };
        let [down, across] = if is_turned { [1, k as isize] } else { [n as isize, 1] };
        let right = Matrix { first: b.as_ptr(), down, across };
        let mut c = vec![0f32; m * n];
        let to = MatrixMut { first: c.as_mut_ptr(), down: n as isize, across: 1 };
        for (asked, is_whole) in [(0, false), (1, false), (usize::MAX, true)] {
            let mut observer = Impatient { left: Cell::new(asked), told: 0 };
            // SAFETY: the matrices are as large as that.
            unsafe { multiply_with([m, k, n], left, right, to, &mut observer) };
            let told = observer.told;
            assert_eq!(told == m * n, is_whole, "{m} {k} {n} {is_turned}: {told}");
            assert!(!is_whole || c.iter().all(|&sum| sum == k as f32), "{m} {k} {n} {is_turned}");
            assert!(asked > 0 || told == 0, "{m} {k} {n} {is_turned}: {told}");
        }
    }
}
