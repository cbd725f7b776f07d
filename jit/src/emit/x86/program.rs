//! The machine program: processor instructions over virtual registers.
//!
//! `select` writes it, `allocate` gives each register a place. It is a straight line with cold
//! regions marked, in SSA form like the vector routine: each register is defined once.

use super::isa::{Class, Isa};
use super::opcode::Opcode;
use iced_x86::Code;

/// A virtual register, by its index in [`Function::classes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Reg(pub(super) u32);

/// Where a source comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// No source: the instruction has fewer.
    None,
    /// A register.
    Reg(Reg),
    /// Bytes of the pool, at an offset.
    Pool { at: i32 },
    /// A constant in every lane: a vector of the pool, or a scalar that the instruction broadcasts.
    Constant { at: i32, bits: u32 },
    /// An input's current vector, at a byte offset.
    Input { slot: u32, at: i32 },
    /// One element of the pool for each lane of `index`.
    Gather { index: Reg, at: i32, scale: u8 },
    /// Stripes of a fold, in the frame.
    Stripes(Stripes),
    /// What an output that is [realigned](super::realign) needs.
    Carry(Carry),
    /// The remaining elements: their number (AVX2), or a bit for each (AVX-512). Only the first
    /// instruction may read it.
    Left,
}

/// A vector of the stripes of a fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stripes {
    pub(super) fold: u32,
    /// A byte offset.
    pub(super) at: i32,
    /// Whether the offset is from the stripe of the iteration's first element, which is not always
    /// the first stripe.
    pub(super) moves: bool,
}

/// A vector that belongs to an output which is [realigned](super::realign).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carry {
    /// Which elements of two vectors become one.
    Index { output: u32 },
    /// The elements that wait for more.
    Waiting { output: u32 },
    /// Which elements of two vectors wait after those that are left of a row.
    After { output: u32 },
}

/// How operands and registers correspond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The result, then the sources.
    Plain,
    /// The result replaces the first source.
    Tied,
    /// `sources[0] * sources[1] + sources[2]`, by whichever of the forms 132, 213 and 231 fits.
    MultiplyAdd([Code; 3]),
    /// The result may share no register with a source.
    Apart,
    /// Every operand is the result's register, whose old value does not matter.
    Idiom,
    /// The result is `sources[0]`, a constant, or zero where a predicate says so.
    Splat,
    /// `sources[0]` goes to an output's current vector, at a byte offset.
    Store { output: u32, at: i32 },
    /// `sources[0]` becomes stripes of a fold.
    Keep(Stripes),
    /// Elements of `sources[0]` wait for more.
    Wait { output: u32 },
    /// The first lane of `sources[0]` is what is left of a row by a fold.
    Result { fold: u32 },
    /// A test of `sources`; the cold region up to the matching [`Form::ColdEnd`] runs unless
    /// it says "zero".
    ColdStart,
    /// The end of a cold region. No machine instruction.
    ColdEnd,
}

/// A machine instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inst {
    /// The encoder's name for it.
    pub(super) code: Code,
    /// How its operands correspond to registers.
    pub(super) form: Form,
    /// The register it defines.
    pub(super) def: Option<Reg>,
    /// Its sources.
    pub(super) sources: [Source; 3],
    /// The source that may be read from memory.
    pub(super) memory: Option<u8>,
    /// Its predicate.
    pub(super) mask: Option<Reg>,
    /// Whether lanes outside the predicate become zero.
    pub(super) zeroing: bool,
    /// Its immediate operand.
    pub(super) imm: Option<u8>,
    /// For each operand, the result first: how often its register is halved (`zmm` to `ymm` to
    /// `xmm`).
    pub(super) halved: [u8; 4],
    /// The vector routine's instruction that it came from; outputs are numbered after those.
    pub(super) origin: u32,
    /// Which of the vectors of an iteration it is for; what is for all, for the first.
    pub(super) part: u8,
}

impl Inst {
    /// An instruction that defines `def` from `sources`.
    pub(super) fn new(code: Code, def: impl Into<Option<Reg>>, sources: &[Source]) -> Inst {
        debug_assert_ne!(code, Code::INVALID, "the instruction set has no such instruction");
        let mut all = [Source::None; 3];
        all[..sources.len()].copy_from_slice(sources);
        Inst {
            code,
            form: Form::Plain,
            def: def.into(),
            sources: all,
            memory: None,
            mask: None,
            zeroing: false,
            imm: None,
            halved: [0; 4],
            origin: 0,
            part: 0,
        }
    }

