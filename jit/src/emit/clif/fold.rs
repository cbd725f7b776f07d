//! Folds in Cranelift's IR: stripes lie in the frame, where the index of an element finds its own.

use super::translate::{Translator, unaligned, vector};
use crate::vir::{BinaryOp, Fold, Merge, Predicate, STRIPE_BYTES, Type};
use cranelift_codegen::ir::{self, InstBuilder, StackSlotData, StackSlotKind};

/// Bytes of a vector.
const VECTOR: usize = 16;

impl Translator<'_> {
    /// The address of each fold's stripes.
    pub(super) fn frame_of_stripes(&mut self) -> Vec<ir::Value> {
        let count = self.routine.stage.folds.len();
        if count == 0 {
            return Vec::new();
        }
        let kind = StackSlotKind::ExplicitSlot;
        let data = StackSlotData::new(kind, (count * STRIPE_BYTES) as u32, 4);
        let slot = self.builder.create_sized_stack_slot(data);
        let at = |fold: usize| (fold * STRIPE_BYTES) as i32;
        (0..count).map(|f| self.builder.ins().stack_addr(self.pointer, slot, at(f))).collect()
    }

    /// Sets all stripes to the identity.
    pub(super) fn start_folds(&mut self, stripes: &[ir::Value]) {
        self.each_fold(stripes, |t, base, merge, ty, _| {
            let identity = t.constant(ty, merge.identity(ty));
            for at in (0..STRIPE_BYTES).step_by(VECTOR) {
                t.builder.ins().store(unaligned(), identity, base, at as i32);
            }
        });
    }

    /// Merges the elements of an iteration, the first of which is number `index`.
    pub(super) fn fold(&mut self, stripes: &[ir::Value], index: ir::Value) {
        self.each_fold(stripes, |t, base, merge, ty, fold| {
            let bytes = i64::from(ty.bits() / 8);
            let at = t.builder.ins().imul_imm_s(index, bytes);
            let at = t.builder.ins().band_imm_s(at, STRIPE_BYTES as i64 - 1);
            let at = t.builder.ins().iadd(base, at);
            for (part, element) in t.parts(fold.value).into_iter().enumerate() {
                let offset = (part * VECTOR) as i32;
                let before = t.builder.ins().load(vector(ty), unaligned(), at, offset);
                let after = t.merged(merge, ty, before, element);
                t.builder.ins().store(unaligned(), after, at, offset);
            }
        });
    }

    /// Merges all stripes in halves and stores what is left.
    pub(super) fn finish_folds(&mut self, stripes: &[ir::Value], results: &[ir::Value]) {
        let mut results = results.iter();
        self.each_fold(stripes, |t, base, merge, ty, _| {
            let load = |t: &mut Self, at: usize| {
                t.builder.ins().load(vector(ty), unaligned(), base, at as i32)
            };
            let mut parts: Vec<ir::Value> =
                (0..STRIPE_BYTES).step_by(VECTOR).map(|at| load(t, at)).collect();
            while parts.len() > 1 {
                let upper = parts.split_off(parts.len() / 2);
                parts = parts.iter().zip(upper).map(|(&a, b)| t.merged(merge, ty, a, b)).collect();
            }
            let mut left = parts[0];
            let mut half = VECTOR / 2;
            while half * 8 >= ty.bits() as usize {
                t.builder.ins().store(unaligned(), left, base, 0);
                let upper = load(t, half);
                left = t.merged(merge, ty, left, upper);
                half /= 2;
            }
            if merge == Merge::Sup {
                // Whichever zero came last.
                let zero = t.constant(ty, 0);
                left = t.binary(BinaryOp::Add, ty, left, zero);
            }
            let lane = t.builder.ins().extractlane(left, 0);
            let to = *results.next().expect("each fold has a place");
            t.builder.ins().store(unaligned(), lane, to, 0);
        });
    }

    fn each_fold(
        &mut self,
        stripes: &[ir::Value],
        mut make: impl FnMut(&mut Self, ir::Value, Merge, Type, Fold),
    ) {
        let stage = &self.routine.stage;
        for (&fold, &base) in stage.folds.iter().zip(stripes) {
            make(self, base, fold.merge, stage.body.ty(fold.value), fold);
        }
    }

    fn merged(&mut self, merge: Merge, ty: Type, a: ir::Value, b: ir::Value) -> ir::Value {
        let op = match merge {
            Merge::Add => BinaryOp::Add,
            Merge::Mul => BinaryOp::Mul,
            Merge::And => BinaryOp::And,
            Merge::Or => BinaryOp::Or,
            // Of what is no number, or alike, it is the second: what there is.
            Merge::Sup => return self.binary(BinaryOp::Max, ty, b, a),
            // NaN wins, and -0 is below +0.
            Merge::Max if ty.is_float() => return self.builder.ins().fmax(a, b),
            Merge::Min if ty.is_float() => return self.builder.ins().fmin(a, b),
            Merge::Max | Merge::Min => {
                let less = self.compare(Predicate::Lt, false, a, b);
                let (if_less, if_not) = if merge == Merge::Max { (b, a) } else { (a, b) };
                return self.builder.ins().bitselect(less, if_less, if_not);
            }
        };
        self.binary(op, ty, a, b)
    }
}
