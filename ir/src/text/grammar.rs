//! What the parser and the printer share: operators, their precedence, limits.

use crate::ops::Op;

/// The longest text that is parsed, in bytes: room for a graph of `MAX_NODES` nodes.
pub const MAX_TEXT: usize = 1 << 21;

/// The deepest nesting that is parsed; parsing recurses, so this bounds its stack.
pub const MAX_DEPTH: usize = 200;

/// How tightly an expression binds. The printer writes parentheses where an operand binds less
/// tightly than its place demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Or,
    And,
    Compare,
    Sum,
    Product,
    Unary,
    Power,
    Atom,
}

impl Level {
    /// The next tighter level.
    pub(super) fn tighter(self) -> Level {
        match self {
            Level::Or => Level::And,
            Level::And => Level::Compare,
            Level::Compare => Level::Sum,
            Level::Sum => Level::Product,
            Level::Product => Level::Unary,
            Level::Unary => Level::Power,
            Level::Power | Level::Atom => Level::Atom,
        }
    }
}

/// A binary operator. All group to the left, but for comparisons, which do not chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator {
    pub(super) symbol: &'static str,
    pub(super) level: Level,
    /// The op; `None` is the matrix product.
    pub(super) op: Option<Op>,
}

const fn operator(symbol: &'static str, level: Level, op: Op) -> Operator {
    Operator { symbol, level, op: Some(op) }
}

pub(super) const MATMUL: Operator = Operator { symbol: "@", level: Level::Product, op: None };

static OPERATORS: [Operator; 14] = [
    operator("|", Level::Or, Op::Or),
    operator("&", Level::And, Op::And),
    operator("<", Level::Compare, Op::Lt),
    operator("<=", Level::Compare, Op::Le),
    operator(">", Level::Compare, Op::Gt),
    operator(">=", Level::Compare, Op::Ge),
    operator("==", Level::Compare, Op::Eq),
    operator("!=", Level::Compare, Op::Ne),
    operator("+", Level::Sum, Op::Add),
    operator("-", Level::Sum, Op::Sub),
    operator("*", Level::Product, Op::Mul),
    operator("/", Level::Product, Op::Div),
    operator("%", Level::Product, Op::Rem),
    MATMUL,
];

/// The binary operator with this symbol.
pub(super) fn operator_of_symbol(symbol: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.symbol == symbol)
}

/// The binary operator of an op.
pub(super) fn operator_of_op(op: Op) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.op == Some(op))
}
