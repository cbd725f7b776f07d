//! The short way of a call: a kernel of one pass, on arrays of one shape that all lie alike, element
//! after element, on single elements, and on rows that repeat, as a bias does. What a general call
//! works out is known beforehand, so this takes tens of nanoseconds. It runs the same code in the same way, so results have the same bits.

use super::call::{Call, Pads};
use super::compiled::Compiled;
use super::exec::{PER_BYTE, WORTH_A_THREAD, Work, execute_checked};
use super::layout::OPERANDS;
use super::operand::{Operand, OperandMut};
use super::pack::{self, Vector};
use super::view::Layout;
use crate::plan::{Access, Action, Chosen, Kept, Place, Plans};
use kiln_ir::{Input, SMALL_RANK};
use kiln_jit::emit::{Code, Cursor};
use smallvec::SmallVec;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

/// What such calls of a kernel need to know.
#[derive(Debug)]
pub(super) struct Direct {
    /// The pass for each set of inputs that are single elements: bit `b` of the index is input `b`.
    /// Where all calls have one plan, there is one. `None` where that plan has other passes too.
    passes: Box<[OnceLock<Option<Pass>>]>,
}

/// The pass of a plan that has no other.
#[derive(Debug)]
pub(super) struct Pass {
    plan: Kept<Compiled>,
    /// For each operand of the code, the position of its array among the call's.
    places: SmallVec<[u8; OPERANDS]>,
    /// The inputs that it reads: bit `b` stands for input `b`.
    reads: usize,
    /// Bytes of an element of each.
    sizes: SmallVec<[usize; OPERANDS]>,
    /// Calls of more elements than this are worth a second thread.
    most: usize,
}

/// The shortest row that repeats. Of shorter ones, code would do little at a time.
const ROW: usize = 64;

/// A pass, and how the inputs of a call lie.
#[derive(Debug)]
pub(super) struct Fit<'k, 'a> {
    pass: &'k Pass,
    code: &'k Code,
    /// Elements of a row: of all arrays, unless there are inputs that repeat along the last axis.
    row: usize,
    pub(super) alike: Alike<'a>,
}

/// Arrays that lie as one does.
#[derive(Clone, Copy, Debug)]
pub struct Alike<'a> {
    /// The first of them.
    pub(super) model: Operand<'a>,
    /// Whether the first axis is the fastest, and not the last.
    pub(super) is_column_major: bool,
    len: usize,
}

impl Direct {
    /// If a kernel with these plans can be called so. Shapes that are declared must be checked.
    pub(super) fn new(plans: &Plans<Compiled>, inputs: &[Input]) -> Option<Direct> {
        /// Of more inputs, there are too many sets.
        const MOST_INPUTS: usize = 6;
        let sets = match plans.is_one() {
            true => 1,
            false if inputs.len() <= MOST_INPUTS => 1 << inputs.len(),
            false => return None,
        };
        let is_open = inputs.iter().all(|input| input.dims.is_none());
        let direct = Direct { passes: (0..sets).map(|_| OnceLock::new()).collect() };
        (is_open && (1..=OPERANDS).contains(&inputs.len())).then_some(direct)
    }

