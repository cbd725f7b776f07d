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

use super::facts::{FactAnalysis, Facts};
use super::term::{Head, Term};
use egg::{Applier, EGraph, ENodeOrVar, Id, Pattern, PatternAst, Rewrite, Subst, Symbol, Var};
use kiln_ir::{DType, Flags, Graph, Node, Op, Typing, parse_with};
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::sync::LazyLock;

/// What a rule may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Licence {
    /// Nothing: the bits are those of what was written, for every input (a NaN stays a NaN).
    Exact,
    /// Rounding: at every input the error is within 2.5 ULP, or no worse than that of what was
    /// written; a NaN appears only where one was, and infinities and signed zeros are kept unless
    /// they were artefacts of rounding or overflow in between. A *repair* of what loses all digits
    /// at some inputs may, at others, be off by what its own ops are: `x * normcdf(x)` is by up to
    /// 2.61 ULP where GELU by `erf` may be better, beyond 2.5 at one f32 in two million of [-12, 0].
    Precise,
    /// Anything that holds for real numbers.
    Fast,
}

/// A condition on what a variable matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// A row of the rule table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) licence: Licence,
    pub(crate) left: &'static str,
    pub(crate) right: &'static str,
    pub(crate) when: &'static [When],
    /// Where the right side is preferred whatever it costs: the left loses digits or overflows.
    pub(crate) repairs: Repairs,
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
    AtLeastOne, MayBePositive, MinusRootHalf, Moderate, NeverBelow, NeverMinusZero, NeverNegative,
    NotConst, NotProduct, Positive, Pow2, RootTwo,
};

const fn rule(
    name: &'static str,
    licence: Licence,
    left: &'static str,
    right: &'static str,
    when: &'static [When],
) -> Rule {
    Rule { name, licence, left, right, when, repairs: Repairs::Never }
}

/// A rule whose left side is badly conditioned: where it matches, the left side is avoided.
const fn repair(
    name: &'static str,
    left: &'static str,
    right: &'static str,
    when: &'static [When],
) -> Rule {
    Rule { name, licence: Precise, left, right, when, repairs: Repairs::Always }
}

