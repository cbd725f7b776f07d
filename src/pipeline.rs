//! The pipeline: every stage in order, from a graph to a kernel. The only file that sees them all.
//!
//! ```text
//! Graph ── verify ── PASSES ── lower ── verify ── emit ── plan ── Kernel
//! ```

use crate::cost::tier;
use crate::error::CompileError;
use crate::fuse::{self, AlgebraReport, Pass, PassContext, Unmerged};
use crate::lower::product::{Product, Source, Tail, Then, product};
use crate::lower::{lower, rows::rows};
use crate::mode::Mode;
use crate::options::CompileOptions;
use crate::plan::{Failure, Matters, Plan, Plans, Shaped, SizeClass, Specialize};
use crate::run::{self, Compiled, Kernel, Passes, ProductKernel, Rest, RowCode, RowKernel};
use kiln_ir::{Body, Call, Expr, Graph, Node, NodeId};
use kiln_jit::cpu::Cpu;
use kiln_jit::emit::{self, Code, EmitError, EmitterKind};
use kiln_jit::vir::{Inst, Routine, Sweep};

pub use crate::cost::cost_model;

/// Fusion, pass by pass. To add a pass, write it in a file of its own and give it a row here.
pub const PASSES: &[Pass] = &[
    INLINE,
    Pass {
        name: "picks",
        makes: "What is picked, before anything is computed of it",
        run: fuse::picks,
    },
    Pass { name: "views", makes: "Views of what is stored alone", run: fuse::sink },
    Pass { name: "stable", makes: "No overflow where it need not be", run: fuse::stabilize },
    Pass {
        name: "algebra",
        makes: "The cheapest program that the mode allows",
        run: fuse::simplify,
    },
    Pass { name: "regions", makes: "Ops merged into as few kernels as pay", run: fuse::merge },
];

/// Makes one kernel for each op, as written. Fusion is compared with it.
pub const UNFUSED: &[Pass] = &[
    INLINE,
    Pass { name: "split", makes: "One kernel for each op, as written", run: fuse::split },
];

const INLINE: Pass =
    Pass { name: "inline", makes: "Fused kernels of the text taken apart", run: fuse::inline };

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
    kiln_ir::span!(DEBUG, "compile", kernel = graph.name());
    if !options.fuse {
        let split = unfuse(graph).with_notes_of(graph);
        let plan = plan(&split, options)?;
        return Ok(Kernel::new(split, graph, Plans::new(plan), options.threads));
    }
    let Fusion { graph: fused, unmerged, .. } = fuse(graph, options.mode);
    let usual = plan(&fused, options)?;
    let plans = match unmerged {
        None => Plans::new(usual),
        Some(unmerged) => {
            let always = usual.steps.len() > 1;
            let matters = Matters {
                small: unmerged.for_small,
                one_shape: unmerged.for_one_shape,
                shapes: unmerged.dear.map(|dear| Shaped { always, dear }),
            };
            let make = BySize { unmerged: unmerged.graph, kernels: kernels(&fused), options };
            Plans::with_special(usual, matters, Box::new(make))
        }
    };
    Ok(Kernel::new(fused.with_notes_of(graph), graph, plans, options.threads))
}

/// Lowers and emits every fused body of a graph, and plans its steps.
fn plan(graph: &Graph, options: CompileOptions) -> Result<Plan<Compiled>, EmitError> {
    run::plan(graph, options.fuse, |body| compiled(body, options))
}

/// What runs a fused body.
fn compiled(body: &Body, options: CompileOptions) -> Result<Compiled, EmitError> {
    if let Some(product) = product(body) {
        let rest = match (body.reductions().next(), &product.then) {
            // No region has both.
            _ if body.has_scans() => None,
            (Some(_), _) => stages(&product.rest, options)?.map(|code| Rest::Rows(Box::new(code))),
            (None, then) if then.is_none() || product.operands.is_none() => {
                let code = emitted(&lowered(&product.rest, options.mode), options)?;
                Some(Rest::Elements(Box::new(code)))
            }
            // Only what is computed of whole rows is multiplied again.
            (None, _) => None,
        };
        let code = |part: Graph| emitted(&lowered(&part, options.mode), options);
        let program = rest.map(|rest| product.try_map(rest, code)).transpose()?;
        let kernel = ProductKernel::new(program, passes(body, options));
        return Ok(Compiled::Product(Box::new(kernel)));
    }
    if !body.has_rows() {
        let mut routine = lowered(body, options.mode);
        if looks_ahead(&routine) {
            routine.ahead = (0..).take(routine.inputs.len()).collect();
        }
        return Ok(Compiled::Map(emitted(&routine, options)?));
    }
    let kernel = RowKernel::new(stages(body, options)?, passes(body, options));
    Ok(Compiled::Rows(Box::new(kernel)))
}

