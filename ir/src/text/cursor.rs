//! Where the parser is among the tokens, and what it expected there.

use super::error::Mistake;
use super::hints::{self, Missing, Place};
use super::lexer::{Lexer, Token, TokenKind, shortened};
use super::named;
use super::words;
use crate::declaration::is_name;
use crate::error::Origin;
use std::ops::Range;

pub(super) type Parsed<T> = Result<T, Mistake>;

/// A place among the tokens, the last of which is never passed.
pub(super) struct Cursor<'t> {
    lexer: Lexer<'t>,
    /// The next tokens.
    ahead: [Token<'t>; 3],
    /// The last two tokens that were read.
    previous: [Option<Token<'t>>; 2],
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Cursor<'t> {
        let mut lexer = Lexer::new(text);
        let ahead = std::array::from_fn(|_| lexer.token());
        Cursor { lexer, ahead, previous: [None, None] }
    }

    pub(super) fn advance(&mut self) {
        if !self.token().is_last() {
            self.ahead.rotate_left(1);
            let read = std::mem::replace(&mut self.ahead[2], self.lexer.token());
            self.previous = [self.previous[1].take(), Some(read)];
        }
    }

    /// The text between two places in it.
    pub(super) fn text(&self, between: Range<usize>) -> &'t str {
        &self.lexer.text[between]
    }

    /// The text from a place on.
    pub(super) fn text_from(&self, start: usize) -> &'t str {
        &self.lexer.text[start..]
    }

    /// The token `distance` after the next one, up to 2.
    pub(super) fn ahead(&self, distance: usize) -> &Token<'t> {
        &self.ahead[distance]
    }

    /// The next token.
    pub(super) fn token(&self) -> &Token<'t> {
        &self.ahead[0]
    }

    pub(super) fn at_end(&self) -> bool {
        self.token().kind == TokenKind::End
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.token().kind == TokenKind::Word(word)
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    /// A word, reserved or not.
    pub(super) fn any_word(&mut self, what: &str) -> Parsed<&'t str> {
        let TokenKind::Word(word) = self.token().kind else { return Err(self.expected(what)) };
        self.advance();
        Ok(word)
    }

    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        let found = self.token().is(symbol);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Parsed<()> {
        match self.eat(symbol) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{symbol}`"))),
        }
    }

    /// The closing of the group that token `open` began.
    pub(super) fn expect_closing(&mut self, symbol: &str, open: &Token<'t>) -> Parsed<()> {
        self.expect(symbol).map_err(|mistake| match self.at_end() {
            true => Mistake::new(open.span.clone(), format!("this {open} is never closed")),
            false => mistake,
        })
    }

    /// A mistake at the next token, with a hint if the text there shows what was meant.
    pub(super) fn expected(&self, what: &str) -> Mistake {
        if let (TokenKind::Bad, Some(mistake)) = (self.token().kind, &self.lexer.mistake) {
            return mistake.clone();
        }
        let mistake = self.unexpected(&format!("expected {what}, found {}", self.token()));
        match self.hint(what) {
            Some(hint) => mistake.hint(hint),
            None => mistake,
        }
    }

    fn hint(&self, what: &str) -> Option<String> {
        let found = self.token();
        let [before, previous] = &self.previous;
        let is_word = matches!(found.kind, TokenKind::Word(_) | TokenKind::Number { .. });
        // Where an operator could stand.
        let after_operand = ["the end of the text", "`)`", "`}`", "`;`"].contains(&what);
        let place = if after_operand { Place::Operator } else { Place::Operand };
        match what {
            "the name of the kernel" | "`{`" => return Some(hints::HEAD.into()),
            "`=`" => return Some(hints::STATEMENT.into()),
            "an expression as the result" if previous.as_ref().is_some_and(|it| it.is(";")) => {
                return Some(hints::ENDING.into());
            }
            _ => {}
        }
        if let Some(previous) = previous {
            if is_word && let Some(says) = hints::find(Place::Keyword, previous.text) {
                return Some(says.into());
            }
            if found.is(".") {
                return Some(self.method_hint(previous.text));
            }
            let doubled = before.as_ref().is_some_and(|before| {
                before.text == previous.text && before.span.end == previous.span.start
            });
            let ending = if doubled { previous.text.repeat(2) } else { previous.text.to_string() };
            if !is_word && let Some(says) = hints::find(Place::Ending, &ending) {
                return Some(says.into());
            }
        }
        let known =
            hints::find(place, found.text).or_else(|| hints::find(Place::Symbol, found.text));
        if let Some(says) = known {
            return Some(says.into());
        }
        match (previous, found.kind) {
            (Some(previous), _) if is_word && is_function(previous) => {
                Some(hints::fill(hints::ARGUMENTS, &[previous.text]))
            }
            (previous, TokenKind::Word(_) | TokenKind::Number { .. } | TokenKind::Symbol("("))
                if after_operand && !previous.as_ref().is_some_and(|token| token.is("}")) =>
            {
                Some(if what == "`)`" { hints::LISTED } else { hints::PRODUCT }.into())
            }
            (_, TokenKind::Symbol(")")) if after_operand => Some(hints::NO_GROUP.into()),
            (_, TokenKind::Symbol(",")) if what == "the end of the text" || what == "`}`" => {
                Some(hints::SEVERAL.into())
            }
            (_, _) if what == "`;`" => Some(hints::BINDING.into()),
            _ => None,
        }
    }

    /// What to write for `previous.name`.
    fn method_hint(&self, previous: &str) -> String {
        let name = match self.ahead(1).kind {
            TokenKind::Word(name) => name,
            _ => "exp",
        };
        let known = if words::is_function(name) { name } else { "exp" };
        let object = if is_name(previous) { shortened(previous) } else { "x".into() };
        let is_prefixed = PREFIXES.contains(&previous);
        if is_prefixed && CONSTANTS.contains(&name) {
            return hints::fill(hints::CONSTANT, &[name, previous]);
        }
        if is_prefixed && let Some(says) = hints::find(Place::Name, name) {
            return says.to_string();
        }
        let call = self.ahead(2);
        if !is_prefixed
            && call.is("(")
            && let Some(says) = named::along(name, Some(&object), self.text_from(call.span.end))
        {
            return says;
        }
        match hints::missing(name) {
            _ if is_prefixed => hints::fill(hints::PREFIX, &[known, previous]),
            Missing::Known(says) => says.to_string(),
            Missing::Near(_) | Missing::Unknown => hints::fill(hints::METHOD, &[known, &object]),
        }
    }

    /// A mistake at the next token.
    pub(super) fn unexpected(&self, message: &str) -> Mistake {
        Mistake::new(self.token().span.clone(), message)
    }

    /// The end of the last token that was read.
    pub(super) fn previous_end(&self) -> usize {
        self.previous[1].as_ref().map_or(0, |token| token.span.end)
    }

    /// The text from byte `start` to the last token that was read.
    pub(super) fn origin_from(&self, start: usize) -> Origin {
        origin(&(start..self.previous_end()))
    }

    /// A lexer that reads the tokens from here on again.
    fn again(&self) -> Lexer<'t> {
        self.lexer.again_from(self.token().span.start)
    }

    /// Whether the next token is `word_or_symbol`, followed by a list (and a block) and then the end.
    pub(super) fn is_last(&self, word_or_symbol: &str) -> bool {
        if self.token().text != word_or_symbol {
            return false;
        }
        let mut tokens = self.again();
        if word_or_symbol == "fused" {
            tokens.token();
            skip_group(&mut tokens, |_, _| {});
        }
        skip_group(&mut tokens, |_, _| {});
        let token = tokens.token();
        token.is_last() || token.is("}") || token.is(";")
    }

    /// Whether one of these symbols follows the group that opens at byte `start`.
    pub(super) fn follows_group(&self, start: usize, symbols: &[&str]) -> bool {
        let mut tokens = self.lexer.again_from(start);
        skip_group(&mut tokens, |_, _| {});
        let token = tokens.token();
        symbols.iter().any(|symbol| token.is(symbol))
    }

    /// Whether brackets and then arguments follow the word here, as axes and an array do.
    pub(super) fn has_axes_ahead(&self) -> bool {
        self.follows_group(self.ahead(1).span.start, &["("])
    }

    /// Whether the group that opens here has a comma of its own.
    pub(super) fn has_comma(&self) -> bool {
        let mut found = false;
        skip_group(&mut self.again(), |token, depth| found |= depth == 1 && token.is(","));
        found
    }
}

/// Prefixes of functions in other languages: `np.exp(x)`.
const PREFIXES: &[&str] = &[
    "np", "numpy", "torch", "jnp", "jax", "math", "tf", "nn", "F", "scipy", "special", "cp", "nd",
];

/// Names of numbers that are the same here.
const CONSTANTS: &[&str] = &["pi", "inf", "nan"];

fn is_function(token: &Token<'_>) -> bool {
    match token.kind {
        TokenKind::Word(word) => words::is_function(word),
        _ => false,
    }
}

/// Reads the group that opens next, and calls `each` with every token and how many groups are open.
fn skip_group(tokens: &mut Lexer<'_>, mut each: impl FnMut(&Token<'_>, usize)) {
    let mut depth = 0usize;
    loop {
        let token = tokens.token();
        match token.kind {
            TokenKind::Symbol("(" | "{" | "[") => depth += 1,
            TokenKind::Symbol(")" | "}" | "]") => depth = depth.saturating_sub(1),
            _ => {}
        }
        each(&token, depth);
        if depth == 0 || token.is_last() {
            return;
        }
    }
}

pub(super) fn origin(span: &Range<usize>) -> Origin {
    Origin::Text { start: span.start, end: span.end }
}
