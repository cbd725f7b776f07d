//! Stripes in registers.
//!
//! A loop that handles as many elements at a time as a fold has stripes always merges into the same
//! ones. If there are registers for them, they are loaded before the loop and stored after it. In
//! memory a chain of merges also waits for each store to be loaded again.

use super::fold;
use super::isa::Class;
use super::opcode::Opcode;
use super::pressure::{hot, pressure};
use super::program::{Form, Function, Inst, Reg, Source, Stripes};
use super::select::Constants;
use crate::vir::{Routine, STRIPE_BYTES};

/// A body of up to this many instructions is repeated as a whole instead of being unrolled
/// instruction by instruction, which takes registers from stripes.
const SHORT: usize = 12;

/// How many iterations of `single` have as many elements as the fold of the widest lanes has
/// stripes, if there are folds.
pub(super) fn vectors(routine: &Routine, single: &Function) -> Option<usize> {
    let bits = |fold: usize| routine.fold_type(fold as u32).bits() as usize;
    let widest = (0..routine.stage.folds.len()).map(bits).max()?;
    Some(STRIPE_BYTES * 8 / (single.lanes * widest))
}

/// Whether so many iterations fit into the processor's window that they need not be mixed. Those of
/// later elements may not read inputs once outputs were written.
pub(super) fn is_short(single: &Function) -> bool {
    let stores = single.first_store() as usize != single.insts.len();
    hot(single).count() <= SHORT && hot(single).count() == single.insts.len() && !stores
}

/// Iterations of `single`, one after the other, as one.
pub(super) fn repeat(routine: &Routine, single: &Function, times: usize) -> Function {
    let mut all = Function::new(single.isa, single.lanes * times);
    for time in 0..times {
        let first = all.classes.len() as u32;
        all.classes.extend(&single.classes);
        let elements = time * single.lanes;
        let rename = |reg: Reg| Reg(reg.0 + first);
        let later = |at: i32, size: usize| at + (elements * size) as i32;
        let lanes = all.lanes;
        let stripes = |Stripes { fold, at, .. }: Stripes| {
            let size = routine.fold_type(fold).bits() as usize / 8;
            let moves = lanes * size < STRIPE_BYTES;
            Stripes { fold, at: later(at, size), moves }
        };
        all.insts.extend(single.insts.iter().map(|inst| {
            let sources = inst.sources.map(|source| match source {
                Source::Reg(reg) => Source::Reg(rename(reg)),
                Source::Gather { index, at, scale } => {
                    Source::Gather { index: rename(index), at, scale }
                }
                same if inst.scalar().is_some() => same,
                Source::Input { slot, at } => {
                    let size = routine.inputs[slot as usize].size();
                    Source::Input { slot, at: later(at, size) }
                }
                Source::Stripes(of) => Source::Stripes(stripes(of)),
                same => same,
            });
            let form = match inst.form {
                Form::Keep(of) => Form::Keep(stripes(of)),
                same => same,
            };
            let (def, mask) = (inst.def.map(rename), inst.mask.map(rename));
            Inst { sources, form, def, mask, ..*inst }
        }));
    }
    all
}

/// Gives the stripes of as many folds registers as there are registers for. Where that is all of them,
/// a row that the loop handles whole needs no memory for them: they begin as constants, and what is left
/// of them is made of the registers. (On a Zen 4, which takes two cycles to store 64 bytes, this is
/// what short rows wait for.)
pub(super) fn pin(routine: &Routine, function: &mut Function, constants: &mut Constants) {
    let mut pinned = Vec::new();
    let registers = function.isa.registers(Class::Vector).0 as usize;
    let each = STRIPE_BYTES / function.isa.bytes();
    for fold in 0..routine.stage.folds.len() as u32 {
        let bytes = routine.fold_type(fold).bits() as usize / 8;
        let needed = pressure(function) + function.prologue.len() + each;
        if function.lanes * bytes == STRIPE_BYTES && needed <= registers {
            pin_fold(fold, bytes as u32 * 8, function, &mut pinned);
        }
    }
    if pinned.is_empty() || pinned.len() < each * routine.stage.folds.len() {
        return;
    }
    for inst in &mut function.prologue {
        if matches!(inst.sources[0], Source::Stripes(_)) {
            *inst = fold::begin(routine, function.isa, *inst, constants);
        }
    }
    function.whole = fold::finish_registers(routine, function, &pinned, constants);
}

fn pin_fold(fold: u32, bits: u32, function: &mut Function, pinned: &mut Vec<(Stripes, Reg)>) {
    let [load, store] = [Opcode::Load, Opcode::Store].map(|op| op.code(function.isa, bits));
    let is_its = |of: &Stripes| of.fold == fold;
    let mut insts: Vec<Inst> = Vec::with_capacity(function.insts.len());
    // The register that vectors of stripes are in, with the vector loaded last.
    let mut current = Reg(0);
    for inst in std::mem::take(&mut function.insts) {
        match (inst.sources[0], inst.form) {
            (Source::Stripes(of), _) if is_its(&of) => {
                current = inst.def.expect("a load has a result");
                function.prologue.push(inst);
                pinned.push((of, current));
                debug_assert_eq!(inst.code, load);
            }
            (Source::Reg(after), Form::Keep(of)) if is_its(&of) => {
                let merge = insts.last_mut().expect("stripes are merged before they are kept");
                debug_assert_eq!(merge.def, Some(after));
                merge.def = Some(current);
                let keep = Inst::new(store, None, &[Source::Reg(current)]).form(inst.form);
                function.epilogue.push(Inst { origin: inst.origin, ..keep });
            }
            _ => insts.push(inst),
        }
    }
    function.insts = insts;
}
