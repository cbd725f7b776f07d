//! Vector instructions whose lanes do not mix: arithmetic, moves, blends, gathers.

use crate::decoded::Step;
use crate::float::{Rounding, double, single};
use crate::general;
use crate::mask::tested;
use crate::processor::{Processor, Refusal, Vector, is_memory, refuse, width};
use iced_x86::{Instruction, Mnemonic, OpKind, Register};

/// An instruction that treats every lane alike; the last argument is its immediate operand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanewise {
    bits: usize,
    lane: Lane,
}

/// What it does to one lane.
#[derive(Clone, Copy, Debug)]
enum Lane {
    /// Of the second operand.
    One(fn(u64, u8) -> u64),
    /// Of the second and the third.
    Two(fn(u64, u64, u8) -> u64),
    /// Of the first, which it replaces, and two more.
    Three(fn(u64, u64, u64, u8) -> u64),
    /// A truth value of the second and the third: a bit of a mask, or all bits of a lane.
    Test(fn(u64, u64, u8) -> bool),
}

/// What `instruction` does to each lane, if it does nothing else.
pub(crate) fn lanes_of(instruction: &Instruction) -> Option<Lanewise> {
    use Lane::{One, Test, Three, Two};
    use Mnemonic as M;
    let is_plain = instruction.op_count() == 0
        || instruction.op_kind(instruction.op_count() - 1) != OpKind::Immediate8;
    let shift = |lane| if is_plain { None } else { Some(lane) };
    let (bits, lane) = match instruction.mnemonic() {
        M::Vaddps => (32, Two(|a, b, _| single::add(a, b))),
        M::Vaddpd => (64, Two(|a, b, _| double::add(a, b))),
        M::Vsubps => (32, Two(|a, b, _| single::sub(a, b))),
        M::Vsubpd => (64, Two(|a, b, _| double::sub(a, b))),
        M::Vmulps => (32, Two(|a, b, _| single::mul(a, b))),
        M::Vmulpd => (64, Two(|a, b, _| double::mul(a, b))),
        M::Vdivps => (32, Two(|a, b, _| single::div(a, b))),
        M::Vdivpd => (64, Two(|a, b, _| double::div(a, b))),
        M::Vminps => (32, Two(|a, b, _| single::min(a, b))),
        M::Vminpd => (64, Two(|a, b, _| double::min(a, b))),
        M::Vmaxps => (32, Two(|a, b, _| single::max(a, b))),
        M::Vmaxpd => (64, Two(|a, b, _| double::max(a, b))),
        M::Vscalefps => (32, Two(|a, b, _| single::scale(a, b))),
        M::Vscalefpd => (64, Two(|a, b, _| double::scale(a, b))),
        M::Vsqrtps => (32, One(|a, _| single::sqrt(a))),
        M::Vsqrtpd => (64, One(|a, _| double::sqrt(a))),
        // No fraction is kept: the upper bits of the immediate are clear.
        M::Vroundps | M::Vrndscaleps if instruction.immediate8() < 16 => {
            (32, One(|a, imm| single::round(a, Rounding::of(imm))))
        }
        M::Vroundpd | M::Vrndscalepd if instruction.immediate8() < 16 => {
            (64, One(|a, imm| double::round(a, Rounding::of(imm))))
        }
        M::Vfmadd132ps => (32, Three(|a, b, c, _| single::multiply_add(a, c, b, PLUS_PLUS))),
        M::Vfmadd132pd => (64, Three(|a, b, c, _| double::multiply_add(a, c, b, PLUS_PLUS))),
        M::Vfmadd213ps => (32, Three(|a, b, c, _| single::multiply_add(b, a, c, PLUS_PLUS))),
        M::Vfmadd213pd => (64, Three(|a, b, c, _| double::multiply_add(b, a, c, PLUS_PLUS))),
        M::Vfmadd231ps => (32, Three(|a, b, c, _| single::multiply_add(b, c, a, PLUS_PLUS))),
        M::Vfmadd231pd => (64, Three(|a, b, c, _| double::multiply_add(b, c, a, PLUS_PLUS))),
        M::Vfmsub132ps => (32, Three(|a, b, c, _| single::multiply_add(a, c, b, PLUS_MINUS))),
        M::Vfmsub132pd => (64, Three(|a, b, c, _| double::multiply_add(a, c, b, PLUS_MINUS))),
        M::Vfmsub213ps => (32, Three(|a, b, c, _| single::multiply_add(b, a, c, PLUS_MINUS))),
        M::Vfmsub213pd => (64, Three(|a, b, c, _| double::multiply_add(b, a, c, PLUS_MINUS))),
        M::Vfmsub231ps => (32, Three(|a, b, c, _| single::multiply_add(b, c, a, PLUS_MINUS))),
        M::Vfmsub231pd => (64, Three(|a, b, c, _| double::multiply_add(b, c, a, PLUS_MINUS))),
        M::Vfnmadd132ps => (32, Three(|a, b, c, _| single::multiply_add(a, c, b, MINUS_PLUS))),
        M::Vfnmadd132pd => (64, Three(|a, b, c, _| double::multiply_add(a, c, b, MINUS_PLUS))),
        M::Vfnmadd213ps => (32, Three(|a, b, c, _| single::multiply_add(b, a, c, MINUS_PLUS))),
        M::Vfnmadd213pd => (64, Three(|a, b, c, _| double::multiply_add(b, a, c, MINUS_PLUS))),
        M::Vfnmadd231ps => (32, Three(|a, b, c, _| single::multiply_add(b, c, a, MINUS_PLUS))),
        M::Vfnmadd231pd => (64, Three(|a, b, c, _| double::multiply_add(b, c, a, MINUS_PLUS))),
        M::Vfnmsub132ps => (32, Three(|a, b, c, _| single::multiply_add(a, c, b, MINUS_MINUS))),
        M::Vfnmsub132pd => (64, Three(|a, b, c, _| double::multiply_add(a, c, b, MINUS_MINUS))),
        M::Vfnmsub213ps => (32, Three(|a, b, c, _| single::multiply_add(b, a, c, MINUS_MINUS))),
        M::Vfnmsub213pd => (64, Three(|a, b, c, _| double::multiply_add(b, a, c, MINUS_MINUS))),
        M::Vfnmsub231ps => (32, Three(|a, b, c, _| single::multiply_add(b, c, a, MINUS_MINUS))),
        M::Vfnmsub231pd => (64, Three(|a, b, c, _| double::multiply_add(b, c, a, MINUS_MINUS))),
        // Without a mask, the lane width does not matter to these.
        M::Vandps | M::Vpandd => (32, Two(|a, b, _| a & b)),
        M::Vandpd | M::Vpandq | M::Vpand => (64, Two(|a, b, _| a & b)),
        M::Vorps | M::Vpord => (32, Two(|a, b, _| a | b)),
        M::Vorpd | M::Vporq | M::Vpor => (64, Two(|a, b, _| a | b)),
        M::Vxorps | M::Vpxord => (32, Two(|a, b, _| a ^ b)),
        M::Vxorpd | M::Vpxorq | M::Vpxor => (64, Two(|a, b, _| a ^ b)),
        M::Vpternlogd => (32, Three(ternary)),
        M::Vpternlogq => (64, Three(ternary)),
        M::Vpaddd => (32, Two(|a, b, _| a.wrapping_add(b))),
        M::Vpaddq => (64, Two(|a, b, _| a.wrapping_add(b))),
        M::Vpsubd => (32, Two(|a, b, _| a.wrapping_sub(b))),
        M::Vpsubq => (64, Two(|a, b, _| a.wrapping_sub(b))),
        M::Vpmulld => (32, Two(|a, b, _| a.wrapping_mul(b))),
        M::Vpmullq => (64, Two(|a, b, _| a.wrapping_mul(b))),
        M::Vpmuludq => (64, Two(|a, b, _| (a & 0xffff_ffff) * (b & 0xffff_ffff))),
        M::Vpminsd => (32, Two(|a, b, _| if int(a) < int(b) { a } else { b })),
        M::Vpminsq => (64, Two(|a, b, _| if (a as i64) < b as i64 { a } else { b })),
        M::Vpmaxsd => (32, Two(|a, b, _| if int(a) > int(b) { a } else { b })),
        M::Vpmaxsq => (64, Two(|a, b, _| if a as i64 > b as i64 { a } else { b })),
        // Shifts by constants. A shift by the lane width or more loses all bits.
        M::Vpslld => (32, shift(One(|a, by| if by < 32 { a << by } else { 0 }))?),
        M::Vpsllq => (64, shift(One(|a, by| if by < 64 { a << by } else { 0 }))?),
        M::Vpsrld => (32, shift(One(|a, by| if by < 32 { a >> by } else { 0 }))?),
        M::Vpsrlq => (64, shift(One(|a, by| if by < 64 { a >> by } else { 0 }))?),
        M::Vpsrad => (32, shift(One(|a, by| (int(a) >> by.min(31)) as u64))?),
        M::Vpsraq => (64, shift(One(|a, by| (a as i64 >> by.min(63)) as u64))?),
        M::Vcmpps => (32, Test(single::compare)),
        M::Vcmppd => (64, Test(double::compare)),
        M::Vpcmpd => (32, Test(|a, b, predicate| compare(int(a).into(), int(b).into(), predicate))),
        M::Vpcmpq => (64, Test(|a, b, predicate| compare(a as i64, b as i64, predicate))),
        M::Vpcmpeqd => (32, Test(|a, b, _| a == b)),
        M::Vpcmpeqq => (64, Test(|a, b, _| a == b)),
        M::Vpcmpgtd => (32, Test(|a, b, _| int(a) > int(b))),
        M::Vpcmpgtq => (64, Test(|a, b, _| a as i64 > b as i64)),
        M::Vptestmd => (32, Test(|a, b, _| a & b != 0)),
        _ => return None,
    };
    Some(Lanewise { bits, lane })
}

