//! The loops over the elements of a row.

use super::super::isa::Isa;
use super::bound::{At, Bound, Held, Operand};
use super::{Allocation, CURSORS, Done, Item, Joined, Loops, Writer, cursor, field, offsets};
use crate::vir::{LONG_ROW, TURNS, Turn};
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register};

/// Bytes of a line of a cache.
const LINE: usize = 64;
/// How many bytes before it is stored memory is asked for a result, and how many rows of one iteration. Any from 128
/// bytes to 4 KiB, and from 1 to 8 rows, take the same time on a Xeon 6.
const BEFORE: i64 = 512;
const ROWS_BEFORE: u32 = 2;

/// What is left to be written of loops that handle most rows whole.
pub(super) struct Unfinished<'a> {
    /// The jump from them where a row has too few elements, and where it has more.
    few: usize,
    more: usize,
    /// Where a row is finished.
    finished: u64,
    loops: &'a Loops,
    bound: &'a Bound,
}

/// A cold region, written after the loops.
struct ColdRegion<'a> {
    /// The jump to it.
    jump: usize,
    items: &'a [Item],
    /// Where the hot path continues.
    join: u64,
    bound: &'a Bound,
}

/// A loop over rows of as many elements as it has lanes.
struct WholeRows<'a> {
    /// The jump to it.
    jump: usize,
    row: &'a Allocation,
    /// Where it goes on after the last one.
    done: u64,
    bound: &'a Bound,
}

/// What asks memory for results of an iteration.
struct Asks<'a> {
    /// The jump to it.
    jump: usize,
    /// Where the iteration continues.
    join: u64,
    lanes: usize,
    /// Whether the iteration is a row.
    is_row: bool,
    bound: &'a Bound,
}

/// The cursor of each result that memory is asked for, the register of its address, and the bytes of an element.
fn asked(bound: &Bound) -> impl Iterator<Item = (usize, usize, u32)> {
    bound.outputs.iter().filter_map(|output| match (output.at, output.held) {
        _ if output.is_kept || output.is_realigned => None,
        (At::Cursor(operand), Held::Register(held)) => Some((operand, held, output.size)),
        _ => None,
    })
}

/// What is written after everything else.
#[derive(Default)]
pub(super) struct Later<'a> {
    asks: Vec<Asks<'a>>,
    cold: Vec<ColdRegion<'a>>,
    unfinished: Vec<Unfinished<'a>>,
    whole: Vec<WholeRows<'a>>,
    /// Jumps, and their targets.
    pub(super) patches: Vec<(usize, u64)>,
}

impl<'a> Later<'a> {
    /// Has such a loop written.
    pub(super) fn whole(&mut self, jump: usize, row: &'a Allocation, done: u64, bound: &'a Bound) {
        self.whole.push(WholeRows { jump, row, done, bound });
    }
}

impl<'a> Writer<'a> {
    /// Loads what all rows share, before the first of them.
    pub(super) fn load_shared(&mut self, loops: &Loops, join: Option<&Joined>) -> Done {
        self.shared = loops.shared(join);
        let before = &loops.full[0].prologue;
        self.straight(&before[before.len() - self.shared..])
    }

    /// The elements of a row, or of a block of one.
    pub(super) fn elements(&mut self, loops: &'a Loops, later: &mut Later<'a>) -> Done {
        let [start, finish] = &loops.around;
        let (main, others) = loops.full.split_first().expect("there is a loop");
        let vectors = main.lanes / loops.vector();
        if main.whole.is_empty() {
            self.straight(&start.items)?;
            let few = self.iterations(main, vectors, self.shared, later)?;
            self.straight(&main.epilogue)?;
            later.patches.push((few, self.at));
            self.no_limit(main)?;
            self.rest(others, loops, later)?;
            return self.straight(&finish.items);
        }
        let few = self.iterations(main, vectors, self.shared, later)?;
        self.no_limit(main)?;
        self.emit(Instruction::with2(Code::Cmp_r64_rm64, Register::R9, Register::RDI))?;
        let more = self.jump(Code::Jne_rel32_64)?;
        self.straight(&main.whole)?;
        let (finished, bound) = (self.at, self.bound);
        later.unfinished.push(Unfinished { few, more, finished, loops, bound });
        Ok(())
    }

