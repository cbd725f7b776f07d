//! Symbolic shapes and NumPy broadcasting.

use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// The number of axes that an array may have; NumPy's limit.
pub const MAX_RANK: usize = 64;

/// The error says what is wrong.
pub(crate) fn check_rank(rank: usize) -> Result<(), &'static str> {
    if rank > MAX_RANK { Err("it has over 64 axes") } else { Ok(()) }
}

/// The size of an axis: known, or a name that is bound when the kernel is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dim {
    /// A known size.
    Size(usize),
    /// A name. Axes of one name have one size.
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

/// The size of an axis as shapes are inferred from it: a symbolic one ([`Dim`]) before a call, an
/// actual one (`usize`) in it.
pub trait Extent: Clone + PartialEq + fmt::Debug + fmt::Display {
    /// The size that broadcasts.
    const ONE: Self;
    /// The size of nothing.
    const ZERO: Self;

    /// This size.
    fn of(size: usize) -> Self;

    /// The size, where it is not a symbol.
    fn known(&self) -> Option<usize>;
}

impl Extent for Dim {
    const ONE: Dim = Dim::Size(1);
    const ZERO: Dim = Dim::Size(0);

    fn of(size: usize) -> Dim {
        Dim::Size(size)
    }

    fn known(&self) -> Option<usize> {
        match self {
            Dim::Size(size) => Some(*size),
            Dim::Symbol(_) => None,
        }
    }
}

impl Extent for usize {
    const ONE: usize = 1;
    const ZERO: usize = 0;

    fn of(size: usize) -> usize {
        size
    }

    fn known(&self) -> Option<usize> {
        Some(*self)
    }
}

/// Ranks up to this need no allocation.
pub const SMALL_RANK: usize = 6;

/// The axes of a shape of known rank.
pub type Dims<E> = SmallVec<[E; SMALL_RANK]>;

/// The first shape that does not broadcast with those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit<E> {
    /// Which.
    pub index: usize,
    /// The shape that those before it broadcast to.
    pub other: Vec<E>,
    /// The first axis that fails, counted from the last, which is 1.
    pub axis: usize,
    /// Its size in the shapes before.
    pub left: E,
    /// Its size in this one.
    pub right: E,
}

/// The common shape of operands, as NumPy broadcasts: aligned at their last axes, sizes are equal
/// or 1.
#[inline]
pub fn broadcast<E: Extent>(shapes: &[&[E]]) -> Result<Dims<E>, Misfit<E>> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = Dims::from_elem(E::ONE, rank);
    let mut so_far = 0;
    for (index, shape) in shapes.iter().enumerate() {
        so_far = shape.len().max(so_far);
        for (axis, size) in shape.iter().rev().enumerate() {
            let known = &mut result[rank - 1 - axis];
            if *size == E::ONE || size == known {
                continue;
            }
            if *known != E::ONE {
                let (left, right) = (known.clone(), size.clone());
                let other = result[rank - so_far..].to_vec();
                return Err(Misfit { index, other, axis: axis + 1, left, right });
            }
            *known = size.clone();
        }
    }
    Ok(result)
}

/// Where a value gets axes that are known only at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Open {
    /// An input of unknown rank, by index.
    Input(u32),
    /// A [`Call`](crate::Call) of operands of unknown rank, by its number in
    /// [`CallShapes`](crate::CallShapes).
    Call(u32),
}

