//! Near names for misspelt ones.

use crate::derived::DERIVED;
use crate::ops::Op;

/// Functions that are neither ops nor derived.
pub(super) const SPECIAL: &[&str] = &["matmul", "bits32", "bits64", "fused"];

/// Names that other libraries have for what is here.
const ALIASES: &[(&str, &str)] = &[
    ("swish", "silu"),
    ("gelu_new", "gelu_tanh"),
    ("gelu_quick", "quick_gelu"),
    ("logistic", "sigmoid"),
    ("expit", "sigmoid"),
    ("ln", "log"),
    ("ln_1p", "log1p"),
    ("exp_m1", "expm1"),
    ("power", "pow"),
    ("maximum", "max"),
    ("fmax", "max"),
    ("minimum", "min"),
    ("fmin", "min"),
    ("clip", "clamp"),
    ("where", "select"),
    ("if", "select"),
    ("absolute", "abs"),
    ("fabs", "abs"),
    ("signum", "sign"),
    ("rint", "round"),
    ("reciprocal", "recip"),
    ("inv", "recip"),
    ("mod", "rem"),
    ("fmod", "rem"),
    ("arcsinh", "asinh"),
    ("arccosh", "acosh"),
    ("arctanh", "atanh"),
    ("arctan2", "atan2"),
    ("dot", "matmul"),
    ("mm", "matmul"),
    ("bmm", "matmul"),
    ("float32", "f32"),
    ("float", "f32"),
    ("float64", "f64"),
    ("double", "f64"),
];

/// The function that was likely meant.
pub(super) fn function(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    if let Some((_, ours)) = ALIASES.iter().find(|(theirs, _)| *theirs == lower) {
        return Some(ours);
    }
    let ops = Op::ALL.iter().map(|op| op.name());
    let derived = DERIVED.iter().map(|row| row.name);
    nearest(&lower, ops.chain(derived).chain(SPECIAL.iter().copied()))
}

/// Whether this is the name of a function.
pub(super) fn is_function(name: &str) -> bool {
    let derived = || DERIVED.iter().any(|row| row.name == name);
    Op::from_name(name).is_some() || SPECIAL.contains(&name) || derived()
}

/// The nearest candidate, unless all are far; the first of equally near ones.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    const LONGEST: usize = 32;
    if name.len() > LONGEST {
        return None;
    }
    let limit = match name.len() {
        0..=1 => 0,
        2..=4 => 1,
        5..=7 => 2,
        _ => 3,
    };
    candidates
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many insertions, deletions, replacements and swaps of neighbours make `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{ALIASES, distance, function, is_function};

    #[test]
    fn distances() {
        assert_eq!(distance("gelu", "gelu"), 0);
        assert_eq!(distance("gleu", "gelu"), 1);
        assert_eq!(distance("hard_tanh", "hardtanh"), 1);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn near_functions() {
        assert_eq!(function("leakyrelu"), Some("leaky_relu"));
        assert_eq!(function("Sigmoid"), Some("sigmoid"));
        assert_eq!(function("swish"), Some("silu"));
        assert_eq!(function("quux"), None);
    }

    #[test]
    fn aliases_are_no_functions_and_lead_to_some() {
        for (theirs, ours) in ALIASES {
            assert!(!is_function(theirs) && is_function(ours), "{theirs} {ours}");
        }
    }
}
