//! Stands in for Cranelift in builds without it: the emitter keeps its name and says what it needs.

mod listing;

pub use listing::Listing;

use super::{Code, EmitError, EmitterKind};
use crate::cpu::Cpu;
use crate::vir::Program;

const ABSENT: EmitError = EmitError::Unavailable {
    emitter: EmitterKind::Cranelift,
    reason: "Kiln was built without its feature `cranelift`",
};

/// There is no code.
pub(super) fn compile(_: &Program, _: Cpu) -> Result<Code, EmitError> {
    Err(ABSENT)
}

/// There is nothing to be looked at.
pub fn listing(_: &Program, _: Option<&str>) -> Result<Listing, EmitError> {
    Err(ABSENT)
}

#[cfg(test)]
mod tests {
    use crate::cpu::Cpu;
    use crate::emit::{EmitterKind, compile};
    use crate::vir::Program;

    #[test]
    fn the_error_names_the_feature_and_auto_interprets() {
        let program = Program::default();
        let error = compile(&program, EmitterKind::Cranelift, Cpu::host()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the cranelift emitter cannot be used: Kiln was built without its feature `cranelift` \
             (emitter `auto` takes what there is)"
        );
        let taken = compile(&program, EmitterKind::Auto, Cpu::BASE).unwrap();
        assert_eq!(taken.emitter(), EmitterKind::Interp);
    }
}
