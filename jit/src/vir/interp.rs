//! The interpreter: the meaning of every primitive, in plain scalar Rust.
//!
//! It is the oracle that emitters must match bit for bit, and the emitter of last resort.

use super::{
    BinaryOp, Each, Inst, Merge, Predicate, Routine, ShiftOp, Storage, Store, Type, UnaryOp,
    stripes,
};
use half::f16;

/// Runs `routine` on a row of `lanes` elements.
///
/// `inputs[slot][lane]` are element bits, zero-extended to 64 (a bool is 0 or non-zero). The
/// first element of a row scalar is its element. The result is `[output][lane]` in the same form (a bool is 0 or 1), and then one element for each
/// fold.
///
/// # Panics
///
/// If an input has fewer than `lanes` elements (a row scalar: none), or if the number of inputs is not the routine's.
pub fn run(routine: &Routine, inputs: &[&[u64]], lanes: usize) -> Vec<Vec<u64>> {
    let _env = kiln_fenv::hold_default();
    assert_eq!(inputs.len(), routine.inputs.len(), "one slice per input");
    let Each { body, stores, folds } = &routine.stage;
    let mut values: Vec<Vec<u64>> = Vec::with_capacity(body.insts.len());
    for (inst, &ty) in body.insts.iter().zip(&body.types) {
        let lane_of = |lane: usize| eval(routine, inst, ty, inputs, &values, lane);
        let result: Vec<u64> = (0..lanes).map(lane_of).collect();
        values.push(result);
    }
    let stored = |store: &Store| -> Vec<u64> {
        let value = &values[store.value.index()];
        match routine.outputs[store.output as usize] {
            Storage::Bool => value.iter().map(|&m| u64::from(m != 0)).collect(),
            Storage::F16 => {
                value.iter().map(|&v| f16::from_f32(f32_of(v)).to_bits().into()).collect()
            }
            Storage::BF16 => value.iter().map(|&v| v >> 16).collect(),
            Storage::U8 => value.iter().map(|&v| v & 0xff).collect(),
            Storage::F32 | Storage::F64 | Storage::I32 | Storage::I64 => value.clone(),
        }
    };
    let folded = folds.iter().map(|each| {
        let value = each.value;
        vec![fold(each.merge, body.ty(value), &values[value.index()])]
    });
    stores.iter().map(stored).chain(folded).collect()
}

/// A row of lanes, merged as the definition says.
fn fold(how: Merge, ty: Type, row: &[u64]) -> u64 {
    let mut half = stripes(ty);
    let mut stripes = vec![how.identity(ty); half];
    for lanes in row.chunks(half) {
        for (stripe, &lane) in stripes.iter_mut().zip(lanes) {
            *stripe = merge(how, ty, *stripe, lane);
        }
    }
    while half > 1 {
        half /= 2;
        for j in 0..half {
            stripes[j] = merge(how, ty, stripes[j], stripes[j + half]);
        }
    }
    match how {
        // Whichever zero came last.
        Merge::Sup if compare(Predicate::Eq, ty, stripes[0], 0) => 0,
        _ => stripes[0],
    }
}

fn merge(how: Merge, ty: Type, a: u64, b: u64) -> u64 {
    let nan = |bits| ty.is_float() && compare(Predicate::Ne, ty, bits, bits);
    // Of equal numbers, zeros differ in their sign.
    let below = |a, b| match compare(Predicate::Eq, ty, a, b) {
        true => a & sign_bit(ty) > b & sign_bit(ty),
        false => compare(Predicate::Lt, ty, a, b),
    };
    match how {
        Merge::Add => binary(BinaryOp::Add, ty, a, b),
        Merge::Mul => binary(BinaryOp::Mul, ty, a, b),
        Merge::And => a & b,
        Merge::Or => a | b,
        Merge::Max if nan(a) || (!nan(b) && below(b, a)) => a,
        Merge::Min if nan(a) || (!nan(b) && below(a, b)) => a,
        Merge::Max | Merge::Min => b,
        Merge::Sup if compare(Predicate::Lt, ty, a, b) => b,
        Merge::Sup => a,
    }
}

fn eval(
    routine: &Routine,
    inst: &Inst,
    ty: Type,
    inputs: &[&[u64]],
    values: &[Vec<u64>],
    lane: usize,
) -> u64 {
    let at = |v: super::Value| values[v.index()][lane];
    let operand_type = inst.operands().next().map(|v| routine.body().ty(v));
    match *inst {
        Inst::Load { slot } => {
            let bits = inputs[slot as usize][lane];
            match routine.inputs[slot as usize] {
                Storage::Bool => truth(ty, bits != 0),
                Storage::F16 => f32_bits(f16::from_bits(bits as u16).to_f32()),
                Storage::BF16 => bits << 16,
                _ => bits,
            }
        }
        Inst::Scalar { slot } => inputs[slot as usize][0],
        Inst::Const { bits, .. } => bits,
        Inst::Unary { op, a } => unary(op, operand_type.unwrap_or(ty), at(a)),
        Inst::Binary { op, a, b } => binary(op, ty, at(a), at(b)),
        Inst::Scale { scaled, .. } => at(scaled),
        Inst::Fma { a, b, c } => match ty {
            Type::F32 => f32_bits(f32_of(at(a)).mul_add(f32_of(at(b)), f32_of(at(c)))),
            _ => f64_of(at(a)).mul_add(f64_of(at(b)), f64_of(at(c))).to_bits(),
        },
        Inst::Compare { pred, a, b } => {
            truth(ty, compare(pred, operand_type.unwrap_or(ty), at(a), at(b)))
        }
        Inst::Select { mask, a, b } => {
            if at(mask) != 0 {
                at(a)
            } else {
                at(b)
            }
        }
        Inst::Shift { op, a, by } => shift(op, ty, at(a), by),
        Inst::Table { table, index } => {
            let table = &routine.tables[table as usize];
            let last = table.entries.len() as i64 - 1;
            table.entries[signed(ty, at(index)).clamp(0, last) as usize]
        }
    }
}

