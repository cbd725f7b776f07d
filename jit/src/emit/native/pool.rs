//! The pool: a kernel's constants, then its tables.
//!
//! Constants are memory operands in the loop (`vfmadd213ps xmm0, xmm1, [pool + 0x40]`) or are
//! loaded into registers before it: building them in the loop would cost instructions. Where the
//! machine can broadcast a scalar as it reads it (AVX-512), the pool holds only the scalar.

use crate::vir::{Table, Type};
use std::collections::HashMap;

/// A cache line: no constant straddles two.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(in crate::emit) struct Line(pub(in crate::emit) [u8; 64]);

/// Collects constants; offsets are in bytes from the pool's start.
pub(in crate::emit) struct Pool {
    bytes: Vec<u8>,
    known: HashMap<(u64, usize), i32>,
    /// Bytes of a vector, or `None` to hold each constant once.
    vector: Option<usize>,
}

impl Pool {
    /// A pool that repeats constants to fill vectors of this many bytes.
    pub(in crate::emit) fn of_vectors(bytes: usize) -> Pool {
        Pool { bytes: Vec::new(), known: HashMap::new(), vector: Some(bytes) }
    }

    /// The offset of a constant of type `ty`.
    pub(in crate::emit) fn splat(&mut self, ty: Type, bits: u64) -> i32 {
        let lane = ty.bits() as usize / 8;
        let size = self.vector.unwrap_or(lane);
        // Equal bytes are one constant, whatever the type.
        let pattern = if lane == 4 && self.vector.is_some() { bits | bits << 32 } else { bits };
        let key = (pattern, if self.vector.is_some() { 8 } else { lane });
        if let Some(&at) = self.known.get(&key) {
            return at;
        }
        let at = self.align(size);
        for _ in 0..size / lane {
            self.bytes.extend_from_slice(&bits.to_le_bytes()[..lane]);
        }
        self.known.insert(key, at);
        at
    }

    /// The offset of a table's first entry.
    pub(in crate::emit) fn table(&mut self, table: &Table) -> i32 {
        let at = self.align(64);
        let lane = table.ty.bits() as usize / 8;
        for entry in &table.entries {
            self.bytes.extend_from_slice(&entry.to_le_bytes()[..lane]);
        }
        at
    }

    fn align(&mut self, to: usize) -> i32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
        i32::try_from(self.bytes.len()).expect("a kernel's constants fit in 2 GiB")
    }

    /// The finished pool.
    pub(in crate::emit) fn finish(self) -> Box<[Line]> {
        let line = |chunk: &[u8]| {
            let mut line = Line([0; 64]);
            line.0[..chunk.len()].copy_from_slice(chunk);
            line
        };
        self.bytes.chunks(64).map(line).collect()
    }
}

/// What Cranelift's code has no use for.
#[cfg(feature = "x86")]
impl Pool {
    /// A pool of scalars.
    pub(in crate::emit) fn of_scalars() -> Pool {
        Pool { bytes: Vec::new(), known: HashMap::new(), vector: None }
    }

    /// The offset of a vector of bytes 1: bools that are all true.
    pub(in crate::emit) fn bytes_of_one(&mut self) -> i32 {
        let ones = 0x0101_0101_0101_0101;
        match self.vector {
            Some(_) => self.splat(Type::I64, ones),
            None => *self.known.entry((ones, 16)).or_insert_with(|| {
                self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
                let at = self.bytes.len() as i32;
                self.bytes.extend_from_slice(&[1; 16]);
                at
            }),
        }
    }

    /// The offset of consecutive integers of type `ty`, at most a vector of them.
    pub(in crate::emit) fn sequence(&mut self, ty: Type, integers: std::ops::Range<u64>) -> i32 {
        let at = self.align(64);
        for integer in integers {
            self.bytes.extend_from_slice(&integer.to_le_bytes()[..ty.bits() as usize / 8]);
        }
        at
    }
}
