//! Kernels over a product: what is computed of its elements runs on each block of them while a cache
//! holds it.
//!
//! Where it can, the product is added up in the memory of a result, which code then reads and writes in
//! place; else in a scratch of each thread. Calls that blocks cannot run go pass by pass, the product
//! apart, which gives the same bits: those of an element depend neither on blocks nor on where it lies.

use super::bound::Bound;
use super::chained::Chained;
use super::epilogue::{BlockCode, Place, with_scratch};
use super::error::RunError;
use super::exec::{Work, execute_checked};
use super::flat::Flat;
use super::layout::OPERANDS;
use super::needed::Needed;
use super::overlap::overlap;
use super::panel_code::PanelCode;
use super::passes::Passes;
use super::product::{Product, multiply};
use super::product_elements::Operands;
use super::prologue::{self, Prologue};
use super::row_panels::RowPanels;
use super::rows::RowCode;
use super::unfit::Unfit;
use super::view::Layout;
use crate::lower::product::{Product as Program, Source, Tail, Then};
use kiln_ir::{Dims, broadcast};
use kiln_jit::emit::Code;
use kiln_jit::emit::cost::Tally;
use smallvec::SmallVec;

/// What runs a fused body that has a product.
#[derive(Debug)]
pub(crate) struct ProductKernel {
    /// None if it always goes pass by pass.
    program: Option<Program<Rest, Code>>,
    passes: Passes,
}

/// What is computed of a product.
#[derive(Debug)]
pub(crate) enum Rest {
    /// Code, on any block of it.
    Elements(Box<Code>),
    /// Stages, on whole rows.
    Rows(Box<RowCode>),
}

impl Rest {
    fn codes(&self) -> Box<dyn Iterator<Item = &Code> + '_> {
        match self {
            Rest::Elements(code) => Box::new(std::iter::once(&**code)),
            Rest::Rows(rows) => Box::new(rows.codes()),
        }
    }

    /// How many results it has.
    pub(super) fn outputs(&self) -> usize {
        match self {
            Rest::Elements(code) => code.outputs().len(),
            Rest::Rows(rows) => rows.outputs(),
        }
    }
}

impl ProductKernel {
    /// `program` runs on blocks of the product, and `passes` where it cannot.
    pub(crate) fn new(program: Option<Program<Rest, Code>>, passes: Passes) -> ProductKernel {
        ProductKernel { program, passes }
    }

    /// The primitives that it executes for an element of the product, if it has no reductions.
    pub(super) fn tally(&self) -> Tally {
        match self.program.as_ref().map(|program| &program.rest) {
            Some(Rest::Elements(code)) => *code.tally(),
            _ => Tally::default(),
        }
    }

    /// What runs on blocks of the product.
    pub(super) fn codes(&self) -> Box<dyn Iterator<Item = &Code> + '_> {
        Box::new(self.program.iter().flat_map(|program| {
            let tail = program.then.as_ref().and_then(|then| then.tail.as_ref());
            program.rest.codes().chain(tail.map(|tail| &tail.program))
        }))
    }

    /// What runs a call on operands that lie so, if blocks do not, and why they do not.
    pub(super) fn passes(
        &self,
        operands: &[&Layout],
        threads: Option<usize>,
    ) -> Option<(&Passes, Unfit)> {
        let unfit = match &self.program {
            Some(program) => program.unfit(operands, threads)?,
            None => Unfit::NoCode,
        };
        Some((&self.passes, unfit))
    }

    /// Runs on `operands`: what the body reads, then what it writes.
    ///
    /// # Safety
    ///
    /// Operands must have the types and shapes of the body. Inputs must be readable, and outputs
    /// writable; an output must overlap nothing, unless it is exactly an input.
    pub(super) unsafe fn run(
        &self,
        operands: &[&Layout],
        threads: Option<usize>,
        bound: &Bound,
    ) -> Result<(), RunError> {
        // SAFETY: required of the caller.
        unsafe {
            match &self.program {
                Some(program) if program.run(operands, threads, bound) => Ok(()),
                _ => self.passes.run(operands, threads, bound),
            }
        }
    }
}

