//! `kiln explain`: what becomes of a kernel, stage by stage.

use crate::console::Console;
use crate::failure::Failure;
use crate::kernel::Text;
use crate::options::{dtypes, emitters, modes};
use crate::shapes::{Shape, shape, shapes_of};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use kiln::explain::{Stage, explain, tour};
use kiln::{CompileOptions, DType, EmitterKind, Graph, Mode, Tensor, View, compile_with};

/// Show what becomes of a kernel, stage by stage
#[derive(Args)]
#[command(after_help = "\
Examples
  kiln explain @gelu_tanh                 a tour of all stages, with counts before and after
  kiln explain @gelu_tanh --stage proof   the rewrites from what was written to what runs
  kiln explain @exp --stage asm           the machine code, with the primitive of each instruction
  kiln explain 'x * exp(w)' --shape x=1000x8,w=8   what a call with such inputs runs
  kiln explain -- '-x * y'                an expression that begins with a minus")]
pub(crate) struct Explain {
    /// A file ending in .kiln, an expression, or @name for an op
    kernel: String,
    /// Only this stage
    #[arg(long, value_parser = stages())]
    stage: Option<Stage>,
    /// Show what a call with inputs of these shapes runs, pass by pass, and the memory it takes
    #[arg(
        long,
        value_name = "INPUT=SIZES",
        value_delimiter = ',',
        value_parser = shape,
        conflicts_with = "stage"
    )]
    shape: Vec<Shape>,
    /// The element type of inputs that KERNEL does not type
    #[arg(long, default_value = "f32", value_parser = dtypes())]
    dtype: DType,
    /// How much rewrites may change
    #[arg(long, default_value = "precise", value_parser = modes())]
    mode: Mode,
    /// What makes the machine code, for --stage asm and --shape
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
    pub(crate) fn execute(&self, console: &Console) -> Result<(), Failure> {
        let graph = Text::find(&self.kernel)?.graph_of(self.dtype, console)?;
        if !self.shape.is_empty() {
            return console.print(&self.call(&graph)?);
        }
        console.print(&match self.stage {
            None => tour(&graph, self.mode)?,
            Some(Stage::Asm(_)) => explain(&graph, self.mode, Stage::Asm(self.emitter))?,
            Some(stage) => explain(&graph, self.mode, stage)?,
        })
    }

    /// What a call runs.
    fn call(&self, graph: &Graph) -> Result<String, Failure> {
        let shapes = shapes_of(graph, &self.shape)?;
        let options = CompileOptions::new().mode(self.mode).emitter(self.emitter);
        let kernel = compile_with(graph, options)?;
        let zeros = graph.inputs().iter().zip(&shapes);
        let arrays: Vec<Tensor> = zeros
            .map(|(input, shape)| Tensor::zeros(input.dtype, shape))
            .collect::<Result<_, _>>()?;
        let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
        Ok(kernel.plan_for(&views)?.to_string())
    }
}
