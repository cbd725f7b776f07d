//! The order within ranks: each vertex comes near the middle of those that it is linked to.

use super::ranks::{Layers, Link, Vertex};

/// How often ranks are looked at, downwards and upwards.
const SWEEPS: usize = 12;

/// Orders every rank; of all orders that it meets, the one with the fewest crossings.
pub(super) fn order(layers: &mut Layers) {
    let mut best = (crossings(layers), layers.ranks.clone());
    for sweep in 0..SWEEPS {
        let count = layers.ranks.len();
        match sweep % 2 {
            0 => (1..count).for_each(|rank| sort(layers, rank, |vertex| &vertex.above)),
            _ => (0..count).rev().skip(1).for_each(|rank| sort(layers, rank, |v| &v.below)),
        }
        let found = crossings(layers);
        if found < best.0 {
            best = (found, layers.ranks.clone());
        }
    }
    layers.ranks = best.1;
}

/// Sorts a rank by the mean place of those that its vertices are linked to on one side. What is
/// linked to nothing there stays where it is.
fn sort(layers: &mut Layers, rank: usize, links: impl Fn(&Vertex) -> &Vec<Link>) {
    let places = places(layers);
    let mean = |&at: &usize| {
        let links = links(&layers.vertices[at]);
        if links.is_empty() {
            return places[at] + 0.5;
        }
        let there = links.iter().map(|link| places[link.vertex] + share(layers, link));
        there.sum::<f64>() / links.len() as f64
    };
    let mut keyed: Vec<(f64, usize)> =
        layers.ranks[rank].iter().map(|at| (mean(at), *at)).collect();
    keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    layers.ranks[rank] = keyed.into_iter().map(|(_, at)| at).collect();
}

/// Where on the other vertex a link ends, as a share of its width.
fn share(layers: &Layers, link: &Link) -> f64 {
    0.5 + link.there / layers.vertices[link.vertex].width.max(1.0)
}

/// The place of each vertex in its rank.
fn places(layers: &Layers) -> Vec<f64> {
    let mut places = vec![0.0; layers.vertices.len()];
    for rank in &layers.ranks {
        for (place, &at) in rank.iter().enumerate() {
            places[at] = place as f64;
        }
    }
    places
}

/// How many pairs of links cross.
fn crossings(layers: &Layers) -> usize {
    let places = places(layers);
    let of_rank = |rank: &Vec<usize>| {
        let mut ends: Vec<(f64, f64)> = Vec::new();
        for &at in rank {
            let vertex = &layers.vertices[at];
            for link in &vertex.below {
                let here = places[at] + 0.5 + link.here / vertex.width.max(1.0);
                ends.push((here, places[link.vertex] + share(layers, link)));
            }
        }
        ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let ends: Vec<f64> = ends.into_iter().map(|(_, below)| below).collect();
        inversions(&ends)
    };
    layers.ranks.iter().map(of_rank).sum()
}

/// How many pairs are in the wrong order, found as by insertion into a sorted list.
fn inversions(values: &[f64]) -> usize {
    let mut sorted: Vec<f64> = Vec::with_capacity(values.len());
    let mut count = 0;
    for value in values {
        let at = sorted.partition_point(|other| other <= value);
        count += sorted.len() - at;
        sorted.insert(at, *value);
    }
    count
}
