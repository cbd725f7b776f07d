//! The rule table of the algebra e-graph, and its compilation to egg rewrites.
//!
//! A rule is a row: name, licence, left side, right side, conditions. Both sides are kernel text,
//! so the table reads like algebra, and the tests evaluate both sides with the reference
//! interpreter: the same rows drive the rewrites *and* their soundness tests.
//!
//! Variables: `a b c d` stand for anything, `k l m` for numbers, `p q` for bools. What is computed
//! from numbers alone on a right side is folded. No variable stands for integers, whose algebra is
//! another one. Rules are directional, there is no general
//! associativity, and no right side is worse than its left side within its licence.

use super::context::Needs;
use super::facts::{FactAnalysis, Facts};
use super::term::{Head, Term};
use egg::{
    Applier, EGraph, ENodeOrVar, Id, Language, Pattern, PatternAst, Rewrite, Subst, Symbol, Var,
};
use kiln_ir::{DType, Flags, Graph, Node, Op, Scalar, Typing, parse_with};
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::sync::LazyLock;

/// What a rule may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Licence {
    /// Nothing: the bits are those of what was written, for every input (a NaN stays a NaN).
    Exact,
    /// Rounding, and repairs. Of given operands the result is within 2.5 ULP, or no worse than what
    /// was written; a sum that cancels magnifies what was rounded before it, and stays within the
    /// bound of what was written. Where that is finite, so is the result, and a NaN never becomes an
    /// infinity that is none. A *repair* of what loses all digits at some inputs may, at others, be
    /// off by what its own ops are: `x * normcdf(x)` is by up to 2.61 ULP where GELU by `erf` may be
    /// better, beyond 2.5 at one f32 in two million of [-12, 0]. It gives the zero that the exact
    /// function gives, and a NaN where that has no value. See [`modes`](crate::modes).
    Precise,
    /// Anything that holds for real numbers.
    Fast,
}

