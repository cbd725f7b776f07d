//! What happens to a kernel, stage by stage, as text.

use crate::cost::cost_model;
use crate::error::CompileError;
use crate::fuse::{Pass, PassContext};
use crate::mode::Mode;
use crate::pipeline::{PASSES, UNFUSED, fuse, programs, run_passes, unfuse};
use crate::plan::Plan;
use kiln_ir::Graph;
use kiln_jit::cpu::Cpu;
use kiln_jit::emit::{self, EmitterKind};
use std::fmt::{self, Write as _};
use std::str::FromStr;

pub use crate::fuse::{Proof, Step};

/// A stage whose output can be shown as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        ]);
        stages
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

/// A short tour of all stages, with counts of ops and bytes moved before and after.
pub fn tour(graph: &Graph, mode: Mode) -> Result<String, CompileError> {
    let fusion = fuse(graph, mode);
    let (fused, unfused) = (&fusion.graph, unfuse(graph));
    let mut text = String::new();
    let mut section = |title: &str, body: &str| {
        let _ = writeln!(text, "── {title}\n{}\n", body.trim_end());
    };
    section("as written", &graph.to_string());
    section("proof", &explain(graph, mode, Stage::Proof)?);
    section(&format!("fused ({mode})"), &fused.to_string());
    for program in programs(graph, mode) {
        let primitives = program.body().insts.len();
        section(&format!("vector program ({primitives} values)"), &program.to_string());
    }
    let [before, after] = [&unfused, fused].map(Plan::outline);
    let [each, each_after] = [&before, &after].map(Plan::per_element);
    let counts = format!(
        "             unfused    fused\n\
         passes      {:>8} {:>8}\n\
         ops         {:>8} {:>8}\n\
         bytes/elem  {:>8} {:>8}\n\
         cost/elem   {:>8.1} {:>8.1}  (in adds, estimated)",
        before.steps.len(),
        after.steps.len(),
        each.ops,
        each_after.ops,
        each.bytes(),
        each_after.bytes(),
        fusion.algebra.cost_before as f64 / 10.0,
        fusion.algebra.cost_after as f64 / 10.0,
    );
    section("before and after", &counts);
    Ok(text)
}
