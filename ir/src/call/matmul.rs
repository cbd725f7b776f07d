//! Matrix products: the last two axes multiply, those before broadcast. A vector is a row on the
//! left and a column on the right, and the axis that this adds is dropped again. Halves are read as they are
//! stored, each operand for itself, and computed with as `f32`, which is what the product is.

use super::{Call, CallInfo};
use crate::array::{Array, Walk};
use crate::dtype::DType;
use crate::shape::{Dims, Extent, Shape, broadcast};
use crate::typing::Typing;

const INFO: CallInfo = CallInfo {
    name: "matmul",
    noun: "a matmul",
    arity: 2,
    typing: Typing::Product,
    doc: "`a @ b`",
};

pub(super) fn info() -> &'static CallInfo {
    &INFO
}

pub(super) const ALL: &[Call] = &[Call::Matmul];

pub(super) fn infer<E: Extent>(operands: &[&[E]]) -> Result<Dims<E>, String> {
    let (left, right) = (operands[0], operands[1]);
    let (left_batch, left_matrix) = left.split_at(left.len().saturating_sub(2));
    let (right_batch, right_matrix) = right.split_at(right.len().saturating_sub(2));
    let (m, k) = match left_matrix {
        [m, k] => (Some(m), k),
        [k] => (None, k),
        _ => return Err(SCALAR.into()),
    };
    let (right_k, n) = match right_matrix {
        [k, n] => (k, Some(n)),
        [k] => (k, None),
        _ => return Err(SCALAR.into()),
    };
    if k != right_k {
        return Err(mismatch(left, right));
    }
    match broadcast(&[left_batch, right_batch]) {
        Ok(mut shape) => {
            shape.extend(m.into_iter().chain(n).cloned());
            Ok(shape)
        }
        Err(misfit) => Err(format!(
            "the batch axes do not broadcast: {} against {}; sizes must be equal, or one of them 1",
            misfit.left, misfit.right
        )),
    }
}

pub(super) fn check(operands: &[&Shape]) -> Result<(), String> {
    match operands.iter().any(|shape| shape.is_scalar()) {
        true => Err(SCALAR.into()),
        false => Ok(()),
    }
}

/// What to say where an operand has no axis.
const SCALAR: &str = "each needs at least one axis; multiply by a number with `*`";

/// What to say where the inner sizes differ.
fn mismatch<E: Extent>(left: &[E], right: &[E]) -> String {
    let (left_axis, right_axis) = (left.len() - 1, right.len().saturating_sub(2));
    let (k, right_k) = (&left[left_axis], &right[right_axis]);
    let which = if right.len() == 1 { "only" } else { "second-last" };
    let hint = if right.len() > 1 && right.last() == Some(k) {
        " (is the right operand transposed?)".into()
    } else if right.len() > 2 && right.first() == Some(k) {
        " (are all axes of the right operand reversed? `swapaxes[-2, -1]` turns the last two)"
            .into()
    } else if left.len() > 1 && left[left_axis - 1] == *right_k {
        " (is the left operand transposed?)".into()
    } else if left.len() == 1 && *right_k == E::ONE {
        format!(" (a vector on the left is a row; for a column reshape it to [{k}, 1])")
    } else if right.len() == 1 && *k == E::ONE {
        format!(" (a vector on the right is a column; for a row reshape it to [1, {right_k}])")
    } else {
        String::new()
    };
    format!(
        "the last axis of the left is {k}, but the {which} axis of the right is {right_k}; they \
         must be equal{hint}"
    )
}

/// Each element is one chain of fused multiply-adds, in order.
pub(super) fn eval(operands: &[&Array], shape: Vec<usize>) -> Array {
    let [a, b] = operands else { panic!("a product has two operands") };
    let (a_shape, b_shape) = (a.shape(), b.shape());
    let (a_batch, a_matrix) = a_shape.split_at(a_shape.len().saturating_sub(2));
    let (b_batch, b_matrix) = b_shape.split_at(b_shape.len().saturating_sub(2));
    let (rows, inner) =
        (a_matrix[..a_matrix.len() - 1].iter().product(), a_matrix[a_matrix.len() - 1]);
    let columns = b_matrix[1..].iter().product();
    let batch = &shape[..shape.len() - (a_matrix.len() - 1) - (b_matrix.len() - 1)];
    let (left, right) = (a.data(), b.data());
    let dtype = a.dtype().max(DType::F32);
    let mut data: Vec<f64> = Vec::with_capacity(shape.iter().product());
    for (a_at, b_at) in Walk::new(a_batch, batch).zip(Walk::new(b_batch, batch)) {
        for row in 0..rows {
            for column in 0..columns {
                let term = |k| {
                    let left = left[(a_at * rows + row) * inner + k];
                    [left, right[(b_at * inner + k) * columns + column]]
                };
                data.push(chain(dtype, (0..inner).map(term)));
            }
        }
    }
    Array::new(dtype, shape, data).expect("the shape was inferred, and its elements counted")
}

/// What kernels compute: a chain of fused multiply-adds, in order.
fn chain(dtype: DType, terms: impl Iterator<Item = [f64; 2]>) -> f64 {
    match dtype {
        DType::F32 => {
            let narrow = terms.map(|term| term.map(|x| x as f32));
            narrow.fold(0f32, |sum, [a, b]| a.mul_add(b, sum)).into()
        }
        _ => terms.fold(0.0, |sum, [a, b]| a.mul_add(b, sum)),
    }
}

/// A multiplication and an addition for each term.
pub(super) fn terms<E: Extent>(operands: &[&[E]]) -> (usize, Dims<E>) {
    (2, operands[0].last().cloned().into_iter().collect())
}
