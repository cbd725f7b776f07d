//! What an expression costs DataFusion, and what it costs as a kernel, in passes over memory.

use super::understand::Meaning;
use kiln::DType;
use kiln::ir::Op;
use std::collections::BTreeSet;

/// What a kernel computes in the time in which DataFusion computes one pass. Measured beside the call, of 8,192 rows on
/// a Zen 4 (`--example versus -- overhead`): comparisons 4, functions 3.3 (`asin`) to 14 (`cbrt`).
const GAIN: u32 = 4;

/// What an argument that is no column may cost; nobody knows.
const ARGUMENT: u32 = 8;

/// What is known of an expression's cost before it is a kernel.
#[derive(Clone, Debug, Default)]
pub(super) struct Cost {
    /// What DataFusion computes for every row.
    always: u32,
    /// What it computes for those rows only that a condition leaves, be it none. A kernel computes it for all.
    at_times: u32,
    /// The columns that are read.
    columns: BTreeSet<usize>,
    /// Arguments that are computed for every row in either case.
    computed: u32,
    /// What is computed for every row only if there is a kernel: such arguments, and bools, unpacked from bits.
    others: u32,
}

impl Cost {
    /// An op more.
    pub(super) fn add(&mut self, passes: u32, always: bool) {
        let part = if always { &mut self.always } else { &mut self.at_times };
        *part += passes;
    }

    /// An argument more, a column or what is computed first.
    pub(super) fn read(&mut self, column: Option<usize>, dtype: DType, always: bool) {
        self.others += u32::from(dtype == DType::Bool);
        match column {
            Some(index) => {
                self.columns.insert(index);
            }
            None if always => self.computed += 1,
            None => self.others += ARGUMENT,
        }
    }

    /// Whether no op costs anything.
    pub(super) fn is_nothing(&self) -> bool {
        self.always + self.at_times == 0
    }

    /// The cost of a conjunction of this and a term, which DataFusion computes for the rows that are left.
    pub(super) fn and(&self, term: &Cost) -> Cost {
        Cost {
            always: self.always,
            at_times: self.at_times + term.always + term.at_times,
            columns: self.columns.union(&term.columns).copied().collect(),
            others: self.others + term.others + ARGUMENT * term.computed,
            computed: self.computed,
        }
    }

    /// Whether a kernel is never slower, be what decides about rows as it may; a call of one costs `call` passes.
    ///
    /// What a kernel reads it reads in one pass, but it does read it: of 8,192 rows on a Zen 4, in microseconds without
    /// a kernel and with one, `s*2.0 + 1.0` takes 2.7 and 2.2, `s*v + k` 3.9 and 4.1.
    pub(super) fn pays(&self, call: u32) -> bool {
        let columns = self.columns.len() as u32;
        call == 0 || call + columns / 3 + self.others + self.at_times / GAIN <= self.always
    }
}

/// What an op of operands of a type costs DataFusion: a pass over memory, or a call of a function for each row.
pub(super) fn passes(meaning: Meaning, of: DType) -> u32 {
    match meaning {
        Meaning::Op(Op::Rem) => 8,
        // Of 64 rows at once.
        Meaning::Op(Op::And | Op::Or | Op::Not) if of == DType::Bool => 0,
        Meaning::Op(op) if op.max_ulp(DType::F64) > 0.5 => 8,
        // 8 to 10 microseconds of 8,192 rows; a sum takes 1.3.
        Meaning::TotalOrder(_) => 6,
        Meaning::Op(_) => 1,
        Meaning::Case => 2,
    }
}
