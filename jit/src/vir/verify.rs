//! The verifier: types fit, definitions precede uses, cold regions leak nothing.
//!
//! A failure is a bug of Kiln's, so callers panic with the program; it is no user error.

use super::{BinaryOp, Cold, Inst, Program, Type, UnaryOp, Value};

/// Checks every invariant of a program.
pub fn verify(program: &Program) -> Result<(), String> {
    if program.insts.len() != program.types.len() {
        return Err("one type per instruction".into());
    }
    for (index, inst) in program.insts.iter().enumerate() {
        let fail = |what: String| Err(format!("v{index}: {what}"));
        if let Some(late) = inst.operands().find(|v| v.index() >= index) {
            return fail(format!("uses v{} before its definition", late.0));
        }
        match result_type(program, inst) {
            Ok(ty) if ty == program.types[index] => {}
            Ok(ty) => return fail(format!("declared {:?}, is {ty:?}", program.types[index])),
            Err(what) => return fail(what),
        }
    }
    for output in &program.outputs {
        if output.value.index() >= program.insts.len() {
            return Err(format!("output v{} is not defined", output.value.0));
        }
        if program.ty(output.value) != output.storage.lane() {
            return Err(format!("output v{} does not fit {:?}", output.value.0, output.storage));
        }
    }
    verify_cold(program)
}

fn verify_cold(program: &Program) -> Result<(), String> {
    let mut previous_end = 0;
    // The region that each value is from.
    let mut regions: Vec<Option<&Cold>> = vec![None; program.insts.len()];
    for cold in &program.cold {
        let in_order = previous_end <= cold.start && cold.start < cold.end;
        if !in_order || cold.end as usize > program.insts.len() || cold.mask.0 >= cold.start {
            return Err(format!("cold region {}..{} is out of order", cold.start, cold.end));
        }
        previous_end = cold.end;
        if !program.ty(cold.mask).is_mask() {
            return Err(format!("v{} is no mask, but a cold region's", cold.mask.0));
        }
        regions[cold.start as usize..cold.end as usize].fill(Some(cold));
    }
    if let Some(cold) = program.cold.iter().find(|cold| regions[cold.mask.index()].is_some()) {
        return Err(format!("cold region {}..{} has its mask from another", cold.start, cold.end));
    }
    for (index, inst) in program.insts.iter().enumerate() {
        let left = |v: Value| regions[v.index()].filter(|cold| cold.end as usize <= index);
        let legal = match *inst {
            Inst::Select { mask, a, b } => {
                let masked = left(a).is_none_or(|cold| cold.mask == mask);
                masked && left(b).is_none() && left(mask).is_none()
            }
            _ => !inst.operands().any(|v| left(v).is_some()),
        };
        if !legal {
            return Err(format!("v{index} uses a value of a cold region without its mask"));
        }
    }
    if program.outputs.iter().any(|output| regions[output.value.index()].is_some()) {
        return Err("an output comes straight out of a cold region".into());
    }
    Ok(())
}

/// The lane type that `inst` defines in `program`, or what is wrong with its operands.
pub(super) fn result_type(program: &Program, inst: &Inst) -> Result<Type, String> {
    let ty = |v: Value| {
        program.types.get(v.index()).copied().ok_or_else(|| format!("v{} is not defined", v.0))
    };
    let need = |ok: bool, what: &str| if ok { Ok(()) } else { Err(what.to_string()) };
    Ok(match *inst {
        Inst::Load { slot } => program.inputs.get(slot as usize).ok_or("no such input")?.lane(),
        Inst::Const { ty, bits } => {
            need(bits & !ty.ones() == 0, "constant wider than its type")?;
            // Emitters look at the sign bit, at all bits, or at any.
            let is_truth = bits == 0 || bits == ty.ones();
            need(!ty.is_mask() || is_truth, "a mask is all ones or zero")?;
            ty
        }
        Inst::Unary { op, a } => {
            let from = ty(a)?;
            let (ok, to) = match op {
                UnaryOp::Neg
                | UnaryOp::Abs
                | UnaryOp::Sqrt
                | UnaryOp::Floor
                | UnaryOp::Ceil
                | UnaryOp::Trunc
                | UnaryOp::Nearest => (from.is_float(), from),
                UnaryOp::Not => (!from.is_float(), from),
                UnaryOp::Bitcast(to) => (from.bits() == to.bits() && !to.is_mask(), to),
                UnaryOp::Promote => (from == Type::F32, Type::F64),
                UnaryOp::Demote => (from == Type::F64, Type::F32),
                UnaryOp::Widen if from.is_int() => (from == Type::I32, Type::I64),
                UnaryOp::Narrow if from.is_int() => (from == Type::I64, Type::I32),
                UnaryOp::Widen => (from == Type::M32, Type::M64),
                UnaryOp::Narrow => (from == Type::M64, Type::M32),
            };
            need(ok, "operand type does not fit the primitive")?;
            to
        }
        Inst::Binary { op, a, b } => {
            let (left, right) = (ty(a)?, ty(b)?);
            need(left == right, "operands differ in type")?;
            let ok = match op {
                BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul => left.is_float() || left.is_int(),
                BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => !left.is_float(),
                _ => left.is_float(),
            };
            need(ok, "operand type does not fit the primitive")?;
            left
        }
        Inst::Fma { a, b, c } => {
            let left = ty(a)?;
            need(left.is_float() && left == ty(b)? && left == ty(c)?, "fma wants three floats")?;
            left
        }
        Inst::Compare { a, b, .. } => {
            let left = ty(a)?;
            need(left == ty(b)? && !left.is_mask(), "compare wants two numbers of one type")?;
            left.mask()
        }
        Inst::Select { mask, a, b } => {
            let chosen = ty(a)?;
            need(chosen == ty(b)?, "choices differ in type")?;
            need(ty(mask)? == chosen.mask(), "the mask is not as wide as the choices")?;
            chosen
        }
        Inst::Shift { a, by, .. } => {
            let left = ty(a)?;
            need(left.is_int() && u32::from(by) < left.bits(), "shift out of range")?;
            left
        }
        Inst::Table { table, index } => {
            let table = program.tables.get(table as usize).ok_or("no such table")?;
            need(!table.entries.is_empty(), "empty table")?;
            need(!table.ty.is_mask(), "tables hold numbers")?;
            let fits = |entry: &u64| entry & !table.ty.ones() == 0;
            need(table.entries.iter().all(fits), "table entry wider than its type")?;
            need(ty(index)? == table.ty.int(), "the index is not as wide as the entries")?;
            table.ty
        }
    })
}
