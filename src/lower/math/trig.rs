//! trig: to be written.

use crate::vir::{Builder, Value};

pub(crate) fn sin(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn cos(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn tan(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}
