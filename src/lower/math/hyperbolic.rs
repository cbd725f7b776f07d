//! hyperbolic: to be written.

use crate::vir::{Builder, Value};

pub(crate) fn sinh(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn cosh(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn tanh(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn sigmoid(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}
