//! Kiln against itself: fused and unfused, broadcast and full, emitter by emitter, call by call.

use crate::Suite;
use crate::kernels::{self, call, call_with, compile, copy, random, text};
use crate::table::{Cell, Table, timed};
use kiln::internals::cpu::Cpu;
use kiln::internals::emit::Operand;
use kiln::profile::Race;
use kiln::{CompileOptions, DType, EmitterKind, Tensor, View};
use std::hint::black_box;

/// Every derived op: fused on one and two threads, unfused, and a copy of the same bytes.
pub(crate) fn derived(suite: Suite) {
    let note = "every derived op, ns/element; unfused and copy are on one thread";
    let columns = [
        "",
        "dtype",
        "size",
        "fused",
        "2 threads",
        "unfused",
        "copy",
        "unfused/fused",
        "2 threads/1",
        "fused/copy",
    ];
    let table = Table::new("derived", note, 14, &columns);
    for op in kiln::derived::DERIVED {
        for dtype in [DType::F32, DType::F64] {
            let graph = kernels::derived(op, dtype);
            let fused = compile(&graph, CompileOptions::new().threads(1));
            let shared = compile(&graph, CompileOptions::new().threads(2));
            let unfused = compile(&graph, CompileOptions::unfused().threads(1));
            for size in suite.sizes(&[4 << 10, 256 << 10, 4 << 20, 64 << 20]) {
                let inputs: Vec<Tensor> = (1..)
                    .zip(graph.inputs())
                    .map(|(seed, input)| random(input.dtype, &[size], seed))
                    .collect();
                let mut race = Race::new();
                for kernel in [&fused, &shared, &unfused] {
                    race.add(timed(call(kernel, &inputs)));
                }
                let views: Vec<View<'_>> = inputs.iter().map(Tensor::view).collect();
                race.add(timed(copy(fused.plan_for(&views).expect("a plan").traffic().bytes())));
                let times = race.run_for(suite.budget(1)).expect("nothing fails");
                let ns = |candidate| Cell::Time(times[candidate].latency().median() / size as f64);
                table.row(&[
                    Cell::Text(op.name.into()),
                    Cell::Text(dtype.to_string()),
                    Cell::Size(size),
                    ns(0),
                    ns(1),
                    ns(2),
                    ns(3),
                    Cell::Ratio(times.ratio(2, 0)),
                    Cell::Ratio(times.ratio(1, 0)),
                    Cell::Ratio(times.ratio(0, 3)),
                ]);
            }
        }
    }
}

/// What a layout costs: the same kernel on operands that are repeated, or lie otherwise.
pub(crate) fn broadcast(suite: Suite) {
    let note = "one kernel on other layouts of (n/1024, 1024), ns/element on one thread, against \
                full, contiguous operands";
    let columns = ["", "dtype", "size", "full", "layout", "layout/full", "copy", "layout/copy"];
    let table = Table::new("broadcast", note, 38, &columns);
    const ROW: usize = 1024;
    for dtype in [DType::F32, DType::F64] {
        let chain = text(
            &format!("kernel chain(x: {dtype}, w: {dtype}, b: {dtype}) {{ gelu(x*w+b) }}"),
            CompileOptions::new(),
        );
        let sum =
            text(&format!("kernel sum(x: {dtype}, y: {dtype}) {{ x + y }}"), CompileOptions::new());
        for size in suite.sizes(&[4 << 10, 256 << 10, 4 << 20, 64 << 20]) {
            let rows = size / ROW;
            let full: Vec<Tensor> = (1..=3).map(|seed| random(dtype, &[rows, ROW], seed)).collect();
            let vector = random(dtype, &[ROW], 4);
            let column = random(dtype, &[rows, 1], 5);
            let across = random(dtype, &[ROW, rows], 6);
            let (x, w, b) = (full[0].view(), full[1].view(), full[2].view());
            let layouts: [(&str, _, Vec<View<'_>>, Vec<View<'_>>); 4] = [
                (
                    "gelu(x*w+b), w and b rows",
                    &chain,
                    vec![x.clone(), w.clone(), b.clone()],
                    vec![x.clone(), vector.view(), vector.view()],
                ),
                (
                    "gelu(x*w+b), w and b columns",
                    &chain,
                    vec![x.clone(), w.clone(), b.clone()],
                    vec![x.clone(), column.view(), column.view()],
                ),
                (
                    "gelu(x*w+b), x transposed",
                    &chain,
                    vec![x.clone(), w.clone(), b.clone()],
                    vec![transposed(&across), w.clone(), b.clone()],
                ),
                (
                    "x+y, y transposed",
                    &sum,
                    vec![x.clone(), w.clone()],
                    vec![x.clone(), transposed(&across)],
                ),
            ];
            for (name, kernel, full, other) in layouts {
                let bytes = (full.len() + 1) * size * dtype.size();
                let mut race = Race::new();
                race.add(timed(call_with(kernel, full)));
                race.add(timed(call_with(kernel, other)));
                race.add(timed(copy(bytes)));
                let times = race.run_for(suite.budget(2)).expect("nothing fails");
                let ns = |candidate| Cell::Time(times[candidate].latency().median() / size as f64);
                table.row(&[
                    Cell::Text(name.into()),
                    Cell::Text(dtype.to_string()),
                    Cell::Size(size),
                    ns(0),
                    ns(1),
                    Cell::Ratio(times.ratio(1, 0)),
                    ns(2),
                    Cell::Ratio(times.ratio(1, 2)),
                ]);
            }
        }
    }
}

