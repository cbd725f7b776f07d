//! Loads and stores of two-byte floats. Cranelift has no conversions for them, so they are spelled
//! out in integer operations, four lanes at a time, with the same bits as the hardware's.

use super::translate::{Translator, unaligned};
use crate::vir::{Storage, Type};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, types};

impl Translator<'_> {
    /// Four lanes of `f32` from eight bytes.
    pub(super) fn load_halves(
        &mut self,
        storage: Storage,
        at: ir::Value,
        offset: i32,
    ) -> ir::Value {
        let halves = self.builder.ins().uload16x4(unaligned(), at, offset);
        match storage {
            Storage::BF16 => {
                let bits = self.builder.ins().ishl_imm_u(halves, 16);
                self.cast(types::F32X4, bits)
            }
            _ => self.widen_f16(halves),
        }
    }

    /// `f16` in the lower halves of four lanes as `f32`: multiplying by 2^112 corrects the
    /// exponent's bias, and is exact even for subnormals.
    fn widen_f16(&mut self, halves: ir::Value) -> ir::Value {
        let (magnitude, sign) = (self.masked(halves, 0x7fff), self.masked(halves, 0x8000));
        let shifted = self.builder.ins().ishl_imm_u(magnitude, 13);
        let shifted = self.cast(types::F32X4, shifted);
        let scale = self.constant(Type::F32, 0x7780_0000);
        let scaled = self.builder.ins().fmul(shifted, scale);
        let scaled = self.cast(types::I32X4, scaled);
        // All exponent bits set: an infinity or a NaN in both formats.
        let largest = self.constant(Type::I32, 0x7bff);
        let special = self.builder.ins().icmp(IntCC::SignedGreaterThan, magnitude, largest);
        let exponent = self.masked(special, 0x7f80_0000);
        let bits = self.builder.ins().bor(scaled, exponent);
        let sign = self.builder.ins().ishl_imm_u(sign, 16);
        let bits = self.builder.ins().bor(bits, sign);
        self.cast(types::F32X4, bits)
    }

    /// Eight bytes from four lanes of `f32`.
    pub(super) fn store_halves(
        &mut self,
        storage: Storage,
        value: ir::Value,
        at: ir::Value,
        offset: i32,
    ) {
        let bits = self.cast(types::I32X4, value);
        let halves = match storage {
            Storage::BF16 => self.builder.ins().ushr_imm_u(bits, 16),
            _ => self.narrow_f16(bits),
        };
        let packed = self.builder.ins().unarrow(halves, halves);
        let packed = self.cast(types::I64X2, packed);
        let packed = self.builder.ins().extractlane(packed, 0);
        self.builder.ins().store(unaligned(), packed, at, offset);
    }

    /// `f32` rounded to `f16`, in the lower halves of four lanes.
    fn narrow_f16(&mut self, bits: ir::Value) -> ir::Value {
        let sign = self.masked(bits, 0x8000_0000);
        let magnitude = self.builder.ins().bxor(bits, sign);

        // Normal: correct the bias and add half a last place, less one bit if that place is even.
        let odd = self.builder.ins().ushr_imm_u(magnitude, 13);
        let odd = self.masked(odd, 1);
        let bias = self.constant(Type::I32, 0xc800_0fff);
        let raised = self.builder.ins().iadd(magnitude, bias);
        let raised = self.builder.ins().iadd(raised, odd);
        let normal = self.builder.ins().ushr_imm_u(raised, 13);

        // Subnormal: adding 0.5, whose last place is 2^-24, leaves the rounded bits at the bottom.
        let half = self.constant(Type::F32, 0x3f00_0000);
        let float = self.cast(types::F32X4, magnitude);
        let sum = self.builder.ins().fadd(float, half);
        let (sum, half) = (self.cast(types::I32X4, sum), self.constant(Type::I32, 0x3f00_0000));
        let subnormal = self.builder.ins().isub(sum, half);
        let smallest = self.constant(Type::I32, 0x3880_0000);
        let is_subnormal = self.builder.ins().icmp(IntCC::SignedLessThan, magnitude, smallest);
        let finite = self.builder.ins().bitselect(is_subnormal, subnormal, normal);

        // From 65536 on, infinity; beyond infinity, a quiet NaN.
        let largest = self.constant(Type::I32, 0x477f_ffff);
        let is_large = self.builder.ins().icmp(IntCC::SignedGreaterThan, magnitude, largest);
        let infinity = self.constant(Type::I32, 0x7f80_0000);
        let is_nan = self.builder.ins().icmp(IntCC::SignedGreaterThan, magnitude, infinity);
        let quiet = self.masked(is_nan, 0x0200);
        let infinity = self.constant(Type::I32, 0x7c00);
        let special = self.builder.ins().bor(infinity, quiet);
        let rounded = self.builder.ins().bitselect(is_large, special, finite);
        let sign = self.builder.ins().ushr_imm_u(sign, 16);
        self.builder.ins().bor(rounded, sign)
    }

    /// The bits of `value` that are set in `mask`, lane by lane.
    fn masked(&mut self, value: ir::Value, mask: u64) -> ir::Value {
        let mask = self.constant(Type::I32, mask);
        self.builder.ins().band(value, mask)
    }
}
