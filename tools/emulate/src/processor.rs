//! The registers, and the execution of instructions one by one.

use crate::decoded::{Decoded, Step};
use crate::memory::{Memory, Outside};
use crate::{general, mask, shuffle, vector};
use iced_x86::{Formatter, Instruction, NasmFormatter, OpKind, Register, RoundingControl};
use std::fmt;

/// A vector register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector(pub [u8; 64]);

impl Vector {
    /// All bits clear.
    pub const ZERO: Vector = Vector([0; 64]);

    /// A lane of 8, 16, 32 or 64 bits.
    #[inline]
    pub(crate) fn lane(&self, bits: usize, at: usize) -> u64 {
        let size = bits / 8;
        let mut word = [0; 8];
        word[..size].copy_from_slice(&self.0[at * size..(at + 1) * size]);
        u64::from_le_bytes(word)
    }

    #[inline]
    pub(crate) fn set_lane(&mut self, bits: usize, at: usize, value: u64) {
        let size = bits / 8;
        self.0[at * size..(at + 1) * size].copy_from_slice(&value.to_le_bytes()[..size]);
    }
}

/// The flags; one that an instruction leaves undefined is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are called so")]
pub struct Flags {
    pub carry: Option<bool>,
    pub zero: Option<bool>,
    pub sign: Option<bool>,
    pub overflow: Option<bool>,
}

/// A processor in 64-bit mode, as far as Kiln's code needs it.
#[derive(Clone, Debug)]
pub struct Processor {
    /// `zmm0` to `zmm31`.
    pub vectors: [Vector; 32],
    /// `k0` to `k7`.
    pub masks: [u64; 8],
    /// `rax`, `rcx`, `rdx`, `rbx`, `rsp`, `rbp`, `rsi`, `rdi`, `r8` to `r15`.
    pub general: [u64; 16],
    /// The flags.
    pub flags: Flags,
    /// Memory.
    pub memory: Memory,
    /// The addresses that it was asked for before they are read.
    pub asked: Vec<u64>,
}

/// Something that the machine would not have done, or that is not supported here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The offset of the instruction in its routine.
    pub at: u64,
    /// The instruction as text.
    pub instruction: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} `{}`: {}", self.at, self.instruction, self.what)
    }
}

impl std::error::Error for Fault {}

impl Fault {
    pub(crate) fn new(instruction: &Instruction, what: impl Into<String>) -> Fault {
        let mut text = String::new();
        NasmFormatter::new().format(instruction, &mut text);
        Fault { at: instruction.ip(), instruction: text, what: what.into() }
    }
}

/// Why an instruction was not executed.
#[derive(Debug)]
pub(crate) enum Refusal {
    Outside(Outside),
    What(String),
    /// The instruction is not supported.
    Unknown,
}

impl From<Outside> for Refusal {
    fn from(outside: Outside) -> Refusal {
        Refusal::Outside(outside)
    }
}

pub(crate) fn refuse<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::What(what.into()))
}

/// The return address of a routine.
const RETURN: u64 = 0xdead_beef_0000;
/// More instructions than any test runs.
const MOST_STEPS: u64 = 4_000_000_000;

impl Processor {
    /// A processor with `memory`, its registers full of leftovers: NaN bits that are no valid mask.
    pub fn new(memory: Memory) -> Processor {
        Processor {
            vectors: [Vector([0xf7; 64]); 32],
            masks: [0x5a5a_5a5a_5a5a_5a5a; 8],
            general: [0xbad0_bad0_bad0_bad0; 16],
            flags: Flags::default(),
            memory,
            asked: Vec::new(),
        }
    }

