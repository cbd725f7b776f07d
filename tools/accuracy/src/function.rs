//! A function to measure: an op of the table or a composite, with its graph and its references.

use crate::big::{self, Big};
use crate::formulas::{COMPOSITES, Composite};
use crate::real::correctly_rounded;
use kiln::ir::{Flags, Op, Typing, build, parse_with};
use kiln::{DType, Expr, Graph};

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    Op(Op),
    Composite(&'static Composite),
}

impl Function {
    /// Everything with a result of its operands' type: comparisons, logic, `select` and casts are
    /// exact, and tested to be so.
    pub(crate) fn all() -> Vec<Function> {
        let float = |op: &&Op| matches!(op.info().typing, Typing::Float | Typing::Number);
        let ops = Op::ALL.iter().filter(float).map(|&op| Function::Op(op));
        ops.chain(COMPOSITES.iter().map(Function::Composite)).collect()
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Function::Op(op) => op.name(),
            Function::Composite(composite) => composite.name,
        }
    }

    /// As it is written, where the name does not say it.
    pub(crate) fn text(&self) -> &'static str {
        match self {
            Function::Op(op) => op.name(),
            Function::Composite(composite) => composite.text,
        }
    }

    pub(crate) fn arity(&self) -> usize {
        match self {
            Function::Op(op) => op.arity(),
            Function::Composite(_) => 1,
        }
    }

    pub(crate) fn op(&self) -> Option<Op> {
        match self {
            Function::Op(op) => Some(*op),
            Function::Composite(_) => None,
        }
    }

    pub(crate) fn has(&self, flags: Flags) -> bool {
        self.op().is_some_and(|op| op.has(flags))
    }

    pub(crate) fn range(&self) -> (f64, f64) {
        self.op().map_or((f64::NEG_INFINITY, f64::INFINITY), |op| op.info().range)
    }

    /// The kernel as a user writes it, on inputs of `dtype`.
    pub(crate) fn graph(&self, dtype: DType) -> Graph {
        match self {
            Function::Op(op) => {
                let input = |name: &&str| Expr::input(format!("{name}: {dtype}"));
                let inputs = ["a", "b", "c"][..op.arity()].iter().map(input).collect();
                build(op.name(), &[Expr::apply(*op, inputs)]).expect("an op takes floats")
            }
            Function::Composite(composite) => {
                let typed = |_: &str| Some((dtype, None));
                parse_with(composite.text, typed).expect("a composite's text is a kernel")
            }
        }
    }

    /// The reference in `f64` of one `f32` input.
    pub(crate) fn reference_graph(&self) -> Graph {
        let x = Expr::input("x").cast(DType::F64);
        let result = match self {
            Function::Op(op) => Expr::apply(*op, vec![x]),
            Function::Composite(composite) => (composite.formula.expr)(&x),
        };
        build("reference", &[result]).expect("formulas take floats")
    }

    /// The result in `f64`: of an op the nearest to exact, of a composite nearly.
    pub(crate) fn float(&self, x: &[f64]) -> f64 {
        match self {
            Function::Op(op) => correctly_rounded(*op, x),
            Function::Composite(composite) => (composite.formula.float)(&x[0]),
        }
    }

    /// The result in 200 bits; `None` where [`float`](Function::float) is all there is to know:
    /// it is exact, or infinite, NaN or zero.
    pub(crate) fn big(&self, x: &[f64]) -> Option<Big> {
        let near = self.float(x);
        // 0 is a pole or a root of most of them, and its result exact; another zero is one, or a
        // number far below the least.
        let ordinary = |v: f64| v.is_finite() && v != 0.0;
        // A formula may leave the range of f64 on its way to a result that does not.
        let known = if self.op().is_some() { ordinary(near) } else { !near.is_nan() };
        if self.is_exact() || !known || !x.iter().copied().all(ordinary) {
            return None;
        }
        let operands: Vec<Big> = x.iter().map(|&v| Big::from_f64(v)).collect();
        Some(match self {
            Function::Op(op) => big::apply(*op, &operands),
            Function::Composite(composite) => (composite.formula.big)(&operands[0]),
        })
    }

    /// Whether results have no error at all.
    pub(crate) fn is_exact(&self) -> bool {
        self.op().is_some_and(|op| op.info().max_ulp[1] == 0.0)
    }
}
