//! `fuse!`, which makes a function of a closure.

use super::function::Function;
use super::outputs::{Elements, Outputs, Returned, ReturnedAs};
use crate::cache::KernelCache;
use crate::error::CompileError;
use crate::options::CompileOptions;
use crate::pipeline::compile_with;
use crate::run::{Element, Kernel};
use kiln_ir::{DType, Expr, Graph, GraphError, build_function};
use std::any::TypeId;
use std::sync::Arc;

/// Compiles a closure over expressions to a [`Function`](crate::Function).
///
/// ```
/// use kiln::{CompileError, CompileOptions, Float, Function, KernelCache, Mode, fuse};
/// use ndarray::array;
/// use std::sync::LazyLock;
///
/// // The parameters are the inputs, in this order and by these names: `f32` arrays of any rank,
/// // unless they have a type. In the body each is an `&Expr`.
/// let silu = fuse!(|x| x * x.sigmoid())?;
/// assert_eq!(silu.call(&array![0.0])?, array![0.0]);
///
/// // Several outputs are a tuple.
/// let both = fuse!(|x: f64, y: f64| (x + y, x - y))?;
/// let (sum, difference) = both.call((&array![1.0, 2.0], 0.5))?;
/// assert_eq!((sum, difference), (array![1.5, 2.5], array![0.5, 1.5]));
///
/// // Outputs have the element type of the first parameter, unless they have types. (Of halves,
/// // arithmetic is done in `f32`, and then rounded once.)
/// let is_inside = fuse!(|x, limit| -> bool { x.abs().lt(limit) })?;
/// assert_eq!(is_inside.call((&array![1.0, -3.0], 2.0))?, array![true, false]);
///
/// // Shapes may be declared. They are checked at each call.
/// let layer = fuse!(|x: f32[n, k], w: f32[k, m], b: f32[m]| (x.matmul(w) + b).relu())?;
/// assert_eq!(layer.kernel().inputs()[1].to_string(), "w: f32[k, m]");
///
/// // Types may be generic, and options come first.
/// fn softsign<T: Float>() -> Result<Function<(T,), (T,)>, CompileError> {
///     fuse!(CompileOptions::new().mode(Mode::Fast), |x: T| x / (1.0 + x.abs()))
/// }
/// assert_eq!(softsign::<f64>()?.call(&array![1.0])?, array![0.5]);
///
/// // In a cache, a closure is compiled once. It may capture nothing.
/// static KERNELS: LazyLock<KernelCache> = LazyLock::new(|| KernelCache::new(100));
/// for _ in 0..3 {
///     let half = fuse!(in KERNELS, |x| 0.5 * x)?;
///     assert_eq!(half.call(&array![1.0])?, array![0.5]);
/// }
/// assert_eq!(KERNELS.compile_count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! fuse {
    (|$($closure:tt)+) => {
        $crate::__fuse!([fuse, fuse_as] ($crate::CompileOptions::new()) |$($closure)+)
    };
    (in $cache:expr, |$($closure:tt)+) => {
        $crate::__fuse!([cached, cached_as] (&$cache, $crate::CompileOptions::new()) |$($closure)+)
    };
    (in $cache:expr, $options:expr, |$($closure:tt)+) => {
        $crate::__fuse!([cached, cached_as] (&$cache, $options) |$($closure)+)
    };
    ($options:expr, |$($closure:tt)+) => {
        $crate::__fuse!([fuse, fuse_as] ($options) |$($closure)+)
    };
}

/// `fuse!` once the options are known: what calls it says which of the functions below it takes.
#[doc(hidden)]
#[macro_export]
macro_rules! __fuse {
    ([$fuse:ident, $fuse_as:ident] ($($options:expr),+)
        |$($name:ident $(: $type:ty $([$($dims:tt)*])?)?),+ $(,)?| -> ($($out:ty),+ $(,)?) $body:block
    ) => {
        $crate::__private::$fuse_as::<($($crate::__fuse!(@type $($type)?),)+), ($($out,)+), _, _, _>(
            $($options),+,
            &[$($crate::__fuse!(@parameter $name $($type $([$($dims)*])?)?)),+],
            |[$($name),+]| $body,
        )
    };
    ([$fuse:ident, $fuse_as:ident] $options:tt
        |$($name:ident $(: $type:ty $([$($dims:tt)*])?)?),+ $(,)?| -> $out:ty $body:block
    ) => {
        $crate::__fuse!([$fuse, $fuse_as] $options
            |$($name $(: $type $([$($dims)*])?)?),+| -> ($out,) $body)
    };
    ([$fuse:ident, $fuse_as:ident] ($($options:expr),+)
        |$($name:ident $(: $type:ty $([$($dims:tt)*])?)?),+ $(,)?| $body:expr
    ) => {
        $crate::__private::$fuse::<($($crate::__fuse!(@type $($type)?),)+), _, _, _>(
            $($options),+,
            &[$($crate::__fuse!(@parameter $name $($type $([$($dims)*])?)?)),+],
            |[$($name),+]| $body,
        )
    };
    (@type) => { f32 };
    (@type $type:ty) => { $type };
    (@parameter $name:ident) => {
        $crate::__private::parameter::<f32>(stringify!($name), "")
    };
    (@parameter $name:ident $type:ty) => {
        $crate::__private::parameter::<$type>(stringify!($name), "")
    };
    (@parameter $name:ident $type:ty [$($dims:tt)*]) => {
        $crate::__private::parameter::<$type>(stringify!($name), stringify!([$($dims)*]))
    };
}

