//! The builder of routines: typed, hash-consed, without algebra.

use super::{
    BinaryOp, Cold, Each, Fold, Inst, Merge, Predicate, Routine, ShiftOp, Storage, Store, Table,
    Type, UnaryOp, Value,
};
use std::collections::HashMap;

/// Builds a [`Routine`] of one stage, one primitive at a time.
///
/// Equal instructions become one value (so `exp(x)` and `expm1(x)` share their range reduction),
/// but nothing is simplified: error-free transformations such as `(a + b) - a` must survive.
///
/// # Panics
///
/// Methods panic where operand types do not fit: that is a bug in `lower`, never in user input.
#[derive(Default)]
pub struct Builder {
    routine: Routine,
    stage: Each,
    known: HashMap<Inst, Value>,
    /// Instructions known only in cold regions, by mask.
    cold_known: HashMap<Value, Vec<(Inst, Value)>>,
    /// In a cold region, the instructions that became known there.
    in_cold: Option<Vec<(Inst, Value)>>,
}

/// `Builder` methods that forward to a primitive of one, two or three operands.
macro_rules! forward {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),+) => $make:expr;)+) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, $($arg: Value),+) -> Value {
            let inst = ($make)($($arg),+);
            self.push(inst)
        }
    )+};
}

fn unary(op: UnaryOp) -> impl Fn(Value) -> Inst {
    move |a| Inst::Unary { op, a }
}

fn binary(op: BinaryOp) -> impl Fn(Value, Value) -> Inst {
    move |a, b| Inst::Binary { op, a, b }
}

fn compare(pred: Predicate) -> impl Fn(Value, Value) -> Inst {
    move |a, b| Inst::Compare { pred, a, b }
}

impl Builder {
    /// An empty routine.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Declares the next input and loads its element.
    pub fn input(&mut self, storage: Storage) -> Value {
        let slot = self.routine.inputs.len() as u32;
        self.routine.inputs.push(storage);
        self.push(Inst::Load { slot })
    }

    /// Declares the next input, which has one element for each row, as wide as its lane.
    pub fn scalar(&mut self, storage: Storage) -> Value {
        let slot = self.routine.inputs.len() as u32;
        self.routine.inputs.push(storage);
        self.push(Inst::Scalar { slot })
    }

    /// Stores `value` as the next output.
    pub fn output(&mut self, value: Value, storage: Storage) {
        assert_eq!(self.ty(value), storage.lane(), "an output has its storage's lane type");
        let output = self.routine.outputs.len() as u32;
        self.routine.outputs.push(storage);
        self.stage.stores.push(Store { value, output });
    }

    /// Merges `value`, a number, over the elements of a row: see [`Fold`].
    pub fn fold(&mut self, value: Value, merge: Merge) {
        self.stage.folds.push(Fold { value, merge });
    }

    /// What `routine` stores, one value for each output, computed here from values for its inputs. It must
    /// have no cold regions.
    pub fn inline(&mut self, routine: &Routine, inputs: &[Value]) -> Vec<Value> {
        let values = self.inline_all(routine, inputs);
        routine.stage.stores.iter().map(|store| values[store.value.index()]).collect()
    }

    /// [`inline`](Builder::inline), with each value of the routine.
    pub fn inline_all(&mut self, routine: &Routine, inputs: &[Value]) -> Vec<Value> {
        let body = &routine.stage.body;
        assert!(body.cold.is_empty(), "a region is skipped as a whole");
        let mut values: Vec<Value> = Vec::with_capacity(body.insts.len());
        for &inst in &body.insts {
            let of = |value: Value| values[value.index()];
            let value = match inst {
                Inst::Load { slot } | Inst::Scalar { slot } => inputs[slot as usize],
                Inst::Table { table, index } => {
                    let Table { ty, entries } = &routine.tables[table as usize];
                    self.table(*ty, entries, of(index))
                }
                Inst::Const { .. } => self.push(inst),
                Inst::Unary { op, a } => self.push(Inst::Unary { op, a: of(a) }),
                Inst::Binary { op, a, b } => self.push(Inst::Binary { op, a: of(a), b: of(b) }),
                Inst::Fma { a, b, c } => self.push(Inst::Fma { a: of(a), b: of(b), c: of(c) }),
                Inst::Scale { p, k, scaled } => {
                    self.push(Inst::Scale { p: of(p), k: of(k), scaled: of(scaled) })
                }
                Inst::Compare { pred, a, b } => {
                    self.push(Inst::Compare { pred, a: of(a), b: of(b) })
                }
                Inst::Select { mask, a, b } => {
                    self.push(Inst::Select { mask: of(mask), a: of(a), b: of(b) })
                }
                Inst::Shift { op, a, by } => self.push(Inst::Shift { op, a: of(a), by }),
            };
            values.push(value);
        }
        values
    }

