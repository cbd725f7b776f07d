//! Expressions in Rust code: ordinary operators over a cheap handle.
//!
//! ```
//! use kiln_ir::Expr;
//!
//! let x = Expr::input("x");
//! let silu = &x / (1.0 + (-&x).exp());
//! let graph = kiln_ir::build("silu", &[silu]).unwrap();
//! assert_eq!(graph.inputs()[0].name, "x");
//! ```

use crate::call::Call;
use crate::dtype::DType;
use crate::error::{Fault, Origin};
use crate::for_each_op;
use crate::has_dtype::HasDType;
use crate::number::{Number, Scalar};
use crate::ops::Op;
use crate::rowwise::Rowwise;
use crate::written::Written;
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// An expression over arrays.
///
/// A handle: cloning copies a pointer. Operators take expressions by value or by reference, with
/// numbers on either side (on the left, of type `f64` or `i64`). Building never fails: what is wrong
/// with an expression is reported when it is compiled, with the line it was written on. Numbers are
/// weakly typed: they take the type of what they meet. Arithmetic among numbers alone is done first, in
/// `f64` or, among integers, in `i64`. An `f64` in Rust is a float and does not meet integers, an `i64`
/// meets both: `&x / 2` is for all types, `&x / 2.0` for floats.
#[derive(Clone)]
pub struct Expr(Arc<ExprNode>);

pub(crate) struct ExprNode {
    pub(crate) kind: Kind,
    pub(crate) written: Written,
}

pub(crate) enum Kind {
    /// A declaration: `x`, `x: f64`, `x: f32[n, 3]`.
    Input(Box<str>),
    /// A weakly typed number.
    Number(Number),
    /// A number of a given type.
    Typed(DType, Scalar),
    Op(Op, Box<[Expr]>),
    /// An integer power.
    Power(Expr, i64),
    /// `&`, `|`, `xor` or `!` of truth values: operands are made bools.
    Logical(Op, Box<[Expr]>),
    Call(Call, Box<[Expr]>),
    /// An argument of a function, by number: what it must be is seen when it is built.
    Argument(Expr, &'static Rowwise, usize),
    Fused(Box<Fused>),
    /// One output of a fused kernel.
    Item(Expr, usize),
    /// What cannot be: told when it is built.
    Wrong(Box<Fault>),
}

/// A fused kernel, as text has it.
pub(crate) struct Fused {
    pub(crate) parameters: Vec<String>,
    pub(crate) args: Vec<Expr>,
    pub(crate) body: Vec<Expr>,
}

impl Kind {
    /// The expressions that this one reads (a fused body reads none of the outer graph).
    pub(crate) fn operands(&self) -> Vec<&Expr> {
        match self {
            Kind::Input(_) | Kind::Number(_) | Kind::Typed(..) | Kind::Wrong(_) => Vec::new(),
            Kind::Op(_, operands) | Kind::Logical(_, operands) | Kind::Call(_, operands) => {
                operands.iter().collect()
            }
            Kind::Fused(fused) => fused.args.iter().collect(),
            Kind::Power(of, _) | Kind::Item(of, _) | Kind::Argument(of, ..) => vec![of],
        }
    }

    /// The same of other operands.
    fn map(&self, mut operand: impl FnMut(&Expr) -> Expr) -> Kind {
        match self {
            Kind::Input(declaration) => Kind::Input(declaration.clone()),
            Kind::Number(value) => Kind::Number(*value),
            Kind::Typed(dtype, value) => Kind::Typed(*dtype, *value),
            Kind::Op(op, operands) => Kind::Op(*op, operands.iter().map(operand).collect()),
            Kind::Logical(op, operands) => {
                Kind::Logical(*op, operands.iter().map(operand).collect())
            }
            Kind::Power(of, exponent) => Kind::Power(operand(of), *exponent),
            Kind::Call(call, operands) => Kind::Call(*call, operands.iter().map(operand).collect()),
            Kind::Argument(of, function, index) => Kind::Argument(operand(of), function, *index),
            Kind::Fused(fused) => {
                let (parameters, body) = (fused.parameters.clone(), fused.body.clone());
                let args = fused.args.iter().map(operand).collect();
                Kind::Fused(Box::new(Fused { parameters, args, body }))
            }
            Kind::Item(of, index) => Kind::Item(operand(of), *index),
            Kind::Wrong(fault) => Kind::Wrong(fault.clone()),
        }
    }
}

/// Shows this node alone: the graph below it may be deep, and shared so often that as a tree it would be
/// endless.
/// The [`Graph`](crate::Graph) that [`build`](crate::build()) makes prints as text.
impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what: &dyn fmt::Debug = match self.kind() {
            Kind::Input(declaration) => declaration,
            Kind::Number(number) => &number.value(),
            Kind::Typed(_, scalar) => scalar,
            Kind::Op(op, _) | Kind::Logical(op, _) => &op.name(),
            Kind::Power(_, exponent) => &format!("power {exponent}"),
            Kind::Call(call, _) => &call.info().name,
            Kind::Argument(_, function, index) => &function.parameters[*index].name,
            Kind::Fused(_) => &"fused",
            Kind::Item(_, index) => &format!("item {index}"),
            Kind::Wrong(fault) => fault,
        };
        f.debug_tuple("Expr").field(what).finish_non_exhaustive()
    }
}

