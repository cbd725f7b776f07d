//! Vector instructions that change the width of lanes, or their order.

use crate::float;
use crate::processor::{Processor, Refusal, Vector, is_memory, width};
use crate::vector::{predicate, source, store, write};
use iced_x86::{Instruction, Mnemonic};

pub(crate) fn execute(p: &mut Processor, i: &Instruction) -> Result<(), Refusal> {
    use Mnemonic as M;
    match i.mnemonic() {
        M::Vcvtps2pd => resize(p, i, [32, 64], float::widen),
        M::Vcvtpd2ps => resize(p, i, [64, 32], float::narrow),
        M::Vcvtph2ps => resize(p, i, [16, 32], float::from_half),
        // To nearest even, either explicitly or by the environment.
        M::Vcvtps2ph if i.immediate8() & 3 == 0 || i.immediate8() & 4 != 0 => {
            resize(p, i, [32, 16], float::to_half)
        }
        M::Vpmovzxbd => resize(p, i, [8, 32], |a| a),
        M::Vpmovzxwd => resize(p, i, [16, 32], |a| a),
        M::Vpmovsxdq => resize(p, i, [32, 64], |a| a as u32 as i32 as u64),
        M::Vpmovdw => resize(p, i, [32, 16], |a| a),
        M::Vpmovdb => resize(p, i, [32, 8], |a| a),
        M::Vpmovqd => resize(p, i, [64, 32], |a| a),
        M::Vextractf128 | M::Vextractf32x4 | M::Vextractf32x8 => extract(p, i),
        M::Vinsertf128 | M::Vinsertf32x8 => insert(p, i),
        M::Vpermq if !is_memory(i, 1) && i.op2_register().size() == 0 => {
            let imm = usize::from(i.immediate8());
            shuffle(p, i, 64, 256, |a, _, lane| a(imm >> (2 * lane) & 3))
        }
        M::Vshufps => {
            let imm = usize::from(i.immediate8());
            shuffle(p, i, 32, 128, |a, b, lane| {
                let index = imm >> (2 * lane) & 3;
                if lane < 2 { a(index) } else { b(index) }
            })
        }
        M::Vpermt2ps => permute_two(p, i),
        M::Vpackssdw => pack(p, i, 32, |a| (a as u32 as i32).clamp(-0x8000, 0x7fff) as u64),
        M::Vpackusdw => pack(p, i, 32, |a| (a as u32 as i32).clamp(0, 0xffff) as u64),
        M::Vpacksswb => pack(p, i, 16, |a| (a as u16 as i16).clamp(-0x80, 0x7f) as u64),
        M::Vpackuswb => pack(p, i, 16, |a| (a as u16 as i16).clamp(0, 0xff) as u64),
        _ => Err(Refusal::Unknown),
    }
}

/// The lanes that the second operand names, of those of the first and then of the third.
fn permute_two(p: &mut Processor, i: &Instruction) -> Result<(), Refusal> {
    let lanes = width(i.op0_register()) / 32;
    if predicate(p, i, lanes) != (1 << lanes) - 1 {
        return Err(Refusal::Unknown);
    }
    let [first, index] = [0, 1].map(|operand| p.register(i, operand));
    let second = source(p, i, 2, 32, lanes, u64::MAX)?;
    let mut result = Vector::ZERO;
    for lane in 0..lanes {
        let from = index.lane(32, lane) as usize % (2 * lanes);
        let part = if from < lanes { &first } else { &second };
        result.set_lane(32, lane, part.lane(32, from % lanes));
    }
    write(p, i, result, 32, lanes, u64::MAX);
    Ok(())
}

