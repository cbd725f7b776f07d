//! Where the boxes, words and wires of a picture are.
//!
//! A fused kernel is laid out first, and is then one block of the picture around it. So whatever is
//! in a kernel is inside its box, and nothing else is.

use super::layout::{self, Block, Layout, Point, Rank};
use super::network::{End, Item, Kind, Network, Wire};

/// What a character is wide, at most, as a part of its height, in the fixed-width fonts of the style.
const CHARACTER: f64 = 0.62;
/// Heights of letters: of labels and of small print.
const LABEL: f64 = 12.0;
const SMALL: f64 = 11.0;
/// From the baseline of a line to the next one.
const LINE: f64 = 16.0;
/// Between a box and what is inside, sideways.
const PADDING: f64 = 10.0;

/// Everything to be drawn.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// What is around others comes before them.
    pub(crate) boxes: Vec<Shape>,
    pub(crate) paths: Vec<Path>,
    /// Words outside of boxes.
    pub(crate) words: Vec<Words>,
}

/// A box and the words in it.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    /// Whether other boxes are inside.
    pub(crate) is_frame: bool,
    pub(crate) corner: Point,
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) words: Vec<Words>,
}

/// A line of text; the place is the middle, or the left end, of its baseline.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) text: String,
    pub(crate) at: Point,
    pub(crate) style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Label,
    Small,
    /// Small, from the left end on.
    Note,
    Title,
}

/// A wire.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) points: Vec<Point>,
    /// Whether it leads through memory, and not through registers.
    pub(crate) is_memory: bool,
}

impl Style {
    fn size(self) -> f64 {
        match self {
            Style::Label => LABEL,
            Style::Small | Style::Note => SMALL,
            Style::Title => 14.0,
        }
    }

    /// What a text is wide, at most.
    pub(crate) fn width(self, text: &str) -> f64 {
        text.chars().count() as f64 * CHARACTER * self.size()
    }
}

/// A network with the size and place of everything in it.
struct Drawing<'n> {
    network: &'n Network,
    layout: Layout,
    blocks: Vec<Block>,
    inside: Vec<Option<Drawing<'n>>>,
}

impl Scene {
    /// Networks side by side, each below its title and a line of small print.
    pub(crate) fn of(panels: &[(String, String, &Network)]) -> Scene {
        const APART: f64 = 56.0;
        const MARGIN: f64 = 16.0;
        const HEAD: f64 = 56.0;
        let mut scene = Scene::default();
        let mut left = MARGIN;
        for (title, caption, network) in panels {
            let drawing = Drawing::of(network);
            let words = [(title, Style::Title, 18.0), (caption, Style::Note, 36.0)];
            let widths = words.map(|(text, style, _)| style.width(text));
            let width = widths.into_iter().fold(drawing.layout.width, f64::max).ceil();
            for (text, style, down) in words {
                let at = Point { x: left, y: MARGIN + down - 4.0 };
                scene.words.push(Words { text: text.clone(), at, style });
            }
            // Below the middle of a title that is wider.
            let inset = ((width - drawing.layout.width) / 2.0).round();
            drawing.draw(Point { x: left + inset, y: MARGIN + HEAD }, true, &mut scene);
            scene.width = left + width + MARGIN;
            scene.height = scene.height.max(drawing.layout.height + HEAD + 2.0 * MARGIN);
            left += width + APART;
        }
        scene.add_legend(MARGIN);
        scene
    }

    /// What the colours of wires mean, below all.
    fn add_legend(&mut self, margin: f64) {
        let mut x = margin;
        for (is_memory, text) in [(true, "through memory"), (false, "in registers")] {
            let y = self.height + 8.0;
            let points = vec![Point { x, y }, Point { x: x + 26.0, y }];
            self.paths.push(Path { points, is_memory });
            let (style, at) = (Style::Note, Point { x: x + 34.0, y: y + 4.0 });
            x += (34.0 + style.width(text) + 24.0).round();
            self.words.push(Words { text: text.to_string(), at, style });
        }
        self.width = self.width.max(x);
        self.height += 8.0 + margin;
    }
}

