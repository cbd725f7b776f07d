//! A warm `run_into` allocates nothing; kernels that are dropped leave nothing behind.

use kiln::internals::cpu::Cpu;
use kiln::{
    CompileOptions, EmitterKind, KernelCache, Tensor, View, ViewMut, compile_text, compile_with,
    fuse, ir,
};
use ndarray::{Array1, Array2, Array3, ArrayD, s};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting what each thread asks for.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    /// Bytes that it holds: less than none where it frees what another one asked for.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most that it held.
    static MOST: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does the work; the count does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        HELD.set(HELD.get() + layout.size() as isize);
        MOST.set(MOST.get().max(HELD.get()));
        // SAFETY: required of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: required of the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of the third call of a kernel.
fn allocations(text: &str, inputs: &[View<'_>]) -> usize {
    let kernel = compile_text(text).unwrap();
    let shape = kernel.output_shapes(inputs).unwrap().remove(0);
    let mut output = ArrayD::<f32>::zeros(shape);
    let mut outputs = [ViewMut::from(&mut output)];
    for _ in 0..2 {
        kernel.run_into(inputs, &mut outputs).unwrap();
    }
    let before = COUNT.get();
    assert!(before > 0, "allocations are counted");
    kernel.run_into(inputs, &mut outputs).unwrap();
    COUNT.get() - before
}

#[test]
fn warm_calls_allocate_nothing() {
    let gelu = "0.5*x*(1+tanh(0.7978845608*(x+0.044715*x^3)))";
    for n in [1, 5, 16, 21, 1000] {
        let x = Array1::<f32>::ones(n);
        assert_eq!(allocations(gelu, &[View::from(&x)]), 0, "{n} elements");
    }
    let declared = "kernel k(x: f32[n, d], w: f32[d], b: f32[1]) -> f32[n, d] { x * w + b }";
    for (rows, columns) in [(3, 5), (4, 16), (7, 100), (40, 33), (5, 3000)] {
        let x = Array2::<f32>::ones((rows, columns));
        let (w, b) = (Array1::<f32>::ones(columns), Array1::<f32>::ones(1));
        let column = Array2::<f32>::ones((rows, 1));
        let t = Array2::<f32>::ones((columns, rows));
        for text in ["x * w + b", declared] {
            let row = [View::from(&x), View::from(&w), View::from(&b)];
            assert_eq!(allocations(text, &row), 0, "{text}, a row of {columns}");
        }
        let mixed = [View::from(&x), View::from(&column), View::from(t.t())];
        assert_eq!(allocations("x * w + b", &mixed), 0, "a column and a transposed operand");
        // Where there are many rows, `exp(sin(w))` gets a pass of its own, and an intermediate.
        let small = [View::from(&x), View::from(&w), View::from(&b)];
        assert_eq!(allocations("x * exp(sin(w)) + b", &small), 0, "two passes");
    }
}

/// Allocations of the third call.
fn third(mut call: impl FnMut()) -> usize {
    (0..2).for_each(|_| call());
    let before = COUNT.get();
    call();
    COUNT.get() - before
}

/// Typed calls that write into the caller's arrays, on the short way and on the general one.
#[test]
fn warm_typed_calls_allocate_nothing() {
    let sgd = fuse!(|p, lr, g| p - lr * g).unwrap();
    let momentum = fuse!(|p, m, g| (p - 0.1 * m, 0.9 * m + g)).unwrap();
    for (rows, columns) in [(1, 1), (3, 5), (4, 16), (10, 100)] {
        let [p, m, g] = [(); 3].map(|()| Array2::<f32>::ones((rows, columns)));
        let row = Array1::<f32>::ones(columns);
        let wide = Array2::<f32>::ones((rows, 2 * columns));
        let gaps = wide.slice(s![.., ..;2]);
        let mut out = p.clone();
        assert_eq!(third(|| sgd.call_into((&p, 0.5, &g), &mut out).unwrap()), 0);
        assert_eq!(third(|| sgd.call_into((&p, &row, &g), &mut out).unwrap()), 0);
        assert_eq!(third(|| sgd.call_into((&p, 0.5, gaps), &mut out).unwrap()), 0);
        assert_eq!(third(|| sgd.call_in_place(&mut out, (0.5, &g)).unwrap()), 0);
        let (mut p, mut m) = (p, m);
        assert_eq!(third(|| momentum.call_in_place((&mut p, &mut m), &g).unwrap()), 0);
    }
}

/// Mappings of memory, and bytes of them that are resident; `None` where the system does not tell.
fn mapped() -> Option<(usize, usize)> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let resident: usize = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some((maps.lines().count(), resident * 4096))
}

