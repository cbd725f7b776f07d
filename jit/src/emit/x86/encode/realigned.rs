//! What is encoded for outputs that are [realigned](super::super::realign).
//!
//! How many bytes wait is where a cursor of an input has its step.

use super::super::super::carry;
use super::super::super::native::launch::offsets;
use super::super::allocate::{Address, Place, Placed};
use super::super::program::Carry;
use super::bound::{At, Operand};
use super::{Done, Writer, cursor, field};
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register};

/// Bytes of a vector.
const VECTOR: i32 = carry::VECTOR as i32;

impl Writer<'_> {
    /// Moves the place of an output to where its vector of memory begins, if it is realigned.
    pub(super) fn align(&mut self, place: Register, operand: &Operand) -> Done {
        if !operand.is_realigned {
            return Ok(());
        }
        self.emit(Instruction::with2(Code::And_rm64_imm8, place, -VECTOR))
    }

    /// A vector that belongs to an output.
    pub(super) fn carry(&mut self, of: Carry) -> Result<MemoryOperand, IcedError> {
        let (Carry::Index { output } | Carry::Waiting { output } | Carry::After { output }) = of;
        let (operand, size) = self.realigned(output);
        let before = (operand - self.operands.inputs) * size_of::<carry::Carry>();
        let carries = field(offsets::CARRIES);
        let at = match of {
            Carry::Waiting { .. } => {
                self.load_word(Register::RAX, carries)?;
                carry::Carry::WAITING
            }
            // From the vector that waits, as many as wait.
            Carry::Index { .. } => {
                self.load_word(Register::RAX, carries)?;
                let waiting = cursor(operand, offsets::STEP);
                self.emit(Instruction::with2(Code::Sub_r64_rm64, Register::RAX, waiting))?;
                carry::Carry::NUMBERS + carry::VECTOR
            }
            // Without as many of the first as come after them.
            Carry::After { .. } => {
                self.load_rest(size)?;
                self.emit(Instruction::with2(Code::Add_r64_rm64, Register::RAX, carries))?;
                carry::Carry::NUMBERS
            }
        };
        Ok(MemoryOperand::with_base_displ(Register::RAX, (before + at) as i64))
    }

    /// Before a store of what is left of a row: a jump over it, which is taken if that completes no vector.
    pub(super) fn skip_unless_whole(
        &mut self,
        placed: &Placed,
    ) -> Result<Option<usize>, IcedError> {
        let Place::Memory(Address::Output { output, .. }) = placed.operands[0] else {
            return Ok(None);
        };
        if self.masked.is_none() || !self.bound.outputs[output as usize].is_realigned {
            return Ok(None);
        }
        self.load_waiting_and_rest(output)?;
        self.emit(Instruction::with2(Code::Cmp_rm64_imm8, Register::RAX, VECTOR))?;
        self.jump(Code::Jl_rel32_64).map(Some)
    }

    /// After what waits was stored, and rows go on elsewhere in a vector.
    pub(super) fn move_waiting(&mut self, placed: &Placed) -> Done {
        match placed.operands[0] {
            Place::Memory(Address::Carry(Carry::Waiting { output })) if self.masked.is_some() => {
                self.load_waiting_and_rest(output)?;
                self.emit(Instruction::with2(Code::And_rm64_imm8, Register::RAX, VECTOR - 1))?;
                let waiting = cursor(self.realigned(output).0, offsets::STEP);
                self.emit(Instruction::with2(Code::Mov_rm64_r64, waiting, Register::RAX))
            }
            _ => Ok(()),
        }
    }

    /// The cursor of an output, and bytes of its elements.
    fn realigned(&self, output: u32) -> (usize, u32) {
        let output = self.bound.outputs[output as usize];
        let At::Cursor(operand) = output.at else { unreachable!("only results are realigned") };
        (operand, output.size)
    }

    /// Bytes that wait and those of what is left of a row, in `rax`.
    fn load_waiting_and_rest(&mut self, output: u32) -> Done {
        let (operand, size) = self.realigned(output);
        self.load_rest(size)?;
        let waiting = cursor(operand, offsets::STEP);
        self.emit(Instruction::with2(Code::Add_r64_rm64, Register::RAX, waiting))
    }

    /// Bytes of what is left of a row, at most a vector, in `rax`.
    fn load_rest(&mut self, size: u32) -> Done {
        let lanes = self.masked.expect("what is left is masked") as i32;
        let (rest, left) = (Register::RAX, Register::RDI);
        self.emit(Instruction::with2(Code::Mov_r32_imm32, Register::EAX, lanes))?;
        self.emit(Instruction::with2(Code::Cmp_r64_rm64, rest, left))?;
        self.emit(Instruction::with2(Code::Cmovg_r64_rm64, rest, left))?;
        self.emit(Instruction::with3(Code::Imul_r64_rm64_imm8, rest, rest, size as i32))
    }
}
