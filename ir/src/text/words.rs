//! The words and signs that users bring from NumPy, numexpr, Python, PyTorch and C.
//!
//! Each is another name of what is here, where it means the same, or has a hint that says what to
//! write.

use super::suggest;
use crate::derived::DERIVED;
use crate::ops::Op;

/// What is said of a comment of another language.
pub(super) const COMMENTS: &str = "comments begin with `#`; `//` is floor division";

/// What is said where bars may be meant as a magnitude.
pub(super) const BARS: &str =
    "bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`";

/// What is said where parameters are not divided, or typed as in C.
pub(super) const PARAMETERS: &str =
    "commas stand between parameters, and a type follows its name: `x: f32[n], y`";

/// Functions that are neither ops nor derived.
pub(super) const SPECIAL: &[&str] = &[
    "matmul",
    "bits32",
    "bits64",
    "fused",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
];

/// Other names of functions, and ours.
pub(super) const ALIASES: &[(&str, &str)] = &[
    // NumPy, numexpr and PyTorch.
    ("absolute", "abs"),
    ("subtract", "sub"),
    ("multiply", "mul"),
    ("negative", "neg"),
    ("power", "pow"),
    ("float_power", "pow"),
    ("mod", "modulo"),
    ("remainder", "modulo"),
    ("fmod", "rem"),
    ("floor_divide", "floordiv"),
    ("reciprocal", "recip"),
    ("maximum", "max"),
    ("minimum", "min"),
    ("clip", "clamp"),
    ("where", "select"),
    ("iif", "select"),
    ("arcsin", "asin"),
    ("arccos", "acos"),
    ("arctan", "atan"),
    ("arctan2", "atan2"),
    ("arcsinh", "asinh"),
    ("arccosh", "acosh"),
    ("arctanh", "atanh"),
    ("rint", "round"),
    ("fix", "trunc"),
    ("sgn", "sign"),
    ("signum", "sign"),
    ("expit", "sigmoid"),
    ("logistic", "sigmoid"),
    ("special_expit", "sigmoid"),
    ("ndtr", "normcdf"),
    ("equal", "eq"),
    ("not_equal", "ne"),
    ("less", "lt"),
    ("less_equal", "le"),
    ("greater", "gt"),
    ("greater_equal", "ge"),
    ("bitwise_and", "and"),
    ("bitwise_or", "or"),
    ("bitwise_xor", "xor"),
    ("bitwise_not", "not"),
    ("invert", "not"),
    ("left_shift", "shl"),
    ("right_shift", "shr"),
    ("bitwise_left_shift", "shl"),
    ("bitwise_right_shift", "shr"),
    ("float16", "f16"),
    ("half", "f16"),
    ("bfloat16", "bf16"),
    ("float32", "f32"),
    ("float64", "f64"),
    ("double", "f64"),
    ("uint8", "u8"),
    ("int32", "i32"),
    ("int64", "i64"),
    ("bool_", "bool"),
    ("swish", "silu"),
    ("gelu_new", "gelu_tanh"),
    ("gelu_quick", "quick_gelu"),
    ("log_sigmoid", "logsigmoid"),
    ("hard_sigmoid", "hardsigmoid"),
    ("hard_swish", "hardswish"),
    ("mm", "matmul"),
    ("bmm", "matmul"),
    // C and Rust.
    ("fabs", "abs"),
    ("fabsf", "abs"),
    ("sqrtf", "sqrt"),
    ("cbrtf", "cbrt"),
    ("expf", "exp"),
    ("exp2f", "exp2"),
    ("expm1f", "expm1"),
    ("exp_m1", "expm1"),
    ("logf", "log"),
    ("log2f", "log2"),
    ("log10f", "log10"),
    ("log1pf", "log1p"),
    ("ln", "log"),
    ("ln_1p", "log1p"),
    ("powf", "pow"),
    ("powi", "pow"),
    ("hypotf", "hypot"),
    ("sinf", "sin"),
    ("cosf", "cos"),
    ("tanf", "tan"),
    ("asinf", "asin"),
    ("acosf", "acos"),
    ("atanf", "atan"),
    ("atan2f", "atan2"),
    ("sinhf", "sinh"),
    ("coshf", "cosh"),
    ("tanhf", "tanh"),
    ("erff", "erf"),
    ("erfcf", "erfc"),
    ("fmaf", "fma"),
    ("fmodf", "rem"),
    ("floorf", "floor"),
    ("ceilf", "ceil"),
    ("truncf", "trunc"),
    ("copysignf", "copysign"),
    ("nearbyint", "round"),
    ("roundeven", "round"),
    ("mul_add", "fma"),
];

