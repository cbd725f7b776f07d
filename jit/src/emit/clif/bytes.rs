//! Loads and stores of one-byte elements, bools and `u8`, four lanes at a time.

use super::translate::{Translator, little, unaligned};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, types};

impl Translator<'_> {
    /// Four bytes, 0 or 1, from a mask.
    pub(super) fn store_bools(&mut self, mask: ir::Value, at: ir::Value, offset: i32) {
        let halves = self.builder.ins().snarrow(mask, mask);
        let bytes = self.builder.ins().snarrow(halves, halves);
        let words = self.builder.ins().bitcast(types::I32X4, little(), bytes);
        let word = self.builder.ins().extractlane(words, 0);
        let word = self.builder.ins().band_imm_u(word, 0x0101_0101);
        self.builder.ins().store(unaligned(), word, at, offset);
    }

    /// Four bytes, the lowest of each lane.
    pub(super) fn store_bytes(&mut self, lanes: ir::Value, at: ir::Value, offset: i32) {
        let halves = self.builder.ins().unarrow(lanes, lanes);
        let bytes = self.builder.ins().unarrow(halves, halves);
        let words = self.builder.ins().bitcast(types::I32X4, little(), bytes);
        let word = self.builder.ins().extractlane(words, 0);
        self.builder.ins().store(unaligned(), word, at, offset);
    }

    /// A mask from four bytes.
    pub(super) fn load_bools(&mut self, at: ir::Value, offset: i32) -> ir::Value {
        let lanes = self.load_bytes(at, offset);
        let zero = self.vconst(types::I32X4, 0);
        self.builder.ins().icmp(IntCC::SignedGreaterThan, lanes, zero)
    }

    /// Lanes from four bytes, zero-extended.
    pub(super) fn load_bytes(&mut self, at: ir::Value, offset: i32) -> ir::Value {
        let word = self.builder.ins().load(types::I32, unaligned(), at, offset);
        let words = self.builder.ins().scalar_to_vector(types::I32X4, word);
        let bytes = self.builder.ins().bitcast(types::I8X16, little(), words);
        let halves = self.builder.ins().uwiden_low(bytes);
        self.builder.ins().uwiden_low(halves)
    }
}
