//! Notes: what is no error, but hardly what its author meant.

use crate::dtype::DType;
use crate::error::Origin;
use std::fmt;

/// Something that the author of a [`Graph`](crate::Graph) should know: a number becomes 0 in the type
/// that it takes.
///
/// It shows as text, with the place where it was written.
///
/// ```
/// let graph = kiln_ir::parse("log(x + 1e-60)").unwrap();
/// assert_eq!(
///     graph.notes()[0].to_string(),
///     "\
/// 1:5: the number 1e-60 is 0 in f32
///   |
/// 1 | log(x + 1e-60)
///   |     ^^^^^^^^^
///   = hint: declare inputs of type f64, or write 0"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub(crate) message: String,
    pub(crate) hint: &'static str,
    pub(crate) origin: Option<Origin>,
    /// The whole message with the line at fault, for a graph that was text.
    pub(crate) shown: Option<String>,
}

impl Note {
    pub(crate) fn new(message: String, hint: &'static str) -> Note {
        Note { message, hint, origin: None, shown: None }
    }

    /// The note on a number that is not 0 as written, but becomes 0 in its type.
    pub(crate) fn zero(written: impl fmt::Display, dtype: DType) -> Note {
        let hint = match dtype {
            DType::F64 => "write 0",
            _ => "declare inputs of type f64, or write 0",
        };
        Note::new(format!("the number {written} is 0 in {dtype}"), hint)
    }

    /// What it says, in a line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        self.hint
    }

    /// Where it was written, if known.
    pub fn origin(&self) -> Option<Origin> {
        self.origin
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(shown) = &self.shown {
            return f.write_str(shown);
        }
        write!(f, "{}; {}", self.message, self.hint)?;
        match self.origin {
            Some(Origin::Code(location)) => write!(f, " (written at {location})"),
            _ => Ok(()),
        }
    }
}
