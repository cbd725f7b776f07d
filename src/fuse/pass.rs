//! Passes: each makes a graph into another one that computes the same.

use super::cost_model::CostModel;
use super::proof::{Proof, Step};
use crate::mode::Mode;
use kiln_ir::Graph;

/// A row in a list of passes.
#[derive(Debug)]
pub struct Pass {
    /// Its name: `kiln explain --stage after:NAME` shows its result.
    pub name: &'static str,
    /// What its result is, in one line.
    pub makes: &'static str,
    /// The pass itself.
    pub run: fn(&Graph, &mut PassContext<'_>) -> Graph,
}

/// What passes know besides the graph, and what they report besides it.
#[derive(Debug)]
pub struct PassContext<'a> {
    /// What rewrites may change.
    pub mode: Mode,
    /// What ops cost.
    pub model: &'a CostModel,
    /// Whether a proof is wanted.
    pub prove: bool,
    /// What the algebra did.
    pub algebra: Option<AlgebraReport>,
    /// The rewrites it made, if a proof was wanted and the program is not too large as a tree.
    pub proof: Option<Proof>,
    /// Rewrites made before the algebra, if a proof was wanted.
    pub repairs: Vec<Step>,
    /// The graph before merging, if the sizes of a call may require another merge.
    pub unmerged: Option<Unmerged>,
}

/// A graph that is merged anew for the sizes of a call.
#[derive(Clone, Debug)]
pub struct Unmerged {
    /// The graph.
    pub graph: Graph,
    /// Whether it is for calls in which some inputs are small: what depends on them alone is dear.
    pub for_small: bool,
    /// Whether it is for calls in which all arrays have one shape: then outputs whose shapes could
    /// differ share a pass.
    pub for_one_shape: bool,
    /// Of a graph with calls, sets of inputs that a dear part depends on alone.
    pub dear: Option<Vec<Vec<usize>>>,
}

impl<'a> PassContext<'a> {
    /// What passes know at the start.
    pub fn new(mode: Mode, model: &'a CostModel) -> PassContext<'a> {
        PassContext {
            mode,
            model,
            prove: false,
            algebra: None,
            proof: None,
            repairs: Vec::new(),
            unmerged: None,
        }
    }
}

/// What the algebra did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlgebraReport {
    /// Whether no rule had anything left to add.
    pub saturated: bool,
    /// Rounds of rewriting.
    pub iterations: usize,
    /// E-nodes at the end.
    pub nodes: usize,
    /// Classes matched against a rule, and matches found.
    pub work: usize,
    /// Estimated cost of an element as written, in tenths of an `add`.
    pub cost_before: u64,
    /// Estimated cost of an element as extracted.
    pub cost_after: u64,
    /// What ops are of the cost as written. Calls count as more than any op, whatever they do.
    pub ops_before: u64,
    /// What ops are of the cost as extracted.
    pub ops_after: u64,
}

/// Runs passes in order, each on the result of the one before, and returns the last result.
///
/// # Panics
///
/// If a pass makes a wrong graph, which is a bug in Kiln: no kernel may come of it.
pub fn run(passes: &[Pass], graph: &Graph, context: &mut PassContext<'_>) -> Graph {
    let mut made: Option<Graph> = None;
    for pass in passes {
        let before = made.as_ref().unwrap_or(graph);
        made = Some(checked(pass.name, before, (pass.run)(before, context)));
    }
    made.unwrap_or_else(|| graph.clone())
}

/// The result of a pass on `before`. It must keep inputs and outputs and, in debug builds, be
/// valid.
pub(super) fn checked(pass: &str, before: &Graph, after: Graph) -> Graph {
    let mut verdict = kiln_ir::same_signature(before, &after);
    if cfg!(debug_assertions) {
        verdict = verdict.and_then(|()| kiln_ir::verify(&after));
    }
    if let Err(fault) = verdict {
        panic!("{pass} made a wrong graph, which is a bug in Kiln: {fault}\n{before}{after}");
    }
    after
}

#[cfg(test)]
mod tests {
    use super::{Pass, PassContext, run};
    use crate::fuse::CostModel;
    use crate::mode::Mode;
    use kiln_ir::{Graph, parse};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// What a list of one pass makes of `x * y`, or its panic message.
    fn passed(run_it: fn(&Graph, &mut PassContext<'_>) -> Graph) -> Result<String, String> {
        let model = CostModel::new(|_, _| 10, |op, dtype, operands| op.eval(dtype, operands));
        let mut context = PassContext::new(Mode::Strict, &model);
        let passes = [Pass { name: "careless", makes: "a mistake", run: run_it }];
        let graph = parse("x * y").unwrap();
        catch_unwind(AssertUnwindSafe(|| run(&passes, &graph, &mut context).to_string()))
            .map_err(|panic| *panic.downcast::<String>().unwrap())
    }

    /// The signature is checked in release builds too.
    #[test]
    fn a_pass_that_breaks_the_signature_is_caught() {
        for (pass, fault) in [
            (
                (|_, _| parse("x * y > 0").unwrap()) as fn(&Graph, &mut PassContext<'_>) -> Graph,
                "output 0 was f32[..], and is bool[..]",
            ),
            (|_, _| parse("y * x").unwrap(), "inputs were x: f32[..], y: f32[..]"),
            (|_, _| parse("kernel k(x, y) { x }").unwrap(), "output 0 was"),
            (|_, _| parse("kernel k(x, y) { (x * y, y) }").unwrap(), "there were 1 outputs"),
        ] {
            let message = passed(pass).unwrap_err();
            assert!(message.starts_with("careless made a wrong graph"), "{message}");
            assert!(message.contains(fault), "{message}");
        }
        assert!(passed(|_, _| parse("x * y + 0").unwrap()).is_ok());
    }
}
