//! **The op table.** Every elementwise op is one row here and one function in `lower`.
//!
//! From a row come the variant of [`Op`], its name in text, its `Expr` method, its type rule, its
//! node in the e-graph, its meaning in the reference interpreter, its tests and its documentation.
//! Ops that can be composed of others without loss (gelu, mish, ...) have no row: they are functions in
//! [`derived`](crate::derived).

use crate::dtype::DType;
use crate::number::Scalar;
use crate::range::{self, Transfer};
use crate::scalar;
use crate::typing::Typing;

/// The scalar meaning of an op, evaluated in `f64`; a bool is 1 or 0.
#[derive(Clone, Copy, Debug)]
pub enum Reference {
    /// One operand.
    Unary(fn(f64) -> f64),
    /// Two operands.
    Binary(fn(f64, f64) -> f64),
    /// Three operands.
    Ternary(fn(f64, f64, f64) -> f64),
}

/// The meaning of an op on integers, in `i64`. The result wraps to the width of their type.
#[derive(Clone, Copy, Debug)]
pub enum IntegerReference {
    /// One operand.
    Unary(fn(i64) -> i64),
    /// Two operands. The second operand of a shift is less than the width.
    Binary(fn(i64, i64) -> i64),
    /// Three operands.
    Ternary(fn(i64, i64, i64) -> i64),
}

/// Algebraic properties of an op on floats. They hold for the bits of every implementation;
/// [`COMMUTATIVE`](Flags::COMMUTATIVE) holds for integers too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// No property.
    pub const NONE: Flags = Flags(0);
    /// `f(a, b) = f(b, a)`.
    pub const COMMUTATIVE: Flags = Flags(1);
    /// `f(-a) = -f(a)`.
    pub const ODD: Flags = Flags(2);
    /// `f(-a) = f(a)`.
    pub const EVEN: Flags = Flags(4);
    /// The result jumps somewhere: operands an ULP apart may have results that are far apart.
    /// Comparisons and conversions to integers and bools need no flag.
    pub const STEP: Flags = Flags(8);

    /// Whether every property of `other` holds.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    const fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// A row of the op table.
#[derive(Clone, Copy, Debug)]
pub struct OpInfo {
    /// The op.
    pub op: Op,
    /// Its name in text.
    pub name: &'static str,
    /// Its type rule.
    pub typing: Typing,
    /// Maximum error in units in the last place of the result, for `f32` and for `f64`;
    /// 0.5 is correctly rounded, 0 is exact.
    pub max_ulp: [f64; 2],
    /// The same in the fast tier; `max_ulp` where it has no expansion of its own.
    pub fast_ulp: [f64; 2],
    /// Algebraic properties.
    pub flags: Flags,
    /// Bounds of a float result where it is not NaN.
    pub range: (f64, f64),
    /// What is known of a float result, given what is known of the operands.
    pub transfer: Transfer,
    /// The scalar meaning. For an op on integers alone, it holds for numbers small enough not to wrap.
    pub reference: Reference,
    /// The meaning on integers, for an op that takes them and is no comparison, choice or conversion.
    pub integers: Option<IntegerReference>,
    /// One line of documentation.
    pub doc: &'static str,
}

