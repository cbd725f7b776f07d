//! inverse_trig: to be written.

use crate::vir::{Builder, Value};

pub(crate) fn asin(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn acos(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn atan(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn atan2(_b: &mut Builder, _x: Value, _y: Value) -> Value {
    unimplemented!()
}
