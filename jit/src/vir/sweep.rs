//! Sweeps: several routines on a row, before the next row has its turn.
//!
//! Softmax reads a row three times. Routine by routine over all rows, that is three times from memory;
//! row by row, it is once from memory and twice from a cache. A [`Sweep`] has the loop over rows inside
//! its code, and what a row leaves for its next step, its [numbers](Place::Number), stays with the code.
//!
//! A step is a [`Part`]: a routine, and where each of its operands is. `Each` runs on all elements of
//! the row. Its folds leave numbers; if they leave one for each block of elements, `join` runs after each
//! block. `Once` has numbers or [row scalars](Inst::Scalar) for operands, one of each row; code may do it for several
//! rows at a time. What a number is after the last step may be a result of the row.
//!
//! As many rows are kept as are worked on at a time. A part may read a row that it keeps: it is the one that was
//! kept in the same place before, so many rows earlier, or what the caller left there.

use super::{Inst, Routine, Storage, verify};

/// What a call does with each row of its operands, step by step. See the module documentation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Sweep {
    /// Storage of each input.
    pub inputs: Vec<Storage>,
    /// Storage of each output.
    pub outputs: Vec<Storage>,
    /// Storage of each row of elements that a step writes and a later one reads.
    pub kept: Vec<Storage>,
    /// Storage of each number of a row: as wide as its lane.
    pub numbers: Vec<Storage>,
    /// Numbers that are results too: operands of one element for each row, after the outputs.
    pub left: Vec<u32>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// A step of a [`Sweep`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// On each element of the row.
    Each {
        /// What is done.
        part: Part,
        /// What follows each block of elements. If nothing does, the row is one block.
        join: Option<Box<Join>>,
    },
    /// Once for the row.
    Once(Part),
}

/// What follows each block of elements of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Join {
    /// Elements of a block: a power of two. The last one may have fewer.
    pub block: usize,
    /// What is done, once.
    pub part: Part,
}

/// A routine, and where its operands are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// What is computed.
    pub routine: Routine,
    /// Where each input is.
    pub inputs: Vec<Place>,
    /// Where each output is, and then what each fold leaves.
    pub results: Vec<Place>,
}

/// Where an operand of a [`Part`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Index into [`Sweep::inputs`].
    Input(u32),
    /// Index into [`Sweep::outputs`].
    Output(u32),
    /// Index into [`Sweep::kept`].
    Kept(u32),
    /// Index into [`Sweep::numbers`].
    Number(u32),
}

impl Step {
    /// What is done.
    pub fn part(&self) -> &Part {
        match self {
            Step::Each { part, .. } | Step::Once(part) => part,
        }
    }

    /// What is done, and what follows each block.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        let join = match self {
            Step::Each { join: Some(join), .. } => Some(&join.part),
            _ => None,
        };
        std::iter::once(self.part()).chain(join)
    }
}

impl Part {
    /// Each input with its place.
    fn inputs(&self) -> impl Iterator<Item = (usize, Place)> {
        self.inputs.iter().copied().enumerate()
    }

    /// Where what folds leave is.
    pub fn folds(&self) -> &[Place] {
        &self.results[self.routine.outputs.len()..]
    }
}

impl Sweep {
    /// Whether an input has one element for each row.
    pub fn is_scalar(&self, input: usize) -> bool {
        let place = Place::Input(input as u32);
        let reads = |part: &Part| {
            part.inputs().any(|(slot, at)| at == place && part.routine.is_scalar(slot))
        };
        self.steps.iter().flat_map(Step::parts).any(reads)
    }

    /// The same, with outputs that are [realigned](Routine::realigned), if all are as wide as the narrowest lanes of
    /// what computes them.
    pub fn realigned(&self) -> Option<Sweep> {
        let mut sweep = self.clone();
        for step in &mut sweep.steps {
            let (Step::Each { part, .. } | Step::Once(part)) = step;
            let Part { routine, results, .. } = part;
            let is_output = |&output: &u32| matches!(results[output as usize], Place::Output(_));
            let outputs = (0..routine.outputs.len() as u32).filter(is_output);
            routine.realigned = outputs.collect();
            let lanes = routine.body().types.iter().map(|ty| ty.bits()).min();
            let fits = |output: &u32| {
                let storage = routine.outputs[*output as usize];
                storage.fills_lane() && Some(storage.lane().bits()) == lanes
            };
            if !routine.realigned.iter().all(fits) {
                return None;
            }
        }
        sweep.is_realigned().then_some(sweep)
    }

