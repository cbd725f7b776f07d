//! Programs to make mistakes in, and whether code of them is right.

use super::super::allocate::{Allocation, allocate};
use super::super::encode::Loops;
use super::super::isa::Isa;
use super::super::program::Function;
use super::super::select::Constants;
use super::super::{Functions, encoded, functions};
use crate::vir::{Builder, Merge, Routine, Storage, Type, Value, interp};
use kiln_emulate::{Access, Array, Call, Decoded, Operand};

/// SplitMix64.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn bits(ty: Type, number: f64) -> u64 {
    if ty == Type::F32 { u64::from((number as f32).to_bits()) } else { number.to_bits() }
}

/// More values and masks than registers, constants, tables, tied copies, and cold regions whose
/// results and surroundings are used after them.
pub(super) fn crowded(values: usize, ty: Type, other: Storage, rng: &mut Rng) -> Routine {
    let mut b = Builder::new();
    let storage = if ty == Type::F32 { Storage::F32 } else { Storage::F64 };
    let (x, y) = (b.input(storage), b.input(other));
    let (mut numbers, mut masks, mut others) = (vec![x], Vec::new(), vec![y]);
    for i in 0..values {
        let recent = numbers[numbers.len() - 1 - rng.below(numbers.len().min(4))];
        let factor = b.float(ty, 1.0 + (i % 7) as f64 * 0.01);
        let next = match i % 5 {
            0 => b.fma(recent, factor, x),
            1 => b.fma(factor, x, recent),
            2 => b.copysign(recent, numbers[0]),
            3 => {
                let index = b.bitcast(recent, ty.int());
                let index = b.shr(index, 20);
                let entries: Vec<u64> = (1..9).map(|entry| bits(ty, f64::from(entry))).collect();
                b.table(ty, &entries, index)
            }
            _ => b.fma(recent, x, recent),
        };
        numbers.push(next);
        let bound = b.float(ty, i as f64 * 0.1);
        masks.push(b.lt(next, bound));
        others.push(b.add(others[others.len() - 1], y));
        if i % 16 == 9 {
            let kept: Vec<Value> = numbers[numbers.len().saturating_sub(20)..].to_vec();
            let mask = masks[rng.below(masks.len())];
            let results = b.cold(mask, [next, recent], |b| {
                let product = |pair: &[Value], b: &mut Builder| b.mul(pair[0], pair[1]);
                let inside: Vec<Value> = kept.windows(2).map(|pair| product(pair, b)).collect();
                let sum = inside.iter().fold(next, |sum, &value| b.add(value, sum));
                [sum, inside[inside.len() / 2]]
            });
            numbers.extend(results);
        }
    }
    // Everything is used again, the oldest last.
    let mut sum = numbers[0];
    for (&number, &mask) in numbers.iter().rev().zip(masks.iter().cycle()) {
        let chosen = b.select(mask, number, sum);
        sum = b.fma(chosen, x, number);
    }
    let rest = others.iter().rev().fold(y, |rest, &value| b.min(value, rest));
    let parity = masks.iter().rev().fold(masks[0], |parity, &mask| b.xor(parity, mask));
    let sum = b.select(parity, sum, x);
    b.output(sum, storage);
    b.output(rest, other);
    b.finish()
}

/// A polynomial, whose coefficients are constants.
pub(super) fn polynomial(degree: usize) -> Routine {
    let mut b = Builder::new();
    let x = b.input(Storage::F32);
    let coefficients: Vec<Value> =
        (0..=degree).map(|n| b.float(Type::F32, 1.5 + n as f64)).collect();
    let horner = |sum, &next: &Value| b.fma(sum, x, next);
    let sum = coefficients.iter().skip(1).fold(coefficients[0], horner);
    b.output(sum, Storage::F32);
    b.finish()
}

