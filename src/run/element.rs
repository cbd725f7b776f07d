//! The Rust types that are element types of Kiln.

use kiln_ir::HasDType;

/// A Rust type that is one of Kiln's element types.
pub trait Element: sealed::Sealed + HasDType + Copy + Default + Send + Sync + 'static {}

/// An [`Element`] that is a float. Code that is generic over it makes a kernel for each type.
pub trait Float: Element {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! define_elements {
    ($($rust:ty $(: $float:ident)?;)*) => {$(
        impl sealed::Sealed for $rust {}

        impl Element for $rust {}

        $(impl $float for $rust {})?
    )*};
}

define_elements! { half::f16: Float; half::bf16: Float; f32: Float; f64: Float; bool; u8; i32; i64; }
