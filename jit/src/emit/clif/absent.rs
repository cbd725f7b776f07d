//! Replaces Cranelift in builds without it: the emitter keeps its name and says what it needs.

mod listing;

pub use listing::Listing;

use super::cost;
use super::emitters::{Emitter, EmitterKind};
use super::error::EmitError;
use crate::vir::Routine;

pub(super) const CRANELIFT: Emitter = Emitter {
    bits: 128,
    available: |_| Err(ABSENT),
    compile: |_, _| Err(ABSENT),
    sweep: |_| Ok(None),
    listing: |_| Err(ABSENT),
    times: &cost::CRANELIFT,
};

const ABSENT: EmitError = EmitError::Unavailable {
    emitter: EmitterKind::Cranelift,
    reason: "Kiln was built without its feature `cranelift`",
};

/// There is nothing to inspect.
pub fn listing(_: &Routine, _: Option<&str>) -> Result<Listing, EmitError> {
    Err(ABSENT)
}

#[cfg(test)]
mod tests {
    use crate::cpu::Cpu;
    use crate::emit::{EmitterKind, compile};
    use crate::vir::Builder;

    #[test]
    fn the_error_names_the_feature_and_auto_goes_on() {
        let routine = Builder::new().finish();
        let error = compile(&routine, EmitterKind::Cranelift, Cpu::host()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the cranelift emitter cannot be used: Kiln was built without its feature `cranelift` \
             (emitter `auto` takes what there is)"
        );
        let taken = compile(&routine, EmitterKind::Auto, Cpu::BASE).unwrap();
        // The next row, which tests add.
        assert_eq!(taken.emitter(), EmitterKind::Toy);
    }
}
