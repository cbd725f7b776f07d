//! Random graphs, fused in every mode: each emitter against the interpreter, bit for bit.
//!
//! 10,000 graphs a run, the same ones in every run, so that a failure is a change's own;
//! `KILN_GRAPHS=100000` tries more, `PROPTEST_RNG_SEED=7` others. A failure is shrunk, and prints
//! its seed and its graph.

use common::graphs::{self, Step};
use common::{differs, emitters};
use half::{bf16, f16};
use kiln::internals::cpu::Cpu;
use kiln::internals::emit::{self, Code};
use kiln::internals::vir::{Routine, Storage, interp};
use kiln::internals::{Work, execute, programs};
use kiln::{DType, EmitterKind, Graph, Mode, Tensor, View, ViewMut};
use kiln_ir::Op;
use ndarray::Array1;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use std::cell::RefCell;

/// Whole vectors of every emitter, and a tail.
const LENGTH: usize = 131;

/// How a graph is drawn.
#[derive(Clone, Debug)]
struct Case {
    steps: Vec<Step>,
    /// Whether all values live to the end.
    crowded: bool,
    dtype: DType,
    mode: Mode,
}

impl Case {
    fn graph(&self) -> Graph {
        // All ops but copysign: it alone sees the sign of a NaN, which no arithmetic specifies.
        let ops: Vec<Op> = Op::ALL.iter().copied().filter(|op| *op != Op::CopySign).collect();
        let draw = if self.crowded { graphs::crowded } else { graphs::graph };
        draw(self.dtype, &ops, &self.steps)
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let shapes = prop_oneof![
        20 => (graphs::steps(8), Just(false)),
        8 => (graphs::steps(24), Just(false)),
        2 => (graphs::steps(80), Just(false)),
        2 => (graphs::steps(40), Just(true)),
    ];
    let dtypes = prop_oneof![
        5 => Just(DType::F32),
        3 => Just(DType::F64),
        1 => Just(DType::F16),
        1 => Just(DType::BF16),
    ];
    (shapes, dtypes, any::<u8>()).prop_map(|((steps, crowded), dtype, mode)| {
        let mode = Mode::ALL[usize::from(mode) % Mode::ALL.len()];
        Case { steps, crowded, dtype, mode }
    })
}

/// What a chunk of graphs has tried.
#[derive(Default)]
struct Tried {
    programs: usize,
    /// Programs whose values did not fit the registers: AVX2's 16, AVX-512's 32.
    spilled: [usize; 2],
}

/// Tests a tenth of all graphs.
fn chunk(number: u64) {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = setting("PROPTEST_RNG_SEED").unwrap_or(1);
    let graphs = setting("KILN_GRAPHS").unwrap_or(10_000).max(1000).div_ceil(10) as u32;
    let config = Config {
        rng_seed: RngSeed::Fixed(seed.wrapping_mul(10).wrapping_add(number)),
        max_shrink_iters: 500,
        failure_persistence: None,
        ..Config::with_cases(graphs)
    };
    let tried = RefCell::new(Tried::default());
    let mut runner = TestRunner::new(config);
    let tested = runner.run(&cases(), |case| check(&case, &mut tried.borrow_mut()));
    if let Err(error) = tested {
        panic!("seed {seed}, chunk {number}: {error}");
    }
    let Tried { programs, spilled } = tried.into_inner();
    assert!(programs >= graphs as usize, "{programs} programs of {graphs} graphs");
    // It is some 15 % and 10 %; fewer would leave spilling untested.
    let least = [programs / 15, programs / 20];
    assert!(
        spilled[0] >= least[0] && spilled[1] >= least[1],
        "{spilled:?} of {programs} programs spill"
    );
}

fn check(case: &Case, tried: &mut Tried) -> Result<(), TestCaseError> {
    let graph = case.graph();
    for program in programs(&graph, case.mode) {
        tried.programs += 1;
        for (kind, count) in
            [EmitterKind::Avx2, EmitterKind::Avx512].into_iter().zip(&mut tried.spilled)
        {
            *count += usize::from(spills(&program, kind));
        }
        let columns: Vec<Tensor> =
            (1..).zip(&program.inputs).map(|(salt, &storage)| column(storage, salt)).collect();
        let elements: Vec<Vec<u64>> = columns.iter().map(bits).collect();
        let slices: Vec<&[u64]> = elements.iter().map(Vec::as_slice).collect();
        let expected = interp::run(&program, &slices, LENGTH);
        for code in emitters(&program) {
            compare(&code, &columns, &expected).map_err(|difference| {
                let Case { mode, .. } = case;
                TestCaseError::fail(format!(
                    "{} {mode}: {difference}, for\n{graph}\n{program}",
                    code.emitter()
                ))
            })?;
        }
    }
    Ok(())
}

/// Runs `code`, and says where a bit is not as expected.
fn compare(code: &Code, columns: &[Tensor], expected: &[Vec<u64>]) -> Result<(), String> {
    let mut outputs: Vec<Tensor> =
        code.outputs().iter().map(|&storage| column(storage, 0)).collect();
    let views: Vec<View<'_>> = columns.iter().map(Tensor::view).collect();
    let mut targets: Vec<ViewMut<'_>> = outputs.iter_mut().map(Tensor::view_mut).collect();
    execute(code, &views, &mut targets, Work { threads: Some(1), ..Work::default() })
        .map_err(|error| error.to_string())?;
    drop(targets);
    for (at, (output, expected)) in outputs.iter().zip(expected).enumerate() {
        let storage = code.outputs()[at];
        for (i, (&got, &want)) in bits(output).iter().zip(expected).enumerate() {
            if differs(storage, got, want) {
                let operands: Vec<u64> = columns.iter().map(|column| bits(column)[i]).collect();
                return Err(format!(
                    "output {at} is {got:#x}, not {want:#x} at element {i}, {operands:#x?}"
                ));
            }
        }
    }
    Ok(())
}

/// Numbers that try every corner.
fn column(storage: Storage, salt: u64) -> Tensor {
    let values = Array1::from(graphs::values(LENGTH, salt));
    match storage {
        Storage::F16 => values.mapv(f16::from_f64).into(),
        Storage::BF16 => values.mapv(bf16::from_f64).into(),
        Storage::F32 => values.mapv(|value| value as f32).into(),
        Storage::F64 => values.into(),
        Storage::Bool => values.mapv(|value| value > 0.0).into(),
        Storage::U8 => values.mapv(|value| value as u8).into(),
        Storage::I32 => values.mapv(|value| (value * 1e3) as i32).into(),
        Storage::I64 => values.mapv(|value| (value * 1e9) as i64).into(),
    }
}

fn bits(tensor: &Tensor) -> Vec<u64> {
    match tensor {
        Tensor::F16(array) => array.iter().map(|value| u64::from(value.to_bits())).collect(),
        Tensor::BF16(array) => array.iter().map(|value| u64::from(value.to_bits())).collect(),
        Tensor::F32(array) => array.iter().map(|value| u64::from(value.to_bits())).collect(),
        Tensor::F64(array) => array.iter().map(|value| value.to_bits()).collect(),
        Tensor::Bool(array) => array.iter().map(|value| u64::from(*value)).collect(),
        Tensor::U8(array) => array.iter().map(|value| u64::from(*value)).collect(),
        Tensor::I32(array) => array.iter().map(|value| *value as u64).collect(),
        Tensor::I64(array) => array.iter().map(|value| *value as u64).collect(),
    }
}

/// Whether the machine code keeps values in the stack.
fn spills(program: &Routine, kind: EmitterKind) -> bool {
    let text = emit::assembly(program, kind, Cpu::host()).unwrap();
    let store = |line: &str| {
        let operands = line.split_once("  ").map_or("", |(_, instruction)| instruction.trim());
        let (code, operands) = operands.split_once(' ').unwrap_or_default();
        (code.starts_with("vmov") || code.starts_with("kmov"))
            && operands.trim_start().starts_with("[rsp")
    };
    text.lines().any(store)
}

macro_rules! chunks {
    ($($name:ident $number:literal),*) => {
        $(
            #[test]
            fn $name() {
                chunk($number);
            }
        )*
    };
}

chunks! {
    chunk_0 0, chunk_1 1, chunk_2 2, chunk_3 3, chunk_4 4,
    chunk_5 5, chunk_6 6, chunk_7 7, chunk_8 8, chunk_9 9
}
