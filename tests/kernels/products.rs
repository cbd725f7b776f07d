//! Matrix products against plain loops, over every layout and number of threads.

use crate::run::alias;
use common::Rng;
use kiln::internals::{broadcast_shape, matmul, matmul_shape};
use kiln::{DType, RunError, ViewMut};
use ndarray::{Array, Array2, ArrayD, ArrayViewD, Axis, Dimension, Slice, array};

/// `matmul` by its definition, over arrays of any rank.
fn naive(a: &ArrayViewD<f64>, b: &ArrayViewD<f64>) -> ArrayD<f64> {
    let promote = |x: &ArrayViewD<f64>, axis| match x.ndim() {
        1 => x.to_owned().insert_axis(Axis(axis)),
        _ => x.to_owned(),
    };
    let (left, right) = (promote(a, 0), promote(b, 1));
    let batch = |x: &ArrayD<f64>| x.shape()[..x.ndim() - 2].to_vec();
    let shape = broadcast_shape(&[&batch(&left), &batch(&right)]).unwrap();
    let (m, k, n) = (
        left.shape()[left.ndim() - 2],
        left.shape()[left.ndim() - 1],
        *right.shape().last().unwrap(),
    );
    let full = |last: [usize; 2]| shape.iter().copied().chain(last).collect::<Vec<_>>();
    let left = left.broadcast(full([m, k])).unwrap();
    let right = right.broadcast(full([k, n])).unwrap();
    let mut out = Array::from_shape_fn(full([m, n]), |index| {
        let rank = index.ndim();
        let (mut i, mut j) = (index.clone(), index.clone());
        (0..k)
            .map(|p| {
                i[rank - 1] = p;
                j[rank - 2] = p;
                left[&i] * right[&j]
            })
            .sum()
    });
    if b.ndim() == 1 {
        let last = Axis(out.ndim() - 1);
        out = out.index_axis_move(last, 0);
    }
    if a.ndim() == 1 {
        let axis = Axis(out.ndim() - 1 - usize::from(b.ndim() != 1));
        out = out.index_axis_move(axis, 0);
    }
    out
}

/// An element is a chain of fused multiply-adds, however a product is cut for threads, in every layout,
/// and the reference interpreter has the same bits.
#[test]
fn products_are_chains() {
    fn check<T: kiln::Element + PartialEq>(
        number: impl Fn(usize) -> T + Sync,
        fma: fn(T, T, T) -> T,
        zero: T,
    ) {
        let pools = [2, 3, 16]
            .map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
        let sizes = [
            (64, 600, 64),
            (65, 600, 64),
            (40, 900, 70),
            (130, 130, 130),
            (33, 40, 2000),
            (2000, 40, 33),
            (17, 8000, 17),
            (16, 9000, 16),
            (700, 3000, 1),
            (1, 3000, 700),
            (3, 9000, 100),
            (257, 256, 255),
            (1100, 2, 1000),
            (300, 1100, 20),
        ];
        for (m, k, n) in sizes {
            let a = Array2::from_shape_fn((m, k), |(i, j)| number(i * 31 + j * 7));
            let b = Array2::from_shape_fn((k, n), |(i, j)| number(i * 13 + j * 5));
            let [a_turned, b_turned] = [&a, &b].map(|x| x.t().as_standard_layout().into_owned());
            for layout in 0..8 {
                let a = if layout & 1 == 0 { a.view() } else { a_turned.t() };
                let b = if layout & 2 == 0 { b.view() } else { b_turned.t() };
                let product = |threads| {
                    let mut out = Array2::from_elem((m, n), number(1));
                    let mut turned = Array2::from_elem((n, m), number(1));
                    let mut out = match layout & 4 {
                        0 => out.view_mut(),
                        _ => turned.view_mut().reversed_axes(),
                    };
                    matmul(&a.into(), &b.into(), &mut ViewMut::from(&mut out), threads).unwrap();
                    out.to_owned()
                };
                let expected = product(Some(1));
                for (i, j) in [(0, 0), (m / 2, n - 1), (m - 1, n / 3), (m - 1, n - 1)] {
                    let terms = a.row(i).into_iter().zip(b.column(j));
                    let chain = terms.fold(zero, |sum, (&a, &b)| fma(a, b, sum));
                    assert!(expected[[i, j]] == chain, "{m} x {k} x {n}, layout {layout}: {i} {j}");
                }
                for pool in &pools {
                    let found = pool.install(|| product(None));
                    let threads = pool.current_num_threads();
                    assert!(found == expected, "{m} x {k} x {n}, layout {layout}, on {threads}");
                }
            }
        }
    }
    check(|i| (i % 1013) as f32 * 0.37 - 100.0, f32::mul_add, 0.0);
    check(|i| (i % 1013) as f64 * 0.37 - 100.0, f64::mul_add, 0.0);
}

