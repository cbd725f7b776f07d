//! The reference interpreter: what a graph means, op by op.
//!
//! Every op is the scalar function of its row in the op table, rounded to the type of its node.
//! Arrays are held as `f64`, those of integers as `i64`, in row-major order. Simple and slow;
//! other stages are tested against it.

use crate::array::{Array, Data, EvalError, Walk, element_count};
use crate::binding::Binding;
use crate::call::Call;
use crate::dtype::DType;
use crate::graph::{Graph, Input, Node, NodeId};
use crate::number::Scalar;
use crate::ops::Op;
use crate::shape::broadcast;
use std::collections::HashMap;

/// The outputs of a graph for these inputs.
///
/// An element of a matrix product is one chain of fused multiply-adds, in order, of the type that the
/// product has.
///
/// ```
/// use kiln_ir::{Array, DType, eval, parse};
///
/// let graph = parse("kernel f(x: f32[n, 2], b: f32[2]) { (x + b, x > 0) }").unwrap();
/// let x = Array::new(DType::F32, vec![2, 2], vec![1.0, 2.0, -3.0, -4.0]).unwrap();
/// let b = Array::new(DType::F32, vec![2], vec![10.0, 20.0]).unwrap();
/// let outputs = eval(&graph, &[x, b]).unwrap();
/// assert_eq!(outputs[0].data(), [11.0, 22.0, 7.0, 16.0]);
/// assert_eq!(outputs[1].data(), [1.0, 1.0, 0.0, 0.0]);
/// ```
pub fn eval(graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, EvalError> {
    let _env = kiln_fenv::hold_default();
    if graph.inputs().len() != inputs.len() {
        let declared = graph.inputs().iter().map(Input::to_string).collect();
        return Err(EvalError::InputCount { inputs: declared, found: inputs.len() });
    }
    let mut binding = Binding::default();
    for (input, array) in graph.inputs().iter().zip(inputs) {
        bind(&mut binding, input, array)?;
    }
    eval_nodes(graph, inputs)
}

/// Checks an array against its input.
fn bind<'g>(binding: &mut Binding<'g>, input: &'g Input, array: &Array) -> Result<(), EvalError> {
    if input.dtype != array.dtype {
        let (name, expected, found) = (input.name.clone(), input.dtype, array.dtype);
        return Err(EvalError::InputDType { name, expected, found });
    }
    binding.bind(input, &array.shape).map_err(|error| EvalError::InputShape {
        input: input.to_string(),
        found: array.shape.clone(),
        reason: error.to_string(),
    })
}

/// The outputs, for inputs that fit. A node has one value; a fused kernel has one for each item.
fn eval_nodes(graph: &Graph, inputs: &[Array]) -> Result<Vec<Array>, EvalError> {
    let mut values: Vec<Vec<Array>> = Vec::with_capacity(graph.nodes().len());
    for (id, node) in graph.iter() {
        let value = |id: &NodeId| &values[id.index()][0];
        let result = match node {
            Node::Input(index) => vec![inputs[*index as usize].clone()],
            Node::Const(bits) => {
                let dtype = graph.dtype(id);
                vec![Array::scalar(dtype, Scalar::from_bits(dtype, *bits))]
            }
            Node::Op(op, args) => {
                let operands: Vec<&Array> = args.iter().map(value).collect();
                vec![elementwise(*op, graph.dtype(id), &operands)?]
            }
            Node::Call(call, args) => {
                let operands: Vec<&Array> = args.iter().map(value).collect();
                vec![eval_call(*call, &operands)?]
            }
            Node::Fused { body, args } => {
                let args: Vec<Array> = args.iter().map(|id| value(id).clone()).collect();
                eval_nodes(body, &args)?
            }
            Node::Item { of, index } => vec![values[of.index()][*index as usize].clone()],
        };
        values.push(result);
    }
    Ok(graph.outputs().iter().map(|id| values[id.index()][0].clone()).collect())
}

fn elementwise(op: Op, dtype: DType, operands: &[&Array]) -> Result<Array, EvalError> {
    let shape = common_shape(op.name(), operands)?;
    let computed_in = operands[operands.len() - 1].dtype;
    let mut walks: Vec<Walk> = operands.iter().map(|a| Walk::new(&a.shape, &shape)).collect();
    let mut values = [Scalar::Float(0.0); 3];
    let results = (0..element_count(&shape)?).map(|_| {
        for ((value, operand), walk) in values.iter_mut().zip(operands).zip(&mut walks) {
            *value = walk.next().map_or(*value, |index| operand.data.at(index));
        }
        op.eval_scalars(computed_in, &values[..operands.len()])
    });
    let data = Data::collect(dtype, results);
    Ok(Array { dtype, shape, data })
}

