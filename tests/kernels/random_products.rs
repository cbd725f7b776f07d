//! Random products with random expressions of their elements: fused against unfused, bit by bit.
//!
//! `KILN_SEED` and `KILN_CASES` try others.

use crate::random_rows::{Case, ORDERS, Seen, UNARY, array, recent, set};
use common::Rng;
use common::runner::{Runner, runners};
use kiln::{DType, EmitterKind};
use kiln_ir::parse;

/// Sizes about tiles, blocks and what a kernel adds up at once.
const ROWS: [usize; 14] = [0, 1, 5, 6, 7, 11, 12, 13, 31, 32, 33, 64, 65, 200];
const INNER: [usize; 10] = [0, 1, 2, 7, 16, 33, 64, 383, 384, 385];
const COLUMNS: [usize; 14] = [0, 1, 5, 15, 16, 17, 31, 32, 33, 64, 65, 130, 257, 1100];

/// An expression over `x @ w`, an array of its shape, a row, a column and a number; and often over a product of
/// what that gives by the transpose of `w`, and an array of its shape.
fn expression(rng: &mut Rng, dtype: DType) -> String {
    let types = match rng.below(3) {
        0 => ["[..]", "[..]", "[..]", "[..]", "[..]", "[..]", "[]"],
        1 => ["[m, k]", "[m, k]", "[k, n]", "[m, n]", "[n]", "[m, 1]", "[]"],
        _ => ["[b, m, k]", "[b, m, k]", "[k, n]", "[b, m, n]", "[n]", "[..]", "[]"],
    };
    let names = ["y", "x", "w", "r", "g", "s", "c"];
    let params: Vec<String> =
        names.iter().zip(types).map(|(name, ty)| format!("{name}: {dtype}{ty}")).collect();
    let mut values: Vec<String> = ["g", "s", "c", "r"].map(String::from).to_vec();
    values.rotate_left(rng.below(4));
    values.truncate(1 + rng.below(4));
    let left = match rng.below(3) {
        0 => format!("{}(x)", rng.pick(UNARY)),
        1 => rng
            .pick(&["(x * c + 1)", "layer_norm[-1](x)", "(x - max[-1](x * c))", "softmax[-1](x)"])
            .into(),
        _ => "x".to_string(),
    };
    let mut lets = format!("let p = {left} @ w; ");
    values.push("p".into());
    for index in 0..1 + rng.below(10) {
        let a = recent(rng, &values);
        let b = recent(rng, &values);
        let text = match rng.below(15) {
            0..=3 => format!("{}({a})", rng.pick(UNARY)),
            4..=7 => format!("{a} {} {b}", rng.pick(&["+", "-", "*", "/"])),
            8 => format!("max({a}, {b})"),
            9 => format!("select({a} < {b}, {b}, p)"),
            10 => format!("p * 0.5 + {a}"),
            11 => format!("{}[-1]({a})", rng.pick(&["softmax", "log_softmax", "layer_norm"])),
            12 => format!("{a} - {}[-1](p)", rng.pick(&["sum", "max", "mean"])),
            13 => format!("{}[-1]({a} + p)", rng.pick(&["sum", "min", "logsumexp"])),
            _ => match rng.below(8) {
                0 => format!("softmax[-1]({a} + p) @ transpose(w)"),
                1 => format!("{a} @ transpose(w)"),
                2 => format!("softmax[-1]({a})"),
                3 => format!("sum[-1]({a} * {b})"),
                4 => format!("transpose({a})"),
                5 => format!("slice[-1, ::-1]({a})"),
                _ => format!("(x * 2) @ w + {a}"),
            },
        };
        lets += &format!("let v{index} = {text}; ");
        values.push(format!("v{index}"));
    }
    let mut outputs = vec![values[values.len() - 1].clone()];
    for _ in 0..rng.below(3) {
        outputs.push(recent(rng, &values));
    }
    if rng.below(10) == 0 {
        outputs.push("p > 0".into());
    }
    if rng.below(6) == 0 {
        outputs.push("p".into());
    }
    if rng.below(3) == 0 {
        let weights = format!("{}[-1]({} + p)", rng.pick(&["softmax", "layer_norm"]), outputs[0]);
        lets += &format!("let q = {weights} @ transpose(w); ");
        (lets, outputs) = tail(rng, lets);
    }
    let outputs = match &outputs[..] {
        [one] => one.clone(),
        all => format!("({})", all.join(", ")),
    };
    format!("kernel k({}) {{ {lets}{outputs} }}", params.join(", "))
}

