//! Element types, as NumPy names them.

use super::header::Descr;
use kiln::DType;

/// Each type that kernels take, and its letters in a header. NumPy has no bf16.
const NAMES: [(DType, &str); 7] = [
    (DType::F16, "f2"),
    (DType::F32, "f4"),
    (DType::F64, "f8"),
    (DType::I32, "i4"),
    (DType::I64, "i8"),
    (DType::U8, "u1"),
    (DType::Bool, "b1"),
];

/// How elements are stored.
#[derive(Clone, Copy)]
pub(super) struct Encoding {
    pub(super) dtype: DType,
    /// Whether the bytes of an element are to be reversed.
    pub(super) big_endian: bool,
}

/// How a header says elements are stored; `None` if kernels take no such type.
pub(super) fn encoding(descr: &Descr) -> Option<Encoding> {
    let Descr::Name(name) = descr else { return None };
    if name == "?" {
        return Some(Encoding { dtype: DType::Bool, big_endian: false });
    }
    let (order, letters) = name.split_at_checked(1)?;
    let &(dtype, _) = NAMES.iter().find(|(_, known)| *known == letters)?;
    let big_endian = match order {
        "<" => false,
        ">" => true,
        // A single byte has no order.
        "|" if dtype.size() == 1 => false,
        _ => return None,
    };
    Some(Encoding { dtype, big_endian })
}

/// What a header that we write says.
pub(super) fn descr(dtype: DType) -> Option<String> {
    let (_, letters) = NAMES.iter().find(|(known, _)| *known == dtype)?;
    let order = if dtype.size() == 1 { '|' } else { '<' };
    Some(format!("{order}{letters}"))
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

/// That kernels do not take this element type, and how to convert it. `file` is one that Python can
/// load and save.
pub(super) fn unknown(descr: &Descr, file: Option<&str>) -> String {
    let names = NAMES.map(|(dtype, letters)| format!("{dtype} ('{letters}')"));
    let (last, rest) = names.split_last().expect("there are types");
    let taken = format!("kernels take {} and {last}", rest.join(", "));
    let word = match descr {
        Descr::Name(name) => name.trim_start_matches(['<', '>', '|']),
        Descr::Other(_) => "",
    };
    let to = match word {
        "f16" | "u8" => "float64",
        "i1" | "i2" | "u2" => "int32",
        "u4" => "int64",
        _ => return format!("its dtype is {descr}; {taken}"),
    };
    let code = match file {
        Some(file) => format!("np.save(\"{file}\", np.load(\"{file}\").astype(np.{to}))"),
        None => format!("array.astype(np.{to})"),
    };
    format!("its dtype is {descr}; {taken}: convert it in Python with\n  {code}")
}
