//! Operands of instructions: registers, and memory, whose address may have to be read first.

use super::super::allocate::Address;
use super::super::isa::Isa;
use super::super::program::Stripes;
use super::{CURSORS, Writer, cursor, offsets};
use crate::vir::STRIPE_BYTES;
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register};

impl Writer {
    /// Bytes of the frame that stripes take.
    pub(super) fn stripes(&self) -> i64 {
        (self.folds.len() * STRIPE_BYTES) as i64
    }

    /// Bytes of the frame that spilled values take.
    pub(super) fn spilled(&self) -> i64 {
        i64::from(self.slots) * self.isa.bytes() as i64
    }

    /// Where the address of an input without a register is kept.
    pub(super) fn kept_cursor(&self, slot: usize) -> MemoryOperand {
        let at = self.stripes() + self.spilled() + (slot - CURSORS.len()) as i64 * 8;
        MemoryOperand::with_base_displ(Register::RSP, at)
    }

    pub(super) fn vector(&self, number: u8, halved: u8) -> Register {
        let widths = [Register::ZMM0, Register::YMM0, Register::XMM0];
        let widest = usize::from(self.isa == Isa::Avx2);
        widths[widest + usize::from(halved)] + u32::from(number)
    }

    /// The operand of an address, which may have to be read first.
    pub(super) fn memory(&mut self, address: Address) -> Result<MemoryOperand, IcedError> {
        Ok(match address {
            Address::Pool { at, repeated } => MemoryOperand {
                is_broadcast: repeated,
                ..MemoryOperand::with_base_displ(Register::R8, i64::from(at))
            },
            Address::Stack(slot) => {
                let at = self.stripes() + i64::from(slot) * self.isa.bytes() as i64;
                MemoryOperand::with_base_displ(Register::RSP, at)
            }
            Address::Input { slot, at } => {
                let base = match CURSORS.get(slot as usize) {
                    Some(&register) => register,
                    None => {
                        let kept = self.kept_cursor(slot as usize);
                        self.load_word(Register::RAX, kept)?;
                        Register::RAX
                    }
                };
                MemoryOperand::with_base_displ(base, i64::from(at))
            }
            Address::Output { output, at } => {
                let base = match CURSORS.get(self.inputs + output as usize) {
                    Some(&register) => register,
                    None => {
                        let base = cursor(self.inputs + output as usize, offsets::BASE);
                        self.load_word(Register::RAX, base)?;
                        Register::RAX
                    }
                };
                let scale = self.outputs[output as usize];
                let at = i64::from(at);
                MemoryOperand::with_base_index_scale_displ_size(base, Register::R9, scale, at, 1)
            }
            Address::Stripes(Stripes { fold, at, moves }) => {
                let at = i64::from(fold) * STRIPE_BYTES as i64 + i64::from(at);
                if !moves {
                    return Ok(MemoryOperand::with_base_displ(Register::RSP, at));
                }
                let scale = self.folds[fold as usize];
                let last = STRIPE_BYTES as i32 / scale as i32 - 1;
                let [index, element] = [Register::EAX, Register::R9D];
                self.emit(Instruction::with2(Code::Mov_r32_rm32, index, element))?;
                self.emit(Instruction::with2(Code::And_rm32_imm8, index, last))?;
                let index = Register::RAX;
                MemoryOperand::with_base_index_scale_displ_size(Register::RSP, index, scale, at, 1)
            }
            Address::Result { fold } => {
                let operand = self.inputs + self.outputs.len() + fold as usize;
                self.load_word(Register::RAX, cursor(operand, offsets::BASE))?;
                MemoryOperand::with_base(Register::RAX)
            }
            Address::Gather { index, at, scale } => {
                let index = self.vector(index, 0);
                let (scale, at) = (u32::from(scale), i64::from(at));
                MemoryOperand::with_base_index_scale_displ_size(Register::R8, index, scale, at, 1)
            }
        })
    }
}
