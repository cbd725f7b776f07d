//! Wrong allocations: the [checker](super::check) must reject every one that changes a result.
//!
//! Allocations are changed at random, as a faulty allocator might have made them, encoded, and run
//! on the software processor. If an output then differs from the interpreter's, or an access is out
//! of bounds, the checker must have rejected the allocation; what it accepts must be right.

mod subject;

use super::allocate::{Address, Allocation, Item, Place, Placed};
use super::check::check;
use super::isa::{Class, Isa};
use super::program::move_code;
use crate::vir::{Builder, Storage, Type, Value};
use subject::{Rng, Subject, crowded, folded, polynomial, scaled};

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
        let before = subjects.len();
        for storage in [Storage::F32, Storage::F64] {
            for degree in [0, 12, 40] {
                let routines = [folded(storage, degree), scaled(storage, degree)];
                let of_rows = routines.map(|routine| Subject::of_rows(routine, isa, &mut rng));
                subjects.extend(of_rows.into_iter().flatten());
            }
        }
        assert!(
            subjects.len() >= before + 6,
            "{isa:?}: {} loops over rows",
            subjects.len() - before
        );
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