/// Calls `cycle` until it is warm, and many times more: memory must be what it was.
fn stays_flat(mut cycle: impl FnMut(usize)) {
    (0..200).for_each(&mut cycle);
    let (held, mapped_before) = (HELD.get(), mapped());
    (200..2200).for_each(&mut cycle);
    assert_eq!(HELD.get(), held, "bytes held");
    if let (Some((maps, resident)), Some((maps_after, resident_after))) = (mapped_before, mapped())
    {
        // Other tests run meanwhile; a leak of a page a cycle would be 2000 mappings and 8 MB.
        assert!(maps_after < maps + 100, "mappings grew from {maps} to {maps_after}");
        let grown = resident_after.saturating_sub(resident);
        assert!(grown < 4 << 20, "resident memory grew by {grown} bytes");
    }
}

#[test]
fn compiling_and_dropping_leaves_memory_flat() {
    let cpu = Cpu::host();
    let kinds = [
        (EmitterKind::Interp, true),
        (EmitterKind::Cranelift, cpu.fma),
        (EmitterKind::Avx2, cpu.avx2),
        (EmitterKind::Avx512, cpu.avx512),
    ];
    let kinds: Vec<EmitterKind> =
        kinds.into_iter().filter(|kind| kind.1).map(|kind| kind.0).collect();
    let graphs = ["x * 2 + 1", "silu(x)", "x * exp(w) > b"].map(|text| ir::parse(text).unwrap());
    let x = Array1::<f32>::ones(100);
    stays_flat(|cycle| {
        let options = CompileOptions::new().emitter(kinds[cycle % kinds.len()]);
        let kernel = compile_with(&graphs[cycle % graphs.len()], options).unwrap();
        let inputs = vec![View::from(&x); kernel.inputs().len()];
        assert_eq!(kernel.run(&inputs).unwrap().len(), 1);
    });
}

#[test]
fn a_cache_that_is_full_leaves_memory_flat() {
    let cache = KernelCache::new(4);
    let graphs: Vec<_> = (1..=9).map(|n| ir::parse(&format!("x * {n}.5 + 1")).unwrap()).collect();
    stays_flat(|cycle| {
        let graph = &graphs[cycle % graphs.len()];
        cache.get_or_compile(graph, CompileOptions::new()).unwrap();
        assert!(cache.len() <= 4);
    });
    assert_eq!(cache.compile_count(), 2200);
}

/// What `memory` tells is what a call takes and keeps.
#[test]
fn a_call_takes_the_memory_that_it_tells() {
    let gelu = "0.5*x*(1+tanh(0.7978845608*(x+0.044715*x^3)))";
    let layers = "kernel k(x: f32[n, d], w: f32[d, d], v: f64[d]) -> f32[n, d] {
        let a = exp(x @ w) @ w; (a + sin(a @ w)) @ w - f32(v)
    }";
    let small = "x * exp(sin(w))";
    let (fused, unfused) = (CompileOptions::new(), CompileOptions::unfused());
    let line: &[&[usize]] = &[&[1000]];
    let squares: &[&[usize]] = &[&[7, 33], &[33, 33], &[33]];
    // Bytes of 1000 and of 231 elements, in whole cache lines.
    for (text, options, shapes, peak, total) in [
        (gelu, fused, line, 0, 0),
        (gelu, unfused, line, 8 * 4032, 8 * 4032),
        (layers, fused, squares, 2 * 960, 3 * 960),
        (layers, unfused, squares, 7 * 960 + 192, 7 * 960 + 192),
        (small, fused, &[&[64, 9], &[9]], 64, 64),
        (small, fused, &[&[9], &[9]], 0, 0),
        (small, unfused, &[&[0, 9], &[9]], 128, 128),
    ] {
        // The first kernel warms up what products keep for each thread.
        for is_warm in [false, true] {
            let kernel = compile_with(&ir::parse(text).unwrap(), options.threads(1)).unwrap();
            let zeros = |(input, shape): (&ir::Input, &&[usize])| Tensor::zeros(input.dtype, shape);
            let arrays = kernel.inputs().iter().zip(shapes).map(zeros);
            let arrays: Vec<Tensor> = arrays.collect::<Result<_, _>>().unwrap();
            let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
            let memory = kernel.memory(&views).unwrap();
            assert_eq!((memory.peak(), memory.total()), (peak, total), "{text} {options:?}");
            let shape = kernel.output_shapes(&views).unwrap().remove(0);
            let mut output = ArrayD::<f32>::zeros(shape);
            let before = HELD.get();
            kernel.run_into(&views, &mut [ViewMut::from(&mut output)]).unwrap();
            let held = HELD.get() - before;
            // It also notes where intermediates are: 32 bytes for each, of which there are 8 at most.
            let told = peak as isize..=peak as isize + 8 * 32 * isize::from(peak > 0);
            assert!(!is_warm || told.contains(&held), "{text} {options:?}: {held}, not {peak}");
        }
    }
}

