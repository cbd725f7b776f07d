//! From a fused body to a vector program: every op expanded into primitives.
//!
//! The expansion of an op *is* its definition on the machine. There is one function per op, in
//! `math` if it needs an algorithm. The `match` below has no `_` arm, so a new row of the op table
//! does not compile until it is lowered.

mod integer;
pub(crate) mod mask;
pub(crate) mod product;
mod range;
pub(crate) mod rows;

use half::{bf16, f16};
use kiln_ir::{DType, Graph, Node, NodeId, Op, Scalar, Typing};
use kiln_jit::math::{self, Range};
use kiln_jit::vir::{Builder, Routine, Storage, Type, Value, interp};
use range::{ranges, within};

pub use kiln_jit::math::Tier;

/// The largest error of `op` in units in the last place of `dtype`.
pub fn max_ulp(tier: Tier, op: Op, dtype: DType) -> f64 {
    match tier {
        Tier::Default => op.max_ulp(dtype),
        Tier::Fast => op.fast_ulp(dtype),
    }
}

/// How an element of this type lies in memory.
pub(crate) fn storage(dtype: DType) -> Storage {
    match dtype {
        DType::Bool => Storage::Bool,
        DType::U8 => Storage::U8,
        DType::I32 => Storage::I32,
        DType::I64 => Storage::I64,
        DType::F16 => Storage::F16,
        DType::BF16 => Storage::BF16,
        DType::F32 => Storage::F32,
        DType::F64 => Storage::F64,
    }
}

/// The program of a fused body: elementwise ops only.
///
/// # Panics
///
/// If the body holds anything else, which `fuse` never builds.
pub fn lower(body: &Graph, tier: Tier) -> Routine {
    let _env = kiln_fenv::hold_default();
    let mut b = Builder::new();
    let inputs: Vec<Value> = body.inputs().iter().map(|i| b.input(storage(i.dtype))).collect();
    let ranges = ranges(body);
    let mut values: Vec<Value> = Vec::with_capacity(body.nodes().len());
    for (id, node) in body.iter() {
        values.push(match node {
            Node::Input(index) => inputs[*index as usize],
            Node::Const(bits) => constant_of(&mut b, body.dtype(id), *bits),
            Node::Op(op, args) => {
                let operands: Vec<Value> = args.iter().map(|arg| values[arg.index()]).collect();
                let dtype = body.dtype(args[args.len() - 1]);
                lower_op(&mut b, tier, *op, dtype, &operands, within(ranges[args[0].index()]))
            }
            _ => panic!("a fused body holds elementwise ops only"),
        });
    }
    for &output in body.outputs() {
        let value = stored_value(&mut b, body, output, |id| Some(values[id.index()]));
        b.output(value, storage(body.dtype(output)));
    }
    b.finish()
}

/// What is stored of a node: where it rounds to half a word, the store does the rest. `value` has what
/// the program computes already.
fn stored_value(
    b: &mut Builder,
    body: &Graph,
    id: NodeId,
    value: impl Fn(NodeId) -> Option<Value>,
) -> Value {
    if let Node::Op(op @ (Op::ToF16 | Op::ToBF16), args) = body.node(id)
        && let Some(x) = value(args[0])
    {
        let x = math::before_half(b, x, storage(body.dtype(args[0])));
        return if *op == Op::ToF16 { x } else { math::before_bf16(b, x) };
    }
    value(id).expect("it was computed")
}

fn constant_of(b: &mut Builder, dtype: DType, bits: u64) -> Value {
    constant(b, dtype, Scalar::from_bits(dtype, bits))
}

fn constant(b: &mut Builder, dtype: DType, value: Scalar) -> Value {
    match (value, storage(dtype).lane()) {
        (_, Type::M32) => b.mask(Type::M32, value.is_true()),
        (Scalar::Float(value), lane) => b.float(lane, value),
        (Scalar::Integer(value), lane) => b.int(lane, value),
    }
}

/// The program of a single op on operands of type `dtype` (for accuracy and emitter tests).
///
/// Where `dtype` is a float type, logical operands are `bool`, and operands that must be integers
/// are `i32`.
///
/// # Panics
///
/// If the op does not take operands of type `dtype`.
pub fn op_program(op: Op, dtype: DType) -> Routine {
    op_program_in(Tier::Default, op, dtype)
}

