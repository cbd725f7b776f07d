//! Arrays in `.npy` files, pipes and `.npz` archives: headers first, then elements.
//!
//! A header may come from a stranger: nothing is allocated on its word alone that the file does not
//! hold, and what cannot be allocated is an error.

mod archive;
mod dtype;
mod header;
mod write;

use crate::failure::Failure;
use crate::progress::Progress;
use dtype::{encoding, unknown};
use half::f16;
use header::Header;
use kiln::ir::MAX_RANK;
use kiln::{DType, Tensor};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::mem;
use std::path::Path;
use std::rc::Rc;

pub(crate) use archive::{Archive, write_archive};
pub(crate) use dtype::check_type;
pub(crate) use write::write;

/// How many bytes behind the array of a pipe are counted.
const MAX_REST: u64 = 1 << 24;

/// An array whose header has been read.
pub(crate) struct StoredArray {
    /// Where it is, for messages.
    place: String,
    rest: Rest,
    /// Whether the number of bytes was known, and is right.
    measured: bool,
    dtype: DType,
    big_endian: bool,
    shape: Vec<usize>,
    fortran: bool,
}

/// Where the elements come from.
enum Rest {
    /// What is left of a file or pipe.
    Stream(Box<dyn Read>),
    /// An entry, to be read anew behind so many bytes.
    Entry(Rc<Archive>, usize, u64),
}

impl StoredArray {
    /// Opens an `.npy` file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<StoredArray, Failure> {
        let place = path.display().to_string();
        let file = File::open(path).map_err(|error| cannot_read(&place, &error))?;
        let length = file.metadata().ok().filter(|known| known.is_file()).map(|known| known.len());
        StoredArray::stream(place, file, length, true)
    }

    /// Reads the header of an array on standard input.
    pub(crate) fn stdin() -> Result<StoredArray, Failure> {
        StoredArray::stream("standard input".into(), io::stdin(), None, false)
    }

    /// Reads the header of an array of an archive.
    pub(crate) fn entry(archive: &Rc<Archive>, index: usize) -> Result<StoredArray, Failure> {
        let place = archive.place(index);
        let bytes = archive.bytes(index);
        let mut bytes = bytes.map_err(|error| cannot_read(&place, &error))?;
        let header = read_header(&place, &mut bytes)?;
        let rest = Rest::Entry(archive.clone(), index, header.1);
        StoredArray::new(place, header, rest, Some(archive.length(index)), false)
    }

    fn stream(
        place: String,
        mut stream: impl Read + 'static,
        length: Option<u64>,
        is_file: bool,
    ) -> Result<StoredArray, Failure> {
        let header = read_header(&place, &mut stream)?;
        StoredArray::new(place, header, Rest::Stream(Box::new(stream)), length, is_file)
    }

    /// Checks a header against the number of bytes that there are, if that is known.
    fn new(
        place: String,
        (header, read): (Header, u64),
        rest: Rest,
        length: Option<u64>,
        is_file: bool,
    ) -> Result<StoredArray, Failure> {
        let fail = |reason: String| Err(Failure::Failed(format!("{place}: {reason}")));
        let Some(encoding) = encoding(&header.descr) else {
            return fail(unknown(&header.descr, is_file.then_some(&place)));
        };
        let (dtype, shape) = (encoding.dtype, header.shape);
        if shape.len() > MAX_RANK {
            return fail(format!("it has {} axes, over {MAX_RANK}", shape.len()));
        }
        let bytes_of = |sum: u64, &size: &usize| sum.checked_mul(size as u64);
        let Some(data) = shape.iter().try_fold(dtype.size() as u64, bytes_of) else {
            return fail(format!("{dtype}{shape:?} has more bytes than can be addressed"));
        };
        if let Some(length) = length {
            let held = length.saturating_sub(read);
            let sizes =
                format!("{dtype}{shape:?} takes {data} bytes, {held} bytes follow the header");
            if held < data {
                return fail(format!("the file is truncated: {sizes}"));
            }
            if held > data {
                return fail(format!("the file is longer than its array: {sizes}"));
            }
        }
        let (measured, fortran) = (length.is_some(), header.fortran_order);
        let big_endian = encoding.big_endian;
        Ok(StoredArray { place, rest, measured, dtype, big_endian, shape, fortran })
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Bytes of its elements.
    pub(crate) fn bytes(&self) -> u64 {
        self.shape.iter().map(|&size| size as u64).product::<u64>() * self.dtype.size() as u64
    }

    /// Reads the elements. An array in Fortran order stays so.
    pub(crate) fn read(mut self, progress: &Progress) -> Result<Tensor, Failure> {
        if self.fortran {
            self.shape.reverse();
        }
        let zeros = Tensor::zeros(self.dtype, &self.shape);
        let mut tensor =
            zeros.map_err(|error| Failure::Failed(format!("{}: {error}", self.place)))?;
        let (place, measured) = (&self.place, self.measured);
        match self.rest {
            Rest::Stream(stream) => {
                let stream = progress.watch(stream);
                read_elements(place, measured, self.big_endian, &mut tensor, stream)?;
            }
            Rest::Entry(archive, index, header) => {
                let cannot = |error| cannot_read(place, &error);
                let mut bytes = archive.bytes(index).map_err(cannot)?;
                io::copy(&mut (&mut bytes).take(header), &mut io::sink()).map_err(cannot)?;
                let bytes = progress.watch(bytes);
                read_elements(place, measured, self.big_endian, &mut tensor, bytes)?;
            }
        }
        if self.fortran {
            reverse_axes(&mut tensor);
        }
        Ok(tensor)
    }
}

