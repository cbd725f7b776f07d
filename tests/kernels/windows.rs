//! Inputs that share memory in every way, such as a column of an array with the array itself: the bits are those of
//! arrays apart.

use crate::random_rows::{Case, Order, Seen, array};
use common::Rng;
use common::runner::{Runner, runners};
use kiln::{DType, EmitterKind};
use kiln_ir::parse;

/// Of `x` and `y`, whose rows lie along `A`, of `s`, a number for each of them, and of `d`, a row.
const ROWS: [&str; 12] = [
    "(x * s, sum[A](x))",
    "(x * s + y, argmax[A](x))",
    "(exp(x) * s - d, max[A](y))",
    "x * s - y * d",
    "softmax[A](x * s + d)",
    "layer_norm[A](x) * d + s",
    "x / norm[A](x) * s",
    "sum[A](x * s + y)",
    "(mean[A](x), var[A](y * d), x + s)",
    "(s * 2, max[A](x) + s, x - s)",
    "let t = x * s; (t, t - max[A](t), logsumexp[A](y))",
    "cumsum[-1](x * s) + d",
];

/// Of matrices `q`, `k`, `v`, `a` of the shape of `q @ k`, and `b` and `c`, a row and a column.
const PRODUCTS: [&str; 6] = [
    "q @ k * c + b",
    "gelu(q @ k + a) * b",
    "softmax[-1](q @ k * c + a)",
    "softmax[-1](q @ k + a) @ v + c",
    "relu(q * c) @ k - a",
    "(layer_norm[-1](q @ k) * b, q @ k)",
];

fn fault(rng: &mut Rng, text: &str, dtype: DType, shapes: &[Vec<usize>]) -> Option<String> {
    static KINDS: std::sync::LazyLock<Vec<EmitterKind>> = std::sync::LazyLock::new(|| {
        let native = |runner: &&Runner| matches!(runner, Runner::Native(_));
        runners().iter().filter(native).map(|runner| runner.kind()).collect()
    });
    let graph = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let inputs = shapes.iter().map(|shape| array(rng, dtype, shape, Order::Rows, 0)).collect();
    let about = format!("{text} of {shapes:?}");
    let into = [Order::Rows; 4];
    let case = Case { graph, inputs, about, into, shared: None }.share(rng, 0);
    case.fault(&KINDS, &[1, 3], &mut Seen::default())
}

#[test]
fn windows_of_one_memory_are_as_good_as_arrays() {
    let mut rng = Rng::new(11);
    for (shape, axis) in [
        (&[9, 70][..], "-1"),
        (&[40, 64], "-1"),
        (&[130, 20], "-1"),
        (&[300, 3], "0"),
        (&[70, 33], "0"),
        (&[3, 513], "-1"),
        (&[5, 21, 40], "1"),
        (&[4, 9, 65], "-1"),
        (&[2, 3, 4, 53], "-1"),
    ] {
        let at = if axis == "-1" { shape.len() - 1 } else { axis.parse().unwrap() };
        let mut number = shape.to_vec();
        number[at] = 1;
        let mut row = vec![1; shape.len()];
        row[at] = shape[at];
        let shapes = [shape.to_vec(), shape.to_vec(), number, row];
        for text in ROWS {
            let dtype = rng.pick(&[DType::F32, DType::F32, DType::F64]);
            let params = ["x", "y", "s", "d"].map(|name| format!("{name}: {dtype}[..]"));
            let text =
                format!("|{}| {}", params.join(", "), text.replace("[A]", &format!("[{axis}]")));
            let fault = fault(&mut rng, &text, dtype, &shapes);
            assert!(fault.is_none(), "{}", fault.unwrap_or_default());
        }
    }
}

#[test]
fn factors_may_be_windows_of_one_memory() {
    let mut rng = Rng::new(12);
    for [m, k, n] in [[5, 7, 5], [33, 16, 33], [64, 64, 64], [13, 65, 70], [1, 50, 50], [70, 1, 40]]
    {
        let batch = if rng.below(3) == 0 { vec![2] } else { vec![] };
        let of = |rows, columns| [&batch[..], &[rows, columns]].concat();
        let shapes = [of(m, k), of(k, n), of(n, k), of(m, n), vec![n], vec![m, 1]];
        for text in PRODUCTS {
            let mut shapes = shapes.clone();
            if text.contains("@ v + c") {
                shapes[4] = vec![k];
            }
            if text.contains("q * c") {
                shapes[5] = vec![m, 1];
            }
            let dtype = rng.pick(&[DType::F32, DType::F32, DType::F64]);
            let params = ["q", "k", "v", "a", "b", "c"].map(|name| format!("{name}: {dtype}[..]"));
            let fault = fault(&mut rng, &format!("|{}| {text}", params.join(", ")), dtype, &shapes);
            assert!(fault.is_none(), "{}", fault.unwrap_or_default());
        }
    }
}