    /// The finished routine, verified.
    pub fn finish(self) -> Routine {
        let routine = Routine { stage: self.stage, ..self.routine };
        if let Err(fault) = super::verify(&routine) {
            panic!("lower built an invalid routine: {fault}\n{routine}");
        }
        routine
    }

    /// The lane type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.stage.body.ty(value)
    }

    /// The value of a float constant.
    pub fn constant(&self, value: Value) -> Option<f64> {
        match *self.stage.body.inst(value) {
            Inst::Const { ty: Type::F32, bits } => Some(f64::from(f32::from_bits(bits as u32))),
            Inst::Const { ty: Type::F64, bits } => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    /// The value of an integer constant.
    pub(crate) fn int_constant(&self, value: Value) -> Option<i64> {
        match *self.stage.body.inst(value) {
            Inst::Const { ty: Type::I32, bits } => Some(i64::from(bits as i32)),
            Inst::Const { ty: Type::I64, bits } => Some(bits as i64),
            _ => None,
        }
    }

    /// An `f32` constant.
    pub fn f32(&mut self, value: f32) -> Value {
        self.push(Inst::Const { ty: Type::F32, bits: u64::from(value.to_bits()) })
    }

    /// An `f64` constant.
    pub fn f64(&mut self, value: f64) -> Value {
        self.push(Inst::Const { ty: Type::F64, bits: value.to_bits() })
    }

    /// A constant of float type `ty`, rounded to it.
    pub fn float(&mut self, ty: Type, value: f64) -> Value {
        match ty {
            Type::F32 => self.f32(value as f32),
            Type::F64 => self.f64(value),
            _ => panic!("{ty:?} is no float type"),
        }
    }

    /// A constant of integer type `ty`, cut to its width.
    pub fn int(&mut self, ty: Type, value: i64) -> Value {
        match ty {
            Type::I32 => self.push(Inst::Const { ty, bits: u64::from(value as u32) }),
            Type::I64 => self.push(Inst::Const { ty, bits: value as u64 }),
            _ => panic!("{ty:?} is no integer type"),
        }
    }

    /// A constant mask.
    pub fn mask(&mut self, ty: Type, value: bool) -> Value {
        assert!(ty.is_mask(), "{ty:?} is no mask type");
        self.push(Inst::Const { ty, bits: if value { ty.ones() } else { 0 } })
    }

    forward! {
        /// The sign bit flipped.
        neg(a) => unary(UnaryOp::Neg);
        /// The sign bit cleared.
        abs(a) => unary(UnaryOp::Abs);
        /// The square root, correctly rounded.
        sqrt(a) => unary(UnaryOp::Sqrt);
        /// The largest integral value not above.
        floor(a) => unary(UnaryOp::Floor);
        /// The smallest integral value not below.
        ceil(a) => unary(UnaryOp::Ceil);
        /// Rounded toward zero.
        trunc(a) => unary(UnaryOp::Trunc);
        /// Rounded to nearest, ties to even.
        nearest(a) => unary(UnaryOp::Nearest);
        /// Every bit flipped (integers and masks).
        not(a) => unary(UnaryOp::Not);
        /// `f32` to `f64`, exact.
        promote(a) => unary(UnaryOp::Promote);
        /// `f64` to `f32`, rounded to nearest even.
        demote(a) => unary(UnaryOp::Demote);
        /// The sum (wrapping for integers).
        add(a, b) => binary(BinaryOp::Add);
        /// The difference (wrapping for integers).
        sub(a, b) => binary(BinaryOp::Sub);
        /// The product (wrapping for integers).
        mul(a, b) => binary(BinaryOp::Mul);
        /// The quotient.
        div(a, b) => binary(BinaryOp::Div);
        /// `a < b ? a : b`.
        min(a, b) => binary(BinaryOp::Min);
        /// `b < a ? a : b`.
        max(a, b) => binary(BinaryOp::Max);
        /// Magnitude of `a`, sign of `b`.
        copysign(a, b) => binary(BinaryOp::CopySign);
        /// Bitwise and (integers and masks).
        and(a, b) => binary(BinaryOp::And);
        /// Bitwise or (integers and masks).
        or(a, b) => binary(BinaryOp::Or);
        /// Bitwise exclusive or (integers and masks).
        xor(a, b) => binary(BinaryOp::Xor);
        /// `a*b + c`, rounded once.
        fma(a, b, c) => |a, b, c| Inst::Fma { a, b, c };
        /// `scaled`, which must be `p 2^k` rounded once, for a normal `p` and a whole `k`.
        scale(p, k, scaled) => |p, k, scaled| Inst::Scale { p, k, scaled };
        /// `a` where `mask` is set, else `b`.
        select(mask, a, b) => |mask, a, b| Inst::Select { mask, a, b };
        /// Equal; false on NaN.
        eq(a, b) => compare(Predicate::Eq);
        /// Not equal; true on NaN.
        ne(a, b) => compare(Predicate::Ne);
        /// Below; false on NaN.
        lt(a, b) => compare(Predicate::Lt);
        /// Below or equal; false on NaN.
        le(a, b) => compare(Predicate::Le);
        /// Above; false on NaN.
        gt(a, b) => |a, b| Inst::Compare { pred: Predicate::Lt, a: b, b: a };
        /// Above or equal; false on NaN.
        ge(a, b) => |a, b| Inst::Compare { pred: Predicate::Le, a: b, b: a };
    }

    /// A mask at the width of `ty`: `widen`, `narrow`, or nothing if it already has it.
    pub fn resize_mask(&mut self, mask: Value, ty: Type) -> Value {
        if self.ty(mask) == ty.mask() {
            return mask;
        }
        // Widening what was just narrowed gives back the wide mask.
        if let Inst::Unary { op: UnaryOp::Widen | UnaryOp::Narrow, a } = *self.stage.body.inst(mask)
        {
            return a;
        }
        let op = if ty.bits() == 64 { UnaryOp::Widen } else { UnaryOp::Narrow };
        self.push(Inst::Unary { op, a: mask })
    }

    /// An integer at the width of `ty`: `widen`, `narrow`, or nothing if it already has it.
    pub fn resize_int(&mut self, a: Value, ty: Type) -> Value {
        match (self.ty(a), ty) {
            (Type::I32, Type::I64) => self.push(Inst::Unary { op: UnaryOp::Widen, a }),
            (Type::I64, Type::I32) => self.push(Inst::Unary { op: UnaryOp::Narrow, a }),
            _ => a,
        }
    }

    /// The same bits as another type of the same width.
    pub fn bitcast(&mut self, a: Value, ty: Type) -> Value {
        if self.ty(a) == ty { a } else { self.push(Inst::Unary { op: UnaryOp::Bitcast(ty), a }) }
    }

    /// `a << by`.
    pub fn shl(&mut self, a: Value, by: u8) -> Value {
        self.push(Inst::Shift { op: ShiftOp::Shl, a, by })
    }

    /// `a >> by`, zeros shifted in.
    pub fn shr(&mut self, a: Value, by: u8) -> Value {
        self.push(Inst::Shift { op: ShiftOp::Shr, a, by })
    }

    /// `a >> by`, the sign shifted in.
    pub fn sar(&mut self, a: Value, by: u8) -> Value {
        self.push(Inst::Shift { op: ShiftOp::Sar, a, by })
    }

    /// Entry `index` of a constant table of floats or integers, the index clamped to the table.
    pub fn table(&mut self, ty: Type, entries: &[u64], index: Value) -> Value {
        let position = self.routine.tables.iter().position(|t| t.ty == ty && t.entries == entries);
        let table = position.unwrap_or_else(|| {
            self.routine.tables.push(Table { ty, entries: entries.to_vec() });
            self.routine.tables.len() - 1
        });
        self.push(Inst::Table { table: table as u32, index })
    }

    /// `fast` where `mask` is clear, what `slow` builds where it is set.
    ///
    /// Emitters skip the slow part when no lane needs it. Inside another cold region the slow part
    /// simply joins that region; asking for the same region again returns the existing one.
    pub fn cold<const N: usize>(
        &mut self,
        mask: Value,
        fast: [Value; N],
        slow: impl Fn(&mut Builder) -> [Value; N],
    ) -> [Value; N] {
        let results = if self.in_cold.is_some() {
            slow(self)
        } else {
            match self.cold_again(mask, &slow) {
                Some(results) => results,
                None => self.cold_region(mask, &slow),
            }
        };
        std::array::from_fn(|i| self.select(mask, results[i], fast[i]))
    }

    /// The results of `slow` from an earlier region under this mask, if it adds nothing to it.
    fn cold_again<const N: usize>(
        &mut self,
        mask: Value,
        slow: &impl Fn(&mut Builder) -> [Value; N],
    ) -> Option<[Value; N]> {
        let inside = self.cold_known.get(&mask)?.clone();
        // What is also known outside keeps its outside value afterwards.
        let outside: Vec<Option<Value>> =
            inside.iter().map(|&(inst, value)| self.known.insert(inst, value)).collect();
        let start = self.stage.body.insts.len();
        let (results, _) = self.inside(slow);
        // In reverse, since two regions under one mask may know the same instruction.
        for ((inst, _), value) in inside.iter().zip(outside).rev() {
            match value {
                Some(value) => self.known.insert(*inst, value),
                None => self.known.remove(inst),
            };
        }
        let unchanged = self.stage.body.insts.len() == start;
        self.stage.body.insts.truncate(start);
        self.stage.body.types.truncate(start);
        unchanged.then_some(results)
    }

    fn cold_region<const N: usize>(
        &mut self,
        mask: Value,
        slow: &impl Fn(&mut Builder) -> [Value; N],
    ) -> [Value; N] {
        let start = self.stage.body.insts.len() as u32;
        let (results, found) = self.inside(slow);
        let end = self.stage.body.insts.len() as u32;
        self.cold_known.entry(mask).or_default().extend(found);
        if start < end {
            self.stage.body.cold.push(Cold { mask, start, end });
        }
        results
    }

    /// Builds what a cold region computes. What becomes known inside is not known outside.
    fn inside<const N: usize>(
        &mut self,
        slow: &impl Fn(&mut Builder) -> [Value; N],
    ) -> ([Value; N], Vec<(Inst, Value)>) {
        self.in_cold = Some(Vec::new());
        let results = slow(self);
        let found = self.in_cold.take().unwrap_or_default();
        for (inst, _) in &found {
            self.known.remove(inst);
        }
        (results, found)
    }

    fn push(&mut self, inst: Inst) -> Value {
        if let Some(&value) = self.known.get(&inst) {
            return value;
        }
        let ty = super::verify::result_type(&self.routine, &self.stage.body, &inst)
            .unwrap_or_else(|fault| panic!("lower built an invalid instruction {inst:?}: {fault}"));
        let value = Value(self.stage.body.insts.len() as u32);
        self.stage.body.insts.push(inst);
        self.stage.body.types.push(ty);
        self.known.insert(inst, value);
        self.in_cold.iter_mut().for_each(|found| found.push((inst, value)));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::{Builder, Storage};

    /// What is known in two regions under one mask stays unknown outside.
    #[test]
    fn regions_leak_nothing() {
        let mut b = Builder::new();
        let x = b.input(Storage::F32);
        let large = b.f32(1e6);
        let mask = b.lt(large, x);
        for times in 1..4 {
            b.cold(mask, [x], |b| {
                let root = b.sqrt(x);
                [(0..times).fold(root, |product, _| b.mul(product, root))]
            });
        }
        let root = b.sqrt(x);
        b.output(root, Storage::F32);
        assert_eq!(b.finish().body().cold.len(), 3);
    }

    #[test]
    fn a_cold_region_is_built_once() {
        let mut b = Builder::new();
        let x = b.input(Storage::F32);
        let large = b.f32(1e6);
        let mask = b.lt(large, x);
        let slow = |b: &mut Builder| [b.sqrt(x)];
        let [first] = b.cold(mask, [x], slow);
        let [second] = b.cold(mask, [x], slow);
        assert_eq!(first, second);
        let [other] = b.cold(mask, [x], |b| {
            let root = b.sqrt(x);
            [b.mul(root, root)]
        });
        b.output(first, Storage::F32);
        b.output(other, Storage::F32);
        assert_eq!(b.finish().body().cold.len(), 2);
    }
}
