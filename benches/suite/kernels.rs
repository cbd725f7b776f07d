//! Kernels, their arrays and the plain copy: what every section measures.

use half::{bf16, f16};
use kiln::ir::Derived;
use kiln::{CompileOptions, DType, Graph, Kernel, Tensor, View, compile_with};
use std::hint::black_box;

pub(crate) fn compile(graph: &Graph, options: CompileOptions) -> Kernel {
    compile_with(graph, options).expect("the suite's kernels compile")
}

/// The kernel of some text, on one thread.
pub(crate) fn text(text: &str, options: CompileOptions) -> Kernel {
    text_on(1, text, options)
}

/// The kernel of some text, on so many threads.
pub(crate) fn text_on(threads: usize, text: &str, options: CompileOptions) -> Kernel {
    let graph = kiln::ir::parse(text).expect("the suite's kernels are well written");
    compile(&graph, options.threads(threads))
}

/// The kernel of a derived op alone.
pub(crate) fn derived(op: &Derived, dtype: DType) -> Graph {
    let required = op.parameters.iter().filter(|parameter| parameter.default.is_none());
    let inputs = required.map(|parameter| parameter.name).collect::<Vec<_>>().join(", ");
    let (name, typed) = (op.name, inputs.replace(", ", &format!(": {dtype}, ")));
    let text = format!("kernel {name}({typed}: {dtype}) {{ {name}({inputs}) }}");
    kiln::ir::parse(&text).expect("a derived op takes arrays of any shape")
}

/// A call of `kernel`, which writes an array of its own.
pub(crate) fn call<'a>(kernel: &'a Kernel, inputs: &'a [Tensor]) -> impl FnMut() + 'a {
    let views: Vec<View<'a>> = inputs.iter().map(Tensor::view).collect();
    call_with(kernel, views)
}

/// [`call`] on any views.
pub(crate) fn call_with<'a>(kernel: &'a Kernel, inputs: Vec<View<'a>>) -> impl FnMut() + 'a {
    let shapes = kernel.output_shapes(&inputs).expect("the inputs fit");
    let mut output = Tensor::zeros(kernel.output_dtype(0), &shapes[0]).expect("memory suffices");
    move || {
        kernel.run_into(&inputs, &mut [output.view_mut()]).expect("the inputs fit");
        black_box(&mut output);
    }
}

/// A copy that reads and writes, in all, so many bytes, on one thread.
pub(crate) fn copy(bytes: usize) -> impl FnMut() {
    let (from, mut to) = (vec![1u8; bytes / 2], vec![2u8; bytes / 2]);
    move || {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    }
}

/// Numbers from -3 to 3, the same ones for the same seed.
pub(crate) fn random(dtype: DType, shape: &[usize], seed: u64) -> Tensor {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut next = || 6.0 * rng.f64() - 3.0;
    let mut tensor = Tensor::zeros(dtype, shape).expect("memory suffices");
    match &mut tensor {
        Tensor::F16(array) => array.mapv_inplace(|_| f16::from_f64(next())),
        Tensor::BF16(array) => array.mapv_inplace(|_| bf16::from_f64(next())),
        Tensor::F32(array) => array.mapv_inplace(|_| next() as f32),
        Tensor::F64(array) => array.mapv_inplace(|_| next()),
        Tensor::Bool(array) => array.mapv_inplace(|_| next() < 0.0),
        Tensor::U8(array) => array.mapv_inplace(|_| (next() * 1e6) as i64 as u8),
        Tensor::I32(array) => array.mapv_inplace(|_| (next() * 1e8) as i32),
        Tensor::I64(array) => array.mapv_inplace(|_| (next() * 1e18) as i64),
    }
    tensor
}
