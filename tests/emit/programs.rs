//! Every emitter against the interpreter, bit for bit: ops, primitives, and programs of every shape.

use crate::check::{bytes, check, check_all, elements};
use common::{Rng, differs, emitters, random_program};
use kiln::internals::emit::{Cursor, Operand};
use kiln::internals::vir::{Builder, Routine, Storage, Type, Value, interp};
use kiln::internals::{Tier, op_program, op_program_in};
use kiln_ir::{DType, Op};

#[test]
fn every_op_has_the_bits_of_the_interpreter() {
    let mut rng = Rng::new(1);
    for &op in Op::ALL {
        for dtype in [DType::F32, DType::F64] {
            let (default, fast) = (op_program(op, dtype), op_program_in(Tier::Fast, op, dtype));
            check_all(&default, &mut rng);
            if fast != default {
                check_all(&fast, &mut rng);
            }
        }
    }
}

/// A program of one primitive on the inputs that it takes.
fn single(inputs: &[Type], build: impl Fn(&mut Builder, &[Value]) -> Value) -> Routine {
    let mut b = Builder::new();
    let operands: Vec<Value> = inputs
        .iter()
        .map(|&ty| {
            let storage = if ty.bits() == 32 { Storage::F32 } else { Storage::F64 };
            let float = b.input(storage);
            match ty {
                Type::F32 | Type::F64 => float,
                Type::I32 | Type::I64 => b.bitcast(float, ty),
                Type::M32 | Type::M64 => {
                    let zero = b.float(ty.float(), 0.0);
                    b.lt(float, zero)
                }
            }
        })
        .collect();
    let result = build(&mut b, &operands);
    let ty = b.ty(result);
    let (value, storage) = match ty {
        Type::M32 | Type::M64 => (b.resize_mask(result, Type::M32), Storage::Bool),
        Type::I32 | Type::F32 => (b.bitcast(result, Type::F32), Storage::F32),
        Type::I64 | Type::F64 => (b.bitcast(result, Type::F64), Storage::F64),
    };
    b.output(value, storage);
    b.finish()
}

#[test]
fn every_primitive_has_the_bits_of_the_interpreter() {
    let mut rng = Rng::new(2);
    let mut programs = Vec::new();
    for ty in [Type::F32, Type::F64] {
        let unary = [
            Builder::neg,
            Builder::abs,
            Builder::sqrt,
            Builder::floor,
            Builder::ceil,
            Builder::trunc,
            Builder::nearest,
        ];
        programs.extend(unary.map(|op| single(&[ty], |b, x| op(b, x[0]))));
        let binary = [
            Builder::add,
            Builder::sub,
            Builder::mul,
            Builder::div,
            Builder::min,
            Builder::max,
            Builder::copysign,
        ];
        programs.extend(binary.map(|op| single(&[ty, ty], |b, x| op(b, x[0], x[1]))));
        programs.push(single(&[ty, ty, ty], |b, x| b.fma(x[0], x[1], x[2])));
        for signs in 1..8 {
            programs.push(single(&[ty, ty, ty], |b, x| {
                let flip = |b: &mut Builder, i: usize| {
                    if signs >> i & 1 == 1 { b.neg(x[i]) } else { x[i] }
                };
                let (p, q, r) = (flip(b, 0), flip(b, 1), flip(b, 2));
                b.fma(p, q, r)
            }));
        }
        let mask = ty.mask();
        programs.push(single(&[mask, ty, ty], |b, x| b.select(x[0], x[1], x[2])));
        // A number used as bits, too, whatever it is a mask of.
        programs.push(single(&[ty, ty], |b, x| b.min(x[0], x[0])));
    }
    for ty in [Type::F32, Type::F64, Type::I32, Type::I64] {
        let compare =
            [Builder::eq, Builder::ne, Builder::lt, Builder::le, Builder::gt, Builder::ge];
        programs.extend(compare.map(|op| single(&[ty, ty], |b, x| op(b, x[0], x[1]))));
    }
    for ty in [Type::I32, Type::I64] {
        let binary =
            [Builder::add, Builder::sub, Builder::mul, Builder::and, Builder::or, Builder::xor];
        programs.extend(binary.map(|op| single(&[ty, ty], |b, x| op(b, x[0], x[1]))));
        programs.push(single(&[ty], |b, x| b.not(x[0])));
        programs.push(single(&[ty], |b, x| {
            let other = if ty == Type::I32 { Type::I64 } else { Type::I32 };
            b.resize_int(x[0], other)
        }));
        for by in 0..ty.bits() as u8 {
            for op in [Builder::shl, Builder::shr, Builder::sar] {
                programs.push(single(&[ty], |b, x| op(b, x[0], by)));
            }
        }
        for entries in [1, 2, 3, 4, 5, 64] {
            let table: Vec<u64> = (1..=entries).collect();
            programs.push(single(&[ty], |b, x| b.table(ty, &table, x[0])));
            // Indices that are mostly inside.
            programs.push(single(&[ty], |b, x| {
                let bits = b.int(ty, 127);
                let index = b.and(x[0], bits);
                b.table(ty.float(), &table, index)
            }));
        }
        programs.push(single(&[ty.mask()], |b, x| b.bitcast(x[0], ty)));
    }
    for ty in [Type::M32, Type::M64] {
        let binary = [Builder::and, Builder::or, Builder::xor];
        programs.extend(binary.map(|op| single(&[ty, ty], |b, x| op(b, x[0], x[1]))));
        programs.push(single(&[ty], |b, x| b.not(x[0])));
        programs.push(single(&[ty, ty, ty], |b, x| b.select(x[0], x[1], x[2])));
        programs.push(single(&[ty], |b, x| {
            let other = if ty == Type::M32 { Type::M64 } else { Type::M32 };
            b.resize_mask(x[0], other)
        }));
        for set in [false, true] {
            programs.push(single(&[ty, ty.float()], |b, x| {
                let (mask, zero) = (b.mask(ty, set), b.float(ty.float(), 0.0));
                let mask = b.xor(mask, x[0]);
                b.select(mask, x[1], zero)
            }));
        }
    }
    programs.push(single(&[Type::F32], |b, x| b.promote(x[0])));
    programs.push(single(&[Type::F64], |b, x| b.demote(x[0])));
    for program in &programs {
        check_all(program, &mut rng);
    }
}

