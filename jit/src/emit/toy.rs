//! A minimal second back end: it prints its routine, and the interpreter runs it.
//!
//! This file, its `mod` line and its row in `emitters.rs` are all that a new back end takes.

use super::{Emitter, EmitterKind, cost, interp};

pub(super) const TOY: Emitter = Emitter {
    bits: 64,
    available: |_| Ok(()),
    compile: |routine, _| Ok(interp::interpreted(routine, EmitterKind::Toy)),
    sweep: |_| Ok(None),
    listing: |routine| Ok(routine.to_string()),
    times: &cost::INTERP,
};

mod tests {
    use crate::cpu::Cpu;
    use crate::emit::{EmitterKind, Operand, assembly, compile};
    use crate::vir::{Builder, Routine, Storage};

    fn fma() -> Routine {
        let mut b = Builder::new();
        let x = b.input(Storage::F32);
        let y = b.fma(x, x, x);
        b.output(y, Storage::F32);
        b.finish()
    }

    #[test]
    fn a_row_is_a_back_end() {
        let kind: EmitterKind = "toy".parse().unwrap();
        assert_eq!((kind, kind.name()), (EmitterKind::Toy, "toy"));
        let unknown = "toyy".parse::<EmitterKind>().unwrap_err().to_string();
        assert!(unknown.contains(", toy or interp"), "{unknown}");

        let routine = fma();
        assert_eq!(assembly(&routine, kind, Cpu::host()).unwrap(), format!("; toy\n{routine}"));
        let code = compile(&routine, kind, Cpu::host()).unwrap();
        assert_eq!((code.emitter(), code.bits()), (kind, 64));
        assert!(code.nanoseconds() > 0.0);
        let (x, mut y) = (3f32.to_ne_bytes(), [0; 4]);
        code.apply(1, &[Operand::Array(&x)], &mut [&mut y]);
        assert_eq!(f32::from_ne_bytes(y), 12.0);
    }

    /// In row order: without FMA no other emitter makes code for this routine.
    #[test]
    fn auto_takes_the_first_row_that_can() {
        assert_eq!(
            compile(&fma(), EmitterKind::Auto, Cpu::BASE).unwrap().emitter(),
            EmitterKind::Toy
        );
    }
}
