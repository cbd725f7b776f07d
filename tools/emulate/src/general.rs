//! Instructions on general registers, including jumps.

use crate::decoded::Step;
use crate::processor::{Flags, Next, Processor, Refusal, is_memory, refuse};
use iced_x86::{Instruction, Mnemonic, OpKind, Register};

pub(crate) fn execute(p: &mut Processor, step: &Step) -> Result<Next, Refusal> {
    let i = &step.instruction;
    let jump = |taken: bool| Ok(Next::Step(if taken { step.target } else { step.next }));
    match i.mnemonic() {
        Mnemonic::Jmp if i.op0_kind() == OpKind::NearBranch64 => return jump(true),
        Mnemonic::Je => return jump(flag(p.flags.zero)?),
        Mnemonic::Jne => return jump(!flag(p.flags.zero)?),
        Mnemonic::Jl => return jump(less(&p.flags)?),
        Mnemonic::Jge => return jump(!less(&p.flags)?),
        Mnemonic::Jle => return jump(flag(p.flags.zero)? || less(&p.flags)?),
        Mnemonic::Jg => return jump(!flag(p.flags.zero)? && !less(&p.flags)?),
        Mnemonic::Ret if i.op_count() == 0 => return pop(p).map(Next::Return),
        _ => straight(p, i)?,
    }
    Ok(Next::Step(step.next))
}

fn flag(flag: Option<bool>) -> Result<bool, Refusal> {
    flag.map_or_else(|| refuse("jumps by a flag that is not defined"), Ok)
}

fn less(flags: &Flags) -> Result<bool, Refusal> {
    Ok(flag(flags.sign)? != flag(flags.overflow)?)
}

fn straight(p: &mut Processor, i: &Instruction) -> Result<(), Refusal> {
    match i.mnemonic() {
        Mnemonic::Nop => {}
        Mnemonic::Mov => {
            let value = read(p, i, 1)?;
            write(p, i, value)?;
        }
        Mnemonic::Lea => {
            let address = p.address(i);
            write(p, i, address)?;
        }
        Mnemonic::Push => {
            let value = read(p, i, 0)?;
            let top = &mut p.general[Register::RSP.number()];
            *top = top.wrapping_sub(8);
            p.memory.write(*top, &value.to_le_bytes())?;
        }
        Mnemonic::Pop => {
            let value = pop(p)?;
            write(p, i, value)?;
        }
        Mnemonic::Add | Mnemonic::Sub | Mnemonic::Cmp | Mnemonic::And | Mnemonic::Xor => {
            let (a, b, bits) = (read(p, i, 0)?, read(p, i, 1)?, size(i, 0) * 8);
            let sign = |value: u64| value >> (bits - 1) & 1 == 1;
            let ones = u64::MAX >> (64 - bits);
            let (value, carry, overflow) = match i.mnemonic() {
                Mnemonic::Add => {
                    let sum = a.wrapping_add(b) & ones;
                    (sum, sum < a, sign(a) == sign(b) && sign(sum) != sign(a))
                }
                Mnemonic::And => (a & b, false, false),
                Mnemonic::Xor => (a ^ b, false, false),
                _ => {
                    let difference = a.wrapping_sub(b) & ones;
                    (difference, a < b, sign(a) != sign(b) && sign(difference) != sign(a))
                }
            };
            p.flags = Flags {
                carry: Some(carry),
                zero: Some(value == 0),
                sign: Some(sign(value)),
                overflow: Some(overflow),
            };
            if i.mnemonic() != Mnemonic::Cmp {
                write(p, i, value)?;
            }
        }
        // Memory is asked for what may not be there.
        Mnemonic::Prefetcht0 | Mnemonic::Prefetchw => {
            let address = p.address(i);
            p.asked.push(address);
        }
        Mnemonic::Cmovg => {
            let greater = !flag(p.flags.zero)? && !less(&p.flags)?;
            let value = read(p, i, if greater { 1 } else { 0 })?;
            write(p, i, value)?;
        }
        Mnemonic::Imul if i.op_count() > 1 && size(i, 0) == 8 => {
            let factors = if i.op_count() == 3 { [1, 2] } else { [0, 1] };
            let [a, b] = factors.map(|operand| read(p, i, operand));
            let product = i128::from(a? as i64) * i128::from(b? as i64);
            let overflow = Some(i64::try_from(product).is_err());
            p.flags = Flags { carry: overflow, overflow, zero: None, sign: None };
            write(p, i, product as u64)?;
        }
        Mnemonic::Bzhi => {
            let (bits, index) = (size(i, 0) as u64 * 8, read(p, i, 2)? & 0xff);
            let value = match index < bits {
                true => read(p, i, 1)? & !(u64::MAX << index),
                false => read(p, i, 1)?,
            };
            p.flags = Flags {
                carry: Some(index >= bits),
                zero: Some(value == 0),
                sign: Some(value >> (bits - 1) & 1 == 1),
                overflow: Some(false),
            };
            write(p, i, value)?;
        }
        _ => return Err(Refusal::Unknown),
    }
    Ok(())
}

fn pop(p: &mut Processor) -> Result<u64, Refusal> {
    let top = &mut p.general[Register::RSP.number()];
    let value = p.memory.word(*top, 8)?;
    *top = top.wrapping_add(8);
    Ok(value)
}

/// Bytes of an operand.
fn size(i: &Instruction, operand: u32) -> usize {
    match is_memory(i, operand) {
        true => i.memory_size().size(),
        false => i.op_register(operand).size(),
    }
}

/// A register of 32 or 64 bits.
pub(crate) fn register(p: &Processor, register: Register) -> Result<u64, Refusal> {
    let value = p.general[register.number()];
    match (register.is_gpr64(), register.is_gpr32()) {
        (true, _) => Ok(value),
        (_, true) => Ok(value & 0xffff_ffff),
        _ => Err(Refusal::Unknown),
    }
}

/// An operand: an integer of the first operand's width, immediates sign-extended.
fn read(p: &Processor, i: &Instruction, operand: u32) -> Result<u64, Refusal> {
    match i.op_kind(operand) {
        OpKind::Register => register(p, i.op_register(operand)),
        OpKind::Memory => Ok(p.memory.word(p.address(i), size(i, operand))?),
        _ => match i.try_immediate(operand) {
            Ok(value) if size(i, 0) == 4 => Ok(value & 0xffff_ffff),
            Ok(value) => Ok(value),
            Err(_) => Err(Refusal::Unknown),
        },
    }
}

/// The first operand; writing the lower half of a register clears its upper half.
fn write(p: &mut Processor, i: &Instruction, value: u64) -> Result<(), Refusal> {
    if is_memory(i, 0) {
        let at = p.address(i);
        p.memory.write(at, &value.to_le_bytes()[..size(i, 0)])?;
        return Ok(());
    }
    let into = i.op0_register();
    p.general[into.number()] = match (into.is_gpr64(), into.is_gpr32()) {
        (true, _) => value,
        (_, true) => value & 0xffff_ffff,
        _ => return Err(Refusal::Unknown),
    };
    Ok(())
}
