//! What a system may refuse: threads, executable memory, more mappings. And what it does behind a
//! program's back: processes that fork. Each in a process of its own, for there is no way back.

use common::runner::is_built;
use kiln::internals::cpu::Cpu;
use kiln::internals::emit::{self, Code};
use kiln::internals::vir::{Builder, Inst, Routine, Storage, Type};
use kiln::{
    CompileError, CompileOptions, EmitError, EmitterKind, Kernel, View, compile_text, compile_with,
    ir,
};
use ndarray::{Array1, Array2};
use std::env;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

const CHILD: &str = "KILN_TEST_CHILD";

/// Runs the test of this name in a process of its own; true there.
fn in_a_process_of_its_own(name: &str) -> bool {
    if env::var_os(CHILD).is_some() {
        return true;
    }
    let mut child = Command::new(env::current_exe().unwrap());
    let child = child
        .args(["--exact", &format!("system::{name}"), "--test-threads=1", "--nocapture"])
        .env(CHILD, "1");
    let output = child.output().unwrap();
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{}\n{out}{errors}", output.status);
    assert!(out.contains("1 passed"), "{out}{errors}");
    false
}

/// `x + c`.
fn plus(c: f32) -> Routine {
    let mut b = Builder::new();
    let x = b.input(Storage::F32);
    let c = b.f32(c);
    let sum = b.add(x, c);
    b.output(sum, Storage::F32);
    b.finish()
}

fn compile(program: &Routine) -> Code {
    emit::compile(program, EmitterKind::Auto, Cpu::host()).unwrap()
}

/// Whether `code` adds `c`.
fn adds(code: &Code, c: f32) -> bool {
    let n = code.lanes();
    let x: Vec<u8> = (0..n).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let mut sum = vec![0; 4 * n];
    code.apply(n, &[emit::Operand::Array(&x)], &mut [&mut sum]);
    sum == (0..n).flat_map(|i| (i as f32 + c).to_le_bytes()).collect::<Vec<u8>>()
}

/// Large enough for several threads.
fn large() -> Array1<f32> {
    Array1::from_shape_fn(1 << 20, |i| i as f32 * 0.01)
}

#[test]
fn without_threads_one_does_the_work() {
    if !in_a_process_of_its_own("without_threads_one_does_the_work") {
        return;
    }
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it concerns this process only, whose other threads hold nothing. Root has no limit.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &raw const none), 0);
        if libc::geteuid() == 0 {
            assert_eq!(libc::setuid(65534), 0);
        }
    }
    thread::Builder::new().spawn(|| {}).unwrap_err();
    let x = large();
    let on_one = CompileOptions::new().threads(1);
    let graph = ir::parse("sin(x) * x").unwrap();
    let expected = compile_with(&graph, on_one).unwrap().run(&[(&x).into()]).unwrap();
    let kernel = compile_with(&graph, CompileOptions::new()).unwrap();
    for _ in 0..3 {
        assert_eq!(kernel.run(&[(&x).into()]).unwrap(), expected);
    }
    let product = compile_text("a @ b").unwrap();
    let a = Array2::<f32>::ones((300, 200));
    for b in [Array2::<f32>::ones((200, 300)), Array2::ones((200, 100))] {
        let c = product.run(&[(&a).into(), (&b).into()]).unwrap().remove(0).into_f32().unwrap();
        assert!(c.iter().all(|&c| c == 200.0));
    }
    // Many small ones.
    let [a, b] = [(); 2].map(|()| ndarray::Array3::<f32>::ones((900, 20, 20)));
    let c = product.run(&[(&a).into(), (&b).into()]).unwrap().remove(0).into_f32().unwrap();
    assert!(c.iter().all(|&c| c == 20.0));
}

#[test]
fn a_pool_that_failed_before_is_not_asked_again() {
    if !in_a_process_of_its_own("a_pool_that_failed_before_is_not_asked_again") {
        return;
    }
    let refused =
        rayon::ThreadPoolBuilder::new().spawn_handler(|_| Err(std::io::Error::other("no")));
    refused.build_global().unwrap_err();
    let (x, kernel) = (large(), compile_text("sin(x) * x").unwrap());
    for _ in 0..2 {
        assert_eq!(kernel.run(&[(&x).into()]).unwrap().len(), 1);
    }
    // A pool of the caller's is another.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.install(|| assert_eq!(kernel.run(&[(&x).into()]).unwrap().len(), 1));
}