impl Program<Rest, Code> {
    /// The operands of the one product that a batch is, if it is one.
    pub(super) fn flat(&self, operands: &[&Layout]) -> Option<SmallVec<[Layout; OPERANDS]>> {
        let Program { operands: factors, inputs: sources, then, .. } = self;
        if operands.iter().all(|operand| operand.shape.len() < 3) {
            return None;
        }
        let computed;
        let (left, right, tail) = match (factors, then) {
            (Some([left, right]), None) => (&operands[*left].shape, *right, None),
            (None, Some(then)) => {
                computed = self.computed(operands)?;
                (&computed, then.right, then.tail.as_ref())
            }
            _ => return None,
        };
        let flat = Flat::new(left, operands[right])?;
        let outputs = operands.len() - self.outputs();
        let reads = |sources: &[Source], at: usize| sources.contains(&Source::Parameter(at));
        let mut all: SmallVec<[Layout; OPERANDS]> = SmallVec::new();
        for (at, operand) in operands.iter().enumerate() {
            let is_broadcast =
                reads(sources, at) || tail.is_some_and(|tail| reads(&tail.inputs, at));
            let is_left = factors.is_some_and(|[left, _]| at == left);
            all.push(match at {
                _ if is_left || at >= outputs => flat.whole(operand)?,
                _ if at == right && is_broadcast => return None,
                _ if at == right => (*operand).clone(),
                _ => flat.broadcast(operand)?,
            });
        }
        Some(all)
    }

    /// The shape of a left operand that is computed.
    pub(super) fn computed(&self, operands: &[&Layout]) -> Option<Dims<usize>> {
        let shapes = self.inputs.iter().map(|source| match source {
            Source::Parameter(at) => &operands[*at].shape[..],
            Source::Product => &[],
        });
        let shapes: SmallVec<[&[usize]; OPERANDS]> = shapes.collect();
        broadcast(&shapes).ok()
    }

    /// How many results there are.
    pub(super) fn outputs(&self) -> usize {
        match &self.then {
            None => self.rest.outputs(),
            Some(Then { tail, .. }) => tail.as_ref().map_or(1, |tail| tail.program.outputs().len()),
        }
    }

    /// Runs on blocks of the product. Returns whether it can; if not, nothing is written.
    ///
    /// # Safety
    ///
    /// As for [`ProductKernel::run`].
    unsafe fn run(&self, operands: &[&Layout], threads: Option<usize>, bound: &Bound) -> bool {
        let flat = self.flat(operands);
        let flat: Option<SmallVec<[&Layout; OPERANDS]>> =
            flat.as_ref().map(|flat| flat.iter().collect());
        let operands = flat.as_deref().unwrap_or(operands);
        let Program { operands: factors, inputs: sources, rest, then, mask } = self;
        let (inputs, outputs) = operands.split_at(operands.len() - self.outputs());
        let Some(factors) = factors.map(|factors| factors.map(|at| inputs[at])) else {
            // SAFETY: required of the caller.
            return unsafe { self.run_computed(operands, threads, bound) };
        };
        let operands = Operands { factors, sources, inputs, outputs };
        let code = match rest {
            // SAFETY: required of the caller.
            Rest::Elements(code) => return unsafe { operands.run(code, threads, bound) },
            Rest::Rows(code) => code,
        };
        let Some((product, dtype)) = operands.product() else { return false };
        if !product.has_rows() {
            return false;
        }
        let mut placed = Place::of_sources(sources, &product, inputs);
        let chained = match then {
            None => {
                placed.extend(Place::of_outputs(&product, outputs));
                None
            }
            Some(then) => {
                // The rows that are multiplied lie where the product was.
                placed.push(Place::Product);
                placed.extend((rest.outputs() > 1).then_some(Place::Verdict));
                let is_apart = |output: &&Layout| !operands.read().any(|it| overlap(output, it));
                let chained = Chained::new(&product, dtype, then, inputs, outputs);
                let Some(chained) = chained.filter(|_| outputs.iter().all(is_apart)) else {
                    return false;
                };
                Some(chained)
            }
        };
        let needed = mask.as_ref().map(|mask| {
            let read = mask.inputs.iter().map(|&at| product.placed(inputs[at]));
            Needed::new(&mask.needed, &product, read.collect())
        });
        let panel = PanelCode::new(code, &product, dtype, placed);
        let kernel = RowPanels { panel, factors, needed };
        // SAFETY: required of the caller.
        unsafe { kernel.run(chained, threads, bound) }
    }

