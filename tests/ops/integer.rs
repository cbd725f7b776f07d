//! `u8`, `i32` and `i64`: the arithmetic of Rust's `wrapping_*`, on every emitter.

use common::Rng;
use common::runner::kinds;
use half::{bf16, f16};
use kiln::ir::{self, Array, Input, NodeId, Op, Scalar, Typing, eval, parse};
use kiln::{CompileOptions, DType, EmitterKind, Graph, Kernel, Mode, Tensor, View, compile_with};
use ndarray::{Array1, Array2, s};

const INTEGERS: [DType; 3] = [DType::U8, DType::I32, DType::I64];

fn compiled(graph: &Graph, emitter: EmitterKind) -> Kernel {
    compile_with(graph, CompileOptions::new().emitter(emitter)).unwrap()
}

/// A graph of one op on inputs of these types.
fn single(op: Op, dtypes: &[DType]) -> Graph {
    let mut graph = Graph::new(op.name());
    let input = |(index, &dtype): (usize, &DType)| {
        graph.input(Input { name: format!("x{index}"), dtype, dims: None }).unwrap()
    };
    let inputs: Vec<NodeId> = dtypes.iter().enumerate().map(input).collect();
    let output = graph.op(op, &inputs).unwrap();
    graph.output(output);
    graph
}

/// Numbers, cut to the type.
fn tensor(dtype: DType, values: &[i64]) -> Tensor {
    let values = Array1::from(values.to_vec());
    match dtype {
        DType::U8 => values.mapv(|v| v as u8).into(),
        DType::I32 => values.mapv(|v| v as i32).into(),
        DType::I64 => values.into(),
        DType::Bool => values.mapv(|v| v & 1 == 1).into(),
        DType::F32 => values.mapv(|v| float(v) as f32).into(),
        DType::F64 => values.mapv(float).into(),
        DType::F16 => values.mapv(|v| f16::from_f64(float(v))).into(),
        DType::BF16 => values.mapv(|v| bf16::from_f64(float(v))).into(),
    }
}

/// A float of some size, half of them with a fraction; one in 64 has these very bits.
fn float(value: i64) -> f64 {
    match value & 63 {
        0 => f64::from_bits(value as u64),
        bits => value as f64 / if bits & 1 == 0 { 1.0 } else { 1000.0 },
    }
}

/// The elements, those of floats by their bits and any NaN as one.
fn elements(tensor: &Tensor) -> Vec<i64> {
    let bits = |value: f64| if value.is_nan() { 1 } else { value.to_bits() as i64 };
    match tensor {
        Tensor::U8(a) => a.iter().map(|&v| v.into()).collect(),
        Tensor::I32(a) => a.iter().map(|&v| v.into()).collect(),
        Tensor::I64(a) => a.iter().copied().collect(),
        Tensor::Bool(a) => a.iter().map(|&v| v.into()).collect(),
        Tensor::F16(a) => a.iter().map(|v| bits(v.to_f64())).collect(),
        Tensor::BF16(a) => a.iter().map(|v| bits(v.to_f64())).collect(),
        Tensor::F32(a) => a.iter().map(|&v| bits(v.into())).collect(),
        Tensor::F64(a) => a.iter().map(|&v| bits(v)).collect(),
    }
}

/// The same of the reference interpreter.
fn reference(array: &Array) -> Vec<i64> {
    let bits = |value: &f64| if value.is_nan() { 1 } else { value.to_bits() as i64 };
    match array.dtype() {
        dtype if dtype.is_integer() => array.integers().to_vec(),
        DType::Bool => array.data().iter().map(|&value| i64::from(value != 0.0)).collect(),
        _ => array.data().iter().map(bits).collect(),
    }
}

const EDGES: [i64; 40] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    -3,
    7,
    8,
    10,
    31,
    32,
    33,
    63,
    64,
    100,
    127,
    128,
    129,
    254,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    i32::MAX as i64 - 1,
    i32::MAX as i64,
    i32::MIN as i64,
    i32::MIN as i64 + 1,
    u32::MAX as i64,
    1 << 32,
    (1 << 53) - 1,
    1 << 53,
    (1 << 53) + 1,
    -(1 << 53) - 1,
    i64::MAX - 1,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
];

/// Pairs of edges, then random ones of all magnitudes.
fn pairs(random: usize) -> (Vec<i64>, Vec<i64>) {
    let mut rng = Rng::new(7);
    let mut any = || (rng.next() as i64) >> rng.below(64);
    let edges = EDGES.iter().flat_map(|&a| EDGES.iter().map(move |&b| (a, b)));
    edges.chain((0..random).map(|_| (any(), any()))).unzip()
}

