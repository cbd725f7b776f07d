//! The same kernel on arrays of narrower floats.

use kiln::DType;
use kiln::ir::{Fault, Graph, Input, Node, NodeId, Op, Typing};

/// The widest float that an input or an output of a graph is stored as.
pub(super) fn widest(graph: &Graph) -> Option<DType> {
    let inputs = graph.inputs().iter().map(|input| input.dtype);
    let all = inputs.chain(graph.outputs().iter().map(|&id| graph.dtype(id)));
    all.filter(|dtype| dtype.is_float()).max_by_key(|dtype| dtype.size())
}

/// The graph with all wider floats of its inputs and outputs stored as `to`. It computes in `f32`, as a
/// graph written for `to` does: what is of 16 bits is widened first, and rounded once at the end.
///
/// Fails where a number of the graph is too large for that.
pub(super) fn narrowed(graph: &Graph, to: DType) -> Result<Graph, String> {
    let is_wider = |dtype: DType| dtype.is_float() && dtype.size() > to.size();
    let mut narrow = Graph::new(graph.name());
    let mut new_ids: Vec<NodeId> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let new_id = match node {
            Node::Input(index) => {
                let input = &graph.inputs()[*index as usize];
                if is_wider(input.dtype) {
                    let stored = narrow.input(Input { dtype: to, ..input.clone() });
                    stored.and_then(|stored| converted(&mut narrow, stored, DType::F32))
                } else {
                    narrow.input(input.clone())
                }
            }
            Node::Const(_) => {
                let number = graph.scalar(id).expect("a constant has a value");
                narrow.constant(computed(graph.dtype(id)), number)
            }
            Node::Op(Op::ToF64, args) => {
                converted(&mut narrow, new_ids[args[0].index()], DType::F32)
            }
            Node::Op(op, args) => {
                let args: Vec<NodeId> = args.iter().map(|arg| new_ids[arg.index()]).collect();
                narrow.op(*op, &args)
            }
            Node::Call(call, args) => {
                // A product widens what it reads by itself.
                let widens = call.info().typing == Typing::Product;
                let stored = |id: NodeId| match narrow.node(id) {
                    Node::Op(Op::ToF32, args) if widens && is_half(narrow.dtype(args[0])) => {
                        args[0]
                    }
                    _ => id,
                };
                let args: Vec<NodeId> =
                    args.iter().map(|arg| stored(new_ids[arg.index()])).collect();
                narrow.call(*call, &args)
            }
            Node::Fused { .. } | Node::Item { .. } => {
                return Err("it is written as fused kernels, whose types are fixed".into());
            }
        };
        new_ids.push(new_id.map_err(|fault| fault.to_string())?);
    }
    for &output in graph.outputs() {
        let mut id = new_ids[output.index()];
        if is_wider(graph.dtype(output)) {
            id = converted(&mut narrow, id, to).map_err(|fault| fault.to_string())?;
        }
        narrow.output(id);
    }
    Ok(narrow)
}

fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// What replaces a type that is computed with.
fn computed(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F32 } else { dtype }
}

/// The value in another type.
fn converted(graph: &mut Graph, id: NodeId, dtype: DType) -> Result<NodeId, Fault> {
    if graph.dtype(id) == dtype { Ok(id) } else { graph.op(Op::cast_to(dtype), &[id]) }
}

#[cfg(test)]
mod tests {
    use super::{narrowed, widest};
    use kiln::DType;
    use kiln::ir::parse;

    #[test]
    fn storage_is_narrowed_and_arithmetic_stays() {
        let narrow = |text: &str, to| {
            let graph = parse(text).unwrap();
            narrowed(&graph, to).unwrap().to_string()
        };
        let same = |text: &str, to, expected: &str| {
            assert_eq!(narrow(text, to), parse(expected).unwrap().to_string(), "{text}");
        };
        same("|x: f32[n]| exp(x) + 1", DType::BF16, "|x: bf16[n]| bf16(exp(x) + 1)");
        same("|x: f64[n]| exp(x) + 0.1", DType::F32, "|x: f32[n]| exp(x) + 0.1");
        same("|x: f64[n]| exp(x) + 0.1", DType::BF16, "|x: bf16[n]| bf16(exp(f32(x)) + 0.1)");
        same("|x: f32[n], y: f64[n]| x * y", DType::F32, "|x: f32[n], y: f32[n]| x * y");
        same(
            "|x: f32[n], i: i32[n]| (x * f32(i), i + 1)",
            DType::BF16,
            "|x: bf16[n], i: i32[n]| (bf16(x * f32(i)), i + 1)",
        );
        same("|x: f32[n]| x > 0", DType::BF16, "|x: bf16[n]| x > 0");
        same(
            "|x: f32[m, k], w: f32[k, n]| x @ w",
            DType::BF16,
            "|x: bf16[m, k], w: bf16[k, n]| bf16(x @ w)",
        );
    }

    #[test]
    fn numbers_must_fit() {
        let graph = parse("|x: f64[n]| x * 1e300").unwrap();
        let error = narrowed(&graph, DType::F32).unwrap_err();
        assert!(error.contains("1e300"), "{error}");
    }

    #[test]
    fn the_widest_float_counts() {
        let widest = |text: &str| widest(&parse(text).unwrap());
        assert_eq!(widest("|x: f32[n], y: f64[n]| x > y"), Some(DType::F64));
        assert_eq!(widest("|i: i64[n]| i + 1"), None);
        assert_eq!(widest("|x: f16[n]| f16(x + 1)"), Some(DType::F16));
    }
}