/// Converts each lane `from` one width in bits `to` another.
fn resize(
    p: &mut Processor,
    i: &Instruction,
    [from, to]: [usize; 2],
    f: fn(u64) -> u64,
) -> Result<(), Refusal> {
    // The wider side is a whole vector.
    let whole = if from < to { i.op0_register() } else { i.op1_register() };
    let lanes = width(whole) / from.max(to);
    if lanes == 0 {
        return Err(Refusal::Unknown);
    }
    let mask = predicate(p, i, lanes);
    let a = source(p, i, 1, from, lanes, mask)?;
    let mut result = Vector::ZERO;
    for lane in 0..lanes {
        result.set_lane(to, lane, f(a.lane(from, lane)));
    }
    if is_memory(i, 0) {
        let at = p.address(i);
        return store(p, at, to, lanes, mask, &result);
    }
    write(p, i, result, to, lanes, mask);
    Ok(())
}

/// A part of a vector, moved down.
fn extract(p: &mut Processor, i: &Instruction) -> Result<(), Refusal> {
    if is_memory(i, 0) {
        return Err(Refusal::Unknown);
    }
    let size = i.op0_register().size();
    let part = usize::from(i.immediate8() & 1) * size;
    let mut result = Vector::ZERO;
    result.0[..size].copy_from_slice(&p.register(i, 1).0[part..part + size]);
    let mask = predicate(p, i, size / 4);
    write(p, i, result, 32, size / 4, mask);
    Ok(())
}

/// A vector with one part replaced.
fn insert(p: &mut Processor, i: &Instruction) -> Result<(), Refusal> {
    if is_memory(i, 2) {
        return Err(Refusal::Unknown);
    }
    let (size, lanes) = (i.op2_register().size(), width(i.op0_register()) / 32);
    let part = usize::from(i.immediate8() & 1) * size;
    let mut result = p.register(i, 1);
    result.0[part..part + size].copy_from_slice(&p.register(i, 2).0[..size]);
    let mask = predicate(p, i, lanes);
    write(p, i, result, 32, lanes, mask);
    Ok(())
}

/// A lane of the second or the third operand, by its index within a part.
type Pick<'a> = &'a dyn Fn(usize) -> u64;

/// Lanes chosen from the same part of the sources.
fn shuffle(
    p: &mut Processor,
    i: &Instruction,
    bits: usize,
    part: usize,
    choose: impl Fn(Pick<'_>, Pick<'_>, usize) -> u64,
) -> Result<(), Refusal> {
    let (lanes, each) = (width(i.op0_register()) / bits, part / bits);
    let mask = predicate(p, i, lanes);
    let (a, b) = match i.op2_register().is_vector_register() {
        true => (p.register(i, 1), p.register(i, 2)),
        false if is_memory(i, 1) || is_memory(i, 2) => return Err(Refusal::Unknown),
        false => (p.register(i, 1), p.register(i, 1)),
    };
    let mut result = Vector::ZERO;
    for first in (0..lanes).step_by(each) {
        let of = |vector: &Vector, at: usize| vector.lane(bits, first + at);
        for lane in 0..each {
            let chosen = choose(&|at| of(&a, at), &|at| of(&b, at), lane);
            result.set_lane(bits, first + lane, chosen);
        }
    }
    write(p, i, result, bits, lanes, mask);
    Ok(())
}

/// Lanes of both sources, saturated to half their width, per 128 bits.
fn pack(p: &mut Processor, i: &Instruction, from: usize, f: fn(u64) -> u64) -> Result<(), Refusal> {
    let half = 128 / from;
    let shuffled =
        |vector: Vector| move |part: usize, at: usize| vector.lane(from, part * half + at);
    if is_memory(i, 2) {
        return Err(Refusal::Unknown);
    }
    let (a, b) = (shuffled(p.register(i, 1)), shuffled(p.register(i, 2)));
    let (to, lanes) = (from / 2, width(i.op0_register()) / (from / 2));
    let mut result = Vector::ZERO;
    for lane in 0..lanes {
        let (part, at) = (lane / (2 * half), lane % (2 * half));
        let value = if at < half { a(part, at) } else { b(part, at - half) };
        result.set_lane(to, lane, f(value));
    }
    let mask = predicate(p, i, lanes);
    write(p, i, result, to, lanes, mask);
    Ok(())
}
