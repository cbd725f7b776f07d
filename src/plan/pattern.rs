//! Which sizes of a call's inputs are equal.

use kiln_ir::Dim;
use smallvec::SmallVec;
use std::fmt;

/// The shapes of a call's inputs, but for how large an axis is: what is known is which axes are as long as which, and
/// which have a single element. All that broadcasts in one call does so in each of the same pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    /// How many axes each input has.
    ranks: SmallVec<[u8; 8]>,
    /// Of all axes, in order: 0 for a single element, else which size it has, counted from 1 as they come.
    axes: SmallVec<[u16; 16]>,
}

impl Pattern {
    /// The pattern of some shapes; `None` where they have more axes than it tells apart.
    pub(super) fn of<'s>(shapes: impl Iterator<Item = &'s [usize]>) -> Option<Pattern> {
        let mut pattern = Pattern { ranks: SmallVec::new(), axes: SmallVec::new() };
        let mut sizes: SmallVec<[usize; 8]> = SmallVec::new();
        for shape in shapes {
            pattern.ranks.push(u8::try_from(shape.len()).ok()?);
            for &size in shape {
                let known = || sizes.iter().position(|&known| known == size);
                let axis = match size {
                    1 => 0,
                    _ => {
                        1 + known().unwrap_or_else(|| {
                            sizes.push(size);
                            sizes.len() - 1
                        })
                    }
                };
                pattern.axes.push(u16::try_from(axis).ok()?);
            }
        }
        Some(pattern)
    }

    /// What stands for the shape of each input: a name for each size.
    pub(crate) fn dims(&self) -> impl Iterator<Item = Vec<Dim>> {
        let mut axes = self.axes.iter();
        self.ranks.iter().map(move |&rank| {
            let dim = |&axis: &u16| match axis {
                0 => Dim::Size(1),
                _ => Dim::Symbol(format!("s{axis}").into()),
            };
            axes.by_ref().take(rank.into()).map(dim).collect()
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, dims) in self.dims().enumerate() {
            let dims: Vec<String> = dims.iter().map(Dim::to_string).collect();
            write!(f, "{}[{}]", if at == 0 { "" } else { ", " }, dims.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn sizes_are_told_apart() {
        let pattern = |shapes: &[&[usize]]| Pattern::of(shapes.iter().copied()).unwrap();
        let rows = pattern(&[&[100, 300], &[300], &[1, 100], &[]]);
        assert_eq!(rows.to_string(), "[s1, s2], [s2], [1, s1], []");
        assert_eq!(rows, pattern(&[&[7, 0], &[0], &[1, 7], &[]]));
        assert_ne!(rows, pattern(&[&[300, 300], &[300], &[1, 300], &[]]));
        assert_ne!(pattern(&[&[2], &[3, 4]]), pattern(&[&[2, 3], &[4]]));
    }
}
