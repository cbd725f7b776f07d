//! Floating-point operations by kind.

use crate::lower::{Tier, lower};
use kiln_ir::{
    Body, Call, DType, Graph, Node, NodeId, Op, Reduction, Running, Scan, Shape, Typing,
};
use kiln_jit::emit::cost::{Primitive, Tally};
use kiln_jit::vir::Routine;
use std::fmt;

/// Operations on floating-point numbers, by kind. [`total`](Flops::total) says what counts as a FLOP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flops {
    /// Sums and differences.
    pub adds: u64,
    /// Multiplications.
    pub multiplies: u64,
    /// Fused multiply-adds, each of two FLOPs.
    pub fmas: u64,
    /// Quotients and reciprocals.
    pub divisions: u64,
    /// Square roots.
    pub roots: u64,
    /// FLOPs of matrix products: a multiplication and an addition for each term, `2mnk`.
    pub products: u64,
    /// Calls of functions that no single instruction computes: `exp`, `tanh`, `pow`, `cbrt`, ..
    pub transcendentals: u64,
    /// FLOPs that those calls, and other ops of several primitives, expand to.
    pub expanded: u64,
    /// Comparisons, `min`, `max`, `clamp` and selections, which are no FLOPs.
    pub comparisons: u64,
    /// What is neither: signs, rounding, conversions, and ops of integers and truth values.
    pub others: u64,
}

impl Flops {
    /// FLOPs as they are counted here, and as processors count them: an addition, multiplication,
    /// division or square root is one, a fused multiply-add two. A transcendental function is what
    /// its expansion has of these, so the total is what the machine executes; without expansions it is
    /// [`arithmetic`](Flops::arithmetic). Comparisons, signs, rounding, conversions, moves and integers
    /// count nothing.
    pub fn total(&self) -> u64 {
        self.arithmetic().saturating_add(self.expanded)
    }

    /// FLOPs that the program states, without those inside of transcendental functions.
    pub fn arithmetic(&self) -> u64 {
        let fmas = self.fmas.saturating_mul(2);
        let counts = [self.adds, self.multiplies, fmas, self.divisions, self.roots, self.products];
        counts.into_iter().fold(0, u64::saturating_add)
    }

