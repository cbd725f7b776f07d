use super::table::{FUNCTIONS, HINTS};
use super::{Hint, Place, fill, find};
use crate::derived::DERIVED;
use crate::dtype::DType;
use crate::ops::Op;
use crate::text::{TextError, parse, parse_with, words};
use std::collections::HashSet;
use std::fmt::Write;

/// A text that has `word` at this place.
fn text(place: Place, word: &str) -> String {
    match place {
        Place::Function => format!("kernel f(x) {{ {word}(x, x) }}"),
        Place::Arity => {
            let (name, count) = word.split_once('/').unwrap();
            let count = count.parse().unwrap_or(4);
            format!("{name}({})", vec!["x"; count].join(", "))
        }
        Place::Name => format!("kernel f(x) {{ x * {word} }}"),
        Place::Free => format!("{word} - x"),
        Place::Keyword => format!("{word} x"),
        Place::Operator | Place::Symbol | Place::Character => format!("x {word} y"),
        Place::Operand => format!("x + {word} y"),
        Place::Ending => format!("x {word}"),
        Place::Suffix => format!("2{word}"),
        Place::Type => format!("kernel f(x: {word}) {{ x }}"),
    }
}

fn error(text: &str) -> TextError {
    match parse(text) {
        Ok(graph) => panic!("{text:?} is a kernel:\n{graph}"),
        Err(error) => error,
    }
}

/// Every row is reached by every word of it, and says what is pinned here.
#[test]
fn every_word_has_its_hint() {
    let mut told = String::new();
    for Hint { place, words, says } in HINTS {
        for word in words.split(' ') {
            let error = error(&text(*place, word));
            let name = word.split('/').next().unwrap();
            assert_eq!(error.hint(), Some(&*fill(says, &[name])), "{place:?}\n{error}");
        }
        writeln!(told, "{place:?} {}\n    {says}", words.escape_debug()).unwrap();
    }
    insta::assert_snapshot!(told);
}

/// What is not here is named, and not called unknown.
#[test]
fn what_is_not_here_is_named() {
    for hint in HINTS.iter().filter(|hint| hint.place == Place::Function) {
        for word in hint.words.split(' ') {
            let expected = format!("there is no function `{word}`");
            assert_eq!(error(&text(Place::Function, word)).message(), expected);
            assert!(!words::is_function(word), "{word}");
        }
    }
}

#[test]
fn words_stand_in_one_row_of_a_place() {
    let mut known = HashSet::new();
    for hint in HINTS {
        for word in hint.words.split(' ') {
            assert!(known.insert((hint.place, word)), "{word:?} of {:?}", hint.place);
        }
    }
}

/// What hints say to write can be written.
#[test]
fn hints_are_kernels() {
    // Signs, and pieces with gaps.
    let is_piece = |code: &str| {
        !code.contains(|c: char| c.is_ascii_alphanumeric())
            || [".", "{", "|x|", "let ", "ndarray"].iter().any(|gap| code.contains(gap))
                && !code.contains(|c: char| c.is_ascii_digit())
    };
    // Of ndarray, and what is to be left out.
    let foreign = [
        "sum",
        "sum_axis",
        "mean",
        "mean_axis",
        "product",
        "product_axis",
        "var_axis",
        "std_axis",
        "fold_axis",
        "accumulate_axis_inplace",
        "t",
        "permuted_axes",
        "to_shape",
        "insert_axis",
        "concatenate",
        "slice",
        "select",
        "return",
    ];
    for Hint { place, words, says } in HINTS {
        let word = words.split([' ', '/']).next().unwrap();
        for code in fill(says, &[word]).split('`').skip(1).step_by(2) {
            let is_type = DType::from_name(code.split('[').next().unwrap()).is_some();
            if is_piece(code) || is_type || words::is_function(code) || foreign.contains(&code) {
                continue;
            }
            // What has bits takes integers alone; labels are integers beside floats.
            let typed =
                |x, y| parse_with(code, |name| Some((if name == "y" { y } else { x }, None)));
            let (float, int) = (DType::F32, DType::I32);
            if let (Err(error), Err(_), Err(_)) =
                (typed(float, float), typed(int, int), typed(float, int))
            {
                panic!("{place:?} {words}: {error}");
            }
        }
    }
}

#[test]
fn near_functions() {
    for (text, hint) in [
        ("tahn(x)", "did you mean `tanh`?"),
        ("gleu(x)", "did you mean `gelu`?"),
        ("sgimoid(x)", "did you mean `sigmoid`?"),
        ("leakyrelu(x)", "did you mean `leaky_relu`?"),
        ("Sigmoid(x)", "did you mean `sigmoid`?"),
        ("ReLU(x)", "did you mean `relu`?"),
        ("Maximum(x, y)", "did you mean `max`?"),
        ("maximun(x, y)", "did you mean `max`?"),
        ("lgo(x)", "did you mean `log`?"),
        ("snih(x)", "did you mean `sinh`?"),
        ("sofplus(x)", "did you mean `softplus`?"),
        ("sofmtax(x)", "did you mean `softmax`?"),
        ("agrmax(x)", "did you mean `argmax`?"),
    ] {
        assert_eq!(error(text).hint(), Some(hint));
    }
    let cumsum = error("cmusum(x)");
    assert!(cumsum.message().contains("unknown function `cmusum`"));
    assert!(cumsum.hint().unwrap().starts_with("did you mean `cumsum`?"));
    // Names that are far from all, or another word.
    for text in ["quux(x)", "foo(x)", "g(x)", "sun(x)", "qz(x)", "nope(x)", "frobnicate(x)"] {
        assert_eq!(error(text).hint(), Some(FUNCTIONS), "{text}");
    }
    // What has a row of its own is no misspelt word.
    for (name, meant) in [("total", "atan"), ("mode", "modulo"), ("none", "neg")] {
        let hint = error(&format!("{name}(x)")).hint().unwrap().to_string();
        assert!(!hint.contains("did you mean") && !hint.contains(&format!("`{meant}`")), "{hint}");
    }
}

/// Constants of other languages' modules.
#[test]
fn prefixed_names() {
    for (text, hint) in [
        ("x * math.pi", "it is written `pi`, without `math.`"),
        ("np.inf - x", "it is written `inf`, without `np.`"),
        ("x * np.e", "write `exp(1)`, or `exp(x)` for its powers"),
        ("np.exp(x)", "functions stand alone: `exp(x)`, without `np.`"),
    ] {
        assert_eq!(error(text).hint(), Some(hint), "{text}");
    }
}

/// No function of ours, by any name, is one that is not here.
#[test]
fn functions_of_ours_have_no_hint() {
    let theirs = words::ALIASES.iter().map(|(theirs, _)| *theirs);
    let derived = DERIVED.iter().map(|row| row.name);
    for name in Op::ALL.iter().map(|op| op.name()).chain(derived).chain(theirs) {
        assert_eq!(find(Place::Function, name), None, "{name}");
    }
}