/// Long chains are taken apart in a loop: dropping them recursively would overflow the stack.
impl Drop for ExprNode {
    fn drop(&mut self) {
        let mut pending = Vec::new();
        let take = |kind: &mut Kind, pending: &mut Vec<Expr>| match std::mem::replace(
            kind,
            Kind::Number(Number::Float(0.0)),
        ) {
            Kind::Op(_, operands) | Kind::Logical(_, operands) | Kind::Call(_, operands) => {
                pending.extend(operands)
            }
            Kind::Fused(fused) => pending.extend(fused.args.into_iter().chain(fused.body)),
            Kind::Power(of, _) | Kind::Item(of, _) | Kind::Argument(of, ..) => pending.push(of),
            Kind::Input(_) | Kind::Number(_) | Kind::Typed(..) | Kind::Wrong(_) => {}
        };
        take(&mut self.kind, &mut pending);
        while let Some(Expr(node)) = pending.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                take(&mut node.kind, &mut pending);
            }
        }
    }
}

impl Expr {
    pub(crate) fn new(kind: Kind, origin: Origin) -> Expr {
        Expr::made(kind, Written { function: None, origin })
    }

    fn made(kind: Kind, written: Written) -> Expr {
        Expr(Arc::new(ExprNode { kind, written }))
    }

