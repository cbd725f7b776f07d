//! What GELU is, whichever of its two formulas computes it, in every mode and of either type.

use kiln::{CompileOptions, DType, Mode, Tensor, compile_with, ir};
use ndarray::Array1;

/// Formulas, whether they are those by `tanh`, and what they give for 1.
const FORMULAS: [(&str, f64); 4] = [
    ("gelu(x)", 0.841_344_746_068_542_9),
    ("0.5 * x * (1 + erf(x / sqrt(2)))", 0.841_344_746_068_542_9),
    ("gelu_tanh(x)", 0.841_191_990_608_276_6),
    ("0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x^3)))", 0.841_191_990_608_276_6),
];

/// One formula as a kernel, and how much it may be off relatively.
struct Gelu {
    kernel: kiln::Kernel,
    dtype: DType,
    off: f64,
}

impl Gelu {
    fn of(&self, x: &[f64]) -> Vec<f64> {
        let x = Array1::from_vec(x.to_vec());
        let x: Tensor = match self.dtype {
            DType::F32 => x.mapv(|x| x as f32).into(),
            _ => x.into(),
        };
        match &self.kernel.run(&[x.view()]).unwrap()[0] {
            Tensor::F32(y) => y.iter().map(|&y| y.into()).collect(),
            Tensor::F64(y) => y.iter().copied().collect(),
            other => panic!("{other:?}"),
        }
    }
}

fn for_all(check: impl Fn(&Gelu, f64, &str)) {
    for (formula, one) in FORMULAS {
        for (dtype, off) in [(DType::F32, 1e-6), (DType::F64, 1e-14)] {
            for mode in Mode::ALL {
                let text = format!("|x: {dtype}| {formula}");
                let options = CompileOptions::new().mode(mode);
                let kernel = compile_with(&ir::parse(&text).unwrap(), options).unwrap();
                check(&Gelu { kernel, dtype, off }, one, &format!("{text}, {mode}"));
            }
        }
    }
}

fn steps(from: f64, to: f64, count: usize) -> Vec<f64> {
    (0..=count).map(|i| from + (to - from) * i as f64 / count as f64).collect()
}

#[test]
fn gelu_at_its_ends() {
    for_all(|gelu, one, what| {
        assert_eq!(gelu.of(&[0.0, -0.0]), [0.0, 0.0], "{what}");
        let found = gelu.of(&[1.0])[0];
        assert!((found - one).abs() <= gelu.off, "{what}: {found}");
        // Large: what it was given. Far below 0: next to nothing.
        let large = [10.0, 33.0, 1e4, 1e30];
        for (x, y) in large.iter().zip(gelu.of(&large)) {
            assert!((y - x).abs() <= gelu.off * x, "{what} of {x}: {y}");
        }
        assert_eq!(gelu.of(&[f64::INFINITY]), [f64::INFINITY], "{what}");
        for y in gelu.of(&[-10.0, -33.0, -1e4]) {
            assert!((-1e-12..=0.0).contains(&y), "{what}: {y}");
        }
        assert!(gelu.of(&[f64::NAN])[0].is_nan(), "{what}");
    });
}

/// It falls to its minimum, about -0.17 near -0.7518, and rises from there on.
#[test]
fn gelu_has_one_minimum() {
    for_all(|gelu, _, what| {
        let rising = gelu.of(&steps(-0.74, 12.0, 2000));
        for pair in rising.windows(2) {
            assert!(pair[1] >= pair[0], "{what}: {pair:?}");
        }
        // Where the formula cancels its values are rough, and smaller than what a step makes.
        let falling = gelu.of(&steps(-3.0, -0.77, 500));
        for pair in falling.windows(2) {
            assert!(pair[1] <= pair[0], "{what}: {pair:?}");
        }
        let x = steps(-20.0, 20.0, 4001);
        for (x, y) in x.iter().zip(gelu.of(&x)) {
            let relu = x.max(0.0);
            assert!(y >= relu - 0.1701 && y <= relu + gelu.off * relu, "{what} of {x}: {y}");
        }
    });
}

/// `gelu(x) - gelu(-x)` is `x`.
#[test]
fn gelu_of_either_sign() {
    for_all(|gelu, _, what| {
        let x = steps(0.01, 20.0, 1000);
        let negated: Vec<f64> = x.iter().map(|x| -x).collect();
        let (right, left) = (gelu.of(&x), gelu.of(&negated));
        for ((x, right), left) in x.iter().zip(right).zip(left) {
            assert!((right - left - x).abs() <= gelu.off * x.max(1.0), "{what} of {x}");
        }
    });
}

/// The formula by `tanh` is that by `erf` to within five in ten thousand.
#[test]
fn formulas_of_gelu_agree() {
    for mode in Mode::ALL {
        let text = "|x: f32| gelu(x) - gelu_tanh(x)";
        let options = CompileOptions::new().mode(mode);
        let kernel = compile_with(&ir::parse(text).unwrap(), options).unwrap();
        let apart = Gelu { kernel, dtype: DType::F32, off: 0.0 }.of(&steps(-8.0, 8.0, 5000));
        let largest = apart.iter().fold(0f64, |most, off| most.max(off.abs()));
        assert!((4e-4..5e-4).contains(&largest), "{mode}: {largest}");
    }
}