/// Has the system refuse memory that becomes executable from now on; false where it cannot.
fn deny_executable_memory() -> bool {
    // SAFETY: it concerns this process only.
    let denied = unsafe { libc::prctl(libc::PR_SET_MDWE, libc::PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) };
    if denied != 0 {
        println!("this kernel cannot deny executable memory: not tested");
    }
    denied == 0
}

#[test]
fn without_executable_memory_auto_interprets() {
    if !in_a_process_of_its_own("without_executable_memory_auto_interprets") {
        return;
    }
    let graph = ir::parse("sin(x) * x + 0.5").unwrap();
    let x = large();
    let run = |kernel: &Kernel, x: View<'_>| kernel.run(&[x]).unwrap();
    let before = compile_with(&graph, CompileOptions::new()).unwrap();
    let small = Array1::from_iter(x.iter().copied().take(1001));
    let expected = run(&before, (&small).into());
    if !deny_executable_memory() {
        return;
    }
    // However many there are: no page has room left over from before.
    for _ in 0..3 {
        let after = compile_with(&graph, CompileOptions::new()).unwrap();
        assert_eq!(after.emitter().unwrap().0, EmitterKind::Interp);
        assert_eq!(run(&after, (&small).into()), expected);
    }
    let cpu = Cpu::host();
    let kinds = [
        (EmitterKind::Cranelift, cpu.fma),
        (EmitterKind::Avx2, cpu.avx2),
        (EmitterKind::Avx512, cpu.avx512),
    ];
    for (kind, _) in kinds.into_iter().filter(|&(kind, is_there)| is_there && is_built(kind)) {
        let error = compile_with(&graph, CompileOptions::new().emitter(kind)).unwrap_err();
        assert!(matches!(error, CompileError::Emit(EmitError::Memory(_))), "{kind}: {error}");
        assert!(error.to_string().contains("cannot get executable memory"), "{error}");
        assert!(error.to_string().contains("emitter `interp`"), "{error}");
    }
    // What there is goes on to run, though no twin of it can be made any more.
    assert_eq!(run(&before, (&small).into()), expected);
    assert_eq!(run(&before, (&x).into())[0].shape(), x.shape());
    let add = emit::compile(&plus(1.0), EmitterKind::Auto, cpu).unwrap();
    assert_eq!(add.emitter(), EmitterKind::Interp);
    assert!(adds(&add, 1.0));
}

/// The process's map of memory: lines, those of code that kernels made, and the bytes of these.
fn mappings() -> (usize, usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let made = |line: &&str| line.contains("memfd:kiln") || line.split_whitespace().count() == 5;
    let executable = |line: &&str| {
        let rights = line.split_whitespace().nth(1).unwrap_or_default();
        assert!(!(rights.contains('w') && rights.contains('x')), "{line}");
        rights.contains('x')
    };
    let bytes = |line: &str| {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).unwrap());
        end - start
    };
    let code: Vec<&str> = maps.lines().filter(executable).filter(made).collect();
    (maps.lines().count(), code.len(), code.into_iter().map(bytes).sum())
}

#[test]
fn a_hundred_thousand_kernels_live_at_once() {
    if !in_a_process_of_its_own("a_hundred_thousand_kernels_live_at_once") {
        return;
    }
    let (all_before, made_before, bytes_before) = mappings();
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let files_before = files();
    let program = plus(0.0);
    let kernels: Vec<Code> = (0..100_000)
        .map(|i| {
            let mut program = program.clone();
            let constant =
                program.stage.body.insts.iter_mut().find(|i| matches!(i, Inst::Const { .. }));
            *constant.unwrap() = Inst::Const { ty: Type::F32, bits: (i as f32).to_bits().into() };
            compile(&program)
        })
        .collect();
    let (_, made, bytes) = mappings();
    assert!(made < made_before + 3000, "{made} mappings of code");
    // A page for each would be 400 MB.
    assert!(bytes < bytes_before + 100_000_000, "{bytes} bytes of code");
    assert!(files() <= files_before + 1);
    assert!(kernels.iter().enumerate().step_by(97).all(|(i, code)| adds(code, i as f32)));
    // What half of them leave stays good for the others.
    let half: Vec<(usize, Code)> =
        kernels.into_iter().enumerate().filter(|(i, _)| i % 2 == 0).collect();
    let more: Vec<Code> = (0..100).map(|i| compile(&plus(i as f32))).collect();
    assert!(half.iter().step_by(97).all(|(i, code)| adds(code, *i as f32)));
    assert!(more.iter().enumerate().all(|(i, code)| adds(code, i as f32)));
    drop((half, more));
    // One that is not full stays for the next kernel.
    assert!(mappings().1 <= made_before + 1);
    assert!(files() <= files_before + 1);
    assert!(mappings().0 < all_before + 50);
}