/// The largest integer whose product with `b` does not pass `a`, and what is left.
fn floor_division(a: i128, b: i128) -> (i128, i128) {
    if b == 0 {
        return (0, 0);
    }
    let passes = |quotient: i128| if b > 0 { quotient * b > a } else { quotient * b < a };
    let mut quotient = a / b + 1;
    while passes(quotient) {
        quotient -= 1;
    }
    (quotient, a - quotient * b)
}

/// What Rust computes; `None` for ops of other kinds.
macro_rules! define_rust {
    ($($name:ident: $ty:ty;)*) => {$(
        fn $name(op: Op, a: i64, b: i64) -> Option<i64> {
            let (x, y) = (a as $ty, b as $ty);
            let truth = |value: bool| Some(i64::from(value));
            let value = match op {
                Op::Neg => x.wrapping_neg(),
                Op::Not => !x,
                Op::Add => x.wrapping_add(y),
                Op::Sub => x.wrapping_sub(y),
                Op::Mul => x.wrapping_mul(y),
                Op::Div if y == 0 => 0,
                Op::Div => x.wrapping_div(y),
                Op::Rem if y == 0 => 0,
                Op::Rem => x.wrapping_rem(y),
                Op::FloorDiv => floor_division(x.into(), y.into()).0 as $ty,
                Op::Modulo => floor_division(x.into(), y.into()).1 as $ty,
                Op::And => x & y,
                Op::Or => x | y,
                Op::Xor => x ^ y,
                Op::Shl => x.wrapping_shl(y as u32),
                Op::Shr => x.wrapping_shr(y as u32),
                Op::Abs => i64::from(x).wrapping_abs() as $ty,
                Op::Sign => i64::from(x).signum() as $ty,
                Op::Min => x.min(y),
                Op::Max => x.max(y),
                Op::Lt => return truth(x < y),
                Op::Le => return truth(x <= y),
                Op::Gt => return truth(x > y),
                Op::Ge => return truth(x >= y),
                Op::Eq => return truth(x == y),
                Op::Ne => return truth(x != y),
                Op::IsNan | Op::IsInf => return truth(false),
                Op::IsFinite => return truth(true),
                _ => return None,
            };
            Some(value.into())
        }
    )*};
}

define_rust! { of_u8: u8; of_i32: i32; of_i64: i64; }

fn of_rust(dtype: DType, op: Op, a: i64, b: i64) -> Option<i64> {
    match dtype {
        DType::U8 => of_u8(op, a, b),
        DType::I32 => of_i32(op, a, b),
        _ => of_i64(op, a, b),
    }
}

fn check_op(op: Op, dtype: DType, emitter: EmitterKind, random: usize) {
    let (a, b) = pairs(random);
    let graph = single(op, &vec![dtype; op.arity()]);
    let kernel = compiled(&graph, emitter);
    let inputs = [tensor(dtype, &a), tensor(dtype, &b)];
    let views: Vec<View<'_>> = inputs[..op.arity()].iter().map(Tensor::view).collect();
    let got = elements(&kernel.run(&views).unwrap()[0]);
    for (i, got) in got.into_iter().enumerate() {
        let expected = of_rust(dtype, op, a[i], b[i]).unwrap();
        assert_eq!(got, expected, "{emitter} {dtype} {}({}, {})", op.name(), a[i], b[i]);
    }
}

#[test]
fn every_op_computes_what_rust_does() {
    let mut count = 0;
    for &op in Op::ALL {
        for dtype in INTEGERS {
            let has_type = op.result_type(&vec![dtype; op.arity()]).is_some();
            let is_cast = matches!(op.info().typing, Typing::Cast(_));
            if has_type && !is_cast && op != Op::Clamp {
                kinds().into_iter().for_each(|emitter| check_op(op, dtype, emitter, 3_000));
                count += 1;
            }
        }
    }
    assert_eq!(count, 27 * 3);
}

#[test]
fn quotients_are_exact() {
    for op in [Op::Div, Op::Rem, Op::FloorDiv, Op::Modulo] {
        for dtype in [DType::I32, DType::I64] {
            check_op(op, dtype, EmitterKind::Auto, 1_000_000);
        }
    }
}

