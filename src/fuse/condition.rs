//! Conditions of rules: what must be known about what their variables matched.

use super::facts::{FactAnalysis, Facts};
use super::term::{Head, Term};
use egg::{EGraph, Id, Language, Subst, Var};
use kiln_ir::{DType, Op};
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::sync::LazyLock;

/// A condition on what a variable matched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    /// A power of two (or minus one) whose reciprocal is normal too.
    Pow2(&'static str),
    /// A number of magnitude at least 1.
    AtLeastOne(&'static str),
    /// A number above 0.
    Positive(&'static str),
    /// A number of magnitude 1e-12 to 1e12: products of three neither overflow nor underflow.
    Moderate(&'static str),
    /// A number within an ULP of -1/√2.
    MinusRootHalf(&'static str),
    /// A number within an ULP of √2.
    RootTwo(&'static str),
    /// Not a number.
    NotConst(&'static str),
    /// Not a product: contracting `a*b - c*d` would break its symmetry (`x*x - x*x` is 0).
    NotProduct(&'static str),
    /// Never below +0, and never -0.
    NeverNegative(&'static str),
    /// Never -0.
    NeverMinusZero(&'static str),
    /// The first is never below the second, which is a number, and never equals it as -0 equals +0.
    NeverBelow(&'static str, &'static str),
    /// May be above zero.
    MayBePositive(&'static str),
    /// May be above a number, as far as the thresholds of facts tell.
    MayBeAbove(&'static str, f64),
    /// May be below a number.
    MayBeBelow(&'static str, f64),
    /// The product of the first two and the third are never infinities of opposite signs made by
    /// overflow. The sum of such infinities is NaN; rounded once, it would be the third.
    NoOverflows(&'static str, &'static str, &'static str, Sign),
    /// Infinite only where it was given so, never by overflow.
    NoOverflow(&'static str),
    /// The same, or the second is infinite or NaN wherever the first is infinite.
    NoOverflowUnless(&'static str, &'static str),
}

/// How a product and a third value are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// They are added.
    Plus,
    /// One is subtracted from the other.
    Minus,
}

/// The e-graph's variable with this name, a letter.
pub(super) fn variable(name: &str) -> Var {
    // Conditions ask for it at every match, and making one takes a lock.
    static LETTERS: LazyLock<[Var; 26]> = LazyLock::new(|| {
        std::array::from_fn(|i| {
            let letter = char::from(b'a' + i as u8);
            format!("?{letter}").parse().expect("a letter is a variable")
        })
    });
    let &[letter @ b'a'..=b'z'] = name.as_bytes() else { panic!("{name} is no letter") };
    LETTERS[usize::from(letter - b'a')]
}

/// Whether `b` is infinite or NaN wherever `a` is infinite, as far as their terms show directly.
pub(super) fn follows(egraph: &EGraph<Term, FactAnalysis>, a: Id, b: Id, depth: usize) -> bool {
    if is_made_of(egraph, a, b, depth) {
        return true;
    }
    // `-c`, and `k*c` with a small number `k`, are infinite only where `c` is.
    let infinite_with = |term: &Term| match (term.head(), term.children()) {
        (Head::Op(Op::Neg), &[c]) => Some(c),
        (Head::Op(Op::Mul), &[k, c]) => {
            egraph[k].data.constant.filter(|k| k.abs() <= 1.0).map(|_| c)
        }
        _ => None,
    };
    let mut within = egraph[a].nodes.iter().filter_map(infinite_with);
    depth > 0 && within.any(|c| follows(egraph, c, b, depth - 1))
}

/// Whether `b` is `a`, or made of it by ops that are infinite or NaN where that operand is.
fn is_made_of(egraph: &EGraph<Term, FactAnalysis>, a: Id, b: Id, depth: usize) -> bool {
    if egraph.find(a) == egraph.find(b) {
        return true;
    }
    depth > 0
        && egraph[b].nodes.iter().any(|term| {
            let operands = match term.head() {
                Head::Op(Op::Neg | Op::Abs | Op::Add | Op::Sub | Op::Mul | Op::Fma) => {
                    term.children()
                }
                Head::Op(Op::Div) => &term.children()[..1],
                _ => &[],
            };
            operands.iter().any(|&operand| is_made_of(egraph, a, operand, depth - 1))
        })
}

/// Whether a class is a product, up to its sign or by choice.
fn is_product(egraph: &EGraph<Term, FactAnalysis>, class: Id, depth: usize) -> bool {
    egraph[class].nodes.iter().any(|term| match term.head() {
        Head::Op(Op::Mul) => true,
        Head::Op(Op::Neg | Op::Abs | Op::Min | Op::Max | Op::Clamp | Op::Select) => {
            depth > 0 && term.children().iter().any(|&of| is_product(egraph, of, depth - 1))
        }
        _ => false,
    })
}

/// How deep [`follows`] and [`is_product`] look.
pub(super) const DEPTH: usize = 5;

impl When {
    /// Whether it concerns only NaN and infinities, which fast mode does not keep.
    pub(super) fn is_careful(self) -> bool {
        matches!(self, When::NoOverflow(..) | When::NoOverflows(..) | When::NoOverflowUnless(..))
    }

    pub(super) fn holds(self, egraph: &EGraph<Term, FactAnalysis>, subst: &Subst) -> bool {
        let class = |name: &str| &egraph[subst[variable(name)]];
        match self {
            When::NotProduct(name) => !is_product(egraph, subst[variable(name)], DEPTH),
            When::NoOverflowUnless(a, b) => {
                let [a, b] = [a, b].map(|name| subst[variable(name)]);
                !egraph[a].data.range.may_overflow || follows(egraph, a, b, DEPTH)
            }
            When::NoOverflows(a, b, c, sign) => {
                let [a, b, c] = [a, b, c].map(|name| egraph.find(subst[variable(name)]));
                let product = Facts::of_product(&egraph[a].data, &egraph[b].data, a == b);
                let c = egraph[c].data.range;
                let apart = match sign {
                    Sign::Plus => product.low >= 0.0 && c.low >= 0.0,
                    Sign::Minus => product.low >= 0.0 && c.high <= 0.0,
                };
                apart || !c.may_overflow || !product.may_overflow
            }
            _ => self.holds_for(&|name| class(name).data.clone()),
        }
    }

    /// Whether the condition holds, given the facts of each variable.
    pub(crate) fn holds_for(self, facts: &dyn Fn(&str) -> Facts) -> bool {
        let number = |name: &str| facts(name).constant.unwrap_or(f64::NAN);
        match self {
            When::Pow2(name) => {
                let value = number(name).abs();
                // Reciprocals of these are exact and normal in f32 too.
                let exponent = value.log2();
                exponent.fract() == 0.0 && exponent.abs() <= 120.0
            }
            When::AtLeastOne(name) => number(name).abs() >= 1.0,
            When::Positive(name) => number(name) > 0.0,
            When::Moderate(name) => (1e-12..=1e12).contains(&number(name).abs()),
            When::MinusRootHalf(name) => is_nearly(&facts(name), -FRAC_1_SQRT_2),
            When::RootTwo(name) => is_nearly(&facts(name), SQRT_2),
            When::NotConst(name) => facts(name).constant.is_none(),
            When::NotProduct(_) => true,
            When::NeverNegative(name) => facts(name).range.never_negative(),
            When::NeverMinusZero(name) => !facts(name).range.may_be_minus_zero,
            When::NeverBelow(name, bound) => {
                let (a, bound) = (facts(name).range, number(bound));
                a.low > bound || (a.low == bound && (bound != 0.0 || !a.may_be_minus_zero))
            }
            When::MayBePositive(name) => facts(name).range.high > 0.0,
            When::MayBeAbove(name, bound) => facts(name).range.high > bound,
            When::MayBeBelow(name, bound) => facts(name).range.low < bound,
            When::NoOverflow(name) | When::NoOverflowUnless(name, _) => {
                !facts(name).range.may_overflow
            }
            When::NoOverflows(a, b, c, _) => {
                let product = Facts::of_product(&facts(a), &facts(b), false);
                !facts(c).range.may_overflow || !product.may_overflow
            }
        }
    }
}

/// Whether the number is within an ULP of `value`.
fn is_nearly(facts: &Facts, value: f64) -> bool {
    let epsilon = if facts.dtype == DType::F64 { f64::EPSILON } else { f32::EPSILON.into() };
    facts.constant.is_some_and(|number| (number / value - 1.0).abs() <= epsilon)
}