/// A [`repair`] of what is good enough for fast mode, where it is cheaper.
const fn repair_unless_fast(
    name: &'static str,
    left: &'static str,
    right: &'static str,
    when: &'static [When],
) -> Rule {
    Rule { name, licence: Precise, left, right, when, repairs: Repairs::UnlessFast }
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
    rule("contract-add",    Precise, "a * b + c",                 "fma(a, b, c)",                   &[NotProduct("c")]),
    rule("contract-sub",    Precise, "a * b - c",                 "fma(a, b, -c)",                  &[NotProduct("c")]),
    rule("contract-rsub",   Precise, "c - a * b",                 "fma(-a, b, c)",                  &[NotProduct("c")]),
    rule("merge-numbers",   Precise, "k * (l * a)",               "(k * l) * a",                    &[Moderate("k"), Moderate("l")]),
    rule("pow-2",           Precise, "pow(a, 2)",                 "a * a",                          &[]),
    rule("pow-3",           Precise, "pow(a, 3)",                 "(a * a) * a",                    &[]),
    rule("pow-4",           Precise, "pow(a, 4)",                 "(a * a) * (a * a)",              &[]),
    rule("pow-half",        Precise, "pow(abs(a), 0.5)",          "sqrt(abs(a))",                   &[]),
    // Cubic monomials k*a^3: one order that neither overflows nor underflows before the result.
    rule("cube-outer",      Precise, "k * ((a * a) * a)",         "(a * a) * (k * a)",              &[Moderate("k")]),
    rule("cube-inner",      Precise, "((k * a) * a) * a",         "(a * a) * (k * a)",              &[Moderate("k")]),
    rule("cube-middle",     Precise, "(k * (a * a)) * a",         "(a * a) * (k * a)",              &[Moderate("k")]),
    // Odd cubics a*(l + k*a^2), without cancellation because k and l are positive.
    rule("cubic-sum",       Precise, "a + (a * a) * (k * a)",     "a * fma(k, a * a, 1)",           &[Moderate("k"), Positive("k")]),
    rule("cubic-fma",       Precise, "fma(a * a, k * a, a)",      "a * fma(k, a * a, 1)",           &[Moderate("k"), Positive("k")]),
    rule("cubic-horner",    Precise, "a * (l + (k * a) * a)",     "a * fma(k, a * a, l)",           &[Moderate("k"), Positive("k"), Moderate("l"), Positive("l")]),
    rule("cubic-horner-in", Precise, "(m * a) * (l + (k * a) * a)", "a * fma(m * k, a * a, m * l)", &[Moderate("k"), Positive("k"), Moderate("l"), Positive("l"), Moderate("m")]),
    rule("cubic-scale",     Precise, "m * (a * fma(k, a * a, l))", "a * fma(m * k, a * a, m * l)",  &[Moderate("k"), Positive("k"), Moderate("l"), Positive("l"), Moderate("m")]),
    rule("cubic-scale-in",  Precise, "(m * a) * fma(k, a * a, l)", "a * fma(m * k, a * a, m * l)",  &[Moderate("k"), Positive("k"), Moderate("l"), Positive("l"), Moderate("m")]),
    // The logistic function, however it is written. (1 + tanh b)/2 = sigmoid 2b. What is written
    // with exp overflows, and so loses a tail.
    rule("tanh-plus-one",   Precise, "1 + tanh(a)",               "2 * sigmoid(2 * a)",             &[]),
    rule("half-tanh",       Precise, "0.5 * (1 + tanh(a))",       "sigmoid(2 * a)",                 &[]),
    rule("half-plus-tanh",  Precise, "0.5 + 0.5 * tanh(a)",       "sigmoid(2 * a)",                 &[]),
    rule("gelu-gate",       Precise, "(0.5 * a) * (1 + tanh(b))", "a * sigmoid(2 * b)",             &[]),
    rule("gelu-gate-outer", Precise, "0.5 * (a * (1 + tanh(b)))", "a * sigmoid(2 * b)",             &[]),
    rule("gelu-gate-sum",   Precise, "0.5 * (a + a * tanh(b))",   "a * sigmoid(2 * b)",             &[]),
    rule("gelu-gate-split", Precise, "0.5 * a + (0.5 * a) * tanh(b)", "a * sigmoid(2 * b)",         &[]),
    rule("half-twice",      Precise, "(0.5 * a) * (2 * b)",       "a * b",                          &[]),
    rule("half-twice-in",   Precise, "0.5 * (a * (2 * b))",       "a * b",                          &[]),
    repair("sigmoid",                "1 / (1 + exp(a))",           "sigmoid(-a)",                    &[]),
    repair("sigmoid-recip",          "recip(1 + exp(a))",          "sigmoid(-a)",                    &[]),
    repair("sigmoid-ratio",          "exp(a) / (1 + exp(a))",      "sigmoid(a)",                     &[]),
    repair("gate",                   "a / (1 + exp(b))",           "a * sigmoid(-b)",                &[]),
    repair("gate-ratio",             "(a * exp(b)) / (1 + exp(b))", "a * sigmoid(b)",                 &[]),
    repair("gate-recip",             "a * (exp(b) / (1 + exp(b)))", "a * sigmoid(b)",                 &[]),
    rule("sigmoid-rest",    Precise, "1 - sigmoid(a)",            "sigmoid(-a)",                    &[]),
    // Where what was written cancels or overflows, the stable form is better at any cost.
    repair("log1p",                  "log(1 + a)",                "log1p(a)",                       &[NotConst("a")]),
    repair("expm1",                  "exp(a) - 1",                "expm1(a)",                       &[]),
    repair("softplus",               "log1p(exp(a))",             "max(a, 0) + log1p(exp(-abs(a)))", &[MayBePositive("a")]),
    repair("softplus-shift",         "a + log1p(exp(-a))",        "max(a, 0) + log1p(exp(-abs(a)))", &[]),
    repair("log-sigmoid",            "log(sigmoid(a))",           "min(a, -0.0) - log1p(exp(-abs(a)))", &[]),
    repair("tanhshrink",             "a - tanh(a)",                "tanhshrink(a)", &[]),
    // 1 - tanh(a)^2 = 4e/(1+e)^2 = 4e/(1 + e(e+2)) with e = exp(-2|a|).
    repair("tanh-slope",             "1 - tanh(a) * tanh(a)",      "(4 * exp(-2 * abs(a))) / fma(exp(-2 * abs(a)), exp(-2 * abs(a)) + 2, 1)", &[]),
    repair("tanh-slope-fma",         "fma(-tanh(a), tanh(a), 1)",  "(4 * exp(-2 * abs(a))) / fma(exp(-2 * abs(a)), exp(-2 * abs(a)) + 2, 1)", &[]),
    // sqrt(1+a) - 1 = a/(sqrt(1+a) + 1), which is NaN where a is infinite and cancels where it is not
    // small. Of a square, that may overflow, sqrt(1 + a^2) <= 1 + |a|.
    repair("root-minus-one",         "sqrt(1 + a) - 1",            "select(a > 1, sqrt(1 + a) + -1, a / (sqrt(1 + a) + 1))", &[NotConst("a"), NotProduct("a")]),
    repair("hyperbola",              "sqrt(a * a + 1) - 1",        "select(abs(a) > 2, min(sqrt(fma(a, a, 1)), abs(a) + 1) + -1, a * (a / (sqrt(fma(a, a, 1)) + 1)))", &[]),
    repair("one-minus-root",         "1 - sqrt(1 - a)",            "select(a < -1, -(sqrt(1 - a) + -1), a / (1 + sqrt(1 - a)))", &[NotConst("a"), NotProduct("a")]),
    repair("one-minus-cos",          "1 - cos(a)",                 "2 * (sin(0.5 * a) * sin(0.5 * a))", &[]),
    // The normal distribution, (1 + erf(a/√2))/2 = erfc(-a/√2)/2: the sum loses the lower tail, and
    // rounding a/√2 costs a^2 ULP there. Fast mode may have it so, for erf is quicker.
    repair_unless_fast("erfc-plus",  "1 + erf(a)",                 "erfc(-a)", &[]),
    repair_unless_fast("erfc-minus", "1 - erf(a)",                 "erfc(a)", &[]),
    repair_unless_fast("erfc-half",  "0.5 + 0.5 * erf(a)",         "0.5 * erfc(-a)", &[]),
    repair_unless_fast("erfc-half-fma", "fma(0.5, erf(a), 0.5)",   "0.5 * erfc(-a)", &[]),
    repair_unless_fast("erfc-gate",  "0.5 * a + (0.5 * a) * erf(b)", "(0.5 * a) * erfc(-b)", &[]),
    repair_unless_fast("erfc-gate-fma", "fma(0.5 * a, erf(b), 0.5 * a)", "(0.5 * a) * erfc(-b)", &[]),
    rule("normcdf",         Precise, "0.5 * erfc(a * k)",          "normcdf(a)", &[MinusRootHalf("k")]),
    rule("normcdf-gate",    Precise, "(0.5 * b) * erfc(a * k)",    "b * normcdf(a)", &[MinusRootHalf("k")]),
    rule("normcdf-gate-outer", Precise, "0.5 * (b * erfc(a * k))", "b * normcdf(a)", &[MinusRootHalf("k")]),
    rule("normcdf-ratio",   Precise, "0.5 * erfc(-(a / k))",       "normcdf(a)", &[RootTwo("k")]),
    rule("normcdf-gate-ratio", Precise, "(0.5 * b) * erfc(-(a / k))", "b * normcdf(a)", &[RootTwo("k")]),
    rule("normcdf-gate-ratio-outer", Precise, "0.5 * (b * erfc(-(a / k)))", "b * normcdf(a)", &[RootTwo("k")]),
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
    rule("mish-gate",       Fast,    "tanh(max(a, 0) + log1p(exp(-abs(a))))", "exp(min(a, 20)) * (exp(min(a, 20)) + 2) / (exp(min(a, 20)) * (exp(min(a, 20)) + 2) + 2)", &[]),
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
    let has_numbers = [&narrow.0, &narrow.1]
        .iter()
        .any(|side| side.nodes().iter().any(|node| matches!(node, Node::Const(_))));
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
            let Some(ENodeOrVar::ENode(root)) = left_ast.last() else {
                panic!("rule {} has a bare variable on its left", rule.name)
            };
            let Head::Op(root) = root.head() else {
                panic!("rule {} has no op on its left", rule.name)
            };
            let applier = GuardedApplier {
                right: pattern(right),
                numbers: variables(left)
                    .into_iter()
                    .filter(|name| is_number(name))
                    .map(variable)
                    .collect(),
                when: rule.when.to_vec(),
                dtype: has_numbers.then_some(dtype),
                floats: variables(left)
                    .into_iter()
                    .filter(|name| !is_bool(name))
                    .map(variable)
                    .collect(),
                variables: variables(left).into_iter().map(variable).collect(),
                avoid: avoids.then_some(root),
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

pub(super) fn is_number(name: &str) -> bool {
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

fn pattern(side: &Graph) -> PatternAst<Term> {
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
    right: PatternAst<Term>,
    numbers: Vec<Var>,
    when: Vec<When>,
    /// The type that the rule's own numbers have, and so the variables must.
    dtype: Option<DType>,
    floats: Vec<Var>,
    /// All variables of the left side.
    variables: Vec<Var>,
    /// The root op of a left side that is to be avoided.
    avoid: Option<Op>,
}

impl GuardedApplier {
    /// Of a rule about one variable.
    fn plain(right: PatternAst<Term>, variable: Var) -> GuardedApplier {
        GuardedApplier {
            right,
            numbers: vec![],
            when: vec![],
            dtype: None,
            floats: vec![],
            variables: vec![variable],
            avoid: None,
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
    }
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
        if !self.holds(egraph, subst) {
            return Vec::new();
        }
        let right = egraph.add_instantiation(&self.right, subst);
        // `select(p, a, a) => a` drops an operand, and with it perhaps an axis.
        if !egraph[right].data.same_domain(&egraph[class].data) {
            return Vec::new();
        }
        if let Some(op) = self.avoid {
            egraph.analysis.avoid(class, op);
        }
        let changed = match left {
            Some(left) => egraph.union_instantiations(left, &self.right, subst, name).1,
            None => egraph.union(class, right),
        };
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

impl When {
    fn holds(self, egraph: &EGraph<Term, FactAnalysis>, subst: &Subst) -> bool {
        let class = |name: &str| &egraph[subst[variable(name)]];
        match self {
            When::NotProduct(name) => {
                !class(name).nodes.iter().any(|term| term.head() == Head::Op(Op::Mul))
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
        }
    }
}

/// Whether the number is within an ULP of `value`.
fn is_nearly(facts: &Facts, value: f64) -> bool {
    let epsilon = if facts.dtype == DType::F64 { f64::EPSILON } else { f32::EPSILON.into() };
    facts.constant.is_some_and(|number| (number / value - 1.0).abs() <= epsilon)
}