/// The shape of a value, as far as it is known before the call.
///
/// Broadcasting aligns shapes at their last axis; sizes must be equal or 1. An *open* shape
/// (`[..]`) has a rank that only the call knows; it is written as the set of what it broadcasts
/// over, so that two values with equal shapes are known to have one iteration domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Shape {
    dims: Vec<Dim>,
    /// Sorted, distinct.
    open: Vec<Open>,
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

    /// A shape of unknown rank.
    pub fn open(of: Open) -> Shape {
        Shape { dims: Vec::new(), open: vec![of] }
    }

    /// The axes, where the rank is known.
    pub fn dims(&self) -> Option<&[Dim]> {
        self.open.is_empty().then_some(&self.dims[..])
    }

    /// The same, with calls renumbered.
    pub(crate) fn renumbered(&self, numbers: &[u32]) -> Shape {
        let renumber = |&of: &Open| match of {
            Open::Input(_) => of,
            Open::Call(number) => Open::Call(numbers[number as usize]),
        };
        let mut open: Vec<Open> = self.open.iter().map(renumber).collect();
        open.sort_unstable();
        open.dedup();
        Shape { dims: self.dims.clone(), open }
    }

    /// The same but for what it gets from there.
    pub(crate) fn without(&self, open: Open) -> Shape {
        let kept = self.open.iter().copied().filter(|&of| of != open);
        Shape { dims: self.dims.clone(), open: kept.collect() }
    }

    /// Whether it broadcasts over what gets axes there.
    pub(crate) fn has(&self, open: Open) -> bool {
        self.open.contains(&open)
    }

    /// Whether it is the shape of a single number.
    pub fn is_scalar(&self) -> bool {
        self.open.is_empty() && self.dims.is_empty()
    }

    /// The common shape of two operands, as NumPy broadcasts.
    pub fn broadcast(&self, other: &Shape) -> Result<Shape, BroadcastError> {
        let dims = broadcast(&[&self.dims[..], &other.dims[..]]).map_err(|misfit| {
            let Misfit { axis: axis_from_end, left, right, .. } = misfit;
            BroadcastError { axis_from_end, left, right }
        })?;
        let mut open = [&self.open[..], &other.open[..]].concat();
        open.sort_unstable();
        open.dedup();
        Ok(Shape { dims: dims.into_vec(), open })
    }

    /// Whether the two have a common shape.
    pub fn fits(&self, other: &Shape) -> bool {
        broadcast(&[&self.dims[..], &other.dims[..]]).is_ok()
    }

    /// Whether broadcasting `self` with `other` gives `self`: `other` adds no axis and no size.
    pub fn covers(&self, other: &Shape) -> bool {
        broadcast(&[&self.dims[..], &other.dims[..]]).is_ok_and(|dims| dims[..] == self.dims[..])
            && other.open.iter().all(|&of| self.has(of))
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
    use super::{Dim, Open, Shape, broadcast};
    use crate::call::Call;

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

    /// Symbolic and actual sizes broadcast, and multiply, alike.
    #[test]
    fn sizes_are_inferred_as_symbols_are() {
        let shapes: &[&[usize]] = &[&[], &[1], &[3], &[2, 3], &[3, 2], &[4, 2, 3], &[4, 3, 2]];
        let symbolic = |sizes: &[usize]| sizes.iter().map(|&n| Dim::Size(n)).collect::<Vec<Dim>>();
        for (left, right) in shapes.iter().flat_map(|l| shapes.iter().map(move |r| (*l, *r))) {
            let (l, r) = (symbolic(left), symbolic(right));
            let actual = broadcast(&[left, right]).ok();
            assert_eq!(broadcast(&[&l, &r]).ok().map(|s| s.to_vec()), actual.map(|s| symbolic(&s)));
            let actual = Call::Matmul.infer(&[left, right]).ok();
            let inferred = Call::Matmul.infer(&[&l[..], &r]).ok().map(|s| s.to_vec());
            assert_eq!(inferred, actual.map(|s| symbolic(&s)));
        }
    }

    #[test]
    fn open_shapes_are_told_apart() {
        let (x, y) = (Shape::open(Open::Input(0)), Shape::open(Open::Input(1)));
        let both = x.broadcast(&y).unwrap();
        assert_ne!(both, x);
        assert!(both.covers(&x) && both.covers(&shape(&[])) && !x.covers(&both));
        assert_eq!(both.to_string(), "[..]");
    }
}