    /// [`run`](Program::run) of a product whose left operand is computed.
    ///
    /// # Safety
    ///
    /// As for [`ProductKernel::run`].
    unsafe fn run_computed(
        &self,
        operands: &[&Layout],
        threads: Option<usize>,
        bound: &Bound,
    ) -> bool {
        let Program { inputs: sources, rest, then: Some(then), .. } = self else { return false };
        let (inputs, outputs) = operands.split_at(operands.len() - self.outputs());
        let (Some(left), dtype) = (self.computed(operands), then.left) else { return false };
        if prologue::is_whole(&left, dtype) {
            // SAFETY: required of the caller.
            return unsafe { self.run_whole(&left, operands, threads, bound) };
        }
        let Some(rows) = Product::with_result(left) else { return false };
        let chained = Chained::new(&rows, dtype, then, inputs, outputs);
        let mut read = sources.iter().filter_map(|source| match source {
            Source::Product => None,
            Source::Parameter(at) => Some(inputs[*at]),
        });
        let is_apart = read.all(|input| !outputs.iter().any(|output| overlap(output, input)));
        let Some(chained) = chained.filter(|chained| is_apart && !chained.is_small()) else {
            return false;
        };
        let mut placed = Place::of_sources(sources, &rows, inputs);
        placed.push(Place::Product);
        let code = match rest {
            Rest::Elements(code) => prologue::Code::Elements(BlockCode { code, placed }),
            Rest::Rows(code) => prologue::Code::Rows(PanelCode::new(code, &rows, dtype, placed)),
        };
        // SAFETY: required of the caller.
        unsafe { Prologue { rows: &rows, dtype, code }.run(chained, threads, bound) }
    }

