//! Declarations of inputs: `x`, `x: f64`, `x: f32[n, 3]`, `x: f32[..]`.

use crate::dtype::DType;
use crate::error::Fault;
use crate::graph::Input;
use crate::shape::{Dim, MAX_RANK, check_rank};

/// The type of an input or a result: an element type, and its axes unless any rank will do.
pub type ArrayType = (DType, Option<Vec<Dim>>);

/// Words of the text format. No input can have one for its name.
pub(crate) const RESERVED: &[&str] =
    &["kernel", "let", "fused", "true", "false", "inf", "nan", "not"];

/// Reads `x`, `x: f64`, `x: f32[n, 3]`, `x: f32[..]`.
///
/// Without a type it is `f32[..]`; without brackets, any rank.
pub(crate) fn parse_declaration(text: &str) -> Result<Input, Fault> {
    let fail = |reason: String| Fault::Declaration { text: text.into(), reason };
    let (name, array_type) = text.split_once(':').unwrap_or((text, "f32"));
    let name = name.trim();
    if !is_name(name) {
        return Err(fail("the name is not a word of letters, digits and _".into()));
    }
    if RESERVED.contains(&name) {
        return Err(fail(format!("{name} is a word of the text format")));
    }
    let (dtype, dims) = parse_type(array_type).map_err(|reason| fail(reason.into()))?;
    Ok(Input { name: name.into(), dtype, dims })
}

/// Reads `f32`, `f32[n, 3]`, `f32[..]`. The error says what is wrong.
pub(crate) fn parse_type(text: &str) -> Result<ArrayType, &'static str> {
    let (dtype, dims) = match text.trim().split_once('[') {
        None => (text, None),
        Some((dtype, dims)) => {
            (dtype, Some(dims.strip_suffix(']').ok_or("a ] is missing")?.trim()))
        }
    };
    let dtype = DType::from_name(dtype.trim())
        .ok_or("the element type is not u8, i32, i64, f16, bf16, f32, f64 or bool")?;
    let dims = match dims {
        None | Some("..") => None,
        Some("") => Some(Vec::new()),
        Some(list) => {
            check_rank(list.split(',').take(MAX_RANK + 1).count())?;
            Some(list.split(',').map(parse_dim).collect::<Result<_, _>>()?)
        }
    };
    Ok((dtype, dims))
}

fn parse_dim(text: &str) -> Result<Dim, &'static str> {
    match text.trim() {
        word if is_name(word) => Ok(Dim::Symbol(word.into())),
        // `parse` alone would take `+3`.
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map(Dim::Size).map_err(|_| "an axis is neither a name nor a size")
        }
        _ => Err("an axis is neither a name nor a size"),
    }
}

/// Whether it is a word of ASCII letters, digits and `_` that does not begin with a digit.
pub(crate) fn is_name(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::parse_declaration;

    #[test]
    fn declarations() {
        assert_eq!(parse_declaration(" x ").unwrap().to_string(), "x: f32[..]");
        assert_eq!(parse_declaration("w:f64[n,3]").unwrap().to_string(), "w: f64[n, 3]");
        assert_eq!(parse_declaration("s: bool[]").unwrap().to_string(), "s: bool[]");
        let long = format!("x: f32[{}]", "1,".repeat(64) + "1");
        for bad in ["", "3x", "x: i16", "x: f32[n", "x: f32[n,]", "x: f32[-1]", "inf", &long] {
            assert!(parse_declaration(bad).is_err(), "{bad}");
        }
    }
}