#[test]
fn every_quotient_of_bytes() {
    let (a, b): (Vec<i64>, Vec<i64>) = (0..256).flat_map(|a| (0..256).map(move |b| (a, b))).unzip();
    for emitter in kinds() {
        for op in [Op::Div, Op::Rem, Op::FloorDiv, Op::Modulo, Op::Mul, Op::Shl, Op::Shr] {
            let kernel = compiled(&single(op, &[DType::U8; 2]), emitter);
            let inputs = [tensor(DType::U8, &a), tensor(DType::U8, &b)];
            let got = kernel.run(&[inputs[0].view(), inputs[1].view()]).unwrap();
            let expected: Vec<i64> =
                a.iter().zip(&b).map(|(&a, &b)| of_u8(op, a, b).unwrap()).collect();
            assert!(elements(&got[0]) == expected, "{emitter} {}", op.name());
        }
    }
}

#[test]
fn shifts_by_numbers() {
    let x = EDGES.to_vec();
    for dtype in INTEGERS {
        for amount in [0, 1, 3, 7, 8, 15, 31, 32, 33, 63, 64, 100] {
            let text =
                format!("kernel k(x: {dtype}[n]) {{ (shl(x, {amount}), shr(x, {amount})) }}");
            let graph = parse(&text).unwrap();
            for emitter in kinds() {
                let got = compiled(&graph, emitter).run(&[tensor(dtype, &x).view()]).unwrap();
                for (op, got) in [Op::Shl, Op::Shr].into_iter().zip(&got) {
                    let expected: Vec<i64> =
                        x.iter().map(|&x| of_rust(dtype, op, x, amount).unwrap()).collect();
                    assert_eq!(elements(got), expected, "{emitter} {dtype} {} {amount}", op.name());
                }
            }
        }
    }
}

#[test]
fn casts_are_those_of_rust_and_round_once() {
    let (mut values, _) = pairs(5_000);
    // Near ties of f32 and bf16, and all bits of floats that matter to integers.
    for shift in 20..62 {
        for step in -2..=2 {
            values.push((1i64 << 62 >> (62 - shift)) + (1 << (shift - 20)) + step);
            values.push((1i64 << shift) + step);
            values.push(-(1i64 << shift) + step);
        }
    }
    let floats = [
        0.5,
        -0.5,
        0.999,
        -0.999,
        1.5,
        254.9,
        255.5,
        256.0,
        -1.0,
        2147483647.5,
        2147483648.0,
        -2147483648.9,
        -2147483649.0,
        9.3e18,
        -9.3e18,
        9007199254740993.0,
        1e300,
        -1e300,
        1e-300,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        9223372036854774784.0,
        4294967296.5,
    ];
    values.extend(floats.map(|x: f64| (x.to_bits() as i64) & !63));
    for from in DType::ALL {
        for to in DType::ALL {
            if !from.is_integer() && !to.is_integer() {
                continue;
            }
            let input = tensor(from, &values);
            let scalars: Vec<Scalar> = match &input {
                Tensor::F32(a) => a.iter().map(|&v| f64::from(v).into()).collect(),
                Tensor::F64(a) => a.iter().map(|&v| v.into()).collect(),
                Tensor::F16(a) => a.iter().map(|v| v.to_f64().into()).collect(),
                Tensor::BF16(a) => a.iter().map(|v| v.to_f64().into()).collect(),
                _ => elements(&input).into_iter().map(Scalar::Integer).collect(),
            };
            let expected: Vec<i64> = scalars
                .iter()
                .map(|&value| match (value, to) {
                    (Scalar::Float(v), DType::U8) => (v as u8).into(),
                    (Scalar::Float(v), DType::I32) => (v as i32).into(),
                    (Scalar::Float(v), DType::I64) => v as i64,
                    (Scalar::Integer(v), DType::U8) => (v as u8).into(),
                    (Scalar::Integer(v), DType::I32) => (v as i32).into(),
                    (Scalar::Integer(v), DType::I64) => v,
                    (Scalar::Integer(v), DType::F32) => f64::from(v as f32).to_bits() as i64,
                    (Scalar::Integer(v), DType::F64) => (v as f64).to_bits() as i64,
                    (_, DType::Bool) => value.is_true().into(),
                    // Of the reference, which has tests of its own.
                    _ => value.cast(to).bits() as i64,
                })
                .collect();
            let graph = single(Op::cast_to(to), &[from]);
            for emitter in kinds() {
                let got = compiled(&graph, emitter).run(&[input.view()]).unwrap().remove(0);
                for ((got, expected), value) in elements(&got).iter().zip(&expected).zip(&scalars) {
                    assert_eq!(got, expected, "{emitter}: {value:?} from {from} to {to}");
                }
            }
        }
    }
}

