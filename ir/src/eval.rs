//! The reference interpreter: what a graph means, op by op.
//!
//! Every op is the scalar function of its row in the op table, rounded to the type of its node.
//! Arrays are held as `f64`, those of integers as `i64`, in row-major order. Simple and slow;
//! other stages are tested against it.

use crate::dtype::DType;
use crate::graph::{Graph, Input, Node, NodeId};
use crate::number::Scalar;
use crate::ops::Op;
use crate::shape::{Dim, MAX_RANK, Shape};
use std::collections::HashMap;

/// The number of elements that an array may have here: 1 GiB of `f64`.
const MAX_ELEMENTS: usize = 1 << 27;

/// An array of the reference interpreter.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    dtype: DType,
    shape: Vec<usize>,
    data: Data,
}

#[derive(Clone, Debug, PartialEq)]
enum Data {
    /// Floats and bools.
    Floats(Vec<f64>),
    Integers(Vec<i64>),
}

impl Data {
    /// Of values that have the type.
    fn collect(dtype: DType, values: impl Iterator<Item = Scalar>) -> Data {
        let integer = |value| match value {
            Scalar::Integer(value) => value,
            Scalar::Float(_) => panic!("an op on integers gave a float"),
        };
        match dtype.is_integer() {
            true => Data::Integers(values.map(integer).collect()),
            false => Data::Floats(values.map(Scalar::to_f64).collect()),
        }
    }

    fn at(&self, index: usize) -> Scalar {
        match self {
            Data::Floats(data) => Scalar::Float(data[index]),
            Data::Integers(data) => Scalar::Integer(data[index]),
        }
    }
}

impl Array {
    /// An array of `data` in row-major order, each an `f64` or an `i64`, converted to `dtype`.
    pub fn new<T: Into<Scalar>>(
        dtype: DType,
        shape: Vec<usize>,
        data: Vec<T>,
    ) -> Result<Array, EvalError> {
        let _env = kiln_fenv::hold_default();
        if shape.len() > MAX_RANK {
            return Err(EvalError::Rank { rank: shape.len() });
        }
        if element_count(&shape)? != data.len() {
            return Err(EvalError::Length { shape, length: data.len() });
        }
        let data = Data::collect(dtype, data.into_iter().map(|value| value.into().cast(dtype)));
        Ok(Array { dtype, shape, data })
    }

    /// A single number.
    pub fn scalar(dtype: DType, value: impl Into<Scalar>) -> Array {
        let _env = kiln_fenv::hold_default();
        let data = Data::collect(dtype, std::iter::once(value.into().cast(dtype)));
        Array { dtype, shape: Vec::new(), data }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The size of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements in row-major order; a bool is 1 or 0.
    ///
    /// # Panics
    ///
    /// If they are integers: those are [`integers`](Array::integers).
    pub fn data(&self) -> &[f64] {
        match &self.data {
            Data::Floats(data) => data,
            Data::Integers(_) => panic!("an array of {} has no floats", self.dtype),
        }
    }

    /// The elements in row-major order.
    ///
    /// # Panics
    ///
    /// If they are no integers: those are [`data`](Array::data).
    pub fn integers(&self) -> &[i64] {
        match &self.data {
            Data::Integers(data) => data,
            Data::Floats(_) => panic!("an array of {} has no integers", self.dtype),
        }
    }

    /// Repeated along new axes and axes of size 1.
    fn broadcast_to(&self, shape: &[usize]) -> Array {
        let values = Walk::new(&self.shape, shape).map(|index| self.data.at(index));
        let data = Data::collect(self.dtype, values);
        Array { dtype: self.dtype, shape: shape.to_vec(), data }
    }
}

/// Arrays that a graph cannot be evaluated with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The number of elements is not the product of the shape.
    #[error("the shape {shape:?} does not have {length} elements")]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// The number of elements.
        length: usize,
    },
    /// Too many elements.
    #[error("an array of shape {shape:?} is too large for the reference interpreter")]
    TooLarge {
        /// The shape.
        shape: Vec<usize>,
    },
    /// More axes than an array may have.
    #[error("an array of {rank} axes has over {MAX_RANK}")]
    Rank {
        /// The number of axes.
        rank: usize,
    },
    /// The wrong number of inputs.
    #[error("the kernel takes {expected} inputs, found {found}")]
    InputCount {
        /// How many the graph has.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// An array that does not fit its input.
    #[error("input {declared} does not take an array of type {dtype} and shape {shape:?}")]
    Input {
        /// The input as declared.
        declared: String,
        /// The type of the array.
        dtype: DType,
        /// The shape of the array.
        shape: Vec<usize>,
    },
    /// One name with two sizes.
    #[error("axis {name} is {first} in one input and {second} in {input}")]
    Axis {
        /// The name of the axis.
        name: String,
        /// Its size where it first stands.
        first: usize,
        /// Its size here.
        second: usize,
        /// The input.
        input: String,
    },
    /// Shapes that do not broadcast.
    #[error("{op}: shapes {left:?} and {right:?} do not broadcast")]
    Broadcast {
        /// The op's name.
        op: &'static str,
        /// Shape of the left operand.
        left: Vec<usize>,
        /// Shape of the right operand.
        right: Vec<usize>,
    },
    /// Shapes that do not multiply.
    #[error("matmul: shapes {left:?} and {right:?} do not fit")]
    Matmul {
        /// Shape of the left operand.
        left: Vec<usize>,
        /// Shape of the right operand.
        right: Vec<usize>,
    },
}