pub(crate) fn transposed(tensor: &Tensor) -> View<'_> {
    match tensor {
        Tensor::F16(array) => View::from(array.t()),
        Tensor::BF16(array) => View::from(array.t()),
        Tensor::F32(array) => View::from(array.t()),
        Tensor::F64(array) => View::from(array.t()),
        Tensor::Bool(array) => View::from(array.t()),
        Tensor::U8(array) => View::from(array.t()),
        Tensor::I32(array) => View::from(array.t()),
        Tensor::I64(array) => View::from(array.t()),
    }
}

/// The emitters that this machine can run, widest first.
fn emitters() -> Vec<EmitterKind> {
    let cpu = Cpu::host();
    let available = [
        (EmitterKind::Avx512, cpu.avx512),
        (EmitterKind::Avx2, cpu.avx2),
        (EmitterKind::Cranelift, cpu.fma),
    ];
    available.into_iter().filter(|(_, has)| *has).map(|(kind, _)| kind).collect()
}

/// Width against time.
pub(crate) fn emitters_compared(suite: Suite) {
    let kinds = emitters();
    let note = "ns/element on one thread; the last column is time as a multiple of the first \
                emitter's, 1 : 2 : 4 if width were all";
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let columns = [&["", "dtype", "size"], &names[..], &["copy", "ratios"]].concat();
    let table = Table::new("emitters", note, 12, &columns);
    for name in ["gelu_tanh", "gelu", "silu", "mish", "softplus", "elu", "relu"] {
        let op = kiln::ir::Derived::from_name(name).expect("a derived op");
        for dtype in [DType::F32, DType::F64] {
            let graph = kernels::derived(op, dtype);
            let options = CompileOptions::new().threads(1);
            let kernels: Vec<_> =
                kinds.iter().map(|&kind| compile(&graph, options.emitter(kind))).collect();
            for size in suite.sizes(&[4 << 10, 256 << 10, 4 << 20]) {
                let inputs = [random(dtype, &[size], 1)];
                let mut race = Race::new();
                for kernel in &kernels {
                    race.add(timed(call(kernel, &inputs)));
                }
                race.add(timed(copy(2 * dtype.size() * size)));
                let times = race.run_for(suite.budget(2)).expect("nothing fails");
                let ratios: Vec<String> =
                    (0..kinds.len()).map(|at| format!("{:.2}", times.ratio(at, 0))).collect();
                let ns = |candidate| Cell::Time(times[candidate].latency().median() / size as f64);
                let mut row =
                    vec![Cell::Text(name.into()), Cell::Text(dtype.to_string()), Cell::Size(size)];
                row.extend((0..=kinds.len()).map(ns));
                row.push(Cell::Text(ratios.join(" : ")));
                table.row(&row);
            }
        }
    }
}

/// What a call costs that does nearly nothing.
pub(crate) fn overhead(suite: Suite) {
    let note = "16 elements, ns a call: run_into, the machine code alone, and the difference";
    let table = Table::new("overhead", note, 20, &["", "run_into", "code", "overhead"]);
    const SIZE: usize = 16;
    for expression in ["relu(x)", "gelu_tanh(x)", "x*w+b", "gelu_tanh(x*w+b)"] {
        let kernel = text(expression, CompileOptions::new());
        let count = kernel.inputs().len();
        let inputs: Vec<Tensor> =
            (1..).take(count).map(|seed| random(DType::F32, &[SIZE], seed)).collect();
        let code = kiln::internals::codes(&kernel).next().expect("one pass");
        // The code takes whole vectors: it computes as many elements as a call does.
        let computed = SIZE.next_multiple_of(code.lanes());
        let arrays = vec![0u8; 4 * computed];
        let operands = vec![Operand::Array(&arrays); count];
        let mut written = vec![0u8; 4 * computed];
        let mut race = Race::new();
        race.add(timed(call(&kernel, &inputs)));
        race.add(timed(|| code.apply(computed, &operands, &mut [black_box(&mut written)])));
        let times = race.run_for(suite.budget(4)).expect("nothing fails");
        let (all, code) = (times[0].latency().median(), times[1].latency().median());
        table.row(&[
            Cell::Text(expression.into()),
            Cell::Time(all),
            Cell::Time(code),
            Cell::Time(all - code),
        ]);
    }
}

/// From a graph to a kernel, once caches are warm.
pub(crate) fn compile_time(suite: Suite) {
    let kinds = emitters();
    let note = "microseconds from a graph to a kernel, warm; fuse: the part that all share";
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let table = Table::new("compile", note, 20, &[&["", "fuse"], &names[..]].concat());
    for expression in ["x*w+b", "silu(x)", "gelu_tanh(x)", "gelu(x)", "mish(x)"] {
        let graph = kiln::ir::parse(expression).expect("the suite's kernels are well written");
        let mut race = Race::new();
        race.add(timed(|| kiln::internals::fuse(&graph, kiln::Mode::Precise)));
        for &kind in &kinds {
            let options = CompileOptions::new().emitter(kind);
            let graph = &graph;
            race.add(timed(move || compile(graph, options)));
        }
        let times = race.run_for(suite.budget(8)).expect("nothing fails");
        let mut row = vec![Cell::Text(expression.into())];
        row.extend((0..=kinds.len()).map(|at| Cell::Time(times[at].latency().median() / 1e3)));
        table.row(&row);
    }
}