/// Functions that are not here, or mean different things in different places, and what to write.
const HINTS: &[(&str, &str)] = &[
    (
        "fmax",
        "`max(a, b)` is NaN where either is; without, write `select(isnan(a), b, select(isnan(b), a, max(a, b)))`",
    ),
    (
        "fmin",
        "`min(a, b)` is NaN where either is; without, write `select(isnan(a), b, select(isnan(b), a, min(a, b)))`",
    ),
    (
        "fmaxf",
        "`max(a, b)` is NaN where either is; without, write `select(isnan(a), b, select(isnan(b), a, max(a, b)))`",
    ),
    (
        "fminf",
        "`min(a, b)` is NaN where either is; without, write `select(isnan(a), b, select(isnan(b), a, min(a, b)))`",
    ),
    (
        "divide",
        "write `a / b`; of integers that is rounded toward zero, so convert them: `f32(a) / f32(b)`",
    ),
    (
        "true_divide",
        "write `a / b`; of integers that is rounded toward zero, so convert them: `f32(a) / f32(b)`",
    ),
    ("div_floor", "write `a // b`"),
    ("divmod", "write `a // b` and `mod(a, b)`"),
    ("rem_euclid", "write `mod(a, abs(b))`"),
    ("drem", "write `a - b * round(a / b)`"),
    ("positive", "write `+x`, or `x`"),
    ("if", "a choice is written `select(condition, a, b)`"),
    ("ifelse", "a choice is written `select(condition, a, b)`"),
    ("signbit", "write `copysign(1, x) < 0`"),
    ("isposinf", "write `x == inf`"),
    ("isneginf", "write `x == -inf`"),
    ("isnormal", "write `isfinite(x) & (abs(x) >= 1.1754944e-38)`, the least normal f32"),
    ("isclose", "write `abs(a - b) <= 1e-8 + 1e-5 * abs(b)`"),
    ("nan_to_num", "write `select(isnan(x), 0, x)`"),
    ("heaviside", "write `select(x < 0, 0, select(x > 0, 1, h))`"),
    ("sinc", "write `select(x == 0, 1, sin(pi * x) / (pi * x))`"),
    ("radians", "write `x * (pi / 180)`"),
    ("deg2rad", "write `x * (pi / 180)`"),
    ("degrees", "write `x * (180 / pi)`"),
    ("rad2deg", "write `x * (180 / pi)`"),
    ("lerp", "write `a + t * (b - a)`"),
    ("mix", "write `a + t * (b - a)`"),
    ("step", "write `select(x < edge, 0, 1)`"),
    ("saturate", "write `clamp(x, 0, 1)`"),
    ("fract", "write `x - floor(x)`"),
    ("frac", "write `x - trunc(x)`"),
    ("modf", "write `x - trunc(x)` and `trunc(x)`"),
    ("ldexp", "write `a * exp2(b)`"),
    ("scalbn", "write `a * exp2(b)`"),
    ("frexp", "write `floor(log2(abs(x)))` for the exponent"),
    ("ilogb", "write `floor(log2(abs(x)))`"),
    ("logb", "write `floor(log2(abs(x)))`"),
    ("fdim", "write `max(a - b, 0)`"),
    ("logit", "write `log(p / (1 - p))`"),
    ("xlogy", "write `select(x == 0, 0, x * log(y))`"),
    ("xlog1py", "write `select(x == 0, 0, x * log1p(y))`"),
    ("logaddexp2", "write `log2(exp2(a) + exp2(b))`, or `logaddexp` of natural logarithms"),
    ("inv", "write `recip(x)`, or `!x` for every bit flipped"),
    ("cube", "write `x^3`"),
    (
        "roundf",
        "`round` takes ties to even; away from zero, write `copysign(floor(abs(x) + 0.5), x)`",
    ),
    ("around", "write `round(x)`; to `n` digits, `round(x * 10^n) / 10^n`"),
    ("float", "say which: `f32(x)` or `f64(x)`"),
    ("int", "say which: `i32(x)` or `i64(x)`"),
    ("long", "write `i64(x)`"),
    ("short", "there are integers `u8`, `i32` and `i64`"),
    ("int8", "there are integers `u8`, `i32` and `i64`"),
    ("int16", "there are integers `u8`, `i32` and `i64`"),
    ("uint16", "there are integers `u8`, `i32` and `i64`"),
    ("uint32", "there are integers `u8`, `i32` and `i64`"),
    ("uint64", "there are integers `u8`, `i32` and `i64`"),
    ("astype", "write the type: `f32(x)`, `i32(x)`"),
    ("cast", "write the type: `f32(x)`, `i32(x)`"),
    ("complex", "there are no complex numbers"),
    ("real", "there are no complex numbers"),
    ("imag", "there are no complex numbers"),
    ("conj", "there are no complex numbers"),
    ("dot", "a product of matrices is `matmul(a, b)` or `a @ b`"),
    ("einsum", "a product of matrices is `matmul(a, b)` or `a @ b`"),
    ("tensordot", "a product of matrices is `matmul(a, b)` or `a @ b`"),
    ("sum", "a kernel is elementwise: it has no reductions"),
    ("mean", "a kernel is elementwise: it has no reductions"),
    ("prod", "a kernel is elementwise: it has no reductions"),
    ("amax", "a kernel is elementwise: it has no reductions"),
    ("amin", "a kernel is elementwise: it has no reductions"),
    ("softmax", "a kernel is elementwise: it has no reductions"),
    ("logsumexp", "of two it is `logaddexp(a, b)`; a kernel has no reductions"),
    ("gamma", "there is no gamma function"),
    ("tgamma", "there is no gamma function"),
    ("lgamma", "there is no gamma function"),
    ("gammaln", "there is no gamma function"),
    ("erfinv", "there are `erf`, `erfc` and `normcdf`, but not their inverses"),
    ("rand", "a kernel has no random numbers: pass an array of them"),
    ("randn", "a kernel has no random numbers: pass an array of them"),
    ("arange", "a kernel makes no arrays: pass one"),
    ("zeros_like", "write the number: `x * 0`"),
    ("ones_like", "write the number: `x * 0 + 1`"),
    ("popcount", "there is no count of bits"),
];

