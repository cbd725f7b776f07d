//! The runner: memory, layouts and threads, each against the same work done the plain way.

use crate::Suite;
use crate::kernels::{call_with, compile, random, text_on};
use crate::ops::transposed;
use crate::table::{Cell, Table, timed};
use kiln::profile::Race;
use kiln::{CompileOptions, DType, Tensor, View};
use ndarray::{ArrayD, s};
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};
use std::hint::black_box;
use std::time::Duration;

/// Copies on two threads by stores that go past the caches.
fn streaming_copy(from: &[f32], to: &mut [f32]) {
    let half = (from.len() / 2).next_multiple_of(32).max(1);
    to.par_chunks_mut(half).zip(from.par_chunks(half)).for_each(|(to, from)| stream(from, to));
}

#[cfg(target_arch = "x86_64")]
fn stream(from: &[f32], to: &mut [f32]) {
    use std::arch::x86_64::{_mm_loadu_ps, _mm_sfence, _mm_stream_ps};
    let head = to.as_ptr().align_offset(64).min(to.len());
    let (first, to) = to.split_at_mut(head);
    first.copy_from_slice(&from[..head]);
    let (to, last) = to.as_chunks_mut::<16>();
    let (from, rest) = from[head..].as_chunks::<16>();
    for (to, from) in to.iter_mut().zip(from) {
        for part in [0, 4, 8, 12] {
            // SAFETY: four floats each; the target is aligned. Every x86-64 has it.
            unsafe { _mm_stream_ps(to[part..].as_mut_ptr(), _mm_loadu_ps(from[part..].as_ptr())) };
        }
    }
    last.copy_from_slice(rest);
    // SAFETY: as above.
    unsafe { _mm_sfence() };
}

#[cfg(not(target_arch = "x86_64"))]
fn stream(from: &[f32], to: &mut [f32]) {
    to.copy_from_slice(from);
}

/// Arrays larger than the caches, on two threads.
pub(crate) fn memory(suite: Suite) {
    let note = "f32 on two threads, ns/element and ratios to a copy of the same bytes that streams: \
                into a given output, into a result that a dropped one made room for, and into new \
                memory";
    let columns =
        ["", "size", "copy", "into", "reused", "new", "into/copy", "reused/copy", "new/copy"];
    let table = Table::new("memory", note, 16, &columns);
    for expression in ["relu(x)", "gelu_tanh(x)", "silu(x)", "x*w+b"] {
        let kernel = text_on(2, expression, CompileOptions::new());
        let count = kernel.inputs().len();
        for size in suite.sizes(&[256 << 10, 4 << 20, 8 << 20, 64 << 20]) {
            let inputs: Vec<Tensor> =
                (1..).take(count).map(|seed| random(DType::F32, &[size], seed)).collect();
            let views: Vec<View<'_>> = inputs.iter().map(Tensor::view).collect();
            // The bytes of several inputs and one output, half of them read.
            let half = (count + 1) * size / 2;
            let (from, mut to) = (vec![1f32; half], vec![2f32; half]);
            let mut race = Race::new();
            race.add(timed(|| streaming_copy(black_box(&from), black_box(&mut to))));
            race.add(timed(call_with(&kernel, views.clone())));
            race.add(timed(|| kernel.run(&views).expect("the inputs fit")));
            let times = race.run_for(suite.budget(4)).expect("nothing fails");
            drop(race);
            // Apart: what it does not give back would be reused.
            kiln::release_memory();
            let mut race = Race::new();
            race.add(timed(|| streaming_copy(black_box(&from), black_box(&mut to))));
            race.add(timed(|| {
                let results = kernel.run(&views).expect("the inputs fit");
                // The array's memory goes back to the system, not to the next result.
                let array = results.into_iter().next().expect("one output").into_f32();
                drop(black_box(array));
            }));
            let new = race.run_for(suite.budget(2)).expect("nothing fails");
            let per_element = |time: f64| Cell::Time(time / size as f64);
            let ns = |candidate| per_element(times[candidate].latency().median());
            table.row(&[
                Cell::Text(expression.into()),
                Cell::Size(size),
                ns(0),
                ns(1),
                ns(2),
                per_element(new[1].latency().median()),
                Cell::Ratio(times.ratio(1, 0)),
                Cell::Ratio(times.ratio(2, 0)),
                Cell::Ratio(new.ratio(1, 0)),
            ]);
        }
    }
}

