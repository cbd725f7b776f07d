//! Symbolic shapes and NumPy broadcasting.

use std::fmt;
use std::sync::Arc;

/// The number of axes that an array may have; NumPy's limit.
pub const MAX_RANK: usize = 64;

/// The error is a reason.
pub(crate) fn check_rank(rank: usize) -> Result<(), &'static str> {
    if rank > MAX_RANK { Err("it has over 64 axes") } else { Ok(()) }
}

/// The size of an axis: known, or a name that is bound when the kernel is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dim {
    /// A known size.
    Size(usize),
    /// A name; equal names are equal sizes.
    Symbol(Arc<str>),
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Size(size) => write!(f, "{size}"),
            Dim::Symbol(name) => f.write_str(name),
        }
    }
}

/// The shape of a value, as far as it is known before the call.
///
/// Broadcasting aligns shapes at their last axis; sizes must be equal or 1. An *open* shape
/// (`[..]`) has a rank that only the call knows; it is written as the set of inputs that it
/// broadcasts over, so that two values with equal shapes are known to have one iteration domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Shape {
    dims: Vec<Dim>,
    /// Sorted, distinct: inputs (or matmul nodes) of unknown rank that take part.
    open: Vec<u32>,
}

/// Two shapes that do not broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadcastError {
    /// The axis, counted from the last (1 is the last).
    pub axis_from_end: usize,
    /// The size on the left.
    pub left: Dim,
    /// The size on the right.
    pub right: Dim,
}

impl Shape {
    /// The shape of a single number.
    pub fn scalar() -> Shape {
        Shape::default()
    }

    /// A shape of known rank.
    pub fn new(dims: Vec<Dim>) -> Shape {
        Shape { dims, open: Vec::new() }
    }

    /// A shape of unknown rank, told from others by `key`.
    pub fn open(key: u32) -> Shape {
        Shape { dims: Vec::new(), open: vec![key] }
    }

    /// The axes, where the rank is known.
    pub fn dims(&self) -> Option<&[Dim]> {
        self.open.is_empty().then_some(&self.dims[..])
    }

    /// The axes that are known, whether or not there are more.
    pub(crate) fn known_dims(&self) -> &[Dim] {
        &self.dims
    }

    /// What tells its unknown axes from others.
    pub(crate) fn keys(&self) -> &[u32] {
        &self.open
    }

    /// Whether it is the shape of a single number.
    pub fn is_scalar(&self) -> bool {
        self.open.is_empty() && self.dims.is_empty()
    }

    /// The common shape of two operands, as NumPy broadcasts.
    pub fn broadcast(&self, other: &Shape) -> Result<Shape, BroadcastError> {
        let rank = self.dims.len().max(other.dims.len());
        let mut dims = Vec::with_capacity(rank);
        for axis_from_end in (1..=rank).rev() {
            let at = |shape: &Shape| {
                let index = shape.dims.len().checked_sub(axis_from_end);
                index.map_or(Dim::Size(1), |i| shape.dims[i].clone())
            };
            dims.push(match (at(self), at(other)) {
                (left, right) if left == right => left,
                (Dim::Size(1), size) | (size, Dim::Size(1)) => size,
                (left, right) => return Err(BroadcastError { axis_from_end, left, right }),
            });
        }
        let mut open = [&self.open[..], &other.open[..]].concat();
        open.sort_unstable();
        open.dedup();
        Ok(Shape { dims, open })
    }

    /// Whether broadcasting `self` with `other` gives `self`: `other` adds no axis and no size.
    pub fn covers(&self, other: &Shape) -> bool {
        self.broadcast(other).as_ref() == Ok(self)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.open.is_empty() {
            return f.write_str("[..]");
        }
        f.write_str("[")?;
        for (index, dim) in self.dims.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{dim}")?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::{Dim, Shape};

    fn shape(dims: &[&str]) -> Shape {
        let dim =
            |text: &&str| text.parse().map_or_else(|_| Dim::Symbol((*text).into()), Dim::Size);
        Shape::new(dims.iter().map(dim).collect())
    }

    #[test]
    fn broadcasts_as_numpy() {
        let common = |a: &[&str], b: &[&str]| shape(a).broadcast(&shape(b)).unwrap();
        assert_eq!(common(&["n", "d"], &["d"]), shape(&["n", "d"]));
        assert_eq!(common(&["n", "1"], &["1", "d"]), shape(&["n", "d"]));
        assert_eq!(common(&[], &["3"]), shape(&["3"]));
        let error = shape(&["n", "3"]).broadcast(&shape(&["4"])).unwrap_err();
        assert_eq!((error.axis_from_end, error.left, error.right), (1, Dim::Size(3), Dim::Size(4)));
    }

    #[test]
    fn open_shapes_are_told_apart() {
        let (x, y) = (Shape::open(0), Shape::open(1));
        let both = x.broadcast(&y).unwrap();
        assert_ne!(both, x);
        assert!(both.covers(&x) && both.covers(&shape(&[])) && !x.covers(&both));
        assert_eq!(both.to_string(), "[..]");
    }
}
