//! The stages of a row kernel as one routine, which has the loop over rows inside.
//!
//! A sum leaves a number for each block of a row, and so does what is merged along with it; they [join](super::join)
//! as [`kiln_reduce`] says, and here once more, for code:
//!
//! ```text
//! once   s = -0                       the sum so far, in f64
//! each   b = sum of x                 of a block
//! join   s = s + b
//! once   sum = s                      rounded
//! ```

use super::join::{self, Joined};
use super::late::{Late, late};
use super::turns::take_turns;
use super::{Per, RowProgram, Slot, Stage, storage};
use kiln_ir::Reduction;
use kiln_jit::vir::{Builder, Inst, Join, Part, Place, Routine, Step, Storage, Sweep, Type, Value};
use kiln_reduce::BLOCK;

/// A sweep, and the slot that each of its operands is.
#[derive(Clone, Debug)]
pub(crate) struct RowSweep<K = Sweep, L = K> {
    /// What is done.
    pub(crate) kernel: K,
    /// The slot of each input: an input of the program, or a count of elements.
    pub(crate) inputs: Vec<usize>,
    /// The slot of each output.
    pub(crate) outputs: Vec<usize>,
    /// The slot of each number that is a result.
    pub(crate) left: Vec<usize>,
    /// The same, with outputs that are [realigned](Sweep::realigned).
    pub(crate) realigned: Option<L>,
    /// The same, but for the last step, which is late.
    pub(crate) late: Option<Late<L>>,
}

/// The sweep that does what the stages of a program do, if there is one: if code does all of their folds, and
/// elements are read at least twice. Where they are read once, stages are as fast.
pub(super) fn sweep(program: &RowProgram) -> Option<RowSweep> {
    let mut making = Making {
        program,
        sweep: Sweep::default(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        left: Vec::new(),
        places: vec![None; program.slots.len()],
    };
    let mut stages = program.stages.iter().peekable();
    while let Some(stage) = stages.next() {
        match stage {
            Stage::Each(map) => {
                let (routine, inputs, outputs, count) = match &map.apart {
                    Some(apart) => (&apart.kernel, &apart.inputs, &apart.outputs, apart.folds),
                    None => (&map.kernel, &map.inputs, &map.outputs, 0),
                };
                let mut folds = Vec::new();
                for _ in 0..count {
                    let Some(Stage::Fold { by, to, .. }) = stages.next() else { return None };
                    folds.push((*by, *to));
                }
                making.each(routine.clone(), inputs, outputs, &folds)?;
            }
            Stage::Fold { .. } => {
                let is_fold = |stage: &&Stage<Routine>| matches!(stage, Stage::Fold { .. });
                let more = std::iter::from_fn(|| stages.next_if(is_fold));
                making.folds(std::iter::once(stage).chain(more))?;
            }
            Stage::Once(map) => making.once(once_a_row(&map.kernel)?, &map.inputs, &map.outputs)?,
            // Of one row after the other, or of some side by side, it would wait for each addition.
            Stage::Scan { .. } => return None,
            Stage::Count { to } => making.operand(*to),
        }
    }
    let Making { mut sweep, inputs, outputs, left, .. } = making;
    let is_each = |step: &&Step| matches!(step, Step::Each { .. });
    let are_all_made = outputs.len() + left.len() == program.outputs;
    if sweep.steps.iter().filter(is_each).count() < 2 || !are_all_made {
        return None;
    }
    join_steps(&mut sweep);
    debug_assert_eq!(sweep.verify(), Ok(()));
    let late = late(&sweep);
    take_turns(&mut sweep);
    let realigned = sweep.realigned();
    Some(RowSweep { kernel: sweep, inputs, outputs, left, realigned, late })
}

struct Making<'a> {
    program: &'a RowProgram,
    sweep: Sweep,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    left: Vec<usize>,
    /// Where each slot is, of those that are anywhere.
    places: Vec<Option<Place>>,
}

