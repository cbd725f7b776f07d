//! A scene as SVG.

use super::layout::Point;
use super::network::Kind;
use super::scene::{Path, Scene, Shape, Style, Words};
use crate::markup::escaped;
use std::collections::HashSet;
use std::fmt::Write as _;

/// How it looks, in light and in darkness.
pub const STYLE: &str = include_str!("picture.css");

/// A picture that stands alone: a file.
pub(crate) fn document(scene: &Scene, title: &str, description: &str) -> String {
    svg(scene, title, description, STYLE)
}

/// A picture within a page, which has the style.
pub(crate) fn element(scene: &Scene, title: &str, description: &str) -> String {
    svg(scene, title, description, "")
}

fn svg(scene: &Scene, title: &str, description: &str, style: &str) -> String {
    let Scene { width, height, .. } = scene;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"picture\" role=\"img\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         aria-labelledby=\"picture-title picture-text\">\n\
         <title id=\"picture-title\">{}</title>\n<desc id=\"picture-text\">{}</desc>\n",
        escaped(title),
        escaped(description)
    );
    if !style.is_empty() {
        let _ = writeln!(text, "<style>\n{style}</style>");
    }
    let _ =
        writeln!(text, "<defs>{}{}</defs>", arrow("arrow", ""), arrow("arrow-memory", "memory"));
    let _ = writeln!(text, "<rect class=\"back\" width=\"{width}\" height=\"{height}\"/>");
    // A wire is above the frame that it is in, and below the boxes that it joins.
    let (frames, boxes): (Vec<&Shape>, Vec<&Shape>) =
        scene.boxes.iter().partition(|shape| shape.is_frame);
    frames.into_iter().for_each(|shape| rect(shape, &mut text));
    let mut drawn = HashSet::new();
    scene.paths.iter().for_each(|wire| path(wire, &mut drawn, &mut text));
    boxes.into_iter().for_each(|shape| rect(shape, &mut text));
    let inside = scene.boxes.iter().flat_map(|shape| &shape.words);
    scene.words.iter().chain(inside).for_each(|line| words(line, &mut text));
    text.push_str("</svg>\n");
    text
}

fn arrow(id: &str, class: &str) -> String {
    format!(
        "<marker id=\"{id}\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
         <path class=\"{class}\" d=\"M0 0.5L8 4L0 7.5Z\"/></marker>"
    )
}

fn rect(shape: &Shape, text: &mut String) {
    let Shape { corner: Point { x, y }, width, height, .. } = shape;
    let class = match (shape.kind, shape.is_frame) {
        (_, true) => "frame",
        (Kind::Input, _) => "input",
        (Kind::Output, _) => "output",
        (Kind::Pass, _) => "pass",
        (Kind::Op, _) => "op",
        (Kind::Load, _) => "load",
        (Kind::Store, _) => "store",
    };
    let radius = match shape.kind {
        Kind::Input | Kind::Output => 13.0,
        Kind::Load | Kind::Store => 10.0,
        Kind::Pass | Kind::Op => 5.0,
    };
    let _ = writeln!(
        text,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"/>"
    );
}

/// Straight where it goes down, and a curve that begins and ends so where it goes sideways. Wires from
/// one result go together as far as they can: what is drawn already is left out.
fn path(wire: &Path, drawn: &mut HashSet<[u64; 4]>, text: &mut String) {
    let segment = |pair: &[Point]| [pair[0].x, pair[0].y, pair[1].x, pair[1].y].map(f64::to_bits);
    let segments: Vec<[u64; 4]> = wire.points.windows(2).map(segment).collect();
    let known = segments.iter().take_while(|segment| drawn.contains(*segment)).count();
    drawn.extend(segments);
    // The last part has the arrow.
    let points = &wire.points[known.min(wire.points.len() - 2)..];
    let (class, arrow) =
        if wire.is_memory { ("memory", "arrow-memory") } else { ("register", "arrow") };
    let mut way = String::new();
    for (at, &Point { x, y }) in points.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| points[before]);
        let goes_on = |next: &Point| before.is_some_and(|before| before.x == x) && next.x == x;
        if points.get(at + 1).is_some_and(goes_on) {
            continue;
        }
        let _ = match before {
            None => write!(way, "M{x} {y}"),
            Some(before) if before.x == x || before.y == y => write!(way, "L{x} {y}"),
            Some(before) => {
                let middle = (before.y + y) / 2.0;
                write!(way, "C{} {middle:.1} {x} {middle:.1} {x} {y}", before.x)
            }
        };
    }
    let _ = writeln!(text, "<path class=\"{class}\" d=\"{way}\" marker-end=\"url(#{arrow})\"/>");
}

fn words(line: &Words, text: &mut String) {
    let Words { text: content, at: Point { x, y }, style } = line;
    let class = match style {
        Style::Label => "label",
        Style::Small => "small",
        Style::Note => "note",
        Style::Title => "title",
    };
    let _ =
        writeln!(text, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(content));
}