fn common_shape(op: &'static str, operands: &[&Array]) -> Result<Vec<usize>, EvalError> {
    let shapes: Vec<&[usize]> = operands.iter().map(|operand| operand.shape()).collect();
    let common = broadcast(&shapes).map_err(|misfit| EvalError::Broadcast {
        op,
        left: misfit.other,
        right: shapes[misfit.index].to_vec(),
        axis: misfit.axis,
        sizes: [misfit.left, misfit.right],
    })?;
    element_count(&common)?;
    Ok(common.into_vec())
}

fn eval_call(call: Call, operands: &[&Array]) -> Result<Array, EvalError> {
    let shapes: Vec<&[usize]> = operands.iter().map(|operand| operand.shape()).collect();
    let misfit = |reason| EvalError::Call {
        call: call.info().name,
        operands: shapes.iter().map(|shape| shape.to_vec()).collect(),
        reason,
    };
    let shape = call.infer(&shapes).map_err(misfit)?;
    element_count(&shape)?;
    call.check_elements(operands).map_err(misfit)?;
    Ok(call.eval(operands, shape.into_vec()))
}

/// The outputs of an elementwise graph for single numbers, converted to the types of its inputs.
///
/// ```
/// let graph = kiln_ir::parse("x * x + y").unwrap();
/// assert_eq!(kiln_ir::eval_scalar(&graph, &[3.0, 1.0]), [10.0]);
/// ```
///
/// An integer comes out as `f64`, rounded.
///
/// # Panics
///
/// If the number of inputs is wrong, or the graph has a call.
pub fn eval_scalar(graph: &Graph, inputs: &[f64]) -> Vec<f64> {
    let _env = kiln_fenv::hold_default();
    assert_eq!(graph.inputs().len(), inputs.len(), "inputs of {}", graph.name());
    let inputs: Vec<Scalar> = inputs.iter().map(|&value| value.into()).collect();
    scalars(graph, &inputs).into_iter().map(Scalar::to_f64).collect()
}

fn scalars(graph: &Graph, inputs: &[Scalar]) -> Vec<Scalar> {
    let mut values = Vec::with_capacity(graph.nodes().len());
    // The outputs of fused kernels.
    let mut items: HashMap<NodeId, Vec<Scalar>> = HashMap::new();
    for (id, node) in graph.iter() {
        let value = |id: &NodeId| values[id.index()];
        let result = match node {
            Node::Input(index) => inputs[*index as usize].cast(graph.dtype(id)),
            Node::Const(bits) => Scalar::from_bits(graph.dtype(id), *bits),
            Node::Op(op, args) => {
                let mut operands = [Scalar::Float(0.0); 3];
                operands.iter_mut().zip(args.iter()).for_each(|(to, id)| *to = value(id));
                op.eval_scalars(graph.dtype(args[args.len() - 1]), &operands[..args.len()])
            }
            Node::Call(..) => panic!("{} is not elementwise", graph.name()),
            Node::Fused { body, args } => {
                let args: Vec<Scalar> = args.iter().map(value).collect();
                let outputs = scalars(body, &args);
                let first = outputs[0];
                items.insert(id, outputs);
                first
            }
            Node::Item { of, index } => items[of][*index as usize],
        };
        values.push(result);
    }
    graph.outputs().iter().map(|id| values[id.index()]).collect()
}

#[cfg(test)]
mod tests {
    use super::{eval, eval_scalar};
    use crate::array::Array;
    use crate::dtype::DType;
    use crate::text::parse;

    fn array(shape: &[usize], data: &[f64]) -> Array {
        Array::new(DType::F32, shape.to_vec(), data.to_vec()).unwrap()
    }

    fn run(text: &str, inputs: &[Array]) -> Vec<Array> {
        eval(&parse(text).unwrap(), inputs).unwrap()
    }

    fn error(text: &str, inputs: &[Array]) -> String {
        eval(&parse(text).unwrap(), inputs).unwrap_err().to_string()
    }

    #[test]
    fn broadcasts_as_numpy() {
        let (column, row) = (array(&[2, 1], &[1.0, 2.0]), array(&[3], &[10.0, 20.0, 30.0]));
        let sum = &run("x + y", &[column, row])[0];
        assert_eq!(sum, &array(&[2, 3], &[11.0, 21.0, 31.0, 12.0, 22.0, 32.0]));
        let empty = &run("x + y", &[array(&[0, 3], &[]), array(&[3], &[1.0; 3])])[0];
        assert_eq!(empty.shape(), [0, 3]);
        assert_eq!(run("2 * x", &[Array::scalar(DType::F32, 4.0)])[0].data(), [8.0]);
    }

