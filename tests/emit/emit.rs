//! Every emitter against the interpreter, bit for bit.

use common::{Rng, differs, emitters, random_program};
use kiln::cpu::Cpu;
use kiln::emit::{self, Code, EmitError, EmitterKind, Operand};
use kiln::lower::{Tier, op_program, op_program_in};
use kiln::vir::{
    Body, Builder, Cold, Each, Inst, Routine, Storage, Store, Table, Type, Value, interp,
};
use kiln_ir::{DType, Op};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes of elements, `offset` bytes in, so that nothing is aligned.
fn bytes(storage: Storage, elements: &[u64], offset: usize) -> Vec<u8> {
    let mut bytes = vec![0xa5; offset];
    for element in elements {
        bytes.extend_from_slice(&element.to_le_bytes()[..storage.size()]);
    }
    bytes
}

fn elements(storage: Storage, bytes: &[u8]) -> Vec<u64> {
    let wide = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    };
    bytes.chunks(storage.size()).map(wide).collect()
}

/// Runs `code` on `n` random elements, offset by some bytes, some inputs repeated; compares with
/// the interpreter and checks that nothing around the outputs is touched.
fn check(program: &Routine, code: &Code, n: usize, splats: usize, rng: &mut Rng) {
    let widest = program.inputs.iter().chain(&program.outputs);
    let vector = code.copies() * widest.map(|storage| storage.size()).max().unwrap_or(0);
    assert!(vector <= emit::MAX_VECTOR, "a vector of {vector} bytes");
    let n = if code.takes_any_count() { n } else { n - n % code.lanes() };
    let mut raw = Vec::new();
    let mut inputs = Vec::new();
    let is_splat = |slot: usize| splats >> slot & 1 == 1;
    for (slot, &storage) in program.inputs.iter().enumerate() {
        let first = rng.element(storage);
        let values: Vec<u64> = (0..n.max(code.copies()))
            .map(|_| if is_splat(slot) { first } else { rng.element(storage) })
            .collect();
        let offset = rng.below(17);
        let stored = if is_splat(slot) { code.copies() } else { n };
        raw.push((bytes(storage, &values[..stored], offset), offset));
        inputs.push(values);
    }
    let operands: Vec<Operand> = raw
        .iter()
        .enumerate()
        .map(|(slot, (bytes, offset))| match is_splat(slot) {
            true => Operand::Splat(&bytes[*offset..]),
            false => Operand::Array(&bytes[*offset..]),
        })
        .collect();
    const GUARD: usize = 24;
    let offset = rng.below(17);
    let mut results: Vec<Vec<u8>> = program
        .outputs
        .iter()
        .map(|storage| vec![0xa5; offset + n * storage.size() + GUARD])
        .collect();
    let mut targets: Vec<&mut [u8]> = results
        .iter_mut()
        .map(|bytes| {
            let end = bytes.len() - GUARD;
            &mut bytes[offset..end]
        })
        .collect();
    code.apply(n, &operands, &mut targets);

    let slices: Vec<&[u64]> = inputs.iter().map(Vec::as_slice).collect();
    let expected = interp::run(program, &slices, n);
    for (j, &storage) in program.outputs.iter().enumerate() {
        let (before, rest) = results[j].split_at(offset);
        let (inside, after) = rest.split_at(n * storage.size());
        assert!(before.iter().chain(after).all(|&byte| byte == 0xa5), "wrote out of bounds");
        for (i, (got, &want)) in elements(storage, inside).into_iter().zip(&expected[j]).enumerate()
        {
            let operands: Vec<String> = inputs.iter().map(|x| format!("{:#x}", x[i])).collect();
            assert!(
                !differs(storage, got, want),
                "{} output {j} element {i} of {n}: got {got:#x}, the interpreter gives {want:#x}, \
                 for {operands:?}\n{program}",
                code.emitter(),
            );
        }
    }
}

