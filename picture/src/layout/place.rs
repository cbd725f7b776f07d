//! Where each vertex is in its rank: as straight below and above its neighbours as there is room.

use super::BETWEEN;
use super::ranks::{Layers, Link, Vertex};

const ROUNDS: usize = 40;

/// The centre of each vertex, rightwards.
pub(super) fn place(layers: &Layers) -> Vec<f64> {
    let mut centres = vec![0.0; layers.vertices.len()];
    for rank in &layers.ranks {
        let mut x = 0.0;
        for &at in rank {
            let width = layers.vertices[at].width;
            centres[at] = x + width / 2.0;
            x += width + BETWEEN;
        }
    }
    let count = layers.ranks.len();
    for round in 0..ROUNDS {
        // At last, both sides count.
        let both = 2 * round >= ROUNDS;
        let ranks: Vec<usize> =
            if round % 2 == 0 { (0..count).collect() } else { (0..count).rev().collect() };
        for rank in ranks {
            let links = |vertex: &Vertex| match (both, round % 2) {
                (true, _) => [&vertex.above[..], &vertex.below[..]].concat(),
                (_, 0) => vertex.above.clone(),
                _ => vertex.below.clone(),
            };
            settle(layers, &layers.ranks[rank], &links, &mut centres);
        }
    }
    centres
}

/// How much a link pulls: the long part of a wire should be straight, and so should a chain of ops.
fn pull(vertex: &Vertex, other: &Vertex) -> f64 {
    let is_only = |vertex: &Vertex| vertex.above.len() <= 1 && vertex.below.len() <= 1;
    match (vertex.is_slot, other.is_slot) {
        (true, true) => 60.0,
        (false, false) if is_only(vertex) && is_only(other) => 20.0,
        (false, false) => 2.0,
        _ => 1.0,
    }
}

/// Moves the vertices of a rank to where they want to be, as near as their order and widths allow:
/// the sum of squared distances, each with its weight, is the least.
fn settle(
    layers: &Layers,
    rank: &[usize],
    links: &impl Fn(&Vertex) -> Vec<Link>,
    centres: &mut [f64],
) {
    /// Vertices that touch: they share one shift.
    struct Pool {
        weight: f64,
        /// The sum of what they want, each with its weight.
        wanted: f64,
        count: usize,
    }
    let mut pools: Vec<Pool> = Vec::new();
    // Where each vertex is if all are packed from 0.
    let mut packed = Vec::with_capacity(rank.len());
    let mut end = 0.0;
    for &at in rank {
        let vertex = &layers.vertices[at];
        let here = end + vertex.width / 2.0;
        end += vertex.width + BETWEEN;
        packed.push(here);
        let (mut weight, mut wanted) = (0.0, 0.0);
        for link in links(vertex) {
            let pull = pull(vertex, &layers.vertices[link.vertex]);
            weight += pull;
            wanted += pull * (centres[link.vertex] + link.there - link.here);
        }
        if weight == 0.0 {
            // Nothing pulls: it stays, and gives way.
            (weight, wanted) = (0.01, 0.01 * centres[at]);
        }
        pools.push(Pool { weight, wanted: wanted - weight * here, count: 1 });
        while let [.., before, last] = &mut pools[..]
            && before.wanted / before.weight >= last.wanted / last.weight
        {
            before.weight += last.weight;
            before.wanted += last.wanted;
            before.count += last.count;
            pools.pop();
        }
    }
    let mut vertices = rank.iter().zip(packed);
    for pool in pools {
        let shift = pool.wanted / pool.weight;
        for (&at, packed) in vertices.by_ref().take(pool.count) {
            centres[at] = packed + shift;
        }
    }
}