impl Making<'_> {
    fn slot(&self, slot: usize) -> Slot {
        self.program.slots[slot]
    }

    /// Makes a slot the next input.
    fn operand(&mut self, slot: usize) {
        self.places[slot] = Some(Place::Input(self.inputs.len() as u32));
        self.inputs.push(slot);
        self.sweep.inputs.push(storage(self.slot(slot).dtype));
    }

    /// A new number of rows.
    fn number(&mut self, storage: Storage) -> Place {
        self.sweep.numbers.push(storage);
        Place::Number(self.sweep.numbers.len() as u32 - 1)
    }

    /// Where slots that are read are.
    fn inputs(&mut self, slots: &[usize]) -> Option<Vec<Place>> {
        let place = |&slot: &usize| {
            if self.places[slot].is_none() {
                self.operand(slot);
            }
            // A number must be as wide as its lane.
            let Slot { dtype, per, .. } = self.slot(slot);
            let fits = per == Per::Element || storage(dtype).fills_lane();
            self.places[slot].filter(|_| fits)
        };
        slots.iter().map(place).collect()
    }

    /// Where slots that are written are.
    fn results(&mut self, slots: &[usize]) -> Option<Vec<Place>> {
        let program = self.program;
        let is_output =
            |slot: usize| (program.inputs..program.inputs + program.outputs).contains(&slot);
        let place = |&slot: &usize| {
            let Slot { dtype, per, .. } = self.slot(slot);
            let storage = storage(dtype);
            let place = match per {
                Per::Row if storage.fills_lane() => {
                    let number = self.sweep.numbers.len() as u32;
                    if is_output(slot) {
                        self.left.push(slot);
                        self.sweep.left.push(number);
                    }
                    self.number(storage)
                }
                Per::Row => return None,
                Per::Element if is_output(slot) => {
                    self.outputs.push(slot);
                    self.sweep.outputs.push(storage);
                    // What is stored as a result is read from nowhere again.
                    if program.slots[slot].reads > 0 {
                        return None;
                    }
                    Place::Output(self.outputs.len() as u32 - 1)
                }
                Per::Element => {
                    self.sweep.kept.push(storage);
                    Place::Kept(self.sweep.kept.len() as u32 - 1)
                }
            };
            self.places[slot] = Some(place);
            Some(place)
        };
        slots.iter().map(place).collect()
    }

    fn once(&mut self, routine: Routine, inputs: &[usize], outputs: &[usize]) -> Option<()> {
        let (inputs, results) = (self.inputs(inputs)?, self.results(outputs)?);
        self.sweep.steps.push(Step::Once(Part { routine, inputs, results }));
        Some(())
    }

    /// Folds that follow one another: elements are read once for all of them.
    fn folds<'s>(&mut self, stages: impl Iterator<Item = &'s Stage<Routine>>) -> Option<()> {
        let mut b = Builder::new();
        let (mut inputs, mut values, mut folds) = (Vec::new(), Vec::new(), Vec::new());
        for stage in stages {
            let &Stage::Fold { by, from, to } = stage else { return None };
            let dtype = self.slot(from).dtype;
            let known = inputs.iter().position(|&slot| slot == from);
            let at = known.unwrap_or_else(|| {
                inputs.push(from);
                values.push(b.input(storage(dtype)));
                values.len() - 1
            });
            b.fold(values[at], super::merge_of(by, dtype)?);
            folds.push((by, to));
        }
        self.each(b.finish(), &inputs, &[], &folds)
    }

    /// A stage over elements, and its folds with the slots of what they leave.
    fn each(
        &mut self,
        routine: Routine,
        inputs: &[usize],
        outputs: &[usize],
        folds: &[(Reduction, usize)],
    ) -> Option<()> {
        let (inputs, mut results) = (self.inputs(inputs)?, self.results(outputs)?);
        let storages: Vec<Storage> = routine.folds().collect();
        let blocks: Vec<Place> = storages.iter().map(|&storage| self.number(storage)).collect();
        results.extend(&blocks);
        let part = Part { routine, inputs, results };
        let is_sum = |&(by, _): &(Reduction, usize)| by == Reduction::Sum;
        if !folds.iter().any(is_sum) {
            // Blocks need not join: no order of them gives another result.
            self.sweep.steps.push(Step::Each { part, join: None });
            let blocks = blocks.iter().zip(&storages);
            return self.finish(folds, blocks.map(|(&place, &storage)| (vec![place], storage)));
        }
        let joins: Vec<Joined> = part
            .routine
            .stage
            .folds
            .iter()
            .zip(&storages)
            .map(|(f, &s)| Joined::of(f.merge, s))
            .collect();
        let states: Vec<Vec<Place>> = joins
            .iter()
            .map(|join| join.storages().map(|storage| self.number(storage)).collect())
            .collect();
        let (mut start, mut join) = (Builder::new(), Builder::new());
        let (mut start_places, mut join_inputs, mut join_results) =
            (Vec::new(), Vec::new(), Vec::new());
        for (((places, &block), &storage), how) in
            states.iter().zip(&blocks).zip(&storages).zip(&joins)
        {
            for (value, storage) in how.start(&mut start).into_iter().zip(how.storages()) {
                start.output(value, storage);
            }
            start_places.extend(places);
            let term = join.scalar(storage);
            let state: Vec<Value> = how.storages().map(|storage| join.scalar(storage)).collect();
            join_inputs.push(block);
            join_inputs.extend(places);
            for (value, storage) in
                how.join(&mut join, &state, term).into_iter().zip(how.storages())
            {
                join.output(value, storage);
            }
            join_results.extend(places);
        }
        let [start, join] = [
            Part { routine: start.finish(), inputs: Vec::new(), results: start_places },
            Part { routine: join.finish(), inputs: join_inputs, results: join_results },
        ];
        self.sweep.steps.push(Step::Once(start));
        let join = Some(Box::new(Join { block: BLOCK, part: join }));
        self.sweep.steps.push(Step::Each { part, join });
        self.finish(folds, states.into_iter().zip(storages))
    }

    /// What rows become: of NaN one and the same.
    fn finish(
        &mut self,
        folds: &[(Reduction, usize)],
        states: impl Iterator<Item = (Vec<Place>, Storage)>,
    ) -> Option<()> {
        let slots: Vec<usize> = folds.iter().map(|&(_, to)| to).collect();
        if slots.is_empty() {
            return Some(());
        }
        let mut b = Builder::new();
        let mut inputs = Vec::new();
        for (&(by, _), (places, storage)) in folds.iter().zip(states) {
            let ty = storage.lane();
            let of = if by == Reduction::Sum { Storage::F64 } else { storage };
            let state: Vec<Value> = places.iter().map(|_| b.scalar(of)).collect();
            inputs.extend(places);
            let wide = join::finished(&mut b, &state);
            let value = if b.ty(wide) == ty { wide } else { b.demote(wide) };
            let nan = b.float(ty, f64::NAN);
            let is_nan = b.ne(value, value);
            let value = b.select(is_nan, nan, value);
            b.output(value, storage);
        }
        let results = self.results(&slots)?;
        self.sweep.steps.push(Step::Once(Part { routine: b.finish(), inputs, results }));
        Some(())
    }
}