/// The outputs of a graph for these inputs.
///
/// A matrix product is summed in `f64`, in order, and rounded once.
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
        let (expected, found) = (graph.inputs().len(), inputs.len());
        return Err(EvalError::InputCount { expected, found });
    }
    let mut sizes = HashMap::new();
    for (input, array) in graph.inputs().iter().zip(inputs) {
        bind(input, array, &mut sizes)?;
    }
    eval_nodes(graph, inputs)
}

/// Checks an array against its input and notes the sizes of named axes.
fn bind<'g>(
    input: &'g Input,
    array: &Array,
    sizes: &mut HashMap<&'g str, usize>,
) -> Result<(), EvalError> {
    let misfit = || EvalError::Input {
        declared: input.to_string(),
        dtype: array.dtype,
        shape: array.shape.clone(),
    };
    if input.dtype != array.dtype {
        return Err(misfit());
    }
    let Some(dims) = &input.dims else { return Ok(()) };
    if dims.len() != array.shape.len() {
        return Err(misfit());
    }
    for (dim, &size) in dims.iter().zip(&array.shape) {
        match dim {
            Dim::Size(expected) if *expected != size => return Err(misfit()),
            Dim::Size(_) => {}
            Dim::Symbol(name) => {
                let first = *sizes.entry(name).or_insert(size);
                if first != size {
                    let (name, input) = (name.to_string(), input.name.clone());
                    return Err(EvalError::Axis { name, first, second: size, input });
                }
            }
        }
    }
    Ok(())
}

/// The outputs, for inputs that fit. A node has one value, or as many as its fused kernel.
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
            Node::Matmul(a, b) => vec![matmul(value(a), value(b))?],
            Node::Fused { body, args } => {
                let args: Vec<Array> = args.iter().map(|id| value(id).clone()).collect();
                let domain = common_shape("fused", &args.iter().collect::<Vec<_>>())?;
                let outputs = eval_nodes(body, &args)?;
                outputs.iter().map(|output| output.broadcast_to(&domain)).collect()
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
    let mut common = Vec::new();
    for operand in operands {
        common = broadcast(&common, &operand.shape).ok_or_else(|| EvalError::Broadcast {
            op,
            left: common.clone(),
            right: operand.shape.clone(),
        })?;
    }
    element_count(&common)?;
    Ok(common)
}

/// The common shape of two, as NumPy broadcasts.
fn broadcast(left: &[usize], right: &[usize]) -> Option<Vec<usize>> {
    let sized = |shape: &[usize]| Shape::new(shape.iter().map(|&n| Dim::Size(n)).collect());
    let common = sized(left).broadcast(&sized(right)).ok()?;
    let size = |dim: &Dim| match dim {
        Dim::Size(size) => Some(*size),
        Dim::Symbol(_) => None,
    };
    common.dims()?.iter().map(size).collect()
}

fn element_count(shape: &[usize]) -> Result<usize, EvalError> {
    let too_large = || EvalError::TooLarge { shape: shape.to_vec() };
    if shape.contains(&0) {
        return Ok(0);
    }
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    count.filter(|&count| count <= MAX_ELEMENTS).ok_or_else(too_large)
}

/// The indices into an array of shape `from`, as it is repeated to fill shape `to`.
struct Walk {
    to: Vec<usize>,
    /// How far a step along each axis of `to` leads; 0 where `from` is repeated.
    strides: Vec<usize>,
    at: Vec<usize>,
    index: usize,
    left: usize,
}

impl Walk {
    /// `from` broadcasts to `to`, whose elements have been counted.
    fn new(from: &[usize], to: &[usize]) -> Walk {
        let mut strides = vec![0; to.len()];
        let mut stride = 1;
        for (axis, &size) in from.iter().enumerate().rev() {
            if size != 1 {
                strides[axis + to.len() - from.len()] = stride;
            }
            stride *= size;
        }
        let left = to.iter().product();
        Walk { to: to.to_vec(), strides, at: vec![0; to.len()], index: 0, left }
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let index = self.index;
        for axis in (0..self.to.len()).rev() {
            self.at[axis] += 1;
            self.index += self.strides[axis];
            if self.at[axis] < self.to[axis] {
                break;
            }
            self.at[axis] = 0;
            self.index -= self.strides[axis] * self.to[axis];
        }
        Some(index)
    }
}

