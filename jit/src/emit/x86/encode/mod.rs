//! From a placed program to bytes: the loops around it, the frame, the addresses.
//!
//! General registers (System V):
//!
//! | register | holds |
//! |---|---|
//! | `rdi` | `n`; in a loop, the last index with enough elements for an iteration; in a masked one, how many are left |
//! | `rcx` | the [`Launch`](super::super::native::launch) |
//! | `rdx` | its cursors, at the current row |
//! | `r8` | the pool |
//! | `r9` | the index of the iteration's first element |
//! | `rax` | an address, for one instruction; at the start of a masked iteration with AVX-512, a bit for each remaining element |
//! | `r10 r11 rsi rbx r12 r13 r14 r15` | the inputs' current addresses, then the outputs' |
//! | `rsp` | the frame, aligned to a vector: stripes of folds, spilled values, then the addresses of inputs without a register |
//! | `rbp` | the caller's frame, where there is a frame |
//!
//! Cold regions lie after the loop, so that the hot path is a straight line.

mod address;
mod bound;
mod loops;
mod realigned;
mod tiles;

use super::super::native::launch::offsets;
use super::allocate::{Address, Allocation, Item, Place, Placed};
use super::isa::Isa;
use address::Word;
pub(super) use bound::Bound;
use bound::{At, Held};
use loops::Later;

use iced_x86::{Code, Encoder, IcedError, Instruction, MemoryOperand, OpKind, Register};

/// Registers for addresses; those from `SAVED` on belong to the caller.
const CURSORS: [Register; 8] = [
    Register::R10,
    Register::R11,
    Register::RSI,
    Register::RBX,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];
const SAVED: usize = 3;
/// The system notices a stack that grows if no page is skipped.
const PAGE: i64 = 4096;

/// Machine code, and where each instruction came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    /// Offsets of instructions of the body, with the vector instruction that each serves.
    pub(super) origins: Vec<(u32, u32)>,
}

/// What a routine consists of.
#[derive(Debug)]
pub(super) struct Loops {
    /// One after the other, each as long as there are elements enough for an iteration.
    pub(super) full: Vec<Allocation>,
    /// [Masked](super::tail), for what is left then.
    pub(super) tail: Option<Allocation>,
    /// What comes before a row and after it.
    pub(super) around: [Allocation; 2],
    /// All of a row of as many elements as it has lanes.
    pub(super) row: Option<Allocation>,
}

impl Loops {
    fn iter(&self) -> impl Iterator<Item = &Allocation> {
        self.full.iter().chain(&self.tail)
    }

    fn allocations(&self) -> impl Iterator<Item = &Allocation> {
        self.iter().chain(&self.around).chain(&self.row)
    }

    /// How many instructions before the first loop may run once for all rows, the last ones: they load constants
    /// into registers that nothing else that a row needs changes. (Stripes begin as constants, too.)
    fn shared(&self, join: Option<&Joined>) -> usize {
        let (main, others) = self.full.split_first().expect("there is a loop");
        let join = join.map(|join| &join.once.row);
        let others = others.iter().chain(&self.tail).chain(&self.around).chain(join);
        let changed: Vec<u8> = others.flat_map(Allocation::vectors).chain(main.results()).collect();
        let is_shared = |item: &&Item| match item {
            Item::Inst(Placed { operands: [Place::Vector(register), from, ..], .. }) => {
                matches!(from, Place::Memory(Address::Pool { .. })) && !changed.contains(register)
            }
            _ => false,
        };
        main.prologue.iter().rev().take_while(is_shared).count()
    }

    /// The lanes of a vector: one is an iteration of the last loop.
    pub(super) fn vector(&self) -> usize {
        self.iter().last().map_or(1, |each| each.lanes)
    }
}

/// What is done with a row, in order.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) bound: Bound,
    pub(super) part: Part,
}

/// The code of a step.
#[derive(Debug)]
pub(super) enum Part {
    /// On each element.
    Each { loops: Box<Loops>, join: Option<Joined> },
    /// Once.
    Once(Once),
}

/// What is done once a row.
#[derive(Debug)]
pub(super) struct Once {
    /// On the numbers of one row.
    pub(super) row: Allocation,
    /// On those of as many rows as it has lanes.
    pub(super) rows: Allocation,
}

/// What follows each block of the elements of a row.
#[derive(Debug)]
pub(super) struct Joined {
    /// Elements of a block.
    pub(super) block: usize,
    pub(super) bound: Bound,
    pub(super) once: Once,
}

