//! Where the parser is among the tokens, and what it expected there.

use super::error::Mistake;
use super::lexer::{Lexer, Token, TokenKind};
use super::words;
use crate::error::Origin;
use std::ops::Range;

pub(super) type Parsed<T> = Result<T, Mistake>;

/// A place among the tokens, the last of which is never passed.
pub(super) struct Cursor<'t> {
    lexer: Lexer<'t>,
    /// The next tokens.
    ahead: [Token<'t>; 3],
    previous: Option<Token<'t>>,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Cursor<'t> {
        let mut lexer = Lexer::new(text);
        let ahead = std::array::from_fn(|_| lexer.token());
        Cursor { lexer, ahead, previous: None }
    }

    pub(super) fn advance(&mut self) {
        if !self.token().is_last() {
            self.ahead.rotate_left(1);
            self.previous = Some(std::mem::replace(&mut self.ahead[2], self.lexer.token()));
        }
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

    /// The end of what token `open` began.
    pub(super) fn expect_closing(&mut self, symbol: &str, open: &Token<'t>) -> Parsed<()> {
        self.expect(symbol).map_err(|mistake| match self.at_end() {
            true => Mistake::new(open.span.clone(), format!("this {open} is never closed")),
            false => mistake,
        })
    }

    /// A mistake at the next token, with a hint where the two tell what was meant.
    pub(super) fn expected(&self, what: &str) -> Mistake {
        if let (TokenKind::Bad, Some(mistake)) = (self.token().kind, &self.lexer.mistake) {
            return mistake.clone();
        }
        let found = self.token();
        let mistake = self.unexpected(&format!("expected {what}, found {found}"));
        let previous = self.previous.as_ref();
        let is_function = |token: &Token<'t>| match token.kind {
            TokenKind::Word(word) => words::is_function(word),
            _ => false,
        };
        // After a whole expression, where an operator could stand.
        let after_operand = ["the end of the text", "`)`", "`}`", "`;`"].contains(&what);
        match (previous, found.kind) {
            (_, TokenKind::Word(word)) if words::operator_hint(word).is_some() => {
                mistake.hint(words::operator_hint(word).unwrap_or_default())
            }
            (_, TokenKind::Word("not")) => mistake.hint("write `!x`, or parentheses around it"),
            (Some(previous), TokenKind::Word(_) | TokenKind::Number { .. })
                if is_function(previous) =>
            {
                let call = format!("`{}(..)`", previous.text);
                mistake.hint(format!("arguments stand in parentheses: {call}"))
            }
            (_, TokenKind::Word(_) | TokenKind::Number { .. } | TokenKind::Symbol("("))
                if after_operand && !previous.is_some_and(|token| token.is("}")) =>
            {
                mistake.hint("a product is written `a * b`")
            }
            (_, TokenKind::Symbol(")")) if after_operand => mistake.hint("no `(` is open here"),
            (Some(previous), TokenKind::Symbol(">")) if previous.is("<") => {
                mistake.hint("inequality is `!=`")
            }
            (Some(previous), TokenKind::Symbol("=")) if previous.is("==") => {
                mistake.hint("equality is `==`")
            }
            (_, TokenKind::Symbol("=")) => {
                mistake.hint("equality is `==`; a name is `let u = ..;`")
            }
            (_, TokenKind::Symbol("//")) => mistake.hint(words::COMMENTS),
            (_, TokenKind::Symbol("|" | "||")) => mistake.hint(words::BARS),
            _ => mistake,
        }
    }

    /// A mistake at the next token.
    pub(super) fn unexpected(&self, message: &str) -> Mistake {
        Mistake::new(self.token().span.clone(), message)
    }

    /// The end of the last token that was read.
    pub(super) fn previous_end(&self) -> usize {
        self.previous.as_ref().map_or(0, |token| token.span.end)
    }

    /// What begins at byte `start` and was just read.
    pub(super) fn origin_from(&self, start: usize) -> Origin {
        origin(&(start..self.previous_end()))
    }

    /// The tokens from here on, read again.
    fn again(&self) -> Lexer<'t> {
        self.lexer.again_from(self.token().span.start)
    }

    /// Whether what begins here, with `word_or_symbol`, is a list (and a block) and then the end.
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

    /// Whether the group that opens here has a comma of its own.
    pub(super) fn has_comma(&self) -> bool {
        let mut found = false;
        skip_group(&mut self.again(), |token, depth| found |= depth == 1 && token.is(","));
        found
    }
}

/// Reads the group that opens next, `each` of its tokens with how many are open there.
fn skip_group(tokens: &mut Lexer<'_>, mut each: impl FnMut(&Token<'_>, usize)) {
    let mut depth = 0usize;
    loop {
        let token = tokens.token();
        match token.kind {
            TokenKind::Symbol("(" | "{") => depth += 1,
            TokenKind::Symbol(")" | "}") => depth = depth.saturating_sub(1),
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
