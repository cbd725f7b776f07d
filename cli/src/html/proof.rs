//! The steps of a proof, each with the part that it changes.

use kiln::explain::{Proof, Step};
use kiln_picture::markup::escaped;
use std::fmt::Write as _;

/// The most steps that a page shows.
const MOST_STEPS: usize = 300;
/// The most characters that it shows of what is around a part, on either side.
const MOST_AROUND: usize = 160;

/// The steps as a list.
pub(super) fn proof(proof: &Proof) -> String {
    if proof.steps.is_empty() {
        return "<p>No rewrite: what was written is what runs.</p>\n".to_string();
    }
    let mut html = "<ol class=\"proof\">\n".to_string();
    proof.steps.iter().take(MOST_STEPS).for_each(|step| add(step, &mut html));
    html.push_str("</ol>\n");
    if let Some(more) = proof.steps.len().checked_sub(MOST_STEPS).filter(|more| *more > 0) {
        let _ =
            writeln!(html, "<p>.. and {more} more: <code>kiln explain --stage proof</code></p>");
    }
    html
}

fn add(step: &Step, html: &mut String) {
    let way = if step.reversed { "from right to left" } else { "from left to right" };
    let before = line(step, &step.before.expression(), "del");
    let after = line(step, &step.after.expression(), "ins");
    let _ = writeln!(
        html,
        "<li><div><h3><code>{}</code></h3><p class=\"faint\">{way}</p></div>\n\
         <pre>{before}\n{after}</pre></li>",
        escaped(&step.rule)
    );
}

/// The output around a part, which is marked.
fn line(step: &Step, part: &str, mark: &str) -> String {
    /// No text has it.
    const HOLE: &str = "\u{1}";
    let mut names: Vec<String> =
        step.around.inputs().iter().map(|input| input.name.clone()).collect();
    if let Some(last) = names.last_mut() {
        *last = HOLE.to_string();
    }
    let around = step.around.expression_of(names);
    // It is in one place: a step rewrites a tree, at the end of one path.
    let (left, right) = around.split_once(HOLE).unwrap_or(("", ""));
    let begins = ["(", ",", ";", " ="].iter().any(|end| left.trim_end().ends_with(end));
    let is_apart =
        (left.is_empty() || begins) && (right.is_empty() || right.starts_with([')', ',', ';']));
    let part = if is_apart || is_atom(part) { part.to_string() } else { format!("({part})") };
    format!(
        "{}<{mark}>{}</{mark}>{}",
        escaped(&last_of(left)),
        escaped(&part),
        escaped(&first_of(right))
    )
}

/// Whether an operator beside a text takes it as a whole.
fn is_atom(text: &str) -> bool {
    let mut depth = 0;
    text.chars().all(|character| {
        depth += i32::from(character == '(') - i32::from(character == ')');
        depth > 0 || character != ' '
    })
}

fn first_of(text: &str) -> String {
    match text.char_indices().nth(MOST_AROUND) {
        Some((end, _)) => format!("{} ..", &text[..end]),
        None => text.to_string(),
    }
}

fn last_of(text: &str) -> String {
    match text.char_indices().rev().nth(MOST_AROUND) {
        Some((start, _)) => format!(".. {}", &text[start..]),
        None => text.to_string(),
    }
}
