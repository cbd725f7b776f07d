//! `kiln run`: arrays from files through a kernel into files.

mod binding;
mod number;
mod report;
mod target;

use crate::console::{Console, counted};
use crate::failure::Failure;
use crate::kernel::Text;
use crate::npy;
use crate::options::{Execution, dtypes};
use crate::output::{Contents, Output, write_all};
use crate::progress::Progress;
use crate::units::duration;
use binding::{Binding, Given, Source, binding, in_order, unknown};
use clap::Args;
use kiln::ir::{ArrayType, FreeInput, Input};
use kiln::{DType, Graph, Tensor, View, compile_with};
use report::Report;
use std::collections::HashMap;
use std::time::Instant;
use target::{Destination, Target, assign, target};

/// Run a kernel on arrays
#[derive(Args)]
#[command(after_help = "\
Arrays are those of NumPy: of f16, f32, f64, u8, i32, i64 or bool, in C or Fortran order, little- or
big-endian. A name without a type takes that of its array. An output may be an input's file. No file
is touched unless the whole run succeeds.

Inputs, by name
  -i x=x.npy          a file
  -i x=-              an .npy file on standard input
  -i w=3.5            a number, of the type that the kernel declares or the arrays have
  -i w=data.npz:w1    the array w1 of an .npz file
  -i data.npz         all arrays of an .npz file that have the name of an input
Where the order is plain (one input, `|a, b| ..`, @name), names may be left out.

Outputs, in order
  (none)              printed, the middle of a long array left out
  -o y.npy            a file
  -o -                standard output; the summary then goes to standard error
  -o out.npz:y        the array y of an .npz file
  -o out.npz          all outputs in an .npz file, as arr_0, arr_1, ..

Examples
  kiln run 'sqrt(a*a + b*b)' -i a=3 -i b=4
  kiln run '0.5*x*(1+tanh(0.79788456*(x+0.044715*x^3)))' -i x=x.npy -o y.npy
  kiln run '2*x + b' -i x=x.npy -i b=0.5 -o y.npy
  kiln run '|p, lr, g| p - lr*g' p.npy 0.1 g.npy -o p.npy
  kiln run @gelu x.npy -o - | kiln run 'x*x' - -o y.npy
  kiln run '(sin(x), cos(x))' -i x=x.npy -o sin.npy -o cos.npy
  kiln run layer.kiln -i weights.npz -i x=x.npy -o out.npz:y --threads 4
  kiln run -i x=x.npy -o y.npy -- '-x'")]
pub(crate) struct Run {
    /// A file ending in .kiln, an expression, or @name for an op
    kernel: String,
    /// Inputs without names, where their order is plain
    #[arg(value_name = "INPUT", value_parser = in_order, allow_negative_numbers = true)]
    values: Vec<Source>,
    /// What an input is: a file, a number, - for standard input; once for each input
    #[arg(short, long = "input", value_name = "NAME=FILE.npy", value_parser = binding)]
    inputs: Vec<Binding>,
    /// Where an output goes: a file, or - for standard output; once for each output, in order
    /// [default: they are printed]
    #[arg(short, long = "output", value_name = "FILE.npy", value_parser = target)]
    outputs: Vec<Target>,
    /// The type of numbers that KERNEL does not type [default: that of the arrays, or else f32]
    #[arg(long, value_parser = dtypes())]
    dtype: Option<DType>,
    #[command(flatten)]
    execution: Execution,
    /// Run one kernel for each op, as written
    #[arg(long)]
    unfused: bool,
    /// Print the summary as JSON, of a run whose outputs go to files
    #[arg(long, requires = "outputs")]
    json: bool,
}

