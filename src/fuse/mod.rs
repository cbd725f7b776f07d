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
mod explain;
mod extract;
mod facts;
mod inline;
mod matcher;
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
pub use explain::{Proof, Step, prove};
pub use rules::Licence;
pub use sizes::{merge_for_sizes, sizes_matter};

use kiln_ir::Graph;
use std::fmt;
use std::str::FromStr;

/// How much a rewrite may change: what each mode promises is told in [`modes`](crate::modes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Only bit-exact rewrites: fused bits equal unfused bits.
    Strict,
    /// Rewrites that keep special values and whose error is no worse than that of what was
    /// written: contraction to `fma`, stable forms of logistic functions.
    #[default]
    Precise,
    /// Every real-number identity.
    Fast,
}

impl Mode {
    /// Every mode, from the most careful.
    pub const ALL: [Mode; 3] = [Mode::Strict, Mode::Precise, Mode::Fast];

    fn name(self) -> &'static str {
        match self {
            Mode::Strict => "strict",
            Mode::Precise => "precise",
            Mode::Fast => "fast",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        let found = Mode::ALL.into_iter().find(|mode| mode.name() == text);
        found.ok_or_else(|| format!("unknown mode {text:?}; use strict, precise or fast"))
    }
}

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
