//! exp: to be written.

use crate::vir::{Builder, Value};

pub(crate) fn exp(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn exp2(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn expm1(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}
