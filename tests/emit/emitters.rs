//! What each emitter makes, lists, refuses and frees.

use crate::check::check_all;
use common::{Rng, emitters, random_program};
use kiln::internals::cpu::Cpu;
use kiln::internals::emit::{self, Operand};
use kiln::internals::op_program;
use kiln::internals::vir::{
    Body, Builder, Cold, Each, Inst, Routine, Storage, Store, Table, Type, Value,
};
use kiln::{EmitError, EmitterKind};
use kiln_ir::{DType, Op};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Instruction sets that Cranelift is built for here.
const TARGETS: &[&str] = if cfg!(feature = "arm64") { &["x86_64", "aarch64"] } else { &["x86_64"] };

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
        if cfg!(target_arch = "x86_64") {
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
    assert_eq!((widest.emitter(), widest.bits(), widest.lanes()), expected);
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
        let stage = Each { body, stores, folds: Vec::new() };
        Routine { outputs: vec![storage], stage, ..Routine::default() }
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
    let mut twice = plain();
    let stores = &mut twice.stage.stores;
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

#[test]
fn an_unknown_target_is_refused() {
    let program = op_program(Op::Add, DType::F32);
    let error = emit::clif::listing(&program, Some("mips")).unwrap_err();
    assert!(error.to_string().starts_with("the cranelift emitter cannot generate code for mips"));
}

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