/// [`op_program`] in a tier.
pub fn op_program_in(tier: Tier, op: Op, dtype: DType) -> Routine {
    let _env = kiln_fenv::hold_default();
    let mut b = Builder::new();
    let operand = |index: usize| match op.info().typing {
        Typing::Logic if !dtype.is_integer() => DType::Bool,
        Typing::Integer if !dtype.is_integer() => DType::I32,
        Typing::Select if index == 0 => DType::Bool,
        _ => dtype,
    };
    let dtypes: Vec<DType> = (0..op.arity()).map(operand).collect();
    // Halves are computed as `f32`.
    let computed = |&dtype: &DType| if dtype.is_float() { dtype.max(DType::F32) } else { dtype };
    let result_type = op.result_type(&dtypes.iter().map(computed).collect::<Vec<DType>>());
    let result_type = result_type.unwrap_or_else(|| panic!("{} takes no {dtype}", op.name()));
    let operands: Vec<Value> = dtypes.iter().map(|&dtype| b.input(storage(dtype))).collect();
    let result = lower_op(&mut b, tier, op, dtypes[dtypes.len() - 1], &operands, Range::ANY);
    b.output(result, storage(result_type));
    b.finish()
}

/// An op on numbers of type `dtype`, with the bits that a kernel would compute. A bool is 1 or 0.
pub(crate) fn compute(op: Op, dtype: DType, operands: &[f64]) -> f64 {
    // What is rounded correctly has no other bits, unless it is NaN. Most of what is folded is such.
    if matches!(op, Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Neg | Op::Fma)
        && matches!(dtype, DType::F32 | DType::F64)
    {
        let exact = op.eval(dtype, operands);
        if !exact.is_nan() {
            return exact;
        }
    }
    interpret(op, dtype, operands)
}

fn interpret(op: Op, dtype: DType, operands: &[f64]) -> f64 {
    let program = op_program(op, dtype);
    let columns: Vec<[u64; 1]> = operands
        .iter()
        .zip(&program.inputs)
        .map(|(&value, &storage)| [bits_of(storage, value)])
        .collect();
    let slices: Vec<&[u64]> = columns.iter().map(|column| &column[..]).collect();
    let result = interp::run(&program, &slices, 1)[0][0];
    value_of(program.outputs[0], result)
}

/// The bits of a number in memory. A bool is 1 or 0.
fn bits_of(storage: Storage, value: f64) -> u64 {
    match storage {
        Storage::Bool => u64::from(value != 0.0),
        Storage::U8 => u64::from(value as u8),
        Storage::I32 => u64::from(value as i32 as u32),
        Storage::I64 => value as i64 as u64,
        Storage::F16 => f16::from_f64(value).to_bits().into(),
        Storage::BF16 => bf16::from_f64(value).to_bits().into(),
        Storage::F32 => u64::from((value as f32).to_bits()),
        Storage::F64 => value.to_bits(),
    }
}

/// The number with these bits in memory.
fn value_of(storage: Storage, bits: u64) -> f64 {
    match storage {
        Storage::Bool | Storage::U8 => bits as f64,
        Storage::I32 => f64::from(bits as i32),
        Storage::I64 => bits as i64 as f64,
        Storage::F16 => f16::from_bits(bits as u16).to_f64(),
        Storage::BF16 => bf16::from_bits(bits as u16).to_f64(),
        Storage::F32 => f64::from(f32::from_bits(bits as u32)),
        Storage::F64 => f64::from_bits(bits),
    }
}

