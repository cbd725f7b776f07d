//! root: to be written.

use crate::vir::{Builder, Value};

pub(crate) fn rsqrt(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn cbrt(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn hypot(_b: &mut Builder, _x: Value, _y: Value) -> Value {
    unimplemented!()
}