    /// Calls `routine` as System V functions are called, with up to six integers.
    pub fn call(&mut self, routine: &Decoded, arguments: &[u64]) -> Result<(), Fault> {
        const ARGUMENTS: [Register; 6] = [
            Register::RDI,
            Register::RSI,
            Register::RDX,
            Register::RCX,
            Register::R8,
            Register::R9,
        ];
        const KEPT: [Register; 6] = [
            Register::RBX,
            Register::RBP,
            Register::R12,
            Register::R13,
            Register::R14,
            Register::R15,
        ];
        let stack =
            self.memory.add("the stack", vec![0xf7; routine.stack()], 0, crate::Access::ReadWrite);
        let top = self.memory.address(stack) + routine.stack() as u64;
        for (register, &value) in ARGUMENTS.iter().zip(arguments) {
            self.general[register.number()] = value;
        }
        // Aligned to 16 before the call pushed the return address.
        let pushed = (top - 64) / 16 * 16 - 8;
        self.general[Register::RSP.number()] = pushed;
        self.memory.write(pushed, &RETURN.to_le_bytes()).expect("the stack has room");
        let kept = KEPT.map(|register| self.general[register.number()]);

        let mut at = 0;
        for _ in 0..MOST_STEPS {
            let step = routine.step(at).expect("execution stays among decoded instructions");
            match self.step(step)? {
                Next::Step(next) => at = next,
                Next::Return(RETURN) => {
                    let preserved = KEPT.map(|register| self.general[register.number()]) == kept;
                    let back = self.general[Register::RSP.number()] == pushed + 8;
                    return match preserved && back {
                        true => Ok(()),
                        false => {
                            Err(Fault::new(&step.instruction, "loses a register of the caller's"))
                        }
                    };
                }
                Next::Return(to) => {
                    return Err(Fault::new(&step.instruction, format!("returns to {to:#x}")));
                }
            }
        }
        let step = routine.step(at).expect("as above");
        Err(Fault::new(&step.instruction, "does not end"))
    }

    /// Executes one instruction, which must not be a jump.
    pub fn execute(&mut self, instruction: &Instruction) -> Result<(), Fault> {
        self.step(&Step::alone(*instruction)).map(|_| ())
    }

    fn step(&mut self, step: &Step) -> Result<Next, Fault> {
        let instruction = &step.instruction;
        self.dispatch(step).map_err(|refusal| match refusal {
            Refusal::Outside(outside) => Fault::new(instruction, outside.to_string()),
            Refusal::What(what) => Fault::new(instruction, what),
            Refusal::Unknown => {
                Fault::new(instruction, format!("{:?} is not known here", instruction.code()))
            }
        })
    }

    fn dispatch(&mut self, step: &Step) -> Result<Next, Refusal> {
        let i = &step.instruction;
        // A rounding direction other than the environment's.
        if i.rounding_control() != RoundingControl::None || i.suppress_all_exceptions() {
            return Err(Refusal::Unknown);
        }
        if let Some(lanewise) = &step.lanewise {
            vector::lanewise(self, step, lanewise)?;
            return Ok(Next::Step(step.next));
        }
        for family in [vector::execute, shuffle::execute, mask::execute] {
            match family(self, i) {
                Err(Refusal::Unknown) => {}
                done => return done.map(|()| Next::Step(step.next)),
            }
        }
        general::execute(self, step)
    }

    /// The address of the memory operand, without the part that a vector of indices adds.
    pub(crate) fn address(&self, i: &Instruction) -> u64 {
        let value = |register: Register| match register {
            Register::None => 0,
            register if register.is_gpr64() => self.general[register.number()],
            // An index in a vector.
            _ => 0,
        };
        let index = value(i.memory_index()).wrapping_mul(u64::from(i.memory_index_scale()));
        value(i.memory_base()).wrapping_add(index).wrapping_add(i.memory_displacement64())
    }

    /// A vector register's contents.
    pub(crate) fn register(&self, i: &Instruction, operand: u32) -> Vector {
        self.vectors[i.op_register(operand).number()]
    }
}

/// What comes after an instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// The step at this index.
    Step(usize),
    /// The caller, at this address.
    Return(u64),
}

/// Whether an operand is in memory.
pub(crate) fn is_memory(i: &Instruction, operand: u32) -> bool {
    i.op_kind(operand) == OpKind::Memory
}

/// The bits of a vector register.
pub(crate) fn width(register: Register) -> usize {
    register.size() * 8
}