impl Run {
    pub(crate) fn execute(&self, console: &Console) -> Result<(), Failure> {
        let text = Text::find(&self.kernel)?;
        let wanted = text.inputs()?;
        let bindings = self.bindings(&wanted)?;
        let mut given = binding::open(&bindings, &wanted)?;
        let names: Vec<String> = given.keys().cloned().collect();
        let graph = text.told(self.graph(&text, &given)?, console);
        let inputs: Vec<(&Input, Given)> =
            graph.inputs().iter().filter_map(|i| Some((i, given.remove(&i.name)?))).collect();
        if let Some(name) = given.keys().next() {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            return Err(unknown(name, &names, &wanted));
        }
        self.check_order(&graph)?;
        check_types(&inputs)?;
        let destinations = match self.outputs[..] {
            [] => Vec::new(),
            _ => assign(&self.outputs, graph.outputs().len())?,
        };
        check_results(&graph, &destinations)?;
        let outputs = Output::find(destinations.iter().map(Destination::path))?;

        let start = Instant::now();
        let arrays = read(console, inputs)?;
        console.detail(&format!(
            "read {} in {}",
            counted(arrays.len(), "input"),
            duration(start.elapsed())
        ));
        let (plan, results, compiled, ran) = self.execution.in_pool(|| {
            let progress = Progress::of_one(console);
            progress.at("compiling");
            let start = Instant::now();
            let kernel = compile_with(&graph, self.execution.options(!self.unfused))?;
            let compiled = start.elapsed();
            let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
            progress.at("running");
            let start = Instant::now();
            let results = kernel.run(&views)?;
            let ran = start.elapsed();
            Ok((kernel.plan_for(&views)?, results, compiled, ran))
        })?;
        console.detail(&format!(
            "compiled in {}, ran in {}: {}",
            duration(compiled),
            duration(ran),
            plan.to_string().trim_end()
        ));

        if destinations.is_empty() {
            return console.print(&report::shown(&results));
        }
        let report = Report {
            kernel: graph.name(),
            inputs: graph.inputs().iter().zip(&arrays).collect(),
            outputs: report::outputs(&destinations, &results),
            mode: self.execution.mode,
            plan: &plan,
            compiled,
            ran,
        };
        let summary = if self.json { report.json() } else { report.line() };
        let outputs = fill(outputs, &destinations, results);
        let start = Instant::now();
        {
            let progress = Progress::of_one(console);
            progress.at("writing");
            write_all(&outputs)?;
        }
        console.detail(&format!(
            "wrote {} in {}",
            counted(outputs.len(), "file"),
            duration(start.elapsed())
        ));
        if !outputs.iter().any(|(output, _)| output.is_stdout()) {
            return if self.json { console.print(&summary) } else { console.summary(&summary) };
        }
        // Standard output has the elements of an array, and standard error may be the same pipe.
        if !outputs.iter().any(|(output, _)| output.is_stderr()) {
            console.remark(&summary);
        }
        Ok(())
    }

    /// Inputs by name, and those without, which get the names that are left.
    fn bindings(&self, wanted: &[FreeInput]) -> Result<Vec<Binding>, Failure> {
        let mut bindings = self.inputs.clone();
        if self.values.is_empty() {
            return Ok(bindings);
        }
        let names = self.unnamed(wanted.iter().map(|input| &input.name[..]));
        if let Some(value) = self.values.get(names.len()) {
            let inputs = counted(wanted.len(), "input");
            return Err(Failure::Usage(format!(
                "the kernel has {inputs}, and {value} is one more"
            )));
        }
        let named = names.into_iter().zip(&self.values);
        bindings.extend(named.map(|(name, value)| Binding::One(name.into(), value.clone())));
        Ok(bindings)
    }

