//! Where the parser is among the tokens, and what it expected there.

use super::error::Mistake;
use super::lexer::{Token, TokenKind};
use super::suggest;
use crate::error::Origin;
use std::ops::Range;

pub(super) type Parsed<T> = Result<T, Mistake>;

/// A place among the tokens, the last of which is the end and is never passed.
pub(super) struct Cursor<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(tokens: Vec<Token<'t>>) -> Cursor<'t> {
        Cursor { tokens, at: 0 }
    }

    /// The index of the next token.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    /// The token `distance` after the next one, or the end.
    pub(super) fn ahead(&self, distance: usize) -> &Token<'t> {
        &self.tokens[(self.at + distance).min(self.tokens.len() - 1)]
    }

    /// The next token.
    pub(super) fn token(&self) -> &Token<'t> {
        &self.tokens[self.at]
    }

    pub(super) fn at_end(&self) -> bool {
        self.token().kind == TokenKind::End
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.token().kind == TokenKind::Word(word)
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// A word, reserved or not.
    pub(super) fn any_word(&mut self, what: &str) -> Parsed<&'t str> {
        let TokenKind::Word(word) = self.token().kind else { return Err(self.expected(what)) };
        self.at += 1;
        Ok(word)
    }

    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        let found = self.token().is(symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Parsed<()> {
        match self.eat(symbol) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{symbol}`"))),
        }
    }

    /// The end of what token `open` began.
    pub(super) fn expect_closing(&mut self, symbol: &str, open: usize) -> Parsed<()> {
        self.expect(symbol).map_err(|mistake| match self.at_end() {
            true => {
                let open = &self.tokens[open];
                Mistake::new(open.span.clone(), format!("this {open} is never closed"))
            }
            false => mistake,
        })
    }

    /// A mistake at the next token, with a hint where the two tell what was meant.
    pub(super) fn expected(&self, what: &str) -> Mistake {
        let found = self.token();
        let mistake = self.unexpected(&format!("expected {what}, found {found}"));
        let previous = self.at.checked_sub(1).map(|index| &self.tokens[index]);
        let is_function = |token: &Token<'t>| match token.kind {
            TokenKind::Word(word) => suggest::is_function(word),
            _ => false,
        };
        // After a whole expression, where an operator could stand.
        let after_operand = ["the end of the text", "`)`", "`}`", "`;`"].contains(&what);
        match (previous, found.kind) {
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
            (Some(previous), TokenKind::Symbol("*")) if previous.is("*") => {
                mistake.hint("a power is written `x^2`")
            }
            (_, TokenKind::Symbol("&" | "|")) => mistake.hint("logic is written `a & b`, `a | b`"),
            (_, TokenKind::Symbol("=")) => {
                mistake.hint("equality is `==`; a name is `let u = ..;`")
            }
            _ => mistake,
        }
    }

    /// A mistake at the next token.
    pub(super) fn unexpected(&self, message: &str) -> Mistake {
        Mistake::new(self.token().span.clone(), message)
    }

    /// The end of the last token that was read.
    pub(super) fn previous_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |index| self.tokens[index].span.end)
    }

    /// What begins at byte `start` and was just read.
    pub(super) fn origin_from(&self, start: usize) -> Origin {
        origin(&(start..self.previous_end()))
    }

    /// Whether what begins here, with `word_or_symbol`, is a list (and a block) and then the end.
    pub(super) fn is_last(&self, word_or_symbol: &str) -> bool {
        if self.token().text != word_or_symbol {
            return false;
        }
        let list = self.at + usize::from(word_or_symbol == "fused");
        let mut end = self.after_group(list);
        if word_or_symbol == "fused" {
            end = self.after_group(end);
        }
        let token = &self.tokens[end.min(self.tokens.len() - 1)];
        token.kind == TokenKind::End || token.is("}") || token.is(";")
    }

    /// The index after the group that opens at `index`.
    fn after_group(&self, index: usize) -> usize {
        let mut depth = 0usize;
        for (offset, token) in self.tokens.iter().enumerate().skip(index) {
            match token.kind {
                TokenKind::Symbol("(" | "{") => depth += 1,
                TokenKind::Symbol(")" | "}") => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return offset + 1;
            }
        }
        self.tokens.len()
    }

    /// Whether the group that opens here has a comma of its own.
    pub(super) fn has_comma(&self) -> bool {
        let mut depth = 0usize;
        for token in &self.tokens[self.at..self.after_group(self.at)] {
            match token.kind {
                TokenKind::Symbol("(" | "{") => depth += 1,
                TokenKind::Symbol(")" | "}") => depth -= 1,
                TokenKind::Symbol(",") if depth == 1 => return true,
                _ => {}
            }
        }
        false
    }
}

pub(super) fn origin(span: &Range<usize>) -> Origin {
    Origin::Text { start: span.start, end: span.end }
}