fn unary(op: UnaryOp, from: Type, a: u64) -> u64 {
    let float = |f: fn(f32) -> f32, d: fn(f64) -> f64| match from {
        Type::F32 => f32_bits(f(f32_of(a))),
        _ => d(f64_of(a)).to_bits(),
    };
    match op {
        UnaryOp::Neg => a ^ sign_bit(from),
        UnaryOp::Abs => a & !sign_bit(from),
        UnaryOp::Sqrt => float(f32::sqrt, f64::sqrt),
        UnaryOp::Floor => float(f32::floor, f64::floor),
        UnaryOp::Ceil => float(f32::ceil, f64::ceil),
        UnaryOp::Trunc => float(f32::trunc, f64::trunc),
        UnaryOp::Nearest => float(f32::round_ties_even, f64::round_ties_even),
        UnaryOp::Not => !a & from.ones(),
        UnaryOp::Bitcast(_) => a,
        UnaryOp::Promote => f64::from(f32_of(a)).to_bits(),
        UnaryOp::Demote => f32_bits(f64_of(a) as f32),
        UnaryOp::Widen if from.is_int() => signed(from, a) as u64,
        UnaryOp::Narrow if from.is_int() => a & Type::I32.ones(),
        UnaryOp::Widen => truth(Type::M64, a != 0),
        UnaryOp::Narrow => truth(Type::M32, a != 0),
    }
}

fn binary(op: BinaryOp, ty: Type, a: u64, b: u64) -> u64 {
    let float = |f: fn(f32, f32) -> f32, d: fn(f64, f64) -> f64| match ty {
        Type::F32 => f32_bits(f(f32_of(a), f32_of(b))),
        _ => d(f64_of(a), f64_of(b)).to_bits(),
    };
    match op {
        BinaryOp::Add if ty.is_int() => a.wrapping_add(b) & ty.ones(),
        BinaryOp::Sub if ty.is_int() => a.wrapping_sub(b) & ty.ones(),
        BinaryOp::Mul if ty.is_int() => a.wrapping_mul(b) & ty.ones(),
        BinaryOp::Add => float(|a, b| a + b, |a, b| a + b),
        BinaryOp::Sub => float(|a, b| a - b, |a, b| a - b),
        BinaryOp::Mul => float(|a, b| a * b, |a, b| a * b),
        BinaryOp::Div => float(|a, b| a / b, |a, b| a / b),
        BinaryOp::Min => {
            if compare(Predicate::Lt, ty, a, b) {
                a
            } else {
                b
            }
        }
        BinaryOp::Max => {
            if compare(Predicate::Lt, ty, b, a) {
                a
            } else {
                b
            }
        }
        BinaryOp::CopySign => (a & !sign_bit(ty)) | (b & sign_bit(ty)),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
    }
}

fn compare(pred: Predicate, ty: Type, a: u64, b: u64) -> bool {
    fn holds<T: PartialOrd>(pred: Predicate, a: T, b: T) -> bool {
        match pred {
            Predicate::Eq => a == b,
            Predicate::Ne => a != b,
            Predicate::Lt => a < b,
            Predicate::Le => a <= b,
        }
    }
    match ty {
        Type::F32 => holds(pred, f32_of(a), f32_of(b)),
        Type::F64 => holds(pred, f64_of(a), f64_of(b)),
        _ => holds(pred, signed(ty, a), signed(ty, b)),
    }
}

fn shift(op: ShiftOp, ty: Type, a: u64, by: u8) -> u64 {
    let shifted = match op {
        ShiftOp::Shl => a << by,
        ShiftOp::Shr => a >> by,
        ShiftOp::Sar => (signed(ty, a) >> by) as u64,
    };
    shifted & ty.ones()
}

fn f32_of(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn f32_bits(value: f32) -> u64 {
    u64::from(value.to_bits())
}

fn f64_of(bits: u64) -> f64 {
    f64::from_bits(bits)
}

fn sign_bit(ty: Type) -> u64 {
    1 << (ty.bits() - 1)
}

fn truth(ty: Type, value: bool) -> u64 {
    if value { ty.ones() } else { 0 }
}

fn signed(ty: Type, bits: u64) -> i64 {
    if ty.bits() == 32 { i64::from(bits as u32 as i32) } else { bits as i64 }
}