/// Calls `$callback!` with every row of the op table.
///
/// A row is `Variant name Typing [f32 ulp, f64 ulp] {flags} (range) Transfer = reference, "doc";`, with
/// `; f32 ulp, f64 ulp` of the fast tier inside the first brackets where they differ, and
/// `; meaning on integers` after the reference of an op that takes them, and `also "name"` after the doc
/// for names that the method has elsewhere, which the documentation's search then finds. Rows of `operators` have no
/// `Expr` method of their own: the operator is the method.
#[macro_export]
#[doc(hidden)]
macro_rules! for_each_op {
    ($callback:ident) => {
        $callback! {
            operators {
                Neg neg Unary Number [0.0, 0.0] {ODD} (NEG_INF, INF) Falling = |a| -a; i64::wrapping_neg, "`-a`: the sign flipped, of NaN too";
                Not not Unary Logic [0.0, 0.0] {} (0.0, 1.0) Bounds = |a| truth(a == 0.0); |a| !a, "`!a`: logical not; of integers, every bit flipped";
                Add add Binary Number [0.5, 0.5] {COMMUTATIVE} (NEG_INF, INF) Of(range::sum) = |a, b| a + b; i64::wrapping_add, "`a + b`";
                Sub sub Binary Number [0.5, 0.5] {} (NEG_INF, INF) Of(range::difference) = |a, b| a - b; i64::wrapping_sub, "`a - b`";
                Mul mul Binary Number [0.5, 0.5] {COMMUTATIVE} (NEG_INF, INF) Of(range::product) = |a, b| a * b; i64::wrapping_mul, "`a * b`";
                Div div Binary Number [0.5, 0.5] {} (NEG_INF, INF) Of(range::quotient) = |a, b| a / b; scalar::integer_quotient, "`a / b`; of integers the quotient rounded toward zero, 0 where `b` is 0";
                Rem rem Binary Number [0.0, 0.0] {STEP} (NEG_INF, INF) Of(range::no_larger) = libm::fmod; scalar::integer_remainder, "`a % b`: the remainder of the quotient rounded toward zero, exact, with the sign of `a` (as Rust and C, and NumPy's `fmod`; Python's is `modulo`); of integers 0 where `b` is 0";
                And and Binary Logic [0.0, 0.0] {COMMUTATIVE} (0.0, 1.0) Bounds = |a, b| truth(a != 0.0 && b != 0.0); |a, b| a & b, "`a & b`: logical and; of integers bit by bit";
                Or or Binary Logic [0.0, 0.0] {COMMUTATIVE} (0.0, 1.0) Bounds = |a, b| truth(a != 0.0 || b != 0.0); |a, b| a | b, "`a | b`: logical or; of integers bit by bit";
                Xor xor Binary Logic [0.0, 0.0] {COMMUTATIVE} (0.0, 1.0) Bounds = |a, b| truth(a != b); |a, b| a ^ b, "Exclusive or, `a ^ b` in Rust; of integers bit by bit";
                Shl shl Binary Integer [0.0, 0.0] {} (NEG_INF, INF) Bounds = |a, b| a * b.exp2(); |a, by| a << by, "The integer `a` shifted left, `a << b` in Rust, by `b` modulo its width";
                Shr shr Binary Integer [0.0, 0.0] {} (NEG_INF, INF) Bounds = |a, b| (a / b.exp2()).floor(); |a, by| a >> by, "The integer `a` shifted right, `a >> b` in Rust, its sign kept, by `b` modulo its width";
            }
            methods {
                FloorDiv floordiv Binary Number [0.5, 0.5] {STEP} (NEG_INF, INF) Bounds = scalar::floor_quotient; scalar::integer_floor_quotient, "`a // b` in text: the quotient rounded down (as Python and NumPy), of floats the exact one; of integers 0 where `b` is 0" also "div_euclid";
                Modulo modulo Binary Number [0.5, 0.5] {STEP} (NEG_INF, INF) Bounds = scalar::floor_remainder; scalar::integer_floor_remainder, "The remainder of `floordiv`, with the sign of `b` (as Python's `%` and NumPy's `mod`); of integers 0 where `b` is 0" also "rem_euclid";
                Abs abs Unary Number [0.0, 0.0] {EVEN} (0.0, INF) Magnitude = f64::abs; i64::wrapping_abs, "The magnitude: the sign bit cleared";
                Sign sign Unary Number [0.0, 0.0] {ODD | STEP} (-1.0, 1.0) Rising = scalar::sign; i64::signum, "-1, 1, or the zero or NaN given" also "signum";
                Floor floor Unary Float [0.0, 0.0] {STEP} (NEG_INF, INF) Rising = f64::floor, "The largest integer not above";
                Ceil ceil Unary Float [0.0, 0.0] {STEP} (NEG_INF, INF) Rising = f64::ceil, "The smallest integer not below";
                Round round Unary Float [0.0, 0.0] {ODD | STEP} (NEG_INF, INF) Rising = f64::round_ties_even, "The nearest integer, ties to even (as NumPy)" also "round_ties_even" "rint";
                Trunc trunc Unary Float [0.0, 0.0] {ODD | STEP} (NEG_INF, INF) Rising = f64::trunc, "The integer part";
                Sqrt sqrt Unary Float [0.5, 0.5] {} (-0.0, INF) Rising = f64::sqrt, "The square root; NaN below zero, -0 of -0";
                Rsqrt rsqrt Unary Float [1.5, 1.5] {} (NEG_INF, INF) Bounds = |a| 1.0 / a.sqrt(), "`1 / sqrt(a)`";
                Cbrt cbrt Unary Float [0.76, 0.8] {ODD} (NEG_INF, INF) Rising = libm::cbrt, "The cube root";
                Recip recip Unary Float [0.5, 0.5] {ODD} (NEG_INF, INF) Of(range::reciprocal) = |a| 1.0 / a, "`1 / a`";
                Exp exp Unary Float [0.9, 0.95] {} (0.0, INF) Rising = libm::exp, "`e^a`";
                Exp2 exp2 Unary Float [0.88, 0.9] {} (0.0, INF) Rising = libm::exp2, "`2^a`";
                Exp10 exp10 Unary Float [1.14, 1.5] {} (0.0, INF) Rising = libm::exp10, "`10^a`";
                Expm1 expm1 Unary Float [1.27, 1.55] {} (-1.0, INF) Rising = libm::expm1, "`e^a - 1`, accurate near 0" also "exp_m1";
                Log log Unary Float [0.92, 0.9] {} (NEG_INF, INF) Rising = libm::log, "The natural logarithm" also "ln";
                Log2 log2 Unary Float [0.96, 1.05] {} (NEG_INF, INF) Rising = libm::log2, "The logarithm to base 2";
                Log10 log10 Unary Float [0.93, 1.0] {} (NEG_INF, INF) Rising = libm::log10, "The logarithm to base 10";
                Log1p log1p Unary Float [0.93, 1.0] {} (NEG_INF, INF) Rising = libm::log1p, "`log(1 + a)`, accurate near 0" also "ln_1p";
                Sin sin Unary Float [0.89, 1.0; 1.74, 1.0] {ODD} (-1.0, 1.0) Bounds = libm::sin, "The sine of radians";
                Cos cos Unary Float [0.89, 1.0; 1.78, 1.0] {EVEN} (-1.0, 1.0) Bounds = libm::cos, "The cosine of radians";
                Tan tan Unary Float [1.3, 1.35; 3.54, 1.35] {ODD} (NEG_INF, INF) Bounds = libm::tan, "The tangent of radians";
                Asin asin Unary Float [0.72, 0.8; 2.35, 0.8] {ODD} (-1.58, 1.58) Rising = libm::asin, "The inverse sine in radians; NaN outside [-1, 1]";
                Acos acos Unary Float [1.16, 1.2] {} (0.0, 3.15) Falling = libm::acos, "The inverse cosine in radians; NaN outside [-1, 1]";
                Atan atan Unary Float [1.2, 1.35; 3.23, 1.35] {ODD} (-1.58, 1.58) Rising = libm::atan, "The inverse tangent in radians";
                Sinh sinh Unary Float [1.13, 1.25; 3.21, 1.25] {ODD} (NEG_INF, INF) Rising = libm::sinh, "The hyperbolic sine";
                Cosh cosh Unary Float [1.13, 1.25] {EVEN} (1.0, INF) Magnitude = libm::cosh, "The hyperbolic cosine";
                Tanh tanh Unary Float [1.0, 1.35; 3.44, 1.35] {ODD} (-1.0, 1.0) Rising = libm::tanh, "The hyperbolic tangent";
                Tanhshrink tanhshrink Unary Float [1.51, 1.6] {ODD} (NEG_INF, INF) Rising = scalar::tanhshrink, "`a - tanh(a)`, accurate near 0 (the activation function of that name in PyTorch)";
                Asinh asinh Unary Float [1.34, 1.35] {ODD} (NEG_INF, INF) Rising = libm::asinh, "The inverse hyperbolic sine";
                Acosh acosh Unary Float [1.17, 1.25] {} (0.0, INF) Rising = scalar::acosh, "The inverse hyperbolic cosine; NaN below 1";
                Atanh atanh Unary Float [0.96, 1.0] {ODD} (NEG_INF, INF) Rising = libm::atanh, "The inverse hyperbolic tangent; NaN outside [-1, 1]";
                Sigmoid sigmoid Unary Float [1.24, 1.25; 2.0, 2.1] {} (0.0, 1.0) Rising = scalar::sigmoid, "`1 / (1 + exp(-a))`, accurate in both tails" also "logistic" "expit";
                Erf erf Unary Float [0.96, 1.2; 3.74, 1.2] {ODD} (-1.0, 1.0) Rising = libm::erf, "The error function";
                Erfc erfc Unary Float [1.9, 2.45] {} (0.0, 2.0) Falling = libm::erfc, "`1 - erf(a)`, accurate in the tail";
                Normcdf normcdf Unary Float [1.91, 2.2] {} (0.0, 1.0) Bounds = scalar::normcdf, "`Φ(a) = (1 + erf(a / √2)) / 2`, the normal distribution function, accurate in both tails";
                ToU8 u8 Unary Cast(DType::U8) [0.0, 0.0] {} (NEG_INF, INF) Bounds = |a| DType::U8.round(a), "Converted to `u8`: a float is cut toward zero and saturates, NaN giving 0; an integer wraps around; a bool is 1 or 0";
                ToI32 i32 Unary Cast(DType::I32) [0.0, 0.0] {} (NEG_INF, INF) Bounds = |a| DType::I32.round(a), "Converted to `i32`: a float is cut toward zero and saturates, NaN giving 0; an integer wraps around; a bool is 1 or 0";
                ToI64 i64 Unary Cast(DType::I64) [0.0, 0.0] {} (NEG_INF, INF) Bounds = |a| DType::I64.round(a), "Converted to `i64`: a float is cut toward zero and saturates, NaN giving 0; an integer wraps around; a bool is 1 or 0";
                ToF16 f16 Unary Cast(DType::F16) [0.5, 0.5] {ODD} (NEG_INF, INF) Rising = |a| DType::F16.round(a), "Converted to `f16`, rounded to nearest even; a bool is 1 or 0";
                ToBF16 bf16 Unary Cast(DType::BF16) [0.5, 0.5] {ODD} (NEG_INF, INF) Rising = |a| DType::BF16.round(a), "Converted to `bf16`, rounded to nearest even; a bool is 1 or 0";
                ToF32 f32 Unary Cast(DType::F32) [0.5, 0.5] {ODD} (NEG_INF, INF) Rising = |a| f64::from(a as f32), "Converted to `f32`, rounded to nearest even; a bool is 1 or 0";
                ToF64 f64 Unary Cast(DType::F64) [0.0, 0.0] {ODD} (NEG_INF, INF) Rising = |a| a, "Converted to `f64`, exact but for large `i64`, which are rounded to nearest even; a bool is 1 or 0";
                ToBool bool Unary Cast(DType::Bool) [0.0, 0.0] {EVEN} (0.0, 1.0) Bounds = |a| truth(a != 0.0), "Whether it is not zero (true for NaN, as NumPy)";
                Min min Binary Number [0.0, 0.0] {COMMUTATIVE} (NEG_INF, INF) Of(range::minimum) = scalar::minimum; i64::min, "The smaller; NaN if either is, -0 below +0 (IEEE 754 `minimum`)" also "minimum";
                Max max Binary Number [0.0, 0.0] {COMMUTATIVE} (NEG_INF, INF) Of(range::maximum) = scalar::maximum; i64::max, "The larger; NaN if either is, -0 below +0 (IEEE 754 `maximum`)" also "maximum";
                Pow pow Binary Float [0.6, 1.35] {} (NEG_INF, INF) Bounds = libm::pow, "`a` to the power of `b`, special cases as IEEE 754" also "powf";
                Atan2 atan2 Binary Float [1.6, 1.6] {STEP} (-3.15, 3.15) Bounds = libm::atan2, "The angle of the point (b, a) in radians, over all four quadrants";
                Hypot hypot Binary Float [1.05, 1.05] {COMMUTATIVE} (0.0, INF) Bounds = libm::hypot, "`sqrt(a*a + b*b)` without overflow; infinite if either is";
                CopySign copysign Binary Float [0.0, 0.0] {STEP} (NEG_INF, INF) Of(range::no_larger) = f64::copysign, "The magnitude of `a` with the sign of `b`; the sign of a NaN that arithmetic made is unspecified";
                Lt lt Binary Compare [0.0, 0.0] {} (0.0, 1.0) Bounds = |a, b| truth(a < b), "`a < b`; false on NaN" also "less";
                Le le Binary Compare [0.0, 0.0] {} (0.0, 1.0) Bounds = |a, b| truth(a <= b), "`a <= b`; false on NaN";
                Gt gt Binary Compare [0.0, 0.0] {} (0.0, 1.0) Bounds = |a, b| truth(a > b), "`a > b`; false on NaN" also "greater";
                Ge ge Binary Compare [0.0, 0.0] {} (0.0, 1.0) Bounds = |a, b| truth(a >= b), "`a >= b`; false on NaN";
                Eq eq Binary Compare [0.0, 0.0] {COMMUTATIVE} (0.0, 1.0) Bounds = |a, b| truth(a == b), "`a == b`; false on NaN" also "equal";
                Ne ne Binary Compare [0.0, 0.0] {COMMUTATIVE} (0.0, 1.0) Bounds = |a, b| truth(a != b), "`a != b`; true on NaN" also "not_equal";
                IsNan isnan Unary Compare [0.0, 0.0] {} (0.0, 1.0) Bounds = |a| truth(a.is_nan()), "Whether it is NaN; an integer never is" also "is_nan";
                IsInf isinf Unary Compare [0.0, 0.0] {EVEN} (0.0, 1.0) Bounds = |a| truth(a.is_infinite()), "Whether it is an infinity, of either sign; an integer never is" also "is_infinite";
                IsFinite isfinite Unary Compare [0.0, 0.0] {EVEN} (0.0, 1.0) Bounds = |a| truth(a.is_finite()), "Whether it is neither NaN nor infinite; an integer always is" also "is_finite";
                Select select Ternary Select [0.0, 0.0] {} (NEG_INF, INF) Of(range::chosen) = |m, a, b| if m != 0.0 { a } else { b }, "The second operand where the first is true, else the third" also "where";
                Fma fma Ternary Float [0.5, 0.5] {} (NEG_INF, INF) Of(range::product_and_sum) = f64::mul_add, "`a*b + c`, rounded once" also "mul_add";
                Clamp clamp Ternary Number [0.0, 0.0] {} (NEG_INF, INF) Of(range::clamped) = |a, lo, hi| scalar::minimum(scalar::maximum(a, lo), hi); |a, lo, hi| a.max(lo).min(hi), "`min(max(a, lo), hi)`; NaN if any is";
            }
        }
    };
}

