//! `kiln explain`: what becomes of a kernel, stage by stage.

mod files;
mod object;
mod page;

use crate::console::{Console, TITLE};
use crate::failure::Failure;
use crate::json;
use crate::kernel::Text;
use crate::options::{dtypes, emitters, modes};
use crate::shapes::{Shape, shape, shapes_of};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use files::Files;
use kiln::explain::{Stage, TOUR, explain, separations};
use kiln::profile::Counts;
use kiln::{CallPlan, CompileOptions, DType, EmitterKind, Graph, Mode, Tensor, View, compile_with};
use object::{Apart, Object, Shown, Written};

/// Show what becomes of a kernel, stage by stage
#[derive(Args)]
#[command(after_help = "\
Examples
  kiln explain @gelu_tanh                 what was written, the proof, what runs, and what was gained
  kiln explain @gelu_tanh --stage proof   the rewrites from what was written to what runs
  kiln explain 'exp(x @ tanh(w))' --stage why      why that is two kernels
  kiln explain @exp --stage vir,asm       the vector program and the machine code
  kiln explain 'x * exp(w)' --shape x=1000x8,w=8   what a call with such inputs runs
  kiln explain bias_gelu.kiln --svg bias_gelu.svg  the graph before and after fusion, as a picture
  kiln explain @gelu_tanh --html gelu.html         all of it, as a page for a browser
  kiln explain -- '-x * y'                an expression that begins with a minus")]
pub(crate) struct Explain {
    /// A file ending in .kiln, an expression, or @name for an op
    kernel: String,
    /// Only these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',', value_parser = stages())]
    stage: Vec<Stage>,
    /// All stages
    #[arg(long, conflicts_with = "stage")]
    all: bool,
    /// Show what a call with inputs of these shapes runs, pass by pass, and the memory it takes
    #[arg(
        long,
        value_name = "INPUT=SIZES",
        value_delimiter = ',',
        value_parser = shape
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
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: Files,
}

/// The FLOPs of each step.
fn flops(plan: &CallPlan) -> Result<String, Failure> {
    let mut text = "FLOP of each step\n".to_string();
    for (step, number) in plan.steps().iter().zip(1..) {
        let Counts { flops, .. } = Counts::of_pass(step)?;
        text += &format!("  {number}. {flops}\n");
    }
    Ok(text)
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
        if self.files.are_wanted() {
            return self.files.write(self, &graph, console);
        }
        if !self.shape.is_empty() {
            if self.all || !self.stage.is_empty() {
                let fault = "--shape shows a call, and --stage and --all the kernel: use one of them, \
                             or write a page of both by --html";
                return Err(Failure::Usage(fault.into()));
            }
            let plan = self.call(&graph)?;
            return match self.json {
                true => console.print(&self.object(&graph, Vec::new(), Some(&plan), Vec::new())),
                false => console.print(&format!("{plan}{}", flops(&plan)?)),
            };
        }
        let stages: Vec<Stage> = match (self.all, &self.stage[..]) {
            (true, _) => Stage::all().into_iter().map(|(stage, _)| stage).collect(),
            (_, []) => TOUR.to_vec(),
            (_, stages) => stages.to_vec(),
        };
        if self.json {
            let shown = |&stage: &Stage| {
                Ok(Shown { stage: stage.to_string(), text: self.text(&graph, stage)? })
            };
            let shown = stages.iter().map(shown).collect::<Result<_, Failure>>()?;
            return console.print(&self.object(&graph, shown, None, Vec::new()));
        }
        if let ([stage], false) = (&stages[..], self.all) {
            return console.print(&self.text(&graph, *stage)?);
        }
        for (index, &stage) in stages.iter().enumerate() {
            let (title, text) = (stage.title(self.mode), self.text(&graph, stage)?);
            let gap = if index == 0 { "" } else { "\n" };
            console.print(&format!("{gap}{TITLE}── {title}{TITLE:#}\n{}\n", text.trim_end()))?;
        }
        Ok(())
    }

    fn text(&self, graph: &Graph, stage: Stage) -> Result<String, Failure> {
        let stage = match stage {
            Stage::Asm(_) => Stage::Asm(self.emitter),
            stage => stage,
        };
        match explain(graph, self.mode, stage) {
            // Of all, some may not be had here.
            Err(error) if self.all => Ok(error.to_string()),
            result => Ok(result?),
        }
    }

    fn object<'a>(
        &self,
        graph: &'a Graph,
        stages: Vec<Shown>,
        plan: Option<&CallPlan>,
        files: Vec<Written<'a>>,
    ) -> String {
        json::print(&Object {
            command: "explain",
            kernel: graph.name(),
            mode: self.mode.to_string(),
            stages,
            apart: separations(graph, self.mode).into_iter().map(Apart::of).collect(),
            plan: plan.map(json::Plan::of),
            files,
        })
    }

    /// What a call runs.
    fn call(&self, graph: &Graph) -> Result<CallPlan, Failure> {
        let shapes = shapes_of(graph, &self.shape)?;
        let options = CompileOptions::new().mode(self.mode).emitter(self.emitter);
        let kernel = compile_with(graph, options)?;
        let zeros = graph.inputs().iter().zip(&shapes);
        let arrays: Vec<Tensor> = zeros
            .map(|(input, shape)| Tensor::zeros(input.dtype, shape))
            .collect::<Result<_, _>>()?;
        let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
        Ok(kernel.plan_for(&views)?)
    }
}
