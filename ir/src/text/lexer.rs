//! Turns text into tokens, one at a time, so that a bad text is refused before it takes much memory.

use super::error::Mistake;
use super::hints::{self, Place};
use crate::dtype::DType;
use crate::error::Fault;
use crate::note::Note;
use crate::number::Number;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TokenKind<'t> {
    /// A name, a function, or a word of the format.
    Word(&'t str),
    /// `1`, `1.5e-3`, `0.1f32`.
    Number {
        number: Number,
        dtype: Option<DType>,
    },
    /// `0x7fc00001`, `0b101`, `0o17`.
    Bits(u64),
    /// An operator or a mark.
    Symbol(&'static str),
    /// No token: [`Lexer::mistake`] says why.
    Bad,
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind<'t>,
    /// As written; empty at the end.
    pub(super) text: &'t str,
    pub(super) span: Range<usize>,
}

impl Token<'_> {
    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self.kind, TokenKind::Symbol(own) if own == symbol)
    }

    /// Whether nothing comes after it.
    pub(super) fn is_last(&self) -> bool {
        matches!(self.kind, TokenKind::Bad | TokenKind::End)
    }
}

/// Shown as messages name it.
impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TokenKind::End => f.write_str("the end of the text"),
            _ => f.write_str(&quoted(self.text)),
        }
    }
}

/// A token's text in a message.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shortened(text))
}

/// A text that fits into a message: words may be as long as the text. Tokens are ASCII.
pub(super) fn shortened(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 40;
    match text.len() {
        0..=LONGEST => text.into(),
        _ => format!("{}…", &text[..LONGEST]).into(),
    }
}

/// Signs of several characters, the longer ones first. Those of other languages are in no valid text;
/// they are read as a whole to find their hints.
const LONG: &[&str] = &[
    // Of other languages.
    "===", "!==", ">>>", "%/%", "%*%", "//=", "**=", "<>", "~=", ":=", "+=", "-=", "*=", "/=", "%=",
    "^=", "&=", "|=", "=>", "=<", "|>", "^^", "%%", "::", ".*", "./", ".^", ".+",
    ".-", // Ours.
    "->", "..", "<<", ">>", "<=", ">=", "==", "!=", "**", "//", "&&", "||",
];

/// Signs of one character, the last two of other languages.
const SHORT: &[&str] = &[
    "(", ")", "[", "]", "{", "}", ",", ";", ":", "=", "<", ">", "+", "-", "*", "/", "%", "^", "@",
    "&", "|", "!", "~", "?", ".",
];

/// The sign that begins here.
fn symbol(rest: &str) -> Option<&'static str> {
    // Most signs stand alone.
    let is_long = rest.as_bytes().get(1).is_some_and(|second| b"=<>|&*/^:.+-%".contains(second));
    let find = |symbols: &[&'static str]| symbols.iter().find(|s| rest.starts_with(**s)).copied();
    is_long.then(|| find(LONG)).flatten().or_else(|| find(SHORT))
}

/// A place in a text, from which tokens are read.
#[derive(Clone)]
pub(super) struct Lexer<'t> {
    pub(super) text: &'t str,
    at: usize,
    /// The end of the last token.
    end: usize,
    /// What is wrong with the bad token, the last one.
    pub(super) mistake: Option<Mistake>,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Lexer<'t> {
        Lexer { text, at: 0, end: 0, mistake: None }
    }

    /// A lexer of the same text that begins at byte `at`, where a token does.
    pub(super) fn again_from(&self, at: usize) -> Lexer<'t> {
        Lexer { text: self.text, at, end: at, mistake: None }
    }

    /// The next token. The end and a bad token come again and again.
    pub(super) fn token(&mut self) -> Token<'t> {
        let at = skip_blanks(self.text, self.at);
        let rest = &self.text[at..];
        if rest.is_empty() {
            // If something is missing at the end, the caret goes right after the last token.
            return Token { kind: TokenKind::End, text: "", span: self.end..self.end };
        }
        let (kind, len) = token(rest, at, &self.text[self.end..at]).unwrap_or_else(|mistake| {
            self.mistake = Some(mistake);
            (TokenKind::Bad, 0)
        });
        if kind != TokenKind::Bad {
            (self.at, self.end) = (at + len, at + len);
        }
        Token { kind, text: &rest[..len], span: at..at + len }
    }
}

/// The token at the beginning of `rest`, which is at byte `at`, after `blanks`.
fn token<'t>(rest: &'t str, at: usize, blanks: &str) -> Result<(TokenKind<'t>, usize), Mistake> {
    let first = rest.chars().next().unwrap_or(' ');
    match first {
        'a'..='z' | 'A'..='Z' | '_' => {
            let word = &rest[..word_len(rest)];
            Ok((TokenKind::Word(word), word.len()))
        }
        '0'..='9' => number(rest, at),
        '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest, at),
        // A comment of another language. Floor division has a left operand before it.
        '/' if rest.starts_with("/*") || rest.starts_with("//") && starts_line(at, blanks) => {
            let mistake = Mistake::new(at..at + 2, format!("unexpected `{}`", &rest[..2]));
            Err(mistake.hint(hints::COMMENTS))
        }
        _ => match symbol(rest) {
            Some(symbol) => Ok((TokenKind::Symbol(symbol), symbol.len())),
            None => Err(stray(first, at)),
        },
    }
}

/// Whether what comes at byte `at`, after `blanks`, is the first of its line.
fn starts_line(at: usize, blanks: &str) -> bool {
    blanks.contains('\n') || at == blanks.len()
}

