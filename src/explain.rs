//! What happens to a kernel, stage by stage, as text.

use crate::cost::cost_model;
use crate::error::CompileError;
use crate::fuse::{self, Pass, PassContext};
use crate::mode::Mode;
use crate::pipeline::{PASSES, UNFUSED, fuse, listing, programs, run_passes, sweeps, unfuse};
use crate::plan::{Access, Action, Plan};
use kiln_ir::{Dim, Graph, Node, NodeId};
use kiln_jit::cpu::Cpu;
use kiln_jit::emit::{self, EmitterKind};
use std::fmt::{self, Write as _};
use std::str::FromStr;

pub use crate::fuse::{Costs, Proof, Reason, Separation, Step};

/// A stage whose output can be shown as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The graph as written.
    Ir,
    /// The graph after a pass.
    After(PassName),
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
    /// Why there are several kernels.
    Why,
    /// Passes, ops, bytes and cost, before and after.
    Counts,
}

/// The name of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassName(&'static str);

/// A name that is not a stage's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no stage is named {found:?}; use {}", names().join(", "))]
pub struct UnknownStage {
    /// The name.
    pub found: String,
}

/// The names of all stages, for the error.
fn names() -> Vec<String> {
    Stage::all().into_iter().map(|(stage, _)| stage.to_string()).collect()
}

impl Stage {
    /// Every stage in the order of compilation, and what it shows. The stage of machine code is for
    /// the fastest emitter.
    pub fn all() -> Vec<(Stage, &'static str)> {
        let mut stages = vec![(Stage::Ir, "The graph as written")];
        for pass in PASSES.iter().chain(UNFUSED) {
            let stage = Stage::After(PassName(pass.name));
            if stages.iter().all(|(known, _)| *known != stage) {
                stages.push((stage, pass.makes));
            }
        }
        stages.extend([
            (Stage::Fused, "The fused graph"),
            (Stage::Vir, "The vector program of each fused kernel"),
            (Stage::Clif, "The Cranelift IR of each fused kernel"),
            (
                Stage::Asm(EmitterKind::Auto),
                "The machine code of each fused kernel, with the primitive that each instruction came \
                 from",
            ),
            (Stage::Proof, "The rewrites from what was written to what runs"),
            (Stage::Why, "Why there are several kernels"),
            (Stage::Counts, "Passes, ops, bytes and cost, before and after"),
        ]);
        stages
    }
}

impl Stage {
    /// What a tour writes above it.
    pub fn title(self, mode: Mode) -> String {
        match self {
            Stage::Ir => "as written".into(),
            Stage::After(PassName(pass)) => format!("after {pass}"),
            Stage::Fused => format!("fused ({mode})"),
            Stage::Vir => "vector programs".into(),
            Stage::Clif => "Cranelift IR".into(),
            Stage::Asm(_) => "machine code".into(),
            Stage::Proof => "proof".into(),
            Stage::Why => "kernels".into(),
            Stage::Counts => "before and after".into(),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stage::Ir => f.write_str("ir"),
            Stage::After(PassName(pass)) => write!(f, "after:{pass}"),
            Stage::Fused => f.write_str("fused"),
            Stage::Vir => f.write_str("vir"),
            Stage::Clif => f.write_str("clif"),
            Stage::Asm(_) => f.write_str("asm"),
            Stage::Proof => f.write_str("proof"),
            Stage::Why => f.write_str("why"),
            Stage::Counts => f.write_str("counts"),
        }
    }
}

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(name: &str) -> Result<Stage, UnknownStage> {
        let found = Stage::all().into_iter().find(|(stage, _)| stage.to_string() == name);
        found.map(|(stage, _)| stage).ok_or_else(|| UnknownStage { found: name.to_string() })
    }
}