fn check_all(program: &Routine, rng: &mut Rng) {
    for code in emitters(program) {
        for n in 0..=67 {
            check(program, &code, n, 0, rng);
        }
        for splats in 0..1 << program.inputs.len() {
            check(program, &code, 64, splats, rng);
            check(program, &code, 77, splats, rng);
        }
        check(program, &code, 4095, 0, rng);
        check(program, &code, 4096, 0, rng);
    }
}

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
        let steps = [code.lanes() * 4; 2];
        let pointers = [a.as_ptr().cast(), b.as_ptr().cast()];
        let target: *mut u8 = b.as_mut_ptr().cast();
        // SAFETY: 64 elements each, and the output is exactly the second input.
        unsafe { code.call(64, &pointers, &steps, &[target]) };
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
        let targets: Vec<*mut u8> = memory.iter_mut().map(|bytes| bytes.as_mut_ptr()).collect();
        let sources: Vec<*const u8> = targets.iter().map(|target| target.cast_const()).collect();
        let n = if code.takes_any_count() { N - 5 } else { N };
        // SAFETY: `N` elements each; output `j` is exactly input `j`.
        unsafe { code.call(n, &sources, &[code.lanes() * 4; 40], &targets[..8]) };
        for ((bytes, expected), before) in memory.iter().zip(&expected).zip(&inputs) {
            let got = elements(Storage::F32, bytes);
            let same = got[..n].iter().zip(expected).all(|(&a, &b)| !differs(Storage::F32, a, b));
            assert!(same, "{:?}", code.emitter());
            assert_eq!(got[n..], before[n..], "{:?}", code.emitter());
        }
    }
}

#[test]
fn avx512_takes_any_count_under_a_mask() {
    // Two registers of 64-bit lanes for one of 32-bit ones, in and out, and bytes.
    let mut b = Builder::new();
    let (x, wide, bytes) = (b.input(Storage::F32), b.input(Storage::F64), b.input(Storage::U8));
    let (promoted, zero) = (b.promote(x), b.float(Type::F64, 0.0));
    let sum = b.add(promoted, wide);
    let negative = b.lt(sum, zero);
    let negative = b.resize_mask(negative, Type::M32);
    for (value, storage) in
        [(sum, Storage::F64), (bytes, Storage::U8), (negative, Storage::Bool), (x, Storage::F16)]
    {
        b.output(value, storage);
    }
    let program = b.finish();
    check_all(&program, &mut Rng::new(11));
    for code in emitters(&program) {
        let masked = matches!(code.emitter(), EmitterKind::Avx512 | EmitterKind::Interp);
        assert_eq!(code.takes_any_count(), masked, "{}", code.emitter());
    }
    let text = emit::assembly(&program, EmitterKind::Avx512, Cpu::BASE).unwrap();
    let (_, tail) = text.split_once("bzhi").unwrap();
    let touches = |line: &&str| line.contains("[r9") || line.contains("+r9");
    let inputs = |line: &&str| ["[r10", "[r11", "[rsi"].iter().any(|from| line.contains(from));
    let masked: Vec<&str> = tail.lines().filter(|line| touches(line) || inputs(line)).collect();
    assert!(masked.iter().all(|line| line.contains("{k")), "{text}");
    assert_eq!(masked.len(), 4 + 5, "two loads and two stores of `f64`\n{text}");
}

#[test]
fn constants_are_loaded_before_the_loop() {
    let program = op_program(Op::Exp2, DType::F32);
    for (kind, load) in
        [(EmitterKind::Avx512, "vbroadcastss zmm"), (EmitterKind::Avx2, "vmovups ymm")]
    {
        let text = emit::assembly(&program, kind, Cpu::BASE).unwrap();
        let (before, _) = text.split_once("[r10]").unwrap();
        let hoisted = before.lines().filter(|line| line.contains(load) && line.contains("; v"));
        assert!(hoisted.count() > 1, "{text}");
    }
}

#[test]
fn without_fma_auto_interprets() {
    let program = op_program(Op::Fma, DType::F32);
    let error = emit::compile(&program, EmitterKind::Cranelift, Cpu::BASE).unwrap_err();
    assert!(matches!(error, EmitError::NoFma { .. }));
    assert_eq!(
        error.to_string(),
        "this machine has no fused multiply-add (FMA), which the cranelift emitter needs for this \
         kernel: use the interpreter (emitter `interp`), it gives the same bits"
    );
    let code = emit::compile(&program, EmitterKind::Auto, Cpu::BASE).unwrap();
    assert_eq!((code.emitter(), code.lanes()), (EmitterKind::Interp, 1));

    let program = op_program(Op::Add, DType::F32);
    let code = emit::compile(&program, EmitterKind::Auto, Cpu::BASE).unwrap();
    assert_eq!((code.emitter(), code.bits()), (EmitterKind::Cranelift, 128));
}

