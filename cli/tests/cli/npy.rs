//! Arrays in files as NumPy has them, without the code under test.

use ndarray::{Array, ArrayD, Dimension};

/// An element of a file.
pub(crate) trait Element: Copy {
    const DESCR: &str;
    fn bytes(self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Self;
}

macro_rules! elements {
    ($($element:ty, $descr:literal;)*) => {$(
        impl Element for $element {
            const DESCR: &str = $descr;

            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().unwrap())
            }
        }
    )*};
}

elements! {
    f32, "<f4";
    f64, "<f8";
    u8, "|u1";
    i32, "<i4";
    i64, "<i8";
}

impl Element for bool {
    const DESCR: &str = "|b1";

    fn bytes(self) -> Vec<u8> {
        vec![self.into()]
    }

    fn from_bytes(bytes: &[u8]) -> bool {
        assert!(bytes[0] <= 1);
        bytes[0] == 1
    }
}

/// A file of format version 1.0 with this header.
pub(crate) fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len() + 1).expect("a short header");
    [&b"\x93NUMPY\x01\x00"[..], &length.to_le_bytes(), header.as_bytes(), b"\n", data].concat()
}

/// The file of an array; one in Fortran order alone is kept so.
pub(crate) fn encode<T: Element, D: Dimension>(array: &Array<T, D>) -> Vec<u8> {
    let fortran = !array.is_standard_layout();
    let elements: Vec<u8> = match fortran {
        true => array.t().iter().flat_map(|&element| element.bytes()).collect(),
        false => array.iter().flat_map(|&element| element.bytes()).collect(),
    };
    let sizes: String = array.shape().iter().map(|size| format!("{size}, ")).collect();
    let order = if fortran { "True" } else { "False" };
    let descr = T::DESCR;
    file(
        &format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({sizes}), }}"),
        &elements,
    )
}

/// The array of a file that was written in C order, its header as NumPy writes them.
pub(crate) fn decode<T: Element>(file: &[u8]) -> ArrayD<T> {
    assert!(file.starts_with(b"\x93NUMPY\x01\x00"));
    let start = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    assert_eq!(start % 64, 0, "elements begin at a multiple of 64");
    let text = std::str::from_utf8(&file[10..start]).unwrap();
    let beginning = format!("{{'descr': '{}', 'fortran_order': False, 'shape': (", T::DESCR);
    let rest = text.strip_prefix(&beginning).unwrap_or_else(|| panic!("{text}"));
    let (sizes, end) = rest.split_once(')').unwrap();
    assert!(end.starts_with(", }") && end.ends_with('\n') && end[3..].trim().is_empty(), "{text}");
    let shape: Vec<usize> = sizes
        .split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(|s| s.parse().unwrap())
        .collect();
    assert_eq!(shape.len() == 1, sizes.ends_with(','), "a tuple of one has a comma: {text}");
    let elements: Vec<T> = file[start..].chunks_exact(size_of::<T>()).map(T::from_bytes).collect();
    ArrayD::from_shape_vec(shape, elements).unwrap()
}
