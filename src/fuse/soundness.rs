//! Every row of the rule table, tested within its licence.
//!
//! Both sides of a rule are lowered and interpreted, so what is compared is what kernels compute.
//! *Exact* rules must give equal bits on every tuple of special values and at random. *Precise*
//! rules must keep special values and may not be less accurate than what was written, measured
//! against the right side in `f64`. Numbers are drawn from all that a rule's conditions allow,
//! including combinations of the corners. An infinite variable may be given as infinite or be an
//! overflowed number; with the latter, a result that was NaN may not become infinite. *Fast* rules
//! must agree where the left side is well behaved. Known-wrong rules must fail, or the harness
//! proves nothing.

use super::condition::When;
use super::facts::{Facts, facts_of};
use super::rewrite::{is_number, numbers_stay_ordinary, pattern, side, symmetry};
use super::rules::{Licence, RULES, Repairs, Rule};
use crate::lower::{Tier, lower};
use kiln_ir::{DType, Flags, Graph, Node, NodeId, Op, Typing};
use kiln_jit::vir::interp;
use std::f32::consts::FRAC_1_SQRT_2;

/// Error that any right side may have, in ULP, whatever the left side's was at that point: a few
/// roundings of its own. The largest measured is 2.48, of `(m*a) * (l + (k*a)*a)`.
const BUDGET: f64 = 2.5;
const RANDOM_CASES: usize = 20_000;

const SPECIAL: &[f32] = &[
    0.0,
    -0.0,
    1e-45,
    -1e-45,
    1.1754942e-38,
    1.1754944e-38,
    -1.1754944e-38,
    1e-20,
    0.25,
    -0.5,
    0.5,
    1.0,
    -1.0,
    1.0000001,
    2.0,
    -2.0,
    3.0,
    10.0,
    -10.0,
    20.0,
    -30.0,
    88.0,
    -88.0,
    89.0,
    -104.0,
    1e10,
    -1e10,
    1.7e38,
    3.4028235e38,
    -3.4028235e38,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// Numbers that rules are about.
const NUMBERS: &[f32] = &[
    0.5,
    2.0,
    4.0,
    -2.0,
    1.0,
    -1.0,
    0.0,
    0.25,
    0.044715,
    std::f32::consts::SQRT_2,
    -FRAC_1_SQRT_2,
];

struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = super::extract::mix(self.0);
        self.0
    }

    fn pick(&mut self, list: &[f32]) -> f32 {
        list[(self.bits() % list.len() as u64) as usize]
    }

    /// A special value, random bits, or a value of ordinary size.
    fn value(&mut self) -> f32 {
        let unit = (self.bits() >> 40) as f32 / (1 << 24) as f32;
        match self.bits() % 8 {
            0 => self.pick(SPECIAL),
            1 => f32::from_bits(self.bits() as u32),
            2..=4 => (unit - 0.5) * 8.0,
            5 => (unit - 0.5) * 100.0,
            _ => ((unit - 0.5) * 60.0).exp2() * if self.bits() & 1 == 0 { 1.0 } else { -1.0 },
        }
    }

    /// A number at the edge of a condition or of the type.
    fn corner(&mut self) -> f32 {
        const EXPONENTS: [i32; 8] = [-126, -120, -119, -64, 64, 119, 120, 127];
        let sign = if self.bits() & 1 == 0 { 1.0 } else { -1.0 };
        let at = (self.bits() % 12) as usize;
        sign * match EXPONENTS.get(at) {
            Some(&exponent) => (exponent as f32).exp2(),
            None => [1e-12, 1e12, f32::MAX, f32::MIN_POSITIVE][at - EXPONENTS.len()],
        }
    }

    /// A value for a variable. Numbers are drawn from those that rules are about, and from the
    /// corners of what their conditions allow.
    fn variable(&mut self, name: &str) -> f32 {
        match name {
            "k" | "l" | "m" => match self.bits() % 4 {
                0 => self.pick(NUMBERS),
                1 => self.corner(),
                _ => self.value(),
            },
            "p" | "q" => (self.bits() & 1) as f32,
            _ => self.value(),
        }
    }
}

