//! The names that NumPy, PyTorch, R, C and Rust have for functions and constants of ours.

use crate::call::Call;
use crate::derived::DERIVED;
use crate::ops::Op;
use crate::rowwise::Rowwise;

/// A function of text that is a row of no other table.
#[derive(Clone, Copy, Debug)]
pub struct Special {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
    /// What it takes, in words.
    pub takes: &'static str,
    /// The type that it gives.
    pub gives: &'static str,
    /// What it computes.
    pub doc: &'static str,
}

/// Makes the table from rows: `name usage takes gives doc`.
macro_rules! special {
    ($($name:literal $usage:literal $takes:literal $gives:literal $doc:literal;)*) => {
        /// Functions of text that are rows of no other table.
        pub static SPECIAL: &[Special] = &[$(Special {
            name: $name, usage: $usage, takes: $takes, gives: $gives, doc: $doc,
        }),*];
    };
}

special! {
    "one_hot" "one_hot[..](y)" "integers" "bool"
        "True in the place that each element says, along a new last axis: `one_hot[10](y)` has ten. An element that is no place, as -1, has none";
    "logical_and" "logical_and(a, b)" "any" "bool"
        "Whether both are true, numbers being \"not zero\"";
    "logical_or" "logical_or(a, b)" "any" "bool"
        "Whether either is true, numbers being \"not zero\"";
    "logical_xor" "logical_xor(a, b)" "any" "bool"
        "Whether just one is true, numbers being \"not zero\"";
    "logical_not" "logical_not(a)" "any" "bool"
        "Whether it is not true, numbers being \"not zero\"";
    "bits32" "bits32(0x7fc00001)" "32 bits" "f32"
        "The number that has these bits, for a NaN with a payload";
    "bits64" "bits64(0x7ff8000000000001)" "64 bits" "f64"
        "The number that has these bits, for a NaN with a payload";
}

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
    ("ifelse", "select"),
    ("if_else", "select"),
    ("pmax", "max"),
    ("amax", "max"),
    ("amin", "min"),
    ("pmin", "min"),
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
    ("sqr", "square"),
    ("ceiling", "ceil"),
    ("truncate", "trunc"),
    ("negate", "neg"),
    ("is_nan", "isnan"),
    ("is_infinite", "isinf"),
    ("is_finite", "isfinite"),
    ("isna", "isnan"),
    ("expit", "sigmoid"),
    ("logistic", "sigmoid"),
    ("special_expit", "sigmoid"),
    ("ndtr", "normcdf"),
    ("pnorm", "normcdf"),
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
    ("bitand", "and"),
    ("bitor", "or"),
    ("bitxor", "xor"),
    ("bitnot", "not"),
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
    ("hard_tanh", "hardtanh"),
    ("gelu_fast", "gelu_tanh"),
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
    ("muladd", "fma"),
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

fn look_up(table: &[(&str, &'static str)], word: &str) -> Option<&'static str> {
    table.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours)
}

/// Our name of a function, which NumPy, PyTorch, C or Rust may call otherwise: `max` of `maximum`.
pub fn function(name: &str) -> &str {
    look_up(ALIASES, name).unwrap_or(name)
}

/// Our name of a constant.
pub(super) fn constant(name: &str) -> Option<&'static str> {
    look_up(CONSTANTS, name)
}

/// Whether this is the name of a function.
pub(super) fn is_function(name: &str) -> bool {
    let name = function(name);
    let derived = || DERIVED.iter().any(|row| row.name == name);
    let special = || name == "fused" || SPECIAL.iter().any(|special| special.name == name);
    let along = || Call::from_name(name).is_some() || Rowwise::from_name(name).is_some();
    Op::from_name(name).is_some() || special() || derived() || along()
}

#[cfg(test)]
mod tests {
    use super::{ALIASES, CONSTANTS, is_function};
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
        let words: Vec<&str> = ALIASES.iter().map(|(theirs, _)| *theirs).collect();
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
        for (theirs, ours) in ALIASES {
            let own = Op::from_name(theirs).is_some() || Derived::from_name(theirs).is_some();
            assert!(!own || theirs == ours, "{theirs}");
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
}
