//! The pipeline: every stage in order, from a graph to a kernel. The only file that sees them all.
//!
//! ```text
//! Graph ── verify ── fuse ── verify ── lower ── verify ── emit ── Kernel
//! ```

use crate::fuse::{self, CostModel, Fusion, Proof};
use crate::lower::{self, Tier, lower, op_program_in};
use crate::mode::Mode;
use crate::run::{Kernel, Plan};
use kiln_ir::{DType, Expr, Graph, GraphError, Node, Op, TextError};
use kiln_jit::cpu::Cpu;
use kiln_jit::emit::{self, EmitError, EmitterKind, cost};
use kiln_jit::vir;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// How to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileOptions {
    mode: Mode,
    emitter: EmitterKind,
    threads: Option<usize>,
    fuse: bool,
}

impl Default for CompileOptions {
    fn default() -> CompileOptions {
        CompileOptions {
            mode: Mode::Precise,
            emitter: EmitterKind::Auto,
            threads: None,
            fuse: true,
        }
    }
}

impl CompileOptions {
    /// [`Mode::Precise`], the fastest emitter, all threads of the pool, fused.
    pub fn new() -> CompileOptions {
        CompileOptions::default()
    }

    /// One kernel for each op, as written, with a real temporary for each result: what fused code
    /// is compared with. The mode does not matter, for nothing is rewritten.
    pub fn unfused() -> CompileOptions {
        CompileOptions { fuse: false, ..CompileOptions::default() }
    }

    /// How much rewrites may change.
    pub fn mode(self, mode: Mode) -> CompileOptions {
        CompileOptions { mode, ..self }
    }

    /// Which emitter makes the code.
    pub fn emitter(self, emitter: EmitterKind) -> CompileOptions {
        CompileOptions { emitter, ..self }
    }

    /// At most so many threads of the rayon pool that a call is made from; 1 stays on the caller's.
    pub fn threads(self, threads: usize) -> CompileOptions {
        CompileOptions { threads: Some(threads.max(1)), ..self }
    }
}

/// Why a kernel was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The expression is wrong: shapes, types, declarations.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The text cannot be read, or says something wrong.
    #[error(transparent)]
    Text(#[from] TextError),
    /// No code can be made on this machine.
    #[error(transparent)]
    Emit(#[from] EmitError),
}

/// Compiles expressions, one output each, into a kernel, with default options.
///
/// ```
/// use kiln::{Expr, compile};
/// use ndarray::array;
///
/// let x = Expr::input("x");
/// let kernel = compile(&[&x / (1.0 + (-&x).exp())])?;
/// let outputs = kernel.run(&[(&array![0f32, 1.0, -1.0]).into()])?;
/// assert_eq!(outputs[0].shape(), [3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn compile(outputs: &[Expr]) -> Result<Kernel, CompileError> {
    compile_with(&kiln_ir::build("kernel", outputs)?, CompileOptions::default())
}

/// Compiles kernel text with default options.
///
/// ```
/// let kernel = kiln::compile_text("0.5*x*(1+erf(x/sqrt(2)))")?;
/// assert_eq!(kernel.inputs()[0].name, "x");
/// # Ok::<(), kiln::CompileError>(())
/// ```
pub fn compile_text(text: &str) -> Result<Kernel, CompileError> {
    compile_with(&kiln_ir::parse(text)?, CompileOptions::default())
}

/// Compiles a graph.
pub fn compile_with(graph: &Graph, options: CompileOptions) -> Result<Kernel, CompileError> {
    let _env = kiln_fenv::hold_default();
    verify(graph, "build");
    if !options.fuse {
        let split = unfuse(graph).with_notes_of(graph);
        let plan = plan(&split, options)?;
        return Ok(Kernel::new(split, plan, options.threads));
    }
    let Fusion { graph: fused, simplified, .. } = fuse(graph, options.mode);
    let fused = fused.with_notes_of(graph);
    let kernel = Kernel::new(fused.clone(), plan(&fused, options)?, options.threads);
    let model = cost_model(options.mode);
    if !fuse::sizes_matter(&simplified, model) {
        return Ok(kernel);
    }
    Ok(kernel.with_variants(Box::new(move |small| {
        let merged = fuse::merge_for_sizes(&simplified, small, model);
        // The usual plan does as well where the merge is the same, or no other code can be made.
        if passes(&merged) == passes(&fused) { None } else { plan(&merged, options).ok() }
    })))
}

