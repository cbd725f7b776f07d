//! Intermediates that are parts of what is put together of them: what computes one writes it where it will be
//! read.
//!
//! So it is where a concatenation, or what pads an array, is all that reads an intermediate, as it is. What
//! is put together is then written from its first part on: where that is an output that is an input, too, a
//! call gives intermediates memory of their own.

use super::{Access, Action, Buffer, Dims, Place, Plan, Step};
use kiln_ir::Call;

/// Where an intermediate lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The step that puts together.
    step: usize,
    /// Which of its operands it is.
    operand: usize,
}

/// A part of an array: so many elements from a place on, along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Within {
    /// What it is a part of.
    pub(crate) of: Place,
    pub(crate) axis: usize,
    pub(crate) start: usize,
}

impl<K> Plan<K> {
    /// Finds the parts.
    pub(super) fn place_parts(&mut self) {
        for index in 0..self.steps.len() {
            let step = &self.steps[index];
            let is_part = |&operand: &usize| {
                moves(step, operand) && step.args[operand].view.is_none() && {
                    let place = step.args[operand].place;
                    matches!(place, Place::Buffer(_)) && self.reads(place) == 1
                }
            };
            let parts: Vec<usize> = (0..step.args.len()).filter(is_part).collect();
            let whole = step.results[0].place;
            for operand in parts {
                let Place::Buffer(buffer) = self.steps[index].args[operand].place else { continue };
                self.buffers[buffer].part = Some(Part { step: index, operand });
                let first = self.buffers[buffer].live[0];
                if let Place::Buffer(buffer) = whole {
                    let live = &mut self.buffers[buffer].live[0];
                    *live = first.min(*live);
                }
            }
        }
    }

    /// How often steps read a value, in any way.
    fn reads(&self, place: Place) -> usize {
        let args = self.steps.iter().flat_map(|step| &step.args);
        let checked = self.checks.iter().flat_map(|check| check.of.iter().chain([&check.places]));
        let counted = self.numbers.iter().flat_map(|numbers| &numbers.of);
        let is_it = |access: &&Access| access.place == place;
        args.chain(checked).chain(counted).filter(is_it).count()
    }

    /// Whether what a step reads is a part of what it makes.
    pub(super) fn is_part(&self, step: &Step<K>, arg: &Access) -> bool {
        let Place::Buffer(buffer) = arg.place else { return false };
        // It is read once.
        let part = self.buffers[buffer].part;
        part.is_some_and(|part| self.steps[part.step].domain == step.domain)
    }

    /// Where an intermediate lies that is a part, in a call of these shapes.
    pub(crate) fn within<'a>(
        &self,
        part: Part,
        shapes: &'a [Dims],
        input: &impl Fn(usize) -> &'a [usize],
    ) -> Within {
        let (step, axis) = (&self.steps[part.step], self.axis(part, shapes));
        let start = match step.action {
            Action::Call(Call::Pad(pad)) => pad.before as usize,
            _ => {
                let before = step.args[..part.operand].iter();
                before.map(|arg| self.shape_of(arg, shapes, input)[axis]).sum()
            }
        };
        Within { of: step.results[0].place, axis, start }
    }

    /// What a value is computed in, if it is an intermediate that is a part.
    pub(crate) fn whole(&self, place: Place) -> Option<Place> {
        let Place::Buffer(buffer) = place else { return None };
        let part = self.buffers[buffer].part?;
        Some(self.steps[part.step].results[0].place)
    }

    /// The same as text, with its place in that, for a call of these shapes that computes parts where they
    /// belong: `slice[0, 3:5](output 0)`.
    pub(crate) fn within_text<'a>(
        &self,
        place: Place,
        shapes: &'a [Dims],
        input: &impl Fn(usize) -> &'a [usize],
        named: &impl Fn(Place) -> String,
    ) -> Option<String> {
        let Place::Buffer(buffer) = place else { return None };
        let Buffer { part, written, .. } = &self.buffers[buffer];
        let Within { of, axis, start } = self.within((*part)?, shapes, input);
        let stop = start + shapes[written.shape][axis];
        Some(format!("slice[{axis}, {start}:{stop}]({})", named(of)))
    }

    /// Along which axis parts are put together.
    fn axis(&self, part: Part, shapes: &[Dims]) -> usize {
        let step = &self.steps[part.step];
        let rank = shapes[step.domain].len();
        let axis = match step.action {
            Action::Call(Call::Concat(concat)) => concat.place(rank),
            Action::Call(Call::Pad(pad)) => pad.place(rank),
            _ => unreachable!("it puts nothing together"),
        };
        axis.expect("the shape was inferred")
    }

    /// Whether a call of these shapes computes parts where they belong. Of rows that are put together from
    /// parts of few bytes in all, it takes longer to store those apart than to copy them:
    /// `concat[-1](x * 2, exp(y))` of two arrays (16, 16) takes 1.5 µs and 1.1 on a Zen 4, of (64, 64) 2.7 and
    /// 2.8, of (1000, 1000) 445 and 959.
    pub(crate) fn computes_parts(&self, shapes: &[Dims]) -> bool {
        const FEW: usize = 8 << 10;
        let is_worth_it = |buffer: &Buffer| {
            let Some(part) = buffer.part else { return true };
            let whole = &shapes[self.steps[part.step].domain];
            let rows = whole[..self.axis(part, shapes)].iter();
            let elements = whole.iter().fold(1, |count: usize, &size| count.saturating_mul(size));
            let bytes = elements.saturating_mul(buffer.dtype.size());
            rows.product::<usize>() == 1 || bytes >= FEW
        };
        self.buffers.iter().any(|buffer| buffer.part.is_some())
            && self.buffers.iter().all(is_worth_it)
    }
}

