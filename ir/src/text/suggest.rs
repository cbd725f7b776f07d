//! Near names for misspelt ones.

use strsim::{damerau_levenshtein, levenshtein};

/// Longer names have no suggestion, for a text may have names of any length.
const LONGEST: usize = 32;

/// The nearest candidate, unless all are far. Among equally near ones, it is one with the same letters,
/// else one of the same length, else the first.
///
/// Two neighbours that changed places are one edit. A name of three letters with one of them replaced is
/// another word: `sum` is not a misspelt `sub`.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = match name.len() {
        0..=2 => return None,
        3..=5 => 1,
        6..=9 => 2,
        10..=LONGEST => 3,
        _ => return None,
    };
    let is_other_word = |candidate: &str| {
        name.len().max(candidate.len()) == 3
            && name.len() == candidate.len()
            && levenshtein(name, candidate) == 1
    };
    candidates
        .filter(|candidate| candidate.len() > 2 && candidate.len() <= LONGEST)
        .map(|candidate| (damerau_levenshtein(name, candidate), candidate))
        .filter(|&(edits, candidate)| edits <= limit && !is_other_word(candidate))
        .min_by_key(|&(edits, candidate)| {
            let has_same_letters = letters(name) == letters(candidate);
            (edits, !has_same_letters, name.len().abs_diff(candidate.len()))
        })
        .map(|(_, candidate)| candidate)
}

fn letters(word: &str) -> Vec<u8> {
    let mut letters = word.as_bytes().to_vec();
    letters.sort_unstable();
    letters
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_names() {
        let all = ["sub", "tan", "tanh", "gelu", "hardtanh", "leaky_relu", "x", "lt"];
        let near = |name: &str| nearest(name, all.into_iter());
        for (name, expected) in [
            ("tahn", Some("tanh")),
            ("gleu", Some("gelu")),
            ("tanhh", Some("tanh")),
            ("tna", Some("tan")),
            ("hard_tahn", Some("hardtanh")),
            ("leakyrelu", Some("leaky_relu")),
            ("sum", None),
            ("sun", None),
            ("van", None),
            ("su", None),
            ("y", None),
            ("lx", None),
            ("gray", None),
            ("tangent", None),
            ("", None),
        ] {
            assert_eq!(near(name), expected, "{name}");
        }
    }

    /// The first of equally near ones, whatever comes after it.
    #[test]
    fn ties_go_to_the_first() {
        assert_eq!(nearest("exp3", ["exp2", "exp1"].into_iter()), Some("exp2"));
        assert_eq!(nearest("exp3", ["exp1", "exp2"].into_iter()), Some("exp1"));
        assert_eq!(nearest(&"x".repeat(40), ["x"].into_iter()), None);
    }
}
