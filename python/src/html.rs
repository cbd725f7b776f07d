//! A kernel as a piece of a notebook's page.

use crate::error;
use kiln::explain::{Stage, TOUR, explain};
use kiln::ir::Graph;
use kiln::{Kernel, Mode};
use pyo3::prelude::*;
use std::fmt::Write as _;

/// The text and what runs, and below it the stages of the tour, to unfold.
pub(crate) fn page(text: &str, graph: &Graph, kernel: &Kernel, mode: Mode) -> PyResult<String> {
    let (passes, s) = (kernel.pass_count(), if kernel.pass_count() == 1 { "" } else { "es" });
    let emitter =
        kernel.emitter().map_or_else(String::new, |(kind, bits)| format!(", {kind}, {bits} bits"));
    let mut html = format!(
        "<div class=\"kiln-kernel\"><code>{}</code><div><small>{mode}, {passes} pass{s}{emitter}</small></div>",
        escaped(text)
    );
    for stage in TOUR.iter().copied().chain([Stage::Vir]) {
        let shown = explain(graph, mode, stage).map_err(error::compile)?;
        let title = stage.title(mode);
        let _ = write!(
            html,
            "<details><summary>{}</summary><pre>{}</pre></details>",
            escaped(&title),
            escaped(shown.trim_end())
        );
    }
    Ok(html + "</div>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
