//! Instructions on `k` registers, and tests that set flags.

use crate::general;
use crate::processor::{Flags, Processor, Refusal, is_memory};
use iced_x86::{Instruction, Mnemonic, Register};

pub(crate) fn execute(p: &mut Processor, i: &Instruction) -> Result<(), Refusal> {
    let k = |p: &Processor, operand: u32| p.masks[i.op_register(operand).number()];
    let low = |bits: u32| u64::MAX >> (64 - bits);
    let (a, b) = match i.op_count() {
        2 if i.op1_register().is_k() && i.op0_register().is_k() => (k(p, 0), k(p, 1)),
        3 if i.op2_register().is_k() => (k(p, 1), k(p, 2)),
        3 if i.op1_register().is_k() => (k(p, 1), 0),
        _ => (0, 0),
    };
    let value = match i.mnemonic() {
        Mnemonic::Kmovw => return kmovw(p, i),
        Mnemonic::Kandw => a & b,
        Mnemonic::Kandnw => !a & b,
        Mnemonic::Korw => a | b,
        Mnemonic::Kxorw => a ^ b,
        Mnemonic::Kxnorw => !(a ^ b),
        Mnemonic::Knotw => !b,
        Mnemonic::Kunpckbw => (a & 0xff) << 8 | (b & 0xff),
        Mnemonic::Kshiftrw => match i.immediate8() {
            by @ 0..16 => (a & low(16)) >> by,
            _ => 0,
        },
        Mnemonic::Kortestw | Mnemonic::Kortestb => {
            let ones = low(if i.mnemonic() == Mnemonic::Kortestw { 16 } else { 8 });
            let both = (a | b) & ones;
            tested(p, both == 0, both == ones);
            return Ok(());
        }
        Mnemonic::Ktestw | Mnemonic::Ktestb => {
            let ones = low(if i.mnemonic() == Mnemonic::Ktestw { 16 } else { 8 });
            tested(p, a & b & ones == 0, !a & b & ones == 0);
            return Ok(());
        }
        _ => return Err(Refusal::Unknown),
    };
    p.masks[i.op0_register().number()] = value & low(16);
    Ok(())
}

/// The flags after a test.
pub(crate) fn tested(p: &mut Processor, zero: bool, carry: bool) {
    let clear = Some(false);
    p.flags = Flags { zero: Some(zero), carry: Some(carry), sign: clear, overflow: clear };
}

fn kmovw(p: &mut Processor, i: &Instruction) -> Result<(), Refusal> {
    let value = match i.op1_register() {
        Register::None => p.memory.word(p.address(i), 2)?,
        from if from.is_k() => p.masks[from.number()],
        from => general::register(p, from)?,
    } & 0xffff;
    if is_memory(i, 0) {
        let at = p.address(i);
        p.memory.write(at, &value.to_le_bytes()[..2])?;
        return Ok(());
    }
    match i.op0_register() {
        into if into.is_k() => p.masks[into.number()] = value,
        _ => return Err(Refusal::Unknown),
    }
    Ok(())
}
