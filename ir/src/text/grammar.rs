//! What the parser and the printer share: operators, precedence and limits.

use crate::call::Call;
use crate::graph::{MAX_NODES, MAX_OUTPUTS};
use crate::ops::Op;

/// The longest text that is parsed, in bytes: room for a graph of `MAX_NODES` nodes.
pub const MAX_TEXT: usize = 1 << 21;

/// The deepest nesting that is parsed.
pub const MAX_DEPTH: usize = 200;

/// The most operations, numbers and names that a text may have. It is checked while reading, and so
/// bounds the cost of refusing a text. In printed graphs no node needs more than three: an op and two
/// numbers, as in `clamp(x, 0, 1)`.
pub(super) const MAX_PARTS: usize = 3 * MAX_NODES + MAX_OUTPUTS;

/// How tightly an expression binds. The printer writes parentheses where an operand binds less
/// tightly than its place demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Or,
    And,
    /// The word `not`, as in Python; `!` is a sign.
    Not,
    Compare,
    Shift,
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
            Level::And => Level::Not,
            Level::Not => Level::Compare,
            Level::Compare => Level::Shift,
            Level::Shift => Level::Sum,
            Level::Sum => Level::Product,
            Level::Product => Level::Unary,
            Level::Unary => Level::Power,
            Level::Power | Level::Atom => Level::Atom,
        }
    }
}

/// What an operator makes of its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Op(Op),
    /// An op on truth values, numbers being "not zero".
    Logical(Op),
    Call(Call),
}

/// A binary operator. All group to the left, except comparisons, which do not chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator {
    pub(super) symbol: &'static str,
    pub(super) level: Level,
    pub(super) meaning: Meaning,
}

const fn operator(symbol: &'static str, level: Level, op: Op) -> Operator {
    Operator { symbol, level, meaning: Meaning::Op(op) }
}

const fn logical(symbol: &'static str, level: Level, op: Op) -> Operator {
    Operator { symbol, level, meaning: Meaning::Logical(op) }
}

const fn call(symbol: &'static str, level: Level, call: Call) -> Operator {
    Operator { symbol, level, meaning: Meaning::Call(call) }
}

static OPERATORS: [Operator; 21] = [
    operator("|", Level::Or, Op::Or),
    logical("||", Level::Or, Op::Or),
    logical("or", Level::Or, Op::Or),
    operator("&", Level::And, Op::And),
    logical("&&", Level::And, Op::And),
    logical("and", Level::And, Op::And),
    operator("<", Level::Compare, Op::Lt),
    operator("<=", Level::Compare, Op::Le),
    operator(">", Level::Compare, Op::Gt),
    operator(">=", Level::Compare, Op::Ge),
    operator("==", Level::Compare, Op::Eq),
    operator("!=", Level::Compare, Op::Ne),
    operator("<<", Level::Shift, Op::Shl),
    operator(">>", Level::Shift, Op::Shr),
    operator("+", Level::Sum, Op::Add),
    operator("-", Level::Sum, Op::Sub),
    operator("*", Level::Product, Op::Mul),
    operator("/", Level::Product, Op::Div),
    operator("//", Level::Product, Op::FloorDiv),
    operator("%", Level::Product, Op::Rem),
    call("@", Level::Product, Call::Matmul),
];

/// The binary operator with this symbol.
pub(super) fn operator_of_symbol(symbol: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.symbol == symbol)
}

/// The first binary operator of this meaning.
pub(super) fn operator_of(meaning: Meaning) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.meaning == meaning)
}