/// Other names of constants, unless they are inputs, and ours.
pub(super) const CONSTANTS: &[(&str, &str)] = &[
    ("True", "true"),
    ("False", "false"),
    ("Inf", "inf"),
    ("Infinity", "inf"),
    ("INFINITY", "inf"),
    ("HUGE_VAL", "inf"),
    ("NaN", "nan"),
    ("NAN", "nan"),
    ("PI", "pi"),
    ("M_PI", "pi"),
];

/// Words after an operand, where an operator could stand.
pub(super) const OPERATOR_HINTS: &[(&str, &str)] = &[
    ("if", "a choice is written `select(condition, a, b)`"),
    ("is", "equality is `==`"),
    ("in", "write `(x == a) | (x == b)`"),
    ("xor", "exclusive or is a function: `xor(a, b)`"),
    ("mod", "a remainder is `mod(a, b)`, with the sign of `b`, or `a % b`, with that of `a`"),
    ("div", "floor division is `a // b`"),
    ("then", "a choice is written `select(condition, a, b)`"),
    ("else", "a choice is written `select(condition, a, b)`"),
];

/// What to write instead of a character.
pub(super) fn character_hint(character: char) -> Option<&'static str> {
    Some(match character {
        '×' | '·' | '∗' => "a product is written `*`",
        '÷' | '∕' => "a quotient is written `/`",
        '−' | '–' | '—' => "a minus is written `-`",
        '²' | '³' => "a power is written `x^2`",
        'π' => "it is written `pi`",
        '√' => "a square root is written `sqrt(x)`",
        '∞' => "infinity is written `inf`",
        '≤' => "it is written `<=`",
        '≥' => "it is written `>=`",
        '≠' => "it is written `!=`",
        '¬' => "logical not is written `!x`",
        '∧' => "logical and is written `a & b`",
        '∨' => "logical or is written `a | b`",
        '?' => "a choice is written `select(condition, a, b)`",
        '\'' | '"' => "text has no strings",
        _ => return None,
    })
}

