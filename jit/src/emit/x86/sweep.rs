//! Code of sweeps: the steps of a row, one after the other, in one loop over rows.

use super::encode::{self, Bound, Operands, Part, Step};
use super::isa::Isa;
use super::opcode::Opcode;
use super::program::Form;
use super::select::{Constants, select};
use super::{
    Callable, Code, EmitError, EmitterKind, Generated, Load, allocate, isa_of, kind, loops,
};
use crate::vir::{self, Sweep};

/// Compiles for this machine, on which `isa` is available. None if steps differ in how many elements a
/// vector has, or if the last elements of a row cannot be masked.
pub(super) fn compile(sweep: &Sweep, isa: Isa) -> Result<Option<Code>, EmitError> {
    code(sweep, isa, Generated::native)
}

/// Compiles for any machine; what `load` makes executes the code.
///
/// # Panics
///
/// If `kind` is not one of these emitters.
pub(in crate::emit) fn compile_for(
    sweep: &Sweep,
    kind: EmitterKind,
    load: Load,
) -> Result<Option<Code>, EmitError> {
    code(sweep, isa_of(kind), |made| Ok(made.emulated(load)))
}

fn code(
    sweep: &Sweep,
    isa: Isa,
    callable: impl FnOnce(&mut Generated) -> Result<Callable, EmitError>,
) -> Result<Option<Code>, EmitError> {
    let Some(mut made) = generate(sweep, isa)? else { return Ok(None) };
    let callable = callable(&mut made)?;
    Ok(Some(Code::of_sweep(sweep, kind(isa), callable, made.vectors())))
}

fn generate(sweep: &Sweep, isa: Isa) -> Result<Option<Generated>, EmitError> {
    let Some(first) = sweep.steps.first() else { return Ok(None) };
    let mut constants = Constants::new(&first.part().routine, isa);
    let (mut steps, mut lanes) = (Vec::new(), None);
    for step in &sweep.steps {
        let bound = Bound::of_part(step.part(), sweep, matches!(step, vir::Step::Once(_)));
        let part = match step {
            vir::Step::Once(part) => Part::Once(once(part, isa, &mut constants)),
            vir::Step::Each { part, join } => {
                constants.turn_to(&part.routine);
                let loops = loops(&part.routine, isa, &mut constants);
                if loops.tail.is_none() || lanes.is_some_and(|lanes| lanes != loops.vector()) {
                    return Ok(None);
                }
                lanes = Some(loops.vector());
                let join = join.as_ref().map(|join| {
                    let bound = Bound::of_part(&join.part, sweep, true);
                    (join.block, bound, once(&join.part, isa, &mut constants))
                });
                Part::Each { loops: Box::new(loops), join }
            }
        };
        steps.push(Step { bound, part });
    }
    let Some(lanes) = lanes else { return Ok(None) };
    let cursors = sweep.inputs.len() + sweep.outputs.len() + sweep.kept.len();
    let (kept, numbers) = (sweep.kept.len(), sweep.numbers.len());
    let operands = Operands { cursors, kept, numbers, has_tiles: true };
    let encoded = encode::encode(&steps, operands, isa)
        .map_err(|error| EmitError::Codegen(format!("{error}\n{sweep:?}")))?;
    // Nothing is repeated in memory.
    let copies = lanes;
    let pool = constants.finish();
    Ok(Some(Generated { encoded, pool, lanes, copies, takes_any_count: true }))
}

/// A part that runs once: an iteration of a loop over vectors, of which the first lane counts.
fn once(part: &vir::Part, isa: Isa, constants: &mut Constants) -> allocate::Allocation {
    let routine = &part.routine;
    constants.turn_to(routine);
    let mut function = select(routine, isa, 1, constants);
    let narrow = if isa == Isa::Avx512 { 2 } else { 1 };
    function.insts.retain_mut(|inst| {
        let Form::Store { output, at } = inst.form else { return true };
        let bits = routine.outputs[output as usize].size() as u32 * 8;
        inst.code = Opcode::StoreLane.code(isa, bits);
        inst.halved = [0, narrow, 0, 0];
        at == 0
    });
    allocate::allocate(&function)
}
