//! What to write for arguments that have names: kernels' have none, and axes go in brackets.

use super::words;
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

/// Axes without what is around them: `1` of `1`, `0, 1` of `(0, 1)`.
fn axes(text: &str) -> Option<&str> {
    let inner = text.trim_matches(['(', ')', '[', ']', ' ', ',']);
    let is_axis = |axis: &str| axis.trim().parse::<i8>().is_ok();
    inner.split(',').all(is_axis).then_some(inner)
}

/// What to write for a function of axes, written `name(..)` or `object.name(..)`; `text` begins behind the
/// parenthesis. `None` where no axes are written.
pub(super) fn along(name: &str, object: Option<&str>, text: &str) -> Option<String> {
    let ours = words::function(name);
    if Reduction::from_name(ours).is_none() && Rowwise::from_name(ours).is_none() {
        return None;
    }
    let all = arguments(text)?;
    let is_axes = |name: &Option<&str>| name.is_some_and(|name| AXES.contains(&name));
    let named = all.iter().find(|(name, _)| is_axes(name)).map(|&(_, value)| value);
    let positional = || all.iter().filter(|(name, _)| name.is_none()).map(|&(_, value)| value);
    let (axes, operands): (&str, Vec<&str>) = match (named, object) {
        (Some(value), _) => (axes(value)?, object.into_iter().chain(positional()).collect()),
        // A method's first argument says where it goes along.
        (None, Some(object)) => (
            axes(positional().next()?)?,
            std::iter::once(object).chain(positional().skip(1)).collect(),
        ),
        (None, None) => return None,
    };
    let says = match Reduction::from_name(ours) {
        Some(_) => "; the axis stays, with size 1",
        None => "",
    };
    Some(format!("write `{ours}[{axes}]({})`{says}", operands.join(", ")))
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
        ] {
            assert_eq!(along(name, object, text).as_deref(), Some(says), "{name}({text}");
        }
        for (name, object, text) in [
            ("sum", Some("x"), ")"),
            ("sum", None, "x, 1)"),
            ("exp", Some("x"), "axis=1)"),
            ("sum", Some("x"), "axis=n)"),
            ("sum", Some("x"), "axis=1"),
        ] {
            assert_eq!(along(name, object, text), None, "{name}({text}");
        }
    }
}
