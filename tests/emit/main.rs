//! Emitters: the same bits from each, natively or by the processor of software.

mod bits;
mod check;
mod emitters;
mod emulate;
mod folds;
mod programs;
mod random_bits;
mod rows;
mod sweeps;
