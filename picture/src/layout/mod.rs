//! A layered layout, as Sugiyama's: blocks in ranks from top to bottom, wires between them.
//!
//! In: blocks with their sizes and ports, and wires from each block to later ones. Out: corners and
//! routes. No two blocks overlap, and no wire crosses a block: where one passes a rank, it has a slot
//! of its own there, as narrow as it is. The same input gives the same picture everywhere, for there
//! is no chance in it, and coordinates are rounded.

mod order;
mod place;
mod ranks;
mod straighten;
#[cfg(test)]
mod tests;

use super::network::{End, Wire};
use place::place;
use ranks::{Layers, Vertex};
use straighten::straighten;

/// Between neighbours of a rank.
const BETWEEN: f64 = 18.0;
/// Between a rank and the next one, at least.
const BELOW: f64 = 30.0;

/// A box to be laid out.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// Where on its top wires come in, from its left end.
    pub(crate) operands: Vec<f64>,
    /// Where on its bottom they go out.
    pub(crate) results: Vec<f64>,
    pub(crate) rank: Rank,
}

/// Which ranks a block may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    First,
    Any,
    Last,
}

/// A place, rightwards and downwards from the corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// Where everything is.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// The upper left corner of each block.
    pub(crate) corners: Vec<Point>,
    /// The way of each wire. Between two places of one `x` it is straight, else it bends.
    pub(crate) routes: Vec<Vec<Point>>,
}

/// Lays out blocks; the ends of wires are blocks and their ports.
pub(crate) fn layout(blocks: &[Block], wires: &[Wire]) -> Layout {
    let mut layers = Layers::new(blocks, wires);
    order::order(&mut layers);
    let mut centres = place(&layers);
    straighten(&layers, &mut centres);
    let (tops, heights) = bands(&layers, blocks, &centres);

    let left = |vertex: &Vertex, x: f64| x - vertex.width / 2.0;
    let lefts = layers.vertices.iter().zip(&centres).map(|(vertex, &x)| left(vertex, x));
    let leftmost = lefts.fold(f64::INFINITY, f64::min);
    let x_of = |at: usize| centres[at] - leftmost;
    let corner = |at: usize| {
        let (vertex, block) = (&layers.vertices[at], &blocks[at]);
        let y = tops[vertex.rank] + (heights[vertex.rank] - block.height) / 2.0;
        Point { x: round(left(vertex, x_of(at))), y: round(y) }
    };
    let corners: Vec<Point> = (0..blocks.len()).map(corner).collect();
    let rights =
        layers.vertices.iter().enumerate().map(|(at, vertex)| x_of(at) + vertex.width / 2.0);
    let bottom = tops.last().zip(heights.last()).map_or(0.0, |(top, height)| top + height);
    let route = |wire: &Wire| {
        let start = port(&corners, blocks, wire.from, Side::Bottom);
        let end = port(&corners, blocks, wire.to, Side::Top);
        let [from, to] = [wire.from, wire.to].map(|end| layers.vertices[end.item].rank);
        let mut route = vec![start, Point { x: start.x, y: round(tops[from] + heights[from]) }];
        for &at in &layers.chains[&wire.from][..to - from - 1] {
            let (x, rank) = (round(x_of(at)), layers.vertices[at].rank);
            route.push(Point { x, y: round(tops[rank]) });
            route.push(Point { x, y: round(tops[rank] + heights[rank]) });
        }
        route.extend([Point { x: end.x, y: round(tops[to]) }, end]);
        route.dedup();
        route
    };
    Layout {
        width: rights.fold(0.0, f64::max).ceil(),
        height: bottom.ceil(),
        routes: wires.iter().map(route).collect(),
        corners,
    }
}

enum Side {
    Top,
    Bottom,
}

fn port(corners: &[Point], blocks: &[Block], End { item, port }: End, side: Side) -> Point {
    let (Point { x, y }, block) = (corners[item], &blocks[item]);
    match side {
        Side::Top => Point { x: round(x + block.operands[port]), y },
        Side::Bottom => Point { x: round(x + block.results[port]), y: round(y + block.height) },
    }
}

/// The top and the height of each rank. The farther wires go sideways, the more room they get.
fn bands(layers: &Layers, blocks: &[Block], centres: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut heights = vec![0f64; layers.ranks.len()];
    for (block, vertex) in blocks.iter().zip(&layers.vertices) {
        heights[vertex.rank] = heights[vertex.rank].max(block.height);
    }
    let mut tops = Vec::with_capacity(heights.len());
    let mut top = 0.0;
    for (rank, height) in heights.iter().enumerate() {
        tops.push(top);
        let links = layers.ranks[rank].iter().flat_map(|&at| {
            let below = layers.vertices[at].below.iter();
            below.map(move |link| {
                (centres[at] + link.here - centres[link.vertex] - link.there).abs()
            })
        });
        let farthest = links.fold(0.0, f64::max);
        top += height + BELOW + (farthest / 12.0).min(60.0);
    }
    (tops, heights)
}

/// To a tenth: finer than eyes are, and shorter to write.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