/// What is computed of a second product, `q`, and outputs.
fn tail(rng: &mut Rng, mut lets: String) -> (String, Vec<String>) {
    let mut values = ["c", "s", "y", "q"].map(String::from).to_vec();
    for index in 0..rng.below(5) {
        let a = recent(rng, &values);
        let b = recent(rng, &values);
        let text = match rng.below(6) {
            0..=1 => format!("{}({a})", rng.pick(UNARY)),
            2..=3 => format!("{a} {} {b}", rng.pick(&["+", "-", "*"])),
            4 => format!("select({a} < {b}, q, y)"),
            _ => format!("q * 0.5 + {a}"),
        };
        lets += &format!("let t{index} = {text}; ");
        values.push(format!("t{index}"));
    }
    let outputs = (0..1 + rng.below(3)).map(|at| values[values.len() - 1 - at].clone());
    (lets, outputs.collect())
}

/// `None` where the expression has an error of types or shapes.
fn draw(seed: u64) -> Option<Case> {
    let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9) + 1);
    let rng = &mut rng;
    let dtype = rng.pick(&[DType::F32, DType::F32, DType::F64]);
    let text = expression(rng, dtype);
    let graph = parse(&text).ok()?;
    let (m, k, mut n) = (rng.pick(&ROWS), rng.pick(&INNER), rng.pick(&COLUMNS));
    if rng.below(4) == 0 {
        n = m;
    }
    let k = if rng.below(6) == 0 { n } else { k };
    let count = 1 + rng.below(4);
    let is_batch = text.contains("[b, m, k]") || text.contains("x: f32[..]") && rng.below(3) == 0;
    let batch = if is_batch { vec![count] } else { vec![] };
    let of = |rows, columns| [&batch[..], &[rows, columns]].concat();
    let (left, result) = (of(m, k), of(m, n));
    let mut shapes = [left.clone(), left, vec![k, n], result, vec![n], vec![m, 1], vec![]];
    if rng.below(5) == 0 && text.contains("r: f32[..]") {
        // Larger than the product, or something that broadcasts to it, or vectors.
        match rng.below(6) {
            0 => shapes[3] = vec![2, 1, m, n],
            1 => shapes[3] = vec![1, n],
            2 => shapes[1] = vec![k],
            3 => shapes[2] = vec![k],
            4 => shapes[0] = vec![k],
            _ => shapes[0] = vec![2, 1, m, k],
        }
    }
    let special = rng.pick(&[0, 0, 0, 3000, 100]);
    let orders = [0; 7].map(|_| rng.pick(&ORDERS));
    let mut inputs = Vec::new();
    for (shape, order) in shapes.iter().zip(orders) {
        inputs.push(array(rng, dtype, shape, order, special));
    }
    // The first is what results may be written over.
    let into = [0; 4].map(|_| rng.pick(&ORDERS));
    let about = format!("seed {seed}: {text}\n{shapes:?}, {orders:?} into {into:?}");
    Some(Case { graph, inputs, about, into, shared: None }.or_shared(rng, special))
}

/// The bits of a product with what is computed of it are those of the product, then of each op.
#[test]
fn fused_products_change_no_bit() {
    let kinds: Vec<EmitterKind> = runners()
        .iter()
        .filter(|runner| matches!(runner, Runner::Native(_)))
        .map(|runner| runner.kind())
        .collect();
    let (first, cases) = (set("KILN_SEED", 1), set("KILN_CASES", 60));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
    let mut faults = Vec::new();
    let mut seen = Seen::default();
    for seed in first..first + cases {
        let Some(case) = draw(seed) else { continue };
        if let Some(fault) = pool.install(|| case.fault(&kinds, &[1, 2, 7], &mut seen)) {
            println!("{fault}");
            faults.push(seed);
        }
    }
    println!("{seen:?}");
    assert!(faults.is_empty(), "seeds {faults:?}");
    let third = cases as usize / 3;
    assert!(seen.ran > third && seen.numbers > third / 2, "{seen:?}");
}
