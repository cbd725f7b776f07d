//! How the blocks of a row join, as code: sums in twice the precision as [`kiln_reduce`] has it, and extremes.

use kiln_jit::vir::{Builder, Merge, Storage, Type, Value};

/// How the blocks of a fold join.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined {
    merge: Merge,
    block: Storage,
}

impl Joined {
    /// Of a fold of floats that leaves such numbers.
    pub(super) fn of(merge: Merge, block: Storage) -> Joined {
        debug_assert!(matches!(merge, Merge::Add | Merge::Max | Merge::Min | Merge::Sup));
        Joined { merge, block }
    }

    /// The numbers that hold what blocks have come to: of sums of `f64` the second is what was rounded off.
    pub(super) fn storages(self) -> impl Iterator<Item = Storage> {
        let (storage, count) = match (self.merge, self.block) {
            (Merge::Add, Storage::F64) => (Storage::F64, 2),
            (Merge::Add, _) => (Storage::F64, 1),
            (_, block) => (block, 1),
        };
        std::iter::repeat_n(storage, count)
    }

    /// What they are before the first block.
    pub(super) fn start(self, b: &mut Builder) -> Vec<Value> {
        let ty = self.block.lane();
        match self.merge {
            // -0 changes no sum.
            Merge::Add => self.storages().zip([-0.0, 0.0]).map(|(_, value)| b.f64(value)).collect(),
            Merge::Min => vec![b.float(ty, f64::INFINITY)],
            _ => vec![b.float(ty, f64::NEG_INFINITY)],
        }
    }

    /// And one more block.
    pub(super) fn join(self, b: &mut Builder, state: &[Value], term: Value) -> Vec<Value> {
        match (self.merge, state) {
            (Merge::Add, &[sum, lost]) => add_exactly(b, [sum, lost], term).into(),
            (Merge::Add, &[sum]) => {
                let term = b.promote(term);
                vec![b.add(sum, term)]
            }
            (merge, &[best]) => vec![extreme(b, merge, best, term)],
            (_, state) => unreachable!("{} numbers", state.len()),
        }
    }
}

fn add_exactly(b: &mut Builder, [sum, lost]: [Value; 2], term: Value) -> [Value; 2] {
    let next = b.add(sum, term);
    // Knuth's two-sum: exact, whichever is larger.
    let back = b.sub(next, sum);
    let [kept, rest] = [b.sub(next, back), b.sub(term, back)];
    let of_sum = b.sub(sum, kept);
    let off = b.add(of_sum, rest);
    [next, b.add(lost, off)]
}

/// One of two as [`Merge`] says of elements: of zeros as well, and of what is no number.
fn extreme(b: &mut Builder, merge: Merge, best: Value, term: Value) -> Value {
    let is_better = match merge {
        Merge::Min => b.lt(term, best),
        _ => b.lt(best, term),
    };
    let larger = b.select(is_better, term, best);
    if merge == Merge::Sup {
        // Blocks have no -0, and none is NaN.
        return larger;
    }
    // Equal numbers have the same bits, but for the sign of zeros.
    let (ty, bits) = match b.ty(best) {
        Type::F32 => (Type::F32, Type::I32),
        _ => (Type::F64, Type::I64),
    };
    let [of_best, of_term] = [b.bitcast(best, bits), b.bitcast(term, bits)];
    let both = match merge {
        Merge::Min => b.or(of_best, of_term),
        _ => b.and(of_best, of_term),
    };
    let both = b.bitcast(both, ty);
    let are_equal = b.eq(best, term);
    let one = b.select(are_equal, both, larger);
    // NaN stays, for nothing is better than it; and it comes.
    let is_nan = b.ne(term, term);
    b.select(is_nan, term, one)
}

/// The result that a state stands for.
pub(super) fn finished(b: &mut Builder, state: &[Value]) -> Value {
    let [sum, lost] = state[..] else { return state[0] };
    // What infinity loses is no number, and nothing lost would change the sign of zero.
    let (zero, infinity) = (b.f64(0.0), b.f64(f64::INFINITY));
    let magnitude = b.abs(sum);
    let (is_finite, is_some) = (b.lt(magnitude, infinity), b.ne(lost, zero));
    let counts = b.and(is_finite, is_some);
    let both = b.add(sum, lost);
    b.select(counts, both, sum)
}