/// Expands one op, whose last operand has type `dtype` and whose first is known to be `within`.
/// Between ops, a bool is a mask of 32-bit lanes ([`Type::M32`]), and a `u8` is 0 to 255 in such a
/// lane.
fn lower_op(
    b: &mut Builder,
    tier: Tier,
    op: Op,
    dtype: DType,
    operands: &[Value],
    within: Range,
) -> Value {
    if dtype.is_integer() && op.info().integers.is_some() {
        return integer::lower_op(b, op, storage(dtype), operands);
    }
    let x = operands[0];
    let y = operands.get(1).copied().unwrap_or(x);
    let z = operands.get(2).copied().unwrap_or(x);
    match op {
        Op::Neg => b.neg(x),
        Op::Not => b.not(x),
        Op::Add => b.add(x, y),
        Op::Sub => b.sub(x, y),
        Op::Mul => b.mul(x, y),
        Op::Div => b.div(x, y),
        Op::Rem => math::rem(b, x, y),
        Op::FloorDiv => math::floordiv(b, x, y),
        Op::Modulo => math::modulo(b, x, y),
        Op::And => b.and(x, y),
        Op::Or => b.or(x, y),
        Op::Xor => b.xor(x, y),
        Op::Shl | Op::Shr => unreachable!("{} takes integers alone", op.name()),
        Op::Abs => b.abs(x),
        Op::Sign => math::sign(b, x),
        Op::Floor => b.floor(x),
        Op::Ceil => b.ceil(x),
        Op::Round => b.nearest(x),
        Op::Trunc => b.trunc(x),
        Op::Sqrt => b.sqrt(x),
        Op::Rsqrt => math::rsqrt(b, x),
        Op::Cbrt => math::cbrt(b, x),
        Op::Recip => math::recip(b, x),
        Op::Exp => math::exp(b, x, within),
        Op::Exp2 => math::exp2(b, x, within),
        Op::Exp10 => math::exp10(b, x, within),
        Op::Expm1 => math::expm1(b, x, within),
        Op::Log => math::log(b, x, within),
        Op::Log2 => math::log2(b, x),
        Op::Log10 => math::log10(b, x),
        Op::Log1p => math::log1p(b, x, within),
        Op::Sin => math::sin(b, tier, x),
        Op::Cos => math::cos(b, tier, x),
        Op::Tan => math::tan(b, tier, x),
        Op::Asin => math::asin(b, tier, x),
        Op::Acos => math::acos(b, x),
        Op::Atan => math::atan(b, tier, x),
        Op::Sinh => math::sinh(b, tier, x),
        Op::Cosh => math::cosh(b, x),
        Op::Tanh => math::tanh(b, tier, x),
        Op::Tanhshrink => math::tanhshrink(b, x),
        Op::Asinh => math::asinh(b, x),
        Op::Acosh => math::acosh(b, x),
        Op::Atanh => math::atanh(b, x),
        Op::Sigmoid => math::sigmoid(b, tier, x, within),
        Op::Erf => math::erf(b, tier, x),
        Op::Erfc => math::erfc(b, x),
        Op::Normcdf => math::normcdf(b, x, within),
        Op::ToU8 => math::to_integer(b, x, storage(dtype), Storage::U8),
        Op::ToI32 => math::to_integer(b, x, storage(dtype), Storage::I32),
        Op::ToI64 => math::to_integer(b, x, storage(dtype), Storage::I64),
        Op::ToF16 => {
            let x = math::before_half(b, x, storage(dtype));
            math::to_f16(b, x)
        }
        Op::ToBF16 => {
            let x = math::before_half(b, x, storage(dtype));
            math::to_bf16(b, x)
        }
        Op::ToF32 => math::to_float(b, x, storage(dtype), Type::F32),
        Op::ToF64 => math::to_float(b, x, storage(dtype), Type::F64),
        Op::ToBool => math::to_bool(b, x),
        Op::Min => math::minimum(b, x, y),
        Op::Max => math::maximum(b, x, y),
        Op::Pow => math::pow(b, x, y),
        Op::Atan2 => math::atan2(b, x, y),
        Op::Hypot => math::hypot(b, x, y),
        Op::CopySign => b.copysign(x, y),
        Op::Lt => compared(b, Builder::lt, x, y),
        Op::Le => compared(b, Builder::le, x, y),
        Op::Gt => compared(b, Builder::gt, x, y),
        Op::Ge => compared(b, Builder::ge, x, y),
        Op::Eq => compared(b, Builder::eq, x, y),
        Op::Ne => compared(b, Builder::ne, x, y),
        // A choice between equals: the mask counts only for the shape.
        Op::Select if y == z => y,
        Op::IsNan => math::is_nan(b, x),
        Op::IsInf => math::is_infinite(b, x),
        Op::IsFinite => math::is_finite(b, x),
        Op::Select => {
            let lanes = b.ty(y);
            let mask = b.resize_mask(x, lanes);
            b.select(mask, y, z)
        }
        Op::Fma => b.fma(x, y, z),
        Op::Clamp => {
            let raised = math::maximum(b, x, y);
            math::minimum(b, raised, z)
        }
    }
}

/// A comparison, with its mask resized to that of a bool.
fn compared(
    b: &mut Builder,
    compare: impl Fn(&mut Builder, Value, Value) -> Value,
    x: Value,
    y: Value,
) -> Value {
    let mask = compare(b, x, y);
    b.resize_mask(mask, Type::M32)
}

#[cfg(test)]
mod tests {
    use super::{compute, interpret};
    use kiln_ir::{DType, Op};

    /// What is folded without the program of an op has the bits of that program.
    #[test]
    fn numbers_are_folded_to_the_bits_of_kernels() {
        for (dtype, tiny, large) in [
            (DType::F32, f64::from(f32::from_bits(1)), f64::from(f32::MAX)),
            (DType::F64, f64::from_bits(1), f64::MAX),
        ] {
            let third = dtype.round(1.0 / 3.0);
            let positive =
                [0.0, tiny, third, 1.5, 1e10, large, f64::INFINITY].map(|n| dtype.round(n));
            let all: Vec<f64> = positive.into_iter().chain(positive.map(|n| -n)).collect();
            let check = |op: Op, operands: &[f64]| {
                let [quick, slow] = [compute, interpret].map(|run| run(op, dtype, operands));
                let same = quick.to_bits() == slow.to_bits() || quick.is_nan() && slow.is_nan();
                assert!(same, "{op:?} of {operands:?}: {quick:e}, {slow:e}");
            };
            for &a in &all {
                check(Op::Neg, &[a]);
                for &b in &all {
                    [Op::Add, Op::Sub, Op::Mul, Op::Div].iter().for_each(|&op| check(op, &[a, b]));
                    all.iter().for_each(|&c| check(Op::Fma, &[a, b, c]));
                }
            }
        }
    }
}