/// Whether the signs of a product and of an addend are flipped.
const PLUS_PLUS: [bool; 2] = [false, false];
const PLUS_MINUS: [bool; 2] = [false, true];
const MINUS_PLUS: [bool; 2] = [true, false];
const MINUS_MINUS: [bool; 2] = [true, true];

fn int(a: u64) -> i32 {
    a as u32 as i32
}

/// For each bit position, the bit of the immediate that the three bits index.
fn ternary(a: u64, b: u64, c: u64, imm: u8) -> u64 {
    let chosen = (0..8u8).filter(|index| imm >> index & 1 == 1);
    let term = |index: u8| {
        let side = |value: u64, bit: u8| if index >> bit & 1 == 1 { value } else { !value };
        side(a, 2) & side(b, 1) & side(c, 0)
    };
    chosen.fold(0, |all, index| all | term(index))
}

/// The predicates of `vpcmpd`.
fn compare(a: i64, b: i64, predicate: u8) -> bool {
    match predicate & 7 {
        0 => a == b,
        1 => a < b,
        2 => a <= b,
        3 => false,
        4 => a != b,
        5 => a >= b,
        6 => a > b,
        _ => true,
    }
}

/// Executes what [`lanes_of`] says.
pub(crate) fn lanewise(p: &mut Processor, step: &Step, each: &Lanewise) -> Result<(), Refusal> {
    match each.bits {
        32 => lanewise_of::<32>(p, &step.instruction, each.lane),
        _ => lanewise_of::<64>(p, &step.instruction, each.lane),
    }
}