/// Folds with stripes in registers, and in memory for what is left of them, beside a store and a row
/// scalar.
pub(super) fn folded(storage: Storage, degree: usize) -> Routine {
    let mut b = Builder::new();
    let (x, mean) = (b.input(storage), b.scalar(storage));
    let d = b.sub(x, mean);
    let square = b.mul(d, d);
    let factors = (0..degree).map(|n| b.float(storage.lane(), 1.5 + n as f64));
    let factors: Vec<Value> = factors.collect();
    let y = factors.iter().fold(square, |y, &factor| b.fma(y, d, factor));
    if degree > 0 {
        b.output(y, storage);
    }
    b.fold(d, Merge::Add);
    b.fold(square, Merge::Add);
    b.fold(y, Merge::Max);
    b.finish()
}

/// A value of each element and numbers of its row, which folds nothing.
pub(super) fn scaled(storage: Storage, degree: usize) -> Routine {
    let mut b = Builder::new();
    let (x, mean, scale) = (b.input(storage), b.scalar(storage), b.scalar(storage));
    let d = b.sub(x, mean);
    let factors: Vec<Value> =
        (0..degree).map(|n| b.float(storage.lane(), 1.5 + n as f64)).collect();
    let sum = factors.iter().fold(d, |sum, &factor| b.fma(sum, d, factor));
    let y = b.mul(sum, scale);
    b.output(y, storage);
    b.output(d, storage);
    b.finish()
}

/// A program, what was made of it, and its expected outputs.
pub(super) struct Subject {
    routine: Routine,
    pub(super) isa: Isa,
    /// What is tried: the loops over elements, or the one over rows.
    pub(super) functions: Vec<Function>,
    pub(super) allocations: Vec<Allocation>,
    has_tail: bool,
    /// The loops over elements where they are not tried.
    beside: Option<Loops>,
    around: [Allocation; 2],
    pool: Vec<u8>,
    rows: usize,
    /// Elements of a row.
    n: usize,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
}

impl Subject {
    /// The loops over elements, on a row that is two iterations of the widest one, and a partial vector.
    pub(super) fn new(routine: Routine, isa: Isa, rng: &mut Rng) -> Subject {
        let mut constants = Constants::new(&routine, isa);
        let Functions { full, tail, around, .. } = functions(&routine, isa, &mut constants);
        let has_tail = tail.is_some();
        let functions: Vec<Function> = full.into_iter().chain(tail).collect();
        let n = 2 * functions[0].lanes + 13;
        let around = around.each_ref().map(allocate);
        let subject = Subject::of(routine, isa, functions, around, constants);
        Subject { has_tail, ..subject }.with_rows(1, n, rng)
    }

    /// The loop over rows, on some of as many elements as it has lanes; `None` where there is none.
    pub(super) fn of_rows(routine: Routine, isa: Isa, rng: &mut Rng) -> Option<Subject> {
        let mut constants = Constants::new(&routine, isa);
        let Functions { full, tail, around, row } = functions(&routine, isa, &mut constants);
        let row = row?;
        let n = row.lanes;
        let around = around.each_ref().map(allocate);
        let beside = Loops {
            full: full.iter().map(allocate).collect(),
            tail: tail.as_ref().map(allocate),
            around: around.clone(),
            row: None,
        };
        let subject = Subject::of(routine, isa, vec![row], around, constants);
        Some(Subject { beside: Some(beside), ..subject }.with_rows(3, n, rng))
    }