#[test]
fn kernels_are_made_and_dropped_by_many_threads() {
    if !in_a_process_of_its_own("kernels_are_made_and_dropped_by_many_threads") {
        return;
    }
    let made_before = mappings().1;
    let (send, receive) = std::sync::mpsc::channel::<(Code, f32)>();
    let receive = std::sync::Mutex::new(receive);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (send, receive) = (send.clone(), &receive);
            scope.spawn(move || {
                for i in 0..1500 {
                    let c = (thread * 10_000 + i) as f32;
                    send.send((compile(&plus(c)), c)).unwrap();
                    // One that another thread made, as a rule, while code is added beside it.
                    if i % 3 > 0 {
                        let (code, c) = receive.lock().unwrap().recv().unwrap();
                        assert!(adds(&code, c));
                    }
                }
            });
        }
        drop(send);
    });
    while let Ok((code, c)) = receive.lock().unwrap().try_recv() {
        assert!(adds(&code, c));
    }
    assert!(mappings().1 <= made_before + 1);
}

/// A child has the kernels of its parent, whatever either drops and makes later.
#[test]
fn kernels_outlive_a_fork() {
    if !in_a_process_of_its_own("kernels_outlive_a_fork") {
        return;
    }
    let make = |from: usize| (from..from + 40).map(|i| compile(&plus(i as f32))).collect();
    let check = |kernels: &[Code], from: usize| {
        kernels.iter().enumerate().all(|(i, code)| adds(code, (from + i) as f32))
    };
    let mut old: Vec<Code> = make(0);
    let (mut here, mut there) = UnixStream::pair().unwrap();
    // SAFETY: the child uses what this thread does, and then exits.
    match unsafe { libc::fork() } {
        -1 => panic!("no process"),
        0 => {
            // At the same time as the parent, and after it.
            let new: Vec<Code> = make(1000);
            let mut good = check(&old, 0) && check(&new, 1000);
            there.write_all(b"1").unwrap();
            there.read_exact(&mut [0]).unwrap();
            let newer: Vec<Code> = make(2000);
            good &= check(&old, 0) && check(&new, 1000) && check(&newer, 2000);
            drop(old);
            // SAFETY: ends the child here, without the harness.
            unsafe { libc::_exit(if good { 0 } else { 1 }) };
        }
        child => {
            here.read_exact(&mut [0]).unwrap();
            old.drain(..35);
            let new: Vec<Code> = make(3000);
            assert!(check(&old, 35) && check(&new, 3000));
            here.write_all(b"1").unwrap();
            let newer: Vec<Code> = make(4000);
            let mut status = 0;
            // SAFETY: it writes the status.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0, "the child's kernels are as they were");
            assert!(check(&old, 35) && check(&new, 3000) && check(&newer, 4000));
        }
    }
}

/// It has none of its parent's threads, and waits for none.
#[test]
fn a_forked_child_does_the_work_alone() {
    if !in_a_process_of_its_own("a_forked_child_does_the_work_alone") {
        return;
    }
    let x = large();
    let kernel = compile_text("sin(x) * x").unwrap();
    let product = compile_text("a @ b").unwrap();
    let a = Array2::<f32>::ones((300, 300));
    let run = || {
        let product = product.run(&[(&a).into(), (&a).into()]).unwrap();
        (kernel.run(&[(&x).into()]).unwrap(), product)
    };
    let expected = run();
    // SAFETY: the child uses what this thread does, and then exits, by the alarm at the latest.
    match unsafe { libc::fork() } {
        -1 => panic!("no process"),
        0 => {
            // SAFETY: as above.
            unsafe { libc::alarm(60) };
            let good = (0..5).all(|_| run() == expected);
            // SAFETY: as above.
            unsafe { libc::_exit(if good { 0 } else { 1 }) };
        }
        child => {
            let mut status = 0;
            // SAFETY: it writes the status.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0, "the child computed the same");
            assert_eq!(run(), expected);
        }
    }
}