/// Past white space and comments.
fn skip_blanks(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text[at..].trim_start();
        at = text.len() - rest.len();
        if !rest.starts_with('#') {
            return at;
        }
        at += rest.find('\n').unwrap_or(rest.len());
    }
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// Digits without the marks between them, as in `1_000`; `None` where one is not between two.
fn without_marks(digits: &str) -> Option<Cow<'_, str>> {
    if !digits.contains('_') {
        return Some(digits.into());
    }
    let bytes = digits.as_bytes();
    let is_digit =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    let between = |at: usize| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    let fits = (0..bytes.len()).all(|at| bytes[at] != b'_' || between(at));
    fits.then(|| digits.replace('_', "").into())
}

/// `0x7fc00001`, if the text begins with a radix.
fn bits(rest: &str, at: usize) -> Option<Result<(TokenKind<'_>, usize), Mistake>> {
    let (radix, name) = match rest.get(..2)? {
        "0x" | "0X" => (16, "hexadecimal"),
        // `0bf16` is a number with a suffix.
        "0b" | "0B" if !rest[2..].starts_with('f') => (2, "binary"),
        "0o" | "0O" => (8, "octal"),
        _ => return None,
    };
    let len = 2 + word_len(&rest[2..]);
    let digits = without_marks(&rest[2..len]);
    let bits = digits.and_then(|digits| u64::from_str_radix(&digits, radix).ok());
    let mistake = || {
        let mistake = Mistake::new(at..at + len, format!("this is no {name} number of 64 bits"));
        mistake.hint(hints::RADIX)
    };
    Some(bits.map(|bits| (TokenKind::Bits(bits), len)).ok_or_else(mistake))
}

fn number(rest: &str, at: usize) -> Result<(TokenKind<'_>, usize), Mistake> {
    if let Some(bits) = bits(rest, at) {
        return bits;
    }
    let bytes = rest.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(b' ');
    let digits_from = |mut at: usize| {
        while byte(at).is_ascii_digit() || byte(at) == b'_' {
            at += 1;
        }
        at
    };
    let mut len = digits_from(0);
    // `1..` would be a number and a range mark.
    if byte(len) == b'.' && byte(len + 1) != b'.' {
        len = digits_from(len + 1);
    }
    if matches!(byte(len), b'e' | b'E') {
        let sign = usize::from(matches!(byte(len + 1), b'+' | b'-'));
        let end = digits_from(len + 1 + sign);
        if end > len + 1 + sign {
            len = end;
        }
    }
    let suffix = &rest[len..len + word_len(&rest[len..])];
    let span = at..at + len + suffix.len();
    let wrong = |message: String| Mistake::new(span.clone(), message);
    let dtype = match (suffix, DType::from_name(suffix)) {
        ("", _) => None,
        (_, Some(dtype)) if dtype != DType::Bool => Some(dtype),
        _ => {
            let mistake = wrong(format!("unknown number suffix {}", quoted(suffix)));
            return Err(mistake.hint(match hints::find(Place::Suffix, suffix) {
                Some(says) => hints::fill(says, &[suffix]),
                None => hints::fill(hints::SUFFIX, &[&shortened(&rest[..len]), &shortened(suffix)]),
            }));
        }
    };
    let Some(written) = without_marks(&rest[..len]) else {
        return Err(wrong("this is no number".into()).hint(hints::MARKS));
    };
    let is_integer = written.bytes().all(|byte| byte.is_ascii_digit());
    if is_integer && written.starts_with('0') && written.bytes().any(|byte| byte != b'0') {
        let digits = written.trim_start_matches('0');
        let mistake = wrong("a number does not begin with 0".into());
        return Err(mistake.hint(hints::fill(hints::OCTAL, &[&shortened(digits)])));
    }
    let misfit = |dtype| {
        Mistake::fault(span.clone(), Fault::Number { value: shortened(&written).into(), dtype })
    };
    let no_number = |_| wrong("this is no number".into());
    let value = match dtype {
        // Rounded to f64 first, some decimals would round twice.
        Some(DType::F32) => written.parse::<f32>().map(f64::from).map_err(no_number)?,
        _ => written.parse::<f64>().map_err(no_number)?,
    };
    if let Some(integer) = dtype.filter(|dtype| dtype.is_integer())
        && !is_integer
    {
        return Err(misfit(integer));
    }
    let holder = dtype.filter(|dtype| dtype.is_float()).unwrap_or(DType::F64);
    if holder.round(value).is_infinite() {
        return Err(misfit(holder));
    }
    let digits = written.split(['e', 'E']).next().unwrap_or_default();
    if holder.round(value) == 0.0 && digits.contains(|c: char| ('1'..='9').contains(&c)) {
        let note = Note::zero(shortened(&written), holder);
        return Err(wrong(note.message().into()).hint(note.hint()));
    }
    // Beyond 2^53 only digits say which integer it is.
    let number = match is_integer {
        true => written.parse::<i128>().map_or(Number::inexact(value), Number::from),
        false => Number::from(value),
    };
    Ok((TokenKind::Number { number, dtype }, len + suffix.len()))
}

fn stray(first: char, at: usize) -> Mistake {
    let mistake = Mistake::new(at..at + first.len_utf8(), format!("unexpected {first:?}"));
    match hints::find(Place::Character, first.encode_utf8(&mut [0; 4])) {
        Some(hint) => mistake.hint(hint),
        None if first.is_alphabetic() => mistake.hint(hints::LETTERS),
        None => mistake,
    }
}
