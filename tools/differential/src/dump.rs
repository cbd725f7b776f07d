//! Temporary: prints what random graphs become.
#![allow(missing_docs, dead_code)]
use crate::draw::{Fragments, draw};
use kiln::Mode;
use kiln::fuse::{Machine, merge_for_sizes, sizes_matter};
use std::hash::{DefaultHasher, Hash, Hasher};

#[path = "../../../tests/texts/mod.rs"]
mod texts;

fn show(name: &str, graph: &kiln::Graph, machine: &Machine, hash: bool) {
    let text = |graph: &kiln::Graph| {
        let text = graph.to_string();
        if !hash {
            return text;
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    println!("## {name} unfused\n{}", text(&kiln::pipeline::unfuse(graph)));
    for mode in [Mode::Strict, Mode::Precise, Mode::Fast] {
        let fusion = kiln::pipeline::fuse(graph, mode);
        let mut hasher = DefaultHasher::new();
        for program in kiln::pipeline::programs(graph, mode) {
            program.to_string().hash(&mut hasher);
        }
        println!("## {name} {mode} {:016x}\n{}", hasher.finish(), text(&fusion.graph));
        if sizes_matter(&fusion.simplified, machine) {
            let n = graph.inputs().len().min(8);
            for mask in 1..1u32 << n.min(4) {
                let small: Vec<bool> = (0..graph.inputs().len()).map(|i| i < 32 && mask >> i & 1 == 1).collect();
                let merged = merge_for_sizes(&fusion.simplified, &small, machine);
                println!("## {name} {mode} small {mask:b}\n{}", text(&merged));
            }
        }
    }
}

pub fn dump(from: u64, to: u64) {
    let machine = Machine::new(
        |op, dtype| kiln::emit::cost::weight(&kiln::lower::op_program(op, dtype)),
        kiln::lower::compute,
    );
    if from == to {
        for family in texts::FAMILIES {
            for part in [40, 8, 1] {
                let text = (family.text)(family.most / part);
                let graph = kiln::ir::parse(&text).unwrap();
                show(&format!("{} {part}", family.name), &graph, &machine, true);
            }
        }
        return;
    }
    let mut fragments = Fragments::new();
    for seed in from..to {
        let case = draw(&mut fragments, seed);
        show(&seed.to_string(), &case.graph, &machine, false);
    }
}
