//! Instruction selection: from a vector routine to a machine program.
//!
//! A value is a number of registers ("parts"), one for each vector that a loop is
//! [unrolled](super::unroll) by, or two for 64-bit lanes among 32-bit ones. All parts of one
//! instruction are selected before the next instruction; [`stagger`](super::stagger) orders them. Constants are
//! made where they are used, as memory operands if possible; [`hoist`](super::hoist) finds registers for them.
//! [`mask`](super::mask) says what masks are.

use super::super::native::live::{Scales, live, negated};
use super::super::native::pool::{Line, Pool};
use super::isa::{Class, Isa};
use super::opcode::{Opcode, multiply_add};
use super::program::{Form, Function, Inst, Reg, Source};
use super::stagger::stagger;
use crate::vir::{
    self, BinaryOp, Body, Each, Routine, ShiftOp, Storage, Store, Type, UnaryOp, Value,
};
use smallvec::SmallVec;

/// What all loops of a routine read: constants, then tables.
pub(super) struct Constants {
    pool: Pool,
    /// Where each table begins.
    tables: Vec<i32>,
}

impl Constants {
    pub(super) fn new(routine: &Routine, isa: Isa) -> Constants {
        let pool = match isa {
            Isa::Avx512 => Pool::of_scalars(),
            Isa::Avx2 => Pool::of_vectors(isa.bytes()),
        };
        let mut constants = Constants { pool, tables: Vec::new() };
        constants.turn_to(routine);
        constants
    }

    /// From now on, tables are those of this routine.
    pub(super) fn turn_to(&mut self, routine: &Routine) {
        self.tables = routine.tables.iter().map(|table| self.pool.table(table)).collect();
    }

    /// The offset of the lane numbers: 0, 1, 2, ...
    pub(super) fn lane_numbers(&mut self, ty: Type, lanes: usize) -> i32 {
        self.pool.sequence(ty, 0..lanes as u64)
    }

    /// A constant as a memory operand.
    pub(super) fn splat(&mut self, ty: Type, bits: u64) -> Source {
        Source::Constant { at: self.pool.splat(ty, bits), bits: ty.bits() }
    }

    pub(super) fn finish(self) -> Box<[Line]> {
        self.pool.finish()
    }
}

/// The machine program of `routine`, unrolled by this many vectors.
pub(super) fn select(
    routine: &Routine,
    isa: Isa,
    unroll: usize,
    constants: &mut Constants,
) -> Function {
    let Each { body, stores, folds } = &routine.stage;
    let narrow = body.types.iter().any(|ty| ty.bits() == 32);
    let lanes = unroll * isa.bytes() / if narrow { 4 } else { 8 };
    let mut selector = Selector::new(routine, isa, lanes, constants);
    selector.body();
    selector.stores(stores);
    selector.folds(folds);
    let mut function = selector.function;
    if unroll > 1 {
        stagger(&mut function);
    }
    function
}

/// What a value is.
#[derive(Clone, Debug)]
enum Held {
    /// Its registers.
    Parts(Parts),
    /// A constant, by its bits.
    Constant(u64),
}

/// The registers of a value.
pub(super) type Parts = SmallVec<[Reg; 4]>;

pub(super) struct Selector<'a> {
    pub(super) routine: &'a Routine,
    pub(super) body: &'a Body,
    pub(super) isa: Isa,
    /// Which values an output depends on.
    live: Vec<bool>,
    values: Vec<Option<Held>>,
    pub(super) function: Function,
    pub(super) pool: &'a mut Pool,
    pub(super) tables: &'a [i32],
    /// Constants in registers, for all parts of the current instruction.
    shared: SmallVec<[(Value, Reg); 4]>,
    /// The vector instruction being selected for.
    origin: u32,
    /// The vector being computed.
    part: u8,
}

