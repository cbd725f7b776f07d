//! The mode: how much compilation may change.

use std::fmt;
use std::str::FromStr;

/// How much a rewrite may change: what each mode promises is told in [`modes`](crate::modes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Only bit-exact rewrites: fused bits equal unfused bits.
    Strict,
    /// Rewrites that keep special values and whose error is no worse than that of what was
    /// written: contraction to `fma`, stable forms of logistic functions.
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

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        let found = Mode::ALL.into_iter().find(|mode| mode.name() == text);
        found.ok_or_else(|| format!("unknown mode {text:?}; use strict, precise or fast"))
    }
}