/// What to write instead of a number's suffix.
pub(super) fn suffix_hint(suffix: &str) -> &'static str {
    match suffix {
        "f" | "F" => "a suffix is a type: write `f32`, or none, as numbers take the type they meet",
        "j" | "J" | "i" | "I" => "there are no complex numbers; a product is written `2 * i`",
        "l" | "L" | "u" | "U" | "ul" | "UL" | "ll" | "LL" | "ull" | "ULL" => {
            "a suffix is a type: write `i64`, or none, as numbers take the type they meet"
        }
        _ => "a suffix is a type, as in `2f64` or `2i32`; a product is written `2 * x`",
    }
}

fn look_up(table: &[(&str, &'static str)], word: &str) -> Option<&'static str> {
    table.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours)
}

/// Our name of a function.
pub(super) fn function(name: &str) -> &str {
    look_up(ALIASES, name).unwrap_or(name)
}

/// Our name of a constant.
pub(super) fn constant(name: &str) -> Option<&'static str> {
    look_up(CONSTANTS, name)
}

/// What to write instead of an operator.
pub(super) fn operator_hint(word: &str) -> Option<&'static str> {
    look_up(OPERATOR_HINTS, word)
}

/// What to write instead of a function that is not here.
pub(super) fn function_hint(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let known = look_up(HINTS, name).or_else(|| look_up(HINTS, &lower));
    known.map(str::to_string).or_else(|| {
        let meant = look_up(ALIASES, &lower).or_else(|| near(&lower))?;
        Some(format!("did you mean `{meant}`?"))
    })
}

/// The function of ours whose name is near.
fn near(name: &str) -> Option<&'static str> {
    let ops = Op::ALL.iter().map(|op| op.name());
    let derived = DERIVED.iter().map(|row| row.name);
    let aliases = ALIASES.iter().map(|(theirs, _)| *theirs);
    let ours = ops.chain(derived).chain(SPECIAL.iter().copied());
    suggest::nearest(name, ours.chain(aliases)).map(function)
}

/// Whether this is the name of a function.
pub(super) fn is_function(name: &str) -> bool {
    let name = function(name);
    let derived = || DERIVED.iter().any(|row| row.name == name);
    Op::from_name(name).is_some() || SPECIAL.contains(&name) || derived()
}

#[cfg(test)]
mod tests {
    use super::{ALIASES, CONSTANTS, HINTS, OPERATOR_HINTS, function_hint, is_function};
    use crate::derived::Derived;
    use crate::dtype::DType;
    use crate::ops::Op;
    use crate::text::{parse, parse_with};
    use std::collections::HashSet;

    /// As many operands as a function takes; integers where it takes those alone.
    fn call(name: &str, ours: &str) -> String {
        let arity = match (Op::from_name(ours), Derived::from_name(ours)) {
            (Some(op), _) => op.arity(),
            (_, Some(derived)) => *derived.arity().start(),
            _ => 2,
        };
        let dtype = match ours {
            "and" | "or" | "xor" | "not" | "shl" | "shr" => DType::I32,
            _ => DType::F32,
        };
        let operands = match ours {
            "select" => "x > y, x, y",
            _ => ["x", "x, y", "x, y, x"][arity - 1],
        };
        let head = format!("x: {dtype}[n], y: {dtype}[n]");
        let head = if ours == "matmul" { "x: f32[n, n], y: f32[n, n]" } else { &head };
        format!("kernel f({head}) {{ {name}({operands}) }}")
    }