/// Whether a step only moves an operand into a part of its result.
fn moves<K>(step: &Step<K>, operand: usize) -> bool {
    match step.action {
        Action::Call(Call::Concat(_)) => true,
        Action::Call(Call::Pad(_)) => operand == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Within;
    use crate::plan::{Place, Plan, Shapes};
    use kiln_ir::parse;

    /// The parts of a kernel's plan, and the bytes of its intermediates.
    fn parts(text: &str, inputs: &[&[usize]]) -> (Vec<Option<Within>>, usize) {
        let plan = Plan::outline(&parse(text).unwrap());
        let mut shapes = Shapes::new();
        plan.add_shapes(|input| inputs[input], &mut shapes).unwrap();
        let parts = plan
            .buffers
            .iter()
            .map(|buffer| buffer.part.map(|part| plan.within(part, &shapes, &|at| inputs[at])));
        (parts.collect(), plan.memory(&shapes).unwrap().peak())
    }

    #[test]
    fn what_is_put_together_is_written_there() {
        let within = |of, axis, start| Some(Within { of, axis, start });
        let output = Place::Output(0);
        let text = "kernel k(x: f32[n, d], y: f32[m, d]) {
            let a = fused(x) { x * 2 };
            let b = fused(y) { exp(y) };
            concat[0](a, y, b)
        }";
        let shapes: [&[usize]; 2] = [&[3, 5], &[2, 5]];
        let found = parts(text, &shapes);
        assert_eq!(found, (vec![within(output, 0, 0), within(output, 0, 5)], 0));
        // A part of a part, along another axis.
        let text = "kernel k(x: f32[n, d], y: f32[n, d], c: f32[]) {
            let a = fused(y) { exp(y) };
            pad[0, 2, 1](concat[-1](x, a), c)
        }";
        let found = parts(text, &[&[300, 5], &[300, 5], &[]]);
        let whole = Place::Buffer(1);
        assert_eq!(found, (vec![within(whole, 1, 5), within(output, 0, 2)], 0));
    }

    /// Of what is put together, only what lies elsewhere is moved.
    #[test]
    fn parts_are_not_moved() {
        let text = "kernel k(x: f32[n, d], y: f32[m, d]) {
            concat[0](fused(x) { x * 2 }, y)
        }";
        let plan = Plan::outline(&parse(text).unwrap());
        let (mut shapes, inputs) = (Shapes::new(), [&[3, 5][..], &[2, 5]]);
        plan.add_shapes(|input| inputs[input], &mut shapes).unwrap();
        let traffic = plan.traffic(&shapes, &|input| inputs[input]);
        assert_eq!(traffic.iter().map(|step| step.loaded).collect::<Vec<_>>(), [60, 40]);
        assert_eq!(traffic.iter().map(|step| step.stored).collect::<Vec<_>>(), [60, 40]);
    }

    #[test]
    fn what_is_read_elsewhere_too_has_memory_of_its_own() {
        for text in [
            "let a = fused(x) { x * 2 }; concat[0](a, a)",
            "let a = fused(x) { x * 2 }; (concat[0](a, x), fused(a) { exp(a) })",
            "let a = fused(x) { x * 2 }; concat[0](transpose(a), x)",
            "let a = fused(x) { x * 2 }; concat[0](x, fused(x, a) { x + a })",
        ] {
            let text = format!("kernel k(x: f32[n, n]) {{ {text} }}");
            let (parts, peak) = parts(&text, &[&[400, 400]]);
            assert!(parts[0].is_none() && peak > 0, "{text}: {parts:?}");
        }
    }
}