    /// For the load of a row scalar: the input, and the register.
    pub(super) fn scalar(&self) -> Option<(u32, Reg)> {
        match (self.form, self.sources[0], self.def) {
            (Form::Splat, Source::Input { slot, .. }, Some(def)) => Some((slot, def)),
            _ => None,
        }
    }

    /// The registers that it reads.
    pub(super) fn reads(&self) -> impl Iterator<Item = Reg> + use<> {
        let of = |source: Source| match source {
            Source::Reg(reg) | Source::Gather { index: reg, .. } => Some(reg),
            _ => None,
        };
        self.sources.into_iter().filter_map(of).chain(self.mask)
    }

    pub(super) fn form(self, form: Form) -> Inst {
        Inst { form, ..self }
    }

    pub(super) fn imm(self, imm: u8) -> Inst {
        Inst { imm: Some(imm), ..self }
    }

    /// Source `index` may be read from memory.
    pub(super) fn memory(self, index: u8) -> Inst {
        Inst { memory: Some(index), ..self }
    }

    pub(super) fn mask(self, mask: Reg) -> Inst {
        Inst { mask: Some(mask), ..self }
    }

    pub(super) fn zeroing(self, mask: Reg) -> Inst {
        Inst { mask: Some(mask), zeroing: true, ..self }
    }

    pub(super) fn halved(self, halved: [u8; 4]) -> Inst {
        Inst { halved, ..self }
    }
}

/// A machine program.
#[derive(Clone, Debug)]
pub(super) struct Function {
    /// The instruction set it is written for.
    pub(super) isa: Isa,
    /// Elements that one iteration of the loop handles.
    pub(super) lanes: usize,
    /// Instructions before the loop: each defines a register that is never freed. Those that stripes
    /// are in are the only registers that are defined again, by the last instruction that reads them.
    pub(super) prologue: Vec<Inst>,
    /// The instructions of one iteration of the loop.
    pub(super) insts: Vec<Inst>,
    /// Instructions after the loop.
    pub(super) epilogue: Vec<Inst>,
    /// Instructions after the loop, instead of the epilogue, if it has handled a whole row: they finish
    /// folds whose stripes are in registers. Empty unless all are.
    pub(super) whole: Vec<Inst>,
    /// The class of each register.
    pub(super) classes: Vec<Class>,
}

impl Function {
    /// An empty one, which handles so many elements at a time.
    pub(super) fn new(isa: Isa, lanes: usize) -> Function {
        Function {
            isa,
            lanes,
            prologue: Vec::new(),
            insts: Vec::new(),
            epilogue: Vec::new(),
            whole: Vec::new(),
            classes: Vec::new(),
        }
    }

    /// Whether `inst` loads an input, which can be loaded again until outputs are written: they may
    /// be the same memory.
    pub(super) fn reloads(&self, inst: &Inst) -> bool {
        [32, 64].iter().any(|&bits| inst.code == Opcode::Load.code(self.isa, bits))
    }

    /// Where the first output is written, as an index of an instruction.
    pub(super) fn first_store(&self) -> u32 {
        let is_store = |inst: &Inst| matches!(inst.form, Form::Store { .. });
        self.insts.iter().position(is_store).unwrap_or(self.insts.len()) as u32
    }

    /// The position of the first of the instructions for a whole row: after all others.
    pub(super) fn whole_from(&self) -> usize {
        self.insts.len() + self.epilogue.len()
    }

    /// A new register.
    pub(super) fn reg(&mut self, class: Class) -> Reg {
        self.classes.push(class);
        Reg(self.classes.len() as u32 - 1)
    }
}

/// Moves between registers, and to and from the stack.
pub(super) fn move_code(isa: Isa, class: Class) -> Code {
    match class {
        Class::Vector => Opcode::Move.code(isa, 32),
        Class::Mask => Code::VEX_Kmovw_kr_km16,
    }
}

/// Stores to the stack.
pub(super) fn spill_code(isa: Isa, class: Class) -> Code {
    match class {
        Class::Vector => Opcode::Store.code(isa, 32),
        Class::Mask => Code::VEX_Kmovw_m16_kr,
    }
}
