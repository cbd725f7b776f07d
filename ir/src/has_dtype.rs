//! Rust types that are element types.

use crate::dtype::DType;
use crate::expr::{Expr, IntoExpr};

/// A Rust type whose values are elements of arrays.
///
/// A value is also a number in an expression, where it takes the type of what it meets, as a literal
/// does.
pub trait HasDType: IntoExpr + Into<Expr> {
    /// The element type.
    const DTYPE: DType;
}

macro_rules! define_dtypes {
    ($($rust:ty: $dtype:ident;)*) => {$(
        impl HasDType for $rust {
            const DTYPE: DType = DType::$dtype;
        }
    )*};
}

define_dtypes! {
    half::f16: F16;
    half::bf16: BF16;
    f32: F32;
    f64: F64;
    bool: Bool;
    u8: U8;
    i32: I32;
    i64: I64;
}
