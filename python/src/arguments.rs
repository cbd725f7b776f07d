//! The arguments of a call: which input gets what, and what types they have.

use crate::array::{Argument, Foreign, Number};
use crate::error;
use crate::kernel::declared;
use crate::run::Views;
use crate::variants::Types;
use kiln::ir::FreeInput;
use kiln::{DType, RunError};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use smallvec::SmallVec;

/// What a kernel's inputs are, and how arguments find them.
pub(crate) struct Bindings<'k> {
    pub(crate) inputs: &'k [FreeInput],
    pub(crate) names: &'k [Py<PyString>],
    pub(crate) bound: &'k [Option<Py<PyAny>>],
    pub(crate) foreign: Foreign,
}

/// A call's arguments, those of bound inputs left out.
pub(crate) struct Call<'k, 'py> {
    inputs: &'k [FreeInput],
    /// With the index of the input.
    arguments: SmallVec<[(usize, Argument<'py>); 8]>,
    /// The type of each input, bound ones too.
    pub(crate) types: Types,
    /// How many are given by position.
    pub(crate) positional: usize,
    pub(crate) out: Option<Bound<'py, PyAny>>,
}

impl<'k> Bindings<'k> {
    /// Finds the argument of each input, by position or by name.
    #[inline]
    pub(crate) fn call<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Call<'k, 'py>> {
        let py = args.py();
        let positional = args.len();
        let mut given = args.iter_borrowed();
        let mut arguments = SmallVec::new();
        let mut named = 0;
        for (index, (input, name)) in self.inputs.iter().zip(self.names).enumerate() {
            if self.bound[index].is_some() {
                continue;
            }
            let by_name = match kwargs {
                Some(kwargs) => kwargs.get_item(name)?,
                None => None,
            };
            named += usize::from(by_name.is_some());
            let argument = match (given.next(), by_name) {
                (Some(object), None) => Argument::new(&object, self.foreign, &input.name)?,
                (None, Some(object)) => Argument::new(&object, self.foreign, &input.name)?,
                (None, None) => return Err(self.missing(input, positional, kwargs)),
                (Some(_), Some(_)) => {
                    return Err(error::run(RunError::InputTwice { name: input.name.clone() }));
                }
            };
            arguments.push((index, argument));
        }
        let out = match kwargs {
            Some(kwargs) => kwargs.get_item(intern!(py, "out"))?,
            None => None,
        };
        let known = named + usize::from(out.is_some());
        if given.next().is_some() || kwargs.is_some_and(|kwargs| kwargs.len() > known) {
            return Err(self.unknown(positional, kwargs));
        }
        let out = out.filter(|out| !out.is_none());
        let types = self.types(py, &arguments)?;
        Ok(Call { inputs: self.inputs, arguments, types, positional, out })
    }

    /// The type of each input: as declared, or that of its argument.
    #[inline]
    fn types(&self, py: Python<'_>, arguments: &[(usize, Argument<'_>)]) -> PyResult<Types> {
        let is_float = |(_, argument): &(usize, Argument<'_>)| {
            matches!(argument, Argument::Number(Number::Float(_)))
        };
        let dtypes = arguments.iter().filter_map(|(_, argument)| argument.dtype());
        let widest =
            dtypes.reduce(DType::promote).or(arguments.iter().any(is_float).then_some(DType::F64));
        let mut arguments = arguments.iter().peekable();
        let of_input = |(index, input): (usize, &FreeInput)| {
            let argument = arguments.next_if(|(at, _)| *at == index);
            Ok(match (declared(input), argument, &self.bound[index]) {
                (Some(dtype), ..) => dtype,
                (None, Some((_, Argument::Array(array))), _) => array.dtype,
                (None, Some((_, Argument::Number(number))), _) => number.dtype_beside(widest),
                (None, None, Some(value)) => {
                    let argument = Argument::new(value.bind(py), self.foreign, &input.name)?;
                    argument.dtype().unwrap_or(DType::F32)
                }
                (None, None, None) => unreachable!("an input is bound or has an argument"),
            })
        };
        self.inputs.iter().enumerate().map(of_input).collect()
    }

    /// The inputs that calls give.
    fn free(&self) -> impl Iterator<Item = &FreeInput> {
        let inputs = self.inputs.iter().zip(self.bound);
        inputs.filter(|(_, bound)| bound.is_none()).map(|(input, _)| input)
    }

    /// The error for an input without an argument.
    #[cold]
    fn missing(
        &self,
        input: &FreeInput,
        positional: usize,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyErr {
        // A name that no input has tells more than the one that is missing.
        match self.unknown_name(kwargs) {
            Some(error) => error,
            None if kwargs.is_none() => {
                let inputs = self.free().map(FreeInput::to_string).collect();
                error::run(RunError::InputCount { inputs, found: positional })
            }
            None => error::run(RunError::InputMissing { input: input.to_string() }),
        }
    }

    /// The error for an argument that no input takes.
    #[cold]
    fn unknown(&self, positional: usize, kwargs: Option<&Bound<'_, PyDict>>) -> PyErr {
        self.unknown_name(kwargs).unwrap_or_else(|| {
            let inputs = self.free().map(FreeInput::to_string).collect();
            error::run(RunError::InputCount { inputs, found: positional })
        })
    }

    fn unknown_name(&self, kwargs: Option<&Bound<'_, PyDict>>) -> Option<PyErr> {
        let names: Vec<String> = self.free().map(|input| input.name.clone()).collect();
        let given = kwargs?.keys().iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let name = given.into_iter().find(|name| name != "out" && !names.contains(name))?;
        let is_bound = self.inputs.iter().any(|input| input.name == name);
        Some(match is_bound {
            true => PyTypeError::new_err(format!("input {name} is bound already")),
            false => error::run(RunError::NoInput { name, inputs: names }),
        })
    }
}

impl Call<'_, '_> {
    /// What the kernel reads. Views are large, so they are made where they stay.
    #[inline]
    pub(crate) fn add_views<'a>(&'a self, views: &mut Views<'a>) -> PyResult<()> {
        for (at, argument) in &self.arguments {
            argument.add_view(self.types[*at], &self.inputs[*at].name, views)?;
        }
        Ok(())
    }
}
