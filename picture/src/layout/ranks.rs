//! The rank of each block, and a slot in every rank that a wire passes.

use super::{Block, Rank};
use crate::network::{End, Wire};
use std::collections::{BTreeMap, HashMap};

/// How wide the slot of a wire is.
const SLOT: f64 = 4.0;

/// Vertices in ranks; the first ones are the blocks, the others slots of wires.
pub(super) struct Layers {
    pub(super) vertices: Vec<Vertex>,
    /// The vertices of each rank, from left to right.
    pub(super) ranks: Vec<Vec<usize>>,
    /// The slots of what goes out at an end, rank by rank: all its wires share them.
    pub(super) chains: HashMap<End, Vec<usize>>,
}

pub(super) struct Vertex {
    pub(super) rank: usize,
    pub(super) width: f64,
    pub(super) is_slot: bool,
    pub(super) above: Vec<Link>,
    pub(super) below: Vec<Link>,
}

/// A line to a vertex of the next rank. Offsets are from the centres of both.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) vertex: usize,
    pub(super) here: f64,
    pub(super) there: f64,
}

impl Layers {
    pub(super) fn new(blocks: &[Block], wires: &[Wire]) -> Layers {
        let ranks = ranks(blocks, wires);
        let vertex = |(block, &rank): (&Block, &usize)| Vertex::new(rank, block.width, false);
        let mut layers = Layers {
            vertices: blocks.iter().zip(&ranks).map(vertex).collect(),
            ranks: Vec::new(),
            chains: HashMap::new(),
        };
        // Where each result is needed last.
        let mut lasts: BTreeMap<End, usize> = BTreeMap::new();
        for wire in wires {
            let last = lasts.entry(wire.from).or_default();
            *last = ranks[wire.to.item].max(*last);
        }
        let offset = |at: f64, block: &Block| at - block.width / 2.0;
        for (from, last) in lasts {
            let block = &blocks[from.item];
            let mut above = (from.item, offset(block.results[from.port], block));
            let mut chain = Vec::new();
            for rank in ranks[from.item] + 1..last {
                let slot = layers.vertices.len();
                layers.vertices.push(Vertex::new(rank, SLOT, true));
                layers.link(above, (slot, 0.0));
                above = (slot, 0.0);
                chain.push(slot);
            }
            layers.chains.insert(from, chain);
        }
        for Wire { from, to } in wires {
            let (source, target) = (&blocks[from.item], &blocks[to.item]);
            let passed = ranks[to.item] - ranks[from.item] - 1;
            let above = match passed.checked_sub(1) {
                Some(last) => (layers.chains[from][last], 0.0),
                None => (from.item, offset(source.results[from.port], source)),
            };
            layers.link(above, (to.item, offset(target.operands[to.port], target)));
        }
        let count = layers.vertices.iter().map(|vertex| vertex.rank + 1).max().unwrap_or(0);
        layers.ranks = vec![Vec::new(); count];
        for (at, vertex) in layers.vertices.iter().enumerate() {
            layers.ranks[vertex.rank].push(at);
        }
        layers
    }

    fn link(&mut self, (above, out): (usize, f64), (below, into): (usize, f64)) {
        self.vertices[above].below.push(Link { vertex: below, here: out, there: into });
        self.vertices[below].above.push(Link { vertex: above, here: into, there: out });
    }
}

impl Vertex {
    fn new(rank: usize, width: f64, is_slot: bool) -> Vertex {
        Vertex { rank, width, is_slot, above: Vec::new(), below: Vec::new() }
    }
}

/// The rank of each block: below all that it reads. What reads nothing is just above what reads it.
fn ranks(blocks: &[Block], wires: &[Wire]) -> Vec<usize> {
    let mut ranks = vec![0; blocks.len()];
    let mut sorted: Vec<&Wire> = wires.iter().collect();
    sorted.sort_by_key(|wire| wire.to.item);
    for wire in &sorted {
        ranks[wire.to.item] = ranks[wire.to.item].max(ranks[wire.from.item] + 1);
    }
    let last = ranks.iter().copied().max().unwrap_or(0);
    for (at, block) in blocks.iter().enumerate() {
        let reads = wires.iter().any(|wire| wire.to.item == at);
        let readers = wires.iter().filter(|wire| wire.from.item == at);
        match block.rank {
            Rank::Last => ranks[at] = last,
            Rank::Any if !reads => {
                let first = readers.map(|wire| ranks[wire.to.item]).min();
                ranks[at] = first.map_or(0, |first| first - 1);
            }
            Rank::Any | Rank::First => {}
        }
    }
    ranks
}
