//! Wrong allocations: the [checker](super::check) must reject every one that changes a result.
//!
//! Allocations are changed at random, as a faulty allocator might have made them, encoded, and run
//! on the software processor. If an output then differs from the interpreter's, or an access is out
//! of bounds, the checker must have rejected the allocation; what it accepts must be right.

use super::allocate::{Address, Allocation, Item, Place, Placed, allocate};
use super::check::check;
use super::encode::Loops;
use super::encoded;
use super::isa::{Class, Isa};
use super::program::{Function, move_code};
use super::select::Constants;
use super::{Functions, functions};
use crate::vir::{Builder, Merge, Routine, Storage, Type, Value, interp};
use kiln_emulate::{Access, Array, Call, Decoded, Operand};

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn bits(ty: Type, number: f64) -> u64 {
    if ty == Type::F32 { u64::from((number as f32).to_bits()) } else { number.to_bits() }
}

/// More values and masks than registers, constants, tables, tied copies, and cold regions whose
/// results and surroundings are used after them.
fn crowded(values: usize, ty: Type, other: Storage, rng: &mut Rng) -> Routine {
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
fn polynomial(degree: usize) -> Routine {
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
fn folded(storage: Storage, degree: usize) -> Routine {
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

/// A program, what was made of it, and its expected outputs.
struct Subject {
    routine: Routine,
    isa: Isa,
    functions: Vec<Function>,
    has_tail: bool,
    around: [Allocation; 2],
    allocations: Vec<Allocation>,
    pool: Vec<u8>,
    /// Elements of a run: two iterations of the widest loop, and a partial vector.
    n: usize,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
}

impl Subject {
    fn new(routine: Routine, isa: Isa, rng: &mut Rng) -> Subject {
        let mut constants = Constants::new(&routine, isa);
        let Functions { full, tail, around, .. } = functions(&routine, isa, &mut constants);
        let has_tail = tail.is_some();
        let functions: Vec<Function> = full.into_iter().chain(tail).collect();
        let n = 2 * functions[0].lanes + 13;
        let number = |rng: &mut Rng| (rng.next() % 4096) as f64 / 2048.0 - 1.0;
        let columns: Vec<Vec<u64>> = routine
            .inputs
            .iter()
            .map(|&storage| (0..n).map(|_| bits(storage.lane(), number(rng))).collect())
            .collect();
        let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
        let results = interp::run(&routine, &slices, n);
        let bytes = |storage: Storage, column: &[u64]| -> Vec<u8> {
            column.iter().flat_map(|bits| bits.to_le_bytes()[..storage.size()].to_vec()).collect()
        };
        let inputs = routine.inputs.iter().zip(&columns).map(|(&s, c)| bytes(s, c)).collect();
        let folds: Vec<Storage> = routine.folds().collect();
        let storages = routine.outputs.iter().chain(&folds);
        let outputs = storages.zip(&results).map(|(&s, c)| bytes(s, c));
        Subject {
            outputs: outputs.collect(),
            inputs,
            allocations: functions.iter().map(allocate).collect(),
            functions,
            has_tail,
            around: around.each_ref().map(allocate),
            pool: constants.finish().iter().flat_map(|line| line.0).collect(),
            routine,
            isa,
            n,
        }
    }

    /// Whether code from `allocations` gives the right outputs; `None` if no code can be made.
    fn is_right(&self, allocations: &[Allocation]) -> Option<bool> {
        let around = self.around.clone();
        let mut loops = Loops { full: allocations.to_vec(), tail: None, around, row: None };
        loops.tail = if self.has_tail { loops.full.pop() } else { None };
        let vector = loops.vector();
        let code = encoded(&self.routine, loops, self.isa).ok()?.bytes;
        let n = if self.has_tail { self.n } else { self.n - self.n % vector };
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
        let operands: Vec<Operand> = storages
            .enumerate()
            .map(|(array, storage)| Operand {
                array,
                first: 0,
                step: storage.size() * vector,
                row: 0,
            })
            .collect();
        let call = Call {
            rows: 1,
            tile: 1,
            ahead: 0,
            head: 0,
            n,
            arrays: inputs.chain(self.outputs.iter().map(output)).collect(),
            operands: &operands,
            pool: &self.pool,
        };
        let Ok(arrays) = call.run(&Decoded::decode(&code).ok()?) else { return Some(false) };
        let same = |(got, want): (&Array, &Vec<u8>)| got.bytes == cut(want);
        Some(arrays[count..].iter().zip(&self.outputs).all(same))
    }
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutation {
    /// A source or a result in another register.
    Register,
    /// A missing move, spill or reload.
    Drop,
    /// A spill to or a reload from another slot.
    Slot,
    /// Two instructions in the wrong order.
    Order,
    /// Two operands in the wrong order.
    Operands,
    /// Another predicate.
    Predicate,
}

impl Mutation {
    const ALL: [Mutation; 6] = [
        Mutation::Register,
        Mutation::Drop,
        Mutation::Slot,
        Mutation::Order,
        Mutation::Operands,
        Mutation::Predicate,
    ];

    /// Makes the mistake somewhere; `false` where it cannot be made.
    fn make(self, allocation: &mut Allocation, isa: Isa, rng: &mut Rng) -> bool {
        let slots = allocation.slots;
        // The whole routine, because registers set before the loop and stored after it count too.
        let Allocation { prologue, items, epilogue, whole, .. } = allocation;
        let mut at = rng.below(prologue.len() + items.len() + epilogue.len() + whole.len());
        let mut chosen = prologue;
        for part in [items, epilogue, whole] {
            if at < chosen.len() {
                break;
            }
            at -= chosen.len();
            chosen = part;
        }
        let items = chosen;
        let next = items.get(at + 1).copied();
        let Item::Inst(placed) = &mut items[at] else { return false };
        match self {
            Mutation::Register => {
                let registers = if isa == Isa::Avx512 { 32 } else { 16 };
                match &mut placed.operands[rng.below(4)] {
                    Place::Vector(number) => *number = rng.below(registers) as u8,
                    Place::Mask(number) => *number = 1 + rng.below(7) as u8,
                    Place::Memory(Address::Gather { index, .. }) => {
                        *index = rng.below(registers) as u8;
                    }
                    _ => return false,
                }
            }
            Mutation::Drop => {
                if !moves(placed) {
                    return false;
                }
                items.remove(at);
            }
            Mutation::Slot => {
                let in_frame = |place: &&mut Place| {
                    matches!(place, Place::Memory(Address::Stack(_) | Address::Stripes(_)))
                };
                match placed.operands.iter_mut().find(in_frame) {
                    Some(Place::Memory(Address::Stripes(stripes))) => stripes.at ^= 64,
                    Some(Place::Memory(Address::Stack(slot))) => {
                        *slot = rng.below(slots as usize) as u32;
                    }
                    _ => return false,
                }
            }
            Mutation::Order => {
                // The test must stay directly before its region.
                let Some(Item::Inst(_)) = next else { return false };
                if matches!(items.get(at + 2), Some(Item::ColdStart)) {
                    return false;
                }
                items.swap(at, at + 1);
            }
            Mutation::Operands => {
                let [_, Place::Vector(_), Place::Vector(_), _] = placed.operands else {
                    return false;
                };
                placed.operands.swap(1, 2);
            }
            Mutation::Predicate => {
                if placed.mask == 0 {
                    return false;
                }
                placed.mask = 1 + rng.below(7) as u8;
            }
        }
        true
    }
}

/// Whether an instruction only moves a value between places that the allocation chose.
fn moves(placed: &Placed) -> bool {
    let [to, from, Place::None, Place::None] = placed.operands else { return false };
    let stack = |place| matches!(place, Place::Memory(Address::Stack(_)));
    stack(to) || stack(from) || matches!((to, from), (Place::Vector(_), Place::Vector(_)))
}

/// Mistakes of each kind in each subject.
const EACH: usize = 50;

#[test]
fn what_changes_a_result_is_refused() {
    let mut rng = Rng(1);
    let mut subjects = Vec::new();
    for isa in [Isa::Avx512, Isa::Avx2] {
        let mut programs = vec![polynomial(9)];
        for storage in [Storage::F32, Storage::F64] {
            programs.extend([0, 12].map(|degree| folded(storage, degree)));
        }
        for (values, ty, other) in [
            (20, Type::F32, Storage::F32),
            (50, Type::F32, Storage::F64),
            (30, Type::F64, Storage::F32),
        ] {
            programs.push(crowded(values, ty, other, &mut rng));
        }
        subjects.extend(programs.into_iter().map(|routine| Subject::new(routine, isa, &mut rng)));
    }
    // How many were made, changed a result, and were rejected.
    let mut counts = [[0; 3]; Mutation::ALL.len()];
    for subject in &subjects {
        assert_eq!(subject.is_right(&subject.allocations), Some(true), "before any mistake");
        for (mutation, count) in Mutation::ALL.into_iter().zip(&mut counts) {
            let mut tries = 0..400;
            for _ in 0..EACH {
                let which = rng.below(subject.functions.len());
                let mut allocations = subject.allocations.clone();
                let changed = &mut allocations[which];
                if !tries.any(|_| mutation.make(changed, subject.isa, &mut rng)) {
                    continue;
                }
                let Some(right) = subject.is_right(&allocations) else { continue };
                let checked = check(&subject.functions[which], &allocations[which]);
                assert!(
                    right || checked.is_err(),
                    "{mutation:?} of {:?} was not seen: {:?}\nbecame {:?}",
                    subject.isa,
                    subject.allocations[which],
                    allocations[which]
                );
                count[0] += 1;
                count[1] += usize::from(!right);
                count[2] += usize::from(checked.is_err());
            }
        }
    }
    println!("made, changed a result, refused: {counts:?}");
    for (mutation, [made, changed, _]) in Mutation::ALL.iter().zip(counts) {
        assert!(changed >= 10, "{mutation:?}: {changed} of {made} change a result");
    }
}

/// It would be right if the loop ran only once.
#[test]
fn a_constant_in_a_register_outlives_the_iteration() {
    for isa in [Isa::Avx512, Isa::Avx2] {
        let (mut refused, mut changed) = (0, 0);
        for routine in (1..20).map(polynomial) {
            let subject = Subject::new(routine, isa, &mut Rng(7));
            for at in 0..subject.allocations[0].prologue.len() {
                let mut allocations = subject.allocations.clone();
                let Allocation { prologue, items, .. } = &mut allocations[0];
                let Item::Inst(constant) = prologue[at] else { panic!("it is loaded") };
                // A copy of the value stored last.
                let stored = items.iter().rev().find_map(|item| match item {
                    Item::Inst(Placed { operands: [_, from @ Place::Vector(_), ..], .. }) => {
                        Some(*from)
                    }
                    _ => None,
                });
                let operands = [constant.operands[0], stored.unwrap(), Place::None, Place::None];
                let code = move_code(isa, Class::Vector);
                items.push(Item::Inst(Placed { code, operands, ..constant }));
                let fault = check(&subject.functions[0], &allocations[0]).unwrap_err();
                assert!(fault.contains("should hold"), "{fault}");
                refused += 1;
                changed += usize::from(subject.is_right(&allocations) == Some(false));
            }
        }
        assert!(changed > 0, "{isa:?}: {changed} of {refused} change a result");
    }
}

/// Hot code finds its values where it left them, whether or not the region ran.
#[test]
fn a_cold_region_puts_back_what_it_took() {
    let mut seen = 0;
    for isa in [Isa::Avx512, Isa::Avx2] {
        let routine = crowded(40, Type::F32, Storage::F32, &mut Rng(7));
        let subject = Subject::new(routine, isa, &mut Rng(7));
        let (function, allocation) = (&subject.functions[0], &subject.allocations[0]);
        let starts = |at: &usize| matches!(allocation.items[*at], Item::ColdStart);
        for start in (0..allocation.items.len()).filter(starts) {
            let end = (start..).find(|&at| matches!(allocation.items[at], Item::ColdEnd)).unwrap();
            let Item::Inst(last) = allocation.items[end - 1] else { continue };
            // The value loaded last is still in place on the path around the region.
            if !matches!(last.operands[1], Place::Memory(Address::Stack(_))) {
                continue;
            }
            let mut wrong = allocation.clone();
            wrong.items.remove(end - 1);
            assert!(check(function, &wrong).is_err());
            seen += 1;
        }
    }
    assert!(seen > 0, "no region took a register");
}

/// An output may be an input's memory.
#[test]
fn inputs_are_gone_once_an_output_is_written() {
    let mut b = Builder::new();
    let values: Vec<Value> = (0..40).map(|_| b.input(Storage::F32)).collect();
    let there = values.iter().fold(values[0], |sum, &x| b.fma(sum, x, x));
    let sum = values.iter().rev().fold(there, |sum, &x| b.fma(sum, x, x));
    [sum].iter().chain(&values[..7]).for_each(|&value| b.output(value, Storage::F32));
    let routine = b.finish();
    for isa in [Isa::Avx512, Isa::Avx2] {
        let subject = Subject::new(routine.clone(), isa, &mut Rng(7));
        let (function, allocation) = (&subject.functions[0], &subject.allocations[0]);
        let is_store = |item: &Item| match item {
            Item::Inst(placed) => {
                matches!(placed.operands[0], Place::Memory(Address::Output { .. }))
            }
            _ => false,
        };
        let first = allocation.items.iter().position(is_store).unwrap();
        let (mut before, mut after) = (0, 0);
        for (at, item) in allocation.items.iter().enumerate() {
            let Item::Inst(Placed { operands: [Place::Vector(_), from, ..], .. }) = item else {
                continue;
            };
            match from {
                Place::Memory(Address::Input { .. }) => before += 1,
                // Loads after the store come from the stack, even for an input's value.
                Place::Memory(Address::Stack(_)) if at > first => {
                    let mut wrong = allocation.clone();
                    let Item::Inst(placed) = &mut wrong.items[at] else { unreachable!() };
                    placed.operands[1] = Place::Memory(Address::Input { slot: 0, at: 0 });
                    let fault = check(function, &wrong).unwrap_err();
                    assert!(fault.contains("read after an output was written"), "{fault}");
                    after += 1;
                }
                _ => {}
            }
        }
        assert!(before > 40 && after > 0, "{isa:?}: {before} {after}");
    }
}