/// What a call needs besides what it tells: what is known of its operands, and scratch of threads, such as a part of each
/// of the rows that are scanned side by side.
const BESIDES: isize = 96 << 10;

/// What `memory` tells of a call, which must be all that is as large as an array.
fn told(text: &str, inputs: &[View<'_>]) -> usize {
    let graph = ir::parse(text).unwrap();
    let what = format!("{text} {:?}", inputs[0]);
    // The first kernel warms up what threads keep.
    let calls = [false, true].map(|is_warm| {
        let kernel = compile_with(&graph, CompileOptions::new().threads(1)).unwrap();
        let memory = kernel.memory(inputs).unwrap();
        assert_eq!(kernel.plan_for(inputs).unwrap().memory(), &memory, "{what}");
        let shape = kernel.output_shapes(inputs).unwrap().remove(0);
        let mut output = Tensor::zeros(kernel.output_dtype(0), &shape).unwrap();
        let before = HELD.get();
        MOST.set(before);
        kernel.run_into(inputs, &mut [output.view_mut()]).unwrap();
        let (taken, told) = (MOST.get() - before, memory.peak() as isize);
        let is_told = (told..=told + BESIDES).contains(&taken);
        assert!(!is_warm || is_told, "{what}: {taken}, not {told}");
        memory.peak()
    });
    calls[1]
}

/// So it is where a fused body runs pass by pass, which calls of some shapes do, where a view is copied, and where
/// places along an axis are read.
#[test]
fn passes_of_a_fused_body_are_in_the_memory_that_is_told() {
    let texts = [
        "sum[1](exp(x) * y)",
        "argmax[1](x * 2 + y)",
        "softmax[1](x) + y",
        "x - max[1](y)",
        "layer_norm[1](x) * y",
        "sum[0](exp(x) * y) + max[0](x)",
        "sum[1](reshape[300, -1](permute[1, 0, 2](x * y)))",
        "sum[1](select(iota[1](x) < 5, x, y) * exp(x))",
    ];
    let mut random = fastrand::Rng::with_seed(3);
    let mut with_intermediates = 0;
    for turn in 0..160 {
        let text = texts[turn % texts.len()];
        let [rows, len, width] = match text.contains("reshape") {
            true => [random.usize(1..40) * 10, 30, random.usize(1..30)],
            false => [random.usize(20..3000), random.usize(1..40), random.usize(1..70)],
        };
        // Rows with gaps between elements, too.
        let (whole, step) = (Array3::<f32>::ones((rows, len, 2 * width)), random.isize(1..3));
        let part = whole.slice(s![.., .., ..;step]);
        let part = part.slice(s![.., .., ..width]);
        with_intermediates += usize::from(told(text, &[part.into(), part.into()]) > 0);
    }
    assert!(with_intermediates > 40, "{with_intermediates}");
}

/// Rows that are longer than a tile are kept whole where that takes less time than to compute them again.
#[test]
fn long_rows_that_are_kept_are_in_the_memory_that_is_told() {
    for (text, shape, keeps) in [
        ("let d = sin(x); sum[-1](abs(d - mean[-1](d)))", [3, 1 << 19], true),
        ("let d = sin(x); sum[0](abs(d - mean[0](d)))", [1 << 15, 16], true),
        ("let d = sin(x); sum[0](abs(d - mean[0](d)))", [1 << 10, 1 << 10], true),
        ("softmax[0](x)", [1 << 10, 1 << 10], false),
        ("softmax[-1](x)", [3, 1 << 19], false),
        ("cumsum[-1](exp(x)) * sin(x)", [3, 1 << 19], false),
        ("cumsum[0](exp(x)) * sin(x)", [1 << 10, 1 << 10], false),
        ("max[-1](cumsum[-1](sin(x)) * 2)", [1, 1 << 19], false),
        ("let c = cumsum[-1](sin(x)); sum[-1](abs(c - mean[-1](c)))", [1, 1 << 19], true),
        ("let c = cumsum[-1](sin(x)); sum[-1](abs(c - mean[-1](c)))", [8, 1 << 19], true),
    ] {
        let x = Array2::<f32>::ones(shape);
        assert_eq!(told(text, &[(&x).into()]) >= 1 << 20, keeps, "{text} {shape:?}");
    }
}
