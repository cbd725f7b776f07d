//! Which step of a sweep asks memory for which part of later rows.
//!
//! Of short rows one step asks for all: steps follow one another so soon that it is as if they ran at once. A step on
//! a long row takes so long that memory should have something to do in each: all that read the row ask for some of the
//! next one, a little for each iteration. One that asks for all of it waits for memory, and while the others run,
//! memory waits for them. Nanoseconds for an `f32` on a Xeon 6, so and with one step that asks:
//!
//! | | layer norm, scaled and shifted | softmax |
//! |---|---|---|
//! | (1024, 4096) | .278 .307 | .292 .315 |
//! | (512, 8192) | .314 .351 | .321 .337 |
//! | (256, 16384) | .369 .393 | .319 .338 |
//! | (64, 65536) | .344 .374 | .325 .348 |
//!
//! Turns of whole pages, which each step asks for at once, gain nothing. Parts of one, two and one of the three steps of
//! layer norm take the least time of five ways to share.

use kiln_jit::vir::{Part, Place, Step, Sweep, TURNS, Turn};

/// Steps that take turns, at most: the one that asks for all of short rows, the second, and those next to it.
const MOST: usize = 3;

/// Has the steps that read what one of them asks for take turns where rows are long.
pub(super) fn take_turns(sweep: &mut Sweep) {
    for (input, storage) in sweep.inputs.iter().enumerate() {
        let place = Place::Input(input as u32);
        let mut readers: Vec<(&mut Part, u32)> = Vec::new();
        for step in &mut sweep.steps {
            let Step::Each { part, .. } = step else { continue };
            if let Some(index) = part.inputs.iter().position(|&read| read == place) {
                readers.push((part, index as u32));
            }
        }
        readers.truncate(MOST);
        let asks = |(part, index): &(&mut Part, u32)| part.routine.ahead.contains(index);
        let Some(asking) = readers.iter().position(asks) else { continue };
        let others = readers.len() - 1;
        if others == 0 || !storage.size().is_multiple_of(TURNS) {
            continue;
        }
        let mut first = 0;
        for (at, (part, index)) in readers.into_iter().enumerate() {
            let count = if at == asking { TURNS - others } else { 1 } as u8;
            part.routine.turns.push(Turn { input: index, first, count });
            first += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::take_turns;
    use kiln_jit::vir::{Builder, Merge, Part, Place, Step, Storage, Sweep, Turn};

    /// A step that reads an input as its last one, after so many numbers.
    fn reads(storage: Storage, numbers: u32, asks: bool) -> Step {
        let mut b = Builder::new();
        let mut inputs = Vec::new();
        for number in 0..numbers {
            b.scalar(Storage::F32);
            inputs.push(Place::Number(number));
        }
        let x = b.input(storage);
        inputs.push(Place::Input(0));
        b.fold(x, Merge::Sup);
        let mut routine = b.finish();
        if asks {
            routine.ahead.push(numbers);
        }
        Step::Each { part: Part { routine, inputs, results: vec![Place::Number(0)] }, join: None }
    }

    fn turns(storage: Storage, asking: &[bool]) -> Vec<Vec<[u8; 3]>> {
        let step = |(at, &asks): (usize, &bool)| reads(storage, at as u32, asks);
        let steps = asking.iter().enumerate().map(step).collect();
        let inputs = vec![storage];
        let mut sweep = Sweep { inputs, steps, ..Sweep::default() };
        take_turns(&mut sweep);
        let turn = |&Turn { input, first, count }: &Turn| [input as u8, first, count];
        let of = |step: &Step| step.part().routine.turns.iter().map(turn).collect();
        sweep.steps.iter().map(of).collect()
    }

    #[test]
    fn the_steps_that_read_an_input_share_it() {
        let of = |asking: &[bool]| turns(Storage::F32, asking);
        assert_eq!(of(&[false, true]), [[[0, 0, 1]], [[1, 1, 3]]]);
        assert_eq!(of(&[false, true, false]), [[[0, 0, 1]], [[1, 1, 2]], [[2, 3, 1]]]);
        assert_eq!(of(&[false, true, false, false])[3], [[0; 3]; 0]);
        // Of which nobody asks for anything, which one reads, and parts of which are no whole bytes of an element.
        assert_eq!(of(&[false, false]), [[[0; 3]; 0], []]);
        assert_eq!(of(&[true]), [[[0; 3]; 0]]);
        assert_eq!(turns(Storage::BF16, &[false, true]), [[[0; 3]; 0], []]);
    }
}
