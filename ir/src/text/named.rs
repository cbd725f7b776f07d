//! What to write for arguments that have names: kernels' have none, and axes go in brackets.

use super::axes::Brackets;
use super::function::Function;
use super::{hints, usage, words};
use crate::call::Reduction;
use crate::rowwise::Rowwise;

/// What other languages call axes.
const AXES: &[&str] = &["axis", "axes", "dim", "dims"];

/// Beyond this nothing is looked at: a hint is short.
const MOST: usize = 200;

/// The arguments of a call whose text begins behind its parenthesis: the name of each, if it has one, and
/// its text. `None` if the call does not end nearby.
fn arguments(text: &str) -> Option<Vec<(Option<&str>, &str)>> {
    let (mut depth, mut start, mut all) = (0usize, 0, Vec::new());
    for (at, c) in text.char_indices().take(MOST) {
        match c {
            '(' | '[' => depth += 1,
            ')' if depth == 0 => {
                all.push(&text[start..at]);
                let all = all.into_iter().map(argument).filter(|(_, text)| !text.is_empty());
                return Some(all.collect());
            }
            ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                all.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    None
}

fn argument(text: &str) -> (Option<&str>, &str) {
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match text.split_once('=') {
        Some((name, value)) if is_name(name.trim()) && !value.starts_with('=') => {
            (Some(name.trim()), value.trim())
        }
        _ => (None, text.trim()),
    }
}

/// Numbers without what is around them: `1` of `1`, `0, 1` of `(0, 1)`.
fn numbers(text: &str) -> Option<Vec<i64>> {
    let inner = text.trim_matches(['(', ')', '[', ']', ' ', ',']);
    inner.split(',').map(|number| number.trim().parse().ok()).collect()
}

/// What to write for a function with brackets whose numbers stand in its parentheses, written `name(..)` or
/// `object.name(..)`; `text` begins behind the parenthesis. `None` where there are none.
pub(super) fn along(name: &str, object: Option<&str>, text: &str) -> Option<String> {
    let ours = words::function(name);
    let (least, most) = usage::arity(ours)?;
    let all = arguments(text)?;
    let is_axes = |name: &Option<&str>| name.is_some_and(|name| AXES.contains(&name));
    let named = all.iter().find(|(name, _)| is_axes(name)).map(|&(_, value)| value);
    let positional = all.iter().filter(|(name, _)| name.is_none()).map(|&(_, value)| value);
    let mut operands: Vec<&str> = object.into_iter().chain(positional).collect();
    let found = match named {
        Some(value) => numbers(value)?,
        // Of a norm it is the order.
        None if ours == "norm" => return None,
        // They come after the operands.
        None => {
            let is_number = |text: &&&str| numbers(text).is_some();
            let last = operands.iter().rev().take_while(is_number).count();
            let end = most.min(operands.len() - last).max(least);
            let rest = operands.split_off(end.min(operands.len()));
            rest.into_iter().map(numbers).collect::<Option<Vec<_>>>()?.concat()
        }
    };
    if found.is_empty() {
        return None;
    }
    let attributes = found.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    Function::with(ours, &Brackets::of(found))?.ok()?;
    let says = match Reduction::from_name(ours) {
        Some(_) => "; the axis stays, with size 1",
        None => "",
    };
    Some(format!("write `{ours}[{attributes}]({})`{says}", operands.join(", ")))
}

/// What to write for a function of ours without the brackets that it has; `text` begins behind its
/// parenthesis.
pub(super) fn without_brackets(name: &str, text: &str) -> String {
    if let Some(says) = along(name, None, text) {
        return says;
    }
    let Some(row) = Rowwise::from_name(name) else {
        return usage::doc(name).unwrap_or_default().to_string();
    };
    // Its arguments as they were written, if they are all that it takes.
    let written = arguments(text).unwrap_or_default();
    let fits = written.len() == *row.arity().start()
        && written.iter().all(|(name, text)| name.is_none() && text.len() < 20);
    let operands = match fits {
        true => written.iter().map(|&(_, text)| text).collect::<Vec<_>>().join(", "),
        false => usage::operands(row),
    };
    let says = if row.is_along_one() { hints::ALONG_ONE } else { hints::ALONG };
    hints::fill(says, &[name, &operands, name, &operands])
}

#[cfg(test)]
mod tests {
    use super::along;

    #[test]
    fn axes_go_in_brackets() {
        for (name, object, text, says) in [
            ("sum", Some("x"), "axis=1)", "write `sum[1](x)`; the axis stays, with size 1"),
            ("sum", Some("x"), "1)", "write `sum[1](x)`; the axis stays, with size 1"),
            (
                "sum",
                None,
                "x, axis = (0, -1))",
                "write `sum[0, -1](x)`; the axis stays, with size 1",
            ),
            ("mean", Some("x"), "dim=-1, keepdim=True) * 2", "write `mean[-1](x)`"),
            ("softmax", None, "x * (a + 1), dim=1)", "write `softmax[1](x * (a + 1))`"),
            ("logsumexp", Some("x"), "axis=[1])", "write `logsumexp[1](x)`"),
            ("sum", None, "x, 1)", "write `sum[1](x)`; the axis stays, with size 1"),
            ("one_hot", None, "y, 5)", "write `one_hot[5](y)`"),
            ("one_hot", Some("y"), "5)", "write `one_hot[5](y)`"),
            ("take", None, "x, i, 0)", "write `take[0](x, i)`"),
            ("concat", None, "a, b, c, 0)", "write `concat[0](a, b, c)`"),
            ("concat", None, "a, 0)", "write `concat[0](a)`"),
            ("reshape", Some("x"), "-1, 300)", "write `reshape[-1, 300](x)`"),
            ("permute", None, "x, (1, 0))", "write `permute[1, 0](x)`"),
            ("cross_entropy", None, "x, p, dim=1)", "write `cross_entropy[1](x, p)`"),
        ] {
            assert_eq!(along(name, object, text).as_deref(), Some(says), "{name}({text}");
        }
        for (name, object, text) in [
            ("sum", Some("x"), ")"),
            ("sum", None, "x, y)"),
            ("slice", None, "x, 0, 1)"),
            ("concat", None, "a, b)"),
            ("layer_norm", None, "x, 0.1)"),
            ("norm", None, "x, 2)"),
            ("exp", Some("x"), "axis=1)"),
            ("sum", Some("x"), "axis=n)"),
            ("sum", Some("x"), "axis=1"),
        ] {
            assert_eq!(along(name, object, text), None, "{name}({text}");
        }
    }
}
