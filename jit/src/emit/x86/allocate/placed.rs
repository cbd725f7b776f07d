//! An allocation: instructions with every operand in place.

use super::super::program::{Carry, Stripes};
use iced_x86::Code;

/// An operand with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emit::x86) enum Place {
    None,
    Vector(u8),
    Mask(u8),
    /// The general register that holds how many elements are left.
    Left,
    Memory(Address),
}

/// A memory operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::emit::x86) enum Address {
    Pool {
        at: i32,
        repeated: bool,
    },
    Input {
        slot: u32,
        at: i32,
    },
    Output {
        output: u32,
        at: i32,
    },
    /// Stripes of a fold.
    Stripes(Stripes),
    Carry(Carry),
    /// What is left of a row by a fold.
    Result {
        fold: u32,
    },
    /// A place of the stack frame, as large as a vector.
    Stack(u32),
    Gather {
        index: u8,
        at: i32,
        scale: u8,
    },
}

/// An instruction with every operand in place, the result first.
#[derive(Clone, Copy, Debug)]
pub(in crate::emit::x86) struct Placed {
    pub(in crate::emit::x86) code: Code,
    pub(in crate::emit::x86) operands: [Place; 4],
    pub(in crate::emit::x86) halved: [u8; 4],
    /// The predicate; 0 for none.
    pub(in crate::emit::x86) mask: u8,
    pub(in crate::emit::x86) zeroing: bool,
    pub(in crate::emit::x86) imm: Option<u8>,
    pub(in crate::emit::x86) origin: u32,
}

/// The placed program.
#[derive(Clone, Copy, Debug)]
pub(in crate::emit::x86) enum Item {
    Inst(Placed),
    /// The cold region that follows runs unless the flags say "zero".
    ColdStart,
    ColdEnd,
}

/// What the encoder needs.
#[derive(Clone, Debug)]
pub(in crate::emit::x86) struct Allocation {
    /// Elements that one iteration of the loop handles.
    pub(in crate::emit::x86) lanes: usize,
    /// Instructions that run once, before the loop.
    pub(in crate::emit::x86) prologue: Vec<Item>,
    pub(in crate::emit::x86) items: Vec<Item>,
    /// Instructions that run once, after the loop.
    pub(in crate::emit::x86) epilogue: Vec<Item>,
    /// Those that run instead if the loop has handled a whole row; empty if there are none.
    pub(in crate::emit::x86) whole: Vec<Item>,
    /// Places of the stack frame.
    pub(in crate::emit::x86) slots: u32,
}

impl Allocation {
    /// The numbers of the vector registers that it names.
    pub(in crate::emit::x86) fn vectors(&self) -> impl Iterator<Item = u8> {
        let all = placed(&self.prologue).chain(self.after_prologue());
        all.flat_map(|placed| placed.operands).filter_map(|place| match place {
            Place::Vector(number) => Some(number),
            Place::Memory(Address::Gather { index, .. }) => Some(index),
            _ => None,
        })
    }

    /// The numbers of those that the loop changes, or what follows it.
    pub(in crate::emit::x86) fn results(&self) -> impl Iterator<Item = u8> {
        self.after_prologue().filter_map(|placed| match placed.operands[0] {
            Place::Vector(number) => Some(number),
            _ => None,
        })
    }

    fn after_prologue(&self) -> impl Iterator<Item = &Placed> {
        [&self.items, &self.epilogue, &self.whole].into_iter().flat_map(|items| placed(items))
    }
}

fn placed(items: &[Item]) -> impl Iterator<Item = &Placed> {
    items.iter().filter_map(|item| match item {
        Item::Inst(placed) => Some(placed),
        Item::ColdStart | Item::ColdEnd => None,
    })
}
