//! Rows of as many elements as one iteration handles: each is an iteration of a loop over rows.
//!
//! Constants are loaded once for all rows, stripes of a fold begin as elements where that is what merging
//! makes of them, and there is no loop to end. On a Zen 4, rows of 64 in L2 take, in ns an element: softmax
//! .33 (.41 without), layer norm .29 (.36), RMS norm .16 (.18).

use super::fold;
use super::hoist;
use super::isa::Isa;
use super::program::{Form, Function, Inst, Reg, Source, Stripes};
use super::select::{Constants, select};
use crate::vir::{Merge, Routine, STRIPE_BYTES};

/// The program for a row that is one iteration, if that is worth its code: such rows are short, and short
/// rows are those that have numbers of their own, or leave some. `main` is what the loop is made of.
pub(super) fn row(
    routine: &Routine,
    isa: Isa,
    main: &Function,
    constants: &mut Constants,
) -> Option<Function> {
    let folds = 0..routine.stage.folds.len() as u32;
    let has_scalars = (0..routine.inputs.len()).any(|slot| routine.is_scalar(slot));
    let mut function = match folds.is_empty() {
        false => main.clone(),
        true if has_scalars => select(routine, isa, STRIPE_BYTES / isa.bytes(), constants),
        true => return None,
    };
    let fills = |fold: u32| function.lanes * bytes(routine, fold) == STRIPE_BYTES;
    if !folds.clone().all(fills) {
        return None;
    }
    let stripes = begin(routine, &mut function, constants);
    let finish = fold::finish_registers(routine, &mut function, &stripes, constants);
    function.insts.extend(finish);
    hoist::share_scalars(&mut function);
    hoist::hoist_constants(&mut function);
    Some(function)
}

fn bytes(routine: &Routine, fold: u32) -> usize {
    routine.fold_type(fold).bits() as usize / 8
}

/// Makes stripes values that begin and end in an iteration. Returns where each vector of them ends.
fn begin(
    routine: &Routine,
    function: &mut Function,
    constants: &mut Constants,
) -> Vec<(Stripes, Reg)> {
    let mut ends = Vec::new();
    let mut insts: Vec<Inst> = Vec::with_capacity(function.insts.len());
    for inst in std::mem::take(&mut function.insts) {
        match (inst.sources[0], inst.form) {
            (Source::Stripes(of), _) if !keeps_elements(routine, of.fold) => {
                insts.push(fold::begin(routine, function.isa, inst, constants));
            }
            (Source::Stripes(_), _) => {}
            (Source::Reg(merged), Form::Keep(of)) if keeps_elements(routine, of.fold) => {
                let merge = insts.pop().expect("stripes are merged before they are kept");
                debug_assert_eq!(merge.def, Some(merged));
                let Source::Reg(element) = merge.sources[0] else {
                    unreachable!("an element is merged with stripes");
                };
                ends.push((of, element));
            }
            (Source::Reg(merged), Form::Keep(of)) => ends.push((of, merged)),
            _ => insts.push(inst),
        }
    }
    function.insts = insts;
    ends
}

/// Whether merging an element with the identity leaves the element, and is one instruction.
fn keeps_elements(routine: &Routine, fold: u32) -> bool {
    match routine.stage.folds[fold as usize].merge {
        Merge::Add | Merge::Mul | Merge::And | Merge::Or => true,
        Merge::Max | Merge::Min | Merge::Sup => false,
    }
}
