//! `kiln explain`: what becomes of a kernel, stage by stage.

use crate::failure::Failure;
use crate::kernel::Source;
use crate::options::{dtypes, emitters, modes};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use kiln::explain::{Stage, explain, tour};
use kiln::{DType, EmitterKind, Mode};

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
    #[arg(long, value_parser = stages())]
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

/// Reads `--stage`.
fn stages() -> impl TypedValueParser<Value = Stage> {
    let value =
        |(stage, shows): (Stage, &'static str)| PossibleValue::new(stage.to_string()).help(shows);
    PossibleValuesParser::new(Stage::all().into_iter().map(value))
        .try_map(|name| name.parse::<Stage>())
}

impl Explain {
    pub(crate) fn execute(&self) -> Result<String, Failure> {
        let graph = Source::find(&self.kernel)?.graph_of(self.dtype)?;
        Ok(match self.stage {
            None => tour(&graph, self.mode)?,
            Some(Stage::Asm(_)) => explain(&graph, self.mode, Stage::Asm(self.emitter))?,
            Some(stage) => explain(&graph, self.mode, stage)?,
        })
    }
}