impl<'n> Drawing<'n> {
    fn of(network: &'n Network) -> Drawing<'n> {
        let inside: Vec<Option<Drawing<'n>>> =
            network.items.iter().map(|item| item.inside.as_ref().map(Drawing::of)).collect();
        let blocks: Vec<Block> =
            (0..network.items.len()).map(|at| block(network, at, inside[at].as_ref())).collect();
        Drawing { layout: layout::layout(&blocks, &network.wires), network, blocks, inside }
    }

    /// Adds everything to a scene, `corner` its upper left.
    fn draw(&self, corner: Point, is_memory: bool, scene: &mut Scene) {
        let shifted = |point: &Point| Point { x: point.x + corner.x, y: point.y + corner.y };
        for (at, (item, block)) in self.network.items.iter().zip(&self.blocks).enumerate() {
            let corner = shifted(&self.layout.corners[at]);
            let inside = self.inside[at].as_ref();
            scene.boxes.push(Shape {
                kind: item.kind,
                is_frame: inside.is_some(),
                corner,
                width: block.width,
                height: block.height,
                words: words(item, corner, block),
            });
            if let Some(inside) = inside {
                let Point { x, y } = place_inside(item, block.width, inside);
                inside.draw(Point { x: corner.x + x, y: corner.y + y }, false, scene);
            }
        }
        for route in &self.layout.routes {
            scene.paths.push(Path { points: route.iter().map(shifted).collect(), is_memory });
        }
    }
}

/// The size and the ports of an item.
fn block(network: &Network, at: usize, inside: Option<&Drawing<'_>>) -> Block {
    let item = &network.items[at];
    let lines = item.notes.iter().map(|note| Style::Small.width(note));
    let text = lines.fold(label_style(item).width(&item.label), f64::max);
    let width = text.max(inside.map_or(0.0, |inside| inside.layout.width)) + 2.0 * PADDING;
    let width = width.ceil();
    let below = inside.map_or(0.0, |inside| inside.layout.height + PADDING);
    let height = head(item) + below;
    let (operands, results) = match inside {
        Some(inside) => {
            let left = place_inside(item, width, inside).x;
            let middle = |at: usize| inside.layout.corners[at].x + inside.blocks[at].width / 2.0;
            let ports = |kind| inside.network.of_kind(kind).map(|at| left + middle(at)).collect();
            (ports(Kind::Load), ports(Kind::Store))
        }
        None => {
            let ports = |end: fn(&Wire) -> End| {
                let ends = network.wires.iter().map(end).filter(|end| end.item == at);
                let count = ends.map(|end| end.port + 1).max().unwrap_or(1);
                (1..=count).map(|port| width * port as f64 / (count + 1) as f64).collect()
            };
            (ports(|wire| wire.to), ports(|wire| wire.from))
        }
    };
    let rank = match item.kind {
        Kind::Load => Rank::First,
        Kind::Store => Rank::Last,
        _ => Rank::Any,
    };
    Block { width, height, operands, results, rank }
}

/// The height of the words of an item.
fn head(item: &Item) -> f64 {
    let label = if is_small(item) { 20.0 } else { 26.0 };
    label + LINE * item.notes.len() as f64
}

/// Where in its box what is inside an item begins.
fn place_inside(item: &Item, width: f64, inside: &Drawing<'_>) -> Point {
    Point { x: ((width - inside.layout.width) / 2.0).round(), y: head(item) }
}

fn is_small(item: &Item) -> bool {
    matches!(item.kind, Kind::Load | Kind::Store)
}

fn label_style(item: &Item) -> Style {
    if is_small(item) { Style::Small } else { Style::Label }
}

/// The label and the small print of an item, below each other in the middle.
fn words(item: &Item, corner: Point, block: &Block) -> Vec<Words> {
    let (x, top) = (corner.x + block.width / 2.0, if is_small(item) { 14.0 } else { 17.0 });
    let label = (&item.label, label_style(item));
    let lines = std::iter::once(label).chain(item.notes.iter().map(|note| (note, Style::Small)));
    let place = |line: usize| Point { x, y: corner.y + top + LINE * line as f64 };
    lines
        .enumerate()
        .map(|(line, (text, style))| Words { text: text.clone(), at: place(line), style })
        .collect()
}
