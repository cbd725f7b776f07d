//! Errors that point into the text.

use crate::error::{Fault, GraphError};
use std::fmt;
use std::ops::Range;

/// A text that is no kernel: what is wrong, where, and what to do about it.
///
/// ```
/// let error = "0.5 * gleu(x)".parse::<kiln_ir::Graph>().unwrap_err();
/// assert_eq!(error.span(), 6..10);
/// assert_eq!(
///     error.to_string(),
///     "\
/// 1:7: unknown function `gleu`
///   |
/// 1 | 0.5 * gleu(x)
///   |       ^^^^
///   = hint: did you mean `gelu`?"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    mistake: Mistake,
    line: usize,
    column: usize,
    /// The line at fault and its underline, ready to print.
    excerpt: [String; 2],
}

impl TextError {
    pub(super) fn new(text: &str, mistake: Mistake) -> TextError {
        let start = mistake.0.span.start;
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let line_end = line_start + line.len();
        let end = mistake.0.span.end.min(line_end).max(start.min(line_end));
        let start = start.min(line_end);
        TextError {
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            excerpt: excerpt(line, start - line_start..end - line_start),
            mistake,
        }
    }

    /// Whether `symbol` stands before the bytes at fault, in their line.
    pub(super) fn is_after(&self, symbol: &str, text: &str) -> bool {
        let before = &text[..self.span().start];
        let line = before.rfind('\n').map_or(before, |newline| &before[newline..]);
        // After a `#`, it is part of a comment.
        line.contains(symbol) && !line.contains('#')
    }

    pub(super) fn with_hint(mut self, hint: &str) -> TextError {
        self.mistake.0.hint = Some(hint.to_string());
        self
    }

    /// The bytes at fault.
    pub fn span(&self) -> Range<usize> {
        self.mistake.0.span.clone()
    }

    /// The line where the bytes at fault begin, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column where they begin, from 1, in characters.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, in a line.
    pub fn message(&self) -> &str {
        &self.mistake.0.message
    }

    /// What to do about it, if that is known.
    pub fn hint(&self) -> Option<&str> {
        self.mistake.0.hint.as_deref()
    }

    /// The fault of the graph that the text describes, in the type that expressions in Rust have for it.
    /// There is none where the text is not well-formed.
    pub fn fault(&self) -> Option<&Fault> {
        self.mistake.0.fault.as_ref()
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [source, underline] = &self.excerpt;
        let line = self.line.to_string();
        let margin = " ".repeat(line.len());
        writeln!(f, "{line}:{}: {}", self.column, self.message())?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{line} | {source}")?;
        write!(f, "{margin} | {underline}")?;
        match self.hint() {
            Some(hint) => write!(f, "\n{margin} = hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TextError {}

/// The line and its underline; of a long line, the part around the fault.
fn excerpt(line: &str, span: Range<usize>) -> [String; 2] {
    const BEFORE: usize = 60;
    const AFTER: usize = 60;
    // A line may be as long as the text: no more of it is held than is shown.
    let mut before: Vec<char> = line[..span.start].chars().rev().take(BEFORE + 1).collect();
    before.reverse();
    let mut at: Vec<char> = line[span.clone()].chars().take(AFTER + 1).collect();
    let mut after: Vec<char> = line[span.end..].chars().take(AFTER + 1).collect();
    if at.is_empty() {
        // Something is missing: mark the next character, or the end of the line.
        at.push(if after.is_empty() { ' ' } else { after.remove(0) });
    }
    let (mut source, mut underline) = (String::new(), String::new());
    let mut put = |shown: char, mark: char| {
        source.push(shown);
        underline.extend(std::iter::repeat_n(mark, width(shown)));
    };
    // A tab counts as one column wherever it stands, so that carets stay in place.
    let plain = |c: &char| if c.is_control() { ' ' } else { *c };
    if before.len() > BEFORE {
        put('…', ' ');
    }
    for c in &before[before.len().saturating_sub(BEFORE)..] {
        put(plain(c), ' ');
    }
    for c in at.iter().take(AFTER) {
        // A character without width could not be underlined.
        put(if width(*c) == 0 { '\u{fffd}' } else { plain(c) }, '^');
    }
    for c in after.iter().take(AFTER.saturating_sub(at.len())) {
        put(plain(c), ' ');
    }
    if at.len() + after.len() > AFTER {
        put('…', ' ');
    }
    [source.trim_end().to_string(), underline.trim_end().to_string()]
}

/// How many columns a terminal gives a character. Text is ASCII but for comments and mistakes, so
/// the common ranges will do.
fn width(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff => 2,
        0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff => 2,
        0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// A mistake before it is located in the text.
///
/// Boxed, so that results of the parser and its stack stay small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    span: Range<usize>,
    message: String,
    hint: Option<String>,
    fault: Option<Fault>,
}

impl Mistake {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Mistake {
        Mistake(Box::new(Parts { span, message: message.into(), hint: None, fault: None }))
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Mistake {
        self.0.hint = Some(hint.into());
        self
    }

    /// A fault of the graph that the text describes.
    pub(super) fn fault(span: Range<usize>, fault: Fault) -> Mistake {
        Mistake::error(span, fault.into())
    }

    /// An error of the graph that the text describes; these say `what is wrong; what to do`.
    pub(super) fn error(span: Range<usize>, error: GraphError) -> Mistake {
        let text = error.told();
        let mut mistake = match text.split_once("; ") {
            Some((message, hint)) => Mistake::new(span, message).hint(hint),
            None => Mistake::new(span, text),
        };
        mistake.0.fault = Some(error.fault);
        mistake
    }
}

/// `1 result`, `2 results`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}
