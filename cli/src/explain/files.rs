//! `--svg`, `--dot` and `--html`: what is explained, as files.

use super::Explain;
use super::object::Written;
use crate::console::Console;
use crate::failure::Failure;
use crate::output::{Contents, Output, write_all};
use clap::Args;
use kiln::Graph;
use kiln_picture::Picture;
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
    /// Write all of it as a page that needs nothing else: stages (with those of --stage), picture, proof
    /// and reasons; with --shape also measured
    #[arg(long, value_name = "FILE", value_parser = path)]
    html: Option<PathBuf>,
    /// With --html and --shape, measure what this machine can do, too (some seconds), and say on the page
    /// which roof binds the kernel
    #[arg(long, requires_all = ["html", "shape"])]
    pub(super) roofline: bool,
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
        let all = [("svg", &self.svg), ("dot", &self.dot), ("html", &self.html)];
        all.into_iter().filter_map(|(format, path)| Some((format, path.as_deref()?)))
    }

    /// Writes all of them, or none.
    pub(super) fn write(
        &self,
        explain: &Explain,
        graph: &Graph,
        console: &Console,
    ) -> Result<(), Failure> {
        if self.html.is_none() && (explain.all || !explain.stage.is_empty()) {
            return Err(Failure::Usage(
                "a picture shows no stages: leave out --stage and --all, or write a page by --html"
                    .into(),
            ));
        }
        let outputs = Output::find(self.wanted().map(|(_, path)| path))?;
        let sized = explain.sized(graph)?;
        let picture = Picture::of(sized.as_ref().unwrap_or(graph), explain.mode);
        let contents = self.wanted().map(|(format, _)| {
            let text = match format {
                "svg" => picture.svg(),
                "dot" => picture.dot(),
                _ => explain.page(graph, &picture)?.html(),
            };
            Ok(Contents::Bytes(text.into()))
        });
        let contents: Vec<Contents> = contents.collect::<Result<_, Failure>>()?;
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