/// Whether a kernel's code can ask memory for what it reads later, as calls want it whose results bypass the caches.
///
/// Other calls pay a test for each iteration. In L1 `relu` takes 1.08 of the time with it on a Xeon 6, three multiply-adds 1.03
/// and `exp` .99 to 1.01; of 64 MiB in memory `relu` and `x*w+b` gain up to .02, `exp` .15 and GELU .30: what computes little reads so
/// fast that memory is asked in time.
fn looks_ahead(routine: &Routine) -> bool {
    const LEAST: usize = 12;
    let computes = |inst: &&Inst| {
        !matches!(inst, Inst::Const { .. } | Inst::Load { .. } | Inst::Scalar { .. })
    };
    routine.body().insts.iter().filter(computes).count() >= LEAST
}

/// The stages of a body with reductions, if it has some.
fn stages(body: &Graph, options: CompileOptions) -> Result<Option<RowCode>, EmitError> {
    let stages = rows(body, tier(options.mode));
    let code =
        |stages| RowCode::compile(stages, |stage| emitted(stage, options), emit::compile_sweep);
    stages.map(code).transpose()
}

/// What runs a fused body with each call apart.
fn passes(body: &Body, options: CompileOptions) -> Passes {
    let apart = fuse::apart(body, cost_model(options.mode));
    Passes::new(Box::new(move || {
        plan(&apart, options).unwrap_or_else(|_| {
            // What the system has refused it may refuse again; the interpreter asks for nothing.
            let options = CompileOptions { emitter: EmitterKind::Interp, ..options };
            plan(&apart, options).expect("the interpreter runs everything")
        })
    }))
}

fn emitted(routine: &Routine, options: CompileOptions) -> Result<Code, EmitError> {
    kiln_ir::span!(DEBUG, "emit");
    emit::compile(routine, options.emitter, Cpu::host())
}

/// The vector program of a fused body.
fn lowered(body: &Graph, mode: Mode) -> Routine {
    kiln_ir::span!(DEBUG, "lower");
    lower(body, tier(mode))
}

/// Merges ops again for calls in which some inputs are small, or for their shapes.
struct BySize {
    unmerged: Graph,
    /// The kernels of the usual plan.
    kernels: String,
    options: CompileOptions,
}

impl Specialize<Compiled> for BySize {
    fn plan(&self, class: &SizeClass) -> Result<Option<Plan<Compiled>>, Failure> {
        kiln_ir::span!(DEBUG, "specialize");
        let model = cost_model(self.options.mode);
        let merged = match class {
            SizeClass::Lens { small, one_shape } => {
                fuse::merge_for_sizes(&self.unmerged, small, *one_shape, model)
            }
            SizeClass::Shapes(pattern) => {
                fuse::merge_for_shapes(&self.unmerged, pattern.dims(), model)?
            }
        };
        let is_usual = kernels(&merged) == self.kernels;
        if is_usual { Ok(None) } else { Ok(Some(plan(&merged, self.options)?)) }
    }
}

/// What the kernels of a graph compute, whatever the shapes of its inputs: its text but for the head.
fn kernels(graph: &Graph) -> String {
    let text = graph.to_string();
    text.split_once('\n').map_or(String::new(), |(_, kernels)| kernels.to_string())
}

/// A fused graph, and how it was made.
#[derive(Clone, Debug)]
pub struct Fusion {
    /// Inputs, fused kernels and matmuls.
    pub graph: Graph,
    /// The graph before merging, if the sizes of a call may require another merge.
    pub unmerged: Option<Unmerged>,
    /// What the algebra did.
    pub algebra: AlgebraReport,
}

/// Runs [`PASSES`] within `mode`, with the costs of the code that this build makes.
pub fn fuse(graph: &Graph, mode: Mode) -> Fusion {
    let mut context = PassContext::new(mode, cost_model(mode));
    let graph = run_passes(PASSES, graph, &mut context);
    let algebra = context.algebra.expect("the algebra is a pass");
    Fusion { graph, unmerged: context.unmerged, algebra }
}

/// Runs [`UNFUSED`].
pub fn unfuse(graph: &Graph) -> Graph {
    run_passes(UNFUSED, graph, &mut PassContext::new(Mode::Strict, cost_model(Mode::Strict)))
}

/// The vector programs of each fused kernel, in the order they run: one for each stage, where it has
/// stages over rows.
pub fn programs(graph: &Graph, mode: Mode) -> impl Iterator<Item = Routine> {
    let fused = fuse(graph, mode).graph;
    let routines = |node: &Node| match node {
        Node::Fused { body, .. } => routines(body, mode),
        _ => Vec::new(),
    };
    fused.nodes().iter().flat_map(routines).collect::<Vec<Routine>>().into_iter()
}