impl<'a> Selector<'a> {
    pub(super) fn new(
        routine: &'a Routine,
        isa: Isa,
        lanes: usize,
        constants: &'a mut Constants,
    ) -> Selector<'a> {
        let scales = match isa {
            Isa::Avx512 => Scales::ByInstruction,
            Isa::Avx2 => Scales::Never,
        };
        Selector {
            routine,
            body: routine.body(),
            isa,
            live: live(&routine.stage, scales),
            values: vec![None; routine.body().insts.len()],
            function: Function::new(isa, lanes),
            pool: &mut constants.pool,
            tables: &constants.tables,
            shared: SmallVec::new(),
            origin: 0,
            part: 0,
        }
    }

    fn body(&mut self) {
        let body = self.body;
        let mut at = 0;
        for cold in &body.cold {
            self.straight(at, cold.start as usize);
            self.origin = cold.mask.0;
            self.cold_start(cold.mask);
            self.straight(cold.start as usize, cold.end as usize);
            self.push(Inst::new(iced_x86::Code::Nopd, None, &[]).form(Form::ColdEnd));
            at = cold.end as usize;
        }
        self.straight(at, body.insts.len());
    }

    fn stores(&mut self, stores: &[Store]) {
        for (index, store) in stores.iter().enumerate() {
            self.serve(self.body.insts.len() + index);
            self.store(store);
        }
    }

    /// What follows serves instruction `index` of the routine, or one of its stores or folds, which
    /// are numbered after them.
    pub(super) fn serve(&mut self, index: usize) {
        self.shared.clear();
        self.origin = index as u32;
    }

    /// Instructions `start..end`.
    fn straight(&mut self, start: usize, end: usize) {
        for index in start..end {
            if self.live[index] {
                self.serve(index);
                let held = self.inst(&self.body.insts[index], self.body.types[index]);
                self.values[index] = Some(held);
            }
        }
    }

    fn inst(&mut self, inst: &vir::Inst, ty: Type) -> Held {
        let parts = match *inst {
            vir::Inst::Const { bits, .. } => return Held::Constant(bits),
            vir::Inst::Unary { op: UnaryOp::Bitcast(_), a } if !self.body.ty(a).is_mask() => {
                return self.held(a).clone();
            }
            vir::Inst::Load { slot } => self.load(slot, ty),
            vir::Inst::Scalar { slot } => self.scalar(slot, ty),
            vir::Inst::Unary { op, a } => self.unary(op, ty, a),
            vir::Inst::Binary { op, a, b } => self.binary(op, ty, a, b),
            vir::Inst::Fma { a, b, c } => self.fma(ty, [a, b, c]),
            vir::Inst::Scale { p, k, .. } if self.isa == Isa::Avx512 => self.scale(ty, p, k),
            vir::Inst::Scale { scaled, .. } => return self.held(scaled).clone(),
            vir::Inst::Compare { pred, a, b } => self.compare(pred, a, b),
            vir::Inst::Select { mask, a, b } => self.select(ty, mask, a, b),
            vir::Inst::Shift { op, a, by } => self.shift(op, ty, a, by),
            vir::Inst::Table { table, index } => self.table(table as usize, index),
        };
        Held::Parts(parts)
    }

    pub(super) fn push(&mut self, inst: Inst) {
        self.function.insts.push(Inst { origin: self.origin, part: self.part, ..inst });
    }

    /// Appends what `make` builds around a new vector register.
    pub(super) fn vector(&mut self, make: impl FnOnce(Reg) -> Inst) -> Reg {
        let def = self.function.reg(Class::Vector);
        self.push(make(def));
        def
    }

    /// How many registers a value of this type takes.
    pub(super) fn count(&self, ty: Type) -> usize {
        self.function.lanes * ty.bits() as usize / 8 / self.isa.bytes()
    }

    /// Makes every part of a value of type `ty`.
    pub(super) fn each(
        &mut self,
        ty: Type,
        mut make: impl FnMut(&mut Self, usize) -> Reg,
    ) -> Parts {
        let count = self.count(ty);
        let make_next = |part| {
            self.part = part as u8;
            make(self, part)
        };
        let parts = (0..count).map(make_next).collect();
        self.part = 0;
        parts
    }

    fn held(&self, value: Value) -> &Held {
        self.values[value.index()]
            .as_ref()
            .expect("a value that is used is live and defined before")
    }

    pub(super) fn constant(&self, value: Value) -> Option<u64> {
        match *self.held(value) {
            Held::Constant(bits) => Some(bits),
            Held::Parts(_) => None,
        }
    }

    /// One part of a value, in a register.
    pub(super) fn reg(&mut self, value: Value, part: usize) -> Reg {
        let ty = self.body.ty(value);
        match *self.held(value) {
            Held::Parts(ref parts) => parts[part],
            Held::Constant(bits) if ty.is_mask() => self.constant_mask(bits != 0),
            Held::Constant(bits) => {
                if let Some(&(_, reg)) = self.shared.iter().find(|(known, _)| *known == value) {
                    return reg;
                }
                let reg = self.splat(ty, bits);
                self.shared.push((value, reg));
                reg
            }
        }
    }

    /// A constant in a register.
    pub(super) fn splat(&mut self, ty: Type, bits: u64) -> Reg {
        if bits == 0 {
            let code = Opcode::Xor.code(self.isa, 32);
            return self.vector(|def| Inst::new(code, def, &[]).form(Form::Idiom));
        }
        let (code, from) = (Opcode::Constant.code(self.isa, ty.bits()), self.pooled(ty, bits));
        self.vector(|def| Inst::new(code, def, &[from]).form(Form::Splat))
    }

    /// One part of a value, possibly in memory.
    pub(super) fn source(&mut self, value: Value, part: usize) -> Source {
        match *self.held(value) {
            Held::Parts(ref parts) => Source::Reg(parts[part]),
            Held::Constant(bits) => self.pooled(self.body.ty(value), bits),
        }
    }

    /// A constant as a memory operand.
    pub(super) fn pooled(&mut self, ty: Type, bits: u64) -> Source {
        Source::Constant { at: self.pool.splat(ty, bits), bits: ty.bits() }
    }

    /// `op` of a register and any source.
    pub(super) fn two(&mut self, op: Opcode, ty: Type, a: Reg, b: Source) -> Reg {
        let code = op.code(self.isa, ty.bits());
        self.vector(|def| Inst::new(code, def, &[Source::Reg(a), b]).memory(1))
    }

    fn load(&mut self, slot: u32, ty: Type) -> Parts {
        match self.routine.inputs[slot as usize] {
            Storage::Bool => return self.load_bools(slot),
            Storage::U8 => return self.load_bytes(slot),
            storage @ (Storage::F16 | Storage::BF16) => return self.load_halves(slot, storage),
            Storage::F32 | Storage::F64 | Storage::I32 | Storage::I64 => {}
        }
        let (isa, step) = (self.isa, self.isa.bytes() as i32);
        self.each(ty, |s, part| {
            let from = Source::Input { slot, at: part as i32 * step };
            s.vector(|def| Inst::new(Opcode::Load.code(isa, ty.bits()), def, &[from]))
        })
    }

    fn store(&mut self, store: &Store) {
        let Store { value, output } = *store;
        let storage = self.routine.outputs[output as usize];
        match storage {
            Storage::Bool => return self.store_bools(output, value),
            Storage::U8 => return self.store_bytes(output, value),
            Storage::F16 | Storage::BF16 => return self.store_halves(output, value, storage),
            Storage::F32 | Storage::F64 | Storage::I32 | Storage::I64 => {}
        }
        if self.routine.realigned.contains(&output) {
            return self.store_realigned(output, value);
        }
        let (ty, step) = (storage.lane(), self.isa.bytes() as i32);
        for part in 0..self.count(ty) {
            let from = Source::Reg(self.reg(value, part));
            let form = Form::Store { output, at: part as i32 * step };
            self.push(Inst::new(Opcode::Store.code(self.isa, ty.bits()), None, &[from]).form(form));
        }
    }

    fn unary(&mut self, op: UnaryOp, ty: Type, a: Value) -> Parts {
        let from = self.body.ty(a);
        let sign = 1 << (from.bits() - 1);
        match op {
            UnaryOp::Neg => self.with_constant(Opcode::FloatXor, from, a, sign),
            UnaryOp::Abs => self.with_constant(Opcode::FloatAnd, from, a, sign - 1),
            UnaryOp::Not if from.is_mask() => self.mask_not(from, a),
            UnaryOp::Not => {
                self.with_constant(Opcode::Xor, from, a, u64::MAX >> (64 - from.bits()))
            }
            UnaryOp::Sqrt => self.each(ty, |s, part| {
                let (code, a) = (Opcode::Sqrt.code(s.isa, ty.bits()), s.source(a, part));
                s.vector(|def| Inst::new(code, def, &[a]).memory(0))
            }),
            UnaryOp::Nearest => self.round(ty, a, 0),
            UnaryOp::Floor => self.round(ty, a, 1),
            UnaryOp::Ceil => self.round(ty, a, 2),
            UnaryOp::Trunc => self.round(ty, a, 3),
            UnaryOp::Bitcast(_) => self.mask_bits(ty, a),
            UnaryOp::Promote => self.promote(a),
            UnaryOp::Demote => self.demote(a),
            UnaryOp::Widen if from.is_int() => self.widen_int(a),
            UnaryOp::Narrow if from.is_int() => self.narrow_int(a),
            UnaryOp::Widen => self.widen(a),
            UnaryOp::Narrow => self.narrow(a),
        }
    }

    /// `p 2^k` by `vscalefps`, and 0 where that rounds to 0: an Intel core takes a hundred cycles or more for an
    /// instruction one of whose lanes is below the least normal number, down to `k = -511` (`-4095`), but none
    /// for lanes that are masked away. `exp` of -110 took 30 times as long as of 1 on a Xeon 6.
    fn scale(&mut self, ty: Type, p: Value, k: Value) -> Parts {
        const NOT_LESS: u8 = 0x15;
        let least = match ty {
            Type::F32 => u64::from(vir::LEAST_POWER_32.to_bits()),
            _ => vir::LEAST_POWER_64.to_bits(),
        };
        let [compare, scale] =
            [Opcode::FloatCompare, Opcode::Scale].map(|op| op.code(self.isa, ty.bits()));
        self.each(ty, |s, part| {
            let (p, k) = (Source::Reg(s.reg(p, part)), Source::Reg(s.reg(k, part)));
            let least = s.pooled(ty, least);
            let is_kept =
                s.mask(|def| Inst::new(compare, def, &[k, least]).memory(1).imm(NOT_LESS));
            s.vector(|def| Inst::new(scale, def, &[p, k]).memory(1).zeroing(is_kept))
        })
    }

    fn with_constant(&mut self, op: Opcode, ty: Type, a: Value, bits: u64) -> Parts {
        self.each(ty, |s, part| {
            let (a, b) = (s.reg(a, part), s.pooled(ty, bits));
            s.two(op, ty, a, b)
        })
    }

    /// Rounds to an integral value; no exception for "inexact" (bit 3).
    fn round(&mut self, ty: Type, a: Value, mode: u8) -> Parts {
        self.each(ty, |s, part| {
            let (code, a) = (Opcode::Round.code(s.isa, ty.bits()), s.source(a, part));
            s.vector(|def| Inst::new(code, def, &[a]).memory(0).imm(mode | 8))
        })
    }

    fn promote(&mut self, a: Value) -> Parts {
        let code = Opcode::Promote.code(self.isa, 32);
        self.halves(a, |s, half| {
            s.vector(|def| Inst::new(code, def, &[Source::Reg(half)]).halved([0, 1, 0, 0]))
        })
    }

    /// Applies `make` to the lower and to the upper half of each vector of `a`.
    pub(super) fn halves(
        &mut self,
        a: Value,
        mut make: impl FnMut(&mut Self, Reg) -> Reg,
    ) -> Parts {
        let mut parts = Parts::new();
        for part in 0..self.count(self.body.ty(a)) {
            let lower = self.reg(a, part);
            let upper = self.upper_half(lower);
            parts.push(make(self, lower));
            parts.push(make(self, upper));
        }
        parts
    }

    fn demote(&mut self, a: Value) -> Parts {
        let isa = self.isa;
        self.each(Type::F32, |s, part| {
            let halves = [2 * part, 2 * part + 1].map(|part| {
                let from = Source::Reg(s.reg(a, part));
                let code = Opcode::Demote.code(isa, 64);
                Source::Reg(s.vector(|def| Inst::new(code, def, &[from]).halved([1, 0, 0, 0])))
            });
            let code = Opcode::JoinHalves.code(isa, 32);
            s.vector(|def| Inst::new(code, def, &halves).halved([0, 0, 1, 0]).imm(1))
        })
    }

    /// The upper half of a vector, moved down.
    pub(super) fn upper_half(&mut self, a: Reg) -> Reg {
        let code = Opcode::UpperHalf.code(self.isa, 32);
        self.vector(|def| Inst::new(code, def, &[Source::Reg(a)]).halved([1, 0, 0, 0]).imm(1))
    }

    fn binary(&mut self, op: BinaryOp, ty: Type, a: Value, b: Value) -> Parts {
        if ty.is_mask() {
            return self.mask_binary(op, ty, a, b);
        }
        let op = match op {
            BinaryOp::CopySign => return self.copysign(ty, a, b),
            BinaryOp::Add if ty.is_float() => Opcode::Add,
            BinaryOp::Sub if ty.is_float() => Opcode::Sub,
            BinaryOp::Mul if ty == Type::I64 && self.isa == Isa::Avx2 => {
                return self.wide_mul(a, b);
            }
            BinaryOp::Mul if ty.is_int() => Opcode::IntMul,
            BinaryOp::Add => Opcode::IntAdd,
            BinaryOp::Sub => Opcode::IntSub,
            BinaryOp::Mul => Opcode::Mul,
            BinaryOp::Div => Opcode::Div,
            BinaryOp::Min => Opcode::Min,
            BinaryOp::Max => Opcode::Max,
            BinaryOp::And => Opcode::And,
            BinaryOp::Or => Opcode::Or,
            BinaryOp::Xor => Opcode::Xor,
        };
        // The second operand may be memory. x86 keeps the first of two NaNs; vir leaves the choice
        // open.
        let commutes = matches!(
            op,
            Opcode::Add
                | Opcode::Mul
                | Opcode::IntAdd
                | Opcode::IntMul
                | Opcode::And
                | Opcode::Or
                | Opcode::Xor
        );
        // So the second operand is a constant, or the older value, which may have lost its
        // register.
        let (a, b) = match self.constant(a) {
            _ if !commutes || self.constant(b).is_some() => (a, b),
            None if b < a => (a, b),
            _ => (b, a),
        };
        self.each(ty, |s, part| {
            let (a, b) = (s.reg(a, part), s.source(b, part));
            s.two(op, ty, a, b)
        })
    }

    fn copysign(&mut self, ty: Type, a: Value, b: Value) -> Parts {
        let sign = 1 << (ty.bits() - 1);
        self.each(ty, |s, part| {
            let (a, b) = (s.reg(a, part), s.reg(b, part));
            if s.isa == Isa::Avx512 {
                // Bit by bit, the third operand chooses between the second and the first.
                const CHOOSE: u8 = 0b1101_1000;
                let code = Opcode::Ternary.code(s.isa, ty.bits());
                let sources = [Source::Reg(a), Source::Reg(b), s.pooled(ty, sign)];
                return s.vector(|def| Inst::new(code, def, &sources).form(Form::Tied).imm(CHOOSE));
            }
            let (magnitude, sign) = (s.pooled(ty, sign - 1), s.pooled(ty, sign));
            let magnitude = s.two(Opcode::FloatAnd, ty, a, magnitude);
            let sign = s.two(Opcode::FloatAnd, ty, b, sign);
            s.two(Opcode::FloatOr, ty, magnitude, Source::Reg(sign))
        })
    }

    fn fma(&mut self, ty: Type, operands: [Value; 3]) -> Parts {
        let [a, b, c] = operands.map(|value| match negated(self.body, value) {
            Some(positive) => (positive, true),
            None => (value, false),
        });
        let forms = multiply_add(a.1 != b.1, c.1).map(|op| op.code(self.isa, ty.bits()));
        self.each(ty, |s, part| {
            // Only one constant may be memory, and the last is best: polynomials differ in their
            // addends.
            let last = [a.0, b.0, c.0].into_iter().rposition(|v| s.constant(v).is_some());
            let mut sources = [Source::None; 3];
            for (i, (value, _)) in [a, b, c].into_iter().enumerate() {
                sources[i] = match last == Some(i) {
                    true => s.source(value, part),
                    false => Source::Reg(s.reg(value, part)),
                };
            }
            s.vector(|def| Inst::new(forms[0], def, &sources).form(Form::MultiplyAdd(forms)))
        })
    }

    fn shift(&mut self, op: ShiftOp, ty: Type, a: Value, by: u8) -> Parts {
        if op == ShiftOp::Sar && ty == Type::I64 && self.isa == Isa::Avx2 {
            return self.wide_sar(a, by);
        }
        let op = match op {
            ShiftOp::Shl => Opcode::Shl,
            ShiftOp::Shr => Opcode::Shr,
            ShiftOp::Sar => Opcode::Sar,
        };
        self.each(ty, |s, part| {
            let a = s.reg(a, part);
            s.shift_reg(op, ty, a, by)
        })
    }

    pub(super) fn shift_reg(&mut self, op: Opcode, ty: Type, a: Reg, by: u8) -> Reg {
        let code = op.code(self.isa, ty.bits());
        self.vector(|def| Inst::new(code, def, &[Source::Reg(a)]).imm(by))
    }

    /// `a >> by` by the identity `((a >>> by) ^ m) - m`, where `m` is the sign bit shifted along.
    fn wide_sar(&mut self, a: Value, by: u8) -> Parts {
        let ty = Type::I64;
        self.each(ty, |s, part| {
            let (a, m) = (s.reg(a, part), s.pooled(ty, 1 << (63 - by)));
            let shifted = s.shift_reg(Opcode::Shr, ty, a, by);
            let flipped = s.two(Opcode::Xor, ty, shifted, m);
            s.two(Opcode::IntSub, ty, flipped, m)
        })
    }
}
