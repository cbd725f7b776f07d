//! The pool: a kernel's constants, each as a whole vector, then its tables.
//!
//! Constants are memory operands of the loop (`vfmadd213ps xmm0, xmm1, [pool + 0x40]`): they cost
//! no register and no instruction, where building them in the loop would cost both.

use crate::vir::{Table, Type};
use std::collections::HashMap;

/// Collects constants; offsets are in bytes from the pool's start.
#[derive(Default)]
pub(super) struct Pool {
    words: Vec<u128>,
    known: HashMap<u128, i32>,
}

impl Pool {
    /// The offset of a vector of `bits`, repeated in every lane of type `ty`.
    pub(super) fn splat(&mut self, ty: Type, bits: u64) -> i32 {
        let word = repeat(ty, bits);
        *self.known.entry(word).or_insert_with(|| {
            self.words.push(word);
            offset(self.words.len() - 1)
        })
    }

    /// The offset of a table's first entry.
    pub(super) fn table(&mut self, table: &Table) -> i32 {
        let at = offset(self.words.len());
        let per_word = (128 / table.ty.bits()) as usize;
        for entries in table.entries.chunks(per_word) {
            let place = |word, (i, &bits): (usize, &u64)| {
                word | u128::from(bits) << (i as u32 * table.ty.bits())
            };
            self.words.push(entries.iter().enumerate().fold(0, place));
        }
        at
    }

    /// The finished pool.
    pub(super) fn finish(self) -> Box<[u128]> {
        self.words.into_iter().map(u128::to_le).collect()
    }
}

/// `bits` in every lane of a vector.
pub(super) fn repeat(ty: Type, bits: u64) -> u128 {
    let lane = u128::from(bits);
    let pair = if ty.bits() == 32 { lane | lane << 32 } else { lane };
    pair | pair << 64
}

fn offset(word: usize) -> i32 {
    i32::try_from(word * 16).expect("a kernel's constants fit in 2 GiB")
}
