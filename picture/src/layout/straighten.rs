//! Takes the last small bends out of long wires, and out of chains of ops.

use super::BETWEEN;
use super::ranks::{Layers, Vertex};

/// Moves what should be straight below each other, as far as what is beside it allows.
pub(super) fn straighten(layers: &Layers, centres: &mut [f64]) {
    let mut beside = vec![[None; 2]; layers.vertices.len()];
    for pair in layers.ranks.iter().flat_map(|rank| rank.windows(2)) {
        beside[pair[0]][1] = Some(pair[1]);
        beside[pair[1]][0] = Some(pair[0]);
    }
    // The room for a centre between the neighbours.
    let room = |at: usize, centres: &[f64]| {
        let apart = |other: usize| {
            (layers.vertices[other].width + layers.vertices[at].width) / 2.0 + BETWEEN
        };
        let [left, right] = beside[at];
        let least = left.map_or(f64::NEG_INFINITY, |left| centres[left] + apart(left));
        let most = right.map_or(f64::INFINITY, |right| centres[right] - apart(right));
        (least.min(centres[at]), most.max(centres[at]))
    };
    let mut slots: Vec<_> = layers.chains.iter().collect();
    slots.sort_by_key(|(from, _)| **from);
    let slots = slots.into_iter().map(|(_, chain)| chain.clone());
    for chain in slots.chain(chains_of_ops(layers)) {
        let mut rest = &chain[..];
        while !rest.is_empty() {
            let (mut least, mut most, mut count) = (f64::NEG_INFINITY, f64::INFINITY, 0);
            for &at in rest {
                let (from, to) = room(at, centres);
                if from.max(least) > to.min(most) {
                    break;
                }
                (least, most, count) = (from.max(least), to.min(most), count + 1);
            }
            let (run, after) = rest.split_at(count);
            let mean = run.iter().map(|&at| centres[at]).sum::<f64>() / count as f64;
            run.iter().for_each(|&at| centres[at] = mean.clamp(least, most));
            rest = after;
        }
    }
}

/// Boxes below each other, each of which is all that the one above leads to.
fn chains_of_ops(layers: &Layers) -> Vec<Vec<usize>> {
    let is_box = |at: usize| !layers.vertices[at].is_slot;
    let next = |at: usize| {
        let [link] = layers.vertices[at].below[..] else { return None };
        let Vertex { above, .. } = &layers.vertices[link.vertex];
        let is_middle = link.here == 0.0 && link.there == 0.0;
        (is_middle && above.len() == 1 && is_box(link.vertex)).then_some(link.vertex)
    };
    let boxes: Vec<usize> = (0..layers.vertices.len()).filter(|&at| is_box(at)).collect();
    let inner: Vec<usize> = boxes.iter().filter_map(|&at| next(at)).collect();
    let firsts = boxes.into_iter().filter(|at| !inner.contains(at));
    firsts.map(|first| std::iter::successors(Some(first), |&at| next(at)).collect()).collect()
}
