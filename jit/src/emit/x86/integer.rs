//! Integers: bytes in memory, changes of width, and the products that AVX2 lacks.

use super::isa::Isa;
use super::opcode::Opcode;
use super::program::{Form, Inst, Reg, Source};
use super::select::{Parts, Selector};
use crate::vir::{Type, Value};
use iced_x86::Code;

/// Half of a 64-bit lane.
const HALF: u8 = 32;

impl Selector<'_> {
    /// 32-bit lanes from one byte each, zero-extended.
    pub(super) fn load_bytes(&mut self, slot: u32) -> Parts {
        let (isa, step) = (self.isa, self.isa.bytes() as i32 / 4);
        self.each(Type::I32, |s, part| {
            let from = Source::Input { slot, at: part as i32 * step };
            s.vector(|def| Inst::new(Opcode::LoadBytes.code(isa, 32), def, &[from]))
        })
    }

    /// The lowest byte of each 32-bit lane, where the other bytes are zero.
    pub(super) fn store_bytes(&mut self, output: u32, value: Value) {
        let isa = self.isa;
        for part in 0..self.count(Type::I32) {
            let form = Form::Store { output, at: part as i32 * isa.bytes() as i32 / 4 };
            let lanes = self.reg(value, part);
            let store = match isa {
                Isa::Avx512 => {
                    let code = Code::EVEX_Vpmovdb_xmmm128_k1z_zmm;
                    Inst::new(code, None, &[Source::Reg(lanes)])
                }
                Isa::Avx2 => {
                    let upper = self.upper_half(lanes);
                    let words = self.packed(Code::VEX_Vpackusdw_xmm_xmm_xmmm128, lanes, upper);
                    let bytes = self.packed(Code::VEX_Vpackuswb_xmm_xmm_xmmm128, words, words);
                    let code = Opcode::StoreBytes.code(isa, 32);
                    Inst::new(code, None, &[Source::Reg(bytes)]).halved([1, 1, 0, 0])
                }
            };
            self.push(store.form(form));
        }
    }

    fn packed(&mut self, code: Code, low: Reg, high: Reg) -> Reg {
        let both = [low, high].map(Source::Reg);
        self.vector(|def| Inst::new(code, def, &both).halved([1, 1, 1, 0]))
    }

    /// 64-bit lanes from 32-bit ones, sign-extended.
    pub(super) fn widen_int(&mut self, a: Value) -> Parts {
        if self.isa == Isa::Avx2 {
            // With AVX2 a mask is an integer, 0 or -1.
            return self.widen(a);
        }
        let code = Code::EVEX_Vpmovsxdq_zmm_k1z_ymmm256;
        self.halves(a, |s, half| {
            s.vector(|def| Inst::new(code, def, &[Source::Reg(half)]).halved([0, 1, 0, 0]))
        })
    }

    /// The lower halves of 64-bit lanes.
    pub(super) fn narrow_int(&mut self, a: Value) -> Parts {
        if self.isa == Isa::Avx2 {
            return self.narrow(a);
        }
        self.each(Type::I32, |s, part| {
            let halves = [2 * part, 2 * part + 1].map(|part| {
                let from = Source::Reg(s.reg(a, part));
                let code = Code::EVEX_Vpmovqd_ymmm256_k1z_zmm;
                Source::Reg(s.vector(|def| Inst::new(code, def, &[from]).halved([1, 0, 0, 0])))
            });
            let code = Opcode::JoinHalves.code(s.isa, 32);
            s.vector(|def| Inst::new(code, def, &halves).halved([0, 0, 1, 0]).imm(1))
        })
    }

    /// 64-bit products for AVX2, from products of 32-bit halves; that of both upper halves falls
    /// outside the lane.
    pub(super) fn wide_mul(&mut self, a: Value, b: Value) -> Parts {
        let ty = Type::I64;
        self.each(ty, |s, part| {
            let (a, b) = (s.reg(a, part), s.reg(b, part));
            let (a_high, b_high) =
                (s.shift_reg(Opcode::Shr, ty, a, HALF), s.shift_reg(Opcode::Shr, ty, b, HALF));
            let left = s.two(Opcode::HalfMul, ty, a_high, Source::Reg(b));
            let right = s.two(Opcode::HalfMul, ty, b_high, Source::Reg(a));
            let high = s.two(Opcode::IntAdd, ty, left, Source::Reg(right));
            let high = s.shift_reg(Opcode::Shl, ty, high, HALF);
            let low = s.two(Opcode::HalfMul, ty, a, Source::Reg(b));
            s.two(Opcode::IntAdd, ty, low, Source::Reg(high))
        })
    }
}
