//! Lanes picked from two vectors.

use super::translate::{Parts, Translator};
use cranelift_codegen::ir::{self, ConstantData, InstBuilder, types};

impl Translator<'_> {
    /// The upper two of four lanes, moved down.
    pub(super) fn high_half(&mut self, a: ir::Value) -> ir::Value {
        let ty = self.builder.func.dfg.value_type(a);
        self.shuffle32(ty, [a, a], [2, 3, 2, 3])
    }

    /// One vector of picked lanes for every two.
    pub(super) fn join_pairs(
        &mut self,
        ty: ir::Type,
        parts: &[ir::Value],
        picks: [u8; 4],
    ) -> Parts {
        let pairs = parts.chunks_exact(2);
        pairs.map(|pair| self.shuffle32(ty, [pair[0], pair[1]], picks)).collect()
    }

    /// Picks 32-bit lanes, 0 to 3 of the first vector and 4 to 7 of the second.
    fn shuffle32(&mut self, ty: ir::Type, [a, b]: [ir::Value; 2], picks: [u8; 4]) -> ir::Value {
        let bytes: Vec<u8> =
            picks.iter().flat_map(|&lane| (0..4).map(move |byte| lane * 4 + byte)).collect();
        let picks = self.builder.func.dfg.immediates.push(ConstantData::from(bytes));
        let (a, b) = (self.cast(types::I8X16, a), self.cast(types::I8X16, b));
        let picked = self.builder.ins().shuffle(a, b, picks);
        self.cast(ty, picked)
    }
}
