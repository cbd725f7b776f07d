//! The verifier: types fit, definitions precede uses, cold regions leak nothing.
//!
//! A failure is a bug in Kiln, not a user error, so callers panic and print the routine.

use super::{BinaryOp, Body, Cold, Each, Inst, Routine, TURNS, Turn, Type, UnaryOp, Value};

/// Checks every invariant of a routine.
pub fn verify(routine: &Routine) -> Result<(), String> {
    let stage = &routine.stage;
    let is_element =
        |slot: &u32| (*slot as usize) < routine.inputs.len() && !routine.is_scalar(*slot as usize);
    if !routine.ahead.iter().all(is_element) {
        return Err("only inputs of elements have more of them".into());
    }
    let is_part = |turn: &Turn| usize::from(turn.first) + usize::from(turn.count) <= TURNS;
    if !routine.turns.iter().all(|turn| is_element(&turn.input) && is_part(turn)) {
        return Err("turns are of inputs of elements, and of so many".into());
    }
    let fills_lanes = |output: &u32| {
        routine.outputs.get(*output as usize).is_some_and(|storage| storage.fills_lane())
    };
    if !routine.realigned.iter().all(fills_lanes) {
        return Err("only outputs as wide as lanes are realigned".into());
    }
    verify_body(routine, &stage.body)?;
    verify_stores(routine, stage)?;
    verify_folds(stage)?;
    verify_cold(stage)
}

fn verify_body(routine: &Routine, body: &Body) -> Result<(), String> {
    if body.insts.len() != body.types.len() {
        return Err("one type per instruction".into());
    }
    for (index, inst) in body.insts.iter().enumerate() {
        let fail = |what: String| Err(format!("v{index}: {what}"));
        if let Some(late) = inst.operands().find(|v| v.index() >= index) {
            return fail(format!("uses v{} before its definition", late.0));
        }
        if let Inst::Load { slot } = *inst
            && routine.is_scalar(slot as usize)
        {
            return fail("loads a row scalar".to_string());
        }
        match result_type(routine, body, inst) {
            Ok(ty) if ty == body.types[index] => {}
            Ok(ty) => return fail(format!("declared {:?}, is {ty:?}", body.types[index])),
            Err(what) => return fail(what),
        }
    }
    Ok(())
}

/// Every output is stored once, in order.
fn verify_stores(routine: &Routine, stage: &Each) -> Result<(), String> {
    let stored = stage.stores.iter().map(|store| store.output);
    if !stored.eq(0..routine.outputs.len() as u32) {
        return Err("each output is stored once, in order".into());
    }
    for (store, storage) in stage.stores.iter().zip(&routine.outputs) {
        if store.value.index() >= stage.body.insts.len() {
            return Err(format!("output v{} is not defined", store.value.0));
        }
        if stage.body.ty(store.value) != storage.lane() {
            return Err(format!("output v{} does not fit {storage:?}", store.value.0));
        }
    }
    Ok(())
}

/// Merges fit what they merge.
fn verify_folds(stage: &Each) -> Result<(), String> {
    for fold in &stage.folds {
        if fold.value.index() >= stage.body.insts.len() {
            return Err(format!("v{}, which is folded, is not defined", fold.value.0));
        }
        let ty = stage.body.ty(fold.value);
        if !fold.merge.fits(ty) {
            return Err(format!("{:?} merges no {ty}", fold.merge));
        }
    }
    Ok(())
}

fn verify_cold(stage: &Each) -> Result<(), String> {
    let body = &stage.body;
    let mut previous_end = 0;
    // The region that each value is defined in.
    let mut regions: Vec<Option<&Cold>> = vec![None; body.insts.len()];
    for cold in &body.cold {
        let in_order = previous_end <= cold.start && cold.start < cold.end;
        if !in_order || cold.end as usize > body.insts.len() || cold.mask.0 >= cold.start {
            return Err(format!("cold region {}..{} is out of order", cold.start, cold.end));
        }
        previous_end = cold.end;
        if !body.ty(cold.mask).is_mask() {
            return Err(format!("v{} is no mask, but a cold region's", cold.mask.0));
        }
        regions[cold.start as usize..cold.end as usize].fill(Some(cold));
    }
    if let Some(cold) = body.cold.iter().find(|cold| regions[cold.mask.index()].is_some()) {
        return Err(format!("cold region {}..{} has its mask from another", cold.start, cold.end));
    }
    for (index, inst) in body.insts.iter().enumerate() {
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
    let folded = stage.folds.iter().map(|fold| fold.value);
    let results = stage.stores.iter().map(|store| store.value).chain(folded);
    if results.into_iter().any(|value| regions[value.index()].is_some()) {
        return Err("an output comes straight out of a cold region".into());
    }
    Ok(())
}

/// The lane type that `inst` defines in `body`, or what is wrong with its operands.
pub(super) fn result_type(routine: &Routine, body: &Body, inst: &Inst) -> Result<Type, String> {
    let ty = |v: Value| {
        body.types.get(v.index()).copied().ok_or_else(|| format!("v{} is not defined", v.0))
    };
    let need = |ok: bool, what: &str| if ok { Ok(()) } else { Err(what.to_string()) };
    Ok(match *inst {
        Inst::Load { slot } => routine.inputs.get(slot as usize).ok_or("no such input")?.lane(),
        Inst::Scalar { slot } => {
            let storage = routine.inputs.get(slot as usize).ok_or("no such input")?;
            need(storage.fills_lane(), "a row scalar is as wide as its lane")?;
            storage.lane()
        }
        Inst::Const { ty, bits } => {
            need(bits & !ty.ones() == 0, "constant wider than its type")?;
            // Emitters look at the sign bit, at all bits, or at any bit.
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
        Inst::Scale { p, k, scaled } => {
            let left = ty(p)?;
            let fits = left.is_float() && left == ty(k)? && left == ty(scaled)?;
            need(fits, "scale wants three floats")?;
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
            let table = routine.tables.get(table as usize).ok_or("no such table")?;
            need(!table.entries.is_empty(), "empty table")?;
            need(!table.ty.is_mask(), "tables hold numbers")?;
            let fits = |entry: &u64| entry & !table.ty.ones() == 0;
            need(table.entries.iter().all(fits), "table entry wider than its type")?;
            need(ty(index)? == table.ty.int(), "the index is not as wide as the entries")?;
            table.ty
        }
    })
}
