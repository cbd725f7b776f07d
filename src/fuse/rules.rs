//! The rule table of the algebra e-graph.
//!
//! A rule is a row: name, licence, left side, right side, conditions. Both sides are kernel text,
//! so the table reads like algebra, and the tests evaluate both sides with the reference
//! interpreter: the same rows drive the rewrites *and* their soundness tests.
//!
//! Variables: `a b c d` stand for anything, `k l m` for numbers, `p q` for bools. On a right side,
//! what depends on numbers alone is folded. No variable stands for integers, whose algebra is a
//! different one. Rules are directional, there is no general associativity, and no right side is
//! worse than its left side within its licence.

use super::condition::{Sign, When};
use super::context::Needs;

/// What a rule may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Licence {
    /// Nothing: the bits are those of what was written, for every input (a NaN stays a NaN).
    Exact,
    /// Rounding, and repairs. For given operands, the result is within 2.5 ULP, or no worse than
    /// what was written. A sum that cancels magnifies earlier rounding, and stays within the bound
    /// of what was written. Where that is finite, so is the result. A NaN becomes no false infinity, unless
    /// a factor had overflowed that met a lost tail. A *repair* of what loses all digits at some inputs may, at others, have the error
    /// of its own ops: `x * normcdf(x)` is off by up to 2.61 ULP where GELU by `erf` may be better,
    /// beyond 2.5 at one f32 in two million of [-12, 0]. It gives zero where the exact function
    /// does, and NaN where that has no value. See [`modes`](crate::guide::modes).
    Precise,
    /// Anything that holds for real numbers.
    Fast,
}

/// A row of the rule table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) licence: Licence,
    pub(crate) left: &'static str,
    pub(crate) right: &'static str,
    pub(crate) when: &'static [When],
    /// What must be known about where the values of the left side flow.
    pub(crate) needs: Needs,
    /// Where the right side is preferred at any cost: the left loses digits or overflows.
    pub(crate) repairs: Repairs,
    /// Whether the left side is infinite where its value is a large number, without bound.
    pub(crate) grows: bool,
}

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

type Side = &'static str;
type Conditions = &'static [When];

const fn rule(
    name: &'static str,
    licence: Licence,
    left: Side,
    right: Side,
    when: Conditions,
) -> Rule {
    let (needs, repairs) = (Needs::Nothing, Repairs::Never);
    Rule { name, licence, left, right, when, needs, repairs, grows: false }
}

/// A rule whose right side has fewer roundings, or other ones.
const fn rounding(name: &'static str, left: Side, right: Side, when: Conditions) -> Rule {
    Rule { needs: Needs::Smooth, ..rule(name, Precise, left, right, when) }
}

/// A rule that rounds once instead of twice.
const fn contraction(name: &'static str, left: Side, right: Side, when: Conditions) -> Rule {
    Rule { needs: Needs::NoEdge, ..rule(name, Precise, left, right, when) }
}

/// A rule whose right side is at least as accurate, and mostly cheaper.
const fn better(name: &'static str, left: Side, right: Side, when: Conditions) -> Rule {
    Rule { needs: Needs::NoCliff, ..rule(name, Precise, left, right, when) }
}

/// A rule whose left side is badly conditioned: where it matches, the left side is avoided.
const fn repair(name: &'static str, left: Side, right: Side, when: Conditions) -> Rule {
    Rule { repairs: Repairs::Always, ..better(name, left, right, when) }
}

/// A [`repair`] of a form that is good enough for fast mode, where it is cheaper.
const fn repair_unless_fast(name: &'static str, left: Side, right: Side, when: Conditions) -> Rule {
    Rule { repairs: Repairs::UnlessFast, ..better(name, left, right, when) }
}

