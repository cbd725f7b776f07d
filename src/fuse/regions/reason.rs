//! Reasons why kernels are not one, in words.

use std::fmt;

/// Two steps of a program that are not one kernel, and why.
///
/// Steps are numbered from 1, in the order in which they run. Each is a kernel, or a product.
#[derive(Clone, Debug, PartialEq)]
pub struct Separation {
    /// Their numbers.
    pub steps: [usize; 2],
    /// Why they are two.
    pub reason: Reason,
}

/// Why two kernels are not one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// A step that is not elementwise stands between them: it reads and writes whole arrays.
    Call {
        /// Its number.
        step: usize,
        /// What it is, such as `a matmul`.
        noun: &'static str,
    },
    /// The second one multiplies what the first computes.
    Operand {
        /// The number of the second.
        step: usize,
        /// What it has of it, such as `a matmul`.
        noun: &'static str,
    },
    /// The second one reduces rows of a product of what the first computes.
    Reduced {
        /// The number of the second.
        step: usize,
        /// What it has of the first, such as `a matmul`.
        noun: &'static str,
    },
    /// One of them has a product, and the other a scan.
    Scanned {
        /// The number of the one that has a scan.
        step: usize,
        /// What it is, such as `a running sum`.
        noun: &'static str,
    },
    /// The first one is a call that is a pass by itself.
    Pass {
        /// Its number.
        step: usize,
        /// What it is, such as `a concatenation`.
        noun: &'static str,
    },
    /// The second one copies this view of what the first stores to an output.
    Copied(&'static str),
    /// The second one multiplies what the first computes, which does not pay some rows at a time: for its size, or that of
    /// what it meets.
    Size {
        /// The number of the second.
        step: usize,
        /// What it has of the first, such as `a matmul`.
        noun: &'static str,
        /// The array.
        array: String,
        /// What it is.
        why: &'static str,
    },
    /// The second one reads a product, which the first computes, as this view of it.
    View(&'static str),
    /// The second one counts places along the axes of a product, which the first computes: this array.
    Places(String),
    /// The first one has a product, and the second has another one.
    Products,
    /// The first one has a product of what it computes, and what follows there is elementwise, of nothing that was
    /// computed before.
    Ends,
    /// The first one has a product, and the second has reductions along other axes than its last: these are
    /// of that array.
    Reductions(String),
    /// The second one reduces rows of the product that the first one has, which are too long to be held.
    Long(String),
    /// One has a product, and the other computes nothing of it.
    Unrelated,
    /// What the second one computes is larger than the product that the first one has.
    Larger([String; 2]),
    /// They store arrays that are not known to have one shape.
    Shapes([String; 2]),
    /// One of them waits for a step that is not elementwise, and the other does not.
    Level {
        /// The number of the kernel that waits.
        waiting: usize,
        /// The number of what it waits for.
        step: usize,
        /// What that is.
        noun: &'static str,
    },
    /// They have reductions over different rows: what they are.
    Rows([String; 2]),
    /// The program is too long for one kernel, and is cut between them.
    Cut {
        /// Its ops.
        ops: usize,
        /// The most that a kernel has.
        most: usize,
    },
    /// What the first computes has far fewer elements than what the second does with it.
    Smaller {
        /// The arrays of both.
        arrays: [String; 2],
        /// What was estimated.
        costs: Costs,
    },
    /// What the first computes is stored anyway, and loaded rather than computed again.
    Stored {
        /// The array.
        array: String,
        /// What was estimated.
        costs: Costs,
    },
    /// Nothing but their cost.
    Cost(Costs),
}

/// Estimates of what two kernels cost apart and fused, in tenths of an `add` on one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// As they are.
    pub apart: u64,
    /// As one kernel.
    pub fused: u64,
}

impl Reason {
    /// What was estimated, if that decided.
    pub fn costs(&self) -> Option<Costs> {
        match self {
            Reason::Smaller { costs, .. } | Reason::Stored { costs, .. } => Some(*costs),
            Reason::Cost(costs) => Some(*costs),
            _ => None,
        }
    }
}

impl fmt::Display for Separation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.steps;
        write!(f, "{first} and {second}: {}", self.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Call { step, noun } => {
                write!(f, "{step}, {noun}, stands between them: its arrays must be in memory")
            }
            Reason::Operand { step, noun } => {
                write!(f, "{step} has {noun} of it, whose operands must be in memory")
            }
            Reason::Reduced { step, noun } => {
                write!(f, "{step} reduces rows of {noun} of it, and with those a kernel computes no operand")
            }
            Reason::Scanned { step, noun } => {
                write!(f, "{step} has {noun}, and a kernel with a product has none")
            }
            Reason::Pass { step, noun } => {
                write!(f, "{step} is {noun}, which no kernel computes: what it gives is read from memory")
            }
            Reason::Copied(view) => {
                write!(
                    f,
                    "{view} of it is an output, and a copy: it leaves elements out, has rows as columns, lies as no \
                     strides say, or something else reads the whole"
                )
            }
            Reason::Size { step, noun, array, why } => {
                write!(f, "{step} has {noun} of it, and {array} {why}")
            }
            Reason::View(view) => {
                write!(f, "it is read as {view}, not element by element as a product is computed")
            }
            Reason::Places(product) => {
                write!(
                    f,
                    "places along axes of the product ({product}) need it in memory; those along its operands, \
                     as `iota[-2](a)` and `iota[-1](b)` of `a @ b`, do not"
                )
            }
            Reason::Products => f.write_str("a kernel has one product at most, and each has one"),
            Reason::Ends => {
                f.write_str(
                    "what follows a product of what a kernel computes is elementwise, of it and of what is in memory",
                )
            }
            Reason::Reductions(reduction) => {
                write!(
                    f,
                    "{reduction} is not along the rows of the product, some of which are held"
                )
            }
            Reason::Long(product) => {
                write!(f, "the rows of the product ({product}) are too long to be held and reduced")
            }
            Reason::Unrelated => {
                f.write_str("with a product, a kernel stores only what is computed of it")
            }
            Reason::Larger([product, larger]) => {
                write!(f, "{larger} has more elements than the product ({product})")
            }
            Reason::Shapes([one, other]) => {
                write!(f, "{one} and {other} are not known to have one shape")
            }
            Reason::Level { waiting, step, noun } => {
                write!(f, "{waiting} waits for {step}, {noun}, and the other does not")
            }
            Reason::Rows([one, other]) => write!(f, "{one} and {other} are over different rows"),
            Reason::Cut { ops, most } => {
                write!(f, "{ops} ops are cut into kernels of at most {most}")
            }
            Reason::Smaller { arrays: [small, large], costs } => {
                write!(f, "{small} is computed once, not for every element of {large}: {costs}")
            }
            Reason::Stored { array, costs } => {
                write!(f, "{array} is stored anyway, so it is loaded: {costs}")
            }
            Reason::Cost(costs) => write!(f, "one kernel would not be better: {costs}"),
        }
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let adds = |tenths: u64| tenths as f64 / 10.0;
        write!(f, "{:.3e} adds apart, {:.3e} fused", adds(self.apart), adds(self.fused))
    }
}
