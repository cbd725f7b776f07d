//! Emulated code against the machine, where it has the instructions: every bit, of every array.

use common::emulation::load;
use common::runner::{Runner, choose, describe, kinds, missing, runners};
use common::{Rng, differs, random_program};
use kiln::internals::cpu::Cpu;
use kiln::internals::emit::{self, Code, Cursor, Operand, emulated};
use kiln::internals::vir::{Builder, Routine, Storage, Value};
use kiln::internals::{Tier, op_program_in};
use kiln::{CompileOptions, EmitterKind, compile_with};
use kiln_ir::{DType, Op};
use ndarray::Array1;
use std::process::Command;

/// What tests of this machine are worth. `scripts/check` shows it.
#[test]
fn emitters_are_said() {
    // The first to ask is told.
    assert_eq!(runners().len(), EmitterKind::ALL.len() - 1, "all but `auto`");
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
        assert_eq!(describe(&choose(cpu, emulated)), line);
    }
    let required = [EmitterKind::Avx2, EmitterKind::Avx512];
    assert_eq!(missing(&choose(all, &[]), &required), []);
    assert_eq!(missing(&choose(narrow, &[]), &required), [EmitterKind::Avx512]);
    assert_eq!(missing(&choose(all, &[EmitterKind::Avx512]), &required), [EmitterKind::Avx512]);
}

/// Kernels of the whole pipeline, by every emitter, in one call and in several threads.
#[test]
fn kernels_of_every_emitter_agree() {
    let text = "kernel k(x: f32[n], y: f64[n]) { (gelu(x) * 2, atan2(y, f64(x)), x < 0.5) }";
    let graph = kiln::ir::parse(text).unwrap();
    let x = Array1::from_iter((0..20_011).map(|i| (i as f32 * 0.7).sin() * 6.0));
    let y = Array1::from_iter((0..20_011).map(|i| (f64::from(i) * 0.3).cos() * 9.0));
    let run = |kind| {
        let kernel = compile_with(&graph, CompileOptions::new().emitter(kind).threads(2)).unwrap();
        assert_eq!(kernel.emitter().unwrap().0, kind);
        kernel.run(&[(&x).into(), (&y).into()]).unwrap()
    };
    let expected = run(EmitterKind::Interp);
    for kind in kinds() {
        assert_eq!(run(kind), expected, "{kind}");
    }
}