    /// The kinds that there are any of, as a report names them.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let kinds = [
            ("adds", self.adds),
            ("multiplies", self.multiplies),
            ("FMAs", self.fmas),
            ("divisions", self.divisions),
            ("roots", self.roots),
            ("in products", self.products),
            ("inside of functions", self.expanded),
            ("transcendental calls", self.transcendentals),
            ("comparisons", self.comparisons),
            ("others", self.others),
        ];
        kinds.into_iter().filter(|(_, count)| *count > 0)
    }

    /// What a fused body does for one element, compiled to these primitives.
    pub(super) fn of_body(body: &Body, tally: &Tally) -> Flops {
        let mut flops = Flops::default();
        let mut no_arithmetic = 0;
        for (id, node) in body.iter() {
            let Node::Op(op, args) = node else { continue };
            let dtype = body.dtype(args[args.len() - 1]);
            *flops.kind(*op, dtype) += 1;
            let is_cast = matches!(op.info().typing, Typing::Cast(_));
            if is_comparison(*op) || is_cast || !dtype.is_float() {
                no_arithmetic += executed(&Tally::of(&alone(body, id, *op, args)));
            }
        }
        flops.expanded = executed(tally).saturating_sub(flops.arithmetic() + no_arithmetic);
        flops
    }

    /// What an op of a body does for one element.
    pub(super) fn of_op(body: &Body, id: NodeId, op: Op, args: &[NodeId]) -> Flops {
        let mut flops = Flops::default();
        let dtype = body.dtype(args[args.len() - 1]);
        *flops.kind(op, dtype) += 1;
        if flops.transcendentals + flops.divisions + flops.roots > 0 {
            let all = executed(&Tally::of(&alone(body, id, op, args)));
            flops.expanded = all.saturating_sub(flops.arithmetic());
        }
        flops
    }

    /// The count that an op on operands of this type is one of. The op table knows transcendental
    /// functions by their error: no result of theirs is certain to be rounded correctly.
    fn kind(&mut self, op: Op, dtype: DType) -> &mut u64 {
        match op {
            _ if is_comparison(op) => &mut self.comparisons,
            _ if !dtype.is_float() => &mut self.others,
            Op::Add | Op::Sub => &mut self.adds,
            Op::Mul => &mut self.multiplies,
            Op::Fma => &mut self.fmas,
            Op::Div | Op::Recip => &mut self.divisions,
            Op::Sqrt => &mut self.roots,
            _ if op.max_ulp(DType::F32) > 0.5 => &mut self.transcendentals,
            _ => &mut self.others,
        }
    }

    /// What a call on arrays of this type does in `ops` operations. A reduction of `n` elements has `n`
    /// of them: the first one meets what there is before any.
    pub(super) fn of_call(call: Call, dtype: DType, ops: u64) -> Flops {
        let mut flops = Flops::default();
        *match call {
            Call::Matmul => &mut flops.products,
            // They compute nothing.
            Call::View(_) | Call::Concat(_) | Call::Pad(_) | Call::Gather(_) => &mut flops.others,
            Call::Iota(_) | Call::Within(_) => &mut flops.others,
            Call::Reduce(_) | Call::Scan(_) if !dtype.is_float() => &mut flops.others,
            Call::Scan(Scan { by: Running::Sum, .. }) => &mut flops.adds,
            Call::Scan(Scan { by: Running::Product, .. }) => &mut flops.multiplies,
            Call::Reduce(reduce) => match reduce.by {
                Reduction::Sum => &mut flops.adds,
                Reduction::Prod => &mut flops.multiplies,
                _ => &mut flops.comparisons,
            },
        } = ops;
        flops
    }

    /// Each count combined with that of another; `None` if one overflows.
    pub(super) fn zip(
        &self,
        other: &Flops,
        combine: impl Fn(u64, u64) -> Option<u64>,
    ) -> Option<Flops> {
        Some(Flops {
            adds: combine(self.adds, other.adds)?,
            multiplies: combine(self.multiplies, other.multiplies)?,
            fmas: combine(self.fmas, other.fmas)?,
            divisions: combine(self.divisions, other.divisions)?,
            roots: combine(self.roots, other.roots)?,
            products: combine(self.products, other.products)?,
            transcendentals: combine(self.transcendentals, other.transcendentals)?,
            expanded: combine(self.expanded, other.expanded)?,
            comparisons: combine(self.comparisons, other.comparisons)?,
            others: combine(self.others, other.others)?,
        })
    }
}

/// `4000 FLOP: 3000 multiplies, 500 FMAs`.
impl fmt::Display for Flops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> =
            self.kinds().map(|(kind, count)| format!("{count} {kind}")).collect();
        let gap = if kinds.is_empty() { "" } else { ": " };
        write!(f, "{} FLOP{gap}{}", self.total(), kinds.join(", "))
    }
}

/// FLOPs of a routine for one element.
fn executed(tally: &Tally) -> u64 {
    let count = |primitive| u64::from(tally.count(primitive));
    let single = [Primitive::Add, Primitive::Mul, Primitive::Div, Primitive::Sqrt];
    single.map(count).iter().sum::<u64>() + 2 * count(Primitive::Fma)
}

fn is_comparison(op: Op) -> bool {
    matches!(
        op,
        Op::Lt
            | Op::Le
            | Op::Gt
            | Op::Ge
            | Op::Eq
            | Op::Ne
            | Op::Min
            | Op::Max
            | Op::Clamp
            | Op::Select
    )
}

/// The routine of one op of a body. `max` adds numbers to get NaN and the sign of zero right, integers
/// divide as floats, and casts round by adding: that is no arithmetic that anyone wrote.
fn alone(body: &Body, id: NodeId, op: Op, args: &[NodeId]) -> Routine {
    let mut graph = Graph::unbounded("alone");
    let mut operand = |&arg: &NodeId| match body.scalar(arg) {
        Some(value) => graph.constant(body.dtype(arg), value),
        None => graph.parameter("", body.dtype(arg), Shape::scalar()),
    };
    let operands: Result<Vec<NodeId>, _> = args.iter().map(&mut operand).collect();
    let mut result = operands.and_then(|operands| graph.op(op, &operands));
    // What is not stored is rounded by the routine itself.
    if matches!(op, Op::ToF16 | Op::ToBF16) && !body.outputs().contains(&id) {
        result = result.and_then(|half| graph.op(Op::ToF32, &[half]));
    }
    graph.output(result.expect("the op is in a body, on operands of these types"));
    lower(&graph, Tier::Default)
}
