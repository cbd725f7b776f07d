//! inverse_hyperbolic: to be written.

use crate::vir::{Builder, Value};

pub(crate) fn asinh(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn acosh(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn atanh(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}
