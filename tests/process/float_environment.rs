//! The floating-point environments of callers and of threads decide no bit, trap nothing, and are as
//! they were afterwards.

#![cfg(target_arch = "x86_64")]

use common::emitters;
use kiln::internals::emit::{Code, Operand};
use kiln::internals::{Work, execute, matmul, op_program};
use kiln::ir::{self, Array, DType};
use kiln::{
    CompileOptions, Kernel, KernelCache, Mode, Tensor, View, ViewMut, compile_text, compile_with,
};
use ndarray::{Array1, Array2};
use std::arch::asm;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// MXCSR by default: exceptions masked, to nearest, subnormals kept.
const DEFAULT: u32 = 0x1f80;
/// Bits that are flags of exceptions that have occurred.
const FLAGS: u32 = 0x3f;
/// Other values: FTZ and DAZ, one of them, rounding down, up and to zero, all of that, every exception
/// trapped, and division by zero trapped.
const OTHERS: [u32; 9] = [
    DEFAULT | 0x8040,
    DEFAULT | 0x8000,
    DEFAULT | 0x0040,
    DEFAULT | 0x2000,
    DEFAULT | 0x4000,
    DEFAULT | 0x6000,
    DEFAULT | 0xe040,
    0,
    DEFAULT & !0x200,
];

fn get() -> u32 {
    let mut value = 0u32;
    // SAFETY: it writes the four bytes of `value`.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack)) };
    value
}

fn set(value: u32) {
    // SAFETY: it reads the four bytes of `value`, which reserves no bit.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack)) };
}

/// Calls `work` under `control`, and checks that it still holds afterwards.
fn under<R>(control: u32, work: impl FnOnce() -> R) -> R {
    let before = get();
    set(control);
    let result = std::hint::black_box(work)();
    let after = get();
    set(before);
    assert_eq!(after & !FLAGS, control, "the caller's environment is back");
    result
}

/// A pool whose every thread has this environment.
fn pool(control: u32) -> rayon::ThreadPool {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(3);
    builder.start_handler(move |_| set(control)).build().unwrap()
}

fn bits(tensor: Tensor) -> Vec<u64> {
    match tensor.dtype() {
        DType::F16 => tensor.into_f16().unwrap().iter().map(|x| x.to_bits().into()).collect(),
        DType::F32 => tensor.into_f32().unwrap().iter().map(|x| x.to_bits().into()).collect(),
        _ => tensor.into_f64().unwrap().iter().map(|x| x.to_bits()).collect(),
    }
}

/// Numbers of all sizes, one in three subnormal.
fn numbers(n: usize) -> Array1<f32> {
    Array1::from_shape_fn(n, |i| match i % 3 {
        0 => f32::from_bits(i as u32 * 7919 % 0x0080_0000),
        1 => (i as f32 - 500.0) * 1.37e-3,
        _ => (i as f32 + 0.5) * 1e4,
    })
}

const KERNELS: [&str; 7] = [
    "x * 0.5 + x",
    "sin(x) * cos(x)",
    "exp(x) / 3",
    "sqrt(abs(x)) - x / 7",
    "log1p(abs(x)) / x",
    "f16(x * 1e-2)",
    "f64(x) * 1e-300 / 3",
];

fn run(kernel: &Kernel, x: &Array1<f32>) -> Vec<u64> {
    bits(kernel.run(&[x.into()]).unwrap().remove(0))
}

#[test]
fn kernels_give_the_same_bits() {
    let (few, many) = (numbers(1000), numbers(300_000));
    for text in KERNELS {
        let kernel = compile_text(text).unwrap();
        let expected = [&few, &many].map(|x| run(&kernel, x));
        for control in OTHERS {
            // The caller's; the threads' alone; both.
            let here = under(control, || [&few, &many].map(|x| run(&kernel, x)));
            assert!(here == expected, "{text} under {control:#x}");
            let there = pool(control).install(|| [&few, &many].map(|x| run(&kernel, x)));
            assert!(there == expected, "{text} on threads under {control:#x}");
        }
    }
}

