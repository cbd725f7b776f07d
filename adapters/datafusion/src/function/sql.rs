//! `kiln('gelu(x*w + b)', x, w, b)`: a kernel written where it is used.

use super::KernelFunction;
use crate::error::KernelError;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast,
};
use std::sync::Arc;

/// The function `kiln`: the text of a kernel, and then its inputs in the order in which the text names
/// or first reads them.
///
/// ```
/// use datafusion::prelude::SessionContext;
/// use kiln_datafusion::KilnFunction;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> datafusion::error::Result<()> {
/// let context = SessionContext::new();
/// context.register_udf(KilnFunction::default().into());
/// let query = "SELECT kiln('relu(x*w + b)', 2.0, 3.0, 1.0) AS y";
/// let rows = context.sql(query).await?.collect().await?;
/// let shown = datafusion::arrow::util::pretty::pretty_format_batches(&rows)?.to_string();
/// assert!(shown.contains("7.0"), "{shown}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct KilnFunction {
    signature: Signature,
}

impl Default for KilnFunction {
    fn default() -> KilnFunction {
        KilnFunction { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// The function of a text that a query has.
fn of_text(text: Option<&ScalarValue>) -> Result<KernelFunction> {
    let Some(text) = text.and_then(|text| text.try_as_str().flatten()) else {
        return plan_err!(
            "kiln takes the text of a kernel first, as a literal: kiln('x * w', x, w)"
        );
    };
    Ok(KernelFunction::new(format!("kiln[{}]", one_line(text)), text)?)
}

/// A text without its line breaks, for plans.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl ScalarUDFImpl for KilnFunction {
    fn name(&self) -> &str {
        "kiln"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _columns: &[DataType]) -> Result<DataType> {
        plan_err!("kiln's type follows from its text, which must be a literal")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let function = of_text(args.scalar_arguments.first().copied().flatten())?;
        let inputs = args.arg_fields.get(1..).unwrap_or_default();
        let columns: Vec<DataType> = inputs.iter().map(|field| field.data_type().clone()).collect();
        let column = function.return_type(&function.coerced(&columns)?)?;
        let nullable = inputs.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), column, nullable)))
    }

    /// Types are settled once the text is known: see [`simplify`](ScalarUDFImpl::simplify).
    fn coerce_types(&self, columns: &[DataType]) -> Result<Vec<DataType>> {
        match columns {
            [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, ..] => Ok(columns.to_vec()),
            _ => Err(KernelError::Arguments {
                name: self.name().into(),
                expected: "the text of a kernel, then its inputs".into(),
                found: columns.iter().map(DataType::to_string).collect::<Vec<_>>().join(", "),
            }
            .into()),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// Becomes the function of its text.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let text = match args.first() {
            Some(Expr::Literal(text, _)) => Some(text),
            _ => None,
        };
        let function = of_text(text)?;
        let inputs = args.into_iter().skip(1);
        let inputs: Vec<(Expr, DataType)> = inputs
            .map(|input| info.get_data_type(&input).map(|column| (input, column)))
            .collect::<Result<_>>()?;
        let columns: Vec<DataType> = inputs.iter().map(|(_, column)| column.clone()).collect();
        let coerced = function.coerced(&columns)?.into_iter();
        let inputs = inputs.into_iter().zip(coerced).map(|((input, column), wanted)| {
            if column == wanted { input } else { cast(input, wanted) }
        });
        let call = ScalarUDF::from(function).call(inputs.collect());
        Ok(ExprSimplifyResult::Simplified(call))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let text = match args.args.first() {
            Some(ColumnarValue::Scalar(text)) => Some(text),
            _ => None,
        };
        let function = of_text(text)?;
        let inputs = args.args.get(1..).unwrap_or_default();
        let columns: Vec<DataType> = inputs.iter().map(ColumnarValue::data_type).collect();
        let wanted = function.coerced(&columns)?;
        let inputs = inputs.iter().zip(&wanted);
        let inputs = inputs.map(|(input, wanted)| input.cast_to(wanted, None));
        let arg_fields = args.arg_fields.get(1..).unwrap_or_default().to_vec();
        function.invoke_with_args(ScalarFunctionArgs {
            args: inputs.collect::<Result<_>>()?,
            arg_fields,
            ..args
        })
    }
}
