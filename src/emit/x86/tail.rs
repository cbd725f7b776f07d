//! The loop of what is left: turns of a vector or less, loads and stores under a mask.
//!
//! A masked load or store touches nothing beyond its mask, and no page there can fault, so a
//! routine handles any number of elements where they lie. AVX-512 only: AVX2 has no masks for bytes
//! and words.
//!
//! Lanes beyond the mask compute on zeros. Nobody sees what, and no cold region runs for it.

use super::isa::{Class, Isa};
use super::machine::{Form, Function, Inst, Reg, Source};
use crate::vir::Program;
use iced_x86::Code;

/// `single`, whose turn is a vector, for turns of as many lanes as [`Source::Left`] says.
pub(super) fn masked(program: &Program, mut single: Function) -> Function {
    debug_assert_eq!(single.isa, Isa::Avx512);
    // Of 64-bit lanes among 32-bit ones, the second register has the upper half of the mask.
    let half = single.lanes as u8 / 2;
    let [whole, upper] = [(); 2].map(|()| single.reg(Class::Mask));
    let left = Inst::new(Code::VEX_Kmovw_kr_r32, whole, &[Source::Left]);
    let shift = Inst::new(Code::VEX_Kshiftrw_kr_kr_imm8, upper, &[Source::Reg(whole)]).imm(half);
    let mut insts = vec![left, shift];
    for mut inst in std::mem::take(&mut single.insts) {
        // Bytes into a vector, and bytes of an element.
        let accessed = match (inst.form, inst.sources[0]) {
            (Form::Store { output, at }, _) => {
                Some((at, program.outputs[output as usize].storage.size()))
            }
            (_, Source::Input { slot, at }) => Some((at, program.inputs[slot as usize].size())),
            _ => None,
        };
        if let Some((at, size)) = accessed {
            debug_assert!(
                inst.mask.is_none() && [0, size * usize::from(half)].contains(&(at as usize))
            );
            inst.mask = Some(if at == 0 { whole } else { upper });
            inst.zeroing = inst.def.is_some();
        }
        if inst.form == Form::ColdStart {
            test_under(whole, &mut inst, &mut single, &mut insts);
        }
        insts.push(inst);
    }
    if !insts[2..].iter().any(|inst| inst.mask == Some(upper)) {
        insts.remove(1);
    }
    single.insts = insts;
    single
}

/// Tests, at the start of a cold region, only lanes that the mask `whole` has.
fn test_under(whole: Reg, test: &mut Inst, function: &mut Function, before: &mut Vec<Inst>) {
    let [mut tested, upper, _] = test.sources;
    if tested != upper {
        let both = function.reg(Class::Mask);
        let join = Inst::new(Code::VEX_Kunpckbw_kr_kr_kr, both, &[upper, tested]);
        before.push(Inst { origin: test.origin, ..join });
        tested = Source::Reg(both);
    }
    test.code = if function.lanes == 8 { Code::VEX_Ktestb_kr_kr } else { Code::VEX_Ktestw_kr_kr };
    test.sources = [tested, Source::Reg(whole), Source::None];
}
