//! Inputs that are bound to constants, and what products read of them, packed once.

use super::check;
use super::copy::copy;
use super::error::{Argument, RunError};
use super::factors::{Matrices, in_elements};
use super::tensor::Tensor;
use super::view::{Layout, View};
use kiln_ir::{Dims, Input};
use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

/// Views of a constant that are packed: calls whose views differ each time must not fill memory.
const MOST_PACKED: usize = 16;

/// The constants of a kernel. Clones share them, and what was packed.
#[derive(Clone, Debug, Default)]
pub(super) struct Bound {
    /// For each input of the graph, what it is bound to; empty where none is.
    constants: Vec<Option<Arc<Constant>>>,
    /// What a call gives, where any is bound.
    rest: Vec<Input>,
}

/// An array that does not change.
#[derive(Debug)]
struct Constant {
    array: Tensor,
    packed: RwLock<Vec<Arc<Packed>>>,
}

/// A constant, or a view of one, as products read it.
#[derive(Debug)]
pub(super) struct Packed {
    /// Of the view: where it begins in the constant, in bytes, and how it lies.
    start: usize,
    shape: Dims<usize>,
    strides: Dims<isize>,
    pub(super) matrices: Matrices,
}

impl Bound {
    /// Those of a kernel that has none.
    pub(super) const NONE: &'static Bound = &Bound { constants: Vec::new(), rest: Vec::new() };

    pub(super) fn is_empty(&self) -> bool {
        self.constants.is_empty()
    }

    /// These and one more: a copy of `value`, for the input of this name. `inputs` are those of the graph.
    pub(super) fn with(
        &self,
        inputs: &[Input],
        name: &str,
        value: &View<'_>,
    ) -> Result<Bound, RunError> {
        let open = self.inputs(inputs);
        if !open.iter().any(|input| input.name == name) {
            let is_known = inputs.iter().any(|input| input.name == name);
            return Err(match is_known {
                true => RunError::InputTwice { name: name.into() },
                false => RunError::NoInput {
                    name: name.into(),
                    inputs: open.iter().map(|input| input.name.clone()).collect(),
                },
            });
        }
        let mut bound = self.clone();
        bound.constants.resize(inputs.len(), None);
        let of_name = inputs.iter().position(|input| input.name == name);
        let index = of_name.expect("what is open is an input");
        value.layout.check_rank(|| Argument::Input { index, name: Some(name.into()) })?;
        let mut array = Tensor::zeros(value.dtype(), value.shape())?;
        copy(value, &mut array.view_mut());
        bound.constants[index] = Some(Arc::new(Constant { array, packed: RwLock::default() }));
        let is_open = |(_, constant): &(&Input, &Option<_>)| constant.is_none();
        let open = inputs.iter().zip(&bound.constants).filter(is_open);
        bound.rest = open.map(|(input, _)| input.clone()).collect();
        let known = inputs.iter().zip(&bound.constants);
        check::fit(known.filter_map(|(input, constant)| {
            constant.as_ref().map(|constant| (input, constant.array.view()))
        }))?;
        Ok(bound)
    }

    /// What a call gives, of these inputs.
    pub(super) fn inputs<'k>(&'k self, all: &'k [Input]) -> &'k [Input] {
        if self.is_empty() { all } else { &self.rest }
    }

    /// What a call gives, and the constants, in the order of the graph's inputs.
    pub(super) fn arguments<'v>(
        &'v self,
        all: &[Input],
        given: &'v [View<'v>],
    ) -> Result<Cow<'v, [View<'v>]>, RunError> {
        if self.is_empty() {
            check::inputs(all, given)?;
            return Ok(Cow::Borrowed(given));
        }
        check::count(&self.rest, given)?;
        let mut given = given.iter();
        let views: Vec<View<'v>> = self
            .constants
            .iter()
            .map(|constant| match constant {
                Some(constant) => constant.array.view(),
                None => given.next().expect("counted").clone(),
            })
            .collect();
        check::inputs(all, &views)?;
        Ok(Cow::Owned(views))
    }

    /// The array of an input, if it is bound.
    pub(super) fn array(&self, input: usize) -> Option<View<'_>> {
        Some(self.constants.get(input)?.as_ref()?.array.view())
    }

    /// The matrices of a right operand, packed now if they were not before; `None` where it is no view
    /// of a constant.
    pub(super) fn packed(&self, right: &Layout) -> Option<Arc<Packed>> {
        let of = |constant: &Arc<Constant>| constant.packed(right);
        self.constants.iter().flatten().find_map(of)
    }

    /// Bytes of constants, and of what was packed.
    pub(super) fn bytes(&self) -> usize {
        self.constants.iter().flatten().map(|constant| constant.bytes()).sum()
    }
}

impl Constant {
    fn bytes(&self) -> usize {
        let packed = self.packed.read().unwrap_or_else(PoisonError::into_inner);
        let packed: usize = packed.iter().map(|packed| packed.matrices.bytes()).sum();
        packed + self.array_bytes()
    }

    fn array_bytes(&self) -> usize {
        self.array.shape().iter().product::<usize>() * self.array.dtype().size()
    }

    fn packed(&self, right: &Layout) -> Option<Arc<Packed>> {
        let first = self.array.view().layout.base.addr();
        let start = right.base.addr().checked_sub(first).filter(|&at| at < self.array_bytes())?;
        let find = |known: &[Arc<Packed>]| {
            let is_it = |packed: &&Arc<Packed>| {
                (packed.start, &packed.shape, &packed.strides)
                    == (start, &right.shape, &right.strides)
            };
            known.iter().find(is_it).cloned()
        };
        let found = find(&self.packed.read().unwrap_or_else(PoisonError::into_inner));
        if found.is_some() {
            return found;
        }
        // Others that need it wait, and then find it.
        let mut known = self.packed.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = find(&known) {
            return Some(found);
        }
        if known.len() == MOST_PACKED {
            return None;
        }
        let size = right.dtype.size();
        if right.strides.iter().any(|&stride| in_elements(stride, size).is_none()) {
            return None;
        }
        // SAFETY: a layout that begins in the constant is that of a view of it, which is readable.
        let matrices = unsafe { Matrices::pack(right)? };
        let (shape, strides) = (right.shape.clone(), right.strides.clone());
        known.push(Arc::new(Packed { start, shape, strides, matrices }));
        known.last().cloned()
    }
}