fn lanewise_of<const BITS: usize>(
    p: &mut Processor,
    i: &Instruction,
    lane: Lane,
) -> Result<(), Refusal> {
    let into_mask = i.op0_register().is_k();
    let lanes = width(if into_mask { i.op1_register() } else { i.op0_register() }) / BITS;
    let mask = predicate(p, i, lanes);
    let imm = match i.op_kind(i.op_count() - 1) {
        OpKind::Immediate8 => i.immediate8(),
        _ => 0,
    };
    let mut result = Vector::ZERO;
    match lane {
        Lane::One(f) => {
            let a = source(p, i, 1, BITS, lanes, mask)?;
            for at in 0..lanes {
                result.set_lane(BITS, at, f(a.lane(BITS, at), imm));
            }
        }
        Lane::Two(f) => {
            let (a, b) = (p.register(i, 1), source(p, i, 2, BITS, lanes, mask)?);
            for at in 0..lanes {
                result.set_lane(BITS, at, f(a.lane(BITS, at), b.lane(BITS, at), imm));
            }
        }
        Lane::Three(f) => {
            let (a, b) = (p.register(i, 0), p.register(i, 1));
            let c = source(p, i, 2, BITS, lanes, mask)?;
            for at in 0..lanes {
                let (a, b, c) = (a.lane(BITS, at), b.lane(BITS, at), c.lane(BITS, at));
                result.set_lane(BITS, at, f(a, b, c, imm));
            }
        }
        Lane::Test(f) => {
            let (a, b) = (p.register(i, 1), source(p, i, 2, BITS, lanes, mask)?);
            let mut truths = 0;
            for at in 0..lanes {
                let truth = f(a.lane(BITS, at), b.lane(BITS, at), imm);
                truths |= u64::from(truth) << at;
                result.set_lane(BITS, at, if truth { u64::MAX } else { 0 });
            }
            if into_mask {
                p.masks[i.op0_register().number()] = truths & mask;
                return Ok(());
            }
        }
    }
    write(p, i, result, BITS, lanes, mask);
    Ok(())
}

