//! `.npy` files: headers first, then elements; written beside their place and moved there.
//!
//! A header may come from a stranger: nothing is allocated on its word alone that the file does not
//! hold, and what cannot be allocated is an error.

use crate::failure::Failure;
use half::f16;
use kiln::ir::MAX_RANK;
use kiln::{DType, Tensor};
use ndarray::ArrayD;
use ndarray_npy::npy::header::{Header, Layout, ParseHeaderError, ReadHeaderError};
use ndarray_npy::{WriteNpyError, WriteNpyExt};
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::mem;
use std::path::{Path, PathBuf};

/// The longest header text; NumPy itself reads 10 000 bytes.
const MAX_HEADER: usize = 1 << 16;

/// The most brackets in a header: its parser is recursive.
const MAX_BRACKETS: usize = 64;

/// A file whose header has been read.
pub(crate) struct NpyFile {
    path: PathBuf,
    /// What is left of it: the elements.
    rest: File,
    dtype: DType,
    shape: Vec<usize>,
    fortran: bool,
}

impl NpyFile {
    /// Opens a file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<NpyFile, Failure> {
        let fail = |reason: String| Failure::Failed(format!("{}: {reason}", path.display()));
        let mut rest = File::open(path).map_err(|error| cannot("read", path, &error))?;
        let bytes = header_bytes(&mut rest).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => fail("not an .npy file: it ends within the header".into()),
            ErrorKind::InvalidData => fail(format!("not an .npy file: {error}")),
            _ => cannot("read", path, &error),
        })?;
        let header = Header::from_reader(&mut &bytes[..]).map_err(|error| match error {
            ReadHeaderError::Parse(ParseHeaderError::DictParse(_)) => {
                fail("not an .npy file: its header is no Python literal".into())
            }
            _ => fail(format!("not an .npy file: {error}")),
        })?;
        let dtype = match header.type_descriptor.as_string().map(String::as_str) {
            Some("<f2") => DType::F16,
            Some("<f4") => DType::F32,
            Some("<f8") => DType::F64,
            Some("|b1" | "?") => DType::Bool,
            Some("|u1") => DType::U8,
            Some("<i4") => DType::I32,
            Some("<i8") => DType::I64,
            _ => return Err(fail(unknown_dtype(&header.type_descriptor.to_string(), path))),
        };
        let shape = header.shape;
        if shape.len() > MAX_RANK {
            return Err(fail(format!("it has {} axes, over {MAX_RANK}", shape.len())));
        }
        let bytes_of = |sum: u64, &size: &usize| sum.checked_mul(size as u64);
        let Some(data) = shape.iter().try_fold(dtype.size() as u64, bytes_of) else {
            return Err(fail(format!("{dtype}{shape:?} has more bytes than can be addressed")));
        };
        if let Some(held) = rest.metadata().ok().filter(fs::Metadata::is_file) {
            let held = held.len().saturating_sub(bytes.len() as u64);
            let sizes =
                format!("{dtype}{shape:?} takes {data} bytes, {held} bytes follow the header");
            if held < data {
                return Err(fail(format!("the file is truncated: {sizes}")));
            }
            if held > data {
                return Err(fail(format!("the file is longer than its array: {sizes}")));
            }
        }
        let fortran = header.layout.is_fortran();
        Ok(NpyFile { path: path.into(), rest, dtype, shape, fortran })
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

/// Reads magic, version, length and text of a header, within bounds.
fn header_bytes(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let invalid = |reason: &str| io::Error::new(ErrorKind::InvalidData, reason.to_string());
    let mut bytes = vec![0; 8];
    file.read_exact(&mut bytes)?;
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err(invalid("it does not begin as one"));
    }
    if !(1..=3).contains(&bytes[6]) {
        return Err(invalid(&format!("its format version is {}.{}", bytes[6], bytes[7])));
    }
    let mut length = [0; 4];
    let width = if bytes[6] == 1 { 2 } else { 4 };
    file.read_exact(&mut length[..width])?;
    bytes.extend_from_slice(&length[..width]);
    let text = u32::from_le_bytes(length) as usize;
    if text > MAX_HEADER {
        return Err(invalid(&format!("its header is {text} bytes long")));
    }
    let start = bytes.len();
    bytes.resize(start + text, 0);
    file.read_exact(&mut bytes[start..])?;
    if bytes[start..].iter().filter(|byte| b"([{".contains(byte)).count() > MAX_BRACKETS {
        return Err(invalid("its header is too deep"));
    }
    Ok(bytes)
}

