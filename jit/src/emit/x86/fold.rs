//! Folds: the stripes of a row, before, in and after its loops.
//!
//! Stripes lie in the frame. A loop reads those of its elements, merges, and writes them back, unless
//! [`pin`](super::stripes::pin) finds registers for them.
//!
//! A supremum is one instruction an element: of operands that are no numbers, or alike, `max` gives the
//! second, which is what there is. The sign of zero goes when a row is done.
//!
//! The lesser of two floats is `min(a, b) | min(b, a)`: both are the same unless one is NaN, which the
//! bits of a number leave NaN, or both are zeros, of which -0 is then left. Stripes of the larger have
//! their signs flipped. (NaN and zeros take two more instructions for the larger itself.)

use super::isa::Isa;
use super::opcode::Opcode;
use super::program::{Form, Function, Inst, Reg, Source, Stripes};
use super::select::{Constants, Parts, Selector};
use crate::vir::{Fold, Merge, Routine, STRIPE_BYTES, Type};

/// Sets all stripes to the identity, before a row.
pub(super) fn start(routine: &Routine, isa: Isa, constants: &mut Constants) -> Function {
    let mut selector = Selector::new(routine, isa, 0, constants);
    let mut known: Vec<((u64, Type), Reg)> = Vec::new();
    selector.each_fold(|s, fold, _, ty| {
        let (_, bits) = identity(routine, fold);
        let same = known.iter().find(|(key, _)| *key == (bits, ty)).map(|&(_, reg)| reg);
        let identity = same.unwrap_or_else(|| s.splat(ty, bits));
        known.push(((bits, ty), identity));
        for at in s.offsets() {
            s.keep(Stripes { fold, at, moves: false }, ty, identity);
        }
    });
    selector.function
}

/// Merges all stripes in halves and stores what is left, after a row.
pub(super) fn finish(routine: &Routine, isa: Isa, constants: &mut Constants) -> Function {
    let mut selector = Selector::new(routine, isa, 0, constants);
    selector.finish(|s, stripes, ty| s.stripes(stripes, ty));
    selector.function
}

/// What [`finish`] does, but the stripes are in registers of `function`.
pub(super) fn finish_registers(
    routine: &Routine,
    function: &mut Function,
    stripes: &[(Stripes, Reg)],
    constants: &mut Constants,
) -> Vec<Inst> {
    let mut selector = Selector::new(routine, function.isa, 0, constants);
    selector.function.classes = std::mem::take(&mut function.classes);
    selector.finish(|_, of, _| {
        let is_it = |(known, _): &&(Stripes, Reg)| *known == of;
        stripes.iter().find(is_it).expect("all stripes are in registers").1
    });
    function.classes = selector.function.classes;
    selector.function.insts
}

/// `stripes`, the load of some, as what they begin with.
pub(super) fn begin(routine: &Routine, isa: Isa, stripes: Inst, constants: &mut Constants) -> Inst {
    let Source::Stripes(of) = stripes.sources[0] else { unreachable!("{stripes:?} loads none") };
    let (ty, bits) = identity(routine, of.fold);
    let from = constants.splat(ty, bits);
    let code = Opcode::Constant.code(isa, ty.bits());
    let begin = Inst::new(code, stripes.def, &[from]).form(Form::Splat);
    Inst { origin: stripes.origin, ..begin }
}

/// What stripes of a fold begin with, as a constant.
fn identity(routine: &Routine, fold: u32) -> (Type, u64) {
    let ty = routine.fold_type(fold);
    let merge = routine.stage.folds[fold as usize].merge;
    (ty, if is_flipped(merge, ty) { Merge::Min.identity(ty) } else { merge.identity(ty) })
}

/// Whether stripes hold the negated value.
fn is_flipped(merge: Merge, ty: Type) -> bool {
    merge == Merge::Max && ty.is_float()
}

/// How much of a vector counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Whole,
    /// The lower half, if the vector has 512 bits.
    Half,
}

