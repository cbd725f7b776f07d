//! Every row of the rule table below and above reductions, and what is rewritten of reductions
//! themselves, tested within its licence.
//!
//! Rules are elementwise, so that of a reduction's operand they may change what [`super::soundness`]
//! has them change. What is left to test is whether they know what a reduction makes of it: places, which
//! step where elements change their order; and sums and products with other elements, whose infinities
//! may be those of numbers.

use super::context::Needs;
use super::rules::{Licence, RULES, Repairs, Rule};
use crate::explain::prove;
use crate::{CompileOptions, Kernel, Mode, Tensor, compile_with};
use kiln_ir::parse;
use ndarray::Array2;

const ROWS: usize = 60;

/// A side of a rule over arrays and numbers, and its parameters.
fn side(side: &'static str) -> (String, Vec<&'static str>) {
    let number = |name: &str| match name {
        "k" => "0.3",
        "l" => "2",
        "m" => "0.7",
        _ => unreachable!("numbers have three names"),
    };
    let (mut text, mut parameters) = (String::new(), Vec::new());
    let mut rest = side;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let end = match is_word(first) {
            true => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        match &rest[..end] {
            name @ ("k" | "l" | "m") => text += number(name),
            name @ ("a" | "b" | "c" | "d" | "p" | "q") => {
                text += name;
                if !parameters.contains(&name) {
                    parameters.push(name);
                }
            }
            other => text += other,
        }
        rest = &rest[end..];
    }
    (text, parameters)
}

/// A kernel of a formula over such parameters, and over `z`.
fn text(parameters: &[&str], formula: &str) -> String {
    text_of("f32", parameters, formula)
}

fn text_of(float: &str, parameters: &[&str], formula: &str) -> String {
    let typed = parameters.iter().chain(&["z"]).map(|name| match *name {
        "p" | "q" => format!("{name}: bool[m, n]"),
        _ => format!("{name}: {float}[m, n]"),
    });
    format!("|{}| {formula}", typed.collect::<Vec<_>>().join(", "))
}

struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = super::extract::mix(self.0);
        self.0
    }

    /// A number, often one where functions end, or are lost to rounding.
    fn value(&mut self) -> f32 {
        let unit = (self.bits() >> 40) as f32 / (1 << 24) as f32;
        match self.bits() % 8 {
            0 => [0.0, -0.0, 1.0, -1.0, 89.0, -104.0, 1e-30, 1e30][(self.bits() % 8) as usize],
            1 => (unit - 0.5) * 300.0,
            2 => f32::INFINITY,
            3 => 1e30,
            _ => (unit - 0.5) * 8.0,
        }
    }
}

/// Arrays for such parameters, and `z`.
fn arrays(parameters: &[&str], columns: usize) -> Vec<Tensor> {
    let mut random = Random(parameters.len() as u64 + 3);
    let mut array = |name: &&str| -> Tensor {
        let mut draw = || random.value();
        match *name {
            "p" | "q" => Array2::from_shape_simple_fn((ROWS, columns), || draw() > 1.0).into(),
            _ => Array2::from_shape_simple_fn((ROWS, columns), draw).into(),
        }
    };
    parameters.iter().chain(&["z"]).map(&mut array).collect()
}

