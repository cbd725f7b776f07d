//! Which operand of a call each operand of a routine is.

use super::CURSORS;
use crate::vir::{Part, Place, Routine, Sweep, Turn};

/// The operands of a routine.
#[derive(Clone, Debug, Default)]
pub(in crate::emit::x86) struct Bound {
    pub(super) inputs: Vec<Operand>,
    pub(super) outputs: Vec<Operand>,
    /// Where what is left of a row by each fold goes.
    pub(super) folds: Vec<Operand>,
}

/// An operand of a routine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub(super) at: At,
    /// Bytes of an element.
    pub(super) size: u32,
    /// Which of the current addresses is its own.
    pub(super) held: Held,
    /// Whether it is an input that is the same for a whole row.
    pub(super) is_scalar: bool,
    /// Whether later steps read it.
    pub(super) is_kept: bool,
    /// Whether it is stored in vectors of memory, wherever rows begin.
    pub(super) is_realigned: bool,
    /// Whether it is an input whose next rows memory is asked for meanwhile.
    pub(super) runs_ahead: bool,
    /// The same where rows are long, and of which of every few pages.
    pub(super) turn: Option<Turn>,
}

/// Where an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// The index of its cursor.
    Cursor(usize),
    /// A number of the row, in the frame.
    Number(usize),
}

/// Where the current address of an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// One of the general registers for addresses.
    Register(usize),
    /// Another one, in the frame.
    Frame(usize),
    /// It needs none, or its cursor is as good.
    Nowhere,
}

impl Bound {
    /// Those of a routine by itself.
    pub(in crate::emit::x86) fn of(routine: &Routine) -> Bound {
        let inputs = (0..routine.inputs.len()).map(At::Cursor).collect();
        let results = routine.outputs.len() + routine.folds().count();
        let results = (0..results).map(|index| At::Cursor(routine.inputs.len() + index)).collect();
        Bound::new(routine, inputs, results, false, |_| false)
    }

    /// Those of a part of a sweep, which has no addresses of its own in registers if it runs once.
    pub(in crate::emit::x86) fn of_part(part: &Part, sweep: &Sweep, is_once: bool) -> Bound {
        let (inputs, results) = (sweep.inputs.len(), sweep.outputs.len() + sweep.left.len());
        let at = |place: &Place| match *place {
            Place::Input(index) => At::Cursor(index as usize),
            Place::Output(index) => At::Cursor(inputs + index as usize),
            Place::Kept(index) => At::Cursor(inputs + results + index as usize),
            Place::Number(index) => At::Number(index as usize),
        };
        let [all_inputs, results] =
            [&part.inputs, &part.results].map(|places| places.iter().map(at).collect());
        let is_kept = |index: usize| matches!(part.results[index], Place::Kept(_));
        Bound::new(&part.routine, all_inputs, results, is_once, is_kept)
    }

    fn new(
        routine: &Routine,
        inputs: Vec<At>,
        results: Vec<At>,
        is_once: bool,
        is_kept: impl Fn(usize) -> bool,
    ) -> Bound {
        let mut addresses: usize = 0;
        let mut held = |at: At, is_input: bool| {
            let next = addresses;
            if is_once || matches!(at, At::Number(_)) {
                return Held::Nowhere;
            }
            addresses += 1;
            match next.checked_sub(CURSORS.len()) {
                None => Held::Register(next),
                Some(index) if is_input => Held::Frame(index),
                // An output is indexed from the start of its row.
                Some(_) => Held::Nowhere,
            }
        };
        let inputs = inputs.into_iter().zip(&routine.inputs).enumerate();
        let inputs = inputs.map(|(slot, (at, storage))| Operand {
            at,
            size: storage.size() as u32,
            held: held(at, true),
            is_scalar: routine.is_scalar(slot),
            is_kept: false,
            is_realigned: false,
            runs_ahead: routine.ahead.contains(&(slot as u32)),
            turn: routine.turns.iter().find(|turn| turn.input == slot as u32).copied(),
        });
        let inputs = inputs.collect();
        let sizes = routine.outputs.iter().map(|storage| storage.size() as u32);
        let outputs = results.iter().zip(sizes).enumerate();
        let outputs = outputs.map(|(index, (&at, size))| Operand {
            at,
            size,
            held: held(at, false),
            is_scalar: false,
            is_kept: is_kept(index),
            is_realigned: routine.realigned.contains(&(index as u32)),
            runs_ahead: false,
            turn: None,
        });
        let outputs = outputs.collect();
        let folds = results[routine.outputs.len()..].iter().zip(routine.folds());
        let folds = folds.map(|(&at, storage)| Operand {
            at,
            size: storage.size() as u32,
            held: Held::Nowhere,
            is_scalar: false,
            is_kept: false,
            is_realigned: false,
            runs_ahead: false,
            turn: None,
        });
        Bound { inputs, outputs, folds: folds.collect() }
    }

    /// How many general registers hold addresses.
    pub(super) fn registers(&self) -> usize {
        let is_in = |operand: &&Operand| matches!(operand.held, Held::Register(_));
        self.inputs.iter().chain(&self.outputs).filter(is_in).count()
    }

    /// How many addresses the frame holds.
    pub(super) fn in_frame(&self) -> usize {
        self.inputs.iter().filter(|input| matches!(input.held, Held::Frame(_))).count()
    }
}