/// The variables are read once a process, so each setting is tried in a process of its own.
#[test]
fn variables_choose_and_require() {
    let tried = |emulate: &str, require: &str| {
        let test = ["--exact", "emulate::kernels_of_every_emitter_agree", "--nocapture"];
        let own = std::env::current_exe().unwrap();
        let run = Command::new(own)
            .args(test)
            .env("KILN_EMULATE", emulate)
            .env("KILN_REQUIRE", require)
            .output()
            .unwrap();
        let text = [run.stdout, run.stderr].concat();
        (run.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let (passed, text) = tried("avx512,avx2", "cranelift");
    assert!(passed, "{text}");
    let line = "emitters: native cranelift, interp; emulated avx512, avx2";
    assert!(text.contains(line), "{text}");
    let (passed, text) = tried("avx512", "avx512");
    assert!(!passed && text.contains("KILN_REQUIRE: this machine does not run [Avx512]"), "{text}");
    let (passed, text) = tried("avx1024", "");
    assert!(!passed && text.contains("KILN_EMULATE: unknown emitter `avx1024`"), "{text}");
}

/// Stores that go past the caches, to memory that is aligned to a vector and to some that is not.
#[test]
fn streaming_twins_write_the_same() {
    let program = op_program_in(Tier::Default, Op::Sigmoid, DType::F32);
    let n = 16 * 37;
    let mut rng = Rng::new(4);
    let input = random_bytes(Storage::F32, n, &mut rng);
    for [native, emulated] in both(&program) {
        let codes = [native, emulated];
        let mut results = Vec::new();
        for (code, streams, offset) in
            [(0, false, 0), (0, true, 0), (1, false, 0), (1, true, 0), (1, true, 4)]
        {
            let (code, mut memory) = (&codes[code], vec![0xa5; 4 * n + 128]);
            let start = memory.as_ptr().align_offset(64) + offset;
            let target = memory[start..][..4 * n].as_mut_ptr();
            let input = input.as_ptr().cast_mut();
            let cursor = |base| Cursor { base, step: code.lanes() * 4, row: 0 };
            let mut cursors = [input, target].map(cursor);
            // SAFETY: `n` elements each, none of them shared.
            unsafe {
                match streams {
                    true => code.call_streaming(1, n, &mut cursors),
                    false => code.call(1, n, &mut cursors),
                }
            }
            results.push(memory[start..][..4 * n].to_vec());
            assert!(memory[start + 4 * n..].iter().all(|&byte| byte == 0xa5));
        }
        assert!(results.iter().all(|result| *result == results[0]), "{}", codes[0].emitter());
    }
}

/// The two x86 emitters that this machine runs, each with its code as emulated.
fn both(program: &Routine) -> impl Iterator<Item = [Code; 2]> + use<'_> {
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

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Runs both on `n` elements, and compares all bits.
fn compare(program: &Routine, [native, emulated]: &[Code; 2], n: usize, rng: &mut Rng) {
    let n = if native.takes_any_count() { n } else { n - n % native.lanes() };
    assert_eq!(native.machine_code(), emulated.machine_code());
    let splats = rng.next();
    let is_splat = |slot: usize| splats >> (slot % 62) & 3 == 3;
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
    for (at, (want, got)) in run(native).iter().zip(run(emulated)).enumerate() {
        let (storage, emitter) = (native.outputs()[at], native.emitter());
        let elements = want.chunks(storage.size()).zip(got.chunks(storage.size()));
        for (want, got) in elements.map(|(want, got)| (word(want), word(got))) {
            assert!(
                !differs(storage, want, got),
                "{emitter} on {n} elements: output {at} is {got:#x}, not {want:#x}\n{program}"
            );
        }
    }
}

#[test]
fn ops_have_the_bits_of_the_machine() {
    let mut rng = Rng::new(1);
    for &op in Op::ALL {
        for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            for tier in [Tier::Default, Tier::Fast] {
                let program = op_program_in(tier, op, dtype);
                for codes in both(&program) {
                    for n in [1, 15, 131] {
                        compare(&program, &codes, n, &mut rng);
                    }
                }
            }
        }
    }
}

#[test]
fn random_programs_have_the_bits_of_the_machine() {
    for seed in 0..600 {
        let mut rng = Rng::new(seed);
        let size = 1 + rng.below(80);
        let program = random_program(&mut rng, size, seed % 4 == 0);
        for codes in both(&program) {
            for n in [rng.below(16), 131] {
                compare(&program, &codes, n, &mut rng);
            }
        }
    }
}

/// Addresses that find no register, frames of many pages.
#[test]
fn many_operands_have_the_bits_of_the_machine() {
    let storages = [Storage::F32, Storage::Bool, Storage::F64, Storage::U8, Storage::F16];
    for (inputs, outputs) in [(1000, 1), (1, 1000), (64, 64)] {
        let mut b = Builder::new();
        let values: Vec<Value> = (0..inputs).map(|i| b.input(storages[i % 5])).collect();
        for i in (7..7 + outputs).map(|i| i % inputs) {
            b.output(values[i], storages[i % 5]);
        }
        let program = b.finish();
        for codes in both(&program) {
            compare(&program, &codes, 150, &mut Rng::new(1));
        }
    }
}

/// Each instruction by itself: every form that is found in the code of ops and of random programs,
/// on random registers, masks, flags and memory.
#[cfg(target_arch = "x86_64")]
mod instructions {
    use super::{Rng, op_program_in, random_program};
    use iced_x86::{
        Code, Decoder, DecoderOptions, Encoder, Instruction, MemoryOperand, Mnemonic, OpKind,
        Register,
    };
    use kiln::EmitterKind;
    use kiln::internals::Tier;
    use kiln::internals::cpu::Cpu;
    use kiln::internals::emit::emulated;
    use kiln::internals::vir::{Routine, Storage};
    use kiln_emulate::{Access, Flags, Memory, Processor, Vector};
    use kiln_ir::{DType, Op};
    use std::collections::BTreeMap;

    /// All that an instruction reads and writes, as the machine's routine finds it.
    #[repr(C, align(64))]
    #[derive(Clone)]
    struct State {
        vectors: [[u8; 64]; 32],
        masks: [u64; 8],
        /// `rax` and `rdi`.
        general: [u64; 2],
        flags: u64,
        padding: [u64; 5],
        /// What its address points into the middle of.
        memory: [u8; 512],
    }

    const MASKS: i64 = 2048;
    const GENERAL: i64 = MASKS + 64;
    const FLAGS: i64 = GENERAL + 16;
    const MEMORY: i64 = MASKS + 128;
    const MIDDLE: i64 = 256;

    /// Instructions on vectors, masks and their flags, one for each form: what is encoded, kinds of
    /// operands, predicates, immediate operand.
    fn forms(kind: EmitterKind) -> BTreeMap<String, Instruction> {
        let mut found = BTreeMap::new();
        let mut add = |program: &Routine| {
            let code = emulated::compile(program, kind, super::load).unwrap();
            let bytes = code.machine_code().to_vec();
            let mut decoder = Decoder::with_ip(64, &bytes, 0, DecoderOptions::NONE);
            for i in &mut decoder {
                if ["VEX", "EVEX"].iter().any(|space| format!("{:?}", i.code()).starts_with(space))
                {
                    let kinds: Vec<OpKind> = i.op_kinds().collect();
                    let imm = if kinds.contains(&OpKind::Immediate8) { i.immediate8() } else { 0 };
                    let idiom = i.op_count() > 1 && i.op0_register() == i.op1_register();
                    let masked = i.op_mask() != Register::None;
                    let form = (kinds, imm, idiom, masked, i.zeroing_masking(), i.is_broadcast());
                    found.entry(format!("{:?} {form:?}", i.code())).or_insert(i);
                }
            }
        };
        for &op in Op::ALL {
            for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
                add(&op_program_in(Tier::Default, op, dtype));
            }
        }
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            add(&random_program(&mut rng, 60, seed % 4 == 0));
        }
        found
    }

    /// The routine that loads a state, executes `instruction`, and stores what it left.
    fn routine(instruction: &Instruction, kind: EmitterKind) -> Vec<u8> {
        let mut encoder = Encoder::new(64);
        let mut emit = |i: &Instruction| encoder.encode(i, 0).map(|_| ()).unwrap();
        let state = |at: i64| MemoryOperand::with_base_displ(Register::RCX, at);
        let wide = kind == EmitterKind::Avx512;
        let count = if wide { 32 } else { 16 };
        let with = |i: Result<Instruction, _>| -> Instruction { i.unwrap() };
        emit(&with(Instruction::with2(Code::Mov_r64_rm64, Register::RCX, Register::RDI)));
        let middle = state(MEMORY + MIDDLE);
        emit(&with(Instruction::with2(Code::Lea_r64_m, Register::R8, middle)));
        for at in 0..count {
            let (code, first) = match wide {
                true => (Code::EVEX_Vmovups_zmm_k1z_zmmm512, Register::ZMM0),
                false => (Code::VEX_Vmovups_ymm_ymmm256, Register::YMM0),
            };
            emit(&with(Instruction::with2(code, first + at as u32, state(at * 64))));
        }
        for at in (0..8).filter(|_| wide) {
            let k = Register::K0 + at as u32;
            emit(&with(Instruction::with2(Code::VEX_Kmovq_kr_km64, k, state(MASKS + at * 8))));
        }
        emit(&with(Instruction::with2(Code::Mov_r64_rm64, Register::RAX, state(GENERAL))));
        emit(&with(Instruction::with2(Code::Mov_r64_rm64, Register::RDI, state(GENERAL + 8))));
        emit(instruction);
        emit(&Instruction::with(Code::Pushfq));
        emit(&with(Instruction::with1(Code::Pop_r64, Register::R9)));
        emit(&with(Instruction::with2(Code::Mov_rm64_r64, state(FLAGS), Register::R9)));
        emit(&with(Instruction::with2(Code::Mov_rm64_r64, state(GENERAL), Register::RAX)));
        for at in 0..count {
            let (code, first) = match wide {
                true => (Code::EVEX_Vmovups_zmmm512_k1z_zmm, Register::ZMM0),
                false => (Code::VEX_Vmovups_ymmm256_ymm, Register::YMM0),
            };
            emit(&with(Instruction::with2(code, state(at * 64), first + at as u32)));
        }
        for at in (0..8).filter(|_| wide) {
            let k = Register::K0 + at as u32;
            emit(&with(Instruction::with2(Code::VEX_Kmovq_m64_kr, state(MASKS + at * 8), k)));
        }
        emit(&Instruction::with(Code::VEX_Vzeroupper));
        emit(&Instruction::with(Code::Retnq));
        encoder.take_buffer()
    }

    fn execute(code: &[u8], state: &mut State) {
        let mut map = memmap2::MmapMut::map_anon(code.len()).unwrap();
        map.copy_from_slice(code);
        let map = map.make_exec().unwrap();
        // SAFETY: `routine` wrote a System V function of one argument, which saves what it changes
        // or changes what it may, and touches nothing but the state and its stack.
        let run = unsafe {
            std::mem::transmute::<*const u8, extern "sysv64" fn(*mut State)>(map.as_ptr())
        };
        run(state);
    }

    fn random_state(i: &Instruction, kind: EmitterKind, rng: &mut Rng) -> State {
        let mut state = State {
            vectors: [[0; 64]; 32],
            masks: [0; 8],
            general: [rng.next(), rng.next()],
            flags: 0,
            padding: [0; 5],
            memory: [0; 512],
        };
        let storages = [Storage::F32, Storage::F64, Storage::F16];
        let bytes = state.vectors.as_flattened_mut().chunks_mut(64);
        for chunk in bytes.chain(state.memory.chunks_mut(64)) {
            // The same numbers again and again, so that some are equal, or zeros and NaN meet.
            let storage = rng.pick(&storages);
            for lane in chunk.chunks_mut(storage.size()) {
                let element = rng.element(storage).to_le_bytes();
                lane.copy_from_slice(&element[..lane.len()]);
            }
            if rng.below(8) == 0 {
                chunk.fill(rng.pick(&[0, 0xff]));
            }
        }
        state.masks.iter_mut().for_each(|mask| {
            *mask = match rng.below(4) {
                0 => 0,
                1 => u64::MAX,
                _ => rng.next(),
            };
        });
        if i.memory_index().is_vector_register() {
            // Indices that stay in the memory.
            let index = &mut state.vectors[i.memory_index().number()];
            let bits = if i.mnemonic() == Mnemonic::Vgatherqpd { 8 } else { 4 };
            for lane in index.chunks_mut(bits) {
                let number = (rng.below(32) as i64 - 16).to_le_bytes();
                lane.copy_from_slice(&number[..bits]);
            }
        }
        if kind == EmitterKind::Avx2 {
            state.vectors.iter_mut().for_each(|vector| vector[32..].fill(0));
        }
        state
    }

    #[test]
    fn have_the_bits_of_the_machine() {
        let host = Cpu::host();
        let kinds = [(EmitterKind::Avx512, host.avx512), (EmitterKind::Avx2, host.avx2)];
        for kind in kinds.into_iter().filter(|&(_, has)| has).map(|(kind, _)| kind) {
            let forms = forms(kind);
            let mut rng = Rng::new(5);
            for (form, found) in &forms {
                for _ in 0..12 {
                    let mut i = *found;
                    if (0..i.op_count()).any(|at| i.op_kind(at) == OpKind::Memory) {
                        i.set_memory_base(Register::R8);
                        let gathers = i.memory_index().is_vector_register();
                        if !gathers {
                            i.set_memory_index(Register::None);
                        }
                        i.set_memory_displ_size(1);
                        let aligned = matches!(i.mnemonic(), Mnemonic::Vmovaps | Mnemonic::Vmovapd);
                        let at = if aligned { 0 } else { rng.below(128) as i64 - 64 };
                        i.set_memory_displacement64(at as u64);
                    }
                    compare(&i, kind, form, &mut rng);
                }
            }
            assert!(forms.len() > 100, "{kind}: {} forms", forms.len());
            println!("{kind}: {} forms of instructions", forms.len());
        }
    }

    /// A register's bytes. Of a multiply-add with several NaN, manufacturers need not agree which
    /// of them comes out.
    fn any_nan(i: &Instruction, bytes: &[u8; 64]) -> [u8; 64] {
        let mut bytes = *bytes;
        let name = format!("{:?}", i.mnemonic());
        let is_multiply_add = ["Vfm", "Vfnm"].iter().any(|start| name.starts_with(start));
        if is_multiply_add && name.ends_with("ps") {
            for lane in bytes.as_chunks_mut().0 {
                if f32::from_le_bytes(*lane).is_nan() {
                    *lane = [0xff; 4];
                }
            }
        } else if is_multiply_add {
            for lane in bytes.as_chunks_mut().0 {
                if f64::from_le_bytes(*lane).is_nan() {
                    *lane = [0xff; 8];
                }
            }
        }
        bytes
    }

    fn compare(i: &Instruction, kind: EmitterKind, form: &str, rng: &mut Rng) {
        let before = random_state(i, kind, rng);
        let mut memory = Memory::new();
        let region = memory.add("the memory", before.memory.to_vec(), 0, Access::ReadWrite);
        let mut processor = Processor::new(memory);
        processor.vectors = before.vectors.map(Vector);
        processor.masks = before.masks;
        processor.general[Register::RAX.number()] = before.general[0];
        processor.general[Register::RDI.number()] = before.general[1];
        let middle = processor.memory.address(region) + MIDDLE as u64;
        processor.general[Register::R8.number()] = middle;
        processor.flags = Flags::default();
        processor.execute(i).unwrap_or_else(|fault| panic!("{form}: {fault}"));

        let mut after = before.clone();
        execute(&routine(i, kind), &mut after);
        for (at, (got, want)) in processor.vectors.iter().zip(&after.vectors).enumerate() {
            let (got, want) = (any_nan(i, &got.0), any_nan(i, want));
            assert!(got == want, "{form}, register {at}: {got:02x?}, not {want:02x?}");
        }
        if kind == EmitterKind::Avx512 {
            assert_eq!(processor.masks, after.masks, "{form}");
        }
        assert!(processor.memory.bytes(region) == after.memory, "{form}: memory differs");
        assert_eq!(processor.general[Register::RAX.number()], after.general[0], "{form}");
        let Flags { carry, zero, sign, overflow } = processor.flags;
        for (flag, bit) in [(carry, 0), (zero, 6), (sign, 7), (overflow, 11)] {
            if let Some(flag) = flag {
                assert_eq!(flag, after.flags >> bit & 1 == 1, "{form}: flag {bit}");
            }
        }
    }
}
