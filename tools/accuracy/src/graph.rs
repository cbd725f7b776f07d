//! The exact value of a whole graph, in 200 bits.

use crate::big::{self, Big};
use kiln::DType;
use kiln::ir::{Graph, Node, Op, Typing};

/// The value of each output of an elementwise graph over floats and bools, for finite scalars as
/// inputs and without any rounding in between, or `None` where it is not defined: where an op has no
/// finite real result. A bool is 1 or 0.
///
/// ```
/// let graph = kiln::ir::parse("sqrt(q - m*m)")?;
/// let exact = |q, m| kiln_accuracy::exact(&graph, &[q, m])[0];
/// assert_eq!(exact(13.0, 3.0), Some(2.0));
/// assert_eq!(exact(8.0, 3.0), None);
/// # Ok::<(), kiln::ir::TextError>(())
/// ```
///
/// # Panics
///
/// If the graph has a matmul, a fused node or integers.
pub fn exact(graph: &Graph, inputs: &[f64]) -> Vec<Option<f64>> {
    let mut values: Vec<Option<Big>> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let value = match node {
            Node::Input(index) => finite(inputs[*index as usize]),
            Node::Const(bits) if graph.dtype(id) == DType::Bool => finite(*bits as f64),
            Node::Const(bits) => finite(f64::from_bits(*bits)),
            Node::Op(Op::Select, args) => {
                let [choice, yes, no] = [0, 1, 2].map(|arg| values[args[arg].index()].clone());
                choice.and_then(|choice| if choice.to_f64() != 0.0 { yes } else { no })
            }
            Node::Op(op, args) => {
                let operands = args.iter().map(|arg| values[arg.index()].clone());
                operands.collect::<Option<Vec<Big>>>().and_then(|operands| of_op(*op, &operands))
            }
            _ => panic!("only elementwise ops have an exact value here"),
        };
        values.push(value);
    }
    graph.outputs().iter().map(|o| values[o.index()].as_ref().map(Big::to_f64)).collect()
}

fn finite(value: f64) -> Option<Big> {
    value.is_finite().then(|| Big::from_f64(value))
}

/// An op at finite operands, where it has a finite result.
fn of_op(op: Op, x: &[Big]) -> Option<Big> {
    let near: Vec<f64> = x.iter().map(Big::to_f64).collect();
    let sign = |index: usize| x[index].partial_cmp(&Big::from_f64(0.0)).map(|order| order as i8);
    let (a, b) = (sign(0)?, if x.len() > 1 { sign(1)? } else { 0 });
    let one = Big::from_f64(1.0);
    let truth = |value: bool| Some(Big::from_f64(f64::from(u8::from(value))));
    let defined = match op {
        Op::Sqrt => a >= 0,
        Op::Rsqrt | Op::Log | Op::Log2 | Op::Log10 => a > 0,
        Op::Recip => a != 0,
        Op::Div | Op::Rem => b != 0,
        Op::Log1p => x[0] > -one.clone(),
        Op::Atanh => x[0] < one && x[0] > -one.clone(),
        Op::Asin | Op::Acos => x[0] <= one && x[0] >= -one.clone(),
        Op::Acosh => x[0] >= one,
        Op::Pow => a > 0 || near[1].fract() == 0.0 && (a < 0 || b >= 0),
        Op::Atan2 => a != 0 || b != 0,
        _ => true,
    };
    if !defined {
        return None;
    }
    let order = x.get(1).and_then(|b| x[0].partial_cmp(b));
    match op {
        Op::Lt => truth(order?.is_lt()),
        Op::Le => truth(order?.is_le()),
        Op::Gt => truth(order?.is_gt()),
        Op::Ge => truth(order?.is_ge()),
        Op::Eq => truth(order?.is_eq()),
        Op::Ne => truth(order?.is_ne()),
        // Where the function and so its reference is 0, or an exact function of what is.
        Op::Log if x[0] == one => Some(Big::from_f64(0.0)),
        Op::Pow if near[1] == 0.0 => Some(one),
        Op::Pow if a == 0 => finite(0.0),
        Op::Atan2 if a == 0 && b > 0 => finite(0.0),
        Op::Cbrt | Op::Tanhshrink | Op::Hypot if x.iter().all(|v| *v == Big::from_f64(0.0)) => {
            finite(0.0)
        }
        Op::Asinh if a < 0 => of_op(op, &[-x[0].clone()]).map(|value| -value),
        _ if matches!(op.info().typing, Typing::Cast(_)) => finite(op.eval(DType::F64, &near)),
        Op::Floor | Op::Ceil | Op::Round | Op::Trunc | Op::Sign | Op::CopySign | Op::Rem => {
            finite(op.eval(DType::F64, &near))
        }
        Op::And | Op::Or | Op::Xor | Op::Not => finite(op.eval(DType::F64, &near)),
        _ => Some(big::apply(op, x)),
    }
}

#[cfg(test)]
mod tests {
    use super::exact;
    use kiln::ir::parse;

    /// What cancels in any float, against what does not.
    #[test]
    fn nothing_is_lost() {
        for (written, stable) in [
            ("log(1 + exp(x))", "max(x, 0) + log1p(exp(-abs(x)))"),
            ("(exp(x) - exp(-x)) / (exp(x) + exp(-x))", "tanh(x)"),
            ("sqrt(x*x + 1) - 1", "x*x / (sqrt(x*x + 1) + 1)"),
            ("log(x + sqrt(x*x + 1))", "asinh(x)"),
        ] {
            let (written, stable) = (parse(written).unwrap(), parse(stable).unwrap());
            for x in [1e-10, 0.3, 7.0, 30.0, -1e-5, -2.0] {
                let (a, b) = (exact(&written, &[x])[0].unwrap(), exact(&stable, &[x])[0].unwrap());
                assert!((a / b - 1.0).abs() < 1e-15, "{x}: {a:e} {b:e}");
            }
        }
    }
}