/// Lowers and emits every fused body of a graph, and plans its steps.
fn plan(graph: &Graph, options: CompileOptions) -> Result<Plan, EmitError> {
    verify(graph, "fuse");
    Plan::new(graph, options.fuse, |body| {
        let program = lower(body, tier(options.mode));
        emit::compile(&program, options.emitter, Cpu::host())
    })
}

/// Only Fast mode may trade accuracy of an op for its speed.
fn tier(mode: Mode) -> Tier {
    if mode == Mode::Fast { Tier::Fast } else { Tier::Default }
}

/// What fusion must know of the code that `lower` makes: its cost and its bits.
fn cost_model(mode: Mode) -> &'static CostModel {
    static DEFAULT: LazyLock<CostModel> = LazyLock::new(|| {
        CostModel::new(|op, dtype| op_cost(Tier::Default, op, dtype), lower::compute)
    });
    static FAST: LazyLock<CostModel> = LazyLock::new(|| {
        CostModel::new(|op, dtype| op_cost(Tier::Fast, op, dtype), lower::compute)
    });
    match tier(mode) {
        Tier::Default => &DEFAULT,
        Tier::Fast => &FAST,
    }
}

/// What an op costs, from its own expansion.
fn op_cost(tier: Tier, op: Op, dtype: DType) -> u64 {
    cost::weight(&op_program_in(tier, op, dtype))
}

/// Rewrites and merges, within `mode`: [`fuse::fuse`] for the code that this build makes.
pub fn fuse(graph: &Graph, mode: Mode) -> Fusion {
    let _env = kiln_fenv::hold_default();
    fuse::fuse(graph, mode, cost_model(mode))
}

/// One kernel for each op: [`fuse::unfused`].
pub fn unfuse(graph: &Graph) -> Graph {
    let _env = kiln_fenv::hold_default();
    fuse::unfused(graph, cost_model(Mode::Strict))
}

/// The rewrites that [`fuse`](fuse()) makes; `None` where the program is too large a tree.
pub fn prove(graph: &Graph, mode: Mode) -> Option<Proof> {
    let _env = kiln_fenv::hold_default();
    fuse::prove(graph, mode, cost_model(mode))
}

/// A stage's output is wrong only through a bug of Kiln's: it panics, with the graph.
fn verify(graph: &Graph, stage: &str) {
    if cfg!(debug_assertions)
        && let Err(fault) = kiln_ir::verify(graph)
    {
        panic!("{stage} made an invalid graph: {fault}\n{graph}");
    }
}

/// A stage whose output can be shown as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The graph as written.
    Ir,
    /// The fused graph.
    Fused,
    /// The vector program of each fused kernel.
    Vir,
    /// The Cranelift IR of each fused kernel.
    Clif,
    /// The machine code of each fused kernel, as this emitter makes it.
    Asm(EmitterKind),
    /// The rewrites from what was written to what runs.
    Proof,
}

/// The text of a stage.
pub fn explain(graph: &Graph, mode: Mode, stage: Stage) -> Result<String, CompileError> {
    Ok(match stage {
        Stage::Ir => graph.to_string(),
        Stage::Fused => fuse(graph, mode).graph.to_string(),
        Stage::Vir => programs(graph, mode).map(|program| program.to_string()).collect(),
        Stage::Clif => {
            let mut text = String::new();
            for program in programs(graph, mode) {
                text += &emit::clif::listing(&program, None)?.clif;
            }
            text
        }
        Stage::Asm(kind) => {
            let mut text = String::new();
            for program in programs(graph, mode) {
                text += &emit::assembly(&program, kind, Cpu::host())?;
            }
            text
        }
        Stage::Proof => match prove(graph, mode) {
            Some(proof) => proof.to_string(),
            None => "the program is too large a tree to prove; use the fused stage\n".to_string(),
        },
    })
}