/// That many low bits.
fn low(lanes: usize) -> u64 {
    u64::MAX >> (64 - lanes)
}

/// The lanes that an instruction's predicate lets through.
pub(crate) fn predicate(p: &Processor, i: &Instruction, lanes: usize) -> u64 {
    match i.op_mask() {
        Register::None => low(lanes),
        k => p.masks[k.number()] & low(lanes),
    }
}

/// A source that may be memory, or one element of it for all lanes. Lanes outside `mask` are not
/// read.
pub(crate) fn source(
    p: &Processor,
    i: &Instruction,
    operand: u32,
    bits: usize,
    lanes: usize,
    mask: u64,
) -> Result<Vector, Refusal> {
    if !is_memory(i, operand) {
        return Ok(p.register(i, operand));
    }
    let at = p.address(i);
    let mut read = Vector::ZERO;
    if i.is_broadcast() {
        if mask != 0 {
            let element = p.memory.word(at, bits / 8)?;
            (0..lanes).for_each(|lane| read.set_lane(bits, lane, element));
        }
        return Ok(read);
    }
    load(p, at, bits, lanes, mask, &mut read)?;
    Ok(read)
}

/// Loads the lanes in `mask`.
fn load(
    p: &Processor,
    at: u64,
    bits: usize,
    lanes: usize,
    mask: u64,
    into: &mut Vector,
) -> Result<(), Refusal> {
    let size = bits / 8;
    if mask == low(lanes) {
        return Ok(p.memory.read(at, &mut into.0[..lanes * size])?);
    }
    for lane in (0..lanes).filter(|lane| mask >> lane & 1 == 1) {
        let bytes = &mut into.0[lane * size..(lane + 1) * size];
        p.memory.read(at.wrapping_add((lane * size) as u64), bytes)?;
    }
    Ok(())
}

/// Stores the lanes in `mask`.
pub(crate) fn store(
    p: &mut Processor,
    at: u64,
    bits: usize,
    lanes: usize,
    mask: u64,
    from: &Vector,
) -> Result<(), Refusal> {
    let size = bits / 8;
    if mask == low(lanes) {
        return Ok(p.memory.write(at, &from.0[..lanes * size])?);
    }
    for lane in (0..lanes).filter(|lane| mask >> lane & 1 == 1) {
        let bytes = &from.0[lane * size..(lane + 1) * size];
        p.memory.write(at.wrapping_add((lane * size) as u64), bytes)?;
    }
    Ok(())
}

/// Gives the first operand, a register, its new value: lanes outside the predicate keep theirs or
/// become zero, and everything beyond the lanes becomes zero.
pub(crate) fn write(
    p: &mut Processor,
    i: &Instruction,
    mut result: Vector,
    bits: usize,
    lanes: usize,
    mask: u64,
) {
    let into = &mut p.vectors[i.op0_register().number()];
    for lane in (0..lanes).filter(|lane| mask >> lane & 1 == 0) {
        let kept = if i.zeroing_masking() { 0 } else { into.lane(bits, lane) };
        result.set_lane(bits, lane, kept);
    }
    result.0[lanes * bits / 8..].fill(0);
    *into = result;
}

