//! A sweep that finishes rows late: what its last step does with rows, the heaviest of the others does, together with
//! its own work on the next ones.
//!
//! The last step of most rows moves memory and computes little; another computes much and moves little. One after the
//! other, each waits for what it has too little of.
//!
//! ```text
//! softmax   each m = max x
//!           each e = exp(x - m), and e / s of the rows before
//!           once s = the sum of e
//! ```

use super::sweep::RowSweep;
use super::turns::take_turns;
use kiln_jit::vir::{Builder, Part, Place, Routine, Step, Storage, Sweep, Value};

/// A sweep that finishes the rows before those that it begins.
#[derive(Clone, Debug)]
pub(crate) struct Late<K = Sweep> {
    /// What is done. After the inputs of the sweep it reads what is [earlier](Earlier), and after what that leaves
    /// it leaves numbers to be read so.
    pub(crate) kernel: K,
    /// The same, with outputs that are [realigned](Sweep::realigned).
    pub(crate) realigned: Option<K>,
    /// What it reads of the rows before.
    pub(crate) earlier: Vec<Earlier>,
    /// Storage of each number of rows that is left to be read so.
    pub(crate) numbers: Vec<Storage>,
    /// Instructions of the step that finishes rows, of its own.
    pub(crate) work: usize,
}

/// What is read of the rows before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// An input of the sweep.
    Input(usize),
    /// Numbers that it leaves for this.
    Number(usize),
}

/// The sweep that does the same late, if it can: if the last step folds nothing and reads no result.
pub(super) fn late(sweep: &Sweep) -> Option<Late> {
    let (Step::Each { part: last, join: None }, before) = sweep.steps.split_last()? else {
        return None;
    };
    let can_move = |part: &Part| part.routine.body().cold.is_empty();
    let stores_results = last.results.iter().all(|place| matches!(place, Place::Output(_)));
    if !can_move(last) || !last.folds().is_empty() || !stores_results {
        return None;
    }
    let weight = |step: &Step| match step {
        Step::Each { part, .. } if can_move(part) => part.routine.body().insts.len(),
        Step::Each { .. } | Step::Once(_) => 0,
    };
    let heaviest = (0..before.len()).max_by_key(|&at| weight(&before[at]))?;
    let work = weight(&before[heaviest]);
    if work == 0 {
        return None;
    }
    let mut kernel = sweep.clone();
    kernel.steps.pop();
    let Step::Each { part, .. } = &mut kernel.steps[heaviest] else { return None };
    let (mut earlier, mut left) = (Vec::new(), Vec::new());
    let mut inputs = Vec::new();
    for (&place, &storage) in last.inputs.iter().zip(&last.routine.inputs) {
        let from = match place {
            Place::Input(input) => Earlier::Input(input as usize),
            Place::Number(number) => {
                let known = left.iter().position(|&known| known == number);
                Earlier::Number(known.unwrap_or_else(|| {
                    left.push(number);
                    left.len() - 1
                }))
            }
            // Rows that are kept still hold what was written before, if that is written now.
            Place::Kept(_) if part.results.contains(&place) => {
                inputs.push(place);
                continue;
            }
            Place::Kept(_) | Place::Output(_) => return None,
        };
        inputs.push(Place::Input(kernel.inputs.len() as u32));
        kernel.inputs.push(storage);
        earlier.push(from);
    }
    *part = beside(part, last, inputs);
    kernel.left.extend(&left);
    let numbers = left.iter().map(|&number| sweep.numbers[number as usize]).collect();
    take_turns(&mut kernel);
    debug_assert_eq!(kernel.verify(), Ok(()));
    let realigned = kernel.realigned();
    Some(Late { kernel, realigned, earlier, numbers, work })
}

/// Both parts as one; the inputs of the other are at these places.
fn beside(part: &Part, other: &Part, places: Vec<Place>) -> Part {
    let mut b = Builder::new();
    let [values, others] = [part, other].map(|part| {
        let inputs = inputs(&mut b, &part.routine);
        b.inline_all(&part.routine, &inputs)
    });
    for (part, values) in [(part, &values), (other, &others)] {
        for store in &part.routine.stage.stores {
            let storage = part.routine.outputs[store.output as usize];
            b.output(values[store.value.index()], storage);
        }
    }
    for fold in &part.routine.stage.folds {
        b.fold(values[fold.value.index()], fold.merge);
    }
    let mut routine = b.finish();
    routine.ahead.clone_from(&part.routine.ahead);
    let outputs = |part: &Part| {
        let stores = part.routine.stage.stores.iter();
        stores.map(|store| part.results[store.output as usize]).collect::<Vec<_>>()
    };
    Part {
        routine,
        inputs: part.inputs.iter().copied().chain(places).collect(),
        results: [outputs(part), outputs(other), part.folds().to_vec()].concat(),
    }
}

/// The inputs of a routine as the next ones.
fn inputs(b: &mut Builder, routine: &Routine) -> Vec<Value> {
    let declare = |(slot, &storage): (usize, &Storage)| match routine.is_scalar(slot) {
        true => b.scalar(storage),
        false => b.input(storage),
    };
    routine.inputs.iter().enumerate().map(declare).collect()
}

impl RowSweep {
    /// The same with a kernel of another kind, if there is one, and with others in place of what not every call runs.
    pub(crate) fn try_map<K, L, E>(
        self,
        change: impl FnOnce(Sweep) -> Result<Option<K>, E>,
        defer: impl Fn(Sweep) -> L,
    ) -> Result<Option<RowSweep<K, L>>, E> {
        let RowSweep { kernel, inputs, outputs, left, realigned, late } = self;
        let Some(kernel) = change(kernel)? else { return Ok(None) };
        let realigned = realigned.map(&defer);
        let late = late.map(|Late { kernel, realigned, earlier, numbers, work }| Late {
            kernel: defer(kernel),
            realigned: realigned.map(&defer),
            earlier,
            numbers,
            work,
        });
        Ok(Some(RowSweep { kernel, inputs, outputs, left, realigned, late }))
    }
}

#[cfg(test)]
mod tests {
    use super::Earlier;
    use crate::lower::{Tier, rows::rows};

    /// How many steps finish rows late, and what they read of the rows before beside what these keep.
    fn late(text: &str) -> Option<(usize, Vec<Earlier>)> {
        let body = kiln_ir::parse(text).unwrap();
        let late = rows(&body, Tier::Default).unwrap().sweep?.late?;
        assert_eq!(late.kernel.verify(), Ok(()));
        Some((late.kernel.steps.len(), late.earlier))
    }

    #[test]
    fn the_last_step_is_part_of_another() {
        assert_eq!(late("|x: f32[n]| softmax[-1](x)"), Some((4, vec![Earlier::Number(0)])));
        let (steps, earlier) = late("|x: f32[n], w: f32[n]| layer_norm[-1](x) * w").unwrap();
        assert_eq!(steps, 5);
        // The elements, the weights, and numbers of the row.
        assert_eq!(earlier.iter().filter(|read| matches!(read, Earlier::Input(_))).count(), 2);
        assert!(earlier.iter().any(|read| matches!(read, Earlier::Number(_))));
        // Both outputs are written by it.
        assert!(late("|x: f32[n]| let m = mean[-1](x); (x - m, exp(x - m))").is_some());
    }

    #[test]
    fn what_ends_in_numbers_ends_at_once() {
        assert_eq!(late("|x: f32[n]| logsumexp[-1](x)"), None);
        assert_eq!(late("|x: f32[n]| (mean[-1](x), var[-1](x))"), None);
    }
}
