//! Takes the last small bends out of long wires.

use super::BETWEEN;
use super::ranks::Layers;

/// Moves the slots of each wire below each other, as many in a row as the boxes beside them allow.
pub(super) fn straighten(layers: &Layers, centres: &mut [f64]) {
    let mut beside = vec![[None; 2]; layers.vertices.len()];
    for pair in layers.ranks.iter().flat_map(|rank| rank.windows(2)) {
        beside[pair[0]][1] = Some(pair[1]);
        beside[pair[1]][0] = Some(pair[0]);
    }
    // The room for the centre of a slot between its neighbours.
    let room = |slot: usize, centres: &[f64]| {
        let half = |at: usize| layers.vertices[at].width / 2.0 + BETWEEN;
        let width = layers.vertices[slot].width / 2.0;
        let [left, right] = beside[slot];
        let least = left.map_or(f64::NEG_INFINITY, |at| centres[at] + half(at) + width);
        let most = right.map_or(f64::INFINITY, |at| centres[at] - half(at) - width);
        (least.min(centres[slot]), most.max(centres[slot]))
    };
    let mut chains: Vec<_> = layers.chains.iter().collect();
    chains.sort_by_key(|(from, _)| **from);
    for (_, chain) in chains {
        let mut rest = &chain[..];
        while !rest.is_empty() {
            let (mut least, mut most, mut count) = (f64::NEG_INFINITY, f64::INFINITY, 0);
            for &slot in rest {
                let (from, to) = room(slot, centres);
                if from.max(least) > to.min(most) {
                    break;
                }
                (least, most, count) = (from.max(least), to.min(most), count + 1);
            }
            let (run, after) = rest.split_at(count);
            let mean = run.iter().map(|&slot| centres[slot]).sum::<f64>() / count as f64;
            run.iter().for_each(|&slot| centres[slot] = mean.clamp(least, most));
            rest = after;
        }
    }
}