    #[track_caller]
    fn here(kind: Kind) -> Expr {
        Expr::new(kind, Origin::Code(Location::caller()))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    pub(crate) fn origin(&self) -> Origin {
        self.0.written.origin
    }

    pub(crate) fn written(&self) -> Written {
        self.0.written
    }

    /// Identifies the node: equal for handles of the same one.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// This expression with every node above `operands` written at `origin`: what `function` made
    /// of its operands was written where it was called.
    pub(crate) fn relocated(
        &self,
        function: &'static str,
        origin: Origin,
        operands: &[Expr],
    ) -> Expr {
        self.counted(function, origin, operands).0
    }

    /// [`relocated`](Expr::relocated), and how many nodes there are above `operands`.
    pub(crate) fn counted(
        &self,
        function: &'static str,
        origin: Origin,
        operands: &[Expr],
    ) -> (Expr, usize) {
        let mut moved: HashMap<usize, Expr> =
            operands.iter().map(|e| (e.address(), e.clone())).collect();
        let below = moved.len();
        let written = Written { function: Some(function), origin };
        let expr = self.relocated_into(written, &mut moved);
        (expr, moved.len() - below)
    }

    /// Recursive, for the few levels that a function adds.
    fn relocated_into(&self, written: Written, moved: &mut HashMap<usize, Expr>) -> Expr {
        if let Some(known) = moved.get(&self.address()) {
            return known.clone();
        }
        let kind = self.kind().map(|operand| operand.relocated_into(written, moved));
        let expr = Expr::made(kind, written);
        moved.insert(self.address(), expr.clone());
        expr
    }

    /// An input array: a name such as `"x"` (any rank, `f32`), or a name and a type such as
    /// `"x: f64"`, `"x: f32[n, d]"`, `"w: f32[d]"`, `"m: bool[..]"`.
    #[track_caller]
    pub fn input(declaration: impl Into<String>) -> Expr {
        Expr::here(Kind::Input(declaration.into().into()))
    }

    /// An input array of element type `T` and any rank, for code that is generic over `T`:
    /// `Expr::input_of::<f64>("x")` is `Expr::input("x: f64")`.
    #[track_caller]
    pub fn input_of<T: HasDType>(name: &str) -> Expr {
        Expr::input(format!("{name}: {}", T::DTYPE))
    }

    /// A float. Operators take numbers as they are; this is for functions that take an `Expr`.
    /// For an integer, which may also meet integers, write `Expr::from(2)`.
    #[track_caller]
    pub fn number(value: f64) -> Expr {
        Expr::here(Kind::Number(value.into()))
    }

    /// An elementwise op on operands, for code that is generic over ops.
    ///
    /// The number of operands is checked when the expression is compiled.
    #[track_caller]
    pub fn apply(op: Op, operands: Vec<Expr>) -> Expr {
        Expr::here(Kind::Op(op, operands.into()))
    }

    /// The matrix product, as NumPy's `matmul`: the last two axes multiply, those before
    /// broadcast; a 1-d operand is a row on the left, a column on the right.
    ///
    /// Operands of `f16` and `bf16` are read as they lie, and widened on the way: no copy is made of
    /// weights that are stored so, nor by writing `f32(w)`. Sums are `f32`, and so is the product;
    /// `bf16(x @ w)` rounds it once.
    #[track_caller]
    pub fn matmul(&self, other: impl Into<Expr>) -> Expr {
        Expr::here(Kind::Call(Call::Matmul, [self.clone(), other.into()].into()))
    }

    /// Converted to `dtype`.
    #[track_caller]
    pub fn cast(&self, dtype: DType) -> Expr {
        Expr::apply(Op::cast_to(dtype), vec![self.clone()])
    }

    /// `self` to an integer power.
    ///
    /// For floats, exponents 1 to 8 are products by repeated squaring (at most `|n|/2` ULP), -1 is the
    /// reciprocal, and all others are [`pow`](Expr::pow). For integers, every exponent that is not
    /// negative is such a product, which wraps around; exponent 0 gives 1.
    #[track_caller]
    pub fn powi(&self, exponent: impl Into<i64>) -> Expr {
        Expr::here(Kind::Power(self.clone(), exponent.into()))
    }

    /// Whether both are true. A number counts as true where it is not zero (NaN is true), while `&` on
    /// integers goes bit by bit.
    #[track_caller]
    pub fn logical_and(&self, b: impl Into<Expr>) -> Expr {
        Expr::here(Kind::Logical(Op::And, [self.clone(), b.into()].into()))
    }

    /// Whether either is true, as in [`logical_and`](Expr::logical_and).
    #[track_caller]
    pub fn logical_or(&self, b: impl Into<Expr>) -> Expr {
        Expr::here(Kind::Logical(Op::Or, [self.clone(), b.into()].into()))
    }

    /// Whether just one is true, as in [`logical_and`](Expr::logical_and).
    #[track_caller]
    pub fn logical_xor(&self, b: impl Into<Expr>) -> Expr {
        Expr::here(Kind::Logical(Op::Xor, [self.clone(), b.into()].into()))
    }

    /// Whether it is not true, as in [`logical_and`](Expr::logical_and).
    #[track_caller]
    pub fn logical_not(&self) -> Expr {
        Expr::here(Kind::Logical(Op::Not, [self.clone()].into()))
    }
}

/// Methods of the rows of the op table that are not operators.
macro_rules! define_methods {
    (operators { $($operator_rows:tt)* } methods { $(
        $variant:ident $name:ident $arity:ident $typing:ident $(($target:expr))?
        [$a:expr, $b:expr $(; $c:expr, $d:expr)?] {$($flag:ident)|*} ($lo:expr, $hi:expr) $transfer:ident $(($rule:path))? = $reference:expr $(; $integers:expr)?, $doc:literal $(also $($alias:literal)+)?;
    )* }) => {
        impl Expr {
            $(define_methods!(@$arity $variant $name $doc [$($($alias)+)?]);)*
        }
    };
    (@Unary $variant:ident $name:ident $doc:literal [$($alias:literal)*]) => {
        #[doc = $doc]
        $(#[doc(alias = $alias)])*
        #[track_caller]
        pub fn $name(&self) -> Expr {
            Expr::apply(Op::$variant, vec![self.clone()])
        }
    };
    (@Binary $variant:ident $name:ident $doc:literal [$($alias:literal)*]) => {
        #[doc = $doc]
        ///
        /// `a` is `self`.
        $(#[doc(alias = $alias)])*
        #[track_caller]
        pub fn $name(&self, b: impl Into<Expr>) -> Expr {
            Expr::apply(Op::$variant, vec![self.clone(), b.into()])
        }
    };
    (@Ternary $variant:ident $name:ident $doc:literal [$($alias:literal)*]) => {
        #[doc = $doc]
        ///
        /// The first operand is `self`.
        $(#[doc(alias = $alias)])*
        #[track_caller]
        pub fn $name(&self, b: impl Into<Expr>, c: impl Into<Expr>) -> Expr {
            Expr::apply(Op::$variant, vec![self.clone(), b.into(), c.into()])
        }
    };
}

for_each_op!(define_methods);

/// What stands beside an expression in an operator: an expression, by value or by reference, a number
/// or a bool.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no operand of an expression",
    label = "an expression or a number is wanted here",
    note = "an expression is compiled before it meets arrays: make an array an input, as a parameter \
            of the closure, and pass it to each call"
)]
pub trait IntoExpr {
    /// The expression.
    fn into_expr(self) -> Expr;
}

impl IntoExpr for Expr {
    fn into_expr(self) -> Expr {
        self
    }
}

impl IntoExpr for &Expr {
    fn into_expr(self) -> Expr {
        self.clone()
    }
}

/// Numbers take the type of what they meet, whatever type Rust gives them.
macro_rules! define_numbers {
    ($($number:ty as $wide:ty;)*) => {$(
        impl From<$number> for Expr {
            #[track_caller]
            fn from(value: $number) -> Expr {
                Expr::here(Kind::Number(<$wide>::from(value).into()))
            }
        }

        impl IntoExpr for $number {
            #[track_caller]
            fn into_expr(self) -> Expr {
                Expr::from(self)
            }
        }
    )*};
}

define_numbers! {
    half::f16 as f64; half::bf16 as f64; f32 as f64; f64 as f64; u8 as i64; i32 as i64; i64 as i64;
}

/// A bool is a value of its own type: it is no number.
impl From<bool> for Expr {
    #[track_caller]
    fn from(value: bool) -> Expr {
        Expr::here(Kind::Typed(DType::Bool, f64::from(value).into()))
    }
}

impl IntoExpr for bool {
    #[track_caller]
    fn into_expr(self) -> Expr {
        Expr::from(self)
    }
}

impl From<&Expr> for Expr {
    fn from(expr: &Expr) -> Expr {
        expr.clone()
    }
}

/// `impl Trait<R> for L`, by value or by reference. On the right stands whatever becomes an
/// expression. On the left stand literals, of one float type and one integer type only: of several,
/// the compiler would not know the type of `(2.0 * &x).exp()`.
macro_rules! define_operator {
    ($(
        $trait:ident $method:ident, $assign:ident $assign_method:ident, $op:ident
        $(from $($number:ty)+)?;
    )*) => {$(
        define_operator!(@assign $assign $assign_method $op);
        define_operator!(@right $trait $method $op Expr);
        define_operator!(@right $trait $method $op &Expr);
        $($(
            define_operator!(@left $trait $method $op $number, Expr);
            define_operator!(@left $trait $method $op $number, &Expr);
        )+)?
    )*};
    (@right $trait:ident $method:ident $op:ident $left:ty) => {
        impl<R: IntoExpr> std::ops::$trait<R> for $left {
            type Output = Expr;

            #[track_caller]
            fn $method(self, right: R) -> Expr {
                Expr::apply(Op::$op, vec![self.into(), right.into_expr()])
            }
        }
    };
    (@assign $trait:ident $method:ident $op:ident) => {
        impl<R: IntoExpr> std::ops::$trait<R> for Expr {
            #[track_caller]
            fn $method(&mut self, right: R) {
                *self = Expr::apply(Op::$op, vec![self.clone(), right.into_expr()]);
            }
        }
    };
    (@left $trait:ident $method:ident $op:ident $left:ty, $right:ty) => {
        impl std::ops::$trait<$right> for $left {
            type Output = Expr;

            #[track_caller]
            fn $method(self, right: $right) -> Expr {
                Expr::apply(Op::$op, vec![self.into(), right.into()])
            }
        }
    };
}

define_operator! {
    Add add, AddAssign add_assign, Add from f64 i64;
    Sub sub, SubAssign sub_assign, Sub from f64 i64;
    Mul mul, MulAssign mul_assign, Mul from f64 i64;
    Div div, DivAssign div_assign, Div from f64 i64;
    Rem rem, RemAssign rem_assign, Rem from f64 i64;
    Shl shl, ShlAssign shl_assign, Shl from f64 i64;
    Shr shr, ShrAssign shr_assign, Shr from f64 i64;
    BitAnd bitand, BitAndAssign bitand_assign, And;
    BitOr bitor, BitOrAssign bitor_assign, Or;
    BitXor bitxor, BitXorAssign bitxor_assign, Xor;
}

macro_rules! define_unary_operator {
    ($($trait:ident $method:ident for $($operand:ty),+;)*) => {$($(
        impl std::ops::$trait for $operand {
            type Output = Expr;

            #[track_caller]
            fn $method(self) -> Expr {
                Expr::apply(Op::$trait, vec![self.into()])
            }
        }
    )+)*};
}

define_unary_operator! { Neg neg for Expr, &Expr; Not not for Expr, &Expr; }
