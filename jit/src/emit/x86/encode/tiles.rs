//! Tiles of rows: each step runs on all rows of one before the next step does. While a row waits for its
//! numbers, the next one is computed.
//!
//! The numbers of rows lie one after the other in the frame, so what is done once a row is done for as many
//! rows at a time as a vector has lanes. Lanes past the last row hold anything, and are read by nobody.

use super::address::Word;
use super::loops::Later;
use super::{
    CURSORS, Done, Joined, Loops, Moved, Once, Part, Step, Writer, cursor, field, offsets,
};
use crate::emit::code::many_rows;
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register};

/// Whether numbers come from an operand or go to one.
#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
}

impl<'a> Writer<'a> {
    /// All steps on a tile.
    pub(super) fn tile(&mut self, steps: &'a [Step], later: &mut Later<'a>) -> Done {
        self.load_word(Register::RAX, field(offsets::ROWS))?;
        let tile = field(offsets::TILE);
        self.emit(Instruction::with2(Code::Cmp_r64_rm64, Register::RAX, tile))?;
        self.emit(Instruction::with2(Code::Cmovg_r64_rm64, Register::RAX, tile))?;
        let rows = self.word(Word::Rows);
        self.emit(Instruction::with2(Code::Mov_rm64_r64, rows, Register::RAX))?;
        self.copy_scalars(Code::Je_rel32_64, rows, later)?;
        for step in steps {
            self.bound = &step.bound;
            match &step.part {
                Part::Once(once) => self.once(once, later)?,
                Part::Each { loops, join } => self.each(step, loops, join.as_ref(), later)?,
            }
        }
        self.leave_numbers()
    }

    /// Makes the first row of the tile the current one.
    pub(super) fn first_row(&mut self) -> Done {
        let row = self.word(Word::Row);
        self.emit(Instruction::with2(Code::Mov_rm64_imm32, row, 0))
    }

    /// Goes on `count` rows later, at `top`, if the tile has as many.
    pub(super) fn next_row(&mut self, count: usize, top: u64) -> Done {
        let [row, rows] = [Word::Row, Word::Rows].map(|word| self.word(word));
        self.load_word(Register::RAX, row)?;
        self.emit(Instruction::with2(Code::Add_rm64_imm8, Register::RAX, count as i32))?;
        self.emit(Instruction::with2(Code::Mov_rm64_r64, row, Register::RAX))?;
        self.emit(Instruction::with2(Code::Cmp_r64_rm64, Register::RAX, rows))?;
        self.emit(Instruction::with_branch(Code::Jl_rel32_64, top))
    }

    /// Makes numbers of row scalars that are the same for all rows, for as many as any tile has.
    pub(super) fn copy_same_scalars(&mut self, later: &mut Later<'a>) -> Done {
        self.copy_scalars(Code::Jne_rel32_64, field(offsets::TILE), later)
    }

    /// Makes numbers of row scalars, but of those for which `skips` is taken where their step is compared
    /// with zero.
    fn copy_scalars(&mut self, skips: Code, rows: MemoryOperand, later: &mut Later<'a>) -> Done {
        for scalar in self.operands.copied.clone() {
            let step = cursor(scalar.cursor, offsets::ROW);
            self.emit(Instruction::with2(Code::Cmp_rm64_imm8, step, 0))?;
            let skip = self.jump(skips)?;
            self.move_number(scalar, rows, Direction::Read)?;
            later.patches.push((skip, self.at));
        }
        Ok(())
    }

    /// Writes the numbers that are results.
    fn leave_numbers(&mut self) -> Done {
        let rows = self.word(Word::Rows);
        let left = self.operands.left.clone();
        left.into_iter().try_for_each(|number| self.move_number(number, rows, Direction::Write))
    }

