//! `u8`, `i32` and `i64`: the arithmetic of Rust's `wrapping_*`, on every emitter.

mod graphs;
mod ops;

use common::Rng;
use half::{bf16, f16};
use kiln::ir::{Array, Input, NodeId, Op};
use kiln::{CompileOptions, DType, EmitterKind, Graph, Kernel, Tensor, View, compile_with};
use ndarray::Array1;

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
