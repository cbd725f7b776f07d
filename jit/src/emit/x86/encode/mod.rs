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

use super::super::native::launch::offsets;
use super::allocate::{Allocation, Item, Place, Placed};
use super::isa::Isa;
use crate::vir::Routine;
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
}

impl Loops {
    fn iter(&self) -> impl Iterator<Item = &Allocation> {
        self.full.iter().chain(&self.tail)
    }

    /// The lanes of a vector: one is an iteration of the last loop.
    pub(super) fn vector(&self) -> usize {
        self.iter().last().map_or(1, |each| each.lanes)
    }
}

/// Encodes the kernel routine of `routine`.
pub(super) fn encode(routine: &Routine, loops: &Loops, isa: Isa) -> Result<Encoded, IcedError> {
    let all = || loops.iter().chain(&loops.around);
    let items: usize = all().map(|each| each.prologue.len() + each.items.len()).sum();
    let writer = Writer {
        isa,
        encoder: Encoder::try_with_capacity(64, items * 10 + 256)?,
        at: 0,
        inputs: routine.inputs.len(),
        scalars: (0..routine.inputs.len()).map(|slot| routine.is_scalar(slot)).collect(),
        outputs: routine.outputs.iter().map(|storage| storage.size() as u32).collect(),
        folds: routine.folds().map(|storage| storage.size() as u32).collect(),
        slots: all().map(|each| each.slots).max().unwrap_or(0),
        origins: Vec::with_capacity(items),
    };
    writer.routine(loops)
}

struct Writer {
    isa: Isa,
    encoder: Encoder,
    at: u64,
    inputs: usize,
    /// Which inputs are the same for a whole row.
    scalars: Vec<bool>,
    /// Per output, the size of an element.
    outputs: Vec<u32>,
    /// Per fold, the size of a lane.
    folds: Vec<u32>,
    slots: u32,
    origins: Vec<(u32, u32)>,
}

/// A cold region, written after the loops.
struct ColdRegion<'a> {
    /// The jump to it.
    jump: usize,
    items: &'a [Item],
    /// Where the hot path continues.
    join: u64,
}

type Done = Result<(), IcedError>;

impl Writer {
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

    fn routine(mut self, loops: &Loops) -> Result<Encoded, IcedError> {
        let saved = self.saved();
        self.enter(saved)?;
        self.load_launch()?;
        let row = self.at;
        self.load_cursors()?;
        let [start, finish] = &loops.around;
        let mut patches = Vec::new();
        let mut cold = Vec::new();
        let (main, others) = loops.full.split_first().expect("there is a loop");
        let vectors = main.lanes / loops.vector();
        // Where the loop may finish a row: what comes instead if it has too few elements, and if it has
        // more.
        let mut unfinished = None;
        if main.whole.is_empty() {
            self.straight(&start.items)?;
            let few = self.iterations(main, vectors, &mut cold)?;
            self.straight(&main.epilogue)?;
            patches.push((few, self.at));
            self.no_limit(main)?;
            self.rest(others, loops, &mut patches, &mut cold)?;
            self.straight(&finish.items)?;
        } else {
            let few = self.iterations(main, vectors, &mut cold)?;
            self.no_limit(main)?;
            self.emit(Instruction::with2(Code::Cmp_r64_rm64, Register::R9, Register::RDI))?;
            let more = self.jump(Code::Jne_rel32_64)?;
            self.straight(&main.whole)?;
            unfinished = Some((few, more));
        }
        let finished = self.at;
        let rows = MemoryOperand::with_base_displ(Register::RCX, offsets::ROWS.into());
        self.emit(Instruction::with2(Code::Sub_rm64_imm8, rows, 1))?;
        let more = self.jump(Code::Jne_rel32_64)?;
        self.leave(saved)?;
        self.emit(Ok(Instruction::with(Code::Retnq)))?;
        // Most calls have one row, so the code that advances to the next row is kept off that path.
        patches.push((more, self.at));
        self.next_row(row)?;
        if let Some((few, more)) = unfinished {
            patches.push((more, self.at));
            self.straight(&main.epilogue)?;
            let rest = self.jump(Code::Jmp_rel32_64)?;
            patches.push((few, self.at));
            self.no_limit(main)?;
            self.straight(&start.items)?;
            patches.push((rest, self.at));
            self.rest(others, loops, &mut patches, &mut cold)?;
            self.straight(&finish.items)?;
            self.emit(Instruction::with_branch(Code::Jmp_rel32_64, finished))?;
        }
        for ColdRegion { jump, items, join } in cold {
            patches.push((jump, self.at));
            self.straight(items)?;
            self.emit(Instruction::with_branch(Code::Jmp_rel32_64, join))?;
        }
        let mut bytes = self.encoder.take_buffer();
        for (at, target) in patches {
            let distance = target as i32 - (at as i32 + 4);
            bytes[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        Ok(Encoded { bytes, origins: self.origins })
    }

    /// The loops after the first one.
    fn rest<'a>(
        &mut self,
        full: &'a [Allocation],
        loops: &'a Loops,
        patches: &mut Vec<(usize, u64)>,
        cold: &mut Vec<ColdRegion<'a>>,
    ) -> Done {
        for each in full {
            let skip = self.iterations(each, each.lanes / loops.vector(), cold)?;
            self.straight(&each.epilogue)?;
            patches.push((skip, self.at));
            self.no_limit(each)?;
        }
        if let Some(tail) = &loops.tail {
            let skip = self.tail(tail, cold)?;
            patches.push((skip, self.at));
        }
        Ok(())
    }

    /// Makes `rdi` the number of elements again after a loop: it was the last index with enough elements
    /// for an iteration.
    fn no_limit(&mut self, each: &Allocation) -> Done {
        self.emit(Instruction::with2(Code::Add_rm64_imm32, Register::RDI, each.lanes as i32))
    }

    /// A loop whose iterations handle some vectors each, and the code before it. Returns the jump
    /// over it, which is taken if there are too few elements for an iteration.
    fn iterations<'a>(
        &mut self,
        each: &'a Allocation,
        vectors: usize,
        cold: &mut Vec<ColdRegion<'a>>,
    ) -> Result<usize, IcedError> {
        let lanes = each.lanes as i32;
        self.emit(Instruction::with2(Code::Sub_rm64_imm32, Register::RDI, lanes))?;
        self.emit(Instruction::with2(Code::Cmp_r64_rm64, Register::R9, Register::RDI))?;
        let skip = self.jump(Code::Jg_rel32_64)?;
        self.straight(&each.prologue)?;
        // A loop that starts in the middle of a line costs one more fetch per iteration.
        self.pad_to(64)?;
        let top = self.at;
        self.body(&each.items, cold)?;
        self.advance(vectors)?;
        self.emit(Instruction::with2(Code::Add_rm64_imm32, Register::R9, lanes))?;
        self.emit(Instruction::with2(Code::Cmp_r64_rm64, Register::R9, Register::RDI))?;
        self.emit(Instruction::with_branch(Code::Jle_rel32_64, top))?;
        Ok(skip)
    }

