//! A kernel whose number of inputs and element types the compiler knows.

use super::args::Rank;
use super::outputs::{Elements, Outputs};
use super::signature::check;
use super::tuples::{Args, Stateful, Targets};
use crate::error::SignatureError;
use crate::run::{FromResults, Kernel, RunError};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A kernel with inputs of the element types `I` and outputs of `O`, each a tuple, such as
/// `Function<(f32, f32), (f32,)>`.
///
/// [`fuse!`](crate::fuse!) makes one of a closure, [`Kernel::function`] of any kernel. Clones share
/// the kernel. Calls take arrays of any rank and layout; shapes broadcast as in NumPy.
pub struct Function<I, O> {
    kernel: Arc<Kernel>,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> Clone for Function<I, O> {
    fn clone(&self) -> Function<I, O> {
        Function { kernel: self.kernel.clone(), types: PhantomData }
    }
}

impl<I, O> fmt::Debug for Function<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.kernel).finish()
    }
}

impl<I: Elements, O: Outputs> Function<I, O> {
    /// A function that calls `kernel`. Fails unless the kernel has inputs and outputs of these
    /// element types.
    pub fn new(kernel: Arc<Kernel>) -> Result<Function<I, O>, SignatureError> {
        check::<I, O>(&kernel)?;
        Ok(Function { kernel, types: PhantomData })
    }

    /// The kernel, for what needs no types: its text, what a call would run.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// Calls it with one argument, or a tuple: arrays by reference, views, slices, numbers.
    ///
    /// The results have as many axes as the arguments broadcast together, which is so for whatever
    /// is elementwise; else see [`call_as`](Function::call_as). They lie in memory as the arguments
    /// do, where these agree. Fails, having done nothing, where shapes do not fit.
    ///
    /// ```
    /// use ndarray::{Array2, array};
    ///
    /// let sgd = kiln::fuse!(|p, lr, g| p - lr * g)?;
    /// let p: Array2<f32> = sgd.call((&array![[1.0, 2.0], [3.0, 4.0]], 0.5, &array![2.0, 4.0]))?;
    /// assert_eq!(p, array![[0.0, 0.0], [2.0, 2.0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn call<A: Args<I>>(&self, args: A) -> Result<O::Arrays<<A::Rank as Rank>::Dim>, RunError> {
        self.call_as(args)
    }

    /// Calls it for results of any rank: arrays, `ArrayD`, or single elements for results of no
    /// axes; a tuple for several outputs. Fails where [`call`](Function::call) does, and where a
    /// result has another number of axes.
    ///
    /// ```
    /// use ndarray::{Array1, array};
    ///
    /// let product = kiln::fuse!(|a: f32[n, k], x: f32[k]| a.matmul(x))?;
    /// let y: Array1<f32> = product.call_as((&array![[1.0, 2.0], [3.0, 4.0]], &array![1.0, 1.0]))?;
    /// assert_eq!(y, array![3.0, 7.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn call_as<R: FromResults<O>, A: Args<I>>(&self, args: A) -> Result<R, RunError> {
        args.with(|inputs| self.kernel.call(inputs))
    }

    /// Calls it and writes into the caller's array, or tuple of arrays.
    ///
    /// Allocates nothing, once warm, where the kernel is elementwise, with up to 8 inputs and
    /// outputs in all.
    #[inline]
    pub fn call_into(&self, args: impl Args<I>, targets: impl Targets<O>) -> Result<(), RunError> {
        args.with(|inputs| targets.with(|outputs| self.kernel.call_into(inputs, outputs)))
    }

    /// Calls it on states, the first inputs, each of which is replaced by the output of the same
    /// position: an array or a tuple of arrays by mutable reference, then the other arguments.
    ///
    /// ```
    /// use ndarray::array;
    ///
    /// let momentum = kiln::fuse!(|p, m, g, lr| {
    ///     let m = 0.9 * m + g;
    ///     (p - lr * &m, m)
    /// })?;
    /// let (mut p, mut m, g) = (array![1.0, 2.0], array![0.0, 0.0], array![0.5, 1.0]);
    /// momentum.call_in_place((&mut p, &mut m), (&g, 0.5))?;
    /// assert_eq!((p, m), (array![0.75, 1.5], g));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn call_in_place(
        &self,
        states: impl Targets<O>,
        others: impl Args<I::Others>,
    ) -> Result<(), RunError>
    where
        I: Stateful<O>,
    {
        states.with(|states| others.with(|others| self.kernel.call_in_place(states, others)))
    }
}

impl Kernel {
    /// This kernel as a function, called with arrays and numbers as they are. Fails unless it has
    /// inputs of the element types `I` and outputs of `O`, each a tuple.
    ///
    /// ```
    /// use kiln::Function;
    /// use ndarray::array;
    ///
    /// let kernel = kiln::compile_text("kernel scale(x: f64, by: f64) { x * by }")?;
    /// let scale: Function<(f64, f64), (f64,)> = kernel.function()?;
    /// assert_eq!(scale.call((&array![1.0, 2.0], 3.0))?, array![3.0, 6.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn function<I: Elements, O: Outputs>(self) -> Result<Function<I, O>, SignatureError> {
        Function::new(Arc::new(self))
    }
}