/// The product, as NumPy's `matmul`.
fn matmul(a: &Array, b: &Array) -> Result<Array, EvalError> {
    let misfit = || EvalError::Matmul { left: a.shape.clone(), right: b.shape.clone() };
    // A 1-d operand is a row on the left, a column on the right.
    let (a_batch, rows, inner) = match a.shape[..] {
        [] => return Err(misfit()),
        [inner] => (&[][..], 1, inner),
        [ref batch @ .., rows, inner] => (batch, rows, inner),
    };
    let (b_batch, b_inner, columns) = match b.shape[..] {
        [] => return Err(misfit()),
        [inner] => (&[][..], inner, 1),
        [ref batch @ .., inner, columns] => (batch, inner, columns),
    };
    if inner != b_inner {
        return Err(misfit());
    }
    let (left, right) = (a.data(), b.data());
    let batch = broadcast(a_batch, b_batch).ok_or_else(misfit)?;
    let mut shape = batch.clone();
    shape.extend((a.shape.len() > 1).then_some(rows));
    shape.extend((b.shape.len() > 1).then_some(columns));
    let mut data = Vec::with_capacity(element_count(&shape)?);
    for (a_at, b_at) in Walk::new(a_batch, &batch).zip(Walk::new(b_batch, &batch)) {
        for row in 0..rows {
            for column in 0..columns {
                let product = |k| {
                    left[(a_at * rows + row) * inner + k]
                        * right[(b_at * inner + k) * columns + column]
                };
                data.push(a.dtype.round((0..inner).map(product).fold(0.0, |sum, term| sum + term)));
            }
        }
    }
    Ok(Array { dtype: a.dtype, shape, data: Data::Floats(data) })
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
/// If the number of inputs is wrong, or the graph has a matrix product.
pub fn eval_scalar(graph: &Graph, inputs: &[f64]) -> Vec<f64> {
    let _env = kiln_fenv::hold_default();
    assert_eq!(graph.inputs().len(), inputs.len(), "inputs of {}", graph.name());
    let inputs: Vec<Scalar> = inputs.iter().map(|&value| value.into()).collect();
    scalars(graph, &inputs).into_iter().map(Scalar::to_f64).collect()
}

fn scalars(graph: &Graph, inputs: &[Scalar]) -> Vec<Scalar> {
    let mut values = Vec::with_capacity(graph.nodes().len());
    // The outputs of fused kernels of several.
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
            Node::Matmul(..) => panic!("{} is not elementwise", graph.name()),
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
    use super::{Array, eval, eval_scalar};
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
        assert_eq!(error("a @ v", &[a.clone(), a]), "matmul: shapes [2, 3] and [2, 3] do not fit");
    }

    #[test]
    fn fused_kernels_mean_what_their_bodies_do() {
        let fused = "let (a, b) = fused(x, y) { let t = exp(x); (t, t * y) };
                     fused(a, b, y) { (a + b, 1) }";
        let plain = "let t = exp(x); (t + t * y, y * 0 + 1)";
        let inputs = [array(&[2], &[0.5, -1.0]), array(&[2, 1], &[3.0, 4.0])];
        let outputs = run(fused, &inputs);
        assert_eq!(outputs[0], run(plain, &inputs)[0]);
        assert_eq!(outputs[1], array(&[2, 2], &[1.0; 4]));
        let scalars = eval_scalar(&parse(fused).unwrap(), &[0.5, 3.0]);
        assert_eq!(scalars, eval_scalar(&parse(plain).unwrap(), &[0.5, 3.0]));
    }

    #[test]
    fn misfits_are_told() {
        let kernel = "kernel f(x: f32[n, 3], y: f32[n]) { x * 2 }";
        let (x, y) = (array(&[1, 3], &[0.0; 3]), array(&[1], &[0.0]));
        assert_eq!(error(kernel, std::slice::from_ref(&x)), "the kernel takes 2 inputs, found 1");
        assert_eq!(
            error(kernel, &[y.clone(), y.clone()]),
            "input x: f32[n, 3] does not take an array of type f32 and shape [1]"
        );
        assert_eq!(
            error(kernel, &[x, array(&[2], &[0.0; 2])]),
            "axis n is 1 in one input and 2 in y"
        );
        assert_eq!(
            error("x + y", &[array(&[2], &[0.0; 2]), array(&[3], &[0.0; 3])]),
            "add: shapes [2] and [3] do not broadcast"
        );
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
