//! The short way of a call: a kernel of one pass, on arrays of one shape that all lie alike, element
//! after element, and on single elements. What a general call works out is known beforehand, so this
//! takes tens of nanoseconds. It runs the same code in the same way, so results have the same bits.

use super::call::{Call, Pads};
use super::exec::{PER_BYTE, WORTH_A_THREAD};
use super::layout::OPERANDS;
use super::operand::{Operand, OperandMut};
use super::pack::{self, Vector};
use crate::plan::{Access, Action, Place, Plan, Plans};
use kiln_ir::{Input, SMALL_RANK};
use kiln_jit::emit::{Code, Cursor};
use smallvec::SmallVec;
use std::mem::MaybeUninit;
use std::ptr;

/// What such a call of a kernel needs to know.
#[derive(Debug)]
pub(super) struct Direct {
    /// For each operand of the code, the position of its array among the call's.
    places: SmallVec<[u8; OPERANDS]>,
    /// Bytes of an element of each.
    sizes: SmallVec<[usize; OPERANDS]>,
    /// Calls of more elements than this are worth a second thread.
    most: usize,
    /// Whether single elements may be among the inputs: with them, another plan may be better.
    takes_elements: bool,
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
    pub(super) fn new(plans: &Plans<Code>, inputs: &[Input]) -> Option<Direct> {
        let Plan { steps, .. } = plans.usual();
        let [step] = &steps[..] else { return None };
        let Action::Map { kernel: code, .. } = &step.action else { return None };
        let accesses = || step.args.iter().chain(&step.results);
        if accesses().count() > OPERANDS || inputs.iter().any(|input| input.dims.is_some()) {
            return None;
        }
        let place = |access: &Access| match access.place {
            Place::Input(index) | Place::Output(index) => u8::try_from(index).ok(),
            Place::Buffer(_) => None,
        };
        let sizes: SmallVec<[usize; OPERANDS]> =
            accesses().map(|access| access.dtype.size()).collect();
        let bytes: usize = sizes.iter().sum();
        let nanoseconds = code.nanoseconds().max(bytes as f64 * PER_BYTE);
        Some(Direct {
            places: accesses().map(place).collect::<Option<_>>()?,
            sizes,
            most: (2.0 * WORTH_A_THREAD / nanoseconds) as usize,
            takes_elements: plans.is_one(),
        })
    }

    /// How the inputs lie, if all that the code reads lie alike.
    #[inline]
    pub(super) fn alike<'a>(&self, code: &Code, inputs: &[Operand<'a>]) -> Option<Alike<'a>> {
        let read = &self.places[..code.inputs().len()];
        let mut operands = read.iter().map(|&place| &inputs[usize::from(place)]);
        let array = operands.clone().find(|operand| !operand.shape.is_empty());
        let alike = Alike::new(array.or_else(|| operands.clone().next())?)?;
        let fits = operands.all(|operand| match operand.shape {
            [] => self.takes_elements,
            _ => alike.fits(operand),
        });
        (fits && alike.len <= self.most).then_some(alike)
    }

    /// Runs the code. Does nothing, and says so, unless the outputs lie as the inputs do.
    ///
    /// # Safety
    ///
    /// `code` must be that of the plan, and `alike` that of the inputs, for which they have the
    /// types of the kernel, as do the outputs. An output may be exactly an input, and overlaps
    /// nothing else.
    #[inline]
    pub(super) unsafe fn run(
        &self,
        code: &Code,
        alike: &Alike<'_>,
        inputs: &[Operand<'_>],
        outputs: &[OperandMut<'_>],
    ) -> bool {
        if !outputs.iter().all(|output| alike.fits(&output.to)) {
            return false;
        }
        if alike.len == 0 {
            return true;
        }
        let (reads, lanes) = (code.inputs().len(), code.lanes());
        let mut vectors = MaybeUninit::<[Vector; OPERANDS]>::uninit();
        let pads = Pads(vectors.as_mut_ptr().cast());
        let mut cursors = [Cursor { base: ptr::null_mut(), step: 0, row: 0 }; OPERANDS];
        let cursors = &mut cursors[..self.places.len()];
        for (op, cursor) in cursors.iter_mut().enumerate() {
            let (place, size) = (usize::from(self.places[op]), self.sizes[op]);
            if op >= reads {
                cursor.base = outputs[place].to.base;
                continue;
            }
            let input = &inputs[place];
            if input.shape.is_empty() {
                cursor.base = pads.of(op);
                // SAFETY: the one element, and a pad with room for the copies.
                unsafe { pack::fill(cursor.base, input.base, code.copies(), size) };
            } else {
                (cursor.base, cursor.step) = (input.base, lanes * size);
            }
        }
        let mut call = Call { code, sizes: &self.sizes, cursors, pads, streams: false };
        // SAFETY: every array has `len` elements in a row, and a single element is in its pad as
        // often as the code reads it. The caller vouches for the rest.
        unsafe { call.run(alike.len) };
        true
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