/// Makes one of neighbouring steps that run once: so they wait for each other in registers, not in memory.
fn join_steps(sweep: &mut Sweep) {
    let can_join = |part: &Part| part.routine.body().cold.is_empty();
    let mut joined: Vec<Step> = Vec::new();
    for step in std::mem::take(&mut sweep.steps) {
        match (joined.last_mut(), step) {
            (Some(Step::Once(first)), Step::Once(second))
                if can_join(first) && can_join(&second) =>
            {
                *first = joined_parts(first, &second);
            }
            (_, step) => joined.push(step),
        }
    }
    // Most numbers are now read by nobody else.
    let reads = |step: &Step| step.parts().flat_map(|part| part.inputs.clone()).collect::<Vec<_>>();
    let left = sweep.left.iter().map(|&number| Place::Number(number));
    let read: Vec<Place> = joined.iter().flat_map(reads).chain(left).collect();
    for step in &mut joined {
        if let Step::Once(part) = step
            && can_join(part)
        {
            *part = with_results(part, |place| read.contains(&place));
        }
    }
    sweep.steps = joined;
}

/// A part and another that follows it, as one.
fn joined_parts(first: &Part, second: &Part) -> Part {
    let mut b = Builder::new();
    let mut known: Vec<(Place, Value)> = Vec::new();
    let mut inputs = Vec::new();
    let mut results: Vec<Place> = Vec::new();
    for part in [first, second] {
        let storages = part.inputs.iter().zip(&part.routine.inputs);
        let values: Vec<Value> = storages
            .map(|(&place, &storage)| match known.iter().find(|(of, _)| *of == place) {
                Some(&(_, value)) => value,
                None => {
                    inputs.push(place);
                    let value = b.scalar(storage);
                    known.push((place, value));
                    value
                }
            })
            .collect();
        let made = b.inline(&part.routine, &values);
        for (&place, value) in part.results.iter().zip(made) {
            known.retain(|(of, _)| *of != place);
            known.push((place, value));
            if !results.contains(&place) {
                results.push(place);
            }
        }
    }
    store(b, inputs, results, &known)
}

