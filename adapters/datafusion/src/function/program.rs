//! A kernel as a scalar function: its text, resolved for the types of its arguments.

use super::{facts, values};
use crate::error::KernelError;
use crate::kernels;
use crate::types::{column_of, dtype_of, widened};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use kiln::ir::{FreeInput, Node, free_inputs, parse_with};
use kiln::{DType, Graph, Kernel, Mode};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// An elementwise kernel of Kiln as a scalar function of DataFusion.
///
/// Its inputs are the function's arguments, in order. An input that the text types (`x: f32`) takes that
/// type, to which numbers are cast; any other takes the type of its argument, and what mixes promotes as in
/// Kiln and in SQL. A row is null where any argument is.
///
/// ```
/// use datafusion::prelude::SessionContext;
/// use kiln_datafusion::KernelFunction;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> datafusion::error::Result<()> {
/// let context = SessionContext::new();
/// context.register_udf(KernelFunction::new("silu", "|x| x * sigmoid(x)")?.into());
/// let rows = context.sql("SELECT silu(2.0) AS y").await?.collect().await?;
/// let shown = datafusion::arrow::util::pretty::pretty_format_batches(&rows)?.to_string();
/// assert!(shown.contains("1.76159"), "{shown}");
/// # Ok(())
/// # }
/// ```
pub struct KernelFunction {
    name: String,
    text: String,
    mode: Mode,
    inputs: Vec<FreeInput>,
    signature: Signature,
    /// What it was resolved to so far, by the types of arguments: few, for a query has few.
    known: RwLock<Vec<Arc<Resolved>>>,
}

/// A function whose argument types are known.
pub(crate) struct Resolved {
    dtypes: Vec<DType>,
    pub(crate) graph: Graph,
    pub(crate) column: DataType,
    pub(super) mode: Mode,
    kernel: OnceLock<Arc<Kernel>>,
}

impl Resolved {
    fn kernel(&self) -> Result<&Kernel, KernelError> {
        if let Some(kernel) = self.kernel.get() {
            return Ok(kernel);
        }
        let kernel = kernels::kernel(&self.graph, self.mode)?;
        Ok(self.kernel.get_or_init(|| kernel))
    }
}