    /// The jump that is taken where rows have as many elements as an iteration handles.
    pub(super) fn is_row(&mut self, row: &Allocation) -> Result<usize, IcedError> {
        let n = field(offsets::N);
        self.emit(Instruction::with2(Code::Cmp_rm64_imm32, n, row.lanes as i32))?;
        self.jump(Code::Je_rel32_64)
    }

    /// A loop over such rows, and the code before it.
    fn whole_rows(&mut self, row: &'a Allocation, done: u64, later: &mut Later<'a>) -> Done {
        let has_tiles = self.operands.has_tiles;
        if has_tiles {
            self.first_row()?;
        }
        self.straight(&row.prologue)?;
        self.pad_to(64)?;
        let top = self.at;
        self.load_cursors()?;
        self.run_ahead(row.lanes, row.lanes >= LONG_ROW, later)?;
        self.ask_for_results(row.lanes, true, later)?;
        self.body(&row.items, later)?;
        if has_tiles {
            self.next_row(1, top)?;
            return self.emit(Instruction::with_branch(Code::Jmp_rel32_64, done));
        }
        self.emit(Instruction::with2(Code::Sub_rm64_imm8, field(offsets::ROWS), 1))?;
        self.emit(Instruction::with_branch(Code::Je_rel32_64, done))?;
        self.next_rows(top)
    }

    /// Whether what is being written stores some elements first: its stores may bypass the caches, for which
    /// vectors must be aligned. Stripes of folds begin where rows do.
    pub(super) fn has_head(&self) -> bool {
        let mut outputs = self.bound.outputs.iter();
        self.operands.has_tiles
            && self.bound.folds.is_empty()
            && outputs.any(|output| matches!(output.at, At::Cursor(_)) && !output.is_kept)
    }

    /// A masked iteration for the first elements.
    pub(super) fn head(&mut self, loops: &'a Loops, later: &mut Later<'a>) -> Done {
        let Some(tail) = &loops.tail else { return Ok(()) };
        let head = field(offsets::HEAD);
        self.load_word(Register::RDI, head)?;
        self.emit(Instruction::with2(Code::Cmp_rm64_imm8, Register::RDI, 0))?;
        let skip = self.jump(Code::Jle_rel32_64)?;
        self.masked(tail, later)?;
        for input in &self.bound.inputs {
            if matches!(input.at, At::Number(_)) || input.is_scalar {
                continue;
            }
            let (code, size) = (Code::Imul_r64_rm64_imm8, input.size as i32);
            self.emit(Instruction::with3(code, Register::RAX, Register::RDI, size))?;
            self.add_to(input.held)?;
        }
        self.emit(Instruction::with2(Code::Mov_r64_rm64, Register::R9, Register::RDI))?;
        later.patches.push((skip, self.at));
        Ok(())
    }

    /// What was left for later.
    pub(super) fn finish(&mut self, later: &mut Later<'a>) -> Done {
        for unfinished in std::mem::take(&mut later.unfinished) {
            self.bound = unfinished.bound;
            self.unfinished(unfinished, later)?;
        }
        for WholeRows { jump, row, done, bound } in std::mem::take(&mut later.whole) {
            self.bound = bound;
            later.patches.push((jump, self.at));
            self.whole_rows(row, done, later)?;
        }
        for asks in std::mem::take(&mut later.asks) {
            later.patches.push((asks.jump, self.at));
            self.asks(&asks)?;
        }
        for ColdRegion { jump, items, join, bound } in std::mem::take(&mut later.cold) {
            self.bound = bound;
            later.patches.push((jump, self.at));
            self.straight(items)?;
            self.emit(Instruction::with_branch(Code::Jmp_rel32_64, join))?;
        }
        Ok(())
    }

