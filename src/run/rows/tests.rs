//! Row kernels against their bodies, op by op and reduction by reduction: in bits.

mod beside;
mod in_place;
mod mixed;
mod narrow;
mod paths;
mod realigned;
mod scans;
mod shared;
mod spread;
mod strips;

use super::{Reduction, RowCode, Sweeps};
use crate::lower::rows::rows;
use crate::lower::{Tier, lower};
use crate::run::scan::scan;
use crate::run::view::Layout;
use crate::run::{Tensor, View, ViewMut, Work, execute};
use kiln_ir::{Call, DType, Graph, Input, Node, NodeId, parse};
use kiln_jit::cpu::Cpu;
use kiln_jit::emit::{Code, EmitterKind, compile, compile_sweep};
use kiln_jit::vir::Routine;

const BODIES: [&str; 16] = [
    "|x| softmax[A](x)",
    "|x| log_softmax[A](x)",
    "|x, s| let e = softmax[A](x * 0.5 + s); (e, logsumexp[A](x))",
    "|x| layer_norm[A](x)",
    "|x, s, y| layer_norm[A](x) * s + y",
    "|x, s| rms_norm[A](x) * s",
    "|x| (mean[A](x), var[A](x))",
    "|x| let e = exp(x); (e, sum[A](e), e / sum[A](e))",
    "|x| norm[A](x)",
    "|x, y| sum[A](x * y) / (norm[A](x) * norm[A](y))",
    "|x| (sum[A](x), argmax[A](x), count[A](x))",
    "|x| (x - min[A](x)) / (max[A](x) - min[A](x))",
    "|x, y| -sum[A](y * log_softmax[A](x))",
    "|x| f16(softmax[A](f32(f16(x))))",
    "|x| select(any[A](x > 0.99), prod[A](x), x)",
    "|x| (x, x, sum[A](x), sum[A](x))",
];

/// Numbers among which some are NaN, infinite, or zeros of either sign, reproducible.
fn fill(tensor: &mut Tensor, seed: u64, odd: bool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut next = || match random.u32(..) % 5000 {
        0 if odd => f64::NAN,
        1 if odd => f64::INFINITY,
        2 if odd => f64::NEG_INFINITY,
        3 | 4 if odd => -0.0,
        5 | 6 if odd => 0.0,
        _ => random.f64() * 4.0 - 2.0,
    };
    match tensor {
        Tensor::F32(array) => array.iter_mut().for_each(|x| *x = next() as f32),
        Tensor::F64(array) => array.iter_mut().for_each(|x| *x = next()),
        other => panic!("{}", other.dtype()),
    }
}

/// The bits of all elements, each NaN being one.
fn bits(tensor: &Tensor) -> Vec<u64> {
    let f32_bits = |x: f32| if x.is_nan() { 1 } else { u64::from(x.to_bits()) };
    match tensor {
        Tensor::F16(array) => array.iter().map(|x| f32_bits(x.to_f32())).collect(),
        Tensor::F32(array) => array.iter().map(|&x| f32_bits(x)).collect(),
        Tensor::F64(array) => {
            array.iter().map(|x| if x.is_nan() { 1 } else { x.to_bits() }).collect()
        }
        Tensor::Bool(array) => array.iter().map(|&x| x.into()).collect(),
        Tensor::I64(array) => array.iter().map(|&x| x as u64).collect(),
        other => panic!("{}", other.dtype()),
    }
}

fn emit(routine: &Routine, emitter: EmitterKind) -> Code {
    compile(routine, emitter, Cpu::host()).expect("the machine has the emitter")
}

