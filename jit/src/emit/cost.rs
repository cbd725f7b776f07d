//! What vector routines cost: the measured throughput of each primitive.
//!
//! `cargo bench --bench costs` measures every [`Primitive`] on every emitter and prints
//! `cost/table.rs`. The table answers two questions:
//!
//! - `nanoseconds`: how long does this code take on this emitter? (how many threads is it worth?)
//! - [`weight`]: which of two routines is cheaper? (which one does extraction choose?)
//!
//! The second answer is the same for all emitters, and so is the kernel: with a choice per emitter,
//! different machines would compute different bits.

mod table;

use crate::vir::{BinaryOp, Body, Each, Fold, Inst, Merge, Routine, ShiftOp, Type, UnaryOp};
pub(crate) use table::{AVX2, AVX512, CRANELIFT, INTERP};

/// Primitives that cost alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primitive {
    /// `neg abs not and or xor`, of masks too.
    Logic,
    /// `copysign`
    CopySign,
    /// `add sub` of floats
    Add,
    /// `add sub` of integers
    IntAdd,
    /// `mul` of floats
    Mul,
    /// `mul` of integers
    IntMul,
    /// `fma`
    Fma,
    /// `div`
    Div,
    /// `sqrt`
    Sqrt,
    /// `floor ceil trunc nearest`
    Round,
    /// `min max`
    Min,
    /// `eq ne lt le`
    Compare,
    /// `select`
    Select,
    /// `shl shr`
    Shift,
    /// `sar`
    SignedShift,
    /// `promote demote widen narrow`
    Convert,
    /// `table`
    Table,
}

impl Primitive {
    /// All of them, in the order of the table's rows.
    pub const ALL: [Primitive; 17] = [
        Primitive::Logic,
        Primitive::CopySign,
        Primitive::Add,
        Primitive::IntAdd,
        Primitive::Mul,
        Primitive::IntMul,
        Primitive::Fma,
        Primitive::Div,
        Primitive::Sqrt,
        Primitive::Round,
        Primitive::Min,
        Primitive::Compare,
        Primitive::Select,
        Primitive::Shift,
        Primitive::SignedShift,
        Primitive::Convert,
        Primitive::Table,
    ];

    /// The primitive that an instruction counts as, if it is work at all: loads and stores are
    /// counted by the byte.
    fn of(inst: &Inst, ty: Type) -> Option<Primitive> {
        Some(match inst {
            Inst::Load { .. } | Inst::Scalar { .. } | Inst::Const { .. } => return None,
            // What it may take the place of is counted.
            Inst::Scale { .. } => return None,
            Inst::Unary { op, .. } => match op {
                UnaryOp::Bitcast(_) => return None,
                UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not => Primitive::Logic,
                UnaryOp::Sqrt => Primitive::Sqrt,
                UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Trunc | UnaryOp::Nearest => {
                    Primitive::Round
                }
                UnaryOp::Promote | UnaryOp::Demote | UnaryOp::Widen | UnaryOp::Narrow => {
                    Primitive::Convert
                }
            },
            Inst::Binary { op, .. } => match op {
                BinaryOp::Add | BinaryOp::Sub if ty.is_int() => Primitive::IntAdd,
                BinaryOp::Add | BinaryOp::Sub => Primitive::Add,
                BinaryOp::Mul if ty.is_int() => Primitive::IntMul,
                BinaryOp::Mul => Primitive::Mul,
                BinaryOp::Div => Primitive::Div,
                BinaryOp::Min | BinaryOp::Max => Primitive::Min,
                BinaryOp::CopySign => Primitive::CopySign,
                BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => Primitive::Logic,
            },
            Inst::Fma { .. } => Primitive::Fma,
            Inst::Compare { .. } => Primitive::Compare,
            Inst::Select { .. } => Primitive::Select,
            Inst::Shift { op: ShiftOp::Sar, .. } => Primitive::SignedShift,
            Inst::Shift { .. } => Primitive::Shift,
            Inst::Table { .. } => Primitive::Table,
        })
    }
}

/// Picoseconds per element of each primitive on an emitter, in 32-bit and in 64-bit lanes; the
/// order is that of [`Primitive::ALL`].
pub(crate) type Times = [[u32; 2]; Primitive::ALL.len()];

/// Picoseconds per element of a primitive with lanes of type `ty`.
fn picoseconds(times: &Times, primitive: Primitive, ty: Type) -> u64 {
    times[primitive as usize][usize::from(ty.bits() == 64)].into()
}

/// The emitters that [`weight`] looks at. Fixed for good: adding one would change which routine is
/// chosen, and so change bits.
const WEIGHED: [&Times; 3] = [&AVX512, &AVX2, &CRANELIFT];

/// The work that a routine always does: cold regions are nearly always skipped.
fn work(routine: &Routine) -> impl Iterator<Item = (Primitive, Type)> {
    work_of(&routine.stage.body).chain(merges(&routine.stage))
}

/// The work of merging an element, as if merges were primitives.
fn merges(stage: &Each) -> impl Iterator<Item = (Primitive, Type)> {
    stage.folds.iter().flat_map(|&Fold { value, merge }| {
        let ty = stage.body.ty(value);
        let primitives: &[Primitive] = match merge {
            Merge::Add if ty.is_int() => &[Primitive::IntAdd],
            Merge::Add => &[Primitive::Add],
            Merge::Mul => &[Primitive::Mul],
            Merge::Max | Merge::Min if ty.is_int() => &[Primitive::Min],
            Merge::Sup => &[Primitive::Min],
            Merge::Max => &[Primitive::Logic, Primitive::Min, Primitive::Min, Primitive::Logic],
            Merge::Min => &[Primitive::Min, Primitive::Min, Primitive::Logic],
            Merge::And | Merge::Or => &[Primitive::Logic],
        };
        primitives.iter().map(move |&primitive| (primitive, ty))
    })
}