    /// What rows that are not handled whole need, in their place.
    fn unfinished(&mut self, unfinished: Unfinished<'a>, later: &mut Later<'a>) -> Done {
        let Unfinished { few, more, finished, loops, .. } = unfinished;
        let [start, finish] = &loops.around;
        let (main, others) = loops.full.split_first().expect("there is a loop");
        later.patches.push((more, self.at));
        self.straight(&main.epilogue)?;
        let rest = self.jump(Code::Jmp_rel32_64)?;
        later.patches.push((few, self.at));
        self.no_limit(main)?;
        self.straight(&start.items)?;
        later.patches.push((rest, self.at));
        self.rest(others, loops, later)?;
        self.straight(&finish.items)?;
        self.emit(Instruction::with_branch(Code::Jmp_rel32_64, finished))
    }

    /// The loops after the first one.
    fn rest(&mut self, full: &'a [Allocation], loops: &'a Loops, later: &mut Later<'a>) -> Done {
        for each in full {
            let skip = self.iterations(each, each.lanes / loops.vector(), 0, later)?;
            self.straight(&each.epilogue)?;
            later.patches.push((skip, self.at));
            self.no_limit(each)?;
        }
        if let Some(tail) = &loops.tail {
            let skip = self.tail(tail, later)?;
            later.patches.push((skip, self.at));
        }
        Ok(())
    }

    /// Makes `rdi` the number of elements again after a loop: it was the last index with enough elements
    /// for an iteration.
    fn no_limit(&mut self, each: &Allocation) -> Done {
        self.emit(Instruction::with2(Code::Add_rm64_imm32, Register::RDI, each.lanes as i32))
    }

    /// A loop whose iterations handle some vectors each, and the code before it but what all rows `shared`.
    /// Returns the jump over it, which is taken if there are too few elements for an iteration.
    fn iterations(
        &mut self,
        each: &'a Allocation,
        vectors: usize,
        shared: usize,
        later: &mut Later<'a>,
    ) -> Result<usize, IcedError> {
        let lanes = each.lanes as i32;
        self.emit(Instruction::with2(Code::Sub_rm64_imm32, Register::RDI, lanes))?;
        self.emit(Instruction::with2(Code::Cmp_r64_rm64, Register::R9, Register::RDI))?;
        let skip = self.jump(Code::Jg_rel32_64)?;
        self.straight(&each.prologue[..each.prologue.len() - shared])?;
        // A loop that starts in the middle of a line costs one more fetch per iteration.
        self.pad_to(64)?;
        let top = self.at;
        self.run_ahead(each.lanes, true, later)?;
        self.ask_for_results(each.lanes, false, later)?;
        self.body(&each.items, later)?;
        self.advance(vectors)?;
        self.emit(Instruction::with2(Code::Add_rm64_imm32, Register::R9, lanes))?;
        self.emit(Instruction::with2(Code::Cmp_r64_rm64, Register::R9, Register::RDI))?;
        self.emit(Instruction::with_branch(Code::Jle_rel32_64, top))?;
        Ok(skip)
    }

    /// Asks memory for as many elements of a later row as an iteration handles, or for the
    /// [turn](Turn) of a step where rows may be long. How many rows later, the call says: if none, nothing is asked
    /// for.
    fn run_ahead(&mut self, lanes: usize, may_be_long: bool, later: &mut Later<'a>) -> Done {
        let turn = |input: &Operand| input.turn.filter(|_| may_be_long);
        let asks = |input: &&Operand| input.runs_ahead || turn(input).is_some();
        let bound = self.bound;
        if !bound.inputs.iter().any(|input| asks(&input)) {
            return Ok(());
        }
        // What most rows need not do should take one jump: they are short.
        let is_of_long = !bound.inputs.iter().any(|input| input.runs_ahead);
        let is_short = if is_of_long { Some(self.is_short()?) } else { None };
        let rows = field(offsets::AHEAD);
        self.emit(Instruction::with2(Code::Cmp_rm64_imm8, rows, 0))?;
        let none = self.jump(Code::Je_rel32_64)?;
        for input in bound.inputs.iter().filter(asks) {
            let (At::Cursor(operand), Held::Register(held)) = (input.at, input.held) else {
                continue;
            };
            let (base, size) = (CURSORS[held], input.size as usize);
            let lines = (lanes * size).div_ceil(LINE);
            let mut done = None;
            if let Some(turn) = turn(input) {
                let is_short = if is_of_long { None } else { Some(self.is_short()?) };
                self.ask_in_turn(turn, operand, size, lines)?;
                if input.runs_ahead {
                    done = Some(self.jump(Code::Jmp_rel32_64)?);
                }
                later.patches.extend(is_short.map(|is_short| (is_short, self.at)));
            }
            if input.runs_ahead {
                self.load_word(Register::RAX, cursor(operand, offsets::ROW))?;
                self.emit(Instruction::with2(Code::Imul_r64_rm64, Register::RAX, rows))?;
                self.ask(Code::Prefetcht0_m8, lines, |at| {
                    MemoryOperand::with_base_index_scale_displ_size(base, Register::RAX, 1, at, 1)
                })?;
            }
            later.patches.extend(done.map(|done| (done, self.at)));
        }
        later.patches.extend([Some(none), is_short].into_iter().flatten().map(|at| (at, self.at)));
        Ok(())
    }

