//! Ops that give an integer from integer operands.

use kiln_ir::Op;
use kiln_jit::math::integer::{self, wrapped};
use kiln_jit::vir::{Builder, Storage, Value};

/// An op that gives an integer from operands of this integer type.
///
/// # Panics
///
/// If the op gives no integer: the op table says which do.
pub(super) fn lower_op(b: &mut Builder, op: Op, storage: Storage, operands: &[Value]) -> Value {
    let x = operands[0];
    let y = operands.get(1).copied().unwrap_or(x);
    let result = match op {
        Op::Neg => integer::negated(b, x),
        Op::Add => b.add(x, y),
        Op::Sub => b.sub(x, y),
        Op::Mul => b.mul(x, y),
        Op::Not => b.not(x),
        Op::Shl => integer::shift_left(b, x, y, storage),
        // These stay within the range of `u8`.
        Op::And => return b.and(x, y),
        Op::Or => return b.or(x, y),
        Op::Xor => return b.xor(x, y),
        Op::Shr => return integer::shift_right(b, x, y, storage),
        Op::Min => return integer::min(b, x, y),
        Op::Max => return integer::max(b, x, y),
        Op::Clamp => {
            let raised = integer::max(b, x, y);
            return integer::min(b, raised, operands[2]);
        }
        Op::Abs if storage == Storage::U8 => return x,
        Op::Abs => return integer::magnitude(b, x),
        Op::Sign => return integer::sign(b, x),
        Op::Div => return integer::divide(b, x, y, storage).0,
        Op::Rem => return integer::divide(b, x, y, storage).1,
        Op::FloorDiv => return integer::divide_down(b, x, y, storage).0,
        Op::Modulo => return integer::divide_down(b, x, y, storage).1,
        _ => panic!("{} gives no integer", op.name()),
    };
    wrapped(b, result, storage)
}
