//! The mode: how much compilation may change.

use std::fmt;
use std::str::FromStr;

/// How much a rewrite may change. [`modes`](crate::guide::modes) says what each mode promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mode {
    /// Only bit-exact rewrites: fused bits equal unfused bits.
    Strict,
    /// Rewrites that keep special values and whose error is no worse than that of what was written:
    /// contraction to `fma`, stable forms of logistic functions.
    #[default]
    Precise,
    /// Every real-number identity.
    Fast,
}

impl Mode {
    /// Every mode, from the most careful.
    pub const ALL: [Mode; 3] = [Mode::Strict, Mode::Precise, Mode::Fast];

    fn name(self) -> &'static str {
        match self {
            Mode::Strict => "strict",
            Mode::Precise => "precise",
            Mode::Fast => "fast",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not a mode's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode {0:?}; use strict, precise or fast")]
pub struct UnknownMode(String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Mode, UnknownMode> {
        let found = Mode::ALL.into_iter().find(|mode| mode.name() == text);
        found.ok_or_else(|| UnknownMode(text.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::Mode;

    #[test]
    fn names_read_back() {
        for mode in Mode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        let error = "quick".parse::<Mode>().unwrap_err().to_string();
        assert_eq!(error, "unknown mode \"quick\"; use strict, precise or fast");
    }
}