#[test]
fn dropped_code_frees_its_memory() {
    // Executable memory that belongs to no file, or to one of Kiln's.
    let mappings = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let made = |line: &&str| line.contains("kiln") || line.split_whitespace().count() == 5;
        let lines = maps.lines().filter(made);
        assert!(!lines.clone().any(|line| line.contains("wx")), "memory both written and executed");
        lines.filter(|line| line.contains("r-x")).count()
    };
    let program = op_program(Op::Add, DType::F64);
    let before = mappings();
    for _ in 0..1500 {
        drop(emit::compile(&program, EmitterKind::Cranelift, Cpu::host()).unwrap());
        drop(emit::compile(&program, EmitterKind::Auto, Cpu::host()).unwrap());
    }
    // Other tests run meanwhile and hold some.
    let after = mappings();
    assert!(after < before + 100, "mappings of code grew from {before} to {after}");
}

#[test]
fn listings_show_every_stage() {
    let program = op_program(Op::Fma, DType::F32);
    let listing = emit::clif::listing(&program, None).unwrap();
    assert!(listing.clif.contains("fma "), "{}", listing.clif);
    assert!(!listing.assembly.is_empty());
    let code = emit::compile(&program, EmitterKind::Cranelift, Cpu::host()).unwrap();
    assert_eq!(listing.bytes, code.machine_code());
}

#[test]
fn assembly_names_the_primitive_of_each_instruction() {
    let program = op_program(Op::Fma, DType::F32);
    let text = emit::assembly(&program, EmitterKind::Avx512, Cpu::BASE).unwrap();
    let line = text.lines().find(|line| line.contains("vfmadd")).unwrap();
    assert!(line.contains("zmm") && line.ends_with("; v3: f32 = fma v0 v1 v2"), "{line}");
    let text = emit::assembly(&program, EmitterKind::Avx2, Cpu::BASE).unwrap();
    assert!(text.lines().any(|line| line.contains("vfmadd") && line.contains("ymm")), "{text}");
    for seed in 0..100 {
        let mut rng = Rng::new(seed);
        let program = random_program(&mut rng, 40, seed % 4 == 0);
        for kind in [EmitterKind::Avx512, EmitterKind::Avx2] {
            let text = emit::assembly(&program, kind, Cpu::BASE).unwrap();
            assert!(!text.contains("(bad)"), "{text}");
        }
    }
}

#[test]
fn the_widest_is_taken_and_what_is_missing_is_said() {
    let program = op_program(Op::Add, DType::F32);
    let host = Cpu::host();
    let narrower = Cpu { avx512: false, ..host };
    for (cpu, missing, name) in [
        (narrower, EmitterKind::Avx512, "AVX-512 (F, BW, DQ and VL, with BMI2)"),
        (Cpu { avx2: false, ..narrower }, EmitterKind::Avx2, "AVX2 with FMA"),
    ] {
        let error = emit::compile(&program, missing, cpu).unwrap_err();
        if cfg!(all(target_arch = "x86_64", not(windows))) {
            let says = format!(
                "the {missing} emitter cannot be used: this machine has no {name} (emitter `auto` \
                 takes what there is)"
            );
            assert_eq!(error.to_string(), says);
        }
        let taken = emit::compile(&program, EmitterKind::Auto, cpu).unwrap();
        assert_ne!(taken.emitter(), missing);
    }
    let widest = emit::compile(&program, EmitterKind::Auto, host).unwrap();
    let expected = match host {
        Cpu { avx512: true, .. } => (EmitterKind::Avx512, 512, 16),
        Cpu { avx2: true, .. } => (EmitterKind::Avx2, 256, 8),
        _ => (EmitterKind::Cranelift, 128, 4),
    };
    if cfg!(not(windows)) {
        assert_eq!((widest.emitter(), widest.bits(), widest.lanes()), expected);
    }
}