/// The text of a stage.
///
/// ```
/// use kiln::explain::{Stage, explain};
/// use kiln::{Mode, ir};
///
/// let graph = ir::parse("x * 1")?;
/// let stage: Stage = "after:algebra".parse()?;
/// assert!(explain(&graph, Mode::Precise, stage)?.ends_with("{\n    x\n}\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn explain(graph: &Graph, mode: Mode, stage: Stage) -> Result<String, CompileError> {
    Ok(match stage {
        Stage::Ir => graph.to_string(),
        Stage::After(pass) => {
            run_passes(passes_to(pass), graph, &mut PassContext::new(mode, cost_model(mode)))
                .to_string()
        }
        Stage::Fused => fuse(graph, mode).graph.to_string(),
        Stage::Vir => listing(graph, mode),
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
                kiln_ir::span!(DEBUG, "emit");
                text += &emit::assembly(&program, kind, Cpu::host())?;
            }
            for sweep in sweeps(graph, mode) {
                let code = emit::sweep_assembly(&sweep, kind, Cpu::host())?;
                text += &code.map_or(String::new(), |code| format!("; all stages of rows\n{code}"));
            }
            text
        }
        Stage::Proof => match prove(graph, mode) {
            Some(proof) => proof.to_string(),
            None => "the program is too large a tree to prove; use the fused stage\n".to_string(),
        },
        Stage::Why => why(graph, mode),
        Stage::Counts => counts(graph, mode),
    })
}

/// The list that contains a pass, up to and including that pass.
fn passes_to(PassName(name): PassName) -> &'static [Pass] {
    let until = |passes: &'static [Pass]| {
        passes.iter().position(|pass| pass.name == name).map(|last| &passes[..=last])
    };
    until(PASSES).or_else(|| until(UNFUSED)).expect("names of passes are made from their lists")
}

/// The rewrites that fusion makes; `None` if the program is too large as a tree.
pub fn prove(graph: &Graph, mode: Mode) -> Option<Proof> {
    let mut context = PassContext { prove: true, ..PassContext::new(mode, cost_model(mode)) };
    run_passes(PASSES, graph, &mut context);
    context.proof
}

/// Why the kernels that fusion makes are not fewer: nothing if there is but one.
///
/// ```
/// use kiln::explain::{Reason, separations};
/// use kiln::{Mode, ir};
///
/// let graph = ir::parse("exp(x @ tanh(w))")?;
/// let reasons = separations(&graph, Mode::Precise);
/// assert_eq!(reasons[0].steps, [1, 2]);
/// assert_eq!(reasons[0].reason, Reason::Operand { step: 2, noun: "a matmul" });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn separations(graph: &Graph, mode: Mode) -> Vec<Separation> {
    let mut context = PassContext::new(mode, cost_model(mode));
    let (last, before) = PASSES.split_last().expect("merging is the last pass");
    debug_assert_eq!(last.name, "regions");
    let simplified = run_passes(before, graph, &mut context);
    fuse::separations(&simplified, context.model)
}

/// The steps, and why they are not fewer.
fn why(graph: &Graph, mode: Mode) -> String {
    let fused = fuse(graph, mode).graph;
    let plan = Plan::outline(&fused);
    let separations = separations(graph, mode);
    let is_kernel = |step: &&crate::plan::Step<()>| matches!(step.action, Action::Map { .. });
    let kernels = plan.steps.iter().filter(is_kernel).count();
    let counted = |count: usize, noun: &str| match count {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{count} {noun}s")),
    };
    let calls = plan.steps.len() - kernels;
    let steps: Vec<String> =
        [counted(kernels, "kernel"), counted(calls, "call")].into_iter().flatten().collect();
    let mut text = match &steps[..] {
        [] => "nothing to run\n".to_string(),
        _ => steps.join(" and ") + "\n",
    };
    let name = |access: &Access| plan.text_of(access, &|place| place.name(&fused));
    // What is computed where it belongs says where that is.
    let result = |access: &Access| match plan.whole(access.place) {
        Some(whole) => format!("{} in {}", name(access), whole.name(&fused)),
        None => plan.through_text(access.place, name(access)),
    };
    for (step, number) in plan.steps.iter().zip(1..) {
        let args: Vec<String> = step.args.iter().map(name).collect();
        let results: Vec<String> = step.results.iter().map(result).collect();
        let computes = match &step.action {
            Action::Map { body, .. } => body.expression_of(args),
            Action::Call(call) => {
                call.expression(&args.iter().map(String::as_str).collect::<Vec<_>>())
            }
        };
        let _ = writeln!(text, "  {number}. {} = {}", results.join(", "), shortened(&computes));
    }
    if !separations.is_empty() {
        text += "because\n";
    }
    for separation in &separations {
        let _ = writeln!(text, "  {separation}");
    }
    let estimated = |separation: &Separation| separation.reason.costs().is_some();
    if separations.iter().any(estimated) {
        text += "estimates count an axis of unknown size as 1024, an array of unknown rank as 2^20 elements\n";
    }
    text
}