const INF: f64 = f64::INFINITY;
const NEG_INF: f64 = f64::NEG_INFINITY;

/// The bound for a result of type `dtype`.
fn of_width([f32, f64]: [f64; 2], dtype: DType) -> f64 {
    match dtype {
        DType::Bool | DType::U8 | DType::I32 | DType::I64 => 0.0,
        DType::F16 | DType::BF16 | DType::F32 => f32,
        DType::F64 => f64,
    }
}

fn truth(value: bool) -> f64 {
    f64::from(value)
}

macro_rules! define_ops {
    ($($group:ident { $(
        $variant:ident $name:ident $arity:ident $typing:ident $(($target:expr))?
        [$ulp32:expr, $ulp64:expr $(; $fast32:expr, $fast64:expr)?] {$($flag:ident)|*} ($lo:expr, $hi:expr) $transfer:ident $(($rule:path))? = $reference:expr $(; $integers:expr)?, $doc:literal $(also $($alias:literal)+)?;
    )* })*) => {
        /// An elementwise op. The rows of the table say all there is to say about each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Op {
            $($(#[doc = $doc] $variant,)*)*
        }

        impl Op {
            /// Every op, in table order.
            pub const ALL: &'static [Op] = &[$($(Op::$variant),*),*];
        }

        static TABLE: &[OpInfo] = &[$($(OpInfo {
            op: Op::$variant,
            name: stringify!($name),
            typing: Typing::$typing $(($target))?,
            max_ulp: [$ulp32, $ulp64],
            fast_ulp: define_ops!(@fast [$ulp32, $ulp64] $([$fast32, $fast64])?),
            flags: Flags::NONE $(.union(Flags::$flag))*,
            range: ($lo, $hi),
            transfer: Transfer::$transfer $(($rule))?,
            reference: Reference::$arity($reference),
            integers: define_ops!(@integers $arity $($integers)?),
            doc: $doc,
        }),*),*];
    };
    (@fast [$ulp32:expr, $ulp64:expr]) => { [$ulp32, $ulp64] };
    (@fast [$ulp32:expr, $ulp64:expr] [$fast32:expr, $fast64:expr]) => { [$fast32, $fast64] };
    (@integers $arity:ident) => { None };
    (@integers $arity:ident $integers:expr) => { Some(IntegerReference::$arity($integers)) };
}

for_each_op!(define_ops);

impl Op {
    /// Its row in the table.
    pub fn info(self) -> &'static OpInfo {
        &TABLE[self as usize]
    }

    /// Its name in text.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The op with this name.
    pub fn from_name(name: &str) -> Option<Op> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.op)
    }

    /// The op that converts to `dtype`.
    pub fn cast_to(dtype: DType) -> Op {
        let row = TABLE.iter().find(|row| row.typing == Typing::Cast(dtype));
        row.expect("every type has a row that converts to it").op
    }

    /// Its number of operands: 1, 2 or 3.
    pub fn arity(self) -> usize {
        match self.info().reference {
            Reference::Unary(_) => 1,
            Reference::Binary(_) => 2,
            Reference::Ternary(_) => 3,
        }
    }

    /// Its maximum error in ULP for a result of type `dtype`.
    pub fn max_ulp(self, dtype: DType) -> f64 {
        of_width(self.info().max_ulp, dtype)
    }

    /// Its maximum error in ULP for a result of type `dtype` in the fast tier.
    pub fn fast_ulp(self, dtype: DType) -> f64 {
        of_width(self.info().fast_ulp, dtype)
    }

    /// Whether every property in `flags` holds.
    pub fn has(self, flags: Flags) -> bool {
        self.info().flags.contains(flags)
    }

    /// Whether its results rise with its one operand, up to the error bound.
    pub fn is_rising(self) -> bool {
        matches!(self.info().transfer, Transfer::Rising)
    }

    /// The result type for operands of these types, or `None` where they do not fit.
    pub fn result_type(self, operands: &[DType]) -> Option<DType> {
        match operands.len() == self.arity() {
            true => self.info().typing.result_type(operands),
            false => None,
        }
    }

    /// The scalar definition in `dtype` (the type of the operands that are computed with).
    ///
    /// Evaluated in `f64` and rounded once, which for `f32` is within 0.5000001 ULP of exact; for
    /// `f64` it is as accurate as the `libm` crate. Booleans are 1 and 0.
    ///
    /// # Panics
    ///
    /// If the number of operands is not the arity.
    pub fn eval(self, dtype: DType, operands: &[f64]) -> f64 {
        // Rounding a fused product in f64 first would round twice.
        if self == Op::Fma && dtype == DType::F32 {
            let [a, b, c] = [operands[0] as f32, operands[1] as f32, operands[2] as f32];
            return f64::from(a.mul_add(b, c));
        }
        // Rounding a quotient down depends on the precision that it is computed in.
        if self == Op::FloorDiv && dtype == DType::F32 {
            return dtype.round(scalar::floor_quotient_f32(operands[0], operands[1]));
        }
        let exact = match (self.info().reference, operands) {
            (Reference::Unary(f), &[a]) => f(a),
            (Reference::Binary(f), &[a, b]) => f(a, b),
            (Reference::Ternary(f), &[a, b, c]) => f(a, b, c),
            _ => panic!("{} takes {} operands, got {}", self.name(), self.arity(), operands.len()),
        };
        match self.info().typing {
            Typing::Float | Typing::Number | Typing::Select => dtype.round(exact),
            Typing::Integer | Typing::Compare | Typing::Logic | Typing::Cast(_) => exact,
            Typing::Truth
            | Typing::Index
            | Typing::Same
            | Typing::Pick
            | Typing::Count
            | Typing::Place
            | Typing::Product => {
                unreachable!("of calls alone")
            }
        }
    }

    /// The meaning on integers of type `dtype`; `None` for an op that gives no integer for them.
    ///
    /// Everything wraps around: the exact result modulo 2 to the power of the width.
    pub fn eval_integers(self, dtype: DType, operands: &[i64]) -> Option<i64> {
        let value = match (self.info().integers?, operands) {
            (IntegerReference::Unary(f), &[a]) => f(a),
            (IntegerReference::Binary(f), &[a, b]) if self.info().typing == Typing::Integer => {
                f(a, b & (dtype.size() as i64 * 8 - 1))
            }
            (IntegerReference::Binary(f), &[a, b]) => f(a, b),
            (IntegerReference::Ternary(f), &[a, b, c]) => f(a, b, c),
            _ => return None,
        };
        Some(dtype.wrap(value))
    }

    /// The scalar definition for operands of any type that it takes; `dtype` is that of the last.
    ///
    /// # Panics
    ///
    /// If the operands do not fit the op.
    pub(crate) fn eval_scalars(self, dtype: DType, operands: &[Scalar]) -> Scalar {
        match self.info().typing {
            Typing::Cast(to) => return operands[0].cast(to),
            Typing::Select => return operands[if operands[0].is_true() { 1 } else { 2 }],
            _ => {}
        }
        let mut floats = [0.0; 3];
        let mut integers = [0; 3];
        for (index, operand) in operands.iter().enumerate() {
            match *operand {
                Scalar::Float(value) => floats[index] = value,
                Scalar::Integer(value) => integers[index] = value,
            }
        }
        let integers = &integers[..operands.len()];
        if !dtype.is_integer() {
            return Scalar::Float(self.eval(dtype, &floats[..operands.len()]));
        }
        if let Some(value) = self.eval_integers(dtype, integers) {
            return Scalar::Integer(value);
        }
        // For a comparison, numbers in the same order will do; for a test, any finite number.
        Scalar::Float(match *integers {
            [a] => self.eval(DType::F64, &[a as f64]),
            [a, b] => {
                let order = i64::from(a > b) - i64::from(a < b);
                self.eval(DType::F64, &[order as f64, 0.0])
            }
            _ => panic!("{} takes no integers", self.name()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, Op, TABLE, Typing};
    use crate::dtype::DType;
    use crate::number::Scalar;

    #[test]
    fn rows_are_in_the_order_of_the_enum() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.op as usize, index);
            assert_eq!(Op::from_name(row.name), Some(row.op));
        }
        assert_eq!(Op::ALL.len(), TABLE.len());
    }

    #[test]
    fn flags_hold_for_the_reference() {
        let points = [0.0, 0.25, 0.5, 1.0, 1.5, 2.5, 7.0, 80.0];
        for &op in Op::ALL {
            for a in points {
                let at = |x: f64| op.eval(DType::F64, &[x]);
                if op.has(Flags::ODD) {
                    assert!(at(-a) == -at(a) || at(a).is_nan(), "{} at {a}", op.name());
                }
                if op.has(Flags::EVEN) {
                    assert_eq!(at(-a), at(a), "{} at {a}", op.name());
                }
                if op.has(Flags::COMMUTATIVE) {
                    let (left, right) =
                        (op.eval(DType::F64, &[a, 3.0]), op.eval(DType::F64, &[3.0, a]));
                    assert_eq!(left, right, "{} at {a}", op.name());
                }
            }
        }
    }

    #[test]
    fn fast_expansions_may_err_by_four_ulp() {
        for row in TABLE {
            for (fast, default) in row.fast_ulp.into_iter().zip(row.max_ulp) {
                assert!(fast == default || default < fast && fast <= 4.0, "{}", row.name);
            }
        }
    }

    #[test]
    fn every_type_can_be_converted_to() {
        for dtype in DType::ALL {
            assert_eq!(Op::cast_to(dtype).result_type(&[DType::F32]), Some(dtype));
        }
    }

    #[test]
    fn ops_on_integers_have_a_meaning_for_them() {
        for row in TABLE {
            let expected = matches!(row.typing, Typing::Number | Typing::Integer | Typing::Logic);
            assert_eq!(row.integers.is_some(), expected, "{}", row.name);
        }
    }

    #[test]
    fn integers_wrap_around() {
        let at = |op: Op, dtype, operands: &[i64]| op.eval_integers(dtype, operands).unwrap();
        let (least, large) = (i64::from(i32::MIN), i64::from(i32::MAX));
        assert_eq!(at(Op::Add, DType::I32, &[large, 1]), least);
        assert_eq!(at(Op::Div, DType::I32, &[least, -1]), least);
        assert_eq!(at(Op::Div, DType::I64, &[i64::MIN, -1]), i64::MIN);
        assert_eq!(at(Op::Rem, DType::I64, &[i64::MIN, -1]), 0);
        assert_eq!(at(Op::Div, DType::I64, &[7, 0]), 0);
        assert_eq!(at(Op::Rem, DType::U8, &[7, 0]), 0);
        assert_eq!(at(Op::Sub, DType::U8, &[3, 5]), 254);
        assert_eq!(at(Op::FloorDiv, DType::I32, &[least, -1]), least);
        assert_eq!(at(Op::FloorDiv, DType::I64, &[-7, 2]), -4);
        assert_eq!(at(Op::Modulo, DType::I64, &[-7, 2]), 1);
        assert_eq!(at(Op::Modulo, DType::I64, &[7, -2]), -1);
        assert_eq!(at(Op::FloorDiv, DType::U8, &[7, 0]), 0);
        assert_eq!(at(Op::Modulo, DType::I64, &[-7, 0]), 0);
        assert_eq!(at(Op::Neg, DType::U8, &[1]), 255);
        assert_eq!(at(Op::Not, DType::U8, &[1]), 254);
        assert_eq!(at(Op::Abs, DType::I32, &[least]), least);
        assert_eq!(at(Op::Shl, DType::U8, &[0x81, 9]), 2);
        assert_eq!(at(Op::Shr, DType::I32, &[-8, 33]), -4);
        assert_eq!(at(Op::Shr, DType::I64, &[-8, -63]), -4);
        let compared = |op: Op, a: i64, b: i64| {
            op.eval_scalars(DType::I64, &[a, b].map(Scalar::Integer)) == Scalar::Float(1.0)
        };
        // As f64 they are the same number.
        assert!(
            compared(Op::Lt, i64::MAX - 1, i64::MAX) && compared(Op::Ne, i64::MAX - 1, i64::MAX)
        );
        assert!(compared(Op::Ge, i64::MAX, i64::MIN) && !compared(Op::Eq, i64::MAX, i64::MAX - 1));
    }

    #[test]
    fn fma_rounds_once_in_f32() {
        let (a, c) = (1.0 + f64::from(f32::EPSILON), -1.0 - 2.0 * f64::from(f32::EPSILON));
        let eps2 = f64::from(f32::EPSILON) * f64::from(f32::EPSILON);
        assert_eq!(Op::Fma.eval(DType::F32, &[a, a, c]), eps2);
    }
}