#[test]
fn the_reference_has_the_same_bits() {
    let graph = kiln_ir::parse("|a: f32[m, k], b: f32[k, n]| a @ b").unwrap();
    let mut rng = Rng::new(11);
    let mut draw = |shape: &[usize]| -> Vec<f64> {
        (0..shape.iter().product()).map(|_| f64::from(rng.ordinary() as f32)).collect()
    };
    let (a, b) = (draw(&[17, 90]), draw(&[90, 35]));
    let array = |shape: &[usize], data: &[f64]| {
        kiln_ir::Array::new(DType::F32, shape.to_vec(), data.to_vec()).unwrap()
    };
    let expected = kiln_ir::eval(&graph, &[array(&[17, 90], &a), array(&[90, 35], &b)]).unwrap();
    let narrow = |rows, columns, data: &[f64]| {
        Array2::from_shape_vec((rows, columns), data.iter().map(|&x| x as f32).collect()).unwrap()
    };
    let (a, b) = (narrow(17, 90, &a), narrow(90, 35, &b));
    let mut out = Array2::<f32>::zeros((17, 35));
    matmul(&(&a).into(), &(&b).into(), &mut (&mut out).into(), None).unwrap();
    assert!(out.iter().map(|&x| f64::from(x)).eq(expected[0].data().iter().copied()));
}

#[test]
fn matmul_is_that_of_numpy() {
    let shapes: &[(&[usize], &[usize])] = &[
        (&[3, 4], &[4, 5]),
        (&[4], &[4, 5]),
        (&[3, 4], &[4]),
        (&[4], &[4]),
        (&[2, 3, 4], &[4, 5]),
        (&[2, 3, 4], &[2, 4, 5]),
        (&[7, 1, 3, 4], &[2, 4, 5]),
        (&[2, 3, 4], &[4]),
        (&[4], &[6, 4, 5]),
        (&[3, 0], &[0, 5]),
        (&[0, 4], &[4, 5]),
        (&[2, 0, 4], &[4, 0]),
        (&[1, 1], &[1, 1]),
        (&[3, 2], &[2, 5]),
        (&[70, 130], &[130, 90]),
        (&[150, 160], &[160, 170]),
        (&[1, 300], &[300, 40]),
        (&[40, 300], &[300, 1]),
        (&[90, 30, 30], &[30, 30]),
    ];
    let mut rng = Rng::new(3);
    for &(left, right) in shapes {
        for layout in 0..9 {
            // Small integers: every order of summation gives the same.
            let mut draw = |shape: &[usize], layout: usize| -> ArrayD<f64> {
                let rank = shape.len();
                let mut stored = shape.to_vec();
                match layout {
                    1 if rank > 1 => stored.swap(rank - 1, rank - 2),
                    2 => stored[rank - 1] *= 2,
                    _ => {}
                }
                Array::from_shape_simple_fn(stored, || rng.below(9) as f64 - 4.0)
            };
            let layouts = (layout % 3, layout / 3);
            let (a, b) = (draw(left, layouts.0), draw(right, layouts.1));
            fn seen<'a>(x: &'a ArrayD<f64>, layout: usize) -> ArrayViewD<'a, f64> {
                let (rank, mut view) = (x.ndim(), x.view());
                match layout {
                    1 if rank > 1 => view.swap_axes(rank - 1, rank - 2),
                    // Reversed, every second one.
                    2 => view.slice_axis_inplace(Axis(rank - 1), Slice::new(0, None, -2)),
                    _ => {}
                }
                view
            }
            let (a, b) = (seen(&a, layouts.0), seen(&b, layouts.1));
            let shape = matmul_shape(a.shape(), b.shape()).unwrap();
            let expected = naive(&a, &b);
            assert_eq!(shape, expected.shape());
            for threads in [Some(1), Some(2)] {
                let mut out = ArrayD::from_elem(shape.clone(), f64::NAN);
                matmul(&a.view().into(), &b.view().into(), &mut (&mut out).into(), threads)
                    .unwrap();
                assert_eq!(out, expected, "{left:?} x {right:?}, layouts {layouts:?}");
                let (a, b) = (a.mapv(|x| x as f32), b.mapv(|x| x as f32));
                let mut out = ArrayD::from_elem(shape.clone(), f32::NAN).reversed_axes();
                let mut turned = out.view_mut().reversed_axes();
                matmul(&(&a).into(), &(&b).into(), &mut (&mut turned).into(), threads).unwrap();
                assert_eq!(turned.mapv(f64::from), expected);
            }
        }
    }
}

