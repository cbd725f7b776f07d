//! log: to be written.

use crate::vir::{Builder, Value};

pub(crate) fn log(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn log2(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn log10(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}

pub(crate) fn log1p(_b: &mut Builder, _x: Value) -> Value {
    unimplemented!()
}
