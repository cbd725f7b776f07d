//! Code of sweeps: the steps of a row, one after the other, in one loop over rows.

use super::allocate::{Allocation, allocate};
use super::encode::{self, Bound, Joined, Moved, Once, Operands, Part, Step};
use super::isa::Isa;
use super::opcode::{self, Opcode};
use super::program::{Form, Function};
use super::select::{Constants, select};
use super::{Callable, Code, EmitError, EmitterKind, Generated, Load, isa_of, kind, loops};
use crate::vir::{self, Inst, Place, Routine, Sweep};

/// Compiles for this machine, on which `isa` is available. None if steps differ in how many elements a
/// vector has, if the last elements of a row cannot be masked, or if outputs are to be
/// [realigned](super::realign) where that does not pay.
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

pub(super) fn generate(sweep: &Sweep, isa: Isa) -> Result<Option<Generated>, EmitError> {
    if sweep.is_realigned() && isa == Isa::Avx2 {
        return Ok(None);
    }
    let (sweep, copied) = &with_numbers(sweep);
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
                let join = join.as_ref().map(|join| Joined {
                    block: join.block,
                    bound: Bound::of_part(&join.part, sweep, true),
                    once: once(&join.part, isa, &mut constants),
                });
                Part::Each { loops: Box::new(loops), join }
            }
        };
        steps.push(Step { bound, part });
    }
    let Some(lanes) = lanes else { return Ok(None) };
    let results = sweep.inputs.len() + sweep.outputs.len();
    let left =
        sweep.left.iter().zip(sweep.left()).enumerate().map(|(index, (&number, storage))| Moved {
            cursor: results + index,
            number: number as usize,
            size: storage.size(),
        });
    let operands = Operands {
        cursors: results + sweep.left.len() + sweep.kept.len(),
        inputs: sweep.inputs.len(),
        kept: sweep.kept.len(),
        numbers: sweep.numbers.len(),
        copied: copied.clone(),
        left: left.collect(),
        has_tiles: true,
    };
    let encoded = encode::encode(&steps, operands, isa)
        .map_err(|error| EmitError::Codegen(format!("{error}\n{sweep:?}")))?;
    // Nothing is repeated in memory.
    let copies = lanes;
    let pool = constants.finish();
    Ok(Some(Generated { encoded, pool, lanes, copies, takes_any_count: true }))
}

/// The sweep in which all that is done once reads numbers: row scalars are copied to such first.
fn with_numbers(sweep: &Sweep) -> (Sweep, Vec<Moved>) {
    let mut sweep = sweep.clone();
    let mut copied: Vec<Moved> = Vec::new();
    for step in &mut sweep.steps {
        let vir::Step::Once(part) = step else { continue };
        for place in &mut part.inputs {
            let Place::Input(input) = *place else { continue };
            let storage = sweep.inputs[input as usize];
            let cursor = input as usize;
            let known = copied.iter().find(|known| known.cursor == cursor).copied();
            let number = known.map_or(sweep.numbers.len(), |known| known.number);
            if known.is_none() {
                sweep.numbers.push(storage);
                copied.push(Moved { cursor, number, size: storage.size() });
            }
            *place = Place::Number(number as u32);
        }
    }
    (sweep, copied)
}

/// A part that runs once a row.
fn once(part: &vir::Part, isa: Isa, constants: &mut Constants) -> Once {
    Once {
        row: once_for_one(&part.routine, isa, constants),
        rows: once_for_many(&part.routine, isa, constants),
    }
}

/// What runs once, for as many rows as a vector has lanes: what is a number of each row is an element.
fn once_for_many(routine: &Routine, isa: Isa, constants: &mut Constants) -> Allocation {
    let mut routine = routine.clone();
    for inst in &mut routine.stage.body.insts {
        if let Inst::Scalar { slot } = *inst {
            *inst = Inst::Load { slot };
        }
    }
    constants.turn_to(&routine);
    allocate(&select(&routine, isa, 1, constants))
}

/// What runs once, for one row: an iteration of a loop over vectors, of which the first lane counts.
fn once_for_one(routine: &Routine, isa: Isa, constants: &mut Constants) -> Allocation {
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
    remove_unread(&mut function);
    halve(&mut function);
    allocate(&function)
}

/// Removes what only made other lanes than the first.
fn remove_unread(function: &mut Function) {
    let mut is_read = vec![false; function.classes.len()];
    let mut kept = Vec::with_capacity(function.insts.len());
    for inst in std::mem::take(&mut function.insts).into_iter().rev() {
        if inst.def.is_none_or(|def| is_read[def.0 as usize]) {
            inst.reads().for_each(|reg| is_read[reg.0 as usize] = true);
            kept.push(inst);
        }
    }
    kept.reverse();
    function.insts = kept;
}

/// Lets instructions of AVX-512 compute on half a vector where they can: what reads a number that was stored just
/// before has it a little earlier. A softmax of rows of 1024 takes 2 % less time on a Zen 4.
fn halve(function: &mut Function) {
    for inst in &mut function.insts {
        if let Some(half) = opcode::half(inst.code) {
            inst.code = half;
            inst.halved = inst.halved.map(|times| times + 1);
        }
    }
}