/// That kernels do not take this element type, and how to convert it.
fn unknown_dtype(descriptor: &str, path: &Path) -> String {
    let taken = "kernels take little-endian f16 ('<f2'), f32 ('<f4'), f64 ('<f8'), i32 ('<i4') and \
                 i64 ('<i8'), u8 ('|u1') and bool ('|b1')";
    let word = descriptor.trim_matches('\'').trim_start_matches(['<', '>', '|']);
    let to = match word {
        "f4" => "float32",
        "f8" | "f16" | "u8" => "float64",
        "i1" | "i2" | "i4" | "u2" => "int32",
        "i8" | "u4" => "int64",
        _ => return format!("its dtype is {descriptor}; {taken}"),
    };
    let path = path.display();
    format!(
        "its dtype is {descriptor}; {taken}: convert it in Python with\n  \
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

/// Writes every array, or none: all are written beside their places before any is moved there.
pub(crate) fn write_all(outputs: &[(&Path, Tensor)]) -> Result<(), Failure> {
    let staged: Vec<Staged> =
        outputs.iter().map(|(path, tensor)| stage(path, tensor)).collect::<Result<_, _>>()?;
    staged.into_iter().try_for_each(Staged::commit)
}

/// A file written beside its place; removed unless it is moved there.
struct Staged {
    written: PathBuf,
    place: PathBuf,
}

impl Staged {
    fn commit(self) -> Result<(), Failure> {
        if self.written == self.place {
            return Ok(());
        }
        fs::rename(&self.written, &self.place).map_err(|error| cannot("write", &self.place, &error))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.written != self.place {
            // After a move there is nothing to remove.
            let _ = fs::remove_file(&self.written);
        }
    }
}

fn stage(path: &Path, tensor: &Tensor) -> Result<Staged, Failure> {
    let fail = |error: io::Error| cannot("write", path, &error);
    // A link stays a link: what it points at is replaced.
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let known = fs::metadata(&place).ok();
    if known.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(fail(ErrorKind::IsADirectory.into()));
    }
    // A device or a pipe has no place to move a file to.
    let direct = known.as_ref().is_some_and(|known| !known.is_file());
    let name = place.file_name().ok_or_else(|| fail(ErrorKind::InvalidFilename.into()))?;
    let hidden = format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id());
    let written = if direct { place.clone() } else { place.with_file_name(hidden) };
    let file = if direct {
        File::options().write(true).open(&written)
    } else {
        File::create_new(&written)
    };
    let file = file.map_err(fail)?;
    let staged = Staged { written, place };
    let mut writer = BufWriter::new(&file);
    match tensor {
        Tensor::F16(array) => write_halves(array, &mut writer),
        Tensor::BF16(_) => {
            let reason =
                "NumPy has no bf16; store it as f32, which holds it exactly: f32(bf16(..))";
            return Err(Failure::Failed(format!("cannot write {}: {reason}", path.display())));
        }
        Tensor::F32(array) => array.write_npy(writer),
        Tensor::F64(array) => array.write_npy(writer),
        Tensor::Bool(array) => array.write_npy(writer),
        Tensor::U8(array) => array.write_npy(writer),
        Tensor::I32(array) => array.write_npy(writer),
        Tensor::I64(array) => array.write_npy(writer),
    }
    .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))?;
    if let Some(known) = known.filter(|_| !direct) {
        file.set_permissions(known.permissions()).map_err(fail)?;
    }
    Ok(staged)
}

/// Writes an array of `f16`, which `ndarray-npy` does not know.
fn write_halves(array: &ArrayD<f16>, writer: &mut impl Write) -> Result<(), WriteNpyError> {
    let header = Header {
        type_descriptor: "'<f2'".parse().expect("a Python literal"),
        layout: Layout::Standard,
        shape: array.shape().to_vec(),
    };
    header.write(&mut *writer)?;
    for element in array {
        writer.write_all(&element.to_le_bytes())?;
    }
    writer.flush()?;
    Ok(())
}

fn cannot(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot {action} {}: {error}", path.display()))
}