/// The other instructions of this file.
pub(crate) fn execute(p: &mut Processor, i: &Instruction) -> Result<(), Refusal> {
    use Mnemonic as M;
    match i.mnemonic() {
        M::Vmovups | M::Vmovdqu32 => transfer(p, i, 32, false),
        M::Vmovupd | M::Vmovdqu64 => transfer(p, i, 64, false),
        M::Vmovaps => transfer(p, i, 32, true),
        M::Vmovapd => transfer(p, i, 64, true),
        M::Vmovntps | M::Vmovntpd if is_memory(i, 0) => transfer(p, i, 64, true),
        M::Vmovdqu | M::Vmovdqu8 => transfer(p, i, 8, false),
        M::Vmovq if is_memory(i, 0) => transfer_lane(p, i, 64),
        M::Vmovss if is_memory(i, 0) => transfer_lane(p, i, 32),
        M::Vmovsd if is_memory(i, 0) => transfer_lane(p, i, 64),
        M::Vmovd if i.op1_register().is_gpr32() => {
            let mut result = Vector::ZERO;
            result.set_lane(32, 0, general::register(p, i.op1_register())?);
            p.vectors[i.op0_register().number()] = result;
            Ok(())
        }
        M::Vmaskmovps => masked_transfer(p, i, 32),
        M::Vmaskmovpd => masked_transfer(p, i, 64),
        M::Vblendmps => blend(p, i, 32),
        M::Vblendmpd => blend(p, i, 64),
        M::Vblendvps => blend_by_sign(p, i, 32),
        M::Vblendvpd => blend_by_sign(p, i, 64),
        M::Vpmovm2d => spread(p, i, 32),
        M::Vpmovm2q => spread(p, i, 64),
        M::Vbroadcastss | M::Vpbroadcastd => repeat(p, i, 32),
        M::Vbroadcastsd | M::Vpbroadcastq => repeat(p, i, 64),
        M::Vgatherdps => gather(p, i, 32),
        M::Vgatherqpd => gather(p, i, 64),
        M::Vptest => {
            let lanes = width(i.op0_register()) / 64;
            let (a, b) = (p.register(i, 0), source(p, i, 1, 64, lanes, low(lanes))?);
            let all = |f: fn(u64, u64) -> u64| {
                (0..lanes).all(|lane| f(a.lane(64, lane), b.lane(64, lane)) == 0)
            };
            tested(p, all(|a, b| a & b), all(|a, b| !a & b));
            Ok(())
        }
        M::Vzeroupper => {
            p.vectors[..16].iter_mut().for_each(|vector| vector.0[16..].fill(0));
            Ok(())
        }
        _ => Err(Refusal::Unknown),
    }
}

/// A move between registers and memory.
fn transfer(p: &mut Processor, i: &Instruction, bits: usize, aligned: bool) -> Result<(), Refusal> {
    let in_register = if is_memory(i, 0) { i.op1_register() } else { i.op0_register() };
    let lanes = width(in_register) / bits;
    let mask = predicate(p, i, lanes);
    if (is_memory(i, 0) || is_memory(i, 1)) && aligned {
        let (at, size) = (p.address(i), (lanes * bits / 8) as u64);
        if !at.is_multiple_of(size) {
            return refuse(format!("{at:#x} is not aligned to {size} bytes"));
        }
    }
    if is_memory(i, 0) {
        let (at, from) = (p.address(i), p.register(i, 1));
        return store(p, at, bits, lanes, mask, &from);
    }
    let from = source(p, i, 1, bits, lanes, mask)?;
    write(p, i, from, bits, lanes, mask);
    Ok(())
}

/// Stores the first lane.
fn transfer_lane(p: &mut Processor, i: &Instruction, bits: usize) -> Result<(), Refusal> {
    let (at, from) = (p.address(i), p.register(i, 1));
    store(p, at, bits, 1, 1, &from)
}

/// The sign bits of lanes, as a mask.
fn signs(vector: &Vector, bits: usize, lanes: usize) -> u64 {
    (0..lanes).fold(0, |all, lane| all | (vector.lane(bits, lane) >> (bits - 1)) << lane)
}

