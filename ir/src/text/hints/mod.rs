//! Hints: what to write instead of the words and signs that users bring from NumPy, PyTorch, JAX, R,
//! MATLAB, spreadsheets, C and Rust.

mod table;
#[cfg(test)]
mod tests;

use super::{suggest, words};
use crate::call::Call;
use crate::derived::DERIVED;
use crate::ops::Op;
use crate::rowwise::ROWWISE;
use table::HINTS;

pub(super) use table::{
    ALONG, ALONG_ONE, ARGUMENTS, ARRAY, AXES, BARS, BINDING, BRACKETS, CHAIN, CLOSURE,
    CLOSURE_INPUT, COMMENTS, CONSTANT, ENDING, FUNCTIONS, FUSED_INPUT, FUSED_NAMES, HEAD, IN_PLACE,
    KERNEL_INPUT, LARGE, LETTERS, LISTED, MARKS, MEANT, METHOD, NAMED, NESTED, NO_AXES,
    NO_BRACKETS, NO_GROUP, OCTAL, ONLY_NUMBERS, PARAMETERS, PAYLOAD, POSITIONAL, PREFIX, PRODUCT,
    RADIX, RESERVED, RESULT, RESULT_TYPE, SEVERAL, STATEMENT, SUFFIX, TUPLE, TYPE, UNPACK, USAGE,
    WRITTEN,
};

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    place: Place,
    /// What users write there, separated by blanks.
    words: &'static str,
    says: &'static str,
}

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// A function that is not here, or that means different things in different languages.
    Function,
    /// A function of ours with the wrong number of arguments: `max/1`, or `max/+` for too many.
    Arity,
    /// An unknown name, where inputs are declared.
    Name,
    /// A word that is never meant as an input of a bare expression.
    Free,
    /// A word before an operand.
    Keyword,
    /// What follows an operand.
    Operator,
    /// A sign where an operand should begin.
    Operand,
    /// A sign, wherever it stands.
    Symbol,
    /// Signs that end an expression, where an operand is missing.
    Ending,
    /// A character that begins no token.
    Character,
    /// Letters after a number.
    Suffix,
    /// The type of an input or a result.
    Type,
}

/// The hint for `word` at this place.
pub(super) fn find(place: Place, word: &str) -> Option<&'static str> {
    let is_word =
        |hint: &&Hint| hint.place == place && hint.words.split(' ').any(|own| own == word);
    HINTS.iter().find(is_word).map(|hint| hint.says)
}

/// The hint for a function of ours with `found` arguments, where it takes `taken`.
pub(super) fn arity(function: &str, found: usize, taken: usize) -> Option<&'static str> {
    let more = || find(Place::Arity, &format!("{function}/+")).filter(|_| found > taken);
    find(Place::Arity, &format!("{function}/{found}")).or_else(more)
}

/// A hint with its gaps filled by these words, in order; the last one fills all that are left.
pub(super) fn fill(says: &str, words: &[&str]) -> String {
    let mut words = words.iter();
    let mut word = "";
    let mut parts = says.split("{}");
    let mut text = parts.next().unwrap_or_default().to_string();
    for part in parts {
        word = words.next().unwrap_or(&word);
        text += word;
        text += part;
    }
    text
}

/// What is known of a function that is not here.
pub(super) enum Missing {
    /// It has its hint.
    Known(&'static str),
    /// It may be a misspelt one.
    Near(String),
    Unknown,
}

/// What is known of a function that is not here.
pub(super) fn missing(name: &str) -> Missing {
    let lower = name.to_ascii_lowercase();
    if let Some(says) = find(Place::Function, name).or_else(|| find(Place::Function, &lower)) {
        return Missing::Known(says);
    }
    if words::is_function(&lower) {
        return Missing::Near(fill(MEANT, &[words::function(&lower)]));
    }
    let ops = Op::ALL.iter().map(|op| op.name());
    let special = words::SPECIAL.iter().map(|special| special.name).chain(["fused"]);
    let ours = ops.chain(DERIVED.iter().map(|row| row.name)).chain(special);
    let along = Call::all().map(|call| call.info().name);
    let ours = ours.chain(along).chain(ROWWISE.iter().map(|row| row.name));
    let theirs = words::ALIASES.iter().map(|(theirs, _)| *theirs);
    let absent = HINTS.iter().filter(|hint| hint.place == Place::Function);
    // Of short words, nearly all are near one of so many.
    let absent = absent.flat_map(|hint| hint.words.split(' ')).filter(|word| word.len() > 4);
    match suggest::nearest(&lower, ours.chain(theirs).chain(absent)) {
        None => Missing::Unknown,
        Some(near) => Missing::Near(match find(Place::Function, near) {
            Some(says) => format!("{} There is no `{near}`: {says}", fill(MEANT, &[near])),
            None => fill(MEANT, &[words::function(near)]),
        }),
    }
}
