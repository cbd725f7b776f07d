//! erf: to be written.

use crate::vir::{Builder, Value};

pub(crate) fn erf(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn erfc(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}
