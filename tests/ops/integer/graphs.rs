//! Ops together: in kernels of any shape, with numbers of other types, under the rules of floats.

use super::{EDGES, INTEGERS, compiled, elements, pairs, reference, tensor};
use common::Rng;
use common::runner::kinds;
use kiln::ir::{self, Array, Input, NodeId, Op, Scalar, Typing, eval, parse};
use kiln::{CompileOptions, DType, EmitterKind, Graph, Mode, Tensor, View, compile_with};
use ndarray::{Array1, Array2, s};

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
            // Those of calls.
            Typing::Truth
            | Typing::Index
            | Typing::Same
            | Typing::Pick
            | Typing::Count
            | Typing::Place
            | Typing::Product => false,
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
        ("300u8", &["the number 300 is no u8", "0 to 255"]),
        ("-1u8", &["the number -1 is no u8"]),
        ("2.5i32", &["is no i32", "have no fractions"]),
    ] {
        let message = error(text);
        assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
    }
    let kernel = kiln::compile_text("kernel k(x: i32[n]) { x + 1 }").unwrap();
    let error = kernel.run(&[tensor(DType::I64, &[1]).view()]).unwrap_err().to_string();
    assert!(error.contains("i64") && error.contains("i32"), "{error}");
}