#[test]
fn every_length_and_stride() {
    let text = "kernel k(x: u8[..], y: i32[..], z: i64[..]) {
        let w = i32(x) * y;
        (u8(w + 1), w / (y + 3), i64(y) * z, select(x > 7, y, 5), f64(z), z < 0)
    }";
    let graph = parse(text).unwrap();
    let mut rng = Rng::new(3);
    let numbers: Vec<i64> = (0..300).map(|_| (rng.next() as i64) >> rng.below(60)).collect();
    let x = Array1::from_iter(numbers.iter().map(|&v| v as u8));
    let y = Array1::from_iter(numbers.iter().rev().map(|&v| v as i32));
    let z = Array1::from(numbers);
    for emitter in kinds() {
        let kernel = compiled(&graph, emitter);
        for n in 0..=131usize {
            for step in [1, 2, -1] {
                let span = (n * 2) as isize;
                let (x, y, z) = (
                    x.slice(s![..span; step]),
                    y.slice(s![..span; step]),
                    z.slice(s![..span; step]),
                );
                let (x, y, z) = (x.slice(s![..n]), y.slice(s![..n]), z.slice(s![..n]));
                let got = kernel.run(&[x.into(), y.into(), z.into()]).unwrap();
                let integers = |values: Vec<i64>| values;
                let arrays = [
                    (DType::U8, integers(x.iter().map(|&v| v.into()).collect())),
                    (DType::I32, y.iter().map(|&v| v.into()).collect()),
                    (DType::I64, z.to_vec()),
                ];
                let arrays = arrays.map(|(dtype, data)| Array::new(dtype, vec![n], data).unwrap());
                let expected = eval(&graph, &arrays).unwrap();
                for (got, expected) in got.iter().zip(&expected) {
                    assert_eq!(elements(got), reference(expected), "{emitter} {n} step {step}");
                }
            }
        }
    }
}

#[test]
fn broadcasting() {
    let graph = parse("kernel k(x: i32[n, d], y: i64[d], z: u8[n, 1]) { x * y + z }").unwrap();
    let x = Array2::from_shape_fn((5, 33), |(i, j)| (i * 1_000_003 + j * 77_777) as i32);
    let y = Array1::from_iter((0..33).map(|j| (j as i64 - 16) << 40));
    let z = Array2::from_shape_fn((5, 1), |(i, _)| 250 + i as u8);
    for emitter in kinds() {
        let got = compiled(&graph, emitter).run(&[(&x).into(), (&y).into(), (&z).into()]);
        let got = got.unwrap().remove(0).into_i64().unwrap();
        for ((i, j), &x) in x.indexed_iter() {
            let expected = i64::from(x).wrapping_mul(y[j]).wrapping_add(z[[i, 0]].into());
            assert_eq!(got[[i, j]], expected, "{emitter} at {i}, {j}");
        }
        // A transposed operand is walked by its strides.
        let turned = x.t();
        let same = parse("kernel k(x: i32[..]) { x + 0 }").unwrap();
        let got = compiled(&same, emitter).run(&[turned.into()]).unwrap().remove(0);
        assert_eq!(got.into_i32().unwrap(), turned.to_owned().into_dyn());
    }
}

