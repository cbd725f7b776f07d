//! `kiln explain`: what becomes of a kernel, stage by stage.

use crate::failure::Failure;
use crate::kernel::Source;
use crate::options::{dtypes, modes};
use clap::{Args, ValueEnum};
use kiln::{DType, Mode, pipeline};

/// Show what becomes of a kernel, stage by stage
#[derive(Args)]
#[command(after_help = "\
Examples
  kiln explain @gelu_tanh                 a tour of all stages, with counts before and after
  kiln explain @gelu_tanh --stage proof   the rewrites from what was written to what runs
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
    /// The rewrites from what was written to what runs
    Proof,
}

impl From<Stage> for pipeline::Stage {
    fn from(stage: Stage) -> pipeline::Stage {
        match stage {
            Stage::Ir => pipeline::Stage::Ir,
            Stage::Fused => pipeline::Stage::Fused,
            Stage::Vir => pipeline::Stage::Vir,
            Stage::Clif => pipeline::Stage::Clif,
            Stage::Proof => pipeline::Stage::Proof,
        }
    }
}

impl Explain {
    pub(crate) fn execute(&self) -> Result<String, Failure> {
        let graph = Source::find(&self.kernel)?.graph_of(self.dtype)?;
        Ok(match self.stage {
            Some(stage) => pipeline::explain(&graph, self.mode, stage.into())?,
            None => pipeline::tour(&graph, self.mode)?,
        })
    }
}