    /// Asks memory for what as many elements of results as an iteration handles will be stored over, a little later or
    /// in later rows, if the call says so. A store that misses the caches waits for memory, and the next ones wait
    /// behind it: few are under way at a time, and loads of what lies as far into a page as one of them wait, too.
    fn ask_for_results(&mut self, lanes: usize, is_row: bool, later: &mut Later<'a>) -> Done {
        let bound = self.bound;
        if !self.operands.has_tiles || asked(bound).next().is_none() {
            return Ok(());
        }
        // In a cache, rows are so soon done that a jump is felt.
        self.emit(Instruction::with2(Code::Cmp_rm64_imm8, field(offsets::RESULTS), 0))?;
        let jump = self.jump(Code::Jne_rel32_64)?;
        later.asks.push(Asks { jump, join: self.at, lanes, is_row, bound });
        Ok(())
    }

    /// The code for that, in its place.
    fn asks(&mut self, asks: &Asks<'a>) -> Done {
        for (operand, held, size) in asked(asks.bound) {
            let lines = (asks.lanes * size as usize).div_ceil(LINE);
            let (index, scale, first) = match asks.is_row {
                true => {
                    self.load_word(Register::RAX, cursor(operand, offsets::ROW))?;
                    (Register::RAX, ROWS_BEFORE, 0)
                }
                false => (Register::R9, size, BEFORE),
            };
            self.ask(Code::Prefetchw_m8, lines, |at| {
                let (base, at) = (CURSORS[held], first + at);
                MemoryOperand::with_base_index_scale_displ_size(base, index, scale, at, 1)
            })?;
        }
        self.emit(Instruction::with_branch(Code::Jmp_rel32_64, asks.join))
    }

    /// The jump that is taken where rows are not long.
    fn is_short(&mut self) -> Result<usize, IcedError> {
        let n = field(offsets::N);
        self.emit(Instruction::with2(Code::Cmp_rm64_imm32, n, LONG_ROW as i32))?;
        self.jump(Code::Jl_rel32_64)
    }

    /// Asks memory for so many lines.
    fn ask(&mut self, by: Code, lines: usize, line: impl Fn(i64) -> MemoryOperand) -> Done {
        (0..lines).try_for_each(|at| self.emit(Instruction::with1(by, line((at * LINE) as i64))))
    }

    /// Asks memory for what is the turn of a step, while an iteration handles so many lines.
    fn ask_in_turn(&mut self, turn: Turn, operand: usize, size: usize, lines: usize) -> Done {
        let (address, n) = (Register::RAX, field(offsets::N));
        let [base, row] = [offsets::BASE, offsets::ROW].map(|field| cursor(operand, field));
        self.load_word(address, row)?;
        self.emit(Instruction::with2(Code::Imul_r64_rm64, address, field(offsets::AHEAD)))?;
        self.emit(Instruction::with2(Code::Add_r64_rm64, address, base))?;
        // Parts are as many bytes as elements, or a multiple of that.
        let times = size / TURNS;
        for _ in 0..times * usize::from(turn.first) {
            self.emit(Instruction::with2(Code::Add_r64_rm64, address, n))?;
        }
        for _ in 0..times * usize::from(turn.count) {
            self.emit(Instruction::with2(Code::Add_r64_rm64, address, Register::R9))?;
        }
        let lines = (lines * usize::from(turn.count)).div_ceil(TURNS);
        self.ask(Code::Prefetcht0_m8, lines, |at| MemoryOperand::with_base_displ(address, at))
    }

