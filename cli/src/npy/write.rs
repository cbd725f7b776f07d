//! Arrays written as NumPy writes them: little-endian, in C order.

use super::dtype::descr;
use super::header::Header;
use kiln::Tensor;
use ndarray::ArrayD;
use std::io::{self, Write};

/// Writes a header and the elements.
///
/// # Panics
///
/// If [`check_type`](super::check_type) refuses its type.
pub(crate) fn write(tensor: &Tensor, file: &mut impl Write) -> io::Result<()> {
    let descr = descr(tensor.dtype()).expect("a type that NumPy has");
    file.write_all(&Header::bytes(&descr, tensor.shape()))?;
    match tensor {
        Tensor::F16(array) => pour(array, file, |value| value.to_le_bytes()),
        Tensor::BF16(array) => pour(array, file, |value| value.to_le_bytes()),
        Tensor::F32(array) => pour(array, file, |value| value.to_le_bytes()),
        Tensor::F64(array) => pour(array, file, |value| value.to_le_bytes()),
        Tensor::Bool(array) => pour(array, file, |value| [u8::from(value)]),
        Tensor::U8(array) => pour(array, file, |value| [value]),
        Tensor::I32(array) => pour(array, file, |value| value.to_le_bytes()),
        Tensor::I64(array) => pour(array, file, |value| value.to_le_bytes()),
    }
}

/// Writes elements of `N` bytes.
fn pour<T: Copy, const N: usize>(
    array: &ArrayD<T>,
    file: &mut impl Write,
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    let array = array.as_standard_layout();
    let elements = array.as_slice().expect("in row-major order");
    let mut buffer = [0; 1 << 15];
    for elements in elements.chunks(buffer.len() / N) {
        let room = &mut buffer[..elements.len() * N];
        for (room, &element) in room.as_chunks_mut().0.iter_mut().zip(elements) {
            *room = bytes(element);
        }
        file.write_all(room)?;
    }
    Ok(())
}
