//! Replaces the x86 emitters in builds without them: they keep their names and say what they need.

use super::cost;
use super::emitters::{Emitter, EmitterKind};
use super::error::EmitError;

pub(super) const AVX512: Emitter = Emitter {
    bits: 512,
    available: |_| absent(EmitterKind::Avx512),
    compile: |_, _| absent(EmitterKind::Avx512),
    sweep: |_| absent(EmitterKind::Avx512),
    listing: |_| absent(EmitterKind::Avx512),
    times: &cost::AVX512,
};

pub(super) const AVX2: Emitter = Emitter {
    bits: 256,
    available: |_| absent(EmitterKind::Avx2),
    compile: |_, _| absent(EmitterKind::Avx2),
    sweep: |_| absent(EmitterKind::Avx2),
    listing: |_| absent(EmitterKind::Avx2),
    times: &cost::AVX2,
};

/// No code is made that could be listed.
pub(super) fn disassembled(_: &[u8], _: &[(u32, u32)], _: impl Fn(u32) -> String) -> String {
    String::new()
}

fn absent<T>(emitter: EmitterKind) -> Result<T, EmitError> {
    Err(EmitError::Unavailable { emitter, reason: "Kiln was built without its feature `x86`" })
}

#[cfg(test)]
mod tests {
    use crate::cpu::Cpu;
    use crate::emit::{EmitterKind, compile};
    use crate::vir::Builder;

    #[test]
    fn the_error_names_the_feature_and_auto_goes_on() {
        let routine = Builder::new().finish();
        for kind in [EmitterKind::Avx512, EmitterKind::Avx2] {
            let error = compile(&routine, kind, Cpu::host()).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "the {kind} emitter cannot be used: Kiln was built without its feature `x86` \
                     (emitter `auto` takes what there is)"
                )
            );
        }
        let taken = compile(&routine, EmitterKind::Auto, Cpu::host()).unwrap().emitter();
        // Tests add a row before the interpreter's.
        assert!(matches!(taken, EmitterKind::Cranelift | EmitterKind::Toy), "{taken}");
    }
}
