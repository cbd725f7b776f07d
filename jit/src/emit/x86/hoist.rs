//! Constants and row scalars that stay in registers.
//!
//! A row scalar is the same in each iteration, so it comes first: what is not loaded before the loop is
//! loaded again in each.
//!
//! A constant is read from memory by each instruction that uses it, and a core can read two vectors
//! a cycle while it computes two more; polynomials are mostly constants. So registers that the loop
//! does not need hold constants, loaded once before it, those read most often first.

use super::isa::Class;
use super::opcode::Opcode;
use super::pressure::{hot, pressure};
use super::program::{Carry, Form, Function, Inst, Reg, Source};
use std::collections::HashMap;

/// Registers that every loop keeps free: the pressure does not count cold regions, and an
/// instruction has up to four operands.
const LEAST: usize = 6;

/// Moves row scalars and constants out of the loop, as many as there are free registers for.
pub(super) fn hoist(function: &mut Function) {
    hoist_scalars(function);
    hoist_indices(function);
    hoist_constants(function);
}

/// Registers that the loop does not need.
pub(super) fn spare(function: &Function) -> usize {
    let registers = function.isa.registers(Class::Vector).0 as usize;
    let taken = function.prologue.len();
    registers.saturating_sub(pressure(function).max(LEAST) + taken)
}

/// Loads row scalars before the loop.
fn hoist_scalars(function: &mut Function) {
    let shared = share_scalars(function);
    let is_shared = |inst: &mut Inst| inst.scalar().is_some_and(|(_, def)| shared.contains(&def));
    function.prologue.extend(function.insts.extract_if(.., is_shared));
}

/// Loads indices of carries before the loop, if there are registers for all.
fn hoist_indices(function: &mut Function) {
    let is_index = |inst: &Inst| matches!(inst.sources[0], Source::Carry(Carry::Index { .. }));
    let count = function.insts.iter().filter(|inst| is_index(inst)).count();
    if count > 0 && count <= spare(function) {
        function.prologue.extend(function.insts.extract_if(.., |inst| is_index(inst)));
    }
}

/// Loads row scalars once if they were loaded several times: as many as there are free registers for. Returns
/// where these are.
pub(super) fn share_scalars(function: &mut Function) -> Vec<Reg> {
    let mut renamed: Vec<Reg> = (0..function.classes.len() as u32).map(Reg).collect();
    let mut loaded: Vec<(u32, Reg)> = Vec::new();
    let most = spare(function);
    function.insts.retain(|inst| {
        let Some((slot, def)) = inst.scalar() else { return true };
        match loaded.iter().find(|(known, _)| *known == slot) {
            Some(&(_, reg)) => {
                renamed[def.0 as usize] = reg;
                return false;
            }
            None if loaded.len() < most => loaded.push((slot, def)),
            None => {}
        }
        true
    });
    for inst in &mut function.insts {
        for source in &mut inst.sources {
            if let Source::Reg(reg) | Source::Gather { index: reg, .. } = source {
                *reg = renamed[reg.0 as usize];
            }
        }
    }
    loaded.into_iter().map(|(_, reg)| reg).collect()
}

/// Moves constants out of the loop, as many as there are free registers for.
pub(super) fn hoist_constants(function: &mut Function) {
    let chosen = most_read(function, spare(function));
    if chosen.is_empty() {
        return;
    }
    let mut resident: HashMap<i32, Reg> = HashMap::new();
    for constant in chosen {
        let def = function.reg(Class::Vector);
        let code = Opcode::Constant.code(function.isa, constant.bits);
        let from = Source::Constant { at: constant.at, bits: constant.bits };
        let load = Inst::new(code, def, &[from]).form(Form::Splat);
        function.prologue.push(Inst { origin: constant.origin, ..load });
        resident.insert(constant.at, def);
    }
    rewrite(function, &resident);
}

/// Replaces reads of the constants that are `resident` by reads of registers.
fn rewrite(function: &mut Function, resident: &HashMap<i32, Reg>) {
    let isa = function.isa;
    let mut renamed: Vec<Reg> = (0..function.classes.len() as u32).map(Reg).collect();
    function.insts.retain_mut(|inst| {
        if let (Form::Splat, Some(def), None) = (inst.form, inst.def, inst.mask)
            && let Some(&reg) = constant(inst.sources[0]).and_then(|(at, _)| resident.get(&at))
        {
            renamed[def.0 as usize] = reg;
            return false;
        }
        for source in &mut inst.sources {
            match source {
                Source::Reg(reg) | Source::Gather { index: reg, .. } => {
                    *reg = renamed[reg.0 as usize];
                }
                Source::Constant { at, bits } => {
                    let Some(&reg) = resident.get(at) else { continue };
                    if inst.form == Form::Splat {
                        (inst.form, inst.code) = (Form::Plain, Opcode::Move.code(isa, *bits));
                    }
                    *source = Source::Reg(reg);
                }
                Source::None
                | Source::Pool { .. }
                | Source::Input { .. }
                | Source::Stripes(_)
                | Source::Carry(_)
                | Source::Left => {}
            }
        }
        true
    });
}

/// A constant, and how often one iteration reads it.
struct Constant {
    at: i32,
    bits: u32,
    reads: u32,
    /// The instruction that first reads it.
    origin: u32,
}

/// The `count` constants that are read most often; ties go to the earlier one.
fn most_read(function: &Function, count: usize) -> Vec<Constant> {
    let mut constants: Vec<Constant> = Vec::new();
    let mut known: HashMap<i32, usize> = HashMap::new();
    for inst in hot(function) {
        for (at, bits) in inst.sources.into_iter().filter_map(constant) {
            let index = *known.entry(at).or_insert_with(|| {
                constants.push(Constant { at, bits, reads: 0, origin: inst.origin });
                constants.len() - 1
            });
            constants[index].reads += 1;
        }
    }
    constants.sort_by_key(|constant| std::cmp::Reverse(constant.reads));
    constants.truncate(count);
    constants
}

fn constant(source: Source) -> Option<(i32, u32)> {
    match source {
        Source::Constant { at, bits } => Some((at, bits)),
        _ => None,
    }
}
