//! Machine code, decoded once.

use crate::processor::Fault;
use crate::vector::{self, Lanewise};
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

/// An instruction, with what is known before it runs.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) instruction: Instruction,
    /// What it does to each lane, if it does nothing else.
    pub(crate) lanewise: Option<Lanewise>,
    /// Indices of the next step, and of the step it may jump to.
    pub(crate) next: usize,
    pub(crate) target: usize,
}

impl Step {
    pub(crate) fn alone(instruction: Instruction) -> Step {
        Step {
            instruction,
            lanewise: vector::lanes_of(&instruction),
            next: usize::MAX,
            target: usize::MAX,
        }
    }
}

/// The instructions of a function that are reachable from its first byte.
#[derive(Clone, Debug)]
pub struct Decoded {
    steps: Vec<Step>,
    stack: usize,
}

impl Decoded {
    /// Decodes a function.
    pub fn decode(code: &[u8]) -> Result<Decoded, Fault> {
        let outside = |at: u64| Fault {
            at,
            instruction: String::new(),
            what: format!("there are {} bytes of code", code.len()),
        };
        // For each byte where an instruction begins, the index of its step.
        let mut numbers = vec![usize::MAX; code.len()];
        let mut steps: Vec<Step> = Vec::new();
        let mut pending = vec![0];
        while let Some(start) = pending.pop() {
            let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
            decoder.set_position(start as usize).map_err(|_| outside(start))?;
            decoder.set_ip(start);
            loop {
                let number =
                    numbers.get_mut(decoder.position()).ok_or_else(|| outside(decoder.ip()))?;
                if *number != usize::MAX {
                    break;
                }
                *number = steps.len();
                let instruction = decoder.decode();
                if instruction.code() == Code::INVALID {
                    return Err(Fault::new(&instruction, "is no instruction"));
                }
                steps.push(Step::alone(instruction));
                if instruction.op0_kind() == OpKind::NearBranch64 {
                    pending.push(instruction.near_branch_target());
                }
                let ends = [FlowControl::UnconditionalBranch, FlowControl::Return];
                if ends.contains(&instruction.flow_control()) {
                    break;
                }
            }
        }
        let place = |at: u64| numbers.get(at as usize).copied().unwrap_or(usize::MAX);
        for step in &mut steps {
            step.next = place(step.instruction.next_ip());
            if step.instruction.op0_kind() == OpKind::NearBranch64 {
                step.target = place(step.instruction.near_branch_target());
            }
        }
        let frame = |step: &Step| {
            let i = &step.instruction;
            let grows = i.mnemonic() == Mnemonic::Sub && i.op0_register() == Register::RSP;
            if grows { i.immediate32() as usize } else { 0 }
        };
        // Pushed registers come on top of the frame.
        let stack = steps.iter().map(frame).sum::<usize>() + 1024;
        Ok(Decoded { steps, stack })
    }

    /// Its instructions, in the order they were found.
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
