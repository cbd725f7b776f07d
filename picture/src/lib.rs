//! A kernel before and after fusion, as one picture.
//!
//! ```
//! use kiln::{Mode, ir};
//! use kiln_picture::Picture;
//!
//! let kernel = ir::parse("kernel gelu(x) { 0.5 * x * (1 + erf(x / sqrt(2))) }").unwrap();
//! let picture = Picture::of(&kernel, Mode::Precise);
//! assert!(picture.svg().starts_with("<svg "));
//! assert!(picture.description().ends_with("fused: 1 pass over memory, moving 8 B an element"));
//! ```

mod build;
mod bytes;
mod dot;
mod layout;
pub mod markup;
mod network;
mod scene;
mod svg;
#[cfg(test)]
mod tests;

use build::{Detail, is_step, network};
use bytes::{Bytes, Elements};
use kiln::internals::{fuse, unfuse};
use kiln::ir::Node;
use kiln::{Graph, Mode};
use network::Network;
use scene::Scene;

pub use svg::STYLE;

/// What a picture shows.
pub struct Picture {
    name: String,
    before: Side,
    after: Side,
}

/// The kernel as written, or fused.
struct Side {
    title: &'static str,
    /// Passes, and the bytes that they move.
    caption: String,
    network: Network,
}

impl Picture {
    /// Of a kernel, as written and as fused within `mode`.
    pub fn of(graph: &Graph, mode: Mode) -> Picture {
        let (before, after) = (unfuse(graph), fuse(graph, mode).graph);
        Picture {
            name: graph.name().to_string(),
            before: Side::of("as written", &before.with_notes_of(graph), Detail::Passes),
            after: Side::of("fused", &after.with_notes_of(graph), Detail::Kernels),
        }
    }

    /// As Graphviz text.
    pub fn dot(&self) -> String {
        dot::document(&self.name, &self.panels())
    }

    /// As an SVG file.
    pub fn svg(&self) -> String {
        svg::document(&self.scene(), &self.name, &self.description())
    }

    /// As an element of a page that has [`STYLE`].
    pub fn element(&self) -> String {
        svg::element(&self.scene(), &self.name, &self.description())
    }

    fn scene(&self) -> Scene {
        Scene::of(&self.panels())
    }

    /// For whoever cannot see it.
    pub fn description(&self) -> String {
        let sides = [&self.before, &self.after];
        sides.map(|side| format!("{}: {}", side.title, side.caption)).join("; ")
    }

    fn panels(&self) -> [(String, String, &Network); 2] {
        [&self.before, &self.after]
            .map(|side| (side.title.to_string(), side.caption.clone(), &side.network))
    }
}

impl Side {
    fn of(title: &'static str, graph: &Graph, detail: Detail) -> Side {
        Side { title, caption: caption(graph), network: network(graph, detail) }
    }
}

fn is_kernel(node: &Node) -> bool {
    matches!(node, Node::Fused { .. })
}

/// `2 passes, 8 B an element moved`.
fn caption(graph: &Graph) -> String {
    let steps = graph.nodes().iter().filter(|node| is_step(node)).count();
    let reads = graph.nodes().iter().filter(|node| is_step(node)).flat_map(Node::operands);
    let is_written =
        |node: &Node| matches!(node, Node::Item { .. }) || is_step(node) && !is_kernel(node);
    let writes = graph.iter().filter(|(_, node)| is_written(node));
    let elements = Elements::of(graph);
    let moved = reads.chain(writes.map(|(id, _)| id));
    let moved = moved.map(|id| Bytes::of(graph, &elements, id)).sum::<Bytes>();
    let passes = match steps {
        1 => "1 pass".to_string(),
        steps => format!("{steps} passes"),
    };
    format!("{passes} over memory, moving {moved}")
}