/// Results of a side for many assignments, as kernels compute them.
fn run(side: &Graph, names: &[String], cases: &[Vec<f32>]) -> Vec<f64> {
    let program = lower(side, Tier::Default);
    let column = |input: &kiln_ir::Input| -> Vec<u64> {
        let index = names.iter().position(|name| *name == input.name).expect("bound on the left");
        cases
            .iter()
            .map(|case| match input.dtype {
                DType::Bool => u64::from(case[index] != 0.0),
                _ => u64::from(case[index].to_bits()),
            })
            .collect()
    };
    let columns: Vec<Vec<u64>> = side.inputs().iter().map(column).collect();
    let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
    let result = interp::run(&program, &slices, cases.len()).remove(0);
    let dtype = side.dtype(side.outputs()[0]);
    let value = |bits: u64| {
        if dtype == DType::Bool { bits as f64 } else { f64::from(f32::from_bits(bits as u32)) }
    };
    result.into_iter().map(value).collect()
}

/// The value of a side in `f64`, and the largest magnitude met on the way (infinite where a value
/// is so small that `f64` itself has no digits for it).
fn exact(side: &Graph, names: &[String], case: &[f32]) -> (f64, f64) {
    let mut values: Vec<f64> = Vec::new();
    for (_, node) in side.iter() {
        values.push(match node {
            Node::Input(index) => {
                let name = &side.inputs()[*index as usize].name;
                f64::from(case[names.iter().position(|n| n == name).expect("bound on the left")])
            }
            Node::Const(bits) => f64::from_bits(*bits),
            Node::Op(op, args) => {
                let operands: Vec<f64> = args.iter().map(|arg| values[arg.index()]).collect();
                op.eval(DType::F64, &operands)
            }
            _ => panic!("rules are about elementwise ops"),
        });
    }
    let magnitude = |v: &f64| if *v != 0.0 && v.abs() < 1e-290 { f64::INFINITY } else { v.abs() };
    let largest = values.iter().map(magnitude).fold(0.0, f64::max);
    (values[side.outputs()[0].index()], largest)
}

/// The value of a side without any rounding; NaN if it has none.
fn in_200_bits(side: &Graph, names: &[String], case: &[f32]) -> f64 {
    let of = |input: &kiln_ir::Input| {
        f64::from(case[names.iter().position(|n| *n == input.name).expect("bound on the left")])
    };
    let inputs: Vec<f64> = side.inputs().iter().map(of).collect();
    kiln_accuracy::exact(side, &inputs)[0].unwrap_or(f64::NAN)
}

/// How far off a side may be at a point from the errors of its own ops, to first order.
fn own_error(side: &Graph, names: &[String], case: &[f32]) -> f64 {
    let mut values: Vec<(f64, f64)> = Vec::new();
    for (id, node) in side.iter() {
        values.push(match node {
            Node::Input(index) => {
                let name = &side.inputs()[*index as usize].name;
                let at = names.iter().position(|n| n == name).expect("bound on the left");
                (f64::from(case[at]), 0.0)
            }
            Node::Const(bits) => (f64::from_bits(*bits), 0.0),
            Node::Op(op, args) => {
                let operands: Vec<f64> = args.iter().map(|arg| values[arg.index()].0).collect();
                let value = op.eval(DType::F64, &operands);
                let unit = f64::from(value as f32).abs().max(f32::MIN_POSITIVE.into()) * 1.2e-7;
                let mut error = op.max_ulp(side.dtype(id)) * unit;
                for (index, arg) in args.iter().enumerate() {
                    let moved = values[arg.index()].1;
                    if moved > 0.0 {
                        let mut beside = operands.clone();
                        beside[index] += moved;
                        let up = op.eval(DType::F64, &beside);
                        beside[index] -= 2.0 * moved;
                        let down = op.eval(DType::F64, &beside);
                        error += (up - value).abs().max((down - value).abs());
                    }
                }
                (value, if error.is_nan() { f64::INFINITY } else { error })
            }
            _ => panic!("rules are about elementwise ops"),
        });
    }
    values[side.outputs()[0].index()].1
}

