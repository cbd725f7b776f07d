//! The text of a routine: one line per instruction, as `kiln explain --stage vir` prints it.

use super::{
    BinaryOp, Body, Each, Fold, Inst, Merge, Predicate, Routine, ShiftOp, Store, Type, UnaryOp,
    Value,
};
use std::fmt;

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::M32 => "m32",
            Type::M64 => "m64",
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Display for Routine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stage.fmt(f)
    }
}

impl fmt::Display for Each {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.body.fmt(f)?;
        self.stores.iter().try_for_each(|store| writeln!(f, "{store}"))?;
        self.folds.iter().try_for_each(|fold| writeln!(f, "{fold}"))
    }
}

impl fmt::Display for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.merge {
            Merge::Add => "add",
            Merge::Mul => "mul",
            Merge::Max => "max",
            Merge::Min => "min",
            Merge::Sup => "sup",
            Merge::And => "and",
            Merge::Or => "or",
        };
        write!(f, "fold {name} {}", self.value)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store {} {}", self.output, self.value)
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, inst) in self.insts.iter().enumerate() {
            let at = index as u32;
            if let Some(cold) = self.cold.iter().find(|c| c.start == at) {
                writeln!(f, "cold {} {{", cold.mask)?;
            }
            let inside = self.cold.iter().any(|c| (c.start..c.end).contains(&at));
            let indent = if inside { "  " } else { "" };
            writeln!(f, "{indent}{}", Line(index, self.types[index], inst))?;
            if self.cold.iter().any(|c| c.end == at + 1) {
                writeln!(f, "}}")?;
            }
        }
        Ok(())
    }
}

#[cfg(feature = "x86")]
impl Body {
    /// The text of the instruction that defines `value`.
    pub(crate) fn line(&self, value: Value) -> impl fmt::Display {
        Line(value.index(), self.ty(value), self.inst(value))
    }
}

/// An instruction with its index and type.
struct Line<'a>(usize, Type, &'a Inst);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(index, ty, inst) = self;
        write!(f, "v{index}: {ty} = ")?;
        write_inst(f, inst)
    }
}

fn write_inst(f: &mut fmt::Formatter<'_>, inst: &Inst) -> fmt::Result {
    match *inst {
        Inst::Load { slot } => write!(f, "load {slot}"),
        Inst::Scalar { slot } => write!(f, "scalar {slot}"),
        Inst::Const { ty: Type::F32, bits } => write!(f, "const {:?}", f32::from_bits(bits as u32)),
        Inst::Const { ty: Type::F64, bits } => write!(f, "const {:?}", f64::from_bits(bits)),
        Inst::Const { bits, .. } => write!(f, "const {bits:#x}"),
        Inst::Unary { op: UnaryOp::Bitcast(_), a } => write!(f, "bitcast {a}"),
        Inst::Unary { op, a } => write!(f, "{} {a}", unary_name(op)),
        Inst::Binary { op, a, b } => write!(f, "{} {a} {b}", binary_name(op)),
        Inst::Fma { a, b, c } => write!(f, "fma {a} {b} {c}"),
        Inst::Scale { p, k, scaled } => write!(f, "scale {p} {k} or {scaled}"),
        Inst::Compare { pred, a, b } => {
            let name = match pred {
                Predicate::Eq => "eq",
                Predicate::Ne => "ne",
                Predicate::Lt => "lt",
                Predicate::Le => "le",
            };
            write!(f, "{name} {a} {b}")
        }
        Inst::Select { mask, a, b } => write!(f, "select {mask} {a} {b}"),
        Inst::Shift { op, a, by } => {
            let name = match op {
                ShiftOp::Shl => "shl",
                ShiftOp::Shr => "shr",
                ShiftOp::Sar => "sar",
            };
            write!(f, "{name} {a} {by}")
        }
        Inst::Table { table, index } => write!(f, "table {table}[{index}]"),
    }
}

fn unary_name(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Neg => "neg",
        UnaryOp::Abs => "abs",
        UnaryOp::Sqrt => "sqrt",
        UnaryOp::Floor => "floor",
        UnaryOp::Ceil => "ceil",
        UnaryOp::Trunc => "trunc",
        UnaryOp::Nearest => "nearest",
        UnaryOp::Not => "not",
        UnaryOp::Bitcast(_) => "bitcast",
        UnaryOp::Promote => "promote",
        UnaryOp::Demote => "demote",
        UnaryOp::Widen => "widen",
        UnaryOp::Narrow => "narrow",
    }
}

fn binary_name(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "add",
        BinaryOp::Sub => "sub",
        BinaryOp::Mul => "mul",
        BinaryOp::Div => "div",
        BinaryOp::Min => "min",
        BinaryOp::Max => "max",
        BinaryOp::CopySign => "copysign",
        BinaryOp::And => "and",
        BinaryOp::Or => "or",
        BinaryOp::Xor => "xor",
    }
}