/// Every node by itself.
fn apart(body: &Graph, inputs: &[View<'_>]) -> Vec<Tensor> {
    let mut values: Vec<Tensor> = Vec::new();
    for (id, node) in body.iter() {
        let value = match node {
            Node::Input(index) => {
                let view = &inputs[*index as usize];
                let mut tensor = Tensor::zeros(view.dtype(), view.shape()).unwrap();
                crate::run::copy::copy(view, &mut tensor.view_mut());
                tensor
            }
            Node::Const(_) => {
                let mut alone = Graph::unbounded("number");
                let value = alone.constant(body.dtype(id), body.scalar(id).unwrap()).unwrap();
                let dummy = Input { name: "x".into(), dtype: DType::F32, dims: None };
                alone.input(dummy).unwrap();
                alone.output(value);
                let x = Tensor::zeros(DType::F32, &[]).unwrap();
                elementwise(&alone, &[x.view()], body.dtype(id))
            }
            Node::Op(op, args) => {
                let mut alone = Graph::unbounded("op");
                let declared: Vec<NodeId> = (0..args.len())
                    .map(|at| {
                        let (name, dtype) = (format!("x{at}"), body.dtype(args[at]));
                        alone.input(Input { name, dtype, dims: None }).unwrap()
                    })
                    .collect();
                let result = alone.op(*op, &declared).unwrap();
                alone.output(result);
                let operands: Vec<View<'_>> =
                    args.iter().map(|arg| values[arg.index()].view()).collect();
                elementwise(&alone, &operands, body.dtype(id))
            }
            Node::Call(Call::Reduce(by), args) => {
                let operand = values[args[0].index()].view();
                let shape = Call::Reduce(*by).infer(&[operand.shape()]).unwrap();
                let mut result = Tensor::zeros(body.dtype(id), &shape).unwrap();
                let output = result.view_mut();
                let reduction = Reduction::new(*by, [operand.dtype(), body.dtype(id)]);
                // SAFETY: the types and shapes of such a reduction, of arrays that live.
                unsafe { reduction.run(&[&operand.layout, &output.layout], Some(1)) }.unwrap();
                drop(output);
                result
            }
            Node::Call(Call::Scan(by), args) => {
                let operand = values[args[0].index()].view();
                let mut result = Tensor::zeros(body.dtype(id), operand.shape()).unwrap();
                let output = result.view_mut();
                // SAFETY: the type and shape of such a scan, of arrays that live.
                unsafe { scan(*by, &operand.layout, &output.layout, Some(1)) };
                drop(output);
                result
            }
            node => panic!("{node:?}"),
        };
        values.push(value);
    }
    body.outputs().iter().map(|output| values[output.index()].clone()).collect()
}

fn elementwise(graph: &Graph, operands: &[View<'_>], dtype: DType) -> Tensor {
    let code = emit(&lower(graph, Tier::Default), EmitterKind::Auto);
    let shapes: Vec<&[usize]> = operands.iter().map(View::shape).collect();
    let shape = kiln_ir::broadcast(&shapes).unwrap();
    let mut result = Tensor::zeros(dtype, &shape).unwrap();
    execute(&code, operands, &mut [result.view_mut()], Work::new(Some(1), 1.0)).unwrap();
    result
}

fn emitters() -> Vec<EmitterKind> {
    let code = |emitter: &EmitterKind| {
        let mut b = kiln_jit::vir::Builder::new();
        let x = b.input(kiln_jit::vir::Storage::F32);
        b.output(x, kiln_jit::vir::Storage::F32);
        compile(&b.finish(), *emitter, Cpu::host()).is_ok_and(|code| !code.is_emulated())
    };
    EmitterKind::ALL.iter().copied().filter(code).collect()
}

/// A body with inputs `x`, `s` and `y`, `s` being one row that all rows share.
fn body(text: &str, axes: &str, dtype: DType) -> Graph {
    let text = text.replace("[A]", axes);
    let (names, rest) = text[1..].split_once('|').unwrap();
    let declared: Vec<String> =
        names.split(", ").map(|name| format!("{name}: {dtype}[..]")).collect();
    parse(&format!("|{}| {rest}", declared.join(", "))).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Runs a body by stages and by its sweep, and checks both against every node by itself.
fn check(
    body: &Graph,
    code: &mut RowCode,
    inputs: &[View<'_>],
    expected: &[Tensor],
    threads: usize,
) {
    for sweeps in [Sweeps::Always, Sweeps::Late, Sweeps::Never, Sweeps::WhereItPays] {
        turn_to(code, sweeps);
        check_as_it_is(body, code, inputs, expected, threads);
    }
}

/// From now on, a sweep runs when this says.
fn turn_to(code: &mut RowCode, sweeps: Sweeps) {
    code.sweeps = sweeps;
    *code.last.lock().unwrap() = None;
}

fn check_as_it_is(
    body: &Graph,
    code: &RowCode,
    inputs: &[View<'_>],
    expected: &[Tensor],
    threads: usize,
) {
    let mut outputs: Vec<Tensor> = expected
        .iter()
        .map(|tensor| Tensor::zeros(tensor.dtype(), tensor.shape()).unwrap())
        .collect();
    let views: Vec<_> = outputs.iter_mut().map(Tensor::view_mut).collect();
    let operands: Vec<&Layout> =
        inputs.iter().map(|v| &v.layout).chain(views.iter().map(|v| &v.layout)).collect();
    // SAFETY: the shapes of the same body, of arrays that live.
    let done = unsafe { code.run(&operands, Some(threads)) };
    drop(views);
    let shape = inputs[0].shape();
    assert!(done, "{body} of {shape:?}");
    for (index, (found, expected)) in outputs.iter().zip(expected).enumerate() {
        let [found, expected] = [found, expected].map(bits);
        let differs = (0..found.len()).find(|&at| found[at] != expected[at]);
        if let Some(at) = differs {
            let [a, b] = [found[at], expected[at]];
            panic!(
                "output {index} of {body} of {shape:?}: {a:x}, not {b:x}, at {at}, {threads} threads, {:?}",
                code.sweeps
            );
        }
    }
}

#[test]
fn stages_give_the_bits_of_ops_and_reductions_apart() {
    let emitters = emitters();
    let mut turn = 0;
    for shape in [
        &[3, 1][..],
        &[5, 3],
        &[40, 8],
        &[7, 53],
        &[130, 21],
        &[300, 45],
        &[2, 63],
        &[9, 64],
        &[4, 65],
        &[3, 511],
        &[2, 512],
        &[2, 513],
        &[2, 1023],
        &[3, 1024],
        &[1, 1025],
        &[2, 3000],
        &[3, 40, 20],
    ] {
        for axes in ["[-1]", "[0]", "[1]", "[-2, -1]"] {
            let rank = shape.len();
            let reduced = kiln_ir::parse(&format!("|x: f32[..]| sum{axes}(x)")).unwrap();
            let Node::Call(Call::Reduce(by), _) = reduced.node(reduced.outputs()[0]) else {
                panic!()
            };
            let Ok(is_reduced) = by.axes.of_rank(rank) else { continue };
            for text in BODIES {
                turn += 1;
                let dtype = if turn % 3 == 0 { DType::F64 } else { DType::F32 };
                let body = body(text, axes, dtype);
                let program = rows(&body, Tier::Default).unwrap_or_else(|| panic!("{body}"));
                let emitter = emitters[turn % emitters.len()];
                let mut code =
                    RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep)
                        .unwrap();
                let arrays: Vec<Tensor> = body
                    .inputs()
                    .iter()
                    .map(|input| {
                        let one = |at: usize| if is_reduced[at] { shape[at] } else { 1 };
                        let own: Vec<usize> = match &input.name[..] {
                            "s" => (0..rank).map(one).collect(),
                            _ => shape.to_vec(),
                        };
                        let mut tensor = Tensor::zeros(dtype, &own).unwrap();
                        fill(&mut tensor, turn as u64, turn % 2 == 0);
                        tensor
                    })
                    .collect();
                let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
                let expected = apart(&body, &views);
                check(&body, &mut code, &views, &expected, 1 + turn % 3);
            }
        }
    }
}

/// Enough elements for several threads, and rows that are cut.
#[test]
fn threads_change_no_bit() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for (shape, axes) in [
        ([300, 1000], "[-1]"),
        ([300, 1000], "[0]"),
        ([2, 150_000], "[-1]"),
        ([9_000, 40], "[0]"),
        ([1_300, 200], "[0]"),
        ([100_000, 3], "[-1]"),
        ([100_000, 3], "[0]"),
        ([20_000, 30], "[0]"),
        ([300, 1000], "[-2, -1]"),
    ] {
        for text in &BODIES[..11] {
            let body = body(text, axes, DType::F32);
            let program = rows(&body, Tier::Default).unwrap();
            let mut code = RowCode::compile(
                program,
                |r| compile(r, EmitterKind::Auto, Cpu::host()),
                compile_sweep,
            )
            .unwrap();
            let arrays: Vec<Tensor> = body
                .inputs()
                .iter()
                .map(|input| {
                    let mut own = shape.to_vec();
                    if input.name == "s" && axes != "[-2, -1]" {
                        own[usize::from(axes == "[0]")] = 1;
                    }
                    let mut tensor = Tensor::zeros(DType::F32, &own).unwrap();
                    fill(&mut tensor, 5, false);
                    tensor
                })
                .collect();
            let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
            let expected = apart(&body, &views);
            check(&body, &mut code, &views, &expected, 1);
            for threads in [2, 7] {
                pool.install(|| check(&body, &mut code, &views, &expected, threads));
            }
        }
    }
}

/// Room for an array of `shape` that lies in one of several ways: in order of axes from the last one or
/// from the first, every other element, backwards, or not at multiples of its elements' size.
struct Room {
    bytes: Vec<u8>,
    dtype: DType,
    shape: Vec<usize>,
    start: usize,
    strides: Vec<isize>,
}

const WAYS: usize = 5;

impl Room {
    fn new(dtype: DType, shape: &[usize], way: usize) -> Room {
        let (size, rank) = (dtype.size(), shape.len());
        let (gap, shift) = (if way == 2 { 2 } else { 1 }, if way == 4 { 1 } else { 0 });
        let mut strides = vec![0; rank];
        let mut step = (size * gap) as isize;
        let order: Vec<usize> =
            if way == 1 { (0..rank).collect() } else { (0..rank).rev().collect() };
        for axis in order {
            strides[axis] = step;
            step *= shape[axis] as isize;
        }
        let mut start = shift;
        if way == 3 && rank > 0 {
            let last = rank - 1;
            start += (strides[last] * (shape[last] as isize - 1)) as usize;
            strides[last] = -strides[last];
        }
        // A vector of words, so that what begins at its start is aligned.
        let bytes = vec![0u8; step as usize + 16];
        Room { bytes, dtype, shape: shape.to_vec(), start, strides }
    }

    fn view(&self) -> View<'_> {
        let base = self.bytes[self.start..].as_ptr();
        // SAFETY: all elements are in the room.
        unsafe { View::from_raw(base, self.dtype, &self.shape, &self.strides) }
    }

    fn view_mut(&mut self) -> ViewMut<'_> {
        let base = self.bytes.as_mut_ptr().wrapping_add(self.start);
        // SAFETY: all elements are in the room.
        unsafe { ViewMut::from_raw(base, self.dtype, &self.shape, &self.strides) }
    }
}

#[test]
fn layouts_change_no_bit() {
    let (mut turn, mut left) = (0, 0);
    for (shape, axes) in [
        (&[5, 70][..], "[-1]"),
        (&[70, 5], "[0]"),
        (&[1200, 3], "[0]"),
        (&[40, 3], "[-1]"),
        (&[3, 20, 20], "[1]"),
        (&[3, 20, 30], "[0, 2]"),
        (&[3, 20, 30], "[..]"),
    ] {
        for text in &BODIES[..14] {
            let body = body(text, axes, DType::F32);
            let program = rows(&body, Tier::Default).unwrap();
            let mut code = RowCode::compile(
                program,
                |r| compile(r, EmitterKind::Auto, Cpu::host()),
                compile_sweep,
            )
            .unwrap();
            let mut x = Tensor::zeros(DType::F32, shape).unwrap();
            fill(&mut x, 6, false);
            let inputs = body.inputs().len();
            let plain: Vec<View<'_>> = (0..inputs).map(|_| x.view()).collect();
            let expected = apart(&body, &plain);
            for _ in 0..4 * WAYS {
                turn += 1;
                let way = |at: usize| (turn / usize::pow(WAYS, at as u32 % 3)) % WAYS;
                let mut rooms: Vec<Room> =
                    (0..inputs).map(|at| Room::new(DType::F32, shape, way(at))).collect();
                for room in &mut rooms {
                    crate::run::copy::copy(&x.view(), &mut room.view_mut());
                }
                let mut results: Vec<Room> = expected
                    .iter()
                    .enumerate()
                    .map(|(at, tensor)| Room::new(tensor.dtype(), tensor.shape(), way(at + 1)))
                    .collect();
                let views: Vec<View<'_>> = rooms.iter().map(Room::view).collect();
                let outputs: Vec<ViewMut<'_>> = results.iter_mut().map(Room::view_mut).collect();
                let mut operands: Vec<&Layout> = views
                    .iter()
                    .map(|v| &v.layout)
                    .chain(outputs.iter().map(|v| &v.layout))
                    .collect();
                // In place, where the result is as large.
                let in_place = turn % 2 == 0
                    && expected[0].shape() == shape
                    && expected[0].dtype() == DType::F32;
                if in_place {
                    operands[inputs] = operands[0];
                }
                // Nothing is near, all is, or what L2 of this machine holds.
                code.near = [code.near, 0, 64, usize::MAX][turn % 4];
                turn_to(&mut code, [Sweeps::Always, Sweeps::Late, Sweeps::Never][turn / 2 % 3]);
                // SAFETY: the types and shapes of the body, and one output is exactly an input.
                let done = unsafe { code.run(&operands, Some(1)) };
                drop(outputs);
                if !done {
                    // Short runs of rows, which passes do sooner.
                    assert!(shape.len() > 2, "{body} of {shape:?}");
                    left += 1;
                    continue;
                }
                for (at, expected) in expected.iter().enumerate() {
                    let room = if in_place && at == 0 { &rooms[0] } else { &results[at] };
                    let mut found = Tensor::zeros(expected.dtype(), expected.shape()).unwrap();
                    crate::run::copy::copy(&room.view(), &mut found.view_mut());
                    let same = bits(&found) == bits(expected);
                    assert!(same, "output {at} of {body} of {shape:?}, in place: {in_place}");
                }
            }
        }
    }
    assert!(left < turn / 10, "{left} of {turn}");
}

/// What is stored past the caches, and what a sweep keeps in them for itself.
#[test]
fn streaming_sweeps_change_no_bit() {
    /// Rows that begin where vectors may, or some elements later.
    #[repr(align(64))]
    #[derive(Clone, Copy)]
    struct Line([f32; 16]);
    let mut streamed = 0;
    let bodies = [BODIES[0], BODIES[1], BODIES[2], BODIES[3], BODIES[4], BODIES[5]];
    // Few rows at a time, and many.
    let shapes = [[9, 592], [70, 64], [9, 587], [70, 70]];
    for (text, shape) in bodies.into_iter().flat_map(|text| shapes.map(|shape| (text, shape))) {
        let count = shape[0] * shape[1];
        let body = body(text, "[-1]", DType::F32);
        let mut x = Tensor::zeros(DType::F32, &shape).unwrap();
        fill(&mut x, 7, true);
        let views: Vec<View<'_>> = body.inputs().iter().map(|_| x.view()).collect();
        let expected = apart(&body, &views);
        let places = [0, 4, 15].map(|first| [(first, Sweeps::Always), (first, Sweeps::Late)]);
        let stores = |place| (0..4).map(move |stores| (place, stores));
        let places = places.as_flattened().iter().flat_map(stores);
        let ways = emitters().into_iter().flat_map(|e| places.clone().map(move |p| (e, p)));
        for (emitter, (&(first, sweeps), stores)) in ways {
            let program = rows(&body, Tier::Default).unwrap();
            let mut code =
                RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep)
                    .unwrap();
            turn_to(&mut code, sweeps);
            let mut lines = [Line([7.0; 16]); 9 * 37 + 2];
            let base = lines.as_mut_ptr().cast::<f32>().wrapping_add(first).cast::<u8>();
            // SAFETY: the lines are one array of this shape.
            let output =
                unsafe { ViewMut::from_raw(base, DType::F32, &shape, &[shape[1] as isize * 4, 4]) };
            let mut others: Vec<Tensor> = expected[1..]
                .iter()
                .map(|tensor| Tensor::zeros(DType::F32, tensor.shape()).unwrap())
                .collect();
            let other_views: Vec<_> = others.iter_mut().map(Tensor::view_mut).collect();
            let mut operands: Vec<&Layout> = views.iter().map(|view| &view.layout).collect();
            operands.push(&output.layout);
            operands.extend(other_views.iter().map(|view| &view.layout));
            let mut setup = code.setup(code.program(), &operands).unwrap();
            let Some(sweeping) = &mut setup.sweeping else { continue };
            let realigned = code.sweep.as_ref().and_then(|sweep| sweep.realigned.as_ref());
            let can_realign = realigned.is_some_and(|realigned| realigned.code().is_some());
            (sweeping.streams, sweeping.can_copy) = (stores > 0, stores < 2);
            sweeping.can_realign = can_realign && stores == 3;
            // SAFETY: the types and shapes of the body, of arrays that live.
            assert!(unsafe { super::execute(code.program(), &setup, &operands, Some(2)) });
            drop((output, other_views));
            for (found, expected) in others.iter().zip(&expected[1..]) {
                assert_eq!(bits(found), bits(expected), "numbers of {body} by {emitter}");
            }
            let all: Vec<f32> = lines.iter().flat_map(|line| line.0).collect();
            assert!(all[..first].iter().chain(&all[first + count..]).all(|&x| x == 7.0));
            let found = all.iter().skip(first).take(count).copied();
            let found = ndarray::ArrayD::from_shape_vec(&shape[..], found.collect()).unwrap();
            assert_eq!(bits(&Tensor::F32(found)), bits(&expected[0]), "{body} by {emitter}");
            streamed += 1;
        }
    }
    assert!(streamed > 0);
}
