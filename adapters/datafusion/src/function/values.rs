//! Columns in, columns out: arrays of Arrow as views of Kiln, and what a kernel made as an array.
//!
//! Numbers are read where they lie. Arrow packs bools into bits, which are unpacked, and packed again.

use crate::error::KernelError;
use crate::types::dtype_of;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, new_null_array,
};
use datafusion::arrow::buffer::{BooleanBuffer, MutableBuffer, NullBuffer};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int32Type, Int64Type, UInt8Type,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use kiln::{DType, Kernel, Tensor, View};
use ndarray::ArrayD;
use std::sync::Arc;

/// Runs a kernel of one output on columns and single values; null where any of them is.
pub(crate) fn run(
    name: &str,
    kernel: &Kernel,
    args: &[ColumnarValue],
    rows: usize,
    result: &DataType,
) -> Result<ColumnarValue> {
    let scalar_null = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(s) if s.is_null());
    if args.iter().any(scalar_null) {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from(result)?));
    }
    let nulls = args.iter().fold(None, |nulls, arg| match arg {
        ColumnarValue::Array(array) => NullBuffer::union(nulls.as_ref(), array.nulls()),
        ColumnarValue::Scalar(_) => nulls,
    });
    if nulls.as_ref().is_some_and(|nulls| rows > 0 && nulls.null_count() == rows) {
        return Ok(ColumnarValue::Array(new_null_array(result, rows)));
    }
    let bools: Vec<Vec<bool>> = args.iter().map(unpacked).collect();
    let views: Option<Vec<View<'_>>> =
        args.iter().zip(&bools).map(|(arg, bools)| view(arg, bools)).collect();
    let views = views.ok_or_else(|| unfit(name, args))?;
    let [output] = <[Tensor; 1]>::try_from(kernel.run(&views).map_err(KernelError::Run)?)
        .map_err(|_| unfit(name, args))?;
    let array = array_of(output, nulls).ok_or_else(|| unfit(name, args))?;
    match args.iter().any(|arg| matches!(arg, ColumnarValue::Array(_))) {
        true => Ok(ColumnarValue::Array(array)),
        false => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)),
    }
}

fn unfit(name: &str, args: &[ColumnarValue]) -> KernelError {
    let found: Vec<String> = args.iter().map(|arg| arg.data_type().to_string()).collect();
    KernelError::Arguments {
        name: name.into(),
        expected: "what it was planned for".into(),
        found: found.join(", "),
    }
}

/// The bools of an array of them; nothing of others.
fn unpacked(arg: &ColumnarValue) -> Vec<bool> {
    match arg {
        ColumnarValue::Array(array) if array.data_type() == &DataType::Boolean => {
            unpack(array.as_boolean().values())
        }
        _ => Vec::new(),
    }
}

/// What a kernel reads of an argument; `bools` are its own, unpacked.
fn view<'a>(arg: &'a ColumnarValue, bools: &'a [bool]) -> Option<View<'a>> {
    Some(match arg {
        ColumnarValue::Array(array) => match dtype_of(array.data_type())? {
            DType::Bool => bools.into(),
            DType::U8 => numbers::<UInt8Type>(array).into(),
            DType::I32 => numbers::<Int32Type>(array).into(),
            DType::I64 => numbers::<Int64Type>(array).into(),
            DType::F32 => numbers::<Float32Type>(array).into(),
            DType::F64 => numbers::<Float64Type>(array).into(),
            DType::F16 | DType::BF16 => return None,
        },
        ColumnarValue::Scalar(scalar) => match *scalar {
            ScalarValue::Boolean(Some(value)) => value.into(),
            ScalarValue::UInt8(Some(value)) => value.into(),
            ScalarValue::Int32(Some(value)) => value.into(),
            ScalarValue::Int64(Some(value)) => value.into(),
            ScalarValue::Float32(Some(value)) => value.into(),
            ScalarValue::Float64(Some(value)) => value.into(),
            _ => return None,
        },
    })
}

/// The numbers of an array of this type, those under nulls too.
pub(crate) fn numbers<T: ArrowPrimitiveType>(array: &dyn Array) -> &[T::Native] {
    array.as_primitive::<T>().values()
}

/// The output of a kernel as an array of one axis.
fn array_of(output: Tensor, nulls: Option<NullBuffer>) -> Option<ArrayRef> {
    Some(match output.dtype() {
        DType::Bool => {
            let bools = elements(output.into_bool().ok()?);
            Arc::new(BooleanArray::new(pack(&bools), nulls))
        }
        DType::U8 => primitive::<UInt8Type>(output.into_u8().ok()?, nulls),
        DType::I32 => primitive::<Int32Type>(output.into_i32().ok()?, nulls),
        DType::I64 => primitive::<Int64Type>(output.into_i64().ok()?, nulls),
        DType::F32 => primitive::<Float32Type>(output.into_f32().ok()?, nulls),
        DType::F64 => primitive::<Float64Type>(output.into_f64().ok()?, nulls),
        DType::F16 | DType::BF16 => return None,
    })
}

fn primitive<T: ArrowPrimitiveType>(
    array: ArrayD<T::Native>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(elements(array).into(), nulls))
}

/// The elements of a dense array: its own memory, not a copy.
pub(crate) fn elements<T>(array: ArrayD<T>) -> Vec<T> {
    let (elements, offset) = array.into_raw_vec_and_offset();
    debug_assert_eq!(offset.unwrap_or(0), 0, "results begin where their memory does");
    elements
}

/// One bool a bit, as one bool a byte.
fn unpack(bits: &BooleanBuffer) -> Vec<bool> {
    let mut bools = Vec::with_capacity(bits.len());
    let chunks = bits.bit_chunks();
    for chunk in chunks.iter() {
        bools.extend((0..64).map(|bit| chunk >> bit & 1 != 0));
    }
    let rest = chunks.remainder_bits();
    bools.extend((0..chunks.remainder_len()).map(|bit| rest >> bit & 1 != 0));
    bools
}

/// One bool a byte, as one bool a bit: eight at a time by one product, whose top byte gets bit `i` of
/// byte `i`, and no carries.
fn pack(bools: &[bool]) -> BooleanBuffer {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let byte = |bools: &[bool; 8]| {
        let bytes = u64::from_le_bytes(bools.map(u8::from));
        (bytes.wrapping_mul(GATHER) >> 56) as u8
    };
    let (eights, rest) = bools.as_chunks::<8>();
    let mut bits = MutableBuffer::with_capacity(bools.len().div_ceil(8));
    bits.extend(eights.iter().map(byte));
    if !rest.is_empty() {
        let mut last = [false; 8];
        last[..rest.len()].copy_from_slice(rest);
        bits.push(byte(&last));
    }
    BooleanBuffer::new(bits.into(), 0, bools.len())
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack};
    use datafusion::arrow::buffer::BooleanBuffer;

    #[test]
    fn bits_and_bytes_agree_at_any_offset_and_length() {
        let bits = BooleanBuffer::collect_bool(300, |i| i * i % 7 < 3);
        for offset in [0, 1, 7, 8, 63, 64, 65] {
            for length in [0, 1, 7, 8, 9, 63, 64, 65, 130] {
                let slice = bits.slice(offset, length);
                let bools = unpack(&slice);
                assert_eq!(bools, slice.iter().collect::<Vec<_>>());
                assert_eq!(pack(&bools), slice);
            }
        }
    }
}
