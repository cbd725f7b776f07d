//! Operands of instructions: registers, and memory, whose address may have to be read first.

use super::super::allocate::Address;
use super::super::isa::Isa;
use super::super::program::Stripes;
use super::bound::{At, Held};
use super::{CURSORS, Writer};
use crate::emit::code::MOST_ROWS;
use crate::vir::STRIPE_BYTES;
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register};

/// Most bytes of a number of a row.
const NUMBER: usize = 8;

/// A word of the frame, where there are tiles of rows.
#[derive(Clone, Copy)]
pub(super) enum Word {
    /// Which row of the tile is the current one.
    Row,
    /// How many rows the tile has.
    Rows,
}

impl Word {
    /// How many there are.
    pub(super) const COUNT: usize = 2;
}

impl Writer<'_> {
    /// Bytes of the frame that stripes take.
    pub(super) fn stripes(&self) -> i64 {
        (self.folds * STRIPE_BYTES) as i64
    }

    /// Bytes of the frame that numbers of rows take.
    pub(super) fn numbers(&self) -> i64 {
        (self.operands.numbers * MOST_ROWS * NUMBER).next_multiple_of(STRIPE_BYTES) as i64
    }

    /// A number of the current row, of so many bytes, or what lies so many bytes behind it.
    pub(super) fn number(
        &mut self,
        number: usize,
        size: usize,
        at: i64,
    ) -> Result<MemoryOperand, IcedError> {
        self.load_word(Register::RAX, self.word(Word::Row))?;
        Ok(self.number_of(number, Register::RAX, size, at))
    }

    /// The same of the row that a register has.
    pub(super) fn number_of(
        &self,
        number: usize,
        row: Register,
        size: usize,
        at: i64,
    ) -> MemoryOperand {
        let at = self.stripes() + (number * MOST_ROWS * NUMBER) as i64 + at;
        MemoryOperand::with_base_index_scale_displ_size(Register::RSP, row, size as u32, at, 1)
    }

    /// A word of the frame.
    pub(super) fn word(&self, word: Word) -> MemoryOperand {
        let before = self.stripes() + self.numbers() + self.spilled();
        let at = before + (self.in_frame + word as usize) as i64 * 8;
        MemoryOperand::with_base_displ(Register::RSP, at)
    }

    /// Bytes of the frame that spilled values take.
    pub(super) fn spilled(&self) -> i64 {
        i64::from(self.slots) * self.isa.bytes() as i64
    }

    /// Where an address without a register is.
    pub(super) fn kept_cursor(&self, index: usize) -> MemoryOperand {
        let at = self.stripes() + self.numbers() + self.spilled() + index as i64 * 8;
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
                let before = self.stripes() + self.numbers();
                let at = before + i64::from(slot) * self.isa.bytes() as i64;
                MemoryOperand::with_base_displ(Register::RSP, at)
            }
            Address::Input { slot, at } => {
                let (input, at) = (self.bound.inputs[slot as usize], i64::from(at));
                let base = match (input.at, input.held) {
                    (At::Number(number), _) => {
                        return self.number(number, input.size as usize, at);
                    }
                    (_, Held::Register(held)) => CURSORS[held],
                    (At::Cursor(operand), Held::Nowhere) => {
                        self.load_base(Register::RAX, operand)?;
                        Register::RAX
                    }
                    (_, Held::Frame(index)) => {
                        let kept = self.kept_cursor(index);
                        self.load_word(Register::RAX, kept)?;
                        Register::RAX
                    }
                };
                MemoryOperand::with_base_displ(base, at)
            }
            Address::Output { output, at } => {
                let (output, at) = (self.bound.outputs[output as usize], i64::from(at));
                let base = match (output.at, output.held) {
                    (At::Number(number), _) => {
                        return self.number(number, output.size as usize, at);
                    }
                    (_, Held::Register(held)) => CURSORS[held],
                    (At::Cursor(operand), _) => {
                        self.load_base(Register::RAX, operand)?;
                        self.align(Register::RAX, &output)?;
                        Register::RAX
                    }
                };
                let (index, scale) = (Register::R9, output.size);
                MemoryOperand::with_base_index_scale_displ_size(base, index, scale, at, 1)
            }
            Address::Stripes(Stripes { fold, at, moves }) => {
                let at = i64::from(fold) * STRIPE_BYTES as i64 + i64::from(at);
                if !moves {
                    return Ok(MemoryOperand::with_base_displ(Register::RSP, at));
                }
                let scale = self.bound.folds[fold as usize].size;
                let last = STRIPE_BYTES as i32 / scale as i32 - 1;
                let [index, element] = [Register::EAX, Register::R9D];
                self.emit(Instruction::with2(Code::Mov_r32_rm32, index, element))?;
                self.emit(Instruction::with2(Code::And_rm32_imm8, index, last))?;
                let index = Register::RAX;
                MemoryOperand::with_base_index_scale_displ_size(Register::RSP, index, scale, at, 1)
            }
            Address::Carry(carry) => self.carry(carry)?,
            Address::Result { fold } => {
                let result = self.bound.folds[fold as usize];
                let operand = match result.at {
                    At::Number(number) => return self.number(number, result.size as usize, 0),
                    At::Cursor(operand) => operand,
                };
                self.load_base(Register::RAX, operand)?;
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
