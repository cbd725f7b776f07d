//! Picoseconds per element of each [`Primitive`](super::Primitive), by emitter. Written by
//! `cargo bench --bench costs` on AMD EPYC, family 26 model 2.

use super::Times;

/// `avx512`
#[rustfmt::skip]
pub(crate) const AVX512: Times = [
    [4, 8], // Logic
    [4, 9], // CopySign
    [8, 16], // Add
    [4, 8], // IntAdd
    [9, 17], // Mul
    [9, 17], // IntMul
    [8, 17], // Fma
    [40, 129], // Div
    [72, 241], // Sqrt
    [8, 16], // Round
    [8, 16], // Min
    [8, 16], // Compare
    [4, 8], // Select
    [8, 16], // Shift
    [8, 16], // SignedShift
    [36, 37], // Convert
    [291, 265], // Table
];

/// `avx2`
#[rustfmt::skip]
pub(crate) const AVX2: Times = [
    [11, 21], // Logic
    [38, 75], // CopySign
    [16, 32], // Add
    [11, 22], // IntAdd
    [16, 33], // Mul
    [16, 136], // IntMul
    [17, 35], // Fma
    [81, 258], // Div
    [145, 481], // Sqrt
    [16, 32], // Round
    [16, 32], // Min
    [16, 32], // Compare
    [16, 32], // Select
    [16, 32], // Shift
    [16, 96], // SignedShift
    [56, 51], // Convert
    [321, 333], // Table
];

/// `cranelift`
#[rustfmt::skip]
pub(crate) const CRANELIFT: Times = [
    [29, 58], // Logic
    [74, 149], // CopySign
    [31, 63], // Add
    [29, 59], // IntAdd
    [32, 64], // Mul
    [34, 67], // IntMul
    [55, 110], // Fma
    [160, 511], // Div
    [287, 956], // Sqrt
    [32, 63], // Round
    [32, 63], // Min
    [31, 64], // Compare
    [37, 74], // Select
    [32, 64], // Shift
    [32, 64], // SignedShift
    [87, 87], // Convert
    [493, 383], // Table
];

/// `interp`
#[rustfmt::skip]
pub(crate) const INTERP: Times = [
    [15596, 16858], // Logic
    [4465, 4480], // CopySign
    [4470, 4487], // Add
    [13273, 12938], // IntAdd
    [4643, 4624], // Mul
    [13421, 13267], // IntMul
    [6632, 6539], // Fma
    [4636, 4452], // Div
    [4332, 4402], // Sqrt
    [5806, 5819], // Round
    [5058, 5560], // Min
    [4729, 5329], // Compare
    [4286, 4262], // Select
    [12617, 12494], // Shift
    [12502, 12703], // SignedShift
    [4625, 4666], // Convert
    [13943, 13878], // Table
];