#[test]
fn random_programs_have_the_bits_of_the_interpreter() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let size = 1 + rng.below(60);
        let program = random_program(&mut rng, size, seed % 4 == 0);
        for code in emitters(&program) {
            let splats = rng.below(1 << program.inputs.len());
            check(&program, &code, 67, splats, &mut rng);
            check(&program, &code, 400, 0, &mut rng);
        }
    }
}

/// Many values that are all needed at the end, around cold regions: more than any machine has
/// registers for.
fn crowded(rng: &mut Rng, values: usize, storage: Storage, other: Storage) -> Routine {
    let mut b = Builder::new();
    let (x, y) = (b.input(storage), b.input(other));
    let ty = b.ty(x);
    let mut numbers = vec![x];
    let mut masks = Vec::new();
    let mut others = vec![y];
    for i in 0..values {
        let recent = numbers[numbers.len() - 1 - rng.below(numbers.len().min(4))];
        let factor = b.float(ty, 1.0 + i as f64 * 0.01);
        let next = match i % 3 {
            0 => b.fma(recent, factor, x),
            1 => b.fma(factor, x, recent),
            _ => b.fma(recent, x, recent),
        };
        numbers.push(next);
        let bound = b.float(ty, i as f64 * 0.1);
        masks.push(b.lt(next, bound));
        let double = b.add(others[others.len() - 1], y);
        others.push(double);
        if i % 40 == 20 {
            let kept = numbers.clone();
            let mask = masks[masks.len() / 2];
            let results = b.cold(mask, [next, recent], |b| {
                let mut inside = Vec::new();
                for pair in kept.windows(2) {
                    let product = b.mul(pair[0], pair[1]);
                    inside.push(product);
                }
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

#[test]
fn more_values_than_registers_have_the_bits_of_the_interpreter() {
    let mut rng = Rng::new(11);
    for values in [20, 60, 200] {
        for (storage, other) in [
            (Storage::F32, Storage::F32),
            (Storage::F64, Storage::F64),
            (Storage::F32, Storage::F64),
            (Storage::F64, Storage::F32),
        ] {
            let program = crowded(&mut rng, values, storage, other);
            for code in emitters(&program) {
                for n in [0, 16, 64, 160] {
                    check(&program, &code, n, 0, &mut rng);
                }
            }
        }
    }
}

#[test]
fn many_operands_find_their_addresses() {
    for (inputs, outputs) in [(1, 9), (7, 1), (8, 1), (9, 1), (12, 12), (30, 5)] {
        let mut rng = Rng::new(inputs as u64);
        let mut b = Builder::new();
        let storages = [Storage::F32, Storage::Bool, Storage::F64];
        let values: Vec<Value> = (0..inputs).map(|i| b.input(storages[i % 3])).collect();
        for i in 0..outputs {
            b.output(values[(i + 5) % inputs], storages[(i + 5) % inputs % 3]);
        }
        let program = b.finish();
        for code in emitters(&program) {
            for splats in [0, 0b1010_1010, 0x1249_2492] {
                check(&program, &code, 160, splats, &mut rng);
            }
        }
    }
}

#[test]
fn cold_regions_run_where_a_lane_needs_them() {
    // Both vectors of a 64-bit value count, and what escapes has its lanes in order.
    let mut b = Builder::new();
    let x = b.input(Storage::F64);
    let narrow = b.input(Storage::F32);
    let bound = b.f64(10.0);
    let large = b.gt(x, bound);
    let [y, z] = b.cold(large, [x, bound], |b| {
        let square = b.mul(x, x);
        [b.sqrt(square), b.div(bound, x)]
    });
    let sum = b.add(y, z);
    b.output(sum, Storage::F64);
    b.output(narrow, Storage::F32);
    let program = b.finish();
    let mut rng = Rng::new(7);
    check_all(&program, &mut rng);
    // One lane alone needs it, the last one, too.
    for code in emitters(&program) {
        for n in (1..=35).filter(|n| code.takes_any_count() || n % code.lanes() == 0) {
            for lane in 0..n {
                let x = |at| if at == lane { 20.0 } else { 2.0f64 };
                let wide: Vec<u8> = (0..n).flat_map(|at| x(at).to_le_bytes()).collect();
                let (narrow, mut sums, mut copy) = (vec![0; 4 * n], vec![0; 8 * n], vec![0; 4 * n]);
                let inputs = [Operand::Array(&wide), Operand::Array(&narrow)];
                code.apply(n, &inputs, &mut [&mut sums, &mut copy]);
                for (at, sum) in elements(Storage::F64, &sums).into_iter().enumerate() {
                    let expected = if at == lane { 20.5 } else { 12.0 };
                    assert_eq!(f64::from_bits(sum), expected, "{} {at} of {n}", code.emitter());
                }
            }
        }
    }
}

#[test]
fn an_output_may_be_an_input() {
    let program = op_program(Op::Add, DType::F32);
    for code in emitters(&program) {
        let (a, mut b) = (vec![1.5f32; 64], (0..64).map(|i| i as f32).collect::<Vec<_>>());
        let [a, target] = [a.as_ptr().cast_mut(), b.as_mut_ptr()];
        let cursor = |base: *mut f32| Cursor { base: base.cast(), step: code.lanes() * 4, row: 0 };
        // SAFETY: 64 elements each, and the output is exactly the second input.
        unsafe { code.call(1, 64, &mut [a, target, target].map(cursor)) };
        assert!((0..64).all(|i| b[i] == i as f32 + 1.5));
    }
}

#[test]
fn outputs_shift_along_their_inputs() {
    // More inputs than registers, all needed again: what is loaded again must be so in time.
    let mut b = Builder::new();
    let values: Vec<Value> = (0..40).map(|_| b.input(Storage::F32)).collect();
    let there = values.iter().fold(values[0], |sum, &x| b.fma(sum, x, x));
    let sum = values.iter().rev().fold(there, |sum, &x| b.fma(sum, x, x));
    for &value in [sum].iter().chain(&values[..7]) {
        b.output(value, Storage::F32);
    }
    let program = b.finish();
    // Full vectors of every emitter.
    const N: usize = 3 * 16 * 13;
    let mut rng = Rng::new(3);
    let inputs: Vec<Vec<u64>> =
        values.iter().map(|_| (0..N).map(|_| rng.element(Storage::F32)).collect()).collect();
    let slices: Vec<&[u64]> = inputs.iter().map(Vec::as_slice).collect();
    let expected = interp::run(&program, &slices, N);
    for code in emitters(&program) {
        let mut memory: Vec<Vec<u8>> =
            inputs.iter().map(|input| bytes(Storage::F32, input, 0)).collect();
        let sources = memory.iter_mut().map(|bytes| bytes.as_mut_ptr());
        let cursor = |base| Cursor { base, step: code.lanes() * 4, row: 0 };
        let mut cursors: Vec<Cursor> = sources.map(cursor).collect();
        cursors.extend_from_within(..8);
        let n = if code.takes_any_count() { N - 5 } else { N };
        // SAFETY: `N` elements each; output `j` is exactly input `j`.
        unsafe { code.call(1, n, &mut cursors) };
        for ((bytes, expected), before) in memory.iter().zip(&expected).zip(&inputs) {
            let got = elements(Storage::F32, bytes);
            let same = got[..n].iter().zip(expected).all(|(&a, &b)| !differs(Storage::F32, a, b));
            assert!(same, "{:?}", code.emitter());
            assert_eq!(got[n..], before[n..], "{:?}", code.emitter());
        }
    }
}

/// Its vectors have to hold as many elements as those of narrower inputs.
#[test]
fn an_input_that_nothing_loads_may_be_the_widest() {
    let mut b = Builder::new();
    let x = b.input(Storage::F32);
    let chain = (0..30).fold(x, |value, _| b.sqrt(value));
    b.output(chain, Storage::F32);
    let program = b.finish();
    let program = Routine { inputs: vec![Storage::F32, Storage::F64], ..program };
    check_all(&program, &mut Rng::new(12));
}
