//! How many registers a loop needs.

use super::isa::Class;
use super::program::{Form, Function, Inst, Reg, Source};
use smallvec::SmallVec;

/// The instructions outside of cold regions.
pub(super) fn hot(function: &Function) -> impl Iterator<Item = &Inst> {
    let mut cold = false;
    function.insts.iter().filter(move |inst| {
        let was_cold = cold;
        cold = match inst.form {
            Form::ColdStart => true,
            Form::ColdEnd => false,
            _ => cold,
        };
        !was_cold
    })
}

/// The largest number of vector registers that the loop needs at once, besides those that are
/// defined before it.
pub(super) fn pressure(function: &Function) -> usize {
    let mut last_use = vec![0; function.classes.len()];
    let mut before = last_use.clone();
    for (at, inst) in function.insts.iter().enumerate() {
        for reg in inst.reads().map(|reg| reg.0 as usize) {
            if last_use[reg] != at {
                before[reg] = std::mem::replace(&mut last_use[reg], at);
            }
        }
    }
    // A value that can be loaded again is loaded for its last use.
    let first_store = function.first_store() as usize;
    for inst in &function.insts {
        if let (true, Some(def)) = (function.reloads(inst), inst.def.map(|def| def.0 as usize))
            && before[def] != 0
            && last_use[def] < first_store
        {
            last_use[def] = before[def];
        }
    }
    // What is defined before the loop has a register of its own.
    let mut counts: Vec<bool> =
        function.classes.iter().map(|&class| class == Class::Vector).collect();
    for def in function.prologue.iter().filter_map(|inst| inst.def) {
        counts[def.0 as usize] = false;
    }
    let is_vector = |reg: &Reg| counts[reg.0 as usize];
    let (mut live, mut most, mut cold) = (0, 0, false);
    for (at, inst) in function.insts.iter().enumerate() {
        let dies = |reg: &Reg| last_use[reg.0 as usize] == at;
        let mut dying: SmallVec<[Reg; 6]> =
            inst.reads().filter(|reg| is_vector(reg) && dies(reg)).collect();
        dying.sort_unstable();
        dying.dedup();
        let reused = match inst.form {
            Form::Apart => false,
            Form::Tied => matches!(inst.sources[0], Source::Reg(reg) if dying.contains(&reg)),
            _ => !dying.is_empty(),
        };
        let defines = inst.def.is_some_and(|def| is_vector(&def));
        if !cold {
            most = most.max(live + usize::from(defines && !reused));
        }
        live = live + usize::from(defines) - dying.len();
        // A result that nothing reads.
        live -= usize::from(defines && inst.def.is_some_and(|def| last_use[def.0 as usize] == 0));
        cold = match inst.form {
            Form::ColdStart => true,
            Form::ColdEnd => false,
            _ => cold,
        };
    }
    most
}
