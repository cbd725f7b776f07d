//! `kiln run`: arrays from files through a kernel into files.

use crate::failure::Failure;
use crate::kernel::Source;
use crate::npy::{self, NpyFile};
use crate::options::Execution;
use crate::output::{Output, write_all};
use clap::Args;
use kiln::ir::{FreeInput, Input};
use kiln::{CallPlan, CallStep, Graph, Tensor, View, compile_with};
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Run a kernel on .npy files
#[derive(Args)]
#[command(after_help = "\
Files hold f16, f32, f64, u8, i32, i64 or bool, in C or Fortran order. A name without a type takes that of its file.
An output may be an input's file. No file is touched unless the whole run succeeds.

Examples
  kiln run '0.5*x*(1+tanh(0.79788456*(x+0.044715*x^3)))' -i x=x.npy -o y.npy
  kiln run bias_gelu.kiln -i x=x.npy -i w=w.npy -i b=b.npy -o y.npy --threads 4
  kiln run '(sin(x), cos(x))' -i x=x.npy -o sin.npy -o cos.npy
  kiln run -i x=x.npy -o y.npy -- '-x'")]
pub(crate) struct Run {
    /// A file ending in .kiln, an expression, or @name for an op
    kernel: String,
    /// The file of an input; once for each input
    #[arg(short, long = "input", value_name = "NAME=FILE.npy", value_parser = binding)]
    inputs: Vec<Binding>,
    /// The file of an output; once for each output, in order
    #[arg(short, long = "output", value_name = "FILE.npy", required = true)]
    outputs: Vec<PathBuf>,
    #[command(flatten)]
    execution: Execution,
    /// Run one kernel for each op, as written
    #[arg(long)]
    unfused: bool,
}

#[derive(Clone)]
struct Binding {
    name: String,
    path: PathBuf,
}

fn binding(text: &str) -> Result<Binding, String> {
    match text.split_once('=') {
        Some((name, path)) if !name.trim().is_empty() && !path.is_empty() => {
            Ok(Binding { name: name.trim().into(), path: path.into() })
        }
        _ => Err("write NAME=FILE.npy, such as x=x.npy".into()),
    }
}