/// The vector program of each fused kernel, in the order they run.
pub fn programs(graph: &Graph, mode: Mode) -> impl Iterator<Item = vir::Program> {
    let fused = fuse(graph, mode).graph;
    let bodies: Vec<_> = fused
        .nodes()
        .iter()
        .filter_map(|node| match node {
            Node::Fused { body, .. } => Some(lower(body, tier(mode))),
            _ => None,
        })
        .collect();
    bodies.into_iter()
}

/// A short tour of all stages, with counts of ops and of bytes moved before and after.
pub fn tour(graph: &Graph, mode: Mode) -> Result<String, CompileError> {
    let Fusion { graph: fused, algebra, .. } = fuse(graph, mode);
    let unfused = unfuse(graph);
    let mut text = String::new();
    let mut section = |title: &str, body: &str| {
        let _ = writeln!(text, "── {title}\n{}\n", body.trim_end());
    };
    section("as written", &graph.to_string());
    section("proof", &explain(graph, mode, Stage::Proof)?);
    section(&format!("fused ({mode})"), &fused.to_string());
    for program in programs(graph, mode) {
        let primitives = program.insts.len();
        section(&format!("vector program ({primitives} values)"), &program.to_string());
    }
    let (before, after) = (bytes_per_element(&unfused), bytes_per_element(&fused));
    let counts = format!(
        "             unfused    fused\n\
         passes      {:>8} {:>8}\n\
         ops         {:>8} {:>8}\n\
         bytes/elem  {:>8} {:>8}\n\
         cost/elem   {:>8.1} {:>8.1}  (in adds, estimated)",
        passes(&unfused),
        passes(&fused),
        ops(&unfused),
        ops(&fused),
        before,
        after,
        algebra.cost_before as f64 / 10.0,
        algebra.cost_after as f64 / 10.0,
    );
    section("before and after", &counts);
    Ok(text)
}

fn passes(graph: &Graph) -> usize {
    let pass = |node: &&Node| matches!(node, Node::Fused { .. } | Node::Matmul(..));
    graph.nodes().iter().filter(pass).count()
}

fn ops(graph: &Graph) -> usize {
    let count = |node: &Node| match node {
        Node::Fused { body, .. } => body.op_count(),
        Node::Matmul(..) => 1,
        _ => 0,
    };
    graph.nodes().iter().map(count).sum()
}

/// Bytes that the fused kernels of `graph` load and store for an element, if every operand is a
/// full array.
pub fn bytes_per_element(graph: &Graph) -> usize {
    let bytes = |node: &Node| match node {
        Node::Fused { body, .. } => {
            let loads: usize = body.inputs().iter().map(|input| input.dtype.size()).sum();
            let stores: usize = body.outputs().iter().map(|&o| body.dtype(o).size()).sum();
            loads + stores
        }
        _ => 0,
    };
    graph.nodes().iter().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::{CompileOptions, compile_with};
    use crate::run::View;
    use ndarray::Array1;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};
    use std::thread;

    /// A plan for small operands is made once, and calls that do not need it do not wait for it.
    #[test]
    fn plans_are_made_apart() {
        let graph = kiln_ir::parse("x*w+b").unwrap();
        let kernel = compile_with(&graph, CompileOptions::new()).unwrap();
        let made = Arc::new(AtomicUsize::new(0));
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (counted, released) = (made.clone(), Mutex::new(released));
        let kernel = kernel.with_variants(Box::new(move |small| {
            if small == [false, true, true] {
                counted.fetch_add(1, Ordering::SeqCst);
                begun.send(()).unwrap();
                released.lock().unwrap().recv().unwrap();
            }
            None
        }));
        let (x, one) = (Array1::from_elem(64, 2f32), Array1::from_elem(1, 3f32));
        let run = |w: &Array1<f32>, b: &Array1<f32>| {
            let outputs = kernel.run(&[View::from(&x), View::from(w), View::from(b)]).unwrap();
            outputs.into_iter().next().unwrap().into_f32().unwrap()[[5]]
        };
        thread::scope(|scope| {
            let calls = [0; 3].map(|_| scope.spawn(|| run(&one, &one)));
            has_begun.recv().unwrap();
            // Meanwhile, other sizes.
            assert_eq!(run(&x, &one), 7.0);
            assert_eq!(run(&x, &x), 6.0);
            release.send(()).unwrap();
            assert!(calls.into_iter().all(|call| call.join().unwrap() == 9.0));
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }
}