/// Reads a header, and tells how many bytes that was.
fn read_header(place: &str, stream: &mut impl Read) -> Result<(Header, u64), Failure> {
    let wrong = |reason: &dyn std::fmt::Display| {
        Failure::Failed(format!("{place}: not an .npy file: {reason}"))
    };
    Header::read(stream).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => wrong(&"it ends within the header"),
        ErrorKind::InvalidData => wrong(&error),
        _ => cannot_read(place, &error),
    })
}

/// Fills an array with what `rest` holds.
fn read_elements(
    place: &str,
    measured: bool,
    big_endian: bool,
    tensor: &mut Tensor,
    mut rest: impl Read,
) -> Result<(), Failure> {
    let fail = |reason: String| Failure::Failed(format!("{place}: {reason}"));
    fill_tensor(tensor, &mut rest, big_endian).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => fail("the file is truncated".into()),
        ErrorKind::InvalidData => fail(error.to_string()),
        _ => cannot_read(place, &error),
    })?;
    if !measured {
        // Only its end tells how long a pipe is.
        let more = io::copy(&mut rest.take(MAX_REST), &mut io::sink());
        let more = more.map_err(|error| cannot_read(place, &error))?;
        if more > 0 {
            let least = if more == MAX_REST { "at least " } else { "" };
            return Err(fail(format!("{least}{more} bytes follow its array")));
        }
    }
    Ok(())
}

fn fill_tensor(tensor: &mut Tensor, rest: &mut impl Read, big_endian: bool) -> io::Result<()> {
    match tensor {
        Tensor::F16(array) => {
            fill(array.as_slice_mut(), rest, big_endian, |bytes| Some(f16::from_le_bytes(bytes)))
        }
        Tensor::BF16(_) => unreachable!("no header says bf16"),
        Tensor::F32(array) => {
            fill(array.as_slice_mut(), rest, big_endian, |bytes| Some(f32::from_le_bytes(bytes)))
        }
        Tensor::F64(array) => {
            fill(array.as_slice_mut(), rest, big_endian, |bytes| Some(f64::from_le_bytes(bytes)))
        }
        Tensor::Bool(array) => {
            fill(array.as_slice_mut(), rest, false, |[byte]| (byte <= 1).then_some(byte == 1))
        }
        Tensor::U8(array) => fill(array.as_slice_mut(), rest, false, |[byte]| Some(byte)),
        Tensor::I32(array) => {
            fill(array.as_slice_mut(), rest, big_endian, |bytes| Some(i32::from_le_bytes(bytes)))
        }
        Tensor::I64(array) => {
            fill(array.as_slice_mut(), rest, big_endian, |bytes| Some(i64::from_le_bytes(bytes)))
        }
    }
}

/// Reads elements of `N` bytes; `read` takes them in little-endian order.
fn fill<T, const N: usize>(
    elements: Option<&mut [T]>,
    file: &mut impl Read,
    big_endian: bool,
    read: impl Fn([u8; N]) -> Option<T>,
) -> io::Result<()> {
    let no_bool = || io::Error::new(ErrorKind::InvalidData, "a bool in it is neither 0 nor 1");
    let mut buffer = [0; 1 << 15];
    for elements in elements.expect("made in row-major order").chunks_mut(buffer.len() / N) {
        let bytes = &mut buffer[..elements.len() * N];
        file.read_exact(bytes)?;
        for (element, &bytes) in elements.iter_mut().zip(bytes.as_chunks().0) {
            let mut bytes: [u8; N] = bytes;
            if big_endian {
                bytes.reverse();
            }
            *element = read(bytes).ok_or_else(no_bool)?;
        }
    }
    Ok(())
}

fn reverse_axes(tensor: &mut Tensor) {
    match tensor {
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

fn cannot_read(place: &str, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot read {place}: {error}"))
}
