//! A kernel as a piece of a notebook's page.

use crate::error;
use kiln::explain::{Stage, TOUR, explain};
use kiln::ir::Graph;
use kiln::{Kernel, Mode};
use kiln_picture::Picture;
use kiln_picture::markup::escaped;
use pyo3::prelude::*;
use std::fmt::Write as _;

/// Nodes beyond which a picture is too large to be read.
const MOST_DRAWN: usize = 400;

/// The text and what runs, a picture of it, and below the stages of the tour, to unfold.
pub(crate) fn page(text: &str, graph: &Graph, kernel: &Kernel, mode: Mode) -> PyResult<String> {
    let (passes, s) = (kernel.pass_count(), if kernel.pass_count() == 1 { "" } else { "es" });
    let emitter =
        kernel.emitter().map_or_else(String::new, |(kind, bits)| format!(", {kind}, {bits} bits"));
    let mut html = format!(
        "<div class=\"kiln-kernel\"><code>{}</code><div><small>{mode}, {passes} pass{s}{emitter}</small></div>",
        escaped(text)
    );
    if graph.nodes().len() <= MOST_DRAWN {
        html += &image(&Picture::of(graph, mode));
    }
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

/// A picture as a document of its own, so that the styles and names of pictures on one page stay apart.
fn image(picture: &Picture) -> String {
    let mut url = "data:image/svg+xml,".to_string();
    for byte in picture.svg().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b' ' | b'/' | b'=' => {
                url.push(byte as char);
            }
            _ => {
                let _ = write!(url, "%{byte:02X}");
            }
        }
    }
    let description = escaped(&picture.description());
    format!("<div><img alt=\"{description}\" style=\"max-width:100%\" src=\"{url}\"></div>")
}