/// The same kernel on operands that lie otherwise than element after element.
pub(crate) fn layout(suite: Suite) {
    const ROW: usize = 1024;
    let note = "kernels on other layouts of (n/1024, 1024), f32 and f64, one and two threads, \
                ns/element, against contiguous operands";
    let columns = ["", "dtype", "size", "threads", "dense", "layout", "layout/dense"];
    let table = Table::new("layout", note, 30, &columns);
    for dtype in [DType::F32, DType::F64] {
        for threads in [1, 2] {
            let options = CompileOptions::new();
            let bias = format!("kernel bias(x: {dtype}, w: {dtype}, b: {dtype}) {{ gelu(x*w+b) }}");
            let bias = text_on(threads, &bias, options);
            let gelu = text_on(threads, &format!("kernel g(x: {dtype}) {{ gelu(x) }}"), options);
            let sum = format!("kernel sum(x: {dtype}, y: {dtype}) {{ x + y }}");
            let sum = text_on(threads, &sum, options);
            for size in suite.sizes(&[64, 4 << 10, 256 << 10, 4 << 20]) {
                let row = ROW.min(size / 4);
                let rows = size / row;
                let full: Vec<Tensor> =
                    (1..=3).map(|seed| random(dtype, &[rows, row], seed)).collect();
                let vector = random(dtype, &[row], 4);
                let column = random(dtype, &[rows, 1], 5);
                let across = random(dtype, &[row, rows], 6);
                let wide = random(dtype, &[rows, 2 * row], 7);
                // Square: where rows are a power of two apart, columns share cache sets.
                let side = size.isqrt();
                let square: Vec<Tensor> =
                    (8..=9).map(|seed| random(dtype, &[side, side], seed)).collect();
                let [x, w, b] = [0, 1, 2].map(|at| full[at].view());
                let chain = || vec![x.clone(), w.clone(), b.clone()];
                let layouts = [
                    (
                        "gelu(x*w+b), rows",
                        &bias,
                        chain(),
                        vec![x.clone(), vector.view(), vector.view()],
                    ),
                    (
                        "gelu(x*w+b), columns",
                        &bias,
                        chain(),
                        vec![x.clone(), column.view(), column.view()],
                    ),
                    ("gelu(x), transposed", &gelu, vec![x.clone()], vec![transposed(&across)]),
                    (
                        "gelu(x), square transposed",
                        &gelu,
                        vec![square[0].view()],
                        vec![transposed(&square[0])],
                    ),
                    (
                        "x+y, y transposed",
                        &sum,
                        vec![x.clone(), w.clone()],
                        vec![x.clone(), transposed(&across)],
                    ),
                    (
                        "x+y, y square transposed",
                        &sum,
                        vec![square[0].view(), square[1].view()],
                        vec![square[0].view(), transposed(&square[1])],
                    ),
                    ("gelu(x), x[:, ::2]", &gelu, vec![x.clone()], vec![sliced(&wide, 2)]),
                    (
                        "x+y, y[:, ::2]",
                        &sum,
                        vec![x.clone(), w.clone()],
                        vec![x.clone(), sliced(&wide, 2)],
                    ),
                    (
                        "x+y, y reversed",
                        &sum,
                        vec![x.clone(), w.clone()],
                        vec![x.clone(), sliced(&full[1], -1)],
                    ),
                ];
                for (name, kernel, dense, other) in layouts {
                    let mut race = Race::new();
                    race.add(timed(call_with(kernel, dense)));
                    race.add(timed(call_with(kernel, other)));
                    let times = race.run_for(suite.budget(1)).expect("nothing fails");
                    let ns =
                        |candidate| Cell::Time(times[candidate].latency().median() / size as f64);
                    table.row(&[
                        Cell::Text(name.into()),
                        Cell::Text(dtype.to_string()),
                        Cell::Size(size),
                        Cell::Text(threads.to_string()),
                        ns(0),
                        ns(1),
                        Cell::Ratio(times.ratio(1, 0)),
                    ]);
                }
            }
        }
    }
}

/// Every `step`-th column.
fn sliced(tensor: &Tensor, step: isize) -> View<'_> {
    fn of<T: kiln::Element>(array: &ArrayD<T>, step: isize) -> View<'_> {
        View::from(array.slice(s![.., ..;step]))
    }
    match tensor {
        Tensor::F16(array) => of(array, step),
        Tensor::BF16(array) => of(array, step),
        Tensor::F32(array) => of(array, step),
        Tensor::F64(array) => of(array, step),
        Tensor::Bool(array) => of(array, step),
        Tensor::U8(array) => of(array, step),
        Tensor::I32(array) => of(array, step),
        Tensor::I64(array) => of(array, step),
    }
}

/// Every power of two, on one thread and on two.
pub(crate) fn threads(suite: Suite) {
    let note = "f32, microseconds a call on one thread and on two, called one after another and \
                with pauses of 200 us in which the pool falls asleep";
    let columns = ["", "size", "one", "two", "two/one", "one, later", "two, later", "ratio"];
    let table = Table::new("threads", note, 14, &columns);
    let all: Vec<usize> = (0..=26).map(|power| 1 << power).collect();
    for expression in ["relu(x)", "gelu_tanh(x)", "mish(x)", "x*w+b"] {
        let graph = kiln::ir::parse(expression).expect("the suite's kernels are well written");
        let [one, two] =
            [1, 2].map(|threads| compile(&graph, CompileOptions::new().threads(threads)));
        let count = one.inputs().len();
        for &size in &suite.sizes(&all) {
            let inputs: Vec<Tensor> =
                (1..).take(count).map(|seed| random(DType::F32, &[size], seed)).collect();
            let views: Vec<View<'_>> = inputs.iter().map(Tensor::view).collect();
            let mut race = Race::new();
            race.add(timed(call_with(&one, views.clone())));
            race.add(timed(call_with(&two, views.clone())));
            let times = race.run_for(suite.budget(1)).expect("nothing fails");
            let mut race = Race::apart(Duration::from_micros(200));
            race.add(timed(call_with(&one, views.clone())));
            race.add(timed(call_with(&two, views)));
            let later = race.run_for(suite.budget(1)).expect("nothing fails");
            let us = |time: f64| Cell::Time(time / 1e3);
            table.row(&[
                Cell::Text(expression.into()),
                Cell::Size(size),
                us(times[0].latency().median()),
                us(times[1].latency().median()),
                Cell::Ratio(times.ratio(1, 0)),
                us(later[0].latency().median()),
                us(later[1].latency().median()),
                Cell::Ratio(later.ratio(1, 0)),
            ]);
        }
    }
}
