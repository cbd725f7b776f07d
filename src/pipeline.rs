//! The pipeline: every stage in order, from a graph to a kernel. The only file that sees them all.
//!
//! ```text
//! Graph ── verify ── PASSES ── lower ── verify ── emit ── plan ── Kernel
//! ```

use crate::fuse::{self, AlgebraReport, CostModel, Pass, PassContext};
use crate::lower::{self, Tier, lower, op_program_in};
use crate::mode::Mode;
use crate::options::CompileOptions;
use crate::run::{Kernel, Plan};
use crate::traffic::passes;
use kiln_ir::{DType, Expr, Graph, GraphError, Op, TextError};
use kiln_jit::cpu::Cpu;
use kiln_jit::emit::{self, EmitError, cost};
use std::sync::LazyLock;

/// Fusion, pass by pass. To add one, write it in a file of its own and give it a row here.
pub const PASSES: &[Pass] = &[
    INLINE,
    Pass {
        name: "algebra",
        makes: "The cheapest program that the mode allows",
        run: fuse::simplify,
    },
    Pass { name: "regions", makes: "Ops merged into as few kernels as pay", run: fuse::merge },
];

/// What makes one kernel for each op, as written: what fusion is compared with.
pub const UNFUSED: &[Pass] = &[
    INLINE,
    Pass { name: "split", makes: "One kernel for each op, as written", run: fuse::split },
];

const INLINE: Pass =
    Pass { name: "inline", makes: "Fused kernels of the text taken apart", run: fuse::inline };

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
    if !options.fuse {
        let split = unfuse(graph).with_notes_of(graph);
        let plan = plan(&split, options)?;
        return Ok(Kernel::new(split, plan, options.threads));
    }
    let Fusion { graph: fused, unmerged, .. } = fuse(graph, options.mode);
    let fused = fused.with_notes_of(graph);
    let kernel = Kernel::new(fused.clone(), plan(&fused, options)?, options.threads);
    let Some(unmerged) = unmerged else { return Ok(kernel) };
    Ok(kernel.with_variants(Box::new(move |small| {
        let merged = fuse::merge_for_sizes(&unmerged, small, cost_model(options.mode));
        // The usual plan does as well where the merge is the same, or no other code can be made.
        if passes(&merged) == passes(&fused) { None } else { plan(&merged, options).ok() }
    })))
}

/// Lowers and emits every fused body of a graph, and plans its steps.
fn plan(graph: &Graph, options: CompileOptions) -> Result<Plan, EmitError> {
    Plan::new(graph, options.fuse, |body| {
        let program = lower(body, tier(options.mode));
        emit::compile(&program, options.emitter, Cpu::host())
    })
}

/// Only Fast mode may trade accuracy of an op for its speed.
pub(crate) fn tier(mode: Mode) -> Tier {
    if mode == Mode::Fast { Tier::Fast } else { Tier::Default }
}

/// What fusion must know of the code that `lower` makes: its cost and its bits.
pub fn cost_model(mode: Mode) -> &'static CostModel {
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

/// A fused graph, and how it came about.
#[derive(Clone, Debug)]
pub struct Fusion {
    /// Inputs, fused kernels and matmuls.
    pub graph: Graph,
    /// The graph whose ops were merged, if the sizes of a call may call for another merge.
    pub unmerged: Option<Graph>,
    /// What the algebra did.
    pub algebra: AlgebraReport,
}

/// Runs [`PASSES`], within `mode` and with the costs of the code that this build makes.
pub fn fuse(graph: &Graph, mode: Mode) -> Fusion {
    let mut context = PassContext::new(mode, cost_model(mode));
    let graph = run(PASSES, graph, &mut context);
    let algebra = context.algebra.expect("the algebra is a pass");
    Fusion { graph, unmerged: context.unmerged, algebra }
}

/// Runs [`UNFUSED`].
pub fn unfuse(graph: &Graph) -> Graph {
    run(UNFUSED, graph, &mut PassContext::new(Mode::Strict, cost_model(Mode::Strict)))
}

/// Runs passes on a graph that a user made.
pub(crate) fn run(passes: &[Pass], graph: &Graph, context: &mut PassContext<'_>) -> Graph {
    let _env = kiln_fenv::hold_default();
    if cfg!(debug_assertions)
        && let Err(fault) = kiln_ir::verify(graph)
    {
        panic!("build made an invalid graph: {fault}\n{graph}");
    }
    fuse::run(passes, graph, context)
}

#[cfg(test)]
mod tests {
    use super::compile_with;
    use crate::options::CompileOptions;
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