/// Whether two values are the same real number, up to a relative `error` at magnitude `scale`.
fn same_number(a: f64, b: f64, scale: f64, error: f64) -> bool {
    !a.is_finite() || !b.is_finite() || !scale.is_finite() || (a - b).abs() <= error * scale
}

fn same_bits(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan()) || a.to_bits() == b.to_bits()
}

/// Distance in ULP of f32; infinite between a number and a NaN or an infinity.
fn ulp(got: f64, exact: f64) -> f64 {
    let rounded = f64::from(exact as f32);
    if same_bits(got, rounded) {
        return 0.0;
    }
    if !got.is_finite() || !rounded.is_finite() {
        return f64::INFINITY;
    }
    let exponent = (exact.abs().log2().floor()).clamp(-126.0, 127.0);
    (got - exact).abs() / (exponent - 23.0).exp2()
}

/// What a rule does wrong, if anything.
fn fault(
    licence: Licence,
    repairs: bool,
    left: &str,
    right: &str,
    when: &[When],
) -> Option<String> {
    let among = |overflow| fault_among(licence, repairs, left, right, when, overflow);
    among(false).or_else(|| among(true))
}

/// The same, with infinities given as such, or as the `overflow` of numbers.
fn fault_among(
    licence: Licence,
    repairs: bool,
    left: &str,
    right: &str,
    when: &[When],
    overflow: bool,
) -> Option<String> {
    // What `f64` rounds; where a number stands for a root or a logarithm, what `f32` made of it.
    let root = |when: &When| matches!(when, When::MinusRootHalf(_) | When::RootTwo(_));
    let (left, right) = (side(left, DType::F32), side(right, DType::F32));
    let is_rounded = |(id, _): (NodeId, &Node)| {
        right.constant_value(id).is_some_and(|v| (v * 1024.0).fract() != 0.0)
    };
    let has_rounded = when.iter().any(root) || right.iter().any(is_rounded);
    let error = if has_rounded { 2e-8 } else { 1e-9 };
    let names: Vec<String> = left.inputs().iter().map(|input| input.name.clone()).collect();
    let mut random = Random(names.len() as u64);
    let mut cases: Vec<Vec<f32>> = Vec::new();
    if names.len() <= 2 {
        let second = if names.len() == 2 { SPECIAL } else { &[0.0][..] };
        for &a in SPECIAL {
            cases.extend(second.iter().map(|&b| [a, b][..names.len()].to_vec()));
        }
    }
    cases.extend(
        (0..RANDOM_CASES)
            .map(|_| names.iter().map(|name| random.variable(name)).collect::<Vec<f32>>()),
    );
    let value_of = |case: &[f32], name: &str| {
        let index = names.iter().position(|n| n == name).expect("conditions are about the left");
        case[index]
    };
    let right_pattern = pattern(&right);
    cases.retain(|case| {
        let facts = |name: &str| facts_at(name, value_of(case, name), overflow);
        let number = |var: egg::Var| {
            let name = var.to_string();
            let name = name.trim_start_matches('?');
            is_number(name).then(|| (DType::F32, f64::from(value_of(case, name))))
        };
        let fold = |op: Op, dtype, values: &[f64]| op.eval(dtype, values);
        when.iter().all(|when| when.holds_for(&facts))
            && numbers_stay_ordinary(&right_pattern, &number, &fold)
    });
    assert!(cases.len() > 50, "the conditions leave too little to test: {}", cases.len());
    let (lefts, rights) = (run(&left, &names, &cases), run(&right, &names, &cases));
    for (index, case) in cases.iter().enumerate() {
        let (l, r) = (lefts[index], rights[index]);
        let ((mut el, scale), (mut er, _)) =
            (exact(&left, &names, case), exact(&right, &names, case));
        if licence == Licence::Precise && !same_number(el, er, scale, error) {
            // One side loses digits in f64 that the other keeps.
            (el, er) = (in_200_bits(&left, &names, case), in_200_bits(&right, &names, case));
        }
        let wrong = match licence {
            Licence::Exact => !same_bits(l, r),
            Licence::Precise => {
                // A NaN may vanish, never appear; the right side is the more stable reference.
                let appears = r.is_nan() && (l.is_finite() || l.is_infinite() && !er.is_nan())
                    || r.is_infinite() && l.is_nan() && (overflow || !same_bits(r, er));
                let mut worse = !l.is_nan() && ulp(r, er) > ulp(l, er).max(BUDGET);
                if worse && repairs && r.is_finite() {
                    // Its own ops may be off where the left side's happen not to be.
                    worse = (r - er).abs() > own_error(&right, &names, case);
                }
                appears || worse || !same_number(el, er, scale, error)
            }
            // Far from overflow and the edges of domains, both sides are the same real number.
            Licence::Fast => {
                let tame = case.iter().all(|v| (0.03..30.0).contains(&v.abs()));
                tame && (!same_number(el, er, scale, error) || (!l.is_nan() && r.is_nan()))
            }
        };
        if wrong {
            return Some(format!(
                "at {names:?} = {case:?}: left {l:e} (exact {el:e}), right {r:e} (exact {er:e})"
            ));
        }
    }
    None
}

