//! A linear layer over columns of vectors: models scored where their data lies.

use super::values::{elements, numbers};
use crate::error::KernelError;
use crate::kernels;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, PrimitiveArray, new_null_array,
};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float32Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use kiln::ir::{Call, Node};
use kiln::{Graph, Kernel, Mode, View};
use ndarray::{ArrayView1, ArrayView2};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// A linear layer, `activation(x @ weights + bias)`, of a vector `x`.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Row after row, as many as a vector has elements; a row has a number for each result.
    pub weights: Vec<f32>,
    /// A number for each result.
    pub bias: Vec<f32>,
    /// An elementwise expression of `y`, which is `x @ weights + bias`: `relu(y)`, or `y` for none.
    pub activation: String,
}

/// A [`Layer`] as a scalar function of a column `FixedSizeList<Float32, K>`. It gives a `Float32` where the
/// layer has one result, and a `FixedSizeList<Float32, M>` else. A row is null where the vector is, or any
/// of its elements.
///
/// ```
/// use kiln_datafusion::{Layer, LayerFunction};
///
/// let (weights, bias) = (vec![1.0, 0.5, -0.25], vec![0.1]);
/// let layer = Layer { weights, bias, activation: "sigmoid(y)".into() };
/// let function = LayerFunction::new("score", layer)?;
/// assert_eq!(function.inputs(), 3);
/// # Ok::<(), kiln_datafusion::KernelError>(())
/// ```
#[derive(Debug)]
pub struct LayerFunction {
    name: String,
    layer: Layer,
    inputs: usize,
    graph: Graph,
    signature: Signature,
    kernel: OnceLock<Kernel>,
}

impl LayerFunction {
    /// The function `name` of a layer. Fails where the sizes do not fit, and where the activation is not an
    /// elementwise expression of `y`.
    pub fn new(name: impl Into<String>, layer: Layer) -> Result<LayerFunction, KernelError> {
        let name = name.into();
        let unfit = |reason: String| KernelError::Unfit { name: name.clone(), reason };
        let (weights, outputs) = (layer.weights.len(), layer.bias.len());
        if weights == 0 || outputs == 0 || weights % outputs != 0 {
            let reason = format!("{weights} weights are not rows of {outputs}, as the bias has");
            return Err(unfit(reason));
        }
        let inputs = weights / outputs;
        if i32::try_from(inputs.max(outputs)).is_err() {
            return Err(unfit("a list of Arrow has at most 2^31 - 1 elements".into()));
        }
        let text = format!(
            "|x: f32[n, k], w: f32[k, m], b: f32[m]| let y = x @ w + b; {}",
            layer.activation
        );
        let graph = kiln::ir::parse(&text)?;
        let elementwise =
            |node: &Node| !matches!(node, Node::Call(call, _) if *call != Call::Matmul);
        let products = graph.nodes().iter().filter(|node| matches!(node, Node::Call(..))).count();
        let is_row = graph.outputs().len() == 1
            && graph.dtype(graph.outputs()[0]) == kiln::DType::F32
            && graph.nodes().iter().all(elementwise)
            && products == 1;
        if !is_row {
            let reason = "its activation must be one elementwise expression of `y` of f32".into();
            return Err(unfit(reason));
        }
        let signature = Signature::user_defined(Volatility::Immutable);
        Ok(LayerFunction { name, layer, inputs, graph, signature, kernel: OnceLock::new() })
    }

    /// The layer.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// How many elements a vector has.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many results a vector has.
    pub fn outputs(&self) -> usize {
        self.layer.bias.len()
    }

    fn column(&self) -> DataType {
        match self.outputs() {
            1 => DataType::Float32,
            outputs => vector(outputs),
        }
    }

    /// The kernel with its weights, packed once.
    fn kernel(&self) -> Result<&Kernel, KernelError> {
        if let Some(kernel) = self.kernel.get() {
            return Ok(kernel);
        }
        let weights = ArrayView2::from_shape((self.inputs, self.outputs()), &self.layer.weights);
        let weights = weights.expect("sizes were checked");
        let bias = ArrayView1::from(&self.layer.bias);
        let kernel = kernels::kernel(&self.graph, Mode::Precise)?;
        let kernel = kernel.bind_constant("w", weights)?.bind_constant("b", bias)?;
        Ok(self.kernel.get_or_init(|| kernel))
    }

    fn refused(&self, columns: &[DataType]) -> KernelError {
        let found: Vec<String> = columns.iter().map(DataType::to_string).collect();
        KernelError::Arguments {
            name: self.name.clone(),
            expected: format!("a column FixedSizeList<Float32, {}>", self.inputs),
            found: found.join(", "),
        }
    }

