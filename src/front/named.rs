//! Calls whose arguments are given by name.

use crate::run::{Kernel, RunError, Tensor, View, ViewMut};
use smallvec::SmallVec;

/// A call of a kernel whose inputs are given by name, in any order; made by [`Kernel::bind`].
#[derive(Debug)]
#[must_use = "a call does nothing until it is run"]
pub struct NamedCall<'k, 'a> {
    kernel: &'k Kernel,
    inputs: SmallVec<[Option<View<'a>>; 8]>,
    /// The first mistake.
    mistake: Option<RunError>,
}

impl Kernel {
    /// A call whose inputs are given by name.
    ///
    /// ```
    /// use ndarray::{Array1, array};
    ///
    /// let kernel = kiln::compile_text("p - g*lr")?;
    /// let (p, g) = (array![1f32, 2.0], array![2f32, 4.0]);
    /// let outputs = kernel.bind().input("lr", 0.5f32).input("p", &p).input("g", &g).run()?;
    /// let [p] = outputs.try_into().expect("one output");
    /// assert_eq!(Array1::<f32>::try_from(p)?, array![0.0, 0.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bind(&self) -> NamedCall<'_, '_> {
        let inputs = self.inputs().iter().map(|_| None).collect();
        NamedCall { kernel: self, inputs, mistake: None }
    }
}

impl<'k, 'a> NamedCall<'k, 'a> {
    /// Gives an input: an array by reference, a view, a slice or a number. A mistake, such as a
    /// name that no input has, is told by [`run`](NamedCall::run).
    pub fn input(mut self, name: &str, value: impl Into<View<'a>>) -> NamedCall<'k, 'a> {
        let names = || self.kernel.inputs().iter().map(|input| input.name.clone());
        let mistake = match names().position(|known| known == name) {
            None => Some(RunError::NoInput { name: name.into(), inputs: names().collect() }),
            Some(index) if self.inputs[index].is_some() => {
                Some(RunError::InputTwice { name: name.into() })
            }
            Some(index) => {
                self.inputs[index] = Some(value.into());
                None
            }
        };
        self.mistake = self.mistake.or(mistake);
        self
    }

    /// Runs it, as [`Kernel::run`] does. Fails too where an input is missing, was given twice, or
    /// does not exist.
    pub fn run(self) -> Result<Vec<Tensor>, RunError> {
        let kernel = self.kernel;
        kernel.run(&self.views()?)
    }

    /// Runs it and writes into the caller's arrays, as [`Kernel::run_into`] does.
    pub fn run_into(self, outputs: &mut [ViewMut<'_>]) -> Result<(), RunError> {
        let kernel = self.kernel;
        kernel.run_into(&self.views()?, outputs)
    }

    /// The inputs in the kernel's order.
    fn views(self) -> Result<SmallVec<[View<'a>; 8]>, RunError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let given = self.inputs.into_iter().zip(self.kernel.inputs());
        let view = |(view, input): (Option<View<'a>>, &kiln_ir::Input)| {
            view.ok_or_else(|| RunError::InputMissing { input: input.to_string() })
        };
        given.map(view).collect()
    }
}