/// Nothing that would make emitters differ, or panic, is taken for a program.
#[test]
fn programs_that_mean_nothing_are_refused() {
    let number = Inst::Const { ty: Type::F32, bits: 0x3f80_0000 };
    let index = Inst::Const { ty: Type::I32, bits: 0 };
    let (mask, ones) = (Type::M32, 0xffff_ffff);
    let program = |insts: &[(Type, Inst)], stored: u32, cold: &[Cold]| {
        let body = Body {
            insts: insts.iter().map(|&(_, inst)| inst).collect(),
            types: insts.iter().map(|&(ty, _)| ty).collect(),
            cold: cold.to_vec(),
        };
        let stores = vec![Store { value: Value(stored), output: 0 }];
        let storage = match insts[stored as usize].0 {
            Type::M32 => Storage::Bool,
            _ => Storage::F32,
        };
        let stages = vec![Each { body, stores }];
        Routine { outputs: vec![storage], stages, ..Routine::default() }
    };
    let constant = |ty, bits| (ty, Inst::Const { ty, bits });
    let cold = |mask, start, end| Cold { mask: Value(mask), start, end };
    let mut cases = vec![
        // Any other bits are true to one emitter and false to another.
        (program(&[constant(mask, 2)], 0, &[]), "v0: a mask is all ones or zero"),
        (program(&[constant(mask, ones >> 1)], 0, &[]), "v0: a mask is all ones or zero"),
        (program(&[constant(mask, u64::MAX)], 0, &[]), "v0: constant wider than its type"),
        (
            program(&[(Type::F32, number), constant(Type::F32, 1)], 0, &[cold(0, 1, 2)]),
            "v0 is no mask, but a cold region's",
        ),
        (
            program(
                &[constant(mask, ones), constant(mask, 0), (Type::F32, number)],
                0,
                &[cold(0, 1, 2), cold(1, 2, 3)],
            ),
            "cold region 2..3 has its mask from another",
        ),
    ];
    let mut table = program(
        &[(Type::I32, index), (Type::F32, Inst::Table { table: 0, index: Value(0) })],
        1,
        &[],
    );
    table.tables = vec![Table { ty: Type::F32, entries: vec![0, 1 << 32] }];
    cases.push((table, "v1: table entry wider than its type"));
    let mut two = plain();
    two.stages.push(two.stages[0].clone());
    cases.push((two, "a routine has one stage"));
    let mut twice = plain();
    let stores = &mut twice.stages[0].stores;
    stores.push(stores[0]);
    cases.push((twice, "each output is stored once, in order"));
    for (program, why) in cases {
        let message = format!("no code can be made of an invalid routine: {why}");
        for kind in EmitterKind::ALL {
            let error = emit::compile(&program, kind, Cpu::host()).unwrap_err();
            assert_eq!(error.to_string(), message, "{kind}");
            let error = emit::assembly(&program, kind, Cpu::host()).unwrap_err();
            assert_eq!(error.to_string(), message, "{kind}");
        }
        for target in TARGETS.iter().map(|target| Some(*target)).chain([None]) {
            let error = emit::clif::listing(&program, target).unwrap_err();
            assert_eq!(error.to_string(), message, "{target:?}");
        }
    }
    // What they would be like.
    let good = program(&[constant(mask, ones), (Type::F32, number)], 0, &[cold(0, 1, 2)]);
    assert_eq!(emitters(&good).len(), emitters(&plain()).len());
}

/// `x + x`.
fn plain() -> Routine {
    let mut b = Builder::new();
    let x = b.input(Storage::F32);
    let sum = b.add(x, x);
    b.output(sum, Storage::F32);
    b.finish()
}

/// Sizes that only a wrapped product fits.
#[test]
fn slices_that_are_too_short_are_refused() {
    for code in emitters(&plain()) {
        for n in [32, 1 << 30, 1 << 61, 1 << 62, usize::MAX / 64 * 64] {
            for (x, sum) in [(64, 64), (256, 64), (64, 256)] {
                let (x, mut sum) = (vec![0; x], vec![0; sum]);
                let call = AssertUnwindSafe(|| {
                    code.apply(n, &[Operand::Array(&x)], &mut [&mut sum]);
                });
                let panic = catch_unwind(call).unwrap_err();
                let message = panic.downcast_ref::<String>().unwrap();
                assert!(message.contains(" bytes, not ") || message.contains("no slice has"));
            }
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

#[test]
fn an_unknown_target_is_refused() {
    let program = op_program(Op::Add, DType::F32);
    let error = emit::clif::listing(&program, Some("mips")).unwrap_err();
    assert!(error.to_string().starts_with("the cranelift emitter cannot generate code for mips"));
}

/// Instruction sets that Cranelift is built for here.
const TARGETS: &[&str] = if cfg!(feature = "arm64") { &["x86_64", "aarch64"] } else { &["x86_64"] };

/// Also those that this machine cannot run: everything must at least lower.
#[test]
fn other_targets_lower_every_primitive() {
    for &target in TARGETS {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let program = random_program(&mut rng, 40, seed % 4 == 0);
            let listing = emit::clif::listing(&program, Some(target)).unwrap();
            assert!(!listing.bytes.is_empty());
        }
    }
}
