//! `.npy` files: headers first, then elements.
//!
//! A header may come from a stranger: nothing is allocated on its word alone that the file does not
//! hold, and what cannot be allocated is an error.

mod header;

use crate::failure::Failure;
use half::f16;
use header::{Descr, Header};
use kiln::ir::MAX_RANK;
use kiln::{DType, Tensor};
use ndarray::ArrayD;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::path::{Path, PathBuf};

/// How many bytes behind the array of a pipe are counted.
const MAX_REST: u64 = 1 << 24;

/// A file whose header has been read.
pub(crate) struct NpyFile {
    path: PathBuf,
    /// What is left of it: the elements.
    rest: File,
    /// Whether the file's length was known, and is right.
    measured: bool,
    dtype: DType,
    shape: Vec<usize>,
    fortran: bool,
}

impl NpyFile {
    /// Opens a file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<NpyFile, Failure> {
        let fail = |reason: String| Failure::Failed(format!("{}: {reason}", path.display()));
        let mut rest = File::open(path).map_err(|error| cannot("read", path, &error))?;
        let (header, length) = Header::read(&mut rest).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => fail("not an .npy file: it ends within the header".into()),
            ErrorKind::InvalidData => fail(format!("not an .npy file: {error}")),
            _ => cannot("read", path, &error),
        })?;
        let Some(dtype) = dtype(&header.descr) else {
            return Err(fail(unknown_dtype(&header.descr, path)));
        };
        let shape = header.shape;
        if shape.len() > MAX_RANK {
            return Err(fail(format!("it has {} axes, over {MAX_RANK}", shape.len())));
        }
        let bytes_of = |sum: u64, &size: &usize| sum.checked_mul(size as u64);
        let Some(data) = shape.iter().try_fold(dtype.size() as u64, bytes_of) else {
            return Err(fail(format!("{dtype}{shape:?} has more bytes than can be addressed")));
        };
        let known = rest.metadata().ok().filter(fs::Metadata::is_file);
        if let Some(known) = &known {
            let held = known.len().saturating_sub(length);
            let sizes =
                format!("{dtype}{shape:?} takes {data} bytes, {held} bytes follow the header");
            if held < data {
                return Err(fail(format!("the file is truncated: {sizes}")));
            }
            if held > data {
                return Err(fail(format!("the file is longer than its array: {sizes}")));
            }
        }
        let (measured, fortran) = (known.is_some(), header.fortran_order);
        Ok(NpyFile { path: path.into(), rest, measured, dtype, shape, fortran })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Reads the elements. An array in Fortran order stays so.
    pub(crate) fn read(mut self) -> Result<Tensor, Failure> {
        let fail = |reason: String| Failure::Failed(format!("{}: {reason}", self.path.display()));
        if self.fortran {
            self.shape.reverse();
        }
        let mut tensor = Tensor::zeros(self.dtype, &self.shape).map_err(|e| fail(e.to_string()))?;
        let rest = &mut self.rest;
        let done = match &mut tensor {
            Tensor::F16(array) => {
                fill(array.as_slice_mut(), rest, |bytes| Some(f16::from_le_bytes(bytes)))
            }
            Tensor::BF16(_) => unreachable!("no header says bf16"),
            Tensor::F32(array) => {
                fill(array.as_slice_mut(), rest, |bytes| Some(f32::from_le_bytes(bytes)))
            }
            Tensor::F64(array) => {
                fill(array.as_slice_mut(), rest, |bytes| Some(f64::from_le_bytes(bytes)))
            }
            Tensor::Bool(array) => {
                fill(array.as_slice_mut(), rest, |[byte]| (byte <= 1).then_some(byte == 1))
            }
            Tensor::U8(array) => fill(array.as_slice_mut(), rest, |[byte]| Some(byte)),
            Tensor::I32(array) => {
                fill(array.as_slice_mut(), rest, |bytes| Some(i32::from_le_bytes(bytes)))
            }
            Tensor::I64(array) => {
                fill(array.as_slice_mut(), rest, |bytes| Some(i64::from_le_bytes(bytes)))
            }
        };
        done.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => fail("the file is truncated".into()),
            ErrorKind::InvalidData => fail("a bool in the file is neither 0 nor 1".into()),
            _ => cannot("read", &self.path, &error),
        })?;
        if !self.measured {
            // Only its end tells how long a pipe is.
            let more = io::copy(&mut rest.take(MAX_REST), &mut io::sink());
            let more = more.map_err(|error| cannot("read", &self.path, &error))?;
            if more > 0 {
                let least = if more == MAX_REST { "at least " } else { "" };
                return Err(fail(format!("{least}{more} bytes follow its array")));
            }
        }
        if self.fortran {
            match &mut tensor {
                Tensor::F16(array) => *array = mem::take(array).reversed_axes(),
                Tensor::BF16(array) => *array = mem::take(array).reversed_axes(),
                Tensor::F32(array) => *array = mem::take(array).reversed_axes(),
                Tensor::F64(array) => *array = mem::take(array).reversed_axes(),
                Tensor::Bool(array) => *array = mem::take(array).reversed_axes(),
                Tensor::U8(array) => *array = mem::take(array).reversed_axes(),
                Tensor::I32(array) => *array = mem::take(array).reversed_axes(),
                Tensor::I64(array) => *array = mem::take(array).reversed_axes(),
            }
        }
        Ok(tensor)
    }
}