/// The operands of a call, and what the frame has room for beside spilled values and stripes.
#[derive(Clone, Debug, Default)]
pub(super) struct Operands {
    /// How many cursors there are.
    pub(super) cursors: usize,
    /// How many of them, the first ones, are of inputs.
    pub(super) inputs: usize,
    /// How many of them, the last ones, are of rows that are kept for later steps.
    pub(super) kept: usize,
    /// Numbers of a row.
    pub(super) numbers: usize,
    /// Numbers that are row scalars, with their cursors: copied before the first step.
    pub(super) copied: Vec<Moved>,
    /// Numbers that are results, with their cursors: copied after the last step.
    pub(super) left: Vec<Moved>,
    /// Whether each step runs on some rows, a tile, before the next one does.
    pub(super) has_tiles: bool,
}

/// A number that comes from an operand, or goes to one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) cursor: usize,
    pub(super) number: usize,
    /// Its bytes: 4 or 8.
    pub(super) size: usize,
}

/// Encodes a kernel routine: these steps for each row.
pub(super) fn encode(steps: &[Step], operands: Operands, isa: Isa) -> Result<Encoded, IcedError> {
    let bounds = || steps.iter().flat_map(Step::bounds);
    let all = || steps.iter().flat_map(Step::allocations);
    let items: usize = all().map(|each| each.prologue.len() + each.items.len()).sum();
    let Some(first) = steps.first() else { return Ok(Encoded::default()) };
    let writer = Writer {
        isa,
        encoder: Encoder::try_with_capacity(64, items * 10 + 256)?,
        at: 0,
        bound: &first.bound,
        operands,
        folds: bounds().map(|bound| bound.folds.len()).max().unwrap_or(0),
        slots: all().map(|each| each.slots).max().unwrap_or(0),
        registers: bounds().map(Bound::registers).max().unwrap_or(0),
        in_frame: bounds().map(Bound::in_frame).max().unwrap_or(0),
        shared: 0,
        masked: None,
        skips: Vec::new(),
        origins: Vec::with_capacity(items),
    };
    writer.rows(steps)
}

impl Step {
    fn bounds(&self) -> impl Iterator<Item = &Bound> {
        let join = match &self.part {
            Part::Each { join: Some(join), .. } => Some(&join.bound),
            _ => None,
        };
        std::iter::once(&self.bound).chain(join)
    }

    fn allocations(&self) -> impl Iterator<Item = &Allocation> {
        let (loops, once) = match &self.part {
            Part::Each { loops, join } => (Some(loops), join.as_ref().map(|join| &join.once)),
            Part::Once(once) => (None, Some(once)),
        };
        let once = once.into_iter().flat_map(|once| [&once.row, &once.rows]);
        loops.into_iter().flat_map(|loops| loops.allocations()).chain(once)
    }
}

struct Writer<'a> {
    isa: Isa,
    encoder: Encoder,
    at: u64,
    /// The operands of what is being written.
    bound: &'a Bound,
    operands: Operands,
    /// The most folds of a step, spilled values, and addresses in registers and in the frame.
    folds: usize,
    slots: u32,
    registers: usize,
    in_frame: usize,
    /// How many instructions before the loop have run once for all rows.
    shared: usize,
    /// The lanes of the masked loop that is being written, if it is one.
    masked: Option<usize>,
    /// Jumps within an iteration, and their targets.
    skips: Vec<(usize, u64)>,
    origins: Vec<(u32, u32)>,
}

type Done = Result<(), IcedError>;

impl<'a> Writer<'a> {
    fn emit(&mut self, instruction: Result<Instruction, IcedError>) -> Done {
        self.at += self.encoder.encode(&instruction?, self.at)? as u64;
        Ok(())
    }

    /// A jump whose target is not yet known: the position of its four-byte distance.
    fn jump(&mut self, code: Code) -> Result<usize, IcedError> {
        let here = self.at;
        self.emit(Instruction::with_branch(code, here))?;
        Ok(self.at as usize - 4)
    }

