//! Machine code, decoded once.

use crate::processor::Fault;
use crate::vector::{self, Lanewise};
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};
use std::collections::BTreeMap;

/// An instruction with what is known before it runs.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) instruction: Instruction,
    /// What it does to each lane, if that is all it does.
    pub(crate) lanewise: Option<Lanewise>,
    /// Indices of the next step, and of the one that it may jump to.
    pub(crate) next: usize,
    pub(crate) target: usize,
}

impl Step {
    pub(crate) fn alone(instruction: Instruction) -> Step {
        Step { instruction, lanewise: vector::lanes_of(&instruction), next: 0, target: 0 }
    }
}

/// The instructions of a function that can be reached from its first byte.
#[derive(Clone, Debug)]
pub struct Routine {
    steps: Vec<Step>,
    stack: usize,
}

impl Routine {
    /// Decodes a function.
    pub fn decode(code: &[u8]) -> Result<Routine, Fault> {
        let mut found: BTreeMap<u64, Instruction> = BTreeMap::new();
        let mut pending = vec![0];
        while let Some(start) = pending.pop() {
            let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
            let outside = |at: u64| Fault {
                at,
                instruction: String::new(),
                what: format!("there are {} bytes of code", code.len()),
            };
            decoder.set_position(start as usize).map_err(|_| outside(start))?;
            decoder.set_ip(start);
            while !found.contains_key(&decoder.ip()) {
                if !decoder.can_decode() {
                    return Err(outside(decoder.ip()));
                }
                let instruction = decoder.decode();
                if instruction.code() == Code::INVALID {
                    return Err(Fault::new(&instruction, "is no instruction"));
                }
                found.insert(instruction.ip(), instruction);
                if instruction.op0_kind() == OpKind::NearBranch64 {
                    pending.push(instruction.near_branch_target());
                }
                let ends = [FlowControl::UnconditionalBranch, FlowControl::Return];
                if ends.contains(&instruction.flow_control()) {
                    break;
                }
            }
        }
        let index: BTreeMap<u64, usize> = found.keys().copied().zip(0..).collect();
        let place = |at: u64| index.get(&at).copied().unwrap_or(usize::MAX);
        let step = |instruction: &Instruction| Step {
            next: place(instruction.next_ip()),
            target: match instruction.op0_kind() {
                OpKind::NearBranch64 => place(instruction.near_branch_target()),
                _ => usize::MAX,
            },
            ..Step::alone(*instruction)
        };
        let steps: Vec<Step> = found.values().map(step).collect();
        let frame = |step: &Step| {
            let i = &step.instruction;
            let grows = i.mnemonic() == Mnemonic::Sub && i.op0_register() == Register::RSP;
            if grows { i.immediate32() as usize } else { 0 }
        };
        // Besides the frame there are pushed registers.
        let stack = steps.iter().map(frame).sum::<usize>() + 1024;
        Ok(Routine { steps, stack })
    }

    /// Its instructions, in order of their addresses.
    pub fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.steps.iter().map(|step| &step.instruction)
    }

    pub(crate) fn step(&self, at: usize) -> Option<&Step> {
        self.steps.get(at)
    }

    /// Bytes of stack that it needs.
    pub(crate) fn stack(&self) -> usize {
        self.stack
    }
}
