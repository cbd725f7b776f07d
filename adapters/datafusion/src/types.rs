//! Which element types of Kiln are which of Arrow.

use datafusion::arrow::datatypes::DataType;
use kiln::DType;

/// The element type of columns of this type, whose memory kernels read as it is (bools apart).
pub(crate) fn dtype_of(column: &DataType) -> Option<DType> {
    match column {
        DataType::Boolean => Some(DType::Bool),
        DataType::UInt8 => Some(DType::U8),
        DataType::Int32 => Some(DType::I32),
        DataType::Int64 => Some(DType::I64),
        DataType::Float32 => Some(DType::F32),
        DataType::Float64 => Some(DType::F64),
        _ => None,
    }
}

/// The type of columns of these elements; none for `f16` and `bf16`, which kernels only store.
pub(crate) fn column_of(dtype: DType) -> Option<DataType> {
    match dtype {
        DType::Bool => Some(DataType::Boolean),
        DType::U8 => Some(DataType::UInt8),
        DType::I32 => Some(DataType::Int32),
        DType::I64 => Some(DataType::Int64),
        DType::F32 => Some(DataType::Float32),
        DType::F64 => Some(DataType::Float64),
        DType::F16 | DType::BF16 => None,
    }
}

/// The narrowest type of ours that holds each value of a numeric type; of decimals, and of unsigned
/// integers of 64 bits, the nearest `f64`.
pub(crate) fn widened(column: &DataType) -> Option<DataType> {
    match column {
        DataType::Int8 | DataType::Int16 | DataType::UInt16 => Some(DataType::Int32),
        DataType::UInt32 => Some(DataType::Int64),
        DataType::Float16 => Some(DataType::Float32),
        DataType::Null | DataType::UInt64 => Some(DataType::Float64),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Some(DataType::Float64),
        DataType::Dictionary(_, values) => widened(values),
        DataType::RunEndEncoded(_, values) => widened(values.data_type()),
        other => dtype_of(other).map(|_| other.clone()),
    }
}