    /// A loop of masked iterations for all remaining elements. Returns the jump over it.
    fn tail(&mut self, each: &'a Allocation, later: &mut Later<'a>) -> Result<usize, IcedError> {
        let lanes = each.lanes as i32;
        self.emit(Instruction::with2(Code::Sub_r64_rm64, Register::RDI, Register::R9))?;
        let skip = self.jump(Code::Jle_rel32_64)?;
        let top = self.at;
        self.masked(each, later)?;
        self.advance(1)?;
        self.emit(Instruction::with2(Code::Add_rm64_imm32, Register::R9, lanes))?;
        self.emit(Instruction::with2(Code::Sub_rm64_imm32, Register::RDI, lanes))?;
        self.emit(Instruction::with_branch(Code::Jg_rel32_64, top))?;
        Ok(skip)
    }

    /// An iteration for as many elements as `rdi` says.
    fn masked(&mut self, each: &'a Allocation, later: &mut Later<'a>) -> Done {
        if self.isa == Isa::Avx512 {
            // As many low bits as elements are left. `bzhi` reads only 8 bits of the count; the
            // wide loop leaves at most 127.
            self.emit(Instruction::with2(Code::Mov_r32_imm32, Register::EAX, -1))?;
            let (code, bits) = (Code::VEX_Bzhi_r32_rm32_r32, Register::EAX);
            self.emit(Instruction::with3(code, bits, bits, Register::EDI))?;
        }
        self.masked = Some(each.lanes);
        self.body(&each.items, later)?;
        self.masked = None;
        Ok(())
    }

    /// The instructions of an iteration, except cold regions, which are deferred.
    pub(super) fn body(&mut self, mut items: &'a [Item], later: &mut Later<'a>) -> Done {
        while let Some(start) = items.iter().position(|item| matches!(item, Item::ColdStart)) {
            self.straight(&items[..start])?;
            let inside = &items[start + 1..];
            let len = inside.iter().position(|item| matches!(item, Item::ColdEnd));
            let (region, after) = inside.split_at(len.expect("a region ends"));
            let jump = self.jump(Code::Jne_rel32_64)?;
            later.cold.push(ColdRegion { jump, items: region, join: self.at, bound: self.bound });
            items = &after[1..];
        }
        self.straight(items)
    }

    pub(super) fn straight(&mut self, items: &[Item]) -> Done {
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

    /// The end of an iteration: advances by some vectors.
    fn advance(&mut self, vectors: usize) -> Done {
        for input in &self.bound.inputs {
            let At::Cursor(operand) = input.at else { continue };
            if input.is_scalar {
                continue;
            }
            let step = cursor(operand, offsets::STEP);
            match (input.held, vectors) {
                (Held::Register(held), 1) => {
                    self.emit(Instruction::with2(Code::Add_r64_rm64, CURSORS[held], step))?;
                    continue;
                }
                (_, 1) => self.load_word(Register::RAX, step)?,
                _ => {
                    let (code, vectors) = (Code::Imul_r64_rm64_imm8, vectors as i32);
                    self.emit(Instruction::with3(code, Register::RAX, step, vectors))?;
                }
            }
            self.add_to(input.held)?;
        }
        Ok(())
    }

    /// Moves the address of an input by `rax` bytes.
    fn add_to(&mut self, held: Held) -> Done {
        match held {
            Held::Register(held) => {
                self.emit(Instruction::with2(Code::Add_r64_rm64, CURSORS[held], Register::RAX))
            }
            Held::Frame(index) => {
                let kept = self.kept_cursor(index);
                self.emit(Instruction::with2(Code::Add_rm64_r64, kept, Register::RAX))
            }
            Held::Nowhere => Ok(()),
        }
    }
}