/// A random graph over integers: their ops, comparisons, choices and all casts.
fn random_graph(rng: &mut Rng) -> Graph {
    let ops: Vec<Op> = Op::ALL
        .iter()
        .copied()
        .filter(|op| match op.info().typing {
            Typing::Number | Typing::Integer | Typing::Logic | Typing::Compare => true,
            Typing::Select | Typing::Cast(_) => true,
            Typing::Float => false,
        })
        .collect();
    let mut graph = Graph::new("random");
    let mut nodes: Vec<NodeId> = Vec::new();
    for dtype in INPUTS {
        let name = format!("x_{dtype}");
        nodes.push(graph.input(Input { name, dtype, dims: None }).unwrap());
    }
    for _ in 0..2 + rng.below(24) {
        let op = rng.pick(&ops);
        let dtype = match op.info().typing {
            Typing::Cast(_) => rng.pick(&INPUTS),
            Typing::Logic => rng.pick(&[DType::Bool, DType::U8, DType::I32, DType::I64]),
            _ => rng.pick(&INTEGERS),
        };
        let mut operand = |graph: &mut Graph, dtype: DType| {
            if dtype.is_integer() && rng.below(6) == 0 {
                return graph.constant(dtype, Scalar::from(rng.pick(&EDGES)).cast(dtype)).unwrap();
            }
            let fitting: Vec<NodeId> =
                nodes.iter().copied().filter(|&id| graph.dtype(id) == dtype).collect();
            fitting[fitting.len() - 1 - rng.below(fitting.len().min(4))]
        };
        let operands: Vec<NodeId> = (0..op.arity())
            .map(|index| match op.info().typing {
                Typing::Select if index == 0 => operand(&mut graph, DType::Bool),
                _ => operand(&mut graph, dtype),
            })
            .collect();
        let node = graph.op(op, &operands).unwrap();
        // Rounding to halves has tests of its own.
        if INPUTS.contains(&graph.dtype(node)) {
            nodes.push(node);
        }
    }
    for back in 0..3 {
        graph.output(nodes[nodes.len() - 1 - back]);
    }
    graph.normalized()
}

const INPUTS: [DType; 6] = [DType::Bool, DType::U8, DType::I32, DType::I64, DType::F32, DType::F64];

/// The bits of the reference, whatever the emitter and however the graph is fused; and the same
/// graph from its text.
#[test]
fn random_graphs_have_one_meaning() {
    const LENGTH: usize = 53;
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let graph = random_graph(&mut rng);
        let again: Graph = graph.to_string().parse().unwrap_or_else(|e| panic!("{graph}\n{e}"));
        assert_eq!(again, graph, "{graph}");
        let inputs = INPUTS.map(|dtype| {
            let values: Vec<i64> = (0..LENGTH)
                .map(|_| match rng.below(3) {
                    0 => rng.pick(&EDGES),
                    _ => (rng.next() as i64) >> rng.below(64),
                })
                .collect();
            tensor(dtype, &values)
        });
        let views: Vec<View<'_>> = inputs.iter().map(Tensor::view).collect();
        let arrays = inputs.each_ref().map(|tensor| match tensor {
            Tensor::F32(a) => {
                Array::new(DType::F32, vec![LENGTH], a.iter().map(|&v| f64::from(v)).collect())
            }
            Tensor::F64(a) => Array::new(DType::F64, vec![LENGTH], a.iter().copied().collect()),
            other => Array::new(other.dtype(), vec![LENGTH], elements(other)),
        });
        let expected = eval(&graph, &arrays.map(Result::unwrap)).unwrap();
        let mut options: Vec<CompileOptions> =
            kinds().into_iter().map(|kind| CompileOptions::new().emitter(kind)).collect();
        options.push(CompileOptions::new().mode(Mode::Strict));
        options.push(CompileOptions::new().mode(Mode::Fast));
        options.push(CompileOptions::unfused());
        for options in options {
            let kernel = compile_with(&graph, options).unwrap();
            let got = kernel.run(&views).unwrap();
            for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
                let mut expected = reference(expected);
                // What reads no input is one number.
                if elements(got).len() == LENGTH && expected.len() == 1 {
                    expected = vec![expected[0]; LENGTH];
                }
                assert_eq!(elements(got), expected, "output {index} {options:?}\n{graph}");
            }
        }
    }
}

/// What is algebra of floats is wrong for integers, which wrap around, or has no meaning for them.
#[test]
fn rules_leave_integers_alone() {
    let (x, y): (Vec<i64>, Vec<i64>) = pairs(0);
    for body in [
        "sign(-x)",
        "x * y + y",
        "(-x) / y",
        "x / -y",
        "abs(-x) + abs(abs(x))",
        "x / 4 + x * 1 + (x + x)",
        "(x * 4) / 4",
        "max(abs(x), 0)",
        "-(-x) + min(max(x, y), 7)",
        "x * y + x * 3 - (x + y - y)",
        "select(x < y, x, x) + !(!x)",
        "xor(x & y, x | y) - -y",
    ] {
        for dtype in INTEGERS {
            let graph =
                parse(&format!("kernel k(x: {dtype}[n], y: {dtype}[n]) {{ {body} }}")).unwrap();
            let (a, b) = (tensor(dtype, &x), tensor(dtype, &y));
            let arrays = [&a, &b].map(|t| Array::new(dtype, vec![x.len()], elements(t)).unwrap());
            let expected = reference(&eval(&graph, &arrays).unwrap()[0]);
            for mode in Mode::ALL {
                let kernel = compile_with(&graph, CompileOptions::new().mode(mode)).unwrap();
                let got = kernel.run(&[a.view(), b.view()]).unwrap().remove(0);
                assert!(elements(&got) == expected, "{mode} {graph}{}", kernel.graph());
                assert!(kiln::explain::prove(&graph, mode).unwrap().steps.is_empty());
            }
        }
    }
}