impl KernelFunction {
    /// The function `name` of a kernel's text, in [`Mode::Precise`].
    ///
    /// Fails where the text is no kernel, and where it is not elementwise with one output.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Result<Self, KernelError> {
        KernelFunction::with_mode(name, text, Mode::Precise)
    }

    /// As [`new`](KernelFunction::new), in any mode.
    pub fn with_mode(
        name: impl Into<String>,
        text: impl Into<String>,
        mode: Mode,
    ) -> Result<Self, KernelError> {
        let (name, text) = (name.into(), text.into());
        let inputs = free_inputs(&text)?;
        let signature = match inputs.is_empty() {
            true => Signature::nullary(Volatility::Immutable),
            false => Signature::user_defined(Volatility::Immutable),
        };
        let function =
            KernelFunction { name, text, mode, inputs, signature, known: RwLock::default() };
        // What is wrong whatever the arguments are should not wait for a query.
        let usual: Vec<DType> = function.inputs.iter().map(declared_or(DType::F64)).collect();
        match function.resolve(&usual) {
            Ok(_) => {}
            // Other types may do: `x & y` is of integers and bools.
            Err(KernelError::Text(error)) => {
                let of = |dtype| -> Vec<DType> {
                    function.inputs.iter().map(declared_or(dtype)).collect()
                };
                let fits = |dtype| function.resolve(&of(dtype)).is_ok();
                if ![DType::Bool, DType::I64, DType::U8].into_iter().any(fits) {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error),
        }
        Ok(function)
    }

    /// The text of its kernel.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How much its compilation may change.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What it is for arguments of these types.
    pub(crate) fn resolve(&self, dtypes: &[DType]) -> Result<Arc<Resolved>, KernelError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(resolved) = known.iter().find(|resolved| resolved.dtypes == dtypes) {
            return Ok(resolved.clone());
        }
        drop(known);
        let type_of = |name: &str| {
            let index = self.inputs.iter().position(|input| input.name == name)?;
            Some((*dtypes.get(index)?, None))
        };
        let graph = parse_with(&self.text, type_of)?;
        let column = self.check(&graph)?;
        let dtypes = dtypes.to_vec();
        let kernel = OnceLock::new();
        let resolved = Arc::new(Resolved { dtypes, graph, column, mode: self.mode, kernel });
        self.known.write().unwrap_or_else(PoisonError::into_inner).push(resolved.clone());
        Ok(resolved)
    }

    /// The type of the column that a graph gives, if it is a function of rows.
    fn check(&self, graph: &Graph) -> Result<DataType, KernelError> {
        let unfit = |reason: String| KernelError::Unfit { name: self.name.clone(), reason };
        if let Some(input) = graph.inputs().iter().find(|input| input.dims.is_some()) {
            return Err(unfit(format!(
                "`{input}` has a shape, and arguments are columns; leave the shape out"
            )));
        }
        let elementwise =
            |node: &Node| matches!(node, Node::Input(_) | Node::Const(_) | Node::Op(..));
        if !graph.nodes().iter().all(elementwise) {
            let reason = "its result for a row depends on other rows, of which a batch has some only; \
                          use an aggregate of SQL for what is not elementwise";
            return Err(unfit(reason.into()));
        }
        let &[output] = graph.outputs() else {
            let count = graph.outputs().len();
            return Err(unfit(format!("it has {count} outputs; make a function for each")));
        };
        let dtype = graph.dtype(output);
        column_of(dtype)
            .ok_or_else(|| unfit(format!("its output is of {dtype}; convert it, as in f32(..)")))
    }

    fn resolve_columns(&self, columns: &[DataType]) -> Result<Arc<Resolved>, KernelError> {
        let dtypes: Option<Vec<DType>> = columns.iter().map(dtype_of).collect();
        match dtypes {
            Some(dtypes) if dtypes.len() == self.inputs.len() => self.resolve(&dtypes),
            _ => Err(self.refused(columns)),
        }
    }

    fn refused(&self, columns: &[DataType]) -> KernelError {
        let inputs: Vec<&str> = self.inputs.iter().map(|input| input.name.as_str()).collect();
        let found: Vec<String> = columns.iter().map(DataType::to_string).collect();
        KernelError::Arguments {
            name: self.name.clone(),
            expected: format!("{} numbers or bools ({})", inputs.len(), inputs.join(", ")),
            found: found.join(", "),
        }
    }

    /// The types that arguments are cast to.
    pub(crate) fn coerced(&self, columns: &[DataType]) -> Result<Vec<DataType>, KernelError> {
        if columns.len() != self.inputs.len() {
            return Err(self.refused(columns));
        }
        let one = |(input, column): (&FreeInput, &DataType)| {
            let given = widened(column)?;
            match input.declared.as_ref() {
                None => Some(given),
                Some(&(dtype, _)) => {
                    // A number becomes a float, and an integer another one; nothing loses its fraction.
                    let from = dtype_of(&given)?;
                    let loses = from.is_float() && !dtype.is_float();
                    let is_number = (from == DType::Bool) == (dtype == DType::Bool);
                    (is_number && !loses).then(|| column_of(dtype)).flatten()
                }
            }
        };
        let coerced: Option<Vec<DataType>> = self.inputs.iter().zip(columns).map(one).collect();
        coerced.ok_or_else(|| self.refused(columns))
    }
}

fn declared_or(other: DType) -> impl Fn(&FreeInput) -> DType {
    move |input| input.declared.as_ref().map_or(other, |&(dtype, _)| dtype)
}

impl ScalarUDFImpl for KernelFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, columns: &[DataType]) -> Result<DataType> {
        Ok(self.resolve_columns(columns)?.column.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let columns: Vec<DataType> =
            args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(&self.name, self.return_type(&columns)?, nullable)))
    }

    fn coerce_types(&self, columns: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.coerced(columns)?)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let resolved = self.resolve_columns(&columns)?;
        values::run(&self.name, resolved.kernel()?, &args.args, args.number_rows, &resolved.column)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        let columns: Vec<DataType> = inputs.iter().map(|input| input.data_type()).collect();
        let resolved = self.resolve_columns(&columns)?;
        facts::bounds(&resolved, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let columns: Vec<DataType> = inputs.iter().map(|input| input.range.data_type()).collect();
        match self.resolve_columns(&columns) {
            Ok(resolved) if self.mode <= Mode::Precise => {
                Ok(facts::ordering(&resolved.graph, inputs))
            }
            _ => Ok(SortProperties::Unordered),
        }
    }
}

/// By what they compute, not by where they are: plans share common subexpressions by it.
impl PartialEq for KernelFunction {
    fn eq(&self, other: &KernelFunction) -> bool {
        (&self.name, &self.text, self.mode) == (&other.name, &other.text, other.mode)
    }
}

impl Eq for KernelFunction {}

impl Hash for KernelFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, &self.text, self.mode).hash(state);
    }
}

impl fmt::Debug for KernelFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KernelFunction { name, text, mode, .. } = self;
        f.debug_struct("KernelFunction")
            .field("name", name)
            .field("text", text)
            .field("mode", mode)
            .finish()
    }
}
