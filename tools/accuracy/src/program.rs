//! A function's programs: one for each distinct result of the three modes, on every emitter.

use crate::function::Function;
use kiln::explain::{Stage, explain};
use kiln::{
    CompileError, CompileOptions, DType, EmitterKind, Graph, Kernel, Mode, View, ViewMut,
    compile_with,
};
use ndarray::{ArrayView1, ArrayViewMut1};

/// One program, compiled for each emitter that this machine has, the fastest first;
/// without any, the interpreter.
pub(crate) struct Program {
    pub(crate) modes: Vec<Mode>,
    pub(crate) kernels: Vec<(EmitterKind, Kernel)>,
    /// The interpreter, which is compared on a sample.
    pub(crate) interpreter: Kernel,
    pub(crate) text: String,
}

/// The emitters of machine code, the fastest first.
const EMITTERS: [EmitterKind; 3] = [EmitterKind::Avx512, EmitterKind::Avx2, EmitterKind::Cranelift];

/// `graph` on one thread.
pub(crate) fn compile(
    graph: &Graph,
    mode: Mode,
    emitter: EmitterKind,
) -> Result<Kernel, CompileError> {
    compile_with(graph, CompileOptions::new().mode(mode).emitter(emitter).threads(1))
}

/// The programs of `function` in `dtype`. An op alone is the same in the strict and the precise
/// mode; a composite may be three programs.
pub(crate) fn programs(
    function: &Function,
    dtype: DType,
    modes: &[Mode],
) -> Result<Vec<Program>, CompileError> {
    let graph = function.graph(dtype);
    let mut programs: Vec<Program> = Vec::new();
    for &mode in modes {
        let text = explain(&graph, mode, Stage::Vir)?;
        if let Some(same) = programs.iter_mut().find(|program| program.text == text) {
            same.modes.push(mode);
            continue;
        }
        // An emitter that this machine cannot run is left out.
        let mut kernels: Vec<(EmitterKind, Kernel)> = EMITTERS
            .into_iter()
            .filter_map(|kind| compile(&graph, mode, kind).ok().map(|kernel| (kind, kernel)))
            .collect();
        let interpreter = compile(&graph, mode, EmitterKind::Interp)?;
        if kernels.is_empty() {
            kernels.push((EmitterKind::Interp, compile(&graph, mode, EmitterKind::Interp)?));
        }
        programs.push(Program { modes: vec![mode], kernels, interpreter, text });
    }
    Ok(programs)
}

/// Runs a kernel of one output on columns.
pub(crate) fn run<T: kiln::Element, U: kiln::Element>(
    kernel: &Kernel,
    columns: &[&[T]],
    out: &mut [U],
) {
    let inputs: Vec<View<'_>> =
        columns.iter().map(|&column| View::from(ArrayView1::from(column))).collect();
    let output = ViewMut::from(ArrayViewMut1::from(out));
    kernel.run_into(&inputs, &mut [output]).expect("columns of one length fit");
}