#[test]
fn matmul_has_the_same_bits_on_any_number_of_threads() {
    let mut rng = Rng::new(5);
    let mut draw = || Array2::from_shape_simple_fn((257, 300), || rng.ordinary() as f32);
    let (a, b) = (draw(), draw());
    let mut results = [1, 2, 5].map(|threads| {
        let mut out = Array2::<f32>::zeros((257, 257));
        matmul(&(&a).into(), &b.t().into(), &mut (&mut out).into(), Some(threads)).unwrap();
        out
    });
    let first = std::mem::take(&mut results[0]);
    assert!(results[1..].iter().all(|other| *other == first));
}

#[test]
fn matmul_names_what_does_not_fit() {
    let error =
        |left: &[usize], right: &[usize]| matmul_shape(left, right).unwrap_err().to_string();
    assert_eq!(
        error(&[2, 3], &[4, 3]),
        "matmul: shapes [2, 3] and [4, 3] do not fit: the last axis of the left is 3, but the \
         second-last axis of the right is 4; they must be equal (is the right operand transposed?)"
    );
    assert_eq!(
        error(&[3, 2], &[3, 5]),
        "matmul: shapes [3, 2] and [3, 5] do not fit: the last axis of the left is 2, but the \
         second-last axis of the right is 3; they must be equal (is the left operand transposed?)"
    );
    assert_eq!(
        error(&[2, 3, 4], &[3, 4, 5]),
        "matmul: shapes [2, 3, 4] and [3, 4, 5] do not fit: the batch axes do not broadcast: 2 against \
         3; sizes must be equal, or one of them 1"
    );
    assert_eq!(
        error(&[], &[3]),
        "matmul: shapes [] and [3] do not fit: each needs at least one axis; multiply by a number with \
         `*`"
    );
    assert_eq!(
        error(&[3], &[1, 5]),
        "matmul: shapes [3] and [1, 5] do not fit: the last axis of the left is 3, but the second-last \
         axis of the right is 1; they must be equal (a vector on the left is a row; for a column reshape \
         it to [3, 1])"
    );
    assert_eq!(
        error(&[4, 1], &[3]),
        "matmul: shapes [4, 1] and [3] do not fit: the last axis of the left is 1, but the only axis of \
         the right is 3; they must be equal (a vector on the right is a column; for a row reshape it to \
         [1, 3])"
    );
    let (a, b) = (array![[true]], array![[1f32]]);
    let mut out = b.clone();
    let error = matmul(&(&a).into(), &(&a).into(), &mut (&mut out).into(), None).unwrap_err();
    assert_eq!(error.to_string(), "input 0 is bool, the kernel takes f32; convert it");
    let mut x = Array2::<f32>::ones((3, 3));
    let input = alias(&mut x, 0..3);
    let error = matmul(&input, &(&b).into(), &mut (&mut x).into(), None).unwrap_err();
    assert!(matches!(error, RunError::Call { .. } | RunError::Overlap { .. }), "{error}");
    let ones = Array2::<f32>::ones((3, 3));
    let input = alias(&mut x, 0..3);
    let error = matmul(&input, &(&ones).into(), &mut (&mut x).into(), None).unwrap_err();
    assert!(matches!(error, RunError::InPlace { .. }), "{error}");
}
