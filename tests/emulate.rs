//! Emulated code against the machine, where it has the instructions: every bit, of every array.

mod common;

use common::runner::{Runner, choose, describe, load, missing, runners};
use common::{Rng, random_program};
use kiln::cpu::Cpu;
use kiln::emit::{self, Code, EmitterKind, Operand, emulated};
use kiln::lower::{Tier, op_program_in};
use kiln::vir::{Program, Storage};
use kiln_ir::{DType, Op};

/// What tests of this machine are worth. `scripts/check` shows it.
#[test]
fn emitters_are_said() {
    println!("{}", describe(runners()));
}

#[test]
fn what_the_machine_lacks_is_emulated() {
    let all = Cpu { fma: true, avx2: true, avx512: true };
    let narrow = Cpu { avx512: false, ..all };
    let lines = [
        (all, &[][..], "emitters: native avx512, avx2, cranelift, interp; emulated none"),
        (narrow, &[], "emitters: native avx2, cranelift, interp; emulated avx512"),
        (all, &[EmitterKind::Avx2], "emitters: native avx512, cranelift, interp; emulated avx2"),
    ];
    for (cpu, emulated, line) in lines {
        if cfg!(not(windows)) {
            assert_eq!(describe(&choose(cpu, emulated)), line);
        }
    }
    let required = [EmitterKind::Avx2, EmitterKind::Avx512];
    assert_eq!(missing(&choose(all, &[]), &required), []);
    assert_eq!(missing(&choose(narrow, &[]), &required), [EmitterKind::Avx512]);
    assert_eq!(missing(&choose(all, &[EmitterKind::Avx512]), &required), [EmitterKind::Avx512]);
}

/// The two x86 emitters that this machine runs, each with its code as emulated.
fn both(program: &Program) -> impl Iterator<Item = [Code; 2]> + use<'_> {
    let native = |kind: &EmitterKind| choose(Cpu::host(), &[]).contains(&Runner::Native(*kind));
    let kinds = [EmitterKind::Avx512, EmitterKind::Avx2].into_iter().filter(native);
    kinds.map(|kind| {
        let native = emit::compile(program, kind, Cpu::host()).unwrap();
        [native, emulated::compile(program, kind, load).unwrap()]
    })
}

fn random_bytes(storage: Storage, count: usize, rng: &mut Rng) -> Vec<u8> {
    let element = |_| rng.element(storage).to_le_bytes().into_iter().take(storage.size());
    (0..count).flat_map(element).collect()
}

/// Runs both on `n` elements, and compares all bits.
fn compare(program: &Program, [native, emulated]: &[Code; 2], n: usize, rng: &mut Rng) {
    let n = if native.takes_any_count() { n } else { n - n % native.lanes() };
    assert_eq!(native.machine_code(), emulated.machine_code());
    let splats = rng.next();
    let is_splat = |slot: usize| splats >> slot & 3 == 3;
    let bytes: Vec<Vec<u8>> = (0..)
        .zip(&program.inputs)
        .map(|(slot, &storage)| match is_splat(slot) {
            true => random_bytes(storage, 1, rng).repeat(native.copies()),
            false => random_bytes(storage, n, rng),
        })
        .collect();
    let operands: Vec<Operand> = (0..)
        .zip(&bytes)
        .map(|(slot, bytes)| match is_splat(slot) {
            true => Operand::Splat(bytes),
            false => Operand::Array(bytes),
        })
        .collect();
    let run = |code: &Code| -> Vec<Vec<u8>> {
        let room = |storage: &Storage| vec![0; n * storage.size()];
        let mut results: Vec<Vec<u8>> = code.outputs().iter().map(room).collect();
        let mut targets: Vec<&mut [u8]> = results.iter_mut().map(Vec::as_mut_slice).collect();
        code.apply(n, &operands, &mut targets);
        results
    };
    let (want, got) = (run(native), run(emulated));
    assert!(got == want, "{} on {n} elements\n{program}", native.emitter());
}

#[test]
fn ops_have_the_bits_of_the_machine() {
    let mut rng = Rng::new(1);
    for &op in Op::ALL {
        for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            for tier in [Tier::Default, Tier::Fast] {
                let program = op_program_in(tier, op, dtype);
                for codes in both(&program) {
                    for n in [0, 1, 15, 67, 400] {
                        compare(&program, &codes, n, &mut rng);
                    }
                }
            }
        }
    }
}

#[test]
fn random_programs_have_the_bits_of_the_machine() {
    for seed in 0..1500 {
        let mut rng = Rng::new(seed);
        let size = 1 + rng.below(80);
        let program = random_program(&mut rng, size, seed % 4 == 0);
        for codes in both(&program) {
            for n in [rng.below(16), 67, 200] {
                compare(&program, &codes, n, &mut rng);
            }
        }
    }
}
