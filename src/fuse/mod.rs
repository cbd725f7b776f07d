//! Fusion by saturation: `kiln_ir::Graph` to `Graph` with `Fused` nodes.
//!
//! Phase A (`algebra`) saturates an e-graph of the whole graph with the rules of a licence and
//! extracts the cheapest program. Phase B (`regions`) merges the ops of that program into kernels
//! until nothing more can be absorbed. After it, every elementwise op is inside a `Fused` node. The
//! list of passes is in the pipeline. `pass::run` runs them, and checks that each keeps inputs and
//! outputs.
//!
//! The phases run one after the other because otherwise every algebraic variant would multiply with
//! every partition. Each by itself stays small and can be explained. Partition has one rule, and
//! needs no matching.

mod algebra;
mod avoided;
mod condition;
mod context;
mod cost_model;
mod extract;
mod facts;
mod inline;
mod matcher;
mod pass;
mod picks;
mod proof;
mod regions;
mod rewrite;
mod rounds;
mod rules;
mod ruleset;
mod sizes;
#[cfg(test)]
mod soundness;
#[cfg(test)]
mod soundness_means;
#[cfg(test)]
mod soundness_rows;
mod stable;
mod term;
mod views;

pub(crate) use algebra::simplify;
pub use cost_model::CostModel;
pub(crate) use inline::inline;
pub(crate) use pass::AlgebraReport;
pub(crate) use pass::Unmerged;
pub use pass::{Pass, PassContext, run};
pub(crate) use picks::picks;
pub use proof::{Proof, Step};
pub use regions::{Costs, Reason, Separation};
pub(crate) use regions::{apart, split};
pub(crate) use sizes::merge;
pub(crate) use sizes::merge_for_shapes;
pub use sizes::merge_for_sizes;
pub(crate) use sizes::separations;
pub(crate) use stable::stabilize;
pub(crate) use views::sink;

/// Every rule's name and its two sides as kernel text. Random tests build graphs from them.
pub fn rules() -> impl Iterator<Item = (&'static str, [&'static str; 2])> {
    rules::RULES.iter().map(|rule| (rule.name, [rule.left, rule.right]))
}

/// The names of the rules whose right side is nearer to the truth than what was written may be.
pub fn repairs() -> impl Iterator<Item = &'static str> {
    let repairs = |rule: &&rules::Rule| rule.needs.is_of_repair();
    rules::RULES.iter().filter(repairs).map(|rule| rule.name)
}