#[test]
fn integers_meet_numbers_and_each_other() {
    let dtype = |text: &str| {
        let graph = parse(text).unwrap_or_else(|error| panic!("{error}"));
        graph.dtype(graph.outputs()[0])
    };
    assert_eq!(dtype("kernel k(x: u8, y: i32) { x + y }"), DType::I32);
    assert_eq!(dtype("kernel k(x: i64, y: i32) { max(x, y) * 2 }"), DType::I64);
    assert_eq!(dtype("kernel k(x: bool, y: u8) { x + y & 1 }"), DType::U8);
    assert_eq!(dtype("kernel k(x: i32) { x < 3 }"), DType::Bool);
    assert_eq!(dtype("kernel k(x: i32) { clamp(x, 0, 10) }"), DType::I32);
    assert_eq!(dtype("kernel k(x: i32, y: f32) { f32(x) * y }"), DType::F32);
    // Beyond 2^53 every digit counts.
    for number in
        ["9007199254740993", "9223372036854775807", "-9223372036854775808", "-9007199254740993"]
    {
        let graph = parse(&format!("kernel k(x: i64) {{ x + {number} }}")).unwrap();
        let constant = graph.iter().find_map(|(id, _)| graph.scalar(id)).unwrap();
        assert_eq!(constant, Scalar::Integer(number.parse().unwrap()));
    }
    let x = || ir::Expr::input("x: i64");
    let sum = (x() + i64::MAX) ^ (x() << 3) ^ (x() >> 2);
    let graph = ir::build("k", &[sum]).unwrap();
    assert_eq!(graph.to_string().parse::<Graph>().unwrap(), graph);
    let got = compiled(&graph, EmitterKind::Interp).run(&[tensor(DType::I64, &[-5]).view()]);
    let expected = (-5i64).wrapping_add(i64::MAX) ^ (-5 << 3) ^ (-5 >> 2);
    assert_eq!(elements(&got.unwrap()[0]), [expected]);
}

#[test]
fn what_does_not_fit_is_told() {
    let error = |text: &str| parse(text).unwrap_err().to_string().replace('\n', " ");
    for (text, parts) in [
        ("kernel k(x: i32, y: f32) { x + y }", &["add: operands are i32 and f32", "f32(x)"][..]),
        ("kernel k(x: i32, y: f64) { x < y }", &["lt: operands are i32 and f64", "f32(x)"]),
        ("kernel k(p: bool, x: i32, y: f32) { select(p, x, y) }", &["do not mix"]),
        ("kernel k(x: i32) { x * 0.5 }", &["the number 0.5 is no i32", "f32(x)"]),
        ("kernel k(x: i32) { x / 2.0 }", &["the number 2.0 is no i32", "without a point"]),
        ("kernel k(x: u8) { x + 256 }", &["the number 256 is no u8", "0 to 255"]),
        ("kernel k(x: u8) { x + -1 }", &["the number -1 is no u8"]),
        ("kernel k(x: i64) { x + 9223372036854775808 }", &["is no i64"]),
        ("kernel k(x: i32) { sqrt(x) }", &["sqrt: operands are i32", "it takes floats"]),
        ("kernel k(x: i32) { fma(x, x, x) }", &["it takes floats"]),
        ("kernel k(x: f32) { shl(x, 2) }", &["shl: operands are f32", "it takes integers"]),
        ("kernel k(x: f32) { x & x }", &["it takes bools, or integers"]),
        ("kernel k(x: i32, y: i32) { x @ y }", &["matmul", "it takes floats"]),
        ("300u8", &["out of the range of u8", "0 to 255"]),
        ("-1u8", &["out of the range of u8"]),
        ("2.5i32", &["a number of type i32 is written in digits"]),
    ] {
        let message = error(text);
        assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
    }
    let kernel = kiln::compile_text("kernel k(x: i32[n]) { x + 1 }").unwrap();
    let error = kernel.run(&[tensor(DType::I64, &[1]).view()]).unwrap_err().to_string();
    assert!(error.contains("i64") && error.contains("i32"), "{error}");
}