    /// Those of these inputs that no `-i` names.
    fn unnamed<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let is_named = |name: &str| {
            self.inputs.iter().any(|b| matches!(b, Binding::One(other, _) if other == name))
        };
        names.filter(|name| !is_named(name)).collect()
    }

    /// Checks that what has no name could only be meant for the input that it went to.
    fn check_order(&self, graph: &Graph) -> Result<(), Failure> {
        let names = self.unnamed(graph.inputs().iter().map(|input| &input.name[..]));
        if self.values.is_empty() || names.len() < 2 || graph.inputs_are_ordered() {
            return Ok(());
        }
        let all: Vec<&str> = graph.inputs().iter().map(|input| &input.name[..]).collect();
        let each: Vec<String> = names.iter().map(|name| format!("-i {name}=..")).collect();
        Err(Failure::Usage(format!(
            "an expression with several inputs takes them by name: {}; or say their order: \
             '|{}| {}'",
            each.join(" "),
            all.join(", "),
            self.kernel
        )))
    }

    /// The graph for these inputs. Numbers that the kernel does not type get the first type that
    /// fits: those of the arrays are tried, floats first.
    fn graph(&self, text: &Text, given: &HashMap<String, Given>) -> Result<Graph, Failure> {
        let held: Vec<DType> = given.values().filter_map(Given::dtype).map(computed_in).collect();
        let all = [DType::F32, DType::F64, DType::I64, DType::I32, DType::U8];
        let mut candidates: Vec<DType> = match self.dtype {
            Some(dtype) => vec![dtype],
            None => all.into_iter().filter(|dtype| held.contains(dtype)).collect(),
        };
        if candidates.is_empty() {
            candidates.push(DType::F32);
        }
        let graph_of = |&candidate: &DType| {
            text.graph(|name| -> Option<ArrayType> {
                let dtype = match given.get(name)? {
                    Given::Array(array) => array.dtype(),
                    Given::Number(number) if number.may_be(DType::Bool) => DType::Bool,
                    Given::Number(number) if number.may_be(candidate) => candidate,
                    Given::Number(number) => {
                        let fits = candidates.iter().find(|dtype| number.may_be(**dtype));
                        *fits.unwrap_or(&candidate)
                    }
                };
                Some((dtype, None))
            })
        };
        let first = graph_of(&candidates[0]);
        match first {
            Ok(graph) => Ok(graph),
            // Of several faults, the first is what one would expect.
            Err(fault) => {
                candidates[1..].iter().find_map(|dtype| graph_of(dtype).ok()).ok_or(fault)
            }
        }
    }
}

/// The type that arrays of this type are computed in.
fn computed_in(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    }
}

/// Checks what is given against the types that the kernel declares.
fn check_types(inputs: &[(&Input, Given)]) -> Result<(), Failure> {
    for (input, given) in inputs {
        let name = &input.name;
        match given {
            Given::Array(array) if array.dtype() != input.dtype => {
                let (place, found) = (array.place(), array.dtype());
                return Err(Failure::Failed(format!(
                    "{place} holds {found}, the kernel declares {input}: declare {name}: {found}, \
                     or convert the file"
                )));
            }
            Given::Number(number) if input.dims.as_ref().is_some_and(|dims| !dims.is_empty()) => {
                return Err(Failure::Usage(format!(
                    "{number} is a single number, the kernel declares {input}: declare {name}: \
                     {}[..], or give an array",
                    input.dtype
                )));
            }
            Given::Number(number) => {
                number
                    .tensor(input.dtype)
                    .map_err(|reason| Failure::Usage(format!("input {name}={number}: {reason}")))?;
            }
            Given::Array(_) => {}
        }
    }
    Ok(())
}

/// Checks that files can hold the results.
fn check_results(graph: &Graph, destinations: &[Destination]) -> Result<(), Failure> {
    for (place, result) in destinations.iter().flat_map(Destination::places) {
        npy::check_type(graph.dtype(graph.outputs()[result]))
            .map_err(|reason| Failure::Failed(format!("cannot write {place}: {reason}")))?;
    }
    Ok(())
}

/// Reads all elements.
fn read(console: &Console, inputs: Vec<(&Input, Given)>) -> Result<Vec<Tensor>, Failure> {
    let bytes = |given: &Given| match given {
        Given::Array(array) => array.bytes(),
        Given::Number(_) => 0,
    };
    let progress = Progress::of_bytes(console, inputs.iter().map(|(_, given)| bytes(given)).sum());
    let read = |(input, given): (&Input, Given)| match given {
        Given::Array(array) => {
            progress.at(format!("reading {}", array.place()));
            array.read(&progress)
        }
        Given::Number(number) => number.tensor(input.dtype).map_err(Failure::Usage),
    };
    inputs.into_iter().map(read).collect()
}

/// Puts results where they belong.
fn fill<'a>(
    outputs: Vec<Output<'a>>,
    destinations: &[Destination],
    results: Vec<Tensor>,
) -> Vec<(Output<'a>, Contents)> {
    let mut results: Vec<Option<Tensor>> = results.into_iter().map(Some).collect();
    let mut take = |result: usize| results[result].take().expect("each result has one place");
    let contents = destinations.iter().map(|destination| match destination {
        Destination::Array(_, result) => Contents::Array(take(*result)),
        Destination::Archive(_, arrays) => Contents::Archive(
            arrays.iter().map(|(name, result)| (name.clone(), take(*result))).collect(),
        ),
    });
    outputs.into_iter().zip(contents).collect()
}