/// A parameter, with its axes in brackets if they are declared.
#[track_caller]
pub fn parameter<T: Element>(name: &str, dims: &str) -> Expr {
    Expr::input(format!("{name}: {}{dims}", T::DTYPE))
}

/// The graph of a closure. Arithmetic on halves gives `f32`: what is to be a half is rounded to one.
fn trace<'p, O: Outputs, R: Returned, const N: usize>(
    parameters: &'p [Expr; N],
    closure: impl FnOnce([&'p Expr; N]) -> R,
) -> Result<Graph, GraphError> {
    let mut outputs = closure(parameters.each_ref()).expressions();
    let graph = build_function("kernel", parameters, &outputs)?;
    let is_half = |dtype| matches!(dtype, DType::F16 | DType::BF16);
    let mut rounds = false;
    for ((output, &id), &dtype) in outputs.iter_mut().zip(graph.outputs()).zip(O::DTYPES) {
        if is_half(dtype) && graph.dtype(id) == DType::F32 {
            *output = output.cast(dtype);
            rounds = true;
        }
    }
    if rounds { build_function("kernel", parameters, &outputs) } else { Ok(graph) }
}

fn compiled(graph: &Graph, options: CompileOptions) -> Result<Arc<Kernel>, CompileError> {
    compile_with(graph, options).map(Arc::new)
}

/// A function whose outputs all have the type of the first input.
pub fn fuse<'p, I: Elements, R: Returned, F, const N: usize>(
    options: CompileOptions,
    parameters: &'p [Expr; N],
    closure: F,
) -> Result<Function<I, R::Of<I::First>>, CompileError>
where
    F: FnOnce([&'p Expr; N]) -> R,
{
    let graph = trace::<R::Of<I::First>, _, _>(parameters, closure)?;
    Ok(Function::new(compiled(&graph, options)?)?)
}

/// A function whose outputs have the types `O`.
pub fn fuse_as<'p, I: Elements, O: Outputs, R: ReturnedAs<O>, F, const N: usize>(
    options: CompileOptions,
    parameters: &'p [Expr; N],
    closure: F,
) -> Result<Function<I, O>, CompileError>
where
    F: FnOnce([&'p Expr; N]) -> R,
{
    let graph = trace::<O, _, _>(parameters, closure)?;
    Ok(Function::new(compiled(&graph, options)?)?)
}

/// As [`fuse`], in a cache.
pub fn cached<'p, I: Elements, R: Returned, F, const N: usize>(
    cache: &KernelCache,
    options: CompileOptions,
    parameters: &'p [Expr; N],
    closure: F,
) -> Result<Function<I, R::Of<I::First>>, CompileError>
where
    F: FnOnce([&'p Expr; N]) -> R + 'static,
{
    Ok(Function::new(in_cache::<R::Of<I::First>, _, _, _>(cache, options, parameters, closure)?)?)
}

/// As [`fuse_as`], in a cache.
pub fn cached_as<'p, I: Elements, O: Outputs, R: ReturnedAs<O>, F, const N: usize>(
    cache: &KernelCache,
    options: CompileOptions,
    parameters: &'p [Expr; N],
    closure: F,
) -> Result<Function<I, O>, CompileError>
where
    F: FnOnce([&'p Expr; N]) -> R + 'static,
{
    Ok(Function::new(in_cache::<O, _, _, _>(cache, options, parameters, closure)?)?)
}

/// A closure without captures does the same whenever it is called, and its type tells it from all
/// others. (What it calls may not: a closure that reads a clock has no place in a cache.)
fn in_cache<'p, O: Outputs, R: Returned, F, const N: usize>(
    cache: &KernelCache,
    options: CompileOptions,
    parameters: &'p [Expr; N],
    closure: F,
) -> Result<Arc<Kernel>, CompileError>
where
    F: FnOnce([&'p Expr; N]) -> R + 'static,
{
    const {
        assert!(
            size_of::<F>() == 0,
            "a closure in a cache captures nothing: pass what varies as an input"
        );
    }
    cache.get_or_build(TypeId::of::<F>(), options, || Ok(trace::<O, _, _>(parameters, closure)?))
}