/// The sweeps of fused kernels, of those that have one.
pub(crate) fn sweeps(graph: &Graph, mode: Mode) -> impl Iterator<Item = Sweep> {
    let fused = fuse(graph, mode).graph;
    let sweep = |node: &Node| match node {
        Node::Fused { body, .. } => sweep_of(body, mode),
        _ => None,
    };
    fused.nodes().iter().filter_map(sweep).collect::<Vec<_>>().into_iter()
}

/// The vector programs of each fused kernel as text, with the stages of those that have some.
pub(crate) fn listing(graph: &Graph, mode: Mode) -> String {
    let fused = fuse(graph, mode).graph;
    let name = |(at, arg): (usize, &NodeId)| match fused.node(*arg) {
        Node::Input(index) => fused.inputs()[*index as usize].name.clone(),
        _ => format!("input {at}"),
    };
    let text = |node: &Node| match node {
        Node::Fused { body, args } => {
            listing_of(body, &args.iter().enumerate().map(name).collect::<Vec<String>>(), mode)
        }
        _ => String::new(),
    };
    fused.nodes().iter().map(text).collect()
}

/// The vector programs of a fused body as text, with these names for what it reads.
fn listing_of(body: &Body, names: &[String], mode: Mode) -> String {
    if let Some(product) = product(body) {
        return listing_of_product(product, names, mode);
    }
    if !body.has_rows() {
        return lowered(body, mode).to_string();
    }
    match rows(body, tier(mode)) {
        Some(program) => program.listing(names),
        None => PASS_BY_PASS.into(),
    }
}

/// The same of a body with a product.
fn listing_of_product(product: Product<Graph>, names: &[String], mode: Mode) -> String {
    let Product { operands, inputs, rest, then, mask } = product;
    let name = |input: &Source| match input {
        Source::Product => "the product".to_string(),
        Source::Parameter(at) => names[*at].clone(),
    };
    let list = |inputs: &[Source]| inputs.iter().map(name).collect::<Vec<String>>();
    let reads = |inputs: &[Source]| list(inputs).join(", ");
    let first = operands.map(|[left, right]| format!("{} @ {}", names[left], names[right]));
    let is_reduction = |node: &Node| matches!(node, Node::Call(Call::Reduce(_), _));
    let code = match rest.nodes().iter().any(is_reduction) {
        true => {
            let stages = rows(&rest, tier(mode)).map(|stages| stages.listing(&list(&inputs)));
            format!(":\n{}", stages.unwrap_or_else(|| PASS_BY_PASS.into()))
        }
        false => format!(", of {}:\n{}", reads(&inputs), lowered(&rest, mode)),
    };
    let Some(Then { right, tail, .. }) = then else {
        let first = first.unwrap_or_default();
        return match code.starts_with(':') {
            true => format!("on some rows of {first} at a time{code}"),
            false => format!("on each block of {first}{code}"),
        };
    };
    let masked = mask.map_or("", |_| ", but for columns that are masked in all");
    let begin = match first {
        Some(first) => format!("on some rows of {first} at a time{masked}"),
        None => "some rows at a time".into(),
    };
    let product = format!("then the product of that and {}", names[right]);
    let end = match tail {
        None => product + "\n",
        Some(Tail { inputs, program }) => {
            let routine = lowered(&program, mode);
            format!("{product}, on blocks of which, of {}:\n{routine}", reads(&inputs))
        }
    };
    format!("{begin}{code}{end}")
}

const PASS_BY_PASS: &str = "a kernel that runs pass by pass\n";

/// The vector programs of a fused body.
fn routines(body: &Body, mode: Mode) -> Vec<Routine> {
    let product = product(body);
    let body: &Graph = product.as_ref().map_or(body, |product| &product.rest);
    let is_reduction = |node: &Node| matches!(node, Node::Call(Call::Reduce(_) | Call::Scan(_), _));
    if !body.nodes().iter().any(is_reduction) {
        return vec![lowered(body, mode)];
    }
    let stages = rows(body, tier(mode));
    let stages = stages.map_or_else(Vec::new, |rows| rows.routines().cloned().collect());
    let tail = product.as_ref().and_then(|product| product.then.as_ref()?.tail.as_ref());
    stages.into_iter().chain(tail.map(|tail| lowered(&tail.program, mode))).collect()
}

/// The sweep of a fused body, if it has one.
fn sweep_of(body: &Body, mode: Mode) -> Option<Sweep> {
    let product = product(body);
    let body: &Graph = product.as_ref().map_or(body, |product| &product.rest);
    rows(body, tier(mode))?.sweep.map(|sweep| sweep.kernel)
}

/// Runs passes on a graph that a user made.
pub(crate) fn run_passes(passes: &[Pass], graph: &Graph, context: &mut PassContext<'_>) -> Graph {
    let _env = kiln_fenv::hold_default();
    if cfg!(debug_assertions)
        && let Err(fault) = kiln_ir::verify(graph)
    {
        panic!("build made an invalid graph: {fault}\n{graph}");
    }
    fuse::run(passes, graph, context)
}
