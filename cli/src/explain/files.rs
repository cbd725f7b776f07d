//! `--svg`, `--dot` and `--html`: what is explained, as files.

use super::Explain;
use super::object::Written;
use crate::console::Console;
use crate::failure::Failure;
use crate::output::{Contents, Output, write_all};
use crate::picture::Picture;
use crate::shapes::shapes_of;
use clap::Args;
use kiln::Graph;
use kiln::ir::{Dim, Input, NodeId};
use std::path::{Path, PathBuf};

/// Where pictures and pages go.
#[derive(Args)]
#[command(next_help_heading = "Files")]
pub(super) struct Files {
    /// Draw the graph before and after fusion, with the bytes that each kernel moves
    #[arg(long, value_name = "FILE", value_parser = path)]
    svg: Option<PathBuf>,
    /// Write the same graphs for Graphviz
    #[arg(long, value_name = "FILE", value_parser = path)]
    dot: Option<PathBuf>,
}

/// Reads a path.
fn path(text: &str) -> Result<PathBuf, String> {
    match text.is_empty() {
        true => Err("write the name of a file, or - for standard output".into()),
        false => Ok(text.into()),
    }
}

impl Files {
    /// Whether there is any to write.
    pub(super) fn are_wanted(&self) -> bool {
        self.wanted().next().is_some()
    }

    /// The name of each format, and where it goes.
    fn wanted(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let all = [("svg", &self.svg), ("dot", &self.dot)];
        all.into_iter().filter_map(|(format, path)| Some((format, path.as_deref()?)))
    }

    /// Writes all of them, or none.
    pub(super) fn write(
        &self,
        explain: &Explain,
        graph: &Graph,
        console: &Console,
    ) -> Result<(), Failure> {
        if !explain.stage.is_empty() || explain.all {
            return Err(Failure::Usage(
                "a picture shows no stages: leave out --stage and --all".into(),
            ));
        }
        let outputs = Output::find(self.wanted().map(|(_, path)| path))?;
        let sized = explain.sized(graph)?;
        let picture = Picture::of(sized.as_ref().unwrap_or(graph), explain.mode);
        let contents = |format| match format {
            "svg" => picture.svg(),
            _ => picture.dot(),
        };
        let contents = self.wanted().map(|(format, _)| Contents::Bytes(contents(format).into()));
        let outputs: Vec<(Output<'_>, Contents)> = outputs.into_iter().zip(contents).collect();
        write_all(&outputs)?;
        let is_stdout = outputs.iter().any(|(output, _)| output.is_stdout());
        if explain.json {
            let to = |path: &Path| path.display().to_string();
            let names: Vec<(&str, String)> =
                self.wanted().map(|(format, path)| (format, to(path))).collect();
            let written = names.iter().map(|(format, to)| Written { format, to }).collect();
            let object = explain.object(graph, Vec::new(), None, written);
            if !is_stdout {
                return console.print(&object);
            }
            console.remark(&object);
        }
        if is_stdout {
            return Ok(());
        }
        let names: Vec<String> =
            self.wanted().map(|(_, path)| path.display().to_string()).collect();
        console.summary(&format!("{}: {}\n", names.join(", "), picture.description()))
    }
}

impl Explain {
    /// The kernel declared with the sizes of `--shape`, if there are any.
    fn sized(&self, graph: &Graph) -> Result<Option<Graph>, Failure> {
        if self.shape.is_empty() {
            return Ok(None);
        }
        let shapes = shapes_of(graph, &self.shape)?;
        let sized = |(input, shape): (&Input, Vec<usize>)| Input {
            dims: Some(shape.into_iter().map(Dim::Size).collect()),
            ..input.clone()
        };
        let inputs: Vec<Input> = graph.inputs().iter().zip(shapes).map(sized).collect();
        let mut result = Graph::with_inputs(graph.name(), &inputs);
        let ids: Vec<NodeId> = (0..inputs.len()).map(|at| result.input_node(at)).collect();
        let outputs = result.copy_graph(graph, &ids);
        let outputs = outputs
            .map_err(|fault| Failure::Failed(format!("these shapes do not fit: {fault}")))?;
        outputs.into_iter().for_each(|output| result.output(output));
        Ok(Some(result.with_notes_of(graph)))
    }
}
