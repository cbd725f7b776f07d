//! Replaces machine code in builds without an emitter of it: there is none to call.

use super::code::{Cursor, Rows};

/// A routine in machine code.
#[derive(Debug)]
pub(super) enum Native {}

impl Native {
    pub(super) fn bytes(&self) -> &[u8] {
        match *self {}
    }

    pub(super) unsafe fn call(&self, _: Rows, _: usize, _: &mut [Cursor]) {
        match *self {}
    }

    pub(super) unsafe fn call_streaming(&self, _: Rows, _: usize, _: &mut [Cursor]) {
        match *self {}
    }
}