    fn rows(mut self, steps: &'a [Step]) -> Result<Encoded, IcedError> {
        let saved = self.registers.saturating_sub(SAVED);
        self.enter(saved)?;
        self.load_launch()?;
        let mut later = Later::default();
        let row = self.row(steps);
        let is_row = row.map(|row| self.is_row(row)).transpose()?;
        self.copy_same_scalars(&mut later)?;
        if let [Step { part: Part::Each { loops, join: None }, .. }] = steps
            && !self.operands.has_tiles
        {
            self.load_shared(loops, None)?;
        }
        let first = self.at;
        let rows = field(offsets::ROWS);
        if self.operands.has_tiles {
            self.tile(steps, &mut later)?;
            self.load_word(Register::RAX, self.word(Word::Rows))?;
            self.emit(Instruction::with2(Code::Sub_rm64_r64, rows, Register::RAX))?;
        } else {
            for step in steps {
                let Part::Each { loops, join: None } = &step.part else {
                    unreachable!("rows one by one have no numbers");
                };
                self.bound = &step.bound;
                self.load_cursors()?;
                self.load_word(Register::RDI, field(offsets::N))?;
                self.elements(loops, &mut later)?;
            }
            self.emit(Instruction::with2(Code::Sub_rm64_imm8, rows, 1))?;
        }
        let more = self.jump(Code::Jne_rel32_64)?;
        let done = self.at;
        self.leave(saved)?;
        self.emit(Ok(Instruction::with(Code::Retnq)))?;
        // Most calls have one row, so the code that advances to the next row is kept off that path.
        later.patches.push((more, self.at));
        self.next_rows(first)?;
        if let (Some(row), Some(is_row)) = (row, is_row) {
            later.whole(is_row, row, done, &steps[0].bound);
        }
        self.finish(&mut later)?;
        let mut bytes = self.encoder.take_buffer();
        for (at, target) in later.patches.into_iter().chain(self.skips) {
            let distance = target as i32 - (at as i32 + 4);
            bytes[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        Ok(Encoded { bytes, origins: self.origins })
    }

    /// What handles a row of as many elements as it has lanes, if there is one.
    fn row(&self, steps: &'a [Step]) -> Option<&'a Allocation> {
        match steps {
            [Step { part: Part::Each { loops, join: None }, .. }] if !self.operands.has_tiles => {
                loops.row.as_ref()
            }
            _ => None,
        }
    }

    /// Bytes of the frame.
    fn frame(&self) -> i64 {
        let words = if self.operands.has_tiles { Word::COUNT } else { 0 };
        self.stripes() + self.numbers() + self.spilled() + (self.in_frame + words) as i64 * 8
    }

    fn enter(&mut self, saved: usize) -> Done {
        let frame = self.frame();
        if saved == 0 && frame == 0 {
            return Ok(());
        }
        self.emit(Instruction::with1(Code::Push_r64, Register::RBP))?;
        self.emit(Instruction::with2(Code::Mov_r64_rm64, Register::RBP, Register::RSP))?;
        for register in &CURSORS[SAVED..SAVED + saved] {
            self.emit(Instruction::with1(Code::Push_r64, *register))?;
        }
        if frame == 0 {
            return Ok(());
        }
        let mut left = frame;
        while left > 0 {
            let step = left.min(PAGE) as i32;
            self.emit(Instruction::with2(Code::Sub_rm64_imm32, Register::RSP, step))?;
            let top = MemoryOperand::with_base(Register::RSP);
            self.emit(Instruction::with2(Code::Mov_rm64_r64, top, Register::RAX))?;
            left -= i64::from(step);
        }
        let align = -(self.isa.bytes() as i32);
        self.emit(Instruction::with2(Code::And_rm64_imm8, Register::RSP, align))
    }

    fn leave(&mut self, saved: usize) -> Done {
        if saved > 0 || self.frame() > 0 {
            let pushed = MemoryOperand::with_base_displ(Register::RBP, -8 * saved as i64);
            self.emit(Instruction::with2(Code::Lea_r64_m, Register::RSP, pushed))?;
            for register in CURSORS[SAVED..SAVED + saved].iter().rev() {
                self.emit(Instruction::with1(Code::Pop_r64, *register))?;
            }
            self.emit(Instruction::with1(Code::Pop_r64, Register::RBP))?;
        }
        self.emit(Ok(Instruction::with(Code::VEX_Vzeroupper)))
    }

    /// Reads what all rows share; `rdi` will hold a number of elements.
    fn load_launch(&mut self) -> Done {
        self.emit(Instruction::with2(Code::Mov_r64_rm64, Register::RCX, Register::RDI))?;
        self.load_word(Register::RDX, field(offsets::CURSORS))?;
        self.load_word(Register::R8, field(offsets::POOL))
    }

    /// Reads where the current row begins for each operand of a step.
    fn load_cursors(&mut self) -> Done {
        for operand in self.bound.inputs.iter().chain(&self.bound.outputs) {
            let At::Cursor(index) = operand.at else { continue };
            match operand.held {
                Held::Register(held) => {
                    self.load_base(CURSORS[held], index)?;
                    self.align(CURSORS[held], operand)?;
                }
                Held::Frame(kept) => {
                    self.load_base(Register::R9, index)?;
                    let kept = self.kept_cursor(kept);
                    self.emit(Instruction::with2(Code::Mov_rm64_r64, kept, Register::R9))?;
                }
                Held::Nowhere => {}
            }
        }
        self.emit(Instruction::with2(Code::Xor_r32_rm32, Register::R9D, Register::R9D))
    }

    /// Reads where the current row of an operand begins.
    fn load_base(&mut self, into: Register, operand: usize) -> Done {
        let base = cursor(operand, offsets::BASE);
        if !self.operands.has_tiles {
            return self.load_word(into, base);
        }
        self.load_word(into, cursor(operand, offsets::ROW))?;
        let row = self.word(Word::Row);
        self.emit(Instruction::with2(Code::Imul_r64_rm64, into, row))?;
        self.emit(Instruction::with2(Code::Add_r64_rm64, into, base))
    }

    /// Moves cursors to the next row, or the next rows, and jumps to the start.
    fn next_rows(&mut self, first: u64) -> Done {
        for operand in 0..self.operands.cursors - self.operands.kept {
            self.load_word(Register::RAX, cursor(operand, offsets::ROW))?;
            if self.operands.has_tiles {
                let rows = self.word(Word::Rows);
                self.emit(Instruction::with2(Code::Imul_r64_rm64, Register::RAX, rows))?;
            }
            let base = cursor(operand, offsets::BASE);
            self.emit(Instruction::with2(Code::Add_rm64_r64, base, Register::RAX))?;
        }
        self.emit(Instruction::with_branch(Code::Jmp_rel32_64, first))
    }

    /// A store to memory: what is soon read again never bypasses the caches, which is what
    /// [streaming twins](super::super::native::stream) do to stores of floats.
    fn store_code(&self, code: Code, address: Address) -> Code {
        let is_read = match address {
            Address::Output { output, .. } => self.bound.outputs[output as usize].is_kept,
            Address::Carry(_) => true,
            _ => false,
        };
        match code {
            _ if !is_read => code,
            Code::EVEX_Vmovups_zmmm512_k1z_zmm => Code::EVEX_Vmovdqu32_zmmm512_k1z_zmm,
            Code::EVEX_Vmovupd_zmmm512_k1z_zmm => Code::EVEX_Vmovdqu64_zmmm512_k1z_zmm,
            Code::VEX_Vmovups_ymmm256_ymm | Code::VEX_Vmovupd_ymmm256_ymm => {
                Code::VEX_Vmovdqu_ymmm256_ymm
            }
            code => code,
        }
    }

    fn load_word(&mut self, into: Register, from: MemoryOperand) -> Done {
        self.emit(Instruction::with2(Code::Mov_r64_rm64, into, from))
    }

    fn placed(&mut self, placed: &Placed) -> Done {
        let skip = self.skip_unless_whole(placed)?;
        self.origins.push((self.at as u32, placed.origin));
        let mut made = Instruction::new();
        made.set_code(match placed.operands[0] {
            Place::Memory(address) => self.store_code(placed.code, address),
            _ => placed.code,
        });
        let mut count = 0;
        for (place, halved) in placed.operands.into_iter().zip(placed.halved) {
            let kind = match place {
                Place::None => break,
                Place::Memory(address) => {
                    let memory = self.memory(address)?;
                    made.set_memory_base(memory.base);
                    made.set_memory_index(memory.index);
                    made.set_memory_index_scale(memory.scale);
                    made.set_memory_displacement64(memory.displacement as u64);
                    // The shortest encoding that fits.
                    made.set_memory_displ_size(u32::from(memory.displacement != 0));
                    made.set_is_broadcast(memory.is_broadcast);
                    OpKind::Memory
                }
                Place::Vector(number) => {
                    made.set_op_register(count, self.vector(number, halved));
                    OpKind::Register
                }
                Place::Left => {
                    let left = match self.isa {
                        Isa::Avx512 => Register::EAX,
                        Isa::Avx2 => Register::EDI,
                    };
                    made.set_op_register(count, left);
                    OpKind::Register
                }
                Place::Mask(number) => {
                    made.set_op_register(count, Register::K0 + u32::from(number));
                    OpKind::Register
                }
            };
            made.set_op_kind(count, kind);
            count += 1;
        }
        if let Some(imm) = placed.imm {
            made.set_op_kind(count, OpKind::Immediate8);
            made.set_immediate8(imm);
        }
        if placed.mask > 0 {
            made.set_op_mask(Register::K0 + u32::from(placed.mask));
            made.set_zeroing_masking(placed.zeroing);
        }
        self.emit(Ok(made))?;
        self.skips.extend(skip.map(|jump| (jump, self.at)));
        self.move_waiting(placed)
    }
}

/// A field of the launch.
fn field(at: i32) -> MemoryOperand {
    MemoryOperand::with_base_displ(Register::RCX, at.into())
}

/// A field of an operand's cursor.
fn cursor(operand: usize, field: i32) -> MemoryOperand {
    let at = operand as i64 * i64::from(offsets::CURSOR) + i64::from(field);
    MemoryOperand::with_base_displ(Register::RDX, at)
}
