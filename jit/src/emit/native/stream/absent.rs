//! Replaces streaming twins in builds without the x86 emitters, whose decoder they need: every store
//! goes through the caches, and writes the same bits.

use super::launch::Launch;

/// Machine code that streams.
#[derive(Debug)]
pub(super) enum Streaming {}

impl Streaming {
    pub(super) fn new(_: &[u8]) -> Option<Streaming> {
        None
    }

    pub(super) unsafe fn call(&self, _: &mut Launch) {
        match *self {}
    }
}