    fn is_vector(&self, column: &DataType) -> bool {
        matches!(column, DataType::FixedSizeList(item, size)
            if *item.data_type() == DataType::Float32 && usize::try_from(*size) == Ok(self.inputs))
    }

    fn score(&self, vectors: &FixedSizeListArray) -> Result<ArrayRef> {
        let rows = vectors.len();
        let nulls = nulls(vectors, self.inputs);
        if nulls.as_ref().is_some_and(|nulls| rows > 0 && nulls.null_count() == rows) {
            return Ok(new_null_array(&self.column(), rows));
        }
        let numbers = numbers::<Float32Type>(vectors.values());
        let x = ArrayView2::from_shape((rows, self.inputs), numbers);
        let x = x.map_err(|error| KernelError::Unfit {
            name: self.name.clone(),
            reason: format!("its column is not what its type says: {error}"),
        })?;
        let outputs = self.kernel()?.run(&[View::from(x)]).map_err(KernelError::Run)?;
        let [output] = outputs.try_into().expect("a layer has one output");
        let scores = elements(output.into_f32().map_err(KernelError::Run)?);
        if self.outputs() == 1 {
            return Ok(Arc::new(PrimitiveArray::<Float32Type>::new(scores.into(), nulls)));
        }
        let scores = Arc::new(PrimitiveArray::<Float32Type>::new(scores.into(), None));
        let DataType::FixedSizeList(item, size) = self.column() else {
            unreachable!("several results are a list")
        };
        Ok(Arc::new(FixedSizeListArray::try_new_with_length(item, size, scores, nulls, rows)?))
    }
}

/// The type of a column of vectors.
fn vector(size: usize) -> DataType {
    let size = i32::try_from(size).expect("sizes were checked");
    DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Float32, true)), size)
}

/// Which rows have a vector, all of whose elements there are.
fn nulls(vectors: &FixedSizeListArray, size: usize) -> Option<NullBuffer> {
    let elements = vectors.values().nulls().filter(|nulls| nulls.null_count() > 0);
    let whole = elements.map(|elements| {
        let valid = |row: usize| elements.slice(row * size, size).null_count() == 0;
        NullBuffer::new(BooleanBuffer::collect_bool(vectors.len(), valid))
    });
    NullBuffer::union(vectors.nulls(), whole.as_ref())
}

impl ScalarUDFImpl for LayerFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, columns: &[DataType]) -> Result<DataType> {
        self.coerce_types(columns).map(|_| self.column())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let columns: Vec<DataType> =
            args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let column = self.return_type(&columns)?;
        let nullable = args.arg_fields.iter().any(|field| match field.data_type() {
            DataType::FixedSizeList(item, _) => field.is_nullable() || item.is_nullable(),
            _ => true,
        });
        Ok(Arc::new(Field::new(&self.name, column, nullable)))
    }

    fn coerce_types(&self, columns: &[DataType]) -> Result<Vec<DataType>> {
        match columns {
            [column] if self.is_vector(column) => Ok(columns.to_vec()),
            _ => Err(self.refused(columns).into()),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [arg] = args.args.as_slice() else {
            let columns: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
            return Err(self.refused(&columns).into());
        };
        let is_array = matches!(arg, ColumnarValue::Array(_));
        let rows = if is_array { args.number_rows } else { 1 };
        let array = arg.to_array(rows)?;
        let vectors = array.as_fixed_size_list_opt().filter(|v| self.is_vector(v.data_type()));
        let vectors = vectors.ok_or_else(|| self.refused(&[array.data_type().clone()]))?;
        let scores = self.score(vectors)?;
        match is_array {
            true => Ok(ColumnarValue::Array(scores)),
            false => {
                let score = datafusion::common::ScalarValue::try_from_array(&scores, 0)?;
                Ok(ColumnarValue::Scalar(score))
            }
        }
    }
}

/// What makes two functions one: the bits of the weights, too.
impl LayerFunction {
    fn identity(&self) -> (&str, &str, impl Iterator<Item = u32> + '_) {
        let numbers = self.layer.weights.iter().chain(&self.layer.bias);
        (&self.name, &self.layer.activation, numbers.map(|number| number.to_bits()))
    }
}

impl PartialEq for LayerFunction {
    fn eq(&self, other: &LayerFunction) -> bool {
        let ((name, activation, numbers), others) = (self.identity(), other.identity());
        (name, activation, self.inputs) == (others.0, others.1, other.inputs)
            && numbers.eq(others.2)
    }
}

impl Eq for LayerFunction {}

impl Hash for LayerFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (name, activation, numbers) = self.identity();
        (name, activation).hash(state);
        numbers.for_each(|number| number.hash(state));
    }
}