    /// Whether outputs are realigned.
    pub fn is_realigned(&self) -> bool {
        self.steps.iter().any(|step| !step.part().routine.realigned.is_empty())
    }

    /// Checks every invariant.
    pub fn verify(&self) -> Result<(), String> {
        let mut written = Written {
            kept: vec![false; self.kept.len()],
            numbers: vec![false; self.numbers.len()],
        };
        for (index, step) in self.steps.iter().enumerate() {
            let is_once = matches!(step, Step::Once(_));
            for (at, part) in step.parts().enumerate() {
                self.verify_part(part, is_once || at > 0, &mut written)
                    .map_err(|fault| format!("step {index}: {fault}"))?;
            }
            if let Step::Each { join: Some(join), .. } = step
                && !join.block.is_power_of_two()
            {
                return Err(format!("step {index}: blocks of {}", join.block));
            }
        }
        let is_stored = |output: &u32| {
            let parts = self.steps.iter().flat_map(Step::parts);
            parts.flat_map(|part| &part.results).any(|place| *place == Place::Output(*output))
        };
        if let Some(output) = (0..self.outputs.len() as u32).find(|output| !is_stored(output)) {
            return Err(format!("output {output} is stored nowhere"));
        }
        let is_written = |&&number: &&u32| written.numbers.get(number as usize) == Some(&true);
        match self.left.iter().find(|number| !is_written(number)) {
            Some(number) => Err(format!("number {number} is left, and computed nowhere")),
            None => Ok(()),
        }
    }

    /// Storage of each number that is a result.
    pub fn left(&self) -> impl Iterator<Item = Storage> {
        self.left.iter().map(|&number| self.numbers[number as usize])
    }

    fn verify_part(&self, part: &Part, is_once: bool, written: &mut Written) -> Result<(), String> {
        let routine = &part.routine;
        verify(routine)?;
        let results = routine.outputs.iter().copied().chain(routine.folds());
        let results: Vec<Storage> = results.collect();
        if part.inputs.len() != routine.inputs.len() || part.results.len() != results.len() {
            return Err("one place for each operand".into());
        }
        for (slot, place) in part.inputs() {
            let is_scalar = routine.is_scalar(slot);
            let fits = match place {
                Place::Input(input) => self.is_scalar(input as usize) == is_scalar,
                Place::Output(_) => false,
                Place::Kept(kept) => {
                    let is_written = written.kept.get(kept as usize) == Some(&true);
                    !is_scalar && (is_written || part.results.contains(&place))
                }
                Place::Number(number) => {
                    is_scalar && written.numbers.get(number as usize) == Some(&true)
                }
            };
            if !fits || self.storage(place) != Some(routine.inputs[slot]) {
                return Err(format!("input {slot} cannot be {place:?}"));
            }
        }
        let is_element = |inst: &Inst| matches!(inst, Inst::Load { .. });
        if is_once && (routine.body().insts.iter().any(is_element) || routine.folds().count() > 0) {
            return Err("what is done once reads numbers and folds nothing".into());
        }
        for (index, (&place, &storage)) in part.results.iter().zip(&results).enumerate() {
            let is_number = is_once || index >= routine.outputs.len();
            let fits = match place {
                Place::Input(_) => false,
                Place::Output(_) | Place::Kept(_) => !is_number,
                Place::Number(_) => is_number && storage.fills_lane(),
            };
            if !fits || self.storage(place) != Some(storage) {
                return Err(format!("result {index} cannot be {place:?}"));
            }
            let is_realigned = routine.realigned.contains(&(index as u32));
            if is_realigned && !matches!(place, Place::Output(_)) {
                return Err(format!("result {index} is realigned, and no output"));
            }
            match place {
                Place::Kept(kept) => written.kept[kept as usize] = true,
                Place::Number(number) => written.numbers[number as usize] = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// Storage of what is in a place.
    fn storage(&self, place: Place) -> Option<Storage> {
        let (all, index) = match place {
            Place::Input(index) => (&self.inputs, index),
            Place::Output(index) => (&self.outputs, index),
            Place::Kept(index) => (&self.kept, index),
            Place::Number(index) => (&self.numbers, index),
        };
        all.get(index as usize).copied()
    }
}

/// What steps so far have written.
struct Written {
    kept: Vec<bool>,
    numbers: Vec<bool>,
}
