//! Text into tokens.

use super::error::Mistake;
use crate::dtype::DType;
use crate::number::Number;
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
    /// `0x7fc00001`.
    Bits(u64),
    /// An operator or a mark.
    Symbol(&'static str),
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
}

/// As messages name it.
impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TokenKind::End => f.write_str("the end of the text"),
            _ => f.write_str(&quoted(self.text)),
        }
    }
}

/// A token's text in a message, shortened: words may be as long as the text. Tokens are ASCII.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.len() {
        0..=LONGEST => format!("`{text}`"),
        _ => format!("`{}…`", &text[..LONGEST]),
    }
}

/// Longer symbols before their prefixes.
const SYMBOLS: &[&str] = &[
    "->", "..", "<=", ">=", "==", "!=", "(", ")", "[", "]", "{", "}", ",", ";", ":", "=", "<", ">",
    "+", "-", "*", "/", "%", "^", "@", "&", "|", "!",
];

/// All tokens, the last of them `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Mistake> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at = skip_blanks(text, at);
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else { break };
        let (kind, len) = match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                let word = &rest[..word_len(rest)];
                (TokenKind::Word(word), word.len())
            }
            '0'..='9' => number(rest, at)?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest, at)?,
            _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => (TokenKind::Symbol(symbol), symbol.len()),
                None => return Err(stray(first, rest, at)),
            },
        };
        tokens.push(Token { kind, text: &rest[..len], span: at..at + len });
        at += len;
    }
    // Where something is missing at the end, the caret goes right after the last token.
    let end = tokens.last().map_or(0, |token| token.span.end);
    tokens.push(Token { kind: TokenKind::End, text: "", span: end..end });
    Ok(tokens)
}

/// Past white space and comments.
fn skip_blanks(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text[at..].trim_start();
        at = text.len() - rest.len();
        if !(rest.starts_with('#') || rest.starts_with("//")) {
            return at;
        }
        at += rest.find('\n').unwrap_or(rest.len());
    }
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

fn number(rest: &str, at: usize) -> Result<(TokenKind<'_>, usize), Mistake> {
    if let Some(digits) = rest.strip_prefix("0x") {
        let len = 2 + word_len(digits);
        return match u64::from_str_radix(&digits[..len - 2], 16) {
            Ok(bits) => Ok((TokenKind::Bits(bits), len)),
            Err(_) => Err(Mistake::new(at..at + len, "this is no hexadecimal number of 64 bits")),
        };
    }
    let bytes = rest.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(b' ');
    let digits_from = |mut at: usize| {
        while byte(at).is_ascii_digit() {
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
    let dtype = match (suffix, DType::from_name(suffix)) {
        ("", _) => None,
        (_, Some(dtype)) if dtype != DType::Bool => Some(dtype),
        _ => {
            let message = format!("unknown number suffix {}", quoted(suffix));
            let hint = "a suffix is a type, as in `2f64` or `2i32`; a product is written `2 * x`";
            return Err(Mistake::new(span, message).hint(hint));
        }
    };
    let too_large = |_| Mistake::new(span.clone(), "this is no number");
    let value = match dtype {
        // Through f64, some decimals would round twice.
        Some(DType::F32) => rest[..len].parse::<f32>().map(f64::from).map_err(too_large)?,
        _ => rest[..len].parse::<f64>().map_err(too_large)?,
    };
    if let Some(integer) = dtype.filter(|dtype| dtype.is_integer())
        && !rest[..len].bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(Mistake::new(span, format!("a number of type {integer} is written in digits")));
    }
    let holder = dtype.filter(|dtype| dtype.is_float()).unwrap_or(DType::F64);
    if holder.round(value).is_infinite() {
        let mistake = Mistake::new(span, format!("this number is too large for {holder}"));
        return Err(mistake.hint("infinity is written `inf`"));
    }
    // Beyond 2^53 only digits say which integer it is.
    let number = rest[..len].parse::<i64>().map_or(Number::from(value), Number::from);
    Ok((TokenKind::Number { number, dtype }, len + suffix.len()))
}

fn stray(first: char, rest: &str, at: usize) -> Mistake {
    let mistake = Mistake::new(at..at + first.len_utf8(), format!("unexpected {first:?}"));
    match first {
        '×' | '·' => mistake.hint("a product is written `*`"),
        '÷' => mistake.hint("a quotient is written `/`"),
        '−' | '–' => mistake.hint("a minus is written `-`"),
        '²' | '³' => mistake.hint("a power is written `x^2`"),
        'π' => mistake.hint("it is written `pi`"),
        '√' => mistake.hint("a square root is written `sqrt(x)`"),
        '\'' | '"' => mistake.hint("text has no strings"),
        '.' if rest.len() > 1 => mistake.hint("an op is called as a function: `exp(x)`"),
        c if c.is_alphabetic() => mistake.hint("names are ASCII letters, digits and _"),
        _ => mistake,
    }
}
