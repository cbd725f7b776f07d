//! `kiln explain`: what becomes of a kernel, stage by stage.

use crate::failure::Failure;
use crate::kernel::Source;
use crate::options::{dtypes, emitters, modes};
use clap::{Args, ValueEnum};
use kiln::{DType, EmitterKind, Mode, pipeline};

/// Show what becomes of a kernel, stage by stage
#[derive(Args)]
#[command(after_help = "\
Examples
  kiln explain @gelu_tanh                 a tour of all stages, with counts before and after
  kiln explain @gelu_tanh --stage proof   the rewrites from what was written to what runs
  kiln explain @exp --stage asm           the machine code, with the primitive of each instruction
  kiln explain -- '-x * y'                an expression that begins with a minus")]
pub(crate) struct Explain {
    /// A file ending in .kiln, an expression, or @name for an op
    kernel: String,
    /// Only this stage
    #[arg(long, value_enum)]
    stage: Option<Stage>,
    /// The element type of inputs that KERNEL does not type
    #[arg(long, default_value = "f32", value_parser = dtypes())]
    dtype: DType,
    /// How much rewrites may change
    #[arg(long, default_value = "precise", value_parser = modes())]
    mode: Mode,
    /// What makes the machine code that --stage asm shows
    #[arg(long, default_value = "auto", value_parser = emitters())]
    emitter: EmitterKind,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stage {
    /// The graph as written
    Ir,
    /// The fused graph
    Fused,
    /// The vector program of each fused kernel
    Vir,
    /// The Cranelift IR of each fused kernel
    Clif,
    /// The machine code of each fused kernel, with the primitive that each instruction came from
    Asm,
    /// The rewrites from what was written to what runs
    Proof,
}

impl Explain {
    pub(crate) fn execute(&self) -> Result<String, Failure> {
        let graph = Source::find(&self.kernel)?.graph_of(self.dtype)?;
        let stage = match self.stage {
            None => return Ok(pipeline::tour(&graph, self.mode)?),
            Some(Stage::Ir) => pipeline::Stage::Ir,
            Some(Stage::Fused) => pipeline::Stage::Fused,
            Some(Stage::Vir) => pipeline::Stage::Vir,
            Some(Stage::Clif) => pipeline::Stage::Clif,
            Some(Stage::Asm) => pipeline::Stage::Asm(self.emitter),
            Some(Stage::Proof) => pipeline::Stage::Proof,
        };
        Ok(pipeline::explain(&graph, self.mode, stage)?)
    }
}