fn masked_transfer(p: &mut Processor, i: &Instruction, bits: usize) -> Result<(), Refusal> {
    let lanes = width(i.op1_register()) / bits;
    let (mask, at) = (signs(&p.register(i, 1), bits, lanes), p.address(i));
    if is_memory(i, 0) {
        let from = p.register(i, 2);
        return store(p, at, bits, lanes, mask, &from);
    }
    let mut result = Vector::ZERO;
    load(p, at, bits, lanes, mask, &mut result)?;
    p.vectors[i.op0_register().number()] = result;
    Ok(())
}

/// The third operand where the predicate is set, else the second.
fn blend(p: &mut Processor, i: &Instruction, bits: usize) -> Result<(), Refusal> {
    let lanes = width(i.op0_register()) / bits;
    let mask = predicate(p, i, lanes);
    let (b, mut result) = (p.register(i, 1), source(p, i, 2, bits, lanes, mask)?);
    for lane in (0..lanes).filter(|lane| mask >> lane & 1 == 0) {
        let other = if i.zeroing_masking() { 0 } else { b.lane(bits, lane) };
        result.set_lane(bits, lane, other);
    }
    write(p, i, result, bits, lanes, low(lanes));
    Ok(())
}

/// The third operand where the fourth is negative, else the second.
fn blend_by_sign(p: &mut Processor, i: &Instruction, bits: usize) -> Result<(), Refusal> {
    let lanes = width(i.op0_register()) / bits;
    let mask = signs(&p.register(i, 3), bits, lanes);
    let (b, mut result) = (p.register(i, 1), source(p, i, 2, bits, lanes, low(lanes))?);
    for lane in (0..lanes).filter(|lane| mask >> lane & 1 == 0) {
        result.set_lane(bits, lane, b.lane(bits, lane));
    }
    write(p, i, result, bits, lanes, low(lanes));
    Ok(())
}

/// All bits of a lane, from one bit each.
fn spread(p: &mut Processor, i: &Instruction, bits: usize) -> Result<(), Refusal> {
    let lanes = width(i.op0_register()) / bits;
    let mask = p.masks[i.op1_register().number()];
    let mut result = Vector::ZERO;
    for lane in (0..lanes).filter(|lane| mask >> lane & 1 == 1) {
        result.set_lane(bits, lane, u64::MAX);
    }
    write(p, i, result, bits, lanes, low(lanes));
    Ok(())
}

/// One element in every lane.
fn repeat(p: &mut Processor, i: &Instruction, bits: usize) -> Result<(), Refusal> {
    let lanes = width(i.op0_register()) / bits;
    let mask = predicate(p, i, lanes);
    let element = match i.op1_register() {
        Register::None if mask == 0 => 0,
        Register::None => p.memory.word(p.address(i), bits / 8)?,
        from if from.is_vector_register() => p.register(i, 1).lane(bits, 0),
        _ => return Err(Refusal::Unknown),
    };
    let mut result = Vector::ZERO;
    (0..lanes).for_each(|lane| result.set_lane(bits, lane, element));
    write(p, i, result, bits, lanes, mask);
    Ok(())
}

/// Elements at separate addresses, by indices as wide as the elements. Afterwards the mask is
/// clear. (The decoder rejects what the machine rejects: registers that are not distinct.)
fn gather(p: &mut Processor, i: &Instruction, bits: usize) -> Result<(), Refusal> {
    let (into, index) = (i.op0_register().number(), i.memory_index().number());
    let lanes = width(i.op0_register()) / bits;
    let by_vector = i.op_count() == 3;
    let mask = match by_vector {
        true => signs(&p.register(i, 2), bits, lanes),
        false => predicate(p, i, lanes),
    };
    let (indices, mut result, base) = (p.vectors[index], p.vectors[into], p.address(i));
    for lane in (0..lanes).filter(|lane| mask >> lane & 1 == 1) {
        let number = match bits {
            32 => i64::from(int(indices.lane(32, lane))),
            _ => indices.lane(64, lane) as i64,
        };
        let offset = number.wrapping_mul(i64::from(i.memory_index_scale()));
        let element = p.memory.word(base.wrapping_add(offset as u64), bits / 8)?;
        result.set_lane(bits, lane, element);
    }
    result.0[lanes * bits / 8..].fill(0);
    p.vectors[into] = result;
    match by_vector {
        true => p.vectors[i.op2_register().number()] = Vector::ZERO,
        false => p.masks[i.op_mask().number()] = 0,
    }
    Ok(())
}