/// An expression that fits into a line.
fn shortened(expression: &str) -> String {
    const MOST: usize = 70;
    match expression.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}..", &expression[..end]),
        None => expression.to_string(),
    }
}

/// What kernels do, before and after, and what calls do in either case.
fn counts(graph: &Graph, mode: Mode) -> String {
    let fusion = fuse(graph, mode);
    let unfused = unfuse(graph);
    let [before, after] = [&unfused, &fusion.graph].map(Plan::outline);
    let [each, each_after] = [&before, &after].map(Plan::per_element);
    let is_call = |node: &Node| matches!(node, Node::Call(call, _) if !call.is_free());
    let has_calls = unfused.nodes().iter().any(is_call);
    let mut text = format!(
        "             unfused    fused\n\
         passes      {:>8} {:>8}\n\
         ops         {:>8} {:>8}\n\
         bytes/elem  {:>8} {:>8}\n\
         cost/elem   {:>8.1} {:>8.1}  (in adds, estimated{})\n",
        before.steps.len(),
        after.steps.len(),
        each.ops,
        each_after.ops,
        each.bytes(),
        each_after.bytes(),
        fusion.algebra.ops_before as f64 / 10.0,
        fusion.algebra.ops_after as f64 / 10.0,
        if has_calls { ", without calls" } else { "" },
    );
    let add = |text: &mut String, graph: &Graph, id: NodeId, is_fused: bool| {
        let Node::Call(call, args) = graph.node(id) else { return };
        if call.is_free() {
            return;
        }
        let array = |&id: &NodeId| format!("{}{}", graph.dtype(id), graph.shape(id));
        let arrays: Vec<String> = args.iter().map(array).collect();
        let _ = write!(text, "{} of {}: ", call.info().noun, arrays.join(" and "));
        let dims = |id: NodeId| graph.shape(id).dims();
        let operands: Option<Vec<&[Dim]>> = args.iter().map(|&arg| dims(arg)).collect();
        let Some((operands, result)) = operands.zip(dims(id)) else {
            *text += "its FLOP and bytes follow from shapes\n";
            return;
        };
        let (count, sizes) = call.terms(&operands);
        let flop = product(count, sizes.iter().chain(result));
        // The result of one that is part of a kernel is not moved.
        let result = (!is_fused).then_some(result);
        let moved: Vec<String> =
            operands.iter().copied().chain(result).map(|dims| product(1, dims.iter())).collect();
        let size = graph.dtype(id).size();
        let _ = match moved.iter().map(|bytes| bytes.parse::<usize>().ok()).sum::<Option<usize>>() {
            Some(elements) => writeln!(text, "{flop} FLOP, {} bytes", size * elements),
            None => writeln!(text, "{flop} FLOP, {size}*({}) bytes", moved.join(" + ")),
        };
    };
    for (id, node) in fusion.graph.iter() {
        match node {
            Node::Fused { body, .. } => {
                let second = || body.second_product().map(|(id, ..)| id);
                let product = body.product().map(|(id, _)| id).or_else(second);
                product.into_iter().for_each(|id| add(&mut text, body, id, true));
            }
            _ => add(&mut text, &fusion.graph, id, false),
        }
    }
    text
}

/// A number times sizes: `2*n*k`.
fn product<'a>(count: usize, sizes: impl Iterator<Item = &'a Dim>) -> String {
    let (mut known, mut names) = (count, Vec::new());
    for size in sizes {
        match size {
            Dim::Size(size) => known = known.saturating_mul(*size),
            Dim::Symbol(name) => names.push(&**name),
        }
    }
    match (known, &names[..]) {
        (_, []) => known.to_string(),
        (1, _) => names.join("*"),
        _ => format!("{known}*{}", names.join("*")),
    }
}

/// What [`tour`] shows: what was written, why it is the same as what runs, what runs, and what was
/// gained.
pub const TOUR: &[Stage] = &[Stage::Ir, Stage::Proof, Stage::Fused, Stage::Why, Stage::Counts];

/// A short tour: the stages of [`TOUR`], each with a title.
pub fn tour(graph: &Graph, mode: Mode) -> Result<String, CompileError> {
    let mut text = String::new();
    for &stage in TOUR {
        let _ = writeln!(
            text,
            "── {}\n{}\n",
            stage.title(mode),
            explain(graph, mode, stage)?.trim_end()
        );
    }
    Ok(text)
}