    /// A loop of masked iterations for all remaining elements. Returns the jump over it.
    fn tail<'a>(
        &mut self,
        each: &'a Allocation,
        cold: &mut Vec<ColdRegion<'a>>,
    ) -> Result<usize, IcedError> {
        let lanes = each.lanes as i32;
        self.emit(Instruction::with2(Code::Sub_r64_rm64, Register::RDI, Register::R9))?;
        let skip = self.jump(Code::Jle_rel32_64)?;
        let top = self.at;
        if self.isa == Isa::Avx512 {
            // As many low bits as elements are left. `bzhi` reads only 8 bits of the count; the
            // wide loop leaves at most 127.
            self.emit(Instruction::with2(Code::Mov_r32_imm32, Register::EAX, -1))?;
            let (code, bits) = (Code::VEX_Bzhi_r32_rm32_r32, Register::EAX);
            self.emit(Instruction::with3(code, bits, bits, Register::EDI))?;
        }
        self.body(&each.items, cold)?;
        self.advance(1)?;
        self.emit(Instruction::with2(Code::Add_rm64_imm32, Register::R9, lanes))?;
        self.emit(Instruction::with2(Code::Sub_rm64_imm32, Register::RDI, lanes))?;
        self.emit(Instruction::with_branch(Code::Jg_rel32_64, top))?;
        Ok(skip)
    }

    /// The instructions of an iteration, except cold regions, which are deferred.
    fn body<'a>(&mut self, mut items: &'a [Item], cold: &mut Vec<ColdRegion<'a>>) -> Done {
        while let Some(start) = items.iter().position(|item| matches!(item, Item::ColdStart)) {
            self.straight(&items[..start])?;
            let inside = &items[start + 1..];
            let len = inside.iter().position(|item| matches!(item, Item::ColdEnd));
            let (region, after) = inside.split_at(len.expect("a region ends"));
            let jump = self.jump(Code::Jne_rel32_64)?;
            cold.push(ColdRegion { jump, items: region, join: self.at });
            items = &after[1..];
        }
        self.straight(items)
    }

    fn straight(&mut self, items: &[Item]) -> Done {
        items.iter().try_for_each(|item| match item {
            Item::Inst(placed) => self.placed(placed),
            Item::ColdStart | Item::ColdEnd => unreachable!("cold regions are no straight line"),
        })
    }

    /// No-ops, as long as possible each, up to a multiple of `line` bytes.
    fn pad_to(&mut self, line: u64) -> Done {
        while !self.at.is_multiple_of(line) {
            let left = self.at.next_multiple_of(line) - self.at;
            let nop = match left {
                8.. => {
                    // Displacement size 8 stands for four bytes, sign-extended.
                    let far = MemoryOperand::with_base_index_scale_displ_size(
                        Register::RAX,
                        Register::RAX,
                        1,
                        0,
                        8,
                    );
                    Instruction::with1(Code::Nop_rm32, far)
                }
                3.. => Instruction::with1(Code::Nop_rm32, MemoryOperand::with_base(Register::RAX)),
                _ => Ok(Instruction::with(Code::Nopd)),
            };
            self.emit(nop)?;
        }
        Ok(())
    }

    /// How many of the caller's registers are used.
    fn saved(&self) -> usize {
        (self.inputs + self.outputs.len()).min(CURSORS.len()).saturating_sub(SAVED)
    }

    /// Bytes of the frame.
    fn frame(&self) -> i64 {
        let pointers = self.inputs.saturating_sub(CURSORS.len()) as i64 * 8;
        self.stripes() + self.spilled() + pointers
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
        let field = |at: i32| MemoryOperand::with_base_displ(Register::RCX, at.into());
        self.emit(Instruction::with2(Code::Mov_r64_rm64, Register::RCX, Register::RDI))?;
        self.load_word(Register::RDX, field(offsets::CURSORS))?;
        self.load_word(Register::R8, field(offsets::POOL))
    }

    /// Reads the length of the current row and where it begins for each operand.
    fn load_cursors(&mut self) -> Done {
        for slot in 0..self.inputs {
            let base = cursor(slot, offsets::BASE);
            match CURSORS.get(slot) {
                Some(&register) => self.load_word(register, base)?,
                None => {
                    self.load_word(Register::R9, base)?;
                    let kept = self.kept_cursor(slot);
                    self.emit(Instruction::with2(Code::Mov_rm64_r64, kept, Register::R9))?;
                }
            }
        }
        for output in 0..self.outputs.len() {
            if let Some(&register) = CURSORS.get(self.inputs + output) {
                self.load_word(register, cursor(self.inputs + output, offsets::BASE))?;
            }
        }
        let n = MemoryOperand::with_base_displ(Register::RCX, offsets::N.into());
        self.load_word(Register::RDI, n)?;
        self.emit(Instruction::with2(Code::Xor_r32_rm32, Register::R9D, Register::R9D))
    }

    /// Moves every cursor to the next row and jumps to the start of a row.
    fn next_row(&mut self, row: u64) -> Done {
        for operand in 0..self.inputs + self.outputs.len() + self.folds.len() {
            self.load_word(Register::RAX, cursor(operand, offsets::ROW))?;
            let base = cursor(operand, offsets::BASE);
            self.emit(Instruction::with2(Code::Add_rm64_r64, base, Register::RAX))?;
        }
        self.emit(Instruction::with_branch(Code::Jmp_rel32_64, row))
    }

    fn load_word(&mut self, into: Register, from: MemoryOperand) -> Done {
        self.emit(Instruction::with2(Code::Mov_r64_rm64, into, from))
    }

    /// The end of an iteration: advances by some vectors.
    fn advance(&mut self, vectors: usize) -> Done {
        for slot in (0..self.inputs).filter(|&slot| !self.scalars[slot]).collect::<Vec<usize>>() {
            let step = cursor(slot, offsets::STEP);
            let held = CURSORS.get(slot);
            match (held, vectors) {
                (Some(&register), 1) => {
                    self.emit(Instruction::with2(Code::Add_r64_rm64, register, step))?;
                    continue;
                }
                (None, 1) => self.load_word(Register::RAX, step)?,
                _ => {
                    let (code, vectors) = (Code::Imul_r64_rm64_imm8, vectors as i32);
                    self.emit(Instruction::with3(code, Register::RAX, step, vectors))?;
                }
            }
            match held {
                Some(&register) => {
                    self.emit(Instruction::with2(Code::Add_r64_rm64, register, Register::RAX))?;
                }
                None => {
                    let kept = self.kept_cursor(slot);
                    self.emit(Instruction::with2(Code::Add_rm64_r64, kept, Register::RAX))?;
                }
            }
        }
        Ok(())
    }

    fn placed(&mut self, placed: &Placed) -> Done {
        self.origins.push((self.at as u32, placed.origin));
        let mut made = Instruction::new();
        made.set_code(placed.code);
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
        self.emit(Ok(made))
    }
}

/// A field of an operand's cursor.
fn cursor(operand: usize, field: i32) -> MemoryOperand {
    let at = operand as i64 * i64::from(offsets::CURSOR) + i64::from(field);
    MemoryOperand::with_base_displ(Register::RDX, at)
}