/// A condition on what a variable matched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    /// A power of two (or minus one), its reciprocal normal too.
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
    /// No product: contracting `a*b - c*d` would break its symmetry (`x*x - x*x` is 0).
    NotProduct(&'static str),
    /// Never below +0, nor -0.
    NeverNegative(&'static str),
    /// Never -0.
    NeverMinusZero(&'static str),
    /// The first is never below the second, which is a number, nor equal to it as -0 to +0.
    NeverBelow(&'static str, &'static str),
    /// May be above zero.
    MayBePositive(&'static str),
    /// May be above a number, as far as the thresholds of facts tell.
    MayBeAbove(&'static str, f64),
    /// May be below a number.
    MayBeBelow(&'static str, f64),
    /// The product of the first two and the third are not infinities of opposite signs that numbers
    /// too large have become: their sum is NaN, and rounded once it would be the third.
    NoOverflows(&'static str, &'static str, &'static str, Sign),
    /// Infinite only where it was given so: no number that has become too large.
    NoOverflow(&'static str),
    /// That, or the second is infinite or NaN wherever the first is infinite.
    NoOverflowUnless(&'static str, &'static str),
}

/// How a product and a third value meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// They are added.
    Plus,
    /// One is taken from the other.
    Minus,
}

/// A row of the rule table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) licence: Licence,
    pub(crate) left: &'static str,
    pub(crate) right: &'static str,
    pub(crate) when: &'static [When],
    /// What must be known of where the values of the left side flow.
    pub(crate) needs: Needs,
    /// Where the right side is preferred whatever it costs: the left loses digits or overflows.
    pub(crate) repairs: Repairs,
    /// Whether the left side is infinite where its value is a large number, without bound.
    pub(crate) grows: bool,
}

/// Times this and divided by it, a value is infinite if it is within 2^60 of the type's limit, and
/// else as it was. What is added to a number that has become infinite must be so large to bring it
/// back below the limit: as it stays infinite itself, their sum is NaN, as written, and no infinity
/// in place of a number.
const LIMIT: f64 = (1u64 << 60) as f64;

/// Where a left side is avoided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repairs {
    Never,
    /// Not in fast mode, where the cheaper side is taken.
    UnlessFast,
    Always,
}

use Licence::{Exact, Fast, Precise};
use When::{
    AtLeastOne, MayBeAbove, MayBeBelow, MayBePositive, MinusRootHalf, Moderate, NeverBelow,
    NeverMinusZero, NeverNegative, NoOverflow, NoOverflowUnless, NoOverflows, NotConst, NotProduct,
    Positive, Pow2, RootTwo,
};

const fn rule(
    name: &'static str,
    licence: Licence,
    left: &'static str,
    right: &'static str,
    when: &'static [When],
) -> Rule {
    Rule {
        name,
        licence,
        left,
        right,
        when,
        needs: Needs::Nothing,
        repairs: Repairs::Never,
        grows: false,
    }
}

/// A rule after which the same is computed with fewer roundings, or other ones.
const fn rounding(
    name: &'static str,
    left: &'static str,
    right: &'static str,
    when: &'static [When],
) -> Rule {
    let (licence, needs) = (Precise, Needs::Smooth);
    Rule { name, licence, left, right, when, needs, repairs: Repairs::Never, grows: false }
}

/// A rule that rounds once where there were two roundings.
const fn contraction(
    name: &'static str,
    left: &'static str,
    right: &'static str,
    when: &'static [When],
) -> Rule {
    let (licence, needs) = (Precise, Needs::NoEdge);
    Rule { name, licence, left, right, when, needs, repairs: Repairs::Never, grows: false }
}

/// A rule whose right side is at least as accurate, and mostly cheaper.
const fn better(
    name: &'static str,
    left: &'static str,
    right: &'static str,
    when: &'static [When],
) -> Rule {
    let (licence, needs) = (Precise, Needs::NoCliff);
    Rule { name, licence, left, right, when, needs, repairs: Repairs::Never, grows: false }
}

/// A rule whose left side is badly conditioned: where it matches, the left side is avoided.
const fn repair(
    name: &'static str,
    left: &'static str,
    right: &'static str,
    when: &'static [When],
) -> Rule {
    let needs = Needs::NoCliff;
    Rule {
        name,
        licence: Precise,
        left,
        right,
        when,
        needs,
        repairs: Repairs::Always,
        grows: false,
    }
}

/// A [`repair`] of what is good enough for fast mode, where it is cheaper.
const fn repair_unless_fast(
    name: &'static str,
    left: &'static str,
    right: &'static str,
    when: &'static [When],
) -> Rule {
    let needs = Needs::NoCliff;
    Rule {
        name,
        licence: Precise,
        left,
        right,
        when,
        needs,
        repairs: Repairs::UnlessFast,
        grows: false,
    }
}

impl Rule {
    /// A repair of what overflows where its value is merely large.
    const fn growing(self) -> Rule {
        Rule { grows: true, ..self }
    }

    /// A repair of a tail that is 0 as written.
    const fn of_tail(self) -> Rule {
        Rule { needs: Needs::NoCliffNorOverflow, ..self }
    }
}

/// The table.
#[rustfmt::skip]
pub(crate) const RULES: &[Rule] = &[
    // Order of operands.
    rule("commute-add",     Exact,   "a + b",                     "b + a",                          &[]),
    rule("commute-mul",     Exact,   "a * b",                     "b * a",                          &[]),
    rule("commute-max",     Exact,   "max(a, b)",                 "max(b, a)",                      &[]),
    rule("commute-min",     Exact,   "min(a, b)",                 "min(b, a)",                      &[]),
    rule("commute-fma",     Exact,   "fma(a, b, c)",              "fma(b, a, c)",                   &[]),
    rule("flip-gt",         Exact,   "a > b",                     "b < a",                          &[]),
    rule("flip-ge",         Exact,   "a >= b",                    "b <= a",                         &[]),
    // Signs.
    rule("neg-neg",         Exact,   "-(-a)",                     "a",                              &[]),
    rule("sub-neg",         Exact,   "a - -b",                    "a + b",                          &[]),
    rule("add-neg",         Exact,   "a + -b",                    "a - b",                          &[]),
    rule("mul-minus-one",   Exact,   "a * -1",                    "-a",                             &[]),
    rule("neg-mul",         Exact,   "(-a) * b",                  "-(a * b)",                       &[]),
    rule("neg-into-number", Exact,   "-(a * k)",                  "a * -k",                         &[]),
    rule("neg-div",         Exact,   "(-a) / b",                  "-(a / b)",                       &[]),
    rule("div-neg",         Exact,   "a / -b",                    "-(a / b)",                       &[]),
    rule("abs-neg",         Exact,   "abs(-a)",                   "abs(a)",                         &[]),
    rule("abs-abs",         Exact,   "abs(abs(a))",               "abs(a)",                         &[]),
    rule("abs-square",      Exact,   "abs(a) * abs(a)",           "a * a",                          &[]),
    rule("abs-known",       Exact,   "abs(a)",                    "a",                              &[NeverNegative("a")]),
    // Neutral elements.
    rule("mul-one",         Exact,   "a * 1",                     "a",                              &[]),
    rule("div-one",         Exact,   "a / 1",                     "a",                              &[]),
    rule("sub-zero",        Exact,   "a - 0",                     "a",                              &[]),
    rule("add-minus-zero",  Exact,   "a + -0.0",                  "a",                              &[]),
    rule("add-zero",        Exact,   "a + 0",                     "a",                              &[NeverMinusZero("a")]),
    rule("max-same",        Exact,   "max(a, a)",                 "a",                              &[]),
    rule("min-same",        Exact,   "min(a, a)",                 "a",                              &[]),
    rule("max-known",       Exact,   "max(a, k)",                 "a",                              &[NeverBelow("a", "k")]),
    rule("not-not",         Exact,   "!(!p)",                     "p",                              &[]),
    rule("select-same",     Exact,   "select(p, a, a)",           "a",                              &[]),
    // One spelling for what is one thing.
    rule("double",          Exact,   "a + a",                     "2 * a",                          &[]),
    rule("div-pow2",        Exact,   "a / k",                     "a * (1 / k)",                    &[Pow2("k")]),
    rule("merge-pow2",      Exact,   "(a * k) * l",               "a * (k * l)",                    &[Pow2("k"), Pow2("l"), AtLeastOne("k"), AtLeastOne("l")]),
    rule("recip",           Exact,   "1 / a",                     "recip(a)",                       &[]),
    rule("div-recip",       Exact,   "recip(a)",                  "1 / a",                          &[]),
    rule("rsqrt",           Exact,   "1 / sqrt(a)",               "rsqrt(a)",                       &[]),
    rule("clamp",           Exact,   "min(max(a, b), c)",         "clamp(a, b, c)",                 &[]),
    // One rounding for two.
    contraction("contract-add",    "a * b + c",                 "fma(a, b, c)",                   &[NotProduct("c"), NoOverflows("a", "b", "c", Sign::Plus)]),
    contraction("contract-sub",    "a * b - c",                 "fma(a, b, -c)",                  &[NotProduct("c"), NoOverflows("a", "b", "c", Sign::Minus)]),
    contraction("contract-rsub",   "c - a * b",                 "fma(-a, b, c)",                  &[NotProduct("c"), NoOverflows("a", "b", "c", Sign::Minus)]),
    better("merge-powers",           "k * (l * a)",               "(k * l) * a",                    &[Pow2("k"), Pow2("l")]),
    rounding("merge-numbers",   "k * (l * a)",               "(k * l) * a",                    &[Moderate("k"), Moderate("l")]),
    rounding("pow-2",           "pow(a, 2)",                 "a * a",                          &[]),
    rounding("pow-3",           "pow(a, 3)",                 "(a * a) * a",                    &[]),
    rounding("pow-4",           "pow(a, 4)",                 "(a * a) * (a * a)",              &[]),
    rounding("pow-half",        "pow(abs(a), 0.5)",          "sqrt(abs(a))",                   &[]),
    // Cubic monomials k*a^3: one order that neither overflows nor underflows before the result.
    rounding("cube-outer",      "k * ((a * a) * a)",         "(a * a) * (k * a)",              &[Moderate("k")]),
    rounding("cube-inner",      "((k * a) * a) * a",         "(a * a) * (k * a)",              &[Moderate("k")]),
    rounding("cube-middle",     "(k * (a * a)) * a",         "(a * a) * (k * a)",              &[Moderate("k")]),
    // Odd cubics a*(l + k*a^2), without cancellation because k and l are positive.
    rounding("cubic-sum",       "a + (a * a) * (k * a)",     "a * fma(k, a * a, 1)",           &[Moderate("k"), Positive("k")]),
    rounding("cubic-fma",       "fma(a * a, k * a, a)",      "a * fma(k, a * a, 1)",           &[Moderate("k"), Positive("k")]),
    rounding("cubic-horner",    "a * (l + (k * a) * a)",     "a * fma(k, a * a, l)",           &[Moderate("k"), Positive("k"), Moderate("l"), Positive("l")]),
    rounding("cubic-horner-in", "(m * a) * (l + (k * a) * a)", "a * fma(m * k, a * a, m * l)", &[Moderate("k"), Positive("k"), Moderate("l"), Positive("l"), Moderate("m")]),
    rounding("cubic-scale",     "m * (a * fma(k, a * a, l))", "a * fma(m * k, a * a, m * l)",  &[Moderate("k"), Positive("k"), Moderate("l"), Positive("l"), Moderate("m")]),
    rounding("cubic-scale-in",  "(m * a) * fma(k, a * a, l)", "a * fma(m * k, a * a, m * l)",  &[Moderate("k"), Positive("k"), Moderate("l"), Positive("l"), Moderate("m")]),
    // The logistic function, however it is written. (1 + tanh b)/2 = sigmoid 2b. What is written
    // with exp overflows, and so loses a tail.
    better("tanh-plus-one",   "1 + tanh(a)",               "2 * sigmoid(2 * a)",             &[]).of_tail(),
    better("half-tanh",       "0.5 * (1 + tanh(a))",       "sigmoid(2 * a)",                 &[]).of_tail(),
    better("half-plus-tanh",  "0.5 + 0.5 * tanh(a)",       "sigmoid(2 * a)",                 &[]).of_tail(),
    better("gelu-gate",       "(0.5 * a) * (1 + tanh(b))", "a * sigmoid(2 * b)",             &[NoOverflowUnless("a", "b")]),
    better("gelu-gate-outer", "0.5 * (a * (1 + tanh(b)))", "a * sigmoid(2 * b)",             &[NoOverflowUnless("a", "b")]),
    better("gelu-gate-sum",   "0.5 * (a + a * tanh(b))",   "a * sigmoid(2 * b)",             &[NoOverflowUnless("a", "b")]),
    better("gelu-gate-split", "0.5 * a + (0.5 * a) * tanh(b)", "a * sigmoid(2 * b)",         &[NoOverflowUnless("a", "b")]),
    better("half-twice",      "(0.5 * a) * (2 * b)",       "a * b",                          &[NoOverflow("b")]),
    better("half-twice-in",   "0.5 * (a * (2 * b))",       "a * b",                          &[NoOverflow("b")]),
    repair("sigmoid",                "1 / (1 + exp(a))",           "sigmoid(-a)",                    &[]).of_tail(),
    repair("sigmoid-recip",          "recip(1 + exp(a))",          "sigmoid(-a)",                    &[]).of_tail(),
    repair("sigmoid-ratio",          "exp(a) / (1 + exp(a))",      "sigmoid(a)",                     &[]),
    repair("gate",                   "a / (1 + exp(b))",           "a * sigmoid(-b)",                &[NoOverflowUnless("a", "b")]).of_tail(),
    repair("gate-ratio",             "(a * exp(b)) / (1 + exp(b))", "a * sigmoid(b)",                 &[NoOverflow("a")]),
    repair("gate-recip",             "a * (exp(b) / (1 + exp(b)))", "a * sigmoid(b)",                 &[NoOverflow("a")]),
    better("sigmoid-rest",    "1 - sigmoid(a)",            "sigmoid(-a)",                    &[]).of_tail(),
    // Where what was written cancels or overflows, the stable form is better at any cost.
    repair("log1p",                  "log(1 + a)",                "log1p(a)",                       &[NotConst("a")]),
    repair("log1p-minus",            "log(1 - a)",                "log1p(-a)",                      &[NotConst("a")]),
    repair("expm1",                  "exp(a) - 1",                "expm1(a)",                       &[]),
    repair("expm1-plus",             "exp(a) + -1",               "expm1(a)",                       &[]),
    repair("expm1-rest",             "1 - exp(a)",                "0 - expm1(a)",                   &[]),
    repair("softplus",               "log1p(exp(a))",             "max(a, 0) + log1p(exp(-abs(a)))", &[MayBePositive("a")]).growing(),
    repair("softplus-shift",         "a + log1p(exp(-a))",        "max(a, 0) + log1p(exp(-abs(a)))", &[]),
    repair("log-sigmoid",            "log(sigmoid(a))",           "min(a, -0.0) - log1p(exp(-abs(a)))", &[]),
    repair("log-of-quotient",        "log(1 / (1 + exp(a)))",     "min(-a, -0.0) - log1p(exp(-abs(a)))", &[]),
    repair("logaddexp",              "log(exp(a) + exp(b))",      "select(a == b, a + 0.6931471805599453, max(a, b) + log1p(exp(-abs(a - b))))", &[]).growing(),
    // The difference is rounded, which moves a tail by as many ULP as it is large; what it lost, in
    // Knuth's sum of two, is put back by the slope s(1 - s).
    repair("sigmoid-pair",           "exp(a) / (exp(a) + exp(b))", "let d = a - b; let t = d - a; let e = (a - (d - t)) - (b + t); let s = sigmoid(d); select(abs(d) < 1000, fma(s * e, 1 - s, s), s)", &[]),
    // log(1 - e^a): near 0 the difference cancels, far below it is 1. Each branch is limited to where
    // it is the better one, so that no rule takes it for the whole.
    repair("log1mexp",               "log(1 - exp(a))",           "select(a < -0.6931472, log1p(-exp(min(a, -0.6931472))), log(-expm1(max(a, -0.6931472))))", &[]),
    repair("log1mexp-log1p",         "log1p(-exp(a))",            "select(a < -0.6931472, log1p(-exp(min(a, -0.6931472))), log(-expm1(max(a, -0.6931472))))", &[MayBeAbove("a", -0.5)]),
    repair("log1mexp-expm1",         "log(-expm1(a))",            "select(a < -0.6931472, log1p(-exp(min(a, -0.6931472))), log(-expm1(max(a, -0.6931472))))", &[MayBeBelow("a", -1.0)]),
    // log(e^a - 1) is a from 40 on, to the last bit of f64 too.
    repair("logexpm1",               "log(exp(a) - 1)",           "select(a > 40, a, log(expm1(min(a, 40))))", &[]).growing(),
    repair("logexpm1-expm1",         "log(expm1(a))",             "select(a > 40, a, log(expm1(min(a, 40))))", &[MayBeAbove("a", 88.0)]).growing(),
    // What was written is NaN at minus infinity, and so where a has become too large a number.
    repair("asinh",                  "log(a + sqrt(a * a + 1))",  "asinh(a)",                       &[NoOverflow("a")]),
    repair("asinh-overflow",         "log(a + sqrt(a * a + 1))",  "max(asinh(a), -711)",            &[]),
    repair("acosh",                  "log(a + sqrt(a * a - 1))",  "acosh(a)",                       &[]),
    // hypot of an infinity and NaN is infinite; what was written is NaN.
    repair_unless_fast("hypot",      "sqrt(a * a + b * b)",       "max(hypot(a, b), min(abs(a), abs(b)))", &[]).growing(),
    // tanh by exponentials: (e^a - e^b)/(e^a + e^b) = tanh((a - b)/2).
    repair("tanh-ratio",             "(exp(a) - exp(b)) / (exp(a) + exp(b))", "tanh(0.5 * (a - b))", &[]),
    repair("tanh-expm1",             "(exp(a) - 1) / (1 + exp(a))", "tanh(0.5 * a)",               &[]),
    repair("tanh-of-expm1",          "expm1(a) / (1 + exp(a))",   "tanh(0.5 * a)",                  &[]),
    repair("tanh-rest",              "(1 - exp(a)) / (1 + exp(a))", "-tanh(0.5 * a)",              &[]),
    repair("tanh-gate",              "2 / (1 + exp(a)) - 1",      "-tanh(0.5 * a)",                 &[]),
    repair("tanh-gate-plus",         "2 / (1 + exp(a)) + -1",     "-tanh(0.5 * a)",                 &[]),
    repair("tanh-gate-rest",         "1 - 2 / (1 + exp(a))",      "tanh(0.5 * a)",                  &[]),
    repair("tanh-sigmoid",           "2 * sigmoid(a) - 1",        "tanh(0.5 * a)",                  &[]),
    repair("tanh-sigmoid-rest",      "1 - 2 * sigmoid(a)",        "-tanh(0.5 * a)",                 &[]),
    repair("tanh-sinh",              "sinh(a) / cosh(a)",         "tanh(a)",                        &[]),
    repair("tanhshrink",             "a - tanh(a)",                "tanhshrink(a)", &[]),
    // 1 - tanh(a)^2 = 4e/(1+e)^2 = 4e/(1 + e(e+2)) with e = exp(-2|a|).
    repair("tanh-slope",             "1 - tanh(a) * tanh(a)",      "(4 * exp(-2 * abs(a))) / fma(exp(-2 * abs(a)), exp(-2 * abs(a)) + 2, 1)", &[]),
    repair("tanh-slope-fma",         "fma(-tanh(a), tanh(a), 1)",  "(4 * exp(-2 * abs(a))) / fma(exp(-2 * abs(a)), exp(-2 * abs(a)) + 2, 1)", &[]),
    // sqrt(1+a) - 1 = a/(sqrt(1+a) + 1), which is NaN where a is infinite and cancels where it is not
    // small. Of a square, that may overflow, sqrt(1 + a^2) <= 1 + |a|.
    repair("root-minus-one",         "sqrt(1 + a) - 1",            "select(a > 1, sqrt(1 + a) + -1, a / (sqrt(1 + a) + 1))", &[NotConst("a"), NotProduct("a")]),
    repair("hyperbola",              "sqrt(a * a + 1) - 1",        "select(abs(a) > 2, min(sqrt(fma(a, a, 1)), abs(a) + 1) + -1, a * (a / (sqrt(fma(a, a, 1)) + 1)))", &[]).growing(),
    repair("one-minus-root",         "1 - sqrt(1 - a)",            "select(a < -1, -(sqrt(1 - a) + -1), a / (1 + sqrt(1 - a)))", &[NotConst("a"), NotProduct("a")]),
    repair("one-minus-cos",          "1 - cos(a)",                 "2 * (sin(0.5 * a) * sin(0.5 * a))", &[]),
    // The normal distribution, (1 + erf(a/√2))/2 = erfc(-a/√2)/2: the sum loses the lower tail, and
    // rounding a/√2 costs a^2 ULP there. Fast mode may have it so, for erf is quicker.
    repair_unless_fast("erfc-plus",  "1 + erf(a)",                 "erfc(-a)", &[]).of_tail(),
    repair_unless_fast("erfc-minus", "1 - erf(a)",                 "erfc(a)", &[]).of_tail(),
    repair_unless_fast("erfc-half",  "0.5 + 0.5 * erf(a)",         "0.5 * erfc(-a)", &[]).of_tail(),
    repair_unless_fast("erfc-half-fma", "fma(0.5, erf(a), 0.5)",   "0.5 * erfc(-a)", &[]).of_tail(),
    repair_unless_fast("erfc-gate",  "0.5 * a + (0.5 * a) * erf(b)", "(0.5 * a) * erfc(-b)", &[NoOverflowUnless("a", "b")]),
    repair_unless_fast("erfc-gate-fma", "fma(0.5 * a, erf(b), 0.5 * a)", "(0.5 * a) * erfc(-b)", &[NoOverflowUnless("a", "b")]),
    better("normcdf",         "0.5 * erfc(a * k)",          "normcdf(a)", &[MinusRootHalf("k")]),
    better("normcdf-gate",    "(0.5 * b) * erfc(a * k)",    "b * normcdf(a)", &[MinusRootHalf("k")]),
    better("normcdf-gate-outer", "0.5 * (b * erfc(a * k))", "b * normcdf(a)", &[MinusRootHalf("k")]),
    better("normcdf-ratio",   "0.5 * erfc(-(a / k))",       "normcdf(a)", &[RootTwo("k")]),
    better("normcdf-gate-ratio", "(0.5 * b) * erfc(-(a / k))", "b * normcdf(a)", &[RootTwo("k")]),
    better("normcdf-gate-ratio-outer", "0.5 * (b * erfc(-(a / k)))", "b * normcdf(a)", &[RootTwo("k")]),
    rule("normcdf-erf-gate", Fast,   "b * normcdf(a)",             "fma(0.5 * b, erf(0.7071067811865476 * a), 0.5 * b)", &[]),
    // Real-number identities.
    rule("add-zero-fast",   Fast,    "a + 0",                     "a",                              &[]),
    rule("zero-sub",        Fast,    "0 - a",                     "-a",                             &[]),
    rule("neg-sub",         Fast,    "-(a - b)",                  "b - a",                          &[]),
    rule("div-number",      Fast,    "a / k",                     "a * (1 / k)",                    &[Moderate("k")]),
    rule("hoist-number",    Fast,    "(k * a) * b",               "k * (a * b)",                    &[NotConst("a"), NotConst("b")]),
    rule("factor",          Fast,    "a * b + a * c",             "a * (b + c)",                    &[]),
    rule("factor-one",      Fast,    "a + a * b",                 "a * (1 + b)",                    &[NotConst("a")]),
    // One rounding less; of an infinite a it makes NaN where b is negative.
    rule("contract-one",    Fast,    "a * (b + 1)",               "fma(a, b, a)",                   &[NotConst("a")]),
    rule("contract-both",   Fast,    "a * b + c * d",             "fma(a, b, c * d)",               &[]),
    rule("cancel-sub",      Fast,    "(a + b) - b",               "a",                              &[NotConst("b")]),
    rule("div-sqrt",        Fast,    "a / sqrt(b)",               "a * rsqrt(b)",                   &[]),
    rule("sqrt-pow",        Fast,    "pow(a, 0.5)",               "sqrt(a)",                        &[]),
    rule("exp-sum",         Fast,    "exp(a) * exp(b)",           "exp(a + b)",                     &[]),
    rule("exp-difference",  Fast,    "exp(a) / exp(b)",           "exp(a - b)",                     &[]),
    rule("exp-recip",       Fast,    "1 / exp(a)",                "exp(-a)",                        &[]),
    rule("log-exp",         Fast,    "log(exp(a))",               "a",                              &[]),
    rule("number-into-fma", Fast,    "m * fma(k, a, l)",          "fma(m * k, a, m * l)",           &[Moderate("k"), Moderate("l"), Moderate("m")]),
    // tanh(softplus a) = n/(n+2) with n = e(e+2), e = exp a; it is 1 from a = 20 on.
    better("mish-gate",                "tanh(max(a, 0) + log1p(exp(-abs(a))))", "let e = exp(min(a, 20)); let n = fma(e, e, 2 * e); n / (n + 2)", &[]),
];

/// A rewrite of the algebra e-graph.
pub(crate) type TermRewrite = Rewrite<Term, FactAnalysis>;

/// The float types that the values of a graph have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floats {
    pub(crate) f32: bool,
    pub(crate) f64: bool,
}

/// One rewrite for each float type that the numbers in the rule can have; one in all without any.
pub(super) fn compile_rule(rule: &Rule, licence: Licence, floats: Floats) -> Vec<TermRewrite> {
    let avoids = match rule.repairs {
        Repairs::Never => false,
        Repairs::UnlessFast => licence < Licence::Fast,
        Repairs::Always => true,
    };
    let sides = |dtype| (side(rule.left, dtype), side(rule.right, dtype));
    let narrow = sides(DType::F32);
    let is_const = |node: &Node| matches!(node, Node::Const(_));
    let has_numbers =
        rule.grows || [&narrow.0, &narrow.1].iter().any(|side| side.nodes().iter().any(is_const));
    let dtypes: &[DType] = match (has_numbers, floats) {
        (false, _) => &[DType::F32],
        (true, Floats { f32: true, f64: true }) => &[DType::F32, DType::F64],
        (true, Floats { f64: true, .. }) => &[DType::F64],
        (true, _) => &[DType::F32],
    };
    dtypes
        .iter()
        .map(|&dtype| {
            let wide = (dtype != DType::F32).then(|| sides(dtype));
            let (left, right) = wide.as_ref().unwrap_or(&narrow);
            let left_ast = pattern(left);
            let fast = licence == Licence::Fast;
            let applier = GuardedApplier {
                left: avoids.then(|| left_ast.clone()),
                right: pattern(right),
                beside_overflow: (rule.grows && !fast).then(|| {
                    let limited = format!("(({}) * {LIMIT}) * {}", rule.right, 1.0 / LIMIT);
                    pattern(&side(&limited, dtype))
                }),
                needs: if fast { Needs::Nothing } else { rule.needs },
                numbers: variables(left)
                    .into_iter()
                    .filter(|name| is_number(name))
                    .map(variable)
                    .collect(),
                when: rule
                    .when
                    .iter()
                    .copied()
                    .filter(|when| !fast || !when.is_careful())
                    .collect(),
                dtype: has_numbers.then_some(dtype),
                floats: variables(left)
                    .into_iter()
                    .filter(|name| !is_bool(name))
                    .map(variable)
                    .collect(),
                variables: variables(left).into_iter().map(variable).collect(),
            };
            // egg wants names to differ; a proof names the rule, without the type.
            let name =
                if dtypes.len() > 1 { format!("{}/{dtype}", rule.name) } else { rule.name.into() };
            Rewrite::new(name, Pattern::new(left_ast), applier)
                .unwrap_or_else(|fault| panic!("rule {}: {fault}", rule.name))
        })
        .collect()
}

/// The ops that the op table calls odd or even.
pub(super) fn symmetric() -> impl Iterator<Item = Op> {
    let symmetric = |op: &Op| op.arity() == 1 && (op.has(Flags::ODD) || op.has(Flags::EVEN));
    let is_cast = |op: Op| matches!(op.info().typing, Typing::Cast(_));
    let excluded = move |op: &Op| matches!(op, Op::Neg | Op::Abs) || is_cast(*op);
    Op::ALL.iter().copied().filter(symmetric).filter(move |op| !excluded(op))
}

/// `f(-a) = -f(a)` for an odd op, `f(-a) = f(a)` for an even one.
pub(super) fn compile_symmetry(op: Op) -> TermRewrite {
    let (left, right) = symmetry(op);
    let name = format!("{}-{}", if op.has(Flags::ODD) { "odd" } else { "even" }, op.name());
    let (left, right) = (pattern(&side(&left, DType::F32)), pattern(&side(&right, DType::F32)));
    Rewrite::new(name, Pattern::new(left), GuardedApplier::plain(right, variable("a")))
        .unwrap_or_else(|fault| panic!("symmetry of {}: {fault}", op.name()))
}

/// The two sides of an op's symmetry, as text.
pub(crate) fn symmetry(op: Op) -> (String, String) {
    let name = op.name();
    let sign = if op.has(Flags::ODD) { "-" } else { "" };
    (format!("{name}(-a)"), format!("{sign}{name}(a)"))
}

/// A side of a rule as a graph, its float variables of type `dtype`.
pub(crate) fn side(text: &str, dtype: DType) -> Graph {
    let typed = |name: &str| Some((if is_bool(name) { DType::Bool } else { dtype }, None));
    parse_with(text, typed).unwrap_or_else(|fault| panic!("rule side {text:?}: {fault}"))
}

pub(crate) fn is_number(name: &str) -> bool {
    matches!(name, "k" | "l" | "m")
}

fn is_bool(name: &str) -> bool {
    matches!(name, "p" | "q")
}

fn variables(side: &Graph) -> Vec<&str> {
    side.inputs().iter().map(|input| input.name.as_str()).collect()
}

fn variable(name: &str) -> Var {
    // Conditions ask for it at every match, and to make one takes a lock.
    static LETTERS: LazyLock<[Var; 26]> = LazyLock::new(|| {
        std::array::from_fn(|i| {
            let letter = char::from(b'a' + i as u8);
            format!("?{letter}").parse().expect("a letter is a variable")
        })
    });
    let &[letter @ b'a'..=b'z'] = name.as_bytes() else { panic!("{name} is no letter") };
    LETTERS[usize::from(letter - b'a')]
}

pub(crate) fn pattern(side: &Graph) -> PatternAst<Term> {
    let mut ast = PatternAst::default();
    let mut ids: Vec<Id> = Vec::new();
    for (id, node) in side.iter() {
        let at = |node: &kiln_ir::NodeId| ids[node.index()];
        let added = match node {
            Node::Input(index) => ENodeOrVar::Var(variable(&side.inputs()[*index as usize].name)),
            Node::Const(bits) => {
                ENodeOrVar::ENode(Term::new(Head::Const(side.dtype(id), *bits), &[]))
            }
            Node::Op(op, args) => {
                let children: Vec<Id> = args.iter().map(at).collect();
                ENodeOrVar::ENode(Term::new(Head::Op(*op), &children))
            }
            _ => panic!("rules are about elementwise ops"),
        };
        ids.push(ast.add(added));
    }
    // The root of a pattern is its last node.
    if let Some(&root) = side.outputs().first()
        && root.index() + 1 != side.nodes().len()
    {
        let bare = ast[ids[root.index()]].clone();
        ast.add(bare);
    }
    ast
}

/// Builds the right side where the conditions hold and the type and shape stay what they are.
struct GuardedApplier {
    /// The left side, where it is to be avoided.
    left: Option<PatternAst<Term>>,
    right: PatternAst<Term>,
    /// The right side of what is added to numbers that may have become infinite, where it differs.
    beside_overflow: Option<PatternAst<Term>>,
    needs: Needs,
    numbers: Vec<Var>,
    when: Vec<When>,
    /// The type that the rule's own numbers have, and so the variables must.
    dtype: Option<DType>,
    floats: Vec<Var>,
    /// All variables of the left side.
    variables: Vec<Var>,
}

impl GuardedApplier {
    /// Of a rule about one variable.
    fn plain(right: PatternAst<Term>, variable: Var) -> GuardedApplier {
        GuardedApplier {
            left: None,
            right,
            beside_overflow: None,
            needs: Needs::Nothing,
            numbers: vec![],
            when: vec![],
            dtype: None,
            floats: vec![],
            variables: vec![variable],
        }
    }

    fn holds(&self, egraph: &EGraph<Term, FactAnalysis>, subst: &Subst) -> bool {
        let typed =
            |var: &Var| self.dtype.is_none_or(|dtype| egraph[subst[*var]].data.dtype == dtype);
        let no_integer = |var: &Var| !egraph[subst[*var]].data.dtype.is_integer();
        self.floats.first().is_none_or(typed)
            && self.variables.iter().all(no_integer)
            && self.numbers.iter().all(|var| egraph[subst[*var]].data.constant.is_some())
            && self.when.iter().all(|when| when.holds(egraph, subst))
            && self.keeps_numbers(egraph, subst)
    }

    /// Whether every number that the right side makes of numbers is an ordinary one, unless one of
    /// those was none: `(x*k)*l` is not `x*(k*l)` where `k*l` is infinite, 0 or has lost digits.
    fn keeps_numbers(&self, egraph: &EGraph<Term, FactAnalysis>, subst: &Subst) -> bool {
        let fold = |op, dtype, values: &[f64]| egraph.analysis.fold(op, dtype, values);
        let number = |var: Var| {
            let facts = &egraph[subst[var]].data;
            facts.constant.map(|value| (facts.dtype, value))
        };
        numbers_stay_ordinary(&self.right, &number, &fold)
    }
}

/// Whether folding a pattern makes an infinity, a NaN, a zero or a subnormal only of such numbers.
pub(crate) fn numbers_stay_ordinary(
    pattern: &PatternAst<Term>,
    number: &dyn Fn(Var) -> Option<(DType, f64)>,
    fold: &dyn Fn(Op, DType, &[f64]) -> f64,
) -> bool {
    let mut numbers: Vec<Option<(DType, f64)>> = Vec::with_capacity(pattern.len());
    for node in pattern.iter() {
        let made = match node {
            ENodeOrVar::Var(var) => number(*var),
            ENodeOrVar::ENode(term) => match term.head() {
                Head::Const(dtype, bits) => match Scalar::from_bits(dtype, bits) {
                    Scalar::Float(value) => Some((dtype, value)),
                    Scalar::Integer(_) => None,
                },
                Head::Op(op) => {
                    let parts = term.children().iter().map(|child| numbers[usize::from(*child)]);
                    match parts.collect::<Option<Vec<(DType, f64)>>>() {
                        Some(parts) => {
                            let (dtype, _) = parts[parts.len() - 1];
                            let values: Vec<f64> = parts.iter().map(|part| part.1).collect();
                            let value = fold(op, dtype, &values);
                            let ordinary =
                                |&(dtype, value): &(DType, f64)| is_ordinary(dtype, value);
                            if dtype.is_float()
                                && !is_ordinary(dtype, value)
                                && parts.iter().all(ordinary)
                            {
                                return false;
                            }
                            Some((dtype, value))
                        }
                        None => None,
                    }
                }
                _ => None,
            },
        };
        numbers.push(made);
    }
    true
}

/// Whether a number of this type is finite and has all its digits.
fn is_ordinary(dtype: DType, value: f64) -> bool {
    let least = if dtype == DType::F64 { f64::MIN_POSITIVE } else { f32::MIN_POSITIVE.into() };
    value.is_finite() && value.abs() >= least
}

impl Applier<Term, FactAnalysis> for GuardedApplier {
    fn apply_one(
        &self,
        egraph: &mut EGraph<Term, FactAnalysis>,
        class: Id,
        subst: &Subst,
        left: Option<&PatternAst<Term>>,
        name: Symbol,
    ) -> Vec<Id> {
        let context = egraph.analysis.context(class);
        let follows = |partner: Id| {
            self.variables.iter().any(|var| follows(egraph, partner, subst[*var], DEPTH))
        };
        if !context.allows(self.needs, &follows) || !self.holds(egraph, subst) {
            return Vec::new();
        }
        let pattern = match &self.beside_overflow {
            Some(pattern) if context.is_summand(&follows) => pattern,
            _ => &self.right,
        };
        let right = egraph.add_instantiation(pattern, subst);
        // `select(p, a, a) => a` drops an operand, and with it perhaps an axis.
        if !egraph[right].data.same_domain(&egraph[class].data) {
            return Vec::new();
        }
        if let Some(term) = self.left.as_ref().and_then(|left| matched(left, egraph, subst)) {
            egraph.analysis.avoid(class, term);
        }
        let changed = match left {
            Some(left) => egraph.union_instantiations(left, pattern, subst, name).1,
            None => egraph.union(class, right),
        };
        if changed && self.needs != Needs::Nothing {
            egraph.analysis.relied.insert((class, self.needs));
        }
        if changed { vec![class] } else { Vec::new() }
    }

    fn vars(&self) -> Vec<Var> {
        let vars = self.right.iter().filter_map(|node| match node {
            ENodeOrVar::Var(var) => Some(*var),
            ENodeOrVar::ENode(_) => None,
        });
        vars.collect()
    }
}

/// The term of the e-graph that the root of a matched pattern stands for.
fn matched(
    pattern: &PatternAst<Term>,
    egraph: &EGraph<Term, FactAnalysis>,
    subst: &Subst,
) -> Option<Term> {
    let mut ids: Vec<Id> = Vec::with_capacity(pattern.len());
    let mut root = None;
    for node in pattern.iter() {
        let id = match node {
            ENodeOrVar::Var(var) => egraph.find(subst[*var]),
            ENodeOrVar::ENode(term) => {
                let term = term.clone().map_children(|child| ids[usize::from(child)]);
                let id = egraph.lookup(term.clone())?;
                root = Some(term);
                id
            }
        };
        ids.push(id);
    }
    root
}

/// Whether `b` is infinite or NaN wherever `a` is infinite, as far as their terms show it at once.
fn follows(egraph: &EGraph<Term, FactAnalysis>, a: Id, b: Id, depth: usize) -> bool {
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

/// Whether `b` is `a`, or infinite or NaN where an operand is that is made of `a`.
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

/// Whether a class is a product, or a product up to its sign or by choice.
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
const DEPTH: usize = 5;

impl When {
    /// Whether it is about NaN and infinities alone, which fast mode does not keep.
    fn is_careful(self) -> bool {
        matches!(self, NoOverflow(..) | NoOverflows(..) | NoOverflowUnless(..))
    }

    fn holds(self, egraph: &EGraph<Term, FactAnalysis>, subst: &Subst) -> bool {
        let class = |name: &str| &egraph[subst[variable(name)]];
        match self {
            When::NotProduct(name) => !is_product(egraph, subst[variable(name)], DEPTH),
            When::NoOverflowUnless(a, b) => {
                let [a, b] = [a, b].map(|name| subst[variable(name)]);
                !egraph[a].data.may_overflow || follows(egraph, a, b, DEPTH)
            }
            When::NoOverflows(a, b, c, sign) => {
                let [a, b, c] = [a, b, c].map(|name| egraph.find(subst[variable(name)]));
                let product = Facts::of_product(&egraph[a].data, &egraph[b].data, a == b);
                let c = &egraph[c].data;
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
            When::NeverNegative(name) => facts(name).never_negative(),
            When::NeverMinusZero(name) => !facts(name).may_be_minus_zero,
            When::NeverBelow(name, bound) => {
                let (a, bound) = (facts(name), number(bound));
                a.low > bound || (a.low == bound && (bound != 0.0 || !a.may_be_minus_zero))
            }
            When::MayBePositive(name) => facts(name).high > 0.0,
            When::MayBeAbove(name, bound) => facts(name).high > bound,
            When::MayBeBelow(name, bound) => facts(name).low < bound,
            When::NoOverflow(name) | When::NoOverflowUnless(name, _) => !facts(name).may_overflow,
            When::NoOverflows(a, b, c, _) => {
                let product = Facts::of_product(&facts(a), &facts(b), false);
                !facts(c).may_overflow || !product.may_overflow
            }
        }
    }
}

/// Whether the number is within an ULP of `value`.
fn is_nearly(facts: &Facts, value: f64) -> bool {
    let epsilon = if facts.dtype == DType::F64 { f64::EPSILON } else { f32::EPSILON.into() };
    facts.constant.is_some_and(|number| (number / value - 1.0).abs() <= epsilon)
}
