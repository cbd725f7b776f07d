//! Each op and each cast, on its own.

use super::{EDGES, INTEGERS, check_op, compiled, elements, of_rust, of_u8, pairs, single, tensor};
use common::runner::kinds;
use kiln::ir::{Op, Scalar, Typing, parse};
use kiln::{DType, EmitterKind, Tensor};

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
