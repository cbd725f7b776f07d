//! Stripes of one element each, merged in halves, in registers.
//!
//! Halves that are merged with halves are a tree, with stripes as its leaves. In its order few wait for others.

/// Stripes that are merged at a time.
const GROUP: usize = 8;

/// Elements of some rows, each of which is a stripe of its row.
pub(crate) trait Leaves: Copy {
    /// One element of each row, or several that are merged.
    type Merged: Copy;

    /// How many elements a row has: at least one.
    fn len(self) -> usize;

    /// Element `at` of each row.
    ///
    /// # Safety
    ///
    /// It must be there, here and below, and what the machine does it with.
    unsafe fn load(self, at: usize) -> Self::Merged;

    unsafe fn merge(left: Self::Merged, right: Self::Merged) -> Self::Merged;

    /// Any of these, to begin with.
    unsafe fn nothing() -> Self::Merged;
}

/// What the rows come to.
///
/// # Safety
///
/// As for [`Leaves::load`].
#[inline(always)]
pub(crate) unsafe fn in_halves<L: Leaves>(leaves: L) -> L::Merged {
    const ORDER: [usize; GROUP] = [0, 4, 2, 6, 1, 5, 3, 7];
    // SAFETY: required of the caller.
    unsafe {
        if leaves.len() <= GROUP {
            return group(leaves, 0, 1);
        }
        // Those after an odd number of others go to the one before, and so on.
        let mut merged = L::nothing();
        let mut waiting = [merged; GROUP.ilog2() as usize + 1];
        for (turn, first) in ORDER.into_iter().enumerate() {
            merged = group(leaves, first, GROUP);
            let pairs = turn.trailing_ones() as usize;
            for &before in &waiting[..pairs] {
                merged = L::merge(before, merged);
            }
            waiting[pairs] = merged;
        }
        merged
    }
}

/// What up to [`GROUP`] stripes come to, `apart` from one to the next. No closures: they would have no vectors of their
/// own where they are not inlined.
#[inline(always)]
unsafe fn group<L: Leaves>(leaves: L, first: usize, apart: usize) -> L::Merged {
    let there = (leaves.len() - first).div_ceil(apart);
    macro_rules! pair {
        ($left:literal $right:literal) => {{
            let mut pair = leaves.load(first + $left * apart);
            if there > $right {
                pair = L::merge(pair, leaves.load(first + $right * apart));
            }
            pair
        }};
    }
    // SAFETY: required of the caller.
    unsafe {
        let mut even = pair!(0 4);
        if there > 2 {
            even = L::merge(even, pair!(2 6));
        }
        if there == 1 {
            return even;
        }
        let mut odd = pair!(1 5);
        if there > 3 {
            odd = L::merge(odd, pair!(3 7));
        }
        L::merge(even, odd)
    }
}