/// The facts that a rule sees about a variable with this value.
fn facts_at(name: &str, value: f32, overflow: bool) -> Facts {
    facts_of(f64::from(value), is_number(name), overflow && value.is_infinite())
}

#[test]
fn every_rule_keeps_its_licence() {
    let faults: Vec<String> = RULES
        .iter()
        .filter_map(|Rule { name, licence, left, right, when, repairs, .. }| {
            fault(*licence, *repairs != Repairs::Never, left, right, when)
                .map(|fault| format!("{name}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn symmetries_are_exact() {
    for &op in Op::ALL {
        let symmetric = op.has(Flags::ODD) || op.has(Flags::EVEN);
        let cast = matches!(op.info().typing, Typing::Cast(_));
        if symmetric && op.arity() == 1 && !cast {
            let (left, right) = symmetry(op);
            assert_eq!(fault(Licence::Exact, false, &left, &right, &[]), None, "{}", op.name());
        }
    }
}

/// The harness finds fault with wrong rules.
#[test]
fn wrong_rules_fail() {
    let wrong: &[(Licence, &str, &str)] = &[
        (Licence::Exact, "a + 0", "a"),
        (Licence::Exact, "a * 0", "0 * abs(a)"),
        (Licence::Exact, "a - a", "0 * a"),
        (Licence::Exact, "(a + b) + c", "a + (b + c)"),
        (Licence::Exact, "a * b + c", "fma(a, b, c)"),
        (Licence::Exact, "a / 3", "a * (1 / 3)"),
        (Licence::Exact, "(a * k) * l", "a * (k * l)"),
        (Licence::Precise, "a / (1 + exp(b))", "a * sigmoid(-b)"),
        (Licence::Precise, "a * b + c", "fma(a, b, c)"),
        (Licence::Precise, "log(a) + log(b)", "log(a * b)"),
        (Licence::Precise, "sigmoid(a)", "0.5 * (1 + tanh(0.5 * a))"),
        (Licence::Precise, "max(a, 0)", "select(a > 0, a, 0) + 1"),
        (Licence::Fast, "exp(a) * exp(b)", "exp(a * b)"),
    ];
    for (licence, left, right) in wrong {
        assert!(
            fault(*licence, false, left, right, &[]).is_some(),
            "{left} => {right} passed as {licence:?}"
        );
    }
}