    /// [`run_computed`](Program::run_computed) where the left operand, of this shape, is computed as a whole.
    ///
    /// # Safety
    ///
    /// As for [`ProductKernel::run`].
    unsafe fn run_whole(
        &self,
        left: &[usize],
        operands: &[&Layout],
        threads: Option<usize>,
        bound: &Bound,
    ) -> bool {
        let Program { inputs: sources, rest, then: Some(then), .. } = self else { return false };
        let (inputs, outputs) = operands.split_at(operands.len() - self.outputs());
        let right = inputs[then.right];
        let is_small = || Product::new(left, &right.shape).is_ok_and(|product| product.is_small());
        if outputs.iter().any(|output| overlap(output, right))
            || (then.tail.is_some() && is_small())
        {
            return false;
        }
        let bytes = left.iter().product::<usize>() * then.left.size();
        with_scratch(bytes, |first| {
            let left = Layout::row_major(first, then.left, left);
            let mut read: SmallVec<[&Layout; OPERANDS]> = SmallVec::new();
            sources.iter().for_each(|source| {
                read.extend(match source {
                    Source::Product => None,
                    Source::Parameter(at) => Some(inputs[*at]),
                });
            });
            read.push(&left);
            // SAFETY: required of the caller. The scratch is ours, and as large as what is computed.
            unsafe {
                match rest {
                    Rest::Elements(code) => {
                        execute_checked(code, &read, Work::new(threads, code.nanoseconds()));
                    }
                    Rest::Rows(code) if code.run(&read, threads) => {}
                    Rest::Rows(_) => return false,
                }
                match &then.tail {
                    None => multiply(&left, right, outputs[0], threads, bound).is_ok(),
                    Some(Tail { inputs: sources, program }) => {
                        let factors = [&left, right];
                        Operands { factors, sources, inputs, outputs }.run(program, threads, bound)
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::Action;
    use crate::run::compiled::Compiled;
    use crate::run::{Tensor, View};
    use crate::{CompileOptions, compile_with};
    use kiln_ir::DType;

    /// Usual calls run on blocks, as `explain` says; what blocks cannot do, or not as fast, does not.
    #[test]
    fn usual_calls_need_no_passes() {
        for (left, right, is_on_blocks) in [
            (&[64, 32][..], &[32, 64][..], true),
            (&[1, 64], &[64, 96], true),
            (&[1, 1, 64], &[64, 96], true),
            (&[1, 1, 1, 64], &[64, 96], true),
            (&[1, 5, 64], &[64, 96], true),
            (&[3, 5, 64], &[64, 96], true),
            (&[2, 64, 32], &[2, 32, 64], true),
            (&[9, 4, 4], &[9, 4, 4], false),
            (&[500, 4], &[4, 4], false),
        ] {
            let last = &right[right.len() - 1..];
            let found = needs_passes("gelu_tanh(x @ w + b)", &[left, right, last]);
            assert_eq!(found, !is_on_blocks, "{left:?} {right:?}");
        }
    }

    /// So do calls of which rows are folded, and multiplied again; of rows that are too long, or so long that a
    /// large right operand would be read for each few, they go pass by pass.
    #[test]
    fn usual_rows_need_no_passes() {
        let fold = "softmax[-1](x @ w + b)";
        let attention = "softmax[-1](x @ w + b) @ v";
        let tail = "gelu_tanh(softmax[-1](x @ w + b) @ v + y)";
        let f64s = "f64(softmax[-1](x @ w + b) @ v) + f64(y)";
        for (text, shapes, is_on_rows) in [
            (fold, &[&[64, 32][..], &[32, 64][..], &[64][..]][..], true),
            (fold, &[&[300, 64], &[64, 1000], &[1]], true),
            (fold, &[&[1, 64], &[64, 50_000], &[1]], true),
            (fold, &[&[3, 5, 64], &[64, 96], &[96]], true),
            (fold, &[&[2, 64, 32], &[2, 32, 64], &[2, 64, 1]], true),
            (fold, &[&[40, 2], &[2, 50_000], &[1]], false),
            (fold, &[&[500, 4], &[4, 4], &[4]], false),
            (attention, &[&[64, 32], &[32, 64], &[64], &[64, 32]], true),
            (attention, &[&[300, 64], &[64, 1000], &[1], &[1000, 64]], true),
            (attention, &[&[2, 64, 32], &[2, 32, 64], &[2, 64, 1], &[2, 64, 32]], true),
            (attention, &[&[2, 64, 32], &[2, 32, 64], &[1], &[64, 32]], true),
            (attention, &[&[64, 32], &[32, 64], &[1], &[3, 64, 32]], false),
            (tail, &[&[64, 32], &[32, 64], &[64], &[64, 32], &[64, 32]], true),
            (tail, &[&[2, 64, 32], &[2, 32, 64], &[1], &[2, 64, 32], &[32]], true),
            // A plan of its own adds what is larger.
            (tail, &[&[64, 32], &[32, 64], &[1], &[64, 32], &[2, 64, 32]], true),
            (tail, &[&[64, 32], &[32, 64], &[1], &[64, 32], &[1, 64, 32]], false),
            // No output has the product's type, and of its rows a scratch holds too few.
            (f64s, &[&[64, 32], &[32, 64], &[1], &[64, 32], &[32]], true),
            (f64s, &[&[40, 8], &[8, 40], &[1], &[40, 20_000], &[1]], false),
        ] {
            assert_eq!(needs_passes(text, shapes), !is_on_rows, "{text} {shapes:?}");
        }
    }

    /// So do left operands that are large, of rows that are not too long.
    #[test]
    fn usual_prologues_need_no_passes() {
        for text in ["relu(x) @ w + b", "layer_norm[-1](x) @ w + b"] {
            for (left, right, is_on_rows) in [
                (&[300, 128][..], &[128, 64][..], true),
                (&[2, 100, 256], &[256, 64], true),
                (&[2000, 1, 64], &[64, 64], true),
                (&[2, 300, 64], &[2, 64, 64], true),
                (&[2000, 2, 64], &[2000, 64, 64], false),
                (&[300, 32], &[32, 64], true),
                (&[300, 6000], &[6000, 64], false),
                (&[3000, 64], &[64, 4], false),
            ] {
                let last = &right[right.len() - 1..];
                assert_eq!(
                    needs_passes(text, &[left, right, last]),
                    !is_on_rows,
                    "{text} {left:?}"
                );
            }
        }
    }

    /// Masks are looked at before a product is computed: where what is left out is the same all along a row.
    #[test]
    fn masks_are_known_beforehand() {
        let head = "|q: f32[t, d], k: f32[d, s], v: f32[s, e], m: bool[t, s], b: f32[t, s]| \
                    let s = q @ k; let i = iota[-2](s); let j = iota[-1](s);";
        for (text, is_masked) in [
            ("softmax[-1](select(i >= j, s, -inf)) @ v", true),
            ("softmax[-1](select(i < j, -inf, s * 2)) @ v", true),
            ("softmax[-1](select(i >= j, s, -1e9)) @ v", true),
            ("softmax_or_zero[-1](select(i >= j & i < j + 9, s, -inf)) @ v", true),
            ("softmax[-1](select(j < 7, select(i > j, s + b, -inf), -inf)) @ v", true),
            ("softmax[-1](select(m, s, -inf)) @ v", true),
            ("select(m, softmax[-1](select(m, s, -inf)), 0) @ v", true),
            // What is masked is not the same, or not lost.
            ("softmax[-1](select(m, s, b)) @ v", false),
            ("softmax[-1](select(m, s, -inf) + b) @ v", false),
            ("softmax[-1](s + b) @ v", false),
            ("softmax[-1](select(s > 0, s, -inf)) @ v", false),
            ("layer_norm[-1](select(m, s, 0)) @ v", false),
            ("softmax[-1](select(m, s, -inf))", false),
        ] {
            let kernel = crate::compile_text(&format!("{head} {text}")).unwrap();
            let product = kernel.plans.usual().steps.iter().find_map(|step| match &step.action {
                Action::Map { kernel: Compiled::Product(product), .. } => Some(product),
                _ => None,
            });
            let program = product.unwrap().program.as_ref().unwrap();
            assert_eq!(program.mask.is_some(), is_masked, "{text}");
        }
    }

    /// Whether a call with inputs of these shapes, whose kernel is one, goes pass by pass; so its plan says.
    fn needs_passes(text: &str, shapes: &[&[usize]]) -> bool {
        // How many threads a call gets depends on when the last one ran.
        let options = CompileOptions::new().threads(1);
        let kernel = compile_with(&kiln_ir::parse(text).unwrap(), options).unwrap();
        let zeros = |shape: &&[usize]| Tensor::zeros(DType::F32, shape).unwrap();
        let inputs: Vec<Tensor> = shapes.iter().map(zeros).collect();
        let inputs: Vec<View<'_>> = inputs.iter().map(Tensor::view).collect();
        kernel.run(&inputs).unwrap();
        let [step] = &kernel.plans.usual().steps[..] else { panic!("one kernel") };
        let Action::Map { kernel: Compiled::Product(product), .. } = &step.action else {
            panic!("a product's");
        };
        let needed = product.passes.were_needed();
        let plan = kernel.plan_for(&inputs).unwrap();
        assert_eq!(plan.to_string().contains("pass by pass"), needed, "{shapes:?}: {plan}");
        needed
    }
}