    #[test]
    fn rounds_after_every_op() {
        // 1 + 2^-24 is 1 in f32, so that nothing is left.
        let tiny = 2f64.powi(-24);
        assert_eq!(eval_scalar(&parse("x + y - x").unwrap(), &[1.0, tiny]), [0.0]);
        assert_eq!(eval_scalar(&parse("f64(x) + y - x").unwrap(), &[1.0, tiny]), [tiny]);
    }

    #[test]
    fn multiplies_as_numpy() {
        let a = array(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let b = array(&[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        let v = array(&[3], &[1.0, 10.0, 100.0]);
        assert_eq!(
            run("a @ b", &[a.clone(), b.clone()])[0],
            array(&[2, 2], &[4.0, 5.0, 10.0, 11.0])
        );
        assert_eq!(run("a @ v", &[a.clone(), v.clone()])[0], array(&[2], &[321.0, 654.0]));
        assert_eq!(run("v @ b", &[v.clone(), b.clone()])[0], array(&[2], &[101.0, 110.0]));
        assert_eq!(run("v @ w", &[v.clone(), v.clone()])[0].shape(), [0usize; 0]);
        let batch = array(&[2, 1, 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(run("a @ b", &[batch, b])[0], array(&[2, 1, 2], &[1.0, 0.0, 0.0, 1.0]));
        assert_eq!(
            error("a @ v", &[a.clone(), a]),
            "matmul: shapes [2, 3] and [2, 3] do not fit: the last axis of the left is 3, but the \
             second-last axis of the right is 2; they must be equal (is the right operand transposed?)"
        );
    }

    #[test]
    fn fused_kernels_mean_what_their_bodies_do() {
        let fused = "let (a, b) = fused(x, y) { let t = exp(x); (t, t * y) };
                     let (c, d, e) = fused(a, b, y) { (a + b, 1, a) };
                     (c, d, e)";
        let plain = "let t = exp(x); (t + t * y, 1, t)";
        let inputs = [array(&[2], &[0.5, -1.0]), array(&[2, 1], &[3.0, 4.0])];
        // Each output has its own shape, whatever else the kernel loads.
        let shapes = run(fused, &inputs).iter().map(|a| a.shape().to_vec()).collect::<Vec<_>>();
        assert_eq!(shapes, [vec![2, 2], vec![], vec![2]]);
        assert_eq!(run(fused, &inputs), run(plain, &inputs));
        let scalars = eval_scalar(&parse(fused).unwrap(), &[0.5, 3.0]);
        assert_eq!(scalars, eval_scalar(&parse(plain).unwrap(), &[0.5, 3.0]));
    }

    #[test]
    fn misfits_are_told() {
        let kernel = "kernel f(x: f32[n, 3], y: f32[n]) { x * 2 }";
        let (x, y) = (array(&[1, 3], &[0.0; 3]), array(&[1], &[0.0]));
        assert_eq!(
            error(kernel, std::slice::from_ref(&x)),
            "the kernel takes 2 inputs (x: f32[n, 3], y: f32[n]), found 1"
        );
        assert_eq!(
            error(kernel, &[y.clone(), y.clone()]),
            "input x: f32[n, 3] got shape [1]: it must have 2 axes; reshape it"
        );
        assert_eq!(
            error(kernel, &[x, array(&[2], &[0.0; 2])]),
            "input y: f32[n] got shape [2]: axis 0, n, is 1 in input x"
        );
        assert_eq!(
            error("x + y", &[Array::scalar(DType::F64, 1.0), y]),
            "input x is f64, the kernel takes f32"
        );
        // The same words as at compile time, when shapes are known there.
        let written = parse("kernel f(x: f32[2], y: f32[3]) { x + y }").unwrap_err();
        let fault = written.fault().unwrap().to_string();
        assert_eq!(error("x + y", &[array(&[2], &[0.0; 2]), array(&[3], &[0.0; 3])]), fault);
        let huge = array(&[1 << 14, 1], &vec![0.0; 1 << 14]);
        let row = array(&[1 << 14], &vec![0.0; 1 << 14]);
        assert_eq!(
            error("x + y", &[huge, row]),
            "an array of shape [16384, 16384] is too large for the reference interpreter"
        );
        let overflow = Array::new(DType::F32, vec![usize::MAX, 3], Vec::<f64>::new()).unwrap_err();
        assert!(overflow.to_string().contains("too large"), "{overflow}");
        let deep = Array::new(DType::F32, vec![1; 65], vec![1.0]).unwrap_err();
        assert_eq!(deep.to_string(), "an array of 65 axes has over 64");
        let short = Array::new(DType::F32, vec![2, 2], vec![1.0]).unwrap_err();
        assert_eq!(short.to_string(), "the shape [2, 2] does not have 1 elements");
    }
}
