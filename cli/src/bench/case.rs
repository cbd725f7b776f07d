//! What is to be measured: kernels with the shapes of their inputs.

use super::Bench;
use crate::console::Console;
use crate::failure::Failure;
use crate::kernel::Text;
use crate::shapes::{Shape, shapes_over};
use crate::sizes;
use crate::suites::{Kernel, Shapes, Suite};
use kiln::{DType, Graph};

/// Cases that make one table.
pub(super) struct Group {
    pub(super) suite: Option<&'static str>,
    pub(super) cases: Vec<Case>,
}

/// A kernel and the shapes of its inputs.
pub(super) struct Case {
    pub(super) kernel: String,
    /// As the command or the suite has it.
    pub(super) text: String,
    pub(super) graph: Graph,
    pub(super) size: Option<usize>,
    pub(super) shapes: Vec<Vec<usize>>,
    /// Inputs that are bound to constants.
    pub(super) bound: Vec<String>,
}

impl Group {
    /// The kernels that the command names, at each size or of one shape.
    pub(super) fn of_kernels(
        bench: &Bench,
        sizes: &[usize],
        console: &Console,
    ) -> Result<Group, Failure> {
        let mut cases = Vec::new();
        for text in &bench.kernels {
            let graph = Text::find(text)?.graph_of(bench.arrays.dtype, console)?;
            if graph.inputs().is_empty() {
                return Err(Failure::Usage(format!(
                    "{text}: a kernel without inputs is a constant, and nothing to measure"
                )));
            }
            let case = |size: Option<usize>, given: &[Shape]| {
                let case = Case {
                    kernel: graph.name().to_string(),
                    text: text.clone(),
                    size,
                    shapes: shapes_over(&graph, given)?,
                    graph: graph.clone(),
                    bound: Vec::new(),
                };
                Ok::<_, Failure>(case)
            };
            match sizes {
                [] => cases.push(case(None, &bench.arrays.sizes(&graph))?),
                _ => {
                    for &size in sizes {
                        let mut given = vec![Shape::axis("n", size)];
                        given.extend(bench.arrays.shape.iter().cloned());
                        cases.push(case(Some(size), &given)?);
                    }
                }
            }
        }
        Ok(Group { suite: None, cases })
    }

    /// All kernels of a suite, at each of these sizes, or at its own ones: many for a plot.
    pub(super) fn of_suite(
        suite: &Suite,
        given: &[usize],
        is_plotted: bool,
        dtype: DType,
        console: &Console,
    ) -> Result<Group, Failure> {
        let mut cases = Vec::new();
        for Kernel { name, text, shapes } in (suite.kernels)() {
            let graph = Text::find(&text)?.graph_of(dtype, console)?;
            for (size, axes) in at(suite, &name, shapes, given, is_plotted, console) {
                cases.push(Case {
                    kernel: name.clone(),
                    text: text.clone(),
                    shapes: shapes_over(&graph, &axes)?,
                    size: Some(size),
                    graph: graph.clone(),
                    bound: Vec::new(),
                });
            }
        }
        Ok(Group { suite: Some(suite.name), cases })
    }

    /// Binds the inputs of these names to constants, or, without names, all but the first.
    pub(super) fn bind(&mut self, names: Option<&[String]>) {
        let Some(names) = names else { return };
        for case in &mut self.cases {
            let inputs = case.graph.inputs().iter().map(|input| input.name.to_string());
            case.bound = match names {
                [] => inputs.skip(1).collect(),
                _ => inputs.filter(|input| names.contains(input)).collect(),
            };
        }
    }

    /// What a progress bar says of a case.
    pub(super) fn title(&self, case: &Case) -> String {
        let size = case.size.map_or(String::new(), sizes::shown);
        format!("{} {size}", case.kernel)
    }
}

/// The sizes of a suite's kernel, each with the axes that it makes: of these, or its own ones.
fn at(
    suite: &Suite,
    name: &str,
    shapes: Shapes,
    given: &[usize],
    is_plotted: bool,
    console: &Console,
) -> Vec<(usize, Vec<Shape>)> {
    match shapes {
        Shapes::One(shape) => {
            let size = shape.iter().product();
            let axes = shape.iter().enumerate();
            let axes = axes.map(|(axis, &size)| Shape::axis(&format!("axis {axis}"), size));
            match given.is_empty() || given.contains(&size) {
                true => vec![(size, axes.collect())],
                false => Vec::new(),
            }
        }
        Shapes::Over { row, sizes } => {
            let sizes = match given {
                [] if is_plotted => suite.plotted,
                [] => sizes.unwrap_or(suite.sizes),
                _ => given,
            };
            let (whole, none): (Vec<usize>, Vec<usize>) =
                sizes.iter().partition(|&size| size % row == 0);
            for size in none {
                let size = sizes::shown(size);
                console.note(&format!("{name} has rows of {row}, and none at size {size}"));
            }
            whole.into_iter().map(|size| (size, vec![Shape::axis("n", size / row)])).collect()
        }
    }
}