impl Rule {
    /// A repair of a form that overflows where its value is merely large.
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
    // One spelling for the same thing.
    rule("double",          Exact,   "a + a",                     "2 * a",                          &[]),
    rule("div-pow2",        Exact,   "a / k",                     "a * (1 / k)",                    &[Pow2("k")]),
    rule("merge-pow2",      Exact,   "(a * k) * l",               "a * (k * l)",                    &[Pow2("k"), Pow2("l"), AtLeastOne("k"), AtLeastOne("l")]),
    rule("recip",           Exact,   "1 / a",                     "recip(a)",                       &[]),
    rule("div-recip",       Exact,   "recip(a)",                  "1 / a",                          &[]),
    rule("rsqrt",           Exact,   "1 / sqrt(a)",               "rsqrt(a)",                       &[]),
    rule("clamp",           Exact,   "min(max(a, b), c)",         "clamp(a, b, c)",                 &[]),
    // One rounding instead of two.
    contraction("contract-add",    "a * b + c",                 "fma(a, b, c)",                   &[NotProduct("c"), NoOverflows("a", "b", "c", Sign::Plus)]),
    contraction("contract-sub",    "a * b - c",                 "fma(a, b, -c)",                  &[NotProduct("c"), NoOverflows("a", "b", "c", Sign::Minus)]),
    contraction("contract-rsub",   "c - a * b",                 "fma(-a, b, c)",                  &[NotProduct("c"), NoOverflows("a", "b", "c", Sign::Minus)]),
    better("merge-powers",           "k * (l * a)",               "(k * l) * a",                    &[Pow2("k"), Pow2("l"), Moderate("k"), Moderate("l")]),
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
    // The logistic function, however it is written. (1 + tanh b)/2 = sigmoid 2b. Written with exp
    // it overflows, and so loses a tail.
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
    repair("softplus-shift",         "a + log1p(exp(-a))",        "max(a, 0) + log1p(exp(-abs(a)))", &[MayBeBelow("a", 0.0)]),
    repair("log-sigmoid",            "log(sigmoid(a))",           "min(a, -0.0) - log1p(exp(-abs(a)))", &[]),
    repair("log-of-quotient",        "log(1 / (1 + exp(a)))",     "min(-a, -0.0) - log1p(exp(-abs(a)))", &[]),
    repair("logaddexp",              "log(exp(a) + exp(b))",      "select(a == b, a + 0.6931471805599453, max(a, b) + log1p(exp(-abs(a - b))))", &[]).growing(),
    // The difference is rounded, which moves a tail by as many ULP as it is large. What is lost,
    // found by Knuth's sum of two, is put back through the slope s(1 - s).
    repair("sigmoid-pair",           "exp(a) / (exp(a) + exp(b))", "let d = a - b; let t = d - a; let e = (a - (d - t)) - (b + t); let s = sigmoid(d); select(abs(d) < 1000, fma(s * e, 1 - s, s), s)", &[]),
    // log(1 - e^a): near 0 the difference cancels; far below, it is 1. Each branch is limited to
    // where it is the better one, so that no rule takes it for the whole.
    repair("log1mexp",               "log(1 - exp(a))",           "select(a < -0.6931472, log1p(-exp(min(a, -0.6931472))), log(-expm1(max(a, -0.6931472))))", &[]),
    repair("log1mexp-log1p",         "log1p(-exp(a))",            "select(a < -0.6931472, log1p(-exp(min(a, -0.6931472))), log(-expm1(max(a, -0.6931472))))", &[MayBeAbove("a", -0.5)]),
    repair("log1mexp-expm1",         "log(-expm1(a))",            "select(a < -0.6931472, log1p(-exp(min(a, -0.6931472))), log(-expm1(max(a, -0.6931472))))", &[MayBeBelow("a", -1.0)]),
    // log(e^a - 1) is a from 40 on, to the last bit of f64 too.
    repair("logexpm1",               "log(exp(a) - 1)",           "select(a > 40, a, log(expm1(min(a, 40))))", &[]).growing(),
    repair("logexpm1-expm1",         "log(expm1(a))",             "select(a > 40, a, log(expm1(min(a, 40))))", &[MayBeAbove("a", 88.0)]).growing(),
    // What was written is NaN at minus infinity, and so also where a has overflowed.
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
    // The normal distribution, (1 + erf(a/√2))/2 = erfc(-a/√2)/2. The sum loses the lower tail, and
    // rounding a/√2 costs a^2 ULP there. Fast mode may keep it, since erf is quicker.
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
    // One rounding less; for an infinite a it makes NaN where b is negative.
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