    /// Copies a number of each of so many rows.
    fn move_number(&mut self, moved: Moved, rows: MemoryOperand, direction: Direction) -> Done {
        let Moved { cursor: operand, number, size } = moved;
        let [base, step] = [offsets::BASE, offsets::ROW].map(|field| cursor(operand, field));
        let [place, row, count] = [CURSORS[0], Register::R9, Register::RAX];
        self.load_word(place, base)?;
        self.load_word(count, rows)?;
        self.emit(Instruction::with2(Code::Xor_r32_rm32, Register::R9D, Register::R9D))?;
        let top = self.at;
        let (load, store, word) = match size {
            4 => (Code::Mov_r32_rm32, Code::Mov_rm32_r32, Register::EDI),
            _ => (Code::Mov_r64_rm64, Code::Mov_rm64_r64, Register::RDI),
        };
        let (operand, number) =
            (MemoryOperand::with_base(place), self.number_of(number, row, size, 0));
        let (from, to) = match direction {
            Direction::Read => (operand, number),
            Direction::Write => (number, operand),
        };
        self.emit(Instruction::with2(load, word, from))?;
        self.emit(Instruction::with2(store, to, word))?;
        self.emit(Instruction::with2(Code::Add_r64_rm64, place, step))?;
        self.emit(Instruction::with2(Code::Add_rm64_imm8, row, 1))?;
        self.emit(Instruction::with2(Code::Cmp_r64_rm64, row, count))?;
        self.emit(Instruction::with_branch(Code::Jl_rel32_64, top))
    }

    /// What is done once a row.
    fn once(&mut self, once: &'a Once, later: &mut Later<'a>) -> Done {
        let rows = self.word(Word::Rows);
        let many = many_rows(once.rows.lanes);
        self.emit(Instruction::with2(Code::Cmp_rm64_imm8, rows, many as i32))?;
        let many = self.jump(Code::Jge_rel32_64)?;
        self.first_row()?;
        let top = self.at;
        self.body(&once.row.items, later)?;
        self.next_row(1, top)?;
        let done = self.jump(Code::Jmp_rel32_64)?;
        later.patches.push((many, self.at));
        self.first_row()?;
        let top = self.at;
        self.body(&once.rows.items, later)?;
        self.next_row(once.rows.lanes, top)?;
        later.patches.push((done, self.at));
        Ok(())
    }

    /// What is done with each element.
    fn each(
        &mut self,
        step: &'a Step,
        loops: &'a Loops,
        join: Option<&'a Joined>,
        later: &mut Later<'a>,
    ) -> Done {
        let n = field(offsets::N);
        let is_row = match &loops.row {
            // Vectors of the results begin somewhere else than rows.
            Some(row) if self.has_head() => {
                self.emit(Instruction::with2(Code::Cmp_rm64_imm8, field(offsets::HEAD), 0))?;
                let has_head = self.jump(Code::Jg_rel32_64)?;
                let is_row = self.is_row(row)?;
                later.patches.push((has_head, self.at));
                Some((row, is_row))
            }
            Some(row) => Some((row, self.is_row(row)?)),
            None => None,
        };
        self.load_shared(loops, join)?;
        self.first_row()?;
        let top = self.at;
        self.load_cursors()?;
        if self.has_head() {
            self.head(loops, later)?;
        }
        match join {
            None => {
                self.load_word(Register::RDI, n)?;
                self.elements(loops, later)?;
            }
            Some(Joined { block, bound, once }) => {
                let next = self.at;
                let end = MemoryOperand::with_base_displ(Register::R9, *block as i64);
                self.emit(Instruction::with2(Code::Lea_r64_m, Register::RDI, end))?;
                self.emit(Instruction::with2(Code::Cmp_r64_rm64, Register::RDI, n))?;
                self.emit(Instruction::with2(Code::Cmovg_r64_rm64, Register::RDI, n))?;
                self.elements(loops, later)?;
                let is_one = self.is_one_block(*block, Code::Jle_rel32_64)?;
                self.bound = bound;
                self.body(&once.row.items, later)?;
                self.bound = &step.bound;
                self.emit(Instruction::with2(Code::Cmp_r64_rm64, Register::R9, n))?;
                self.emit(Instruction::with_branch(Code::Jl_rel32_64, next))?;
                later.patches.push((is_one, self.at));
            }
        }
        self.next_row(1, top)?;
        if let Some((row, is_row)) = is_row {
            later.whole(is_row, row, self.at, &step.bound);
        }
        let Some(Joined { block, bound, once }) = join else { return Ok(()) };
        let is_done = self.is_one_block(*block, Code::Jg_rel32_64)?;
        self.bound = bound;
        self.once(once, later)?;
        later.patches.push((is_done, self.at));
        Ok(())
    }

    /// A jump that is taken, or not, where a row is one block.
    fn is_one_block(&mut self, block: usize, jump: Code) -> Result<usize, IcedError> {
        self.emit(Instruction::with2(Code::Cmp_rm64_imm32, field(offsets::N), block as i32))?;
        self.jump(jump)
    }
}