/// The type of elements as kernels take them.
fn dtype(descr: &Descr) -> Option<DType> {
    let Descr::Name(name) = descr else { return None };
    Some(match &name[..] {
        "<f2" => DType::F16,
        "<f4" => DType::F32,
        "<f8" => DType::F64,
        "|b1" | "?" => DType::Bool,
        "|u1" => DType::U8,
        "<i4" => DType::I32,
        "<i8" => DType::I64,
        _ => return None,
    })
}

/// How NumPy names a type; it has no bf16.
fn descr(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F16 => "<f2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::Bool => "|b1",
        DType::U8 => "|u1",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::BF16 => return None,
    })
}

/// That kernels do not take this element type, and how to convert it.
fn unknown_dtype(descr: &Descr, path: &Path) -> String {
    let taken = "kernels take little-endian f16 ('<f2'), f32 ('<f4'), f64 ('<f8'), i32 ('<i4') and \
                 i64 ('<i8'), u8 ('|u1') and bool ('|b1')";
    let word = match descr {
        Descr::Name(name) => name.trim_start_matches(['<', '>', '|']),
        Descr::Other(_) => "",
    };
    let to = match word {
        "f4" => "float32",
        "f8" | "f16" | "u8" => "float64",
        "i1" | "i2" | "i4" | "u2" => "int32",
        "i8" | "u4" => "int64",
        _ => return format!("its dtype is {descr}; {taken}"),
    };
    let path = path.display();
    format!(
        "its dtype is {descr}; {taken}: convert it in Python with\n  \
         np.save(\"{path}\", np.load(\"{path}\").astype(np.{to}))"
    )
}

/// Reads little-endian elements of `N` bytes.
fn fill<T, const N: usize>(
    elements: Option<&mut [T]>,
    file: &mut impl Read,
    read: impl Fn([u8; N]) -> Option<T>,
) -> io::Result<()> {
    let mut buffer = [0; 1 << 15];
    for elements in elements.expect("made in row-major order").chunks_mut(buffer.len() / N) {
        let bytes = &mut buffer[..elements.len() * N];
        file.read_exact(bytes)?;
        for (element, &bytes) in elements.iter_mut().zip(bytes.as_chunks().0) {
            *element = read(bytes).ok_or(ErrorKind::InvalidData)?;
        }
    }
    Ok(())
}

/// Checks that a file can hold elements of this type.
pub(crate) fn check_type(dtype: DType) -> Result<(), String> {
    match descr(dtype) {
        Some(_) => Ok(()),
        None => {
            Err("NumPy has no bf16; store it as f32, which holds it exactly: f32(bf16(..))".into())
        }
    }
}

/// Writes a header and the elements in C order.
///
/// # Panics
///
/// If [`check_type`] refuses its type.
pub(crate) fn write(tensor: &Tensor, file: &mut impl Write) -> io::Result<()> {
    let descr = descr(tensor.dtype()).expect("a type that NumPy has");
    file.write_all(&Header::bytes(descr, tensor.shape()))?;
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

/// Writes little-endian elements of `N` bytes.
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

fn cannot(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot {action} {}: {error}", path.display()))
}
