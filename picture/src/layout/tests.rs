//! What holds of every layout, on random graphs.

use super::super::network::{End, Wire};
use super::{Block, Layout, Point, Rank, layout};
use fastrand::Rng;

/// Blocks, and wires from each to later ones, such as chains, fans and lattices are made of.
fn random(rng: &mut Rng, count: usize) -> (Vec<Block>, Vec<Wire>) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut wires = Vec::new();
    for at in 0..count {
        let width = rng.usize(20..220) as f64;
        let ports = |count: usize| -> Vec<f64> {
            (1..=count).map(|port| width * port as f64 / (count + 1) as f64).collect()
        };
        let (operands, results) = (rng.usize(0..4), rng.usize(1..3));
        for port in 0..operands.min(at) {
            // Most read what is near, some what is far.
            let item =
                if rng.u8(..4) > 0 { rng.usize(at.saturating_sub(4)..at) } else { rng.usize(..at) };
            let from = End { item, port: rng.usize(..blocks[item].results.len()) };
            wires.push(Wire { from, to: End { item: at, port } });
        }
        let height = rng.usize(20..120) as f64;
        let rank = if operands == 0 && rng.bool() { Rank::First } else { Rank::Any };
        blocks.push(Block {
            width,
            height,
            operands: ports(operands),
            results: ports(results),
            rank,
        });
    }
    (blocks, wires)
}

#[track_caller]
fn check(blocks: &[Block], wires: &[Wire], layout: &Layout) {
    let rects: Vec<[f64; 4]> = blocks
        .iter()
        .zip(&layout.corners)
        .map(|(block, &Point { x, y })| [x, y, x + block.width, y + block.height])
        .collect();
    for (at, a) in rects.iter().enumerate() {
        assert!(
            a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= layout.width + 0.1 && a[3] <= layout.height + 0.1
        );
        for b in &rects[at + 1..] {
            let apart = a[2] < b[0] || b[2] < a[0] || a[3] < b[1] || b[3] < a[1];
            assert!(apart, "{a:?} and {b:?} overlap");
        }
    }
    for (wire, route) in wires.iter().zip(&layout.routes) {
        let (from, to) = (rects[wire.from.item], rects[wire.to.item]);
        let near =
            |point: Point, x: f64, y: f64| (point.x - x).abs() < 0.2 && (point.y - y).abs() < 0.2;
        let out = from[0] + blocks[wire.from.item].results[wire.from.port];
        let into = to[0] + blocks[wire.to.item].operands[wire.to.port];
        assert!(near(route[0], out, from[3]), "{wire:?} begins elsewhere");
        assert!(near(*route.last().unwrap(), into, to[1]), "{wire:?} ends elsewhere");
        for pair in route.windows(2) {
            assert!(pair[0].y <= pair[1].y, "{wire:?} goes up");
            for (at, rect) in rects.iter().enumerate() {
                let [left, right] = [pair[0].x.min(pair[1].x), pair[0].x.max(pair[1].x)];
                let crosses =
                    left < rect[2] && right > rect[0] && pair[0].y < rect[3] && pair[1].y > rect[1];
                assert!(!crosses, "{wire:?} crosses block {at}");
            }
        }
    }
}

#[test]
fn no_blocks_overlap_and_no_wire_crosses_one() {
    let mut rng = Rng::with_seed(7);
    for count in (1..70).chain([90, 150]) {
        let (blocks, wires) = random(&mut rng, count);
        let found = layout(&blocks, &wires);
        check(&blocks, &wires, &found);
        let again = layout(&blocks, &wires);
        assert_eq!(format!("{found:?}"), format!("{again:?}"));
    }
}

/// A fan and a chain beside it: what should be straight is.
#[test]
fn chains_are_straight() {
    let block = |width: f64| Block {
        width,
        height: 20.0,
        operands: vec![width / 2.0],
        results: vec![width / 2.0],
        rank: Rank::Any,
    };
    let blocks: Vec<Block> = [40.0, 100.0, 60.0, 80.0].map(block).to_vec();
    let wires: Vec<Wire> = (1..4)
        .map(|at| Wire { from: End { item: at - 1, port: 0 }, to: End { item: at, port: 0 } })
        .collect();
    let found = layout(&blocks, &wires);
    let bends = found.routes.iter().flatten().any(|point| point.x != found.routes[0][0].x);
    assert!(!bends, "{:?}", found.routes);
    assert_eq!(found.width, 100.0);
}