impl Run {
    pub(crate) fn execute(&self) -> Result<String, Failure> {
        let source = Source::find(&self.kernel)?;
        self.check_names(&source.inputs()?)?;
        let mut files: HashMap<&str, NpyFile> = HashMap::new();
        for Binding { name, path } in &self.inputs {
            files.insert(name, NpyFile::open(path)?);
        }
        let graph = source.graph(|name| files.get(name).map(|file| (file.dtype(), None)))?;
        let inputs: Vec<(&Input, NpyFile)> =
            graph.inputs().iter().filter_map(|i| Some((i, files.remove(&i.name[..])?))).collect();
        if let Some(name) = files.keys().next() {
            return Err(self.unknown(name, &source.inputs()?));
        }
        check_types(&inputs)?;
        let outputs = self.find_outputs(&graph)?;

        let arrays: Vec<Tensor> =
            inputs.into_iter().map(|(_, file)| file.read()).collect::<Result<_, _>>()?;
        let (plan, results, time) = self.execution.in_pool(|| {
            let kernel = compile_with(&graph, self.execution.options(!self.unfused))?;
            let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
            let start = Instant::now();
            let results = kernel.run(&views)?;
            let time = start.elapsed();
            Ok((kernel.plan_for(&views)?, results, time))
        })?;
        let outputs: Vec<(Output<'_>, Tensor)> = outputs.into_iter().zip(results).collect();
        write_all(&outputs)?;
        let summary = summary(&outputs, &plan, time);
        if outputs.iter().any(|(output, _)| output.is_stdout()) {
            // It has the elements of an array. That the summary is not seen is no failure.
            if !outputs.iter().any(|(output, _)| output.is_stderr()) {
                let _ = io::stderr().write_all(summary.as_bytes());
            }
            return Ok(String::new());
        }
        Ok(summary)
    }

    /// Checks that every input has one file and every file is an input's.
    fn check_names(&self, wanted: &[FreeInput]) -> Result<(), Failure> {
        for (index, Binding { name, path }) in self.inputs.iter().enumerate() {
            if let Some(first) = self.inputs[..index].iter().find(|other| other.name == *name) {
                return Err(Failure::Usage(format!(
                    "input {name} is given twice, as {} and as {}",
                    first.path.display(),
                    path.display()
                )));
            }
            // Whether `pi` is an input is for the parser to say.
            if name != "pi" && !wanted.iter().any(|input| input.name == *name) {
                return Err(self.unknown(name, wanted));
            }
        }
        let missing: Vec<&str> = wanted
            .iter()
            .map(|input| &input.name[..])
            .filter(|name| !self.is_given(name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let s = if missing.len() == 1 { "" } else { "s" };
        Err(Failure::Usage(format!(
            "input{s} without a file: {}\n{}",
            missing.join(", "),
            self.list(wanted)
        )))
    }

    fn unknown(&self, name: &str, wanted: &[FreeInput]) -> Failure {
        Failure::Usage(format!("the kernel has no input {name}\n{}", self.list(wanted)))
    }

    fn is_given(&self, name: &str) -> bool {
        self.inputs.iter().any(|input| input.name == name)
    }

    /// The inputs that a kernel wants, a line each.
    fn list(&self, wanted: &[FreeInput]) -> String {
        if wanted.is_empty() {
            return "it takes no input".into();
        }
        let line = |FreeInput { name, declared }: &FreeInput| {
            let declaration = match declared.clone() {
                Some((dtype, dims)) => Input { name: name.clone(), dtype, dims }.to_string(),
                None => format!("{name}: f16, f32, f64, u8, i32, i64 or bool, any shape"),
            };
            let state = match self.is_given(name) {
                true => "given".to_string(),
                false => format!("missing, add -i {name}=FILE.npy"),
            };
            format!("  {declaration} ({state})")
        };
        let lines: Vec<String> = wanted.iter().map(line).collect();
        format!("it takes\n{}", lines.join("\n"))
    }

    /// Finds a place for each output that its file can hold.
    fn find_outputs(&self, graph: &Graph) -> Result<Vec<Output<'_>>, Failure> {
        let (results, files) = (graph.outputs().len(), self.outputs.len());
        if results != files {
            let s = if results == 1 { "" } else { "s" };
            return Err(Failure::Usage(format!(
                "the kernel has {results} output{s}, {files} given; give -o FILE.npy for each, in \
                 order"
            )));
        }
        for (&result, path) in graph.outputs().iter().zip(&self.outputs) {
            npy::check_type(graph.dtype(result)).map_err(|reason| {
                Failure::Failed(format!("cannot write {}: {reason}", path.display()))
            })?;
        }
        Output::find(&self.outputs)
    }
}

/// Checks files against the types that the kernel declares.
fn check_types(inputs: &[(&Input, NpyFile)]) -> Result<(), Failure> {
    for (input, file) in inputs {
        let (declared, found, path) = (input.dtype, file.dtype(), file.path().display());
        if declared != found {
            return Err(Failure::Failed(format!(
                "{path} holds {found}, the kernel declares {input}: declare {}: {found}, or \
                 convert the file",
                input.name
            )));
        }
    }
    Ok(())
}

/// The line that tells what was done.
fn summary(outputs: &[(Output<'_>, Tensor)], plan: &CallPlan, time: Duration) -> String {
    let output = |(output, tensor): &(Output<'_>, Tensor)| {
        format!("{}: {}{:?}", output.path().display(), tensor.dtype(), tensor.shape())
    };
    let outputs: Vec<String> = outputs.iter().map(output).collect();
    let count = plan.steps().len();
    let s = if count == 1 { "" } else { "s" };
    let emitter = match plan.steps().iter().find_map(CallStep::emitter) {
        Some((emitter, bits)) => format!("{emitter} {bits}-bit"),
        None => "matmul".into(),
    };
    format!("{}; {count} kernel{s}, {emitter}, {time:.3?}\n", outputs.join(", "))
}
