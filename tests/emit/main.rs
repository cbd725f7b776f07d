//! Emitters: the same bits from each, natively or by the processor of software.

mod bits;
mod emit;
mod emulate;
mod random_bits;