fn compiled(text: &str, options: CompileOptions) -> Kernel {
    let graph = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    compile_with(&graph, options).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn run(kernel: &Kernel, arrays: &[Tensor]) -> Vec<f32> {
    let views: Vec<_> = arrays.iter().map(Tensor::view).collect();
    match &kernel.run(&views).expect("shapes fit")[0] {
        Tensor::F32(array) => array.iter().copied().collect(),
        Tensor::F64(array) => array.iter().map(|&x| x as f32).collect(),
        Tensor::I64(array) => array.iter().map(|&place| place as f32).collect(),
        Tensor::Bool(array) => array.iter().map(|&truth| f32::from(u8::from(truth))).collect(),
        other => panic!("{other:?}"),
    }
}

fn same(a: f32, b: f32) -> bool {
    a.is_nan() && b.is_nan() || a.to_bits() == b.to_bits()
}

/// Whether a proof has a step by a rule with one of these needs.
fn rounds(text: &str) -> bool {
    let proof = prove(&parse(text).unwrap(), Mode::Precise).unwrap();
    let is_smooth = |rule: &&Rule| matches!(rule.needs, Needs::Smooth | Needs::NoEdge);
    proof.steps.iter().any(|step| RULES.iter().filter(is_smooth).any(|r| r.name == step.rule))
}

/// What leads to a place is not rounded in another way, and what leads to a sum is.
#[test]
fn places_are_steps() {
    let mut seen = 0;
    let is_smooth = |rule: &&Rule| matches!(rule.needs, Needs::Smooth | Needs::NoEdge);
    for rule in RULES.iter().filter(is_smooth) {
        let (left, parameters) = side(rule.left);
        let of = |formula: &str| text(&parameters, formula);
        seen += usize::from(rounds(&of(&format!("sum[-1]({left})"))));
        for formula in [
            format!("argmax[-1]({left})"),
            format!("argmin[0]({left} + z)"),
            format!("argmax[-1](cumsum[-1]({left}))"),
            format!("argmax[..](max[-1]({left}))"),
        ] {
            assert!(!rounds(&of(&formula)), "{}: {formula}", rule.name);
        }
    }
    assert!(seen > 15, "{seen} rules were tested");
    // `q` is `m*m` rounded, up or down; as written, the first of equals is taken.
    let kernel = compiled("|q: f32[n], m: f32[n]| argmax[-1](q - m * m)", CompileOptions::new());
    let m = ndarray::Array1::from_iter((0..100).map(|i| 1.0 + i as f32 * 0.0137));
    let q = m.mapv(|m| m * m);
    assert_eq!(kernel.run(&[(&q).into(), (&m).into()]).unwrap()[0], ndarray::arr1(&[0i64]).into());
}

/// In strict mode no bit of a reduction changes.
#[test]
fn strict_rules_change_no_bit_of_a_reduction() {
    for rule in RULES.iter().filter(|rule| rule.licence == Licence::Exact) {
        let (left, parameters) = side(rule.left);
        let graph = parse(&text(&parameters, &left)).unwrap();
        let is_float = graph.dtype(graph.outputs()[0]).is_float();
        let formulas: &[&str] = match is_float {
            true => {
                &["sum[-1](@)", "max[0](@)", "argmin[-1](@)", "cumsum[-1](@)", "sum[-1](@) * z"]
            }
            false => &["any[-1](@)", "all[0](@)", "sum[..](f32(@))"],
        };
        for formula in formulas {
            let text = text(&parameters, &formula.replace('@', &format!("({left})")));
            let arrays = arrays(&parameters, 65);
            let expected = run(&compiled(&text, CompileOptions::unfused()), &arrays);
            let found = run(&compiled(&text, CompileOptions::new().mode(Mode::Strict)), &arrays);
            let at = expected.iter().zip(&found).position(|(a, b)| !same(*a, *b));
            if let Some(at) = at {
                panic!("{}, {text}: {:e}, not {:e}", rule.name, found[at], expected[at]);
            }
        }
    }
}

/// Numbers where functions end, or are lost to rounding, or overflow.
const ENDS: [f32; 12] = [0.5, -0.5, 0.9, 0.0, 30.0, -30.0, 50.0, -50.0, 100.0, -100.0, 3e38, -3e38];
/// Of `z`: some have squares that are infinite, though of numbers.
const SQUARED: [f32; 6] = [0.5, -0.7, 3.0, 2e19, 1e22, 0.1];

/// Beside elements whose infinities are those of numbers, no repair makes an infinity of what is a number,
/// where none was written. In a product only the rules keep to that that know of factors; the others may
/// make the infinity of the factor of what was 0 times it. What was finite stays so in any case.
#[test]
fn repairs_make_no_infinity_of_a_reduction() {
    let (mut seen, mut numbers, mut factors) = (0, 0, 0);
    for rule in RULES.iter().filter(|rule| rule.repairs != Repairs::Never) {
        let ((left, parameters), (right, _)) = (side(rule.left), side(rule.right));
        let graph = parse(&text(&parameters, &left)).unwrap();
        if !graph.dtype(graph.outputs()[0]).is_float() {
            continue;
        }
        let mut random = Random(7);
        let mut array = |of: &[f32]| {
            let mut draw = || of[(random.bits() % of.len() as u64) as usize];
            Array2::from_shape_simple_fn((ROWS, 2), &mut draw)
        };
        let mut arrays: Vec<Array2<f32>> = parameters.iter().map(|_| array(&ENDS)).collect();
        arrays.push(array(&SQUARED));
        let wide: Vec<Tensor> = arrays.iter().map(|array| array.mapv(f64::from).into()).collect();
        let arrays: Vec<Tensor> = arrays.into_iter().map(Tensor::from).collect();
        for formula in [
            "sum[-1](select(z < 1, S, -(z * z)))",
            "sum[-1](select(z < 1, -(S), z * z))",
            "prod[-1](select(z < 1, S, z * z))",
            "cumsum[-1](select(z < 1, S, -(z * z)))",
            "cumprod[-1](select(z < 1, S, z * z))",
            "(S) - sum[-1](z * z)",
            "(S) * sum[-1](z * z)",
            "(S) * prod[0](select(z > 1e21, z, 1))",
            "(S) + min[-1](-(z * z))",
            "select(z < 1, S, -(z * z)) @ transpose(1 + 0 * z)",
        ] {
            let multiplies = formula.contains("prod") || formula.contains(") *");
            let of = |side: &str| match side.rsplit_once("; ") {
                Some((lets, value)) => format!("{lets}; {}", formula.replace('S', value)),
                None => formula.replace('S', side),
            };
            let text = text(&parameters, &of(&left));
            let exact = text_of("f64", &parameters, &of(&right));
            let written = run(&compiled(&text, CompileOptions::unfused()), &arrays);
            let found = run(&compiled(&text, CompileOptions::new()), &arrays);
            let exact = run(&compiled(&exact, CompileOptions::unfused()), &wide);
            for ((written, found), exact) in written.iter().zip(&found).zip(&exact) {
                seen += usize::from(!written.is_finite() && exact.is_finite());
                numbers += usize::from(found.is_finite());
                let is_false = !written.is_infinite() && found.is_infinite() && exact.is_finite();
                let is_factors = multiplies && rule.needs != Needs::NoCliffNorOverflow;
                factors += usize::from(is_false && is_factors);
                let keeps =
                    (!is_false || is_factors) && (!written.is_finite() || found.is_finite());
                assert!(keeps, "{}, {text}: {written:e} became {found:e}", rule.name);
            }
        }
    }
    assert!(seen > 500 && numbers > 5000 && factors > 50, "{seen} of {numbers}, {factors}");
}

/// What a function of a row is measured by.
#[derive(Clone, Copy)]
enum Measure {
    /// A part of a whole: off by half as many ULP as its logarithm is below that of the largest.
    Share,
    /// A logarithm of a sum: by ULP of the largest element.
    Logarithm,
    /// A logarithm of a part: by its own ULP, whatever the elements are.
    LogShare,
}

impl Measure {
    /// How far off a result may be, in a row of elements of this size.
    fn allowed(self, expected: f64, scale: f64) -> f64 {
        let units = match self {
            Measure::Share => expected * (6.0 + 0.5 * expected.max(1e-300).ln().abs()),
            Measure::Logarithm => 4.0 * scale.max(expected.abs()),
            Measure::LogShare => 4.0 * expected.abs() + 6.0,
        };
        // The last is of what has fewer digits.
        units * f64::from(f32::EPSILON) + 1e-37
    }
}

/// Sums of exponentials are what was meant, however large the logits are, and what was written where
/// one is not finite.
#[test]
fn repairs_of_sums_keep_their_licence() {
    use Measure::{LogShare, Logarithm, Share};
    type Exact = fn(&[f64]) -> Vec<f64>;
    fn shares(row: &[f64], base: f64) -> (f64, Vec<f64>) {
        let most = row.iter().fold(f64::MIN, |most, x| most.max(*x));
        (most, row.iter().map(|x| base.powf(x - most)).collect())
    }
    fn softmax_of(row: &[f64], base: f64) -> Vec<f64> {
        let (_, powers) = shares(row, base);
        let sum: f64 = powers.iter().sum();
        powers.iter().map(|power| power / sum).collect()
    }
    fn log_sum_of(row: &[f64], base: f64) -> f64 {
        let (most, powers) = shares(row, base);
        most + powers.iter().sum::<f64>().ln() / base.ln()
    }
    fn masked(row: &[f64]) -> Vec<f64> {
        let kept = |at: usize| at != 1;
        let some: Vec<f64> = (0..row.len()).filter(|at| kept(*at)).map(|at| row[at]).collect();
        let mut softmax = softmax_of(&some, std::f64::consts::E).into_iter();
        (0..row.len()).map(|at| if kept(at) { softmax.next().unwrap() } else { 0.0 }).collect()
    }
    const E: f64 = std::f64::consts::E;
    let softmax: Exact = |row| softmax_of(row, E);
    let log_sum: Exact = |row| vec![log_sum_of(row, E)];
    let log_softmax: Exact = |row| row.iter().map(|x| x - log_sum_of(row, E)).collect();
    let binary: Exact = |row| softmax_of(row, 2.0);
    let decimal: Exact = |row| softmax_of(row, 10.0);
    let scaled: Exact = |row| softmax_of(&row.iter().map(|x| x * 0.125).collect::<Vec<_>>(), E);
    let by_mean: Exact = |row| softmax_of(row, E).iter().map(|x| x * row.len() as f64).collect();
    let log_mean: Exact = |row| vec![log_sum_of(row, E) - (row.len() as f64).ln()];
    fn with_zero(row: &[f64]) -> Vec<f64> {
        [row, &[0.0]].concat()
    }
    let quiet: Exact = |row| {
        let mut all = softmax_of(&with_zero(row), E);
        all.pop();
        all
    };
    let with_epsilon: Exact = |row| {
        let epsilon = [row, &[(1e-6f64).ln()]].concat();
        let mut all = softmax_of(&epsilon, E);
        all.pop();
        all
    };
    let log_with_one: Exact = |row| vec![log_sum_of(&with_zero(row), E)];
    let spellings: [(&str, Exact, Measure); 39] = [
        ("exp(z) / (1 + sum[-1](exp(z)))", quiet, Share),
        ("exp(z) / (sum[-1](exp(z)) + 1e-6)", with_epsilon, Share),
        ("log(1 + sum[-1](exp(z)))", log_with_one, Logarithm),
        ("log1p(sum[-1](exp(z)))", log_with_one, Logarithm),
        ("log2(1 + sum[-1](exp2(z)))", |row| vec![log_sum_of(&with_zero(row), 2.0)], Logarithm),
        (
            "-z + logsumexp[-1](z)",
            |row| row.iter().map(|x| log_sum_of(row, E) - x).collect(),
            LogShare,
        ),
        ("-logsumexp[-1](z) + z", log_softmax, LogShare),
        (
            "log(exp(z) / (1 + sum[-1](exp(z))))",
            |row| row.iter().map(|x| x - log_sum_of(&with_zero(row), E)).collect(),
            LogShare,
        ),
        ("exp(z) / sum[-1](exp(z))", softmax, Share),
        ("exp(z) * recip(sum[-1](exp(z)))", softmax, Share),
        ("let e = exp(z); (1 / sum[-1](e)) * e", softmax, Share),
        ("exp(z - logsumexp[-1](z))", softmax, Share),
        ("exp(z - log(sum[-1](exp(z))))", softmax, Share),
        ("exp(log_softmax[-1](z))", softmax, Share),
        ("exp2(z) / sum[-1](exp2(z))", binary, Share),
        ("exp10(z) / sum[-1](exp10(z))", decimal, Share),
        ("exp(z * 0.125) / sum[-1](exp(z * 0.125))", scaled, Share),
        ("exp(z / 8) / sum[-1](exp(z / 8))", scaled, Share),
        ("exp(z) / mean[-1](exp(z))", by_mean, Share),
        ("3 * exp(z) / sum[-1](3 * exp(z))", softmax, Share),
        ("let e = select(iota[-1](z) == 1, 0, exp(z)); e / sum[-1](e)", masked, Share),
        ("let e = exp(z) * f32(iota[-1](z) != 1); e / sum[-1](e)", masked, Share),
        ("log(sum[-1](exp(z)))", log_sum, Logarithm),
        ("let e = exp(z); log(sum[-1](e))", log_sum, Logarithm),
        ("log(mean[-1](exp(z)))", log_mean, Logarithm),
        ("log(sum[-1](exp(z)) / count[-1](z))", log_mean, Logarithm),
        ("log2(sum[-1](exp2(z)))", |row| vec![log_sum_of(row, 2.0)], Logarithm),
        ("log10(sum[-1](exp10(z)))", |row| vec![log_sum_of(row, 10.0)], Logarithm),
        ("log2(sum[-1](exp(z)))", |row| vec![log_sum_of(row, E) / 2f64.ln()], Logarithm),
        ("log(softmax[-1](z))", log_softmax, LogShare),
        ("log(exp(z) / sum[-1](exp(z)))", log_softmax, LogShare),
        ("log_softmax[-1](z)", log_softmax, LogShare),
        ("z - logsumexp[-1](z)", log_softmax, LogShare),
        ("z - log(sum[-1](exp(z)))", log_softmax, LogShare),
        ("-(logsumexp[-1](z) - z)", log_softmax, LogShare),
        ("let m = max[-1](z); z - (m + log(sum[-1](exp(z - m))))", log_softmax, LogShare),
        (
            "z - log2(sum[-1](exp2(z)))",
            |row| row.iter().map(|x| x - log_sum_of(row, 2.0)).collect(),
            LogShare,
        ),
        (
            "logsumexp[-1](z) - sum[-1](select(iota[-1](z) == 0, z, 0))",
            |row| vec![log_sum_of(row, E) - row[0]],
            LogShare,
        ),
        (
            "z - log(mean[-1](exp(z)))",
            |row| row.iter().map(|x| x - log_sum_of(row, E) + (row.len() as f64).ln()).collect(),
            LogShare,
        ),
    ];
    let mut random = Random(5);
    for ((text, exact, measure), columns) in
        spellings.into_iter().flat_map(|s| [1, 3, 70, 600].map(|n| (s, n)))
    {
        let text = format!("|z: f32[m, n]| {text}");
        let kernels = [Mode::Precise, Mode::Fast].map(|mode| {
            let graph = parse(&text).unwrap();
            compile_with(&graph, CompileOptions::new().mode(mode)).unwrap()
        });
        assert!(kernels.iter().all(|kernel| kernel.pass_count() == 1), "{text}");
        let written = compiled(&text, CompileOptions::unfused());
        // Spread about 0, and large but alike.
        for (scale, from) in
            [(1.0, 0.0), (20.0, 0.0), (2000.0, 0.0), (3e30, 0.0), (2.0, 1e4), (2.0, -1e4)]
        {
            let mut unit = || (random.bits() >> 40) as f32 / (1 << 24) as f32 - 0.5;
            let z = Array2::from_shape_simple_fn((4, columns), || from + scale * unit());
            let rows: Vec<Vec<f64>> =
                z.rows().into_iter().map(|row| row.iter().map(|&x| x.into()).collect()).collect();
            let arrays = [Tensor::from(z)];
            for kernel in &kernels {
                let found = run(kernel, &arrays);
                let size = found.len() / rows.len();
                for (at, row) in rows.iter().enumerate() {
                    let (found, expected) = (&found[at * size..][..size], exact(row));
                    let scale = row.iter().fold(1f64, |most, x| most.max(x.abs()));
                    for (found, expected) in found.iter().zip(&expected) {
                        let error = (f64::from(*found) - expected).abs();
                        assert!(
                            error <= measure.allowed(*expected, scale)
                                || error.is_nan() && expected.is_nan(),
                            "{text}, {columns} columns of {scale:e}: {found:e}, not {expected:e}"
                        );
                    }
                }
            }
        }
        // Infinite and no number at all: what was written.
        for special in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            for all in [false, true] {
                let mut z = Array2::from_shape_fn((2, columns), |(i, j)| ((i + j) % 5) as f32);
                match all {
                    true => z.fill(special),
                    false => z[[1, columns / 2]] = special,
                }
                let arrays = [Tensor::from(z)];
                let (written, found) = (run(&written, &arrays), run(&kernels[0], &arrays));
                for (written, found) in written.iter().zip(&found) {
                    let alike =
                        written.is_nan() || (written - found).abs() <= 1e-6 || written == found;
                    assert!(alike, "{text} with {special}: {found:e}, written {written:e}");
                    let is_false = written.is_nan() && found.is_infinite();
                    assert!(!is_false, "{text} with {special}: {found:e} of no number");
                }
            }
        }
    }
}