/// A part that leaves some of its results out.
fn with_results(part: &Part, is_read: impl Fn(Place) -> bool) -> Part {
    let mut b = Builder::new();
    let values: Vec<Value> = part.routine.inputs.iter().map(|&storage| b.scalar(storage)).collect();
    let made = b.inline(&part.routine, &values);
    let known: Vec<(Place, Value)> = part.results.iter().copied().zip(made).collect();
    let results = part.results.iter().copied().filter(|&place| is_read(place)).collect();
    store(b, part.inputs.clone(), results, &known)
}

/// The part that stores values where they are known to belong.
fn store(
    mut b: Builder,
    inputs: Vec<Place>,
    results: Vec<Place>,
    known: &[(Place, Value)],
) -> Part {
    for place in &results {
        let (_, value) = known.iter().find(|(of, _)| of == place).expect("it was computed");
        b.output(*value, number_storage(b.ty(*value)));
    }
    Part { routine: b.finish(), inputs, results }
}

/// A routine over the numbers of rows as one for each row.
fn once_a_row(routine: &Routine) -> Option<Routine> {
    let mut routine = routine.clone();
    if !routine.inputs.iter().all(|storage| storage.fills_lane()) {
        return None;
    }
    for inst in &mut routine.stage.body.insts {
        if let Inst::Load { slot } = *inst {
            *inst = Inst::Scalar { slot };
        }
    }
    Some(routine)
}

/// Storage of a number of this type.
fn number_storage(ty: Type) -> Storage {
    match ty {
        Type::F32 => Storage::F32,
        Type::F64 => Storage::F64,
        Type::I32 | Type::M32 => Storage::I32,
        Type::I64 | Type::M64 => Storage::I64,
    }
}

#[cfg(test)]
mod tests {
    use crate::lower::{Tier, rows::rows};

    /// How many steps the sweep of a body has, and how many rows it keeps, if there is one.
    fn steps(text: &str) -> Option<(usize, usize)> {
        let body = kiln_ir::parse(text).unwrap();
        let sweep = rows(&body, Tier::Default).unwrap().sweep?;
        assert_eq!(sweep.kernel.verify(), Ok(()));
        Some((sweep.kernel.steps.len(), sweep.kernel.kept.len()))
    }

    #[test]
    fn steps_that_run_once_are_one() {
        // Each: the largest, exponentials with their sum, quotients. Once: before each of the last two.
        assert_eq!(steps("|x: f32[n]| softmax[-1](x)"), Some((5, 1)));
        // Each: the sum, two sums of deviations, results.
        assert_eq!(steps("|x: f32[n], w: f32[n]| layer_norm[-1](x) * w"), Some((6, 0)));
        assert_eq!(steps("|x: f64[n]| rms_norm[-1](x)"), Some((4, 0)));
        // Each: the largest, the sum of exponentials. Once: between them and, twice, after: logarithms have
        // cold regions.
        assert_eq!(steps("|x: f32[n]| logsumexp[-1](x)"), Some((5, 0)));
        assert_eq!(steps("|x: f32[n]| (mean[-1](x), var[-1](x))"), Some((5, 0)));
    }

    #[test]
    fn elements_are_read_once_for_sums_and_extremes() {
        // As `logsumexp`, but what is summed must begin somewhere.
        assert_eq!(steps("|x: f32[n]| (sum[-1](x), logsumexp[-1](x))"), Some((6, 0)));
        let label = "|x: f32[n, c], i: i32[c], y: i32[n, 1]| \
                     logsumexp[-1](x) - sum[-1](select(i == y, x, 0))";
        assert_eq!(steps(label), Some((6, 0)));
        let range = "|x: f32[n]| (x - mean[-1](x)) / (max[-1](x) - min[-1](x))";
        assert_eq!(steps(range), Some((4, 0)));
    }

    #[test]
    fn what_code_folds_not_is_no_sweep() {
        for text in [
            "|x: f32[n]| sum[-1](x)",
            "|x: f32[n]| let e = exp(x); (e, sum[-1](e), e / sum[-1](e))",
            "|x: i32[n]| x - max[-1](x)",
            "|x: f32[n]| select(any[-1](x > 0.0), x, -x)",
        ] {
            assert_eq!(steps(text), None, "{text}");
        }
    }
}
