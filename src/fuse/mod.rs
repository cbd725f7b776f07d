//! Fusion by saturation, in two small e-graphs: `kiln_ir::Graph` to `Graph` with `Fused` nodes.
//!
//! Phase A (`algebra`) rewrites the elementwise ops of the whole graph within a licence and
//! extracts the cheapest program. Phase B (`regions`) merges the ops of that program into kernels
//! until nothing more can be absorbed. After it, every elementwise op is inside a `Fused` node. Each
//! pass is checked to keep inputs and outputs.
//!
//! Algebra and partition are saturated one after the other because every algebraic variant would
//! multiply with every partition; each e-graph by itself stays small and can be explained.

mod algebra;
mod avoided;
mod condition;
mod context;
mod cost_model;
mod extract;
mod facts;
mod inline;
mod matcher;
mod proof;
mod regions;
mod rewrite;
mod rounds;
mod rules;
mod ruleset;
mod sizes;
#[cfg(test)]
mod soundness;
mod term;

pub use algebra::AlgebraReport;
pub use cost_model::CostModel;
pub use proof::{Proof, Step, prove};
pub use rules::Licence;
pub use sizes::{merge_for_sizes, sizes_matter};

use crate::mode::Mode;
use kiln_ir::Graph;

/// Every rule's name and its two sides as kernel text: what random tests build graphs from.
#[doc(hidden)]
pub fn rules() -> impl Iterator<Item = (&'static str, [&'static str; 2])> {
    rules::RULES.iter().map(|rule| (rule.name, [rule.left, rule.right]))
}

/// The names of the rules whose right side is nearer to the truth than what was written may be.
#[doc(hidden)]
pub fn repairs() -> impl Iterator<Item = &'static str> {
    let repairs = |rule: &&rules::Rule| rule.needs.is_of_repair();
    rules::RULES.iter().filter(repairs).map(|rule| rule.name)
}

/// A fused graph, and how it came about.
#[derive(Clone, Debug)]
pub struct Fusion {
    /// Inputs, fused kernels and matmuls.
    pub graph: Graph,
    /// The same program before kernels were merged: the result of the algebra.
    pub simplified: Graph,
    /// What the algebra did.
    pub algebra: AlgebraReport,
}

/// Simplifies `graph` within `mode` and merges its ops into as few kernels as pay.
///
/// # Panics
///
/// If a pass made a wrong graph, which is a bug of Kiln's: no kernel may come of it.
pub fn fuse(graph: &Graph, mode: Mode, model: &CostModel) -> Fusion {
    let inlined = checked("inlining", graph, inline::inline(graph));
    let (simplified, algebra) = algebra::simplify(&inlined, mode, model);
    let simplified = checked("algebra", &inlined, simplified);
    let merged = regions::merge(&simplified, &simplified, model);
    let graph = checked("merging", &simplified, merged);
    Fusion { graph, simplified, algebra }
}

/// The same program with one kernel for each op, as written: what fusion is compared with.
///
/// # Panics
///
/// As [`fuse`](fuse()) does.
pub fn unfused(graph: &Graph, model: &CostModel) -> Graph {
    let inlined = checked("inlining", graph, inline::inline(graph));
    checked("splitting", &inlined, regions::split(&inlined, model))
}

/// What a pass made of `before`, if it kept inputs and outputs and, in debug builds, is valid.
fn checked(pass: &str, before: &Graph, after: Graph) -> Graph {
    let mut verdict = kiln_ir::same_signature(before, &after);
    if cfg!(debug_assertions) {
        verdict = verdict.and_then(|()| kiln_ir::verify(&after));
    }
    if let Err(fault) = verdict {
        panic!("{pass} made a wrong graph, which is a bug in Kiln: {fault}\n{before}{after}");
    }
    after
}