    #[test]
    fn aliases_mean_what_our_names_do() {
        for (theirs, ours) in ALIASES {
            assert!(is_function(ours), "{theirs} {ours}");
            let read = |text: &str| parse(text).unwrap_or_else(|error| panic!("{error}"));
            // The word `not` is an operator, of truth values alone.
            let own = match *ours {
                "not" => "kernel f(x: i32[n], y: i32[n]) { !x }".to_string(),
                ours => call(ours, ours),
            };
            assert_eq!(read(&call(theirs, ours)), read(&own), "{theirs}");
        }
    }

    #[test]
    fn words_stand_in_one_place() {
        let words: Vec<&str> = ALIASES.iter().chain(HINTS).map(|(theirs, _)| *theirs).collect();
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
        for (theirs, _) in HINTS {
            assert!(!is_function(theirs), "{theirs}");
        }
        for (theirs, ours) in ALIASES {
            let own = Op::from_name(theirs).is_some() || Derived::from_name(theirs).is_some();
            assert!(!own || theirs == ours, "{theirs}");
        }
    }

    #[test]
    fn what_is_not_here_says_what_to_write() {
        for (theirs, hint) in HINTS {
            let text = format!("kernel f(x) {{ {theirs}(x, x) }}");
            let error = parse(&text).unwrap_err();
            assert_eq!(error.hint(), Some(*hint), "{error}");
        }
        for (theirs, hint) in OPERATOR_HINTS {
            let error = parse(&format!("kernel f(x, y) {{ x {theirs} y }}")).unwrap_err();
            assert_eq!(error.hint(), Some(*hint), "{error}");
        }
    }

    /// What hints say to write can be written.
    #[test]
    fn hints_are_kernels() {
        for (theirs, hint) in HINTS {
            for code in hint.split('`').skip(1).step_by(2) {
                let is_type = DType::from_name(code).is_some();
                if !is_type && !is_function(code) {
                    let typed = code.contains('@').then_some((DType::F32, None));
                    let typed = |_: &str| typed.clone();
                    // A condition is a bool, and `!x` flips what has bits.
                    let typed = |name: &str| match name {
                        "condition" => Some((DType::Bool, None)),
                        "x" if code == "!x" => Some((DType::I32, None)),
                        _ => typed(name),
                    };
                    parse_with(code, typed).unwrap_or_else(|error| panic!("{theirs}: {error}"));
                }
            }
        }
    }

    #[test]
    fn constants() {
        for (theirs, ours) in CONSTANTS {
            let graph = |name: &str| parse(&format!("kernel f(x) {{ select(x > 0, {name}, 1) }}"));
            assert_eq!(graph(theirs).unwrap(), graph(ours).unwrap(), "{theirs}");
            assert_eq!(parse(theirs).unwrap(), parse(ours).unwrap());
            // An input may be called so, where it is declared or typed.
            let input = format!("kernel f({theirs}) {{ exp({theirs}) }}");
            assert_eq!(parse(&input).unwrap().inputs()[0].name, *theirs);
            let typed =
                parse_with(&format!("exp({theirs})"), |_| Some((DType::F64, None))).unwrap();
            assert_eq!(typed.inputs()[0].name, *theirs);
        }
    }

    #[test]
    fn near_functions() {
        let hint = |name| function_hint(name).unwrap_or_default();
        assert_eq!(hint("leakyrelu"), "did you mean `leaky_relu`?");
        assert_eq!(hint("Sigmoid"), "did you mean `sigmoid`?");
        assert_eq!(hint("Maximum"), "did you mean `max`?");
        assert_eq!(hint("FMAX"), hint("fmax"));
        assert_eq!(function_hint("quux"), None);
    }
}
