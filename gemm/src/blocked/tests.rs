use super::multiply_with;
use crate::matrix::{Matrix, MatrixMut};
use std::ops::Range;

/// The definition.
fn chain(k: usize, at: impl Fn(usize) -> [f32; 2]) -> f32 {
    (0..k).map(at).fold(0.0, |sum, [a, b]| a.mul_add(b, sum))
}

/// Products of all sizes near those of tiles and blocks, in every layout; what is finished is told once,
/// and not touched afterwards.
#[test]
fn elements_are_chains() {
    let mut random = fastrand::Rng::with_seed(1);
    let sizes = [1, 2, 5, 6, 7, 8, 11, 12, 13, 16, 31, 32, 33, 50, 300];
    let inner = [0, 1, 3, 8, 17, 383, 384, 385, 800];
    for _ in 0..400 {
        let mut pick = |from: &[usize]| from[random.usize(..from.len())];
        let (m, k, n) = (pick(&sizes), pick(&inner), pick(&sizes));
        let numbers = |count: usize, random: &mut fastrand::Rng| -> Vec<f32> {
            (0..count.max(1)).map(|_| random.f32() * 2.0 - 1.0).collect()
        };
        let (a, b) = (numbers(m * k, &mut random), numbers(k * n, &mut random));
        let mut c = vec![f32::NAN; m * n];
        let steps = |rows: usize, columns: usize, by_columns: bool| match by_columns {
            true => [1, rows as isize],
            false => [columns as isize, 1],
        };
        let [turn_a, turn_b, turn_c] = [(); 3].map(|()| random.bool());
        let [down, across] = steps(m, k, turn_a);
        let left = Matrix { first: a.as_ptr(), down, across };
        let [down, across] = steps(k, n, turn_b);
        let right = Matrix { first: b.as_ptr(), down, across };
        let [down, across] = steps(m, n, turn_c);
        let product = MatrixMut { first: c.as_mut_ptr(), down, across };
        let mut told = vec![0; m * n];
        let mut finished = |rows: Range<usize>, columns: Range<usize>| {
            for i in rows {
                for j in columns.clone() {
                    told[i * n + j] += 1;
                    let found = product.at(i, j);
                    // SAFETY: within the product, which nothing else uses.
                    unsafe { *found = -*found };
                }
            }
        };
        // SAFETY: each matrix has as many elements as its sizes say.
        unsafe { multiply_with([m, k, n], left, right, product, &mut finished) };
        assert!(told.iter().all(|&times| times == 1), "{m} {k} {n}");
        for i in 0..m {
            for j in 0..n {
                // SAFETY: within the matrices.
                let terms = |l| unsafe { [*left.at(i, l), *right.at(l, j)] };
                // SAFETY: as above.
                let found = unsafe { *product.at(i, j) };
                let expected = -chain(k, terms);
                assert_eq!(found.to_bits(), expected.to_bits(), "{m} {k} {n}: {i} {j}");
            }
        }
    }
}