    fn of(
        routine: Routine,
        isa: Isa,
        functions: Vec<Function>,
        around: [Allocation; 2],
        constants: Constants,
    ) -> Subject {
        Subject {
            routine,
            isa,
            allocations: functions.iter().map(allocate).collect(),
            functions,
            has_tail: false,
            beside: None,
            around,
            pool: constants.finish().iter().flat_map(|line| line.0).collect(),
            rows: 0,
            n: 0,
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Draws the elements of rows.
    fn with_rows(mut self, rows: usize, n: usize, rng: &mut Rng) -> Subject {
        (self.rows, self.n) = (rows, n);
        let routine = &self.routine;
        let storages: Vec<Storage> =
            routine.outputs.iter().copied().chain(routine.folds()).collect();
        self.inputs = vec![Vec::new(); routine.inputs.len()];
        self.outputs = vec![Vec::new(); storages.len()];
        let number = |rng: &mut Rng| (rng.next() % 4096) as f64 / 2048.0 - 1.0;
        let bytes = |storage: Storage, column: &[u64]| -> Vec<u8> {
            column.iter().flat_map(|bits| bits.to_le_bytes()[..storage.size()].to_vec()).collect()
        };
        for _ in 0..rows {
            let columns: Vec<Vec<u64>> = routine
                .inputs
                .iter()
                .map(|&storage| (0..n).map(|_| bits(storage.lane(), number(rng))).collect())
                .collect();
            let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
            let results = interp::run(routine, &slices, n);
            for (slot, (&storage, column)) in routine.inputs.iter().zip(&columns).enumerate() {
                let own = if routine.is_scalar(slot) { &column[..1] } else { column };
                self.inputs[slot].extend(bytes(storage, own));
            }
            for ((all, &storage), column) in self.outputs.iter_mut().zip(&storages).zip(&results) {
                all.extend(bytes(storage, column));
            }
        }
        self
    }

    /// The loops, of which those that are tried have these allocations.
    fn loops(&self, allocations: &[Allocation]) -> Loops {
        if let Some(Loops { full, tail, around, .. }) = &self.beside {
            let (full, tail, around) = (full.clone(), tail.clone(), around.clone());
            return Loops { full, tail, around, row: Some(allocations[0].clone()) };
        }
        let around = self.around.clone();
        let mut loops = Loops { full: allocations.to_vec(), tail: None, around, row: None };
        loops.tail = if self.has_tail { loops.full.pop() } else { None };
        loops
    }

    /// Whether code from `allocations` gives the right outputs; `None` if no code can be made.
    pub(super) fn is_right(&self, allocations: &[Allocation]) -> Option<bool> {
        let loops = self.loops(allocations);
        let vector = loops.vector();
        let code = encoded(&self.routine, loops, self.isa).ok()?.bytes;
        let takes_all = self.has_tail || self.beside.is_some();
        let n = if takes_all { self.n } else { self.n - self.n % vector };
        // What folds leave is right for all elements only.
        assert!(n == self.n || self.routine.stage.folds.is_empty());
        let cut = |bytes: &[u8]| match n == self.n {
            true => bytes.to_vec(),
            false => bytes[..bytes.len() / self.n * n].to_vec(),
        };
        let inputs = self.inputs.iter().map(|bytes| Array::new(cut(bytes), 0, Access::Read));
        let output = |bytes: &Vec<u8>| Array::new(vec![0; cut(bytes).len()], 0, Access::Write);
        let count = self.inputs.len();
        let folds: Vec<Storage> = self.routine.folds().collect();
        let storages = self.routine.inputs.iter().chain(&self.routine.outputs).chain(&folds);
        let bytes = self.inputs.iter().chain(&self.outputs);
        let operands: Vec<Operand> = storages
            .zip(bytes)
            .enumerate()
            .map(|(array, (storage, bytes))| Operand {
                array,
                first: 0,
                step: storage.size() * vector,
                row: if self.rows > 1 { (bytes.len() / self.rows) as isize } else { 0 },
            })
            .collect();
        let call = Call {
            rows: self.rows,
            tile: 1,
            ahead: 0,
            results: false,
            head: 0,
            n,
            arrays: inputs.chain(self.outputs.iter().map(output)).collect(),
            operands: &operands,
            pool: &self.pool,
            carries: None,
        };
        let Ok(arrays) = call.run(&Decoded::decode(&code).ok()?) else { return Some(false) };
        let same = |(got, want): (&Array, &Vec<u8>)| got.bytes == cut(want);
        Some(arrays[count..].iter().zip(&self.outputs).all(same))
    }
}
