//! Primitives in Cranelift's IR, one vector at a time.

use super::super::native::live::negated;
use super::translate::{Parts, Translator, constant, little, unaligned, vector};
use crate::vir::{BinaryOp, Inst, Predicate, ShiftOp, Storage, Type, UnaryOp, Value};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self, InstBuilder, types};

impl Translator<'_> {
    /// The vectors of an instruction that are being written.
    pub(super) fn inst(&mut self, inst: &Inst, ty: Type) -> Parts {
        match *inst {
            Inst::Load { slot } => self.load(slot as usize, ty),
            Inst::Table { table, index } => {
                let index = self.parts(index);
                self.each(ty, |t, part| t.table(table as usize, index[part]))
            }
            Inst::Unary { op: UnaryOp::Promote, a } => {
                let halves = |t: &mut Self, part| [part, t.high_half(part)];
                let halves: Parts =
                    self.parts(a).into_iter().flat_map(|part| halves(self, part)).collect();
                halves.into_iter().map(|half| self.builder.ins().fvpromote_low(half)).collect()
            }
            Inst::Unary { op: UnaryOp::Demote, a } => {
                let wide = self.parts(a);
                let a: Parts =
                    wide.into_iter().map(|part| self.builder.ins().fvdemote(part)).collect();
                self.join_pairs(types::F32X4, &a, [0, 1, 4, 5])
            }
            Inst::Unary { op: UnaryOp::Widen, a } => {
                let low_and_high = |t: &mut Self, part| {
                    [t.builder.ins().swiden_low(part), t.builder.ins().swiden_high(part)]
                };
                self.parts(a).into_iter().flat_map(|part| low_and_high(self, part)).collect()
            }
            Inst::Unary { op: UnaryOp::Narrow, a } => {
                let a = self.parts(a);
                self.join_pairs(types::I32X4, &a, [0, 2, 4, 6])
            }
            Inst::Unary { op, a } => {
                let from = self.body.ty(a);
                let a = self.parts(a);
                self.each(ty, |t, part| t.unary(op, from, a[part]))
            }
            Inst::Binary { op, a, b } => {
                let (a, b) = (self.parts(a), self.parts(b));
                self.each(ty, |t, part| t.binary(op, ty, a[part], b[part]))
            }
            Inst::Fma { a, b, c } => {
                let (a, b, c) = (self.fma_operand(a), self.fma_operand(b), self.fma_operand(c));
                self.each(ty, |t, part| t.builder.ins().fma(a[part], b[part], c[part]))
            }
            Inst::Scale { scaled, .. } => self.parts(scaled),
            Inst::Compare { pred, a, b } => {
                let float = self.body.ty(a).is_float();
                let (a, b) = (self.parts(a), self.parts(b));
                self.each(ty, |t, part| t.compare(pred, float, a[part], b[part]))
            }
            Inst::Select { mask, a, b } => {
                let (mask, a, b) = (self.parts(mask), self.parts(a), self.parts(b));
                self.each(ty, |t, part| {
                    let mask = t.cast(vector(ty), mask[part]);
                    t.builder.ins().bitselect(mask, a[part], b[part])
                })
            }
            Inst::Shift { op, a, by } => {
                let a = self.parts(a);
                let by = self.builder.ins().iconst(types::I32, i64::from(by));
                self.each(ty, |t, part| match op {
                    ShiftOp::Shl => t.builder.ins().ishl(a[part], by),
                    ShiftOp::Shr => t.builder.ins().ushr(a[part], by),
                    ShiftOp::Sar => t.builder.ins().sshr(a[part], by),
                })
            }
            Inst::Scalar { .. } => unreachable!("row scalars are loaded before the loop"),
            Inst::Const { .. } => unreachable!("constants are made where they are used"),
        }
    }

    fn load(&mut self, slot: usize, ty: Type) -> Parts {
        let at = self.cursors[slot];
        let storage = self.routine.inputs[slot];
        let first = self.range(ty).start;
        self.each(ty, |t, part| {
            let part = (first + part) as i32;
            match storage {
                Storage::Bool => t.load_bools(at, part * 4),
                Storage::U8 => t.load_bytes(at, part * 4),
                Storage::F16 | Storage::BF16 => t.load_halves(storage, at, part * 8),
                Storage::F32 | Storage::F64 | Storage::I32 | Storage::I64 => {
                    t.builder.ins().load(vector(ty), unaligned(), at, part * 16)
                }
            }
        })
    }

    /// An operand of an fma. A negation is written again next to it, so that Cranelift folds it
    /// into `fnmadd` and the like; other uses of the same negation flip the sign by a constant.
    fn fma_operand(&mut self, value: Value) -> Parts {
        let Some(a) = negated(self.body, value) else { return self.parts(value) };
        let (ty, a) = (self.body.ty(a), self.parts(a));
        self.each(ty, |t, part| t.builder.ins().fneg(a[part]))
    }

    fn unary(&mut self, op: UnaryOp, from: Type, a: ir::Value) -> ir::Value {
        match op {
            UnaryOp::Neg => self.flip(BinaryOp::Xor, from, a, sign_bit(from)),
            UnaryOp::Abs => self.flip(BinaryOp::And, from, a, sign_bit(from) - 1),
            UnaryOp::Sqrt => self.builder.ins().sqrt(a),
            UnaryOp::Floor => self.builder.ins().floor(a),
            UnaryOp::Ceil => self.builder.ins().ceil(a),
            UnaryOp::Trunc => self.builder.ins().trunc(a),
            UnaryOp::Nearest => self.builder.ins().nearest(a),
            UnaryOp::Not => self.builder.ins().bnot(a),
            UnaryOp::Bitcast(to) => self.cast(vector(to), a),
            UnaryOp::Promote | UnaryOp::Demote | UnaryOp::Widen | UnaryOp::Narrow => {
                unreachable!("conversions are handled with both their vectors")
            }
        }
    }

    /// A float combined bit by bit with a constant.
    fn flip(&mut self, op: BinaryOp, ty: Type, a: ir::Value, bits: u64) -> ir::Value {
        let mask = self.pooled(vector(ty), ty, bits);
        self.binary(op, ty, a, mask)
    }

    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        ty: Type,
        a: ir::Value,
        b: ir::Value,
    ) -> ir::Value {
        let float = ty.is_float();
        match op {
            BinaryOp::Min => self.choose(ty, a, b, a, b),
            BinaryOp::Max => self.choose(ty, b, a, a, b),
            BinaryOp::CopySign => {
                let magnitude = self.flip(BinaryOp::And, ty, a, sign_bit(ty) - 1);
                let sign = self.flip(BinaryOp::And, ty, b, sign_bit(ty));
                self.builder.ins().bor(magnitude, sign)
            }
            BinaryOp::Add if float => self.builder.ins().fadd(a, b),
            BinaryOp::Sub if float => self.builder.ins().fsub(a, b),
            BinaryOp::Add => self.builder.ins().iadd(a, b),
            BinaryOp::Sub => self.builder.ins().isub(a, b),
            BinaryOp::Mul if float => self.builder.ins().fmul(a, b),
            BinaryOp::Mul => self.builder.ins().imul(a, b),
            BinaryOp::Div => self.builder.ins().fdiv(a, b),
            BinaryOp::And => self.builder.ins().band(a, b),
            BinaryOp::Or => self.builder.ins().bor(a, b),
            BinaryOp::Xor => self.builder.ins().bxor(a, b),
        }
    }

    /// `left < right ? a : b`, which Cranelift turns into `minps` or `maxps`.
    fn choose(
        &mut self,
        ty: Type,
        left: ir::Value,
        right: ir::Value,
        a: ir::Value,
        b: ir::Value,
    ) -> ir::Value {
        let less = self.builder.ins().fcmp(FloatCC::LessThan, left, right);
        let less = self.builder.ins().bitcast(vector(ty), little(), less);
        self.builder.ins().bitselect(less, a, b)
    }

    pub(super) fn compare(
        &mut self,
        pred: Predicate,
        float: bool,
        a: ir::Value,
        b: ir::Value,
    ) -> ir::Value {
        let (float_cc, int_cc) = match pred {
            Predicate::Eq => (FloatCC::Equal, IntCC::Equal),
            Predicate::Ne => (FloatCC::NotEqual, IntCC::NotEqual),
            Predicate::Lt => (FloatCC::LessThan, IntCC::SignedLessThan),
            Predicate::Le => (FloatCC::LessThanOrEqual, IntCC::SignedLessThanOrEqual),
        };
        match float {
            true => self.builder.ins().fcmp(float_cc, a, b),
            false => self.builder.ins().icmp(int_cc, a, b),
        }
    }

    /// The entries of a table at one vector of indices, clamped to it.
    fn table(&mut self, table: usize, index: ir::Value) -> ir::Value {
        let (ty, last) = {
            let table = &self.routine.tables[table];
            (table.ty, table.entries.len() as u64 - 1)
        };
        let zero = self.vconst(vector(ty.int()), 0);
        let last = self.constant(ty.int(), last);
        let above = self.builder.ins().icmp(IntCC::SignedGreaterThan, index, last);
        let index = self.builder.ins().bitselect(above, last, index);
        let below = self.builder.ins().icmp(IntCC::SignedGreaterThan, zero, index);
        let index = self.builder.ins().bitselect(below, zero, index);

        let lane = vector(ty).lane_type();
        let shift = i64::from(lane.bytes().ilog2());
        let base = self.pool_base.expect("set in the entry block");
        let mut entries = None;
        for i in 0..vector(ty).lane_count() as u8 {
            let mut at = self.builder.ins().extractlane(index, i);
            if ty.bits() < self.pointer.bits() {
                at = self.builder.ins().uextend(self.pointer, at);
            }
            let at = self.builder.ins().ishl_imm_u(at, shift);
            let at = self.builder.ins().iadd(base, at);
            let entry = self.builder.ins().load(lane, constant(), at, self.table_at[table]);
            entries = Some(match entries {
                None => self.builder.ins().scalar_to_vector(vector(ty), entry),
                Some(vector) => self.builder.ins().insertlane(vector, entry, i),
            });
        }
        entries.expect("a vector has lanes")
    }
}

fn sign_bit(ty: Type) -> u64 {
    1 << (ty.bits() - 1)
}
