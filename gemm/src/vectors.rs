//! Which kernels a machine runs.

/// Vectors that there are kernels for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vectors {
    /// 512 bits.
    Avx512,
    /// 256 bits, with fused multiply-adds and conversions of `f16`.
    Avx2,
    /// Whatever a compiler makes of arrays.
    Plain,
}

impl Vectors {
    /// All of them, the widest first.
    pub const ALL: [Vectors; 3] = [Vectors::Avx512, Vectors::Avx2, Vectors::Plain];

    /// Whether this machine has them.
    #[inline]
    pub fn are_there(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
            }
            Vectors::Plain => true,
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The widest of this machine.
    #[inline]
    pub(crate) fn widest() -> Vectors {
        let there = Vectors::ALL.into_iter().find(|vectors| vectors.are_there());
        there.unwrap_or(Vectors::Plain)
    }
}
