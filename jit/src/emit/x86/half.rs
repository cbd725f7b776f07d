//! Loads and stores of two-byte floats, by F16C and its AVX-512 forms; `bf16` by moving halves.

use super::isa::Isa;
use super::opcode::Opcode;
use super::program::{Form, Inst, Reg, Source};
use super::select::{Parts, Selector};
use crate::vir::{Storage, Type, Value};
use iced_x86::Code;

/// The bits of a half.
const HALF: u8 = 16;

impl Selector<'_> {
    /// Lanes of `f32` from an input of halves.
    pub(super) fn load_halves(&mut self, slot: u32, storage: Storage) -> Parts {
        let (isa, step) = (self.isa, self.isa.bytes() as i32 / 2);
        self.each(Type::F32, |s, part| {
            let from = Source::Input { slot, at: part as i32 * step };
            if storage == Storage::F16 {
                return s.vector(|def| Inst::new(Opcode::LoadF16.code(isa, 32), def, &[from]));
            }
            let low = s.vector(|def| Inst::new(Opcode::LoadWords.code(isa, 32), def, &[from]));
            s.shift_reg(Opcode::Shl, Type::I32, low, HALF)
        })
    }

    /// Halves from lanes of `f32`.
    pub(super) fn store_halves(&mut self, output: u32, value: Value, storage: Storage) {
        let isa = self.isa;
        for part in 0..self.count(Type::F32) {
            let form = Form::Store { output, at: part as i32 * isa.bytes() as i32 / 2 };
            let lanes = self.reg(value, part);
            let store = match storage {
                // To nearest even, whatever the thread's rounding mode.
                Storage::F16 => {
                    let code = Opcode::StoreF16.code(isa, 32);
                    Inst::new(code, None, &[Source::Reg(lanes)]).imm(0)
                }
                _ => {
                    let mut words = self.shift_reg(Opcode::Shr, Type::I32, lanes, HALF);
                    if isa == Isa::Avx2 {
                        words = self.pack_words(words);
                    }
                    Inst::new(Opcode::StoreWords.code(isa, 32), None, &[Source::Reg(words)])
                }
            };
            let halved = match (isa, storage) {
                (Isa::Avx2, Storage::BF16) => [0, 1, 0, 0],
                _ => [0; 4],
            };
            self.push(store.form(form).halved(halved));
        }
    }

    /// The lower words of 32-bit lanes, in the lower half of a vector. The pack works within each
    /// 128-bit half; the lower quarters of both are the result.
    fn pack_words(&mut self, lanes: Reg) -> Reg {
        let both = [Source::Reg(lanes); 2];
        let packed = self.vector(|def| Inst::new(Code::VEX_Vpackusdw_ymm_ymm_ymmm256, def, &both));
        let code = Code::VEX_Vpermq_ymm_ymmm256_imm8;
        self.vector(|def| Inst::new(code, def, &[Source::Reg(packed)]).imm(0b1000))
    }
}
