//! Replaces emulation in builds without the x86 emitters, whose code it executes.

use kiln::EmitterKind;
use kiln::internals::emit::Code;
use kiln::internals::vir::Routine;

pub fn compile(_: &Routine, kind: EmitterKind) -> Code {
    panic!("{kind} is not part of this build");
}

pub fn stand_in_for(kinds: &[EmitterKind]) {
    assert!(kinds.is_empty(), "{kinds:?} are not part of this build");
}
