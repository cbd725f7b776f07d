//! The table of emitters.
//!
//! A new emitter is a row below and a module with its [`Emitter`]. Names, error texts, what
//! [`EmitterKind::Auto`] tries and the values of the command line follow.

use super::{Code, EmitError, clif, cost, interp, x86};
use crate::cpu::Cpu;
use crate::vir::{Routine, Sweep};
use std::fmt;
use std::str::FromStr;

/// What an emitter is.
pub(super) struct Emitter {
    /// The width of the vectors that it computes with.
    pub(super) bits: u32,
    /// Whether its code can run on this machine, without what `cpu` lacks.
    pub(super) available: fn(Cpu) -> Result<(), EmitError>,
    /// Makes code of a verified routine, on a machine where the emitter is available.
    pub(super) compile: fn(&Routine, Cpu) -> Result<Code, EmitError>,
    /// Makes code of a verified sweep, where the emitter is available; none if it makes none of such.
    pub(super) sweep: fn(&Sweep) -> Result<Option<Code>, EmitError>,
    /// The code of a verified routine, as text.
    pub(super) listing: fn(&Routine) -> Result<String, EmitError>,
    /// How long its code takes.
    pub(super) times: &'static cost::Times,
}

macro_rules! emitters {
    ($($(#[doc = $doc:literal])* $(#[cfg($cfg:meta)])* $kind:ident $name:literal $emitter:path;)+) => {
        /// Which emitter to use.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EmitterKind {
            /// The first of the others that this machine can run: the fastest.
            #[default]
            Auto,
            $($(#[doc = $doc])* $(#[cfg($cfg)])* $kind,)+
        }

        /// All of them, fastest first. The last one runs everywhere.
        pub(super) const EMITTERS: &[&Emitter] = &[$($(#[cfg($cfg)])* &$emitter,)+];

        impl EmitterKind {
            /// Every choice.
            pub const ALL: [EmitterKind; 1 + EMITTERS.len()] =
                [EmitterKind::Auto, $($(#[cfg($cfg)])* EmitterKind::$kind,)+];

            /// The name in text.
            pub fn name(self) -> &'static str {
                match self {
                    EmitterKind::Auto => "auto",
                    $($(#[cfg($cfg)])* EmitterKind::$kind => $name,)+
                }
            }

            /// Its row; [`EmitterKind::Auto`] has none.
            pub(super) fn emitter(self) -> Option<&'static Emitter> {
                match self {
                    EmitterKind::Auto => None,
                    $($(#[cfg($cfg)])* EmitterKind::$kind => Some(&$emitter),)+
                }
            }
        }
    };
}

emitters! {
    /// x86-64 machine code with 512-bit vectors: AVX-512.
    Avx512 "avx512" x86::AVX512;
    /// x86-64 machine code with 256-bit vectors: AVX2 and FMA.
    Avx2 "avx2" x86::AVX2;
    /// Cranelift: machine code with 128-bit vectors.
    Cranelift "cranelift" clif::CRANELIFT;
    /// One that tests add.
    #[cfg(test)]
    Toy "toy" super::toy::TOY;
    /// The interpreter: slow, and right everywhere.
    Interp "interp" interp::INTERP;
}

impl EmitterKind {
    /// The row of an emitter that made code.
    ///
    /// # Panics
    ///
    /// If it is [`EmitterKind::Auto`].
    pub(super) fn row(self) -> &'static Emitter {
        self.emitter().expect("`auto` makes no code itself")
    }
}

impl fmt::Display for EmitterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no emitter has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown emitter `{0}`: choose {choices}", choices = choices())]
pub struct UnknownEmitter(String);

/// `auto, .. or interp`
fn choices() -> String {
    let names = EmitterKind::ALL.map(EmitterKind::name);
    let (last, others) = names.split_last().expect("there are emitters");
    format!("{} or {last}", others.join(", "))
}

impl FromStr for EmitterKind {
    type Err = UnknownEmitter;

    fn from_str(name: &str) -> Result<EmitterKind, UnknownEmitter> {
        let kind = EmitterKind::ALL.into_iter().find(|kind| kind.name() == name);
        kind.ok_or_else(|| UnknownEmitter(name.to_string()))
    }
}