impl Selector<'_> {
    /// Merges all stripes of each fold in halves and stores what is left; `load` says where they are.
    fn finish(&mut self, mut load: impl FnMut(&mut Self, Stripes, Type) -> Reg) {
        let isa = self.isa;
        self.each_fold(|s, fold, merge, ty| {
            let offsets = s.offsets();
            let mut parts: Vec<Reg> =
                offsets.map(|at| load(s, Stripes { fold, at, moves: false }, ty)).collect();
            while parts.len() > 1 {
                let upper = parts.split_off(parts.len() / 2);
                let merged = |(&a, b)| s.merged(merge, ty, [a, b], Width::Whole);
                parts = parts.iter().zip(upper).map(merged).collect();
            }
            let mut left = parts[0];
            let mut bytes = isa.bytes() / 2;
            while bytes * 8 >= ty.bits() as usize {
                let upper = s.upper_bytes(left, bytes);
                left = s.merged(merge, ty, [left, upper], Width::Half);
                bytes /= 2;
            }
            if is_flipped(merge, ty) {
                left = s.flipped(ty, left);
            }
            if merge == Merge::Sup {
                let zero = s.pooled(ty, 0);
                left = s.two(Opcode::Add, ty, left, zero);
            }
            let narrow = if isa == Isa::Avx512 { 2 } else { 1 };
            let store =
                Inst::new(Opcode::StoreLane.code(isa, ty.bits()), None, &[Source::Reg(left)]);
            s.push(store.form(Form::Result { fold }).halved([0, narrow, 0, 0]));
        });
    }

    /// A row scalar in every lane: one register for all parts.
    pub(super) fn scalar(&mut self, slot: u32, ty: Type) -> Parts {
        let code = Opcode::Broadcast.code(self.isa, ty.bits());
        let from = Source::Input { slot, at: 0 };
        let reg = self.vector(|def| Inst::new(code, def, &[from]).form(Form::Splat));
        Parts::from_elem(reg, self.count(ty))
    }

    /// Merges the elements of an iteration.
    pub(super) fn folds(&mut self, folds: &[Fold]) {
        self.each_fold(|s, fold, merge, ty| {
            let value = folds[fold as usize].value;
            let moves = s.function.lanes * (ty.bits() as usize) < STRIPE_BYTES * 8;
            for part in 0..s.count(ty) {
                let at = (part * s.isa.bytes()) as i32;
                let stripes = Stripes { fold, at, moves };
                let mut element = s.reg(value, part);
                if is_flipped(merge, ty) {
                    element = s.flipped(ty, element);
                }
                let before = s.stripes(stripes, ty);
                let after = s.merged(merge, ty, [before, element], Width::Whole);
                s.keep(stripes, ty, after);
            }
        });
    }

    /// Calls `make` with the number of each fold, its merge and the type of its lanes.
    fn each_fold(&mut self, mut make: impl FnMut(&mut Self, u32, Merge, Type)) {
        let stage = &self.routine.stage;
        for (index, &Fold { value, merge }) in stage.folds.iter().enumerate() {
            self.serve(stage.body.insts.len() + stage.stores.len() + index);
            make(self, index as u32, merge, stage.body.ty(value));
        }
    }

    /// Where each vector of the stripes of a fold is.
    fn offsets(&self) -> impl Iterator<Item = i32> + use<> {
        (0..STRIPE_BYTES).step_by(self.isa.bytes()).map(|at| at as i32)
    }

    fn stripes(&mut self, stripes: Stripes, ty: Type) -> Reg {
        let code = Opcode::Load.code(self.isa, ty.bits());
        self.vector(|def| Inst::new(code, def, &[Source::Stripes(stripes)]))
    }

    fn keep(&mut self, stripes: Stripes, ty: Type, from: Reg) {
        let code = Opcode::Store.code(self.isa, ty.bits());
        self.push(Inst::new(code, None, &[Source::Reg(from)]).form(Form::Keep(stripes)));
    }

    fn flipped(&mut self, ty: Type, a: Reg) -> Reg {
        let sign = self.pooled(ty, 1 << (ty.bits() - 1));
        self.two(Opcode::FloatXor, ty, a, sign)
    }

    /// Two vectors merged, or their lower halves. The last instruction reads `a` or what was made of it.
    fn merged(&mut self, merge: Merge, ty: Type, [a, b]: [Reg; 2], width: Width) -> Reg {
        let op = match merge {
            Merge::Add if ty.is_float() => Opcode::Add,
            Merge::Add => Opcode::IntAdd,
            Merge::Mul => Opcode::Mul,
            Merge::Sup => Opcode::Max,
            Merge::And => Opcode::And,
            Merge::Or => Opcode::Or,
            Merge::Max | Merge::Min if ty.is_float() => {
                let [first, second] =
                    [[a, b], [b, a]].map(|operands| self.of_two(Opcode::Min, ty, operands, width));
                return self.of_two(Opcode::FloatOr, ty, [first, second], width);
            }
            Merge::Max | Merge::Min if ty == Type::I64 && self.isa == Isa::Avx2 => {
                let above = self.two(Opcode::IntGreater, ty, a, Source::Reg(b));
                let (if_above, if_not) = if merge == Merge::Max { (a, b) } else { (b, a) };
                let code = Opcode::Blend.code(self.isa, 64);
                let sources = [if_not, if_above, above].map(Source::Reg);
                return self.vector(|def| Inst::new(code, def, &sources));
            }
            Merge::Max => Opcode::IntMax,
            Merge::Min => Opcode::IntMin,
        };
        self.of_two(op, ty, [b, a], width)
    }

    /// An operation on two vectors, or on their lower halves: a core that has AVX-512 in units of 256 bits
    /// does two of these at a time.
    fn of_two(&mut self, op: Opcode, ty: Type, [a, b]: [Reg; 2], width: Width) -> Reg {
        if width == Width::Whole || self.isa == Isa::Avx2 {
            return self.two(op, ty, a, Source::Reg(b));
        }
        let (code, sources) = (op.half_code(ty.bits()), [a, b].map(Source::Reg));
        self.vector(|def| Inst::new(code, def, &sources).halved([1, 1, 1, 0]))
    }

    /// The upper half of the lowest `2 * bytes` bytes of a vector, moved down.
    fn upper_bytes(&mut self, a: Reg, bytes: usize) -> Reg {
        let narrow = if self.isa == Isa::Avx512 { 2 } else { 1 };
        let from = Source::Reg(a);
        let (op, imm) = match bytes {
            32 => return self.upper_half(a),
            16 => {
                let code = Opcode::Quarter.code(self.isa, 32);
                let halved = [narrow, narrow - 1, 0, 0];
                return self.vector(|def| Inst::new(code, def, &[from]).halved(halved).imm(1));
            }
            8 => (Opcode::Shuffle, 0b1110),
            _ => (Opcode::Shuffle, 0b01),
        };
        let code = op.code(self.isa, 32);
        let halved = [narrow, narrow, narrow, 0];
        self.vector(|def| Inst::new(code, def, &[from; 2]).halved(halved).imm(imm))
    }
}