fn work_of(body: &Body) -> impl Iterator<Item = (Primitive, Type)> {
    let cold =
        |at: usize| body.cold.iter().any(|cold| (cold.start..cold.end).contains(&(at as u32)));
    let hot = body.insts.iter().zip(&body.types).enumerate().filter(move |(at, _)| !cold(*at));
    hot.filter_map(|(_, (inst, &ty))| {
        // A comparison counts at the width of its operands, a conversion at that of its result.
        Some((Primitive::of(inst, ty)?, ty))
    })
}

/// How many of each primitive a routine executes for an element; cold regions, which are nearly
/// always skipped, are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u32; Primitive::ALL.len()]);

impl Tally {
    /// The primitives of a routine.
    pub fn of(routine: &Routine) -> Tally {
        let mut tally = Tally::default();
        tally.add(routine);
        tally
    }

    /// Adds the primitives of a routine.
    pub(super) fn add(&mut self, routine: &Routine) {
        work(routine).for_each(|(primitive, _)| self.0[primitive as usize] += 1);
    }

    /// How many of this primitive.
    pub fn count(&self, primitive: Primitive) -> u32 {
        self.0[primitive as usize]
    }
}

/// Nanoseconds per element on one thread where memory is no limit.
pub(crate) fn nanoseconds(routine: &Routine, times: &Times) -> f64 {
    total(routine, |primitive, ty| picoseconds(times, primitive, ty)) as f64 / 1000.0
}

/// The cost of an element in tenths of an `add`: the mean over the machine-code emitters, each
/// relative to its own `add`.
pub fn weight(routine: &Routine) -> u64 {
    total(routine, weight_of)
}

/// The cost of a routine from those of its primitives.
///
/// Division and square root have their own unit, which runs in parallel with the others: one more
/// takes only a slot among the additions, unless there is too little other work. (`normcdf` of f64,
/// AVX-512, takes .72 ns in L1; the plain sum gives 1.00, this .88.)
fn total(routine: &Routine, cost: impl Fn(Primitive, Type) -> u64) -> u64 {
    let (mut others, mut divider) = (0, 0);
    for (primitive, ty) in work(routine) {
        match primitive {
            Primitive::Div | Primitive::Sqrt => {
                divider += cost(primitive, ty);
                others += cost(Primitive::Add, ty);
            }
            _ => others += cost(primitive, ty),
        }
    }
    others.max(divider)
}

fn weight_of(primitive: Primitive, ty: Type) -> u64 {
    let in_adds = |times: &&Times| {
        100 * picoseconds(times, primitive, ty) / picoseconds(times, Primitive::Add, ty)
    };
    let sum: u64 = WEIGHED.iter().map(in_adds).sum();
    (sum / (WEIGHED.len() as u64 * 10)).max(1)
}

#[cfg(test)]
mod tests {
    use super::{AVX512, CRANELIFT, Primitive, Tally, WEIGHED, nanoseconds, weight, weight_of};
    use crate::vir::{Builder, Storage, Type};

    #[test]
    fn rows_are_in_the_order_of_the_primitives() {
        for (row, primitive) in Primitive::ALL.into_iter().enumerate() {
            assert_eq!(primitive as usize, row);
        }
    }

    #[test]
    fn wider_vectors_take_no_longer_and_wider_lanes_no_less() {
        for (row, primitive) in Primitive::ALL.into_iter().enumerate() {
            let row = WEIGHED.map(|times| times[row]);
            // Vectors get narrower from left to right; a tenth allows for measuring error.
            for pair in row.windows(2) {
                assert!(pair[0][0] * 9 <= pair[1][0] * 10, "{primitive:?}: {row:?}");
            }
            for [narrow, wide] in row {
                // A conversion is measured by one routine for both widths, since it has both, and
                // tables are read element by element.
                let [narrow, wide] = match primitive {
                    Primitive::Convert | Primitive::Table => [1, 1],
                    _ => [narrow, wide],
                };
                assert!(wide * 10 >= narrow * 9, "{primitive:?}: {row:?}");
            }
        }
    }

    #[test]
    fn weights_count_what_always_runs() {
        let mut b = Builder::new();
        let x = b.input(Storage::F32);
        let zero = b.f32(0.0);
        let negative = b.lt(x, zero);
        let square = b.mul(x, x);
        let [y] = b.cold(negative, [square], |b| [b.div(x, x)]);
        b.output(y, Storage::F32);
        let routine = b.finish();
        let hot = [Primitive::Compare, Primitive::Mul, Primitive::Select];
        let expected: u64 = hot.into_iter().map(|primitive| weight_of(primitive, Type::F32)).sum();
        assert_eq!(weight(&routine), expected);
        let tally = Tally::of(&routine);
        let counted = Primitive::ALL.map(|primitive| tally.count(primitive) == 1);
        assert_eq!(counted, Primitive::ALL.map(|primitive| hot.contains(&primitive)));
        assert!(nanoseconds(&routine, &AVX512) < nanoseconds(&routine, &CRANELIFT));
    }

    #[test]
    fn quotients_hide_behind_other_work() {
        let weight_beside = |sums: usize| {
            let mut b = Builder::new();
            let x = b.input(Storage::F32);
            let quotient = b.div(x, x);
            let y = (0..sums).fold(quotient, |sum, _| b.add(sum, x));
            b.output(y, Storage::F32);
            weight(&b.finish())
        };
        let [div, add] = [Primitive::Div, Primitive::Add].map(|p| weight_of(p, Type::F32));
        assert_eq!(weight_beside(0), div);
        assert_eq!(weight_beside(1), div);
        assert_eq!(weight_beside(100), 101 * add);
    }
}
