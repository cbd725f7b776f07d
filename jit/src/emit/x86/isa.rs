//! The instruction sets, and the registers that they have.

/// The instruction sets that code is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    /// 512-bit vectors; masks in registers of their own.
    Avx512,
    /// 256-bit vectors; a mask is a vector, with all bits of a lane set or clear.
    Avx2,
}

impl Isa {
    /// Bytes of a vector.
    pub(super) fn bytes(self) -> usize {
        match self {
            Isa::Avx512 => 64,
            Isa::Avx2 => 32,
        }
    }

    /// How many registers of a class can be allocated, and the number of the first.
    pub(super) fn registers(self, class: Class) -> (u8, u8) {
        match (self, class) {
            (Isa::Avx512, Class::Vector) => (32, 0),
            (Isa::Avx2, Class::Vector) => (16, 0),
            // As a predicate, k0 means "no mask".
            (_, Class::Mask) => (7, 1),
        }
    }
}

/// Which registers a value may live in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `ymm` or `zmm`.
    Vector,
    /// `k`; AVX-512 only.
    Mask,
}