/// The threads of rayon's own pool, for callers from outside: of their own accord, and as a caller
/// passes its environment on to what it starts.
#[test]
fn helpers_of_the_global_pool() {
    let x = numbers(300_000);
    let kernel = compile_text("sin(x) + x * 0.3").unwrap();
    let expected = run(&kernel, &x);
    for control in OTHERS {
        rayon::broadcast(|_| set(control));
        let found = [(); 5].map(|()| run(&kernel, &x));
        let still = rayon::broadcast(|_| get() & !FLAGS);
        rayon::broadcast(|_| set(DEFAULT));
        assert!(found.iter().all(|found| *found == expected), "{control:#x}");
        assert!(still.iter().all(|&still| still == control), "{control:#x} is back");
    }
}

#[test]
fn every_emitter_in_every_environment() {
    let x = numbers(999);
    for op in [ir::Op::Div, ir::Op::Mul, ir::Op::Sin, ir::Op::Exp] {
        for code in emitters(&op_program(op, DType::F32)) {
            let y = x.mapv(|x| x * 0.3 + 1e-39);
            let inputs = [View::from(&x), View::from(&y)];
            let inputs = &inputs[..code.inputs().len()];
            let run = |out: &mut Array1<f32>| {
                execute(&code, inputs, &mut [ViewMut::from(out)], Work::new(Some(1), 1.0)).unwrap();
            };
            let [mut expected, mut found] = [(); 2].map(|()| Array1::<f32>::zeros(999));
            run(&mut expected);
            for control in OTHERS {
                under(control, || run(&mut found));
                let same = found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{op:?} by {} under {control:#x}", code.emitter());
                apply(&code, &x, &y, control, &expected);
            }
        }
    }
}

/// The same by slices of bytes.
fn apply(code: &Code, x: &Array1<f32>, y: &Array1<f32>, control: u32, expected: &Array1<f32>) {
    let n = 999 / code.lanes() * code.lanes();
    let bytes = |x: &Array1<f32>| x.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let (x, y, mut out) = (bytes(x), bytes(y), vec![0; n * 4]);
    let inputs = [Operand::Array(&x), Operand::Array(&y)];
    let inputs = &inputs[..code.inputs().len()];
    under(control, || code.apply(n, inputs, &mut [&mut out]));
    assert!(out == bytes(expected)[..n * 4], "{} under {control:#x}", code.emitter());
}

#[test]
fn products_give_the_same_bits() {
    let sizes = [(9, 300, 20), (170, 160, 180), (300, 5, 2000)];
    for (m, k, n) in sizes {
        let number = |(i, j): (usize, usize)| (i * 31 + j * 17) as f32 % 13.0 * 1.7e-20;
        let (a, b) = (Array2::from_shape_fn((m, k), number), Array2::from_shape_fn((k, n), number));
        let product = || {
            let mut out = Array2::<f32>::zeros((m, n));
            matmul(&(&a).into(), &(&b).into(), &mut (&mut out).into(), None).unwrap();
            out.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
        };
        let kernel = compile_text("a @ b").unwrap();
        let views = [View::from(&a), View::from(&b)];
        let run = || bits(kernel.run(&views).unwrap().remove(0));
        let (expected, expected_run) = (product(), run());
        for control in OTHERS {
            rayon::broadcast(|_| set(control));
            let (found, found_run) = under(control, || (product(), run()));
            let there = pool(control).install(|| (product(), run()));
            rayon::broadcast(|_| set(DEFAULT));
            let all = [(found, found_run), there];
            assert!(
                all.iter().all(|(p, r)| *p == expected && *r == expected_run),
                "{m} x {k} x {n} under {control:#x}"
            );
        }
    }
}

/// Texts with numbers to read, to fold and to round, in every environment, and a cache of kernels.
#[test]
fn compilation_gives_the_same_kernels() {
    let texts = [
        "x * 1e-40 + 0.1 * 3.3 / 7",
        "x * (2.5e-45 * 0.5) + exp(1.1)",
        "f64(x) * 1.7e-310 + sqrt(2.0) / 3.0",
        "log(x*0.3 + 0.1) * 123456.789e-3 + sin(0.5)",
        "0.5*x*(1+tanh(0.7978845608*(x+0.044715*x^3)))",
    ];
    let x = numbers(1000);
    for text in texts {
        for mode in [Mode::Strict, Mode::Precise, Mode::Fast] {
            let options = CompileOptions::new().mode(mode);
            let graph = ir::parse(text).unwrap();
            let kernel = compile_with(&graph, options).unwrap();
            let expected = run(&kernel, &x);
            for control in OTHERS {
                let cache = KernelCache::new(2);
                let (read, made, written) = under(control, || {
                    let read = ir::parse(text).unwrap();
                    let made = cache.get_or_compile(&read, options).unwrap();
                    ir::verify(&read).unwrap();
                    let written = read.to_string();
                    (read, made, written)
                });
                assert_eq!(read, graph, "{text} under {control:#x}");
                assert_eq!(written, graph.to_string(), "{text} under {control:#x}");
                assert_eq!(made.graph(), kernel.graph(), "{text} under {control:#x}");
                let cached = cache.get_or_compile(&graph, options).unwrap();
                assert!(run(&cached, &x) == expected, "{text}, {mode}, under {control:#x}");
            }
        }
    }
}

#[test]
fn the_reference_gives_the_same_bits() {
    let graph = ir::parse("kernel k(x: f32[n]) { x * 1e-3 / 7 + sin(x) }").unwrap();
    let data: Vec<f64> = numbers(300).iter().map(|&x| x.into()).collect();
    let eval = || {
        let x = Array::new(DType::F32, vec![300], data.clone()).unwrap();
        ir::eval(&graph, &[x]).unwrap().remove(0)
    };
    let expected = eval();
    for control in OTHERS {
        assert_eq!(under(control, eval), expected, "{control:#x}");
    }
}

/// After errors and panics, too; flags that were set stay set.
#[test]
fn the_environment_is_back_whatever_happens() {
    let kernel = compile_text("x + y").unwrap();
    let (x, y) = (Array1::<f32>::ones(3), Array1::<f32>::ones(4));
    let code = emitters(&op_program(ir::Op::Add, DType::F32)).remove(0);
    for control in OTHERS {
        under(control, || kernel.run(&[View::from(&x), View::from(&y)]).unwrap_err());
        under(control, || catch_unwind(AssertUnwindSafe(|| code.apply(3, &[], &mut []))))
            .unwrap_err();
        under(control, || ir::parse("x + ").unwrap_err());
    }
    under(DEFAULT | 0x8040, || {
        set(get() | 0x10);
        kernel.run(&[View::from(&x), View::from(&x)]).unwrap();
        assert_eq!(get() & 0x10, 0x10, "an underflow that was noted");
    });
}

/// What a thread of a pool does for others, while it waits for a kernel, is done in its environment.
#[test]
fn the_work_of_others_keeps_its_environment() {
    let x = numbers(300_000);
    let kernel = compile_text("sin(x) + x * 0.3").unwrap();
    let expected = run(&kernel, &x);
    let control = DEFAULT | 0x8040;
    pool(control).scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|_| assert!(run(&kernel, &x) == expected));
            for _ in 0..20 {
                scope.spawn(|_| assert_eq!(get() & !FLAGS, control, "of others"));
            }
        }
    });
}

/// Threads begin with the environment of the one that starts them.
#[test]
fn threads_inherit_and_still_give_the_same_bits() {
    let x = numbers(300_000);
    let expected = run(&compile_text("sin(x) / 3").unwrap(), &x);
    let found = under(DEFAULT | 0x8040, || {
        let work = || {
            assert_eq!(get() & !FLAGS, DEFAULT | 0x8040);
            run(&compile_text("sin(x) / 3").unwrap(), &x)
        };
        thread::scope(|scope| scope.spawn(work).join().unwrap())
    });
    assert!(found == expected);
}
