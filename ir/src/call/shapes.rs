//! The shapes of matrix products.

use crate::error::Fault;
use crate::shape::{Dim, Shape};
use std::collections::HashMap;

/// The shapes of matrix products, as NumPy's `matmul` has them.
///
/// Where a rank is unknown, so is that of the product. Its shape follows from those of its operands
/// all the same, and is told from others by them: products of equal shapes have one shape.
#[derive(Clone, Debug, Default)]
pub struct ProductShapes {
    /// The operands' shapes of each product of unknown rank.
    operands: Vec<(Shape, Shape)>,
    known: HashMap<(Shape, Shape), u32>,
}

impl ProductShapes {
    /// The shape of a product of operands of these shapes.
    ///
    /// Fails where they cannot be multiplied.
    pub fn shape(&mut self, left: &Shape, right: &Shape) -> Result<Shape, Fault> {
        if let Some(shape) = matmul_shape(left, right)? {
            return Ok(shape);
        }
        let operands = (left.clone(), right.clone());
        // Counted from the other end than inputs.
        let next = u32::MAX - self.operands.len() as u32;
        let key = *self.known.entry(operands.clone()).or_insert(next);
        if key == next {
            self.operands.push(operands);
        }
        Ok(Shape::open(key))
    }

    /// What [`shape`](ProductShapes::shape) gave for these; `None` if it never did.
    pub(crate) fn known(&self, left: &Shape, right: &Shape) -> Result<Option<Shape>, Fault> {
        let operands = (left.clone(), right.clone());
        let open = || self.known.get(&operands).map(|&key| Shape::open(key));
        Ok(matmul_shape(left, right)?.or_else(open))
    }

    /// The operands' shapes of the products of unknown rank, each after those that it is made of,
    /// with what tells its shape.
    pub(crate) fn open(&self) -> impl Iterator<Item = (u32, &(Shape, Shape))> {
        self.operands.iter().enumerate().map(|(i, operands)| (u32::MAX - i as u32, operands))
    }
}

/// The shape of a product; `None` where a rank is unknown.
fn matmul_shape(left: &Shape, right: &Shape) -> Result<Option<Shape>, Fault> {
    let fail = |reason: String| Fault::Matmul { left: left.clone(), right: right.clone(), reason };
    if left.is_scalar() || right.is_scalar() {
        return Err(fail("each needs at least one axis; multiply by a number with `*`".into()));
    }
    let (Some(a), Some(b)) = (left.dims(), right.dims()) else { return Ok(None) };
    let inner_a = &a[a.len() - 1];
    let inner_b = if b.len() == 1 { &b[0] } else { &b[b.len() - 2] };
    if inner_a != inner_b {
        return Err(fail(format!(
            "the last axis of the left is {inner_a}, but the {} axis of the right is {inner_b}; \
             they must be equal (is an operand transposed?)",
            if b.len() == 1 { "only" } else { "second-last" }
        )));
    }
    let batch = |dims: &[Dim]| Shape::new(dims[..dims.len().saturating_sub(2)].to_vec());
    let common = batch(a).broadcast(&batch(b)).map_err(|axis| {
        fail(format!("the batch axes do not broadcast: {} against {}", axis.left, axis.right))
    })?;
    let mut dims = common.dims().unwrap_or_default().to_vec();
    if a.len() > 1 {
        dims.push(a[a.len() - 2].clone());
    }
    if b.len() > 1 {
        dims.push(b[b.len() - 1].clone());
    }
    Ok(Some(Shape::new(dims)))
}
