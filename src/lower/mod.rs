//! From a fused body to a vector program: every op expanded into primitives.
//!
//! The expansion of an op *is* its definition on the machine. There is one function per op, in
//! `math` where it takes an algorithm; the `match` below has no `_` arm, so a new row of the op
//! table does not compile until it is lowered.

pub(crate) mod math;
mod range;

use crate::vir::{Builder, Program, Storage, Type, Value, interp};
use half::{bf16, f16};
use kiln_ir::{DType, Graph, Node, Op, Scalar, Typing};
use range::{Range, ranges};

/// How accurate the expansions of a program are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Every op within the bound in its row of the op table.
    #[default]
    Default,
    /// Ops for which that is at least a fifth faster within 4 ULP, the others as by default.
    Fast,
}

impl Tier {
    /// The largest error of `op` in units in the last place of `dtype`.
    pub fn max_ulp(self, op: Op, dtype: DType) -> f64 {
        match self {
            Tier::Default => op.max_ulp(dtype),
            Tier::Fast => op.fast_ulp(dtype),
        }
    }
}

/// How an element of this type lies in memory.
pub fn storage(dtype: DType) -> Storage {
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
/// If the body holds anything else: `fuse` never builds such a body.
pub fn lower(body: &Graph, tier: Tier) -> Program {
    let _env = kiln_fenv::hold_default();
    let mut b = Builder::new();
    let inputs: Vec<Value> = body.inputs().iter().map(|i| b.input(storage(i.dtype))).collect();
    let ranges = ranges(body);
    let mut values: Vec<Value> = Vec::with_capacity(body.nodes().len());
    for (id, node) in body.iter() {
        values.push(match node {
            Node::Input(index) => inputs[*index as usize],
            Node::Const(bits) => {
                let dtype = body.dtype(id);
                constant(&mut b, dtype, Scalar::from_bits(dtype, *bits))
            }
            Node::Op(op, args) => {
                let operands: Vec<Value> = args.iter().map(|arg| values[arg.index()]).collect();
                let dtype = body.dtype(args[args.len() - 1]);
                lower_op(&mut b, tier, *op, dtype, &operands, ranges[args[0].index()].into())
            }
            _ => panic!("a fused body holds elementwise ops only"),
        });
    }
    for &output in body.outputs() {
        let value = match body.node(output) {
            // The store does the rest.
            Node::Op(Op::ToF16, args) => {
                let x = values[args[0].index()];
                math::integer_casts::before_half(&mut b, x, body.dtype(args[0]))
            }
            Node::Op(Op::ToBF16, args) => {
                let x = values[args[0].index()];
                let x = math::integer_casts::before_half(&mut b, x, body.dtype(args[0]));
                math::half::before_bf16(&mut b, x)
            }
            _ => values[output.index()],
        };
        b.output(value, storage(body.dtype(output)));
    }
    b.finish()
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
/// Where `dtype` is a float type, logical operands are `bool`, and those that must be integers are
/// `i32`.
///
/// # Panics
///
/// If the op does not take operands of type `dtype`.
pub fn op_program(op: Op, dtype: DType) -> Program {
    op_program_in(Tier::Default, op, dtype)
}

/// [`op_program`] in a tier.
pub fn op_program_in(tier: Tier, op: Op, dtype: DType) -> Program {
    let _env = kiln_fenv::hold_default();
    let mut b = Builder::new();
    let operand = |index: usize| match op.info().typing {
        Typing::Logic if !dtype.is_integer() => DType::Bool,
        Typing::Integer if !dtype.is_integer() => DType::I32,
        Typing::Select if index == 0 => DType::Bool,
        _ => dtype,
    };
    let dtypes: Vec<DType> = (0..op.arity()).map(operand).collect();
    // Halves are computed with as `f32`.
    let computed = |&dtype: &DType| if dtype.is_float() { dtype.max(DType::F32) } else { dtype };
    let result_type = op.result_type(&dtypes.iter().map(computed).collect::<Vec<DType>>());
    let result_type = result_type.unwrap_or_else(|| panic!("{} takes no {dtype}", op.name()));
    let operands: Vec<Value> = dtypes.iter().map(|&dtype| b.input(storage(dtype))).collect();
    let result = lower_op(&mut b, tier, op, dtypes[dtypes.len() - 1], &operands, Range::ANY);
    b.output(result, storage(result_type));
    b.finish()
}

/// An op on numbers of type `dtype`, with the bits that a kernel would compute. A bool is 1 or 0.
pub fn compute(op: Op, dtype: DType, operands: &[f64]) -> f64 {
    let program = op_program(op, dtype);
    let columns: Vec<[u64; 1]> = operands
        .iter()
        .zip(&program.inputs)
        .map(|(&value, &storage)| [bits_of(storage, value)])
        .collect();
    let slices: Vec<&[u64]> = columns.iter().map(|column| &column[..]).collect();
    let result = interp::run(&program, &slices, 1)[0][0];
    value_of(program.outputs[0].storage, result)
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

/// The number of which these are the bits in memory.
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

/// Expands one op, whose last operand is of type `dtype` and whose first is known to be `within`.
/// Between ops a bool is a mask of 32-bit lanes ([`Type::M32`]), and a `u8` is 0 to 255 in such a
/// lane.
fn lower_op(
    b: &mut Builder,
    tier: Tier,
    op: Op,
    dtype: DType,
    operands: &[Value],
    within: Range,
) -> Value {
    use math::integer_casts;
    if dtype.is_integer() && op.info().integers.is_some() {
        return math::integer::integer_op(b, op, dtype, operands);
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
        Op::Rem => math::rem::rem(b, x, y),
        Op::FloorDiv => math::floor::floordiv(b, x, y),
        Op::Modulo => math::floor::modulo(b, x, y),
        Op::And => b.and(x, y),
        Op::Or => b.or(x, y),
        Op::Xor => b.xor(x, y),
        Op::Shl | Op::Shr => unreachable!("{} takes integers alone", op.name()),
        Op::Abs => b.abs(x),
        Op::Sign => math::basic::sign(b, x),
        Op::Floor => b.floor(x),
        Op::Ceil => b.ceil(x),
        Op::Round => b.nearest(x),
        Op::Trunc => b.trunc(x),
        Op::Sqrt => b.sqrt(x),
        Op::Rsqrt => math::root::rsqrt(b, x),
        Op::Cbrt => math::root::cbrt(b, x),
        Op::Recip => math::basic::recip(b, x),
        Op::Exp => math::exp::exp(b, x, within),
        Op::Exp2 => math::exp::exp2(b, x, within),
        Op::Exp10 => math::exp::exp10(b, x, within),
        Op::Expm1 => math::exp::expm1(b, x, within),
        Op::Log => math::log::log(b, x, within),
        Op::Log2 => math::log::log2(b, x),
        Op::Log10 => math::log::log10(b, x),
        Op::Log1p => math::log::log1p(b, x, within),
        Op::Sin => math::trig::sin(b, tier, x),
        Op::Cos => math::trig::cos(b, tier, x),
        Op::Tan => math::trig::tan(b, tier, x),
        Op::Asin => math::inverse_trig::asin(b, tier, x),
        Op::Acos => math::inverse_trig::acos(b, x),
        Op::Atan => math::inverse_trig::atan(b, tier, x),
        Op::Sinh => math::hyperbolic::sinh(b, tier, x),
        Op::Cosh => math::hyperbolic::cosh(b, x),
        Op::Tanh => math::hyperbolic::tanh(b, tier, x),
        Op::Tanhshrink => math::tanhshrink::tanhshrink(b, x),
        Op::Asinh => math::inverse_hyperbolic::asinh(b, x),
        Op::Acosh => math::inverse_hyperbolic::acosh(b, x),
        Op::Atanh => math::inverse_hyperbolic::atanh(b, x),
        Op::Sigmoid => math::hyperbolic::sigmoid(b, tier, x, within),
        Op::Erf => math::erf::erf(b, tier, x),
        Op::Erfc => math::erf::erfc(b, x),
        Op::Normcdf => math::normcdf::normcdf(b, x, within),
        Op::ToU8 => integer_casts::to_integer(b, x, dtype, DType::U8),
        Op::ToI32 => integer_casts::to_integer(b, x, dtype, DType::I32),
        Op::ToI64 => integer_casts::to_integer(b, x, dtype, DType::I64),
        Op::ToF16 => {
            let x = integer_casts::before_half(b, x, dtype);
            math::half::to_f16(b, x)
        }
        Op::ToBF16 => {
            let x = integer_casts::before_half(b, x, dtype);
            math::half::to_bf16(b, x)
        }
        Op::ToF32 => integer_casts::to_float(b, x, dtype, Type::F32),
        Op::ToF64 => integer_casts::to_float(b, x, dtype, Type::F64),
        Op::ToBool => integer_casts::to_bool(b, x),
        Op::Min => math::basic::minimum(b, x, y),
        Op::Max => math::basic::maximum(b, x, y),
        Op::Pow => math::pow::pow(b, x, y),
        Op::Atan2 => math::inverse_trig::atan2(b, x, y),
        Op::Hypot => math::root::hypot(b, x, y),
        Op::CopySign => b.copysign(x, y),
        Op::Lt => compared(b, Builder::lt, x, y),
        Op::Le => compared(b, Builder::le, x, y),
        Op::Gt => compared(b, Builder::gt, x, y),
        Op::Ge => compared(b, Builder::ge, x, y),
        Op::Eq => compared(b, Builder::eq, x, y),
        Op::Ne => compared(b, Builder::ne, x, y),
        // It says over which domain a value is repeated, and no more.
        Op::Select if y == z => y,
        Op::IsNan => math::basic::is_nan(b, x),
        Op::IsInf => math::basic::is_infinite(b, x),
        Op::IsFinite => math::basic::is_finite(b, x),
        Op::Select => {
            let lanes = b.ty(y);
            let mask = b.resize_mask(x, lanes);
            b.select(mask, y, z)
        }
        Op::Fma => b.fma(x, y, z),
        Op::Clamp => {
            let raised = math::basic::maximum(b, x, y);
            math::basic::minimum(b, raised, z)
        }
    }
}

/// A comparison, its mask brought to the width of a bool.
fn compared(
    b: &mut Builder,
    compare: impl Fn(&mut Builder, Value, Value) -> Value,
    x: Value,
    y: Value,
) -> Value {
    let mask = compare(b, x, y);
    b.resize_mask(mask, Type::M32)
}