    /// How the inputs lie, if they lie alike, and the pass that such a call is.
    #[inline]
    pub(super) fn fit<'k, 'a>(
        &'k self,
        plans: &'k Plans<Compiled>,
        inputs: &[Operand<'a>],
    ) -> Option<Fit<'k, 'a>> {
        let mut model = &inputs[0];
        for input in &inputs[1..] {
            if input.shape.len() > model.shape.len() {
                model = input;
            }
        }
        let alike = Alike::new(model)?;
        let is_array = !model.shape.is_empty();
        let (mut elements, mut rows) = (0, 0);
        for (at, input) in inputs.iter().enumerate() {
            match input.shape {
                [] => elements |= 1 << at,
                _ if alike.fits(input) => {}
                _ if alike.repeats(input) => rows |= 1 << at,
                _ => return None,
            }
        }
        // What is computed of rows alone may be worth a plan of its own.
        if rows != 0 && self.passes.len() > 1 {
            return None;
        }
        // Empty arrays are small to a plan, and tell nothing of the next call.
        if alike.len == 0 && self.passes.len() > 1 {
            return None;
        }
        let set = if is_array && plans.tells_elements(alike.len) { elements } else { 0 };
        let make = || Pass::new(plans.choose(inputs.iter().map(|input| input.shape)));
        let pass = self.passes[set].get_or_init(make).as_ref()?;
        // What is computed of single elements alone has the shape of one, and of rows that of a row.
        if is_array && pass.reads & !(elements | rows) == 0 {
            return None;
        }
        if rows != 0 && alike.len > pass.most {
            return None;
        }
        let Action::Map { kernel: Compiled::Map(code), .. } =
            &pass.plan.plan(plans).steps[0].action
        else {
            return None;
        };
        let row = match model.shape {
            [.., columns] if rows != 0 => *columns,
            _ => alike.len,
        };
        Some(Fit { pass, code, row, alike })
    }
}

impl Pass {
    /// The only pass of a plan.
    fn new(plan: Chosen<'_, Compiled>) -> Option<Pass> {
        let [step] = &plan.steps[..] else { return None };
        let Action::Map { kernel: Compiled::Map(code), .. } = &step.action else { return None };
        let accesses = || step.args.iter().chain(&step.results);
        if accesses().count() > OPERANDS || step.args.is_empty() {
            return None;
        }
        if !plan.checks.is_empty()
            || !plan.through.is_empty()
            || step.args.iter().any(|arg| arg.view.is_some())
        {
            return None;
        }
        let place = |access: &Access| match access.place {
            Place::Input(index) | Place::Output(index) => u8::try_from(index).ok(),
            Place::Buffer(_) | Place::Numbers(_) => None,
        };
        let places = accesses().map(place).collect::<Option<SmallVec<[u8; OPERANDS]>>>()?;
        let reads = places[..step.args.len()].iter().map(|&place| 1 << place).sum();
        let sizes: SmallVec<[usize; OPERANDS]> =
            accesses().map(|access| access.dtype.size()).collect();
        let nanoseconds = code.nanoseconds().max(sizes.iter().sum::<usize>() as f64 * PER_BYTE);
        let most = (2.0 * WORTH_A_THREAD / nanoseconds) as usize;
        Some(Pass { plan: plan.keep(), places, reads, sizes, most })
    }
}

impl Fit<'_, '_> {
    /// Runs the code on the inputs that fit. Does nothing, and says so, unless the outputs lie as
    /// they do.
    ///
    /// # Safety
    ///
    /// The inputs must be those that fit; they and the outputs must have the types of the kernel. An
    /// output may be exactly an input, and overlaps nothing else.
    #[inline]
    pub(super) unsafe fn run(
        &self,
        inputs: &[Operand<'_>],
        outputs: &[OperandMut<'_>],
        threads: Option<usize>,
    ) -> bool {
        if !outputs.iter().all(|output| self.alike.fits(&output.to)) {
            return false;
        }
        kiln_ir::span!(TRACE, "run");
        let operand = |op: usize| {
            let place = usize::from(self.pass.places[op]);
            if op < self.code.inputs().len() { &inputs[place] } else { &outputs[place].to }
        };
        // SAFETY: required of the caller.
        unsafe {
            match self.alike.len {
                0 => {}
                len if len <= self.pass.most => self.run_here(len, operand),
                len => self.run_shared(len, operand, threads),
            }
        }
        true
    }

    /// Runs on this thread.
    #[inline]
    unsafe fn run_here<'o>(&self, len: usize, operand: impl Fn(usize) -> &'o Operand<'o>) {
        let (code, sizes) = (self.code, &self.pass.sizes[..]);
        let mut vectors = MaybeUninit::<[Vector; OPERANDS]>::uninit();
        let pads = Pads(vectors.as_mut_ptr().cast());
        let mut cursors = [Cursor { base: ptr::null_mut(), step: 0, row: 0 }; OPERANDS];
        let cursors = &mut cursors[..sizes.len()];
        for (op, cursor) in cursors.iter_mut().enumerate() {
            let from = operand(op);
            if op >= code.inputs().len() {
                cursor.base = from.base;
            } else if from.shape.is_empty() {
                cursor.base = pads.of(op);
                // SAFETY: the one element, and a pad with room for the copies.
                unsafe { pack::fill(cursor.base, from.base, code.copies(), sizes[op]) };
            } else {
                (cursor.base, cursor.step) = (from.base, code.lanes() * sizes[op]);
            }
            // An input with fewer axes repeats: its next row is the same.
            if from.shape.len() == self.alike.model.shape.len() {
                cursor.row = (self.row * sizes[op]) as isize;
            }
        }
        let mut call = Call { code, sizes, cursors, pads, streams: false };
        // SAFETY: every array has `len` elements one after another, which are whole rows; one that
        // repeats has a row of them, and a single element is in its pad as often as the code reads it.
        // The caller vouches for the rest.
        unsafe {
            match self.row == len {
                true => call.run(len),
                false => call.rows(len / self.row, self.row),
            }
        }
    }

    /// Runs on as many threads as pay: the arrays are rows of so many elements.
    unsafe fn run_shared<'o>(
        &self,
        len: usize,
        operand: impl Fn(usize) -> &'o Operand<'o>,
        threads: Option<usize>,
    ) {
        let row = |op: usize| {
            let Operand { base, dtype, shape, .. } = *operand(op);
            let row = [len];
            Layout::row_major(base, dtype, if shape.is_empty() { &[] } else { &row })
        };
        let layouts: SmallVec<[Layout; OPERANDS]> = (0..self.pass.sizes.len()).map(row).collect();
        let operands: SmallVec<[&Layout; OPERANDS]> = layouts.iter().collect();
        let work = Work::new(threads, self.code.nanoseconds());
        // SAFETY: as above; shapes are equal, or of single elements.
        unsafe { execute_checked(self.code, &operands, work) };
    }
}

impl<'a> Alike<'a> {
    /// Arrays like this one, if its elements lie in a row.
    #[inline]
    fn new(model: &Operand<'a>) -> Option<Alike<'a>> {
        let Operand { shape, strides, .. } = *model;
        if shape.len() > SMALL_RANK {
            return None;
        }
        let axes = shape.iter().zip(strides);
        let (len, is_column_major) = match packed(axes.clone().rev()) {
            Some(len) => (len, false),
            None => (packed(axes)?, true),
        };
        Some(Alike { model: *model, is_column_major, len })
    }

    /// Whether an array lies in the same way.
    #[inline]
    fn fits(&self, other: &Operand<'_>) -> bool {
        let axes = || self.model.shape.iter().zip(self.model.strides);
        let mut others = other.shape.iter().zip(other.strides);
        self.model.shape.len() == other.shape.len()
            && axes().all(|(&size, &stride)| {
                let (&other_size, &other_stride) = others.next().expect("as many axes");
                size == other_size && (stride == other_stride || size == 1 || self.len == 0)
            })
    }

    /// Whether an array is a row that all rows of these read, along the last axis.
    #[inline]
    fn repeats(&self, other: &Operand<'_>) -> bool {
        match (self.model.shape, other.shape, other.strides) {
            ([_, .., columns], [size], [1]) => {
                size == columns && *size >= ROW && self.len > 0 && !self.is_column_major
            }
            _ => false,
        }
    }

    /// The shape.
    pub(super) fn shape(&self) -> &'a [usize] {
        self.model.shape
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// The number of elements, if they lie one after another; axes are given from the fastest on.
#[inline(always)]
fn packed<'s>(mut axes: impl Iterator<Item = (&'s usize, &'s isize)>) -> Option<usize> {
    let mut len = 1;
    let is_packed = axes.all(|(&size, &stride)| {
        let fits = size == 1 || stride == len as isize;
        len *= size;
        fits
    });
    is_packed.then_some(len)
}
