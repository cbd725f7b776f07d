//! What others say of themselves, in ULP.

use kiln::DType;
use kiln::ir::Op;

/// Figures of one op: SLEEF `_u10`, glibc's libmvec on x86-64, XLA's budget, Eigen.
pub(crate) type Figures = [&'static str; 4];

/// Names of the columns.
pub(crate) const LIBRARIES: [&str; 4] = ["SLEEF", "libmvec", "XLA", "Eigen"];

/// Where the figures are from.
pub(crate) const SOURCES: &str = "\
- SLEEF: the bounds that `docs/purec.xhtml` and the names of the `_u10` functions state (`_u15` for \
erfc; asinh and acosh below the root of the largest number only), shibatch/sleef at 7623d6c.
- libmvec: glibc's on x86-64. f32: `sysdeps/x86_64/fpu/libm-test-ulps`, whole numbers found at the \
test suite's points; log and log1p as PoCL measured them (pocl#2310, #2311). f64: the largest of \
the SSE4, AVX2 and AVX-512 variants in Gladman, Innocente, Mather, Ozaki and Zimmermann, *Accuracy of \
Mathematical Functions* (hal-03141101, 2026), found by search; pow and atan2: glibc's limit of 4.
- XLA: the budgets of its CPU backend, `xla/codegen/intrinsic/accuracy/accuracy_budget.h`.
- Eigen: `doc/CoeffwiseMathFunctionsTable.dox` at 12c9c14; f32 exhaustive, f64 sampled, SSE2.
";

/// What is published for `op`; empty where nothing was found.
pub(crate) fn figures(op: Op, dtype: DType) -> Figures {
    match dtype {
        DType::F32 => single(op),
        _ => double(op),
    }
}

fn single(op: Op) -> Figures {
    match op {
        Op::Exp => ["1.0", "1", "6", "1"],
        Op::Exp2 => ["1.0", "1", "", "6"],
        Op::Exp10 => ["1.09", "", "", ""],
        Op::Expm1 => ["1.0", "1", "", "5"],
        Op::Log => ["1.0", "3.009", "1", "3"],
        Op::Log2 => ["1.0", "1", "", "5"],
        Op::Log10 => ["1.0", "2", "", "2"],
        Op::Log1p => ["1.0", "2.004", "1", "5"],
        Op::Sin | Op::Cos => ["1.0", "1", "", "2"],
        Op::Tan => ["1.0", "2", "", "5"],
        Op::Asin | Op::Atan => ["1.0", "1", "", "4"],
        Op::Acos => ["1.0", "2", "", "4"],
        Op::Atan2 => ["1.0", "2", "", ""],
        Op::Sinh | Op::Cosh => ["1.0", "2", "", "2"],
        Op::Tanh => ["1.0001", "2", "3", "6"],
        Op::Asinh | Op::Acosh => ["1.001", "2", "", "2"],
        Op::Atanh => ["1.0001", "2", "", "2"],
        Op::Cbrt => ["1.0", "2", "", "2"],
        Op::Erf => ["1.0", "1", "2", "7"],
        Op::Erfc => ["1.5", "3", "", "8"],
        Op::Sigmoid => ["", "", "", "7"],
        Op::Pow => ["1.0", "3", "", ""],
        Op::Rsqrt => ["", "", "1", ""],
        _ => [""; 4],
    }
}

fn double(op: Op) -> Figures {
    match op {
        Op::Exp => ["1.0", "3.20", "1", "2"],
        Op::Exp2 => ["1.0", "1.64", "", "214"],
        Op::Expm1 => ["1.0", "2.97", "", "3"],
        Op::Log => ["1.0", "1.59", "1", "2"],
        Op::Log2 => ["1.0", "2.09", "", "2"],
        Op::Log10 => ["1.0", "2.09", "", "2"],
        Op::Log1p => ["1.0", "2.59", "1", "3"],
        Op::Sin => ["1.0", "3.83", "", "1.4e7"],
        Op::Cos => ["1.0", "3.84", "", "1.4e7"],
        Op::Tan => ["1.0", "3.99", "", ""],
        Op::Asin => ["1.0", "3.48", "", "1"],
        Op::Acos => ["1.0", "2.31", "", "1"],
        Op::Atan => ["1.0", "2.64", "", "5"],
        Op::Atan2 => ["1.0", "4", "", ""],
        Op::Sinh => ["1.0", "2.39", "", "2"],
        Op::Cosh => ["1.0", "2.02", "", "2"],
        Op::Tanh => ["1.0", "2.17", "4", "8"],
        Op::Asinh => ["1.0", "3.59", "", "2"],
        Op::Acosh => ["1.0", "3.31", "", "2"],
        Op::Atanh => ["1.0", "3.59", "", "2"],
        Op::Cbrt => ["1.0", "3.42", "", "2"],
        Op::Erf => ["1.0", "2.54", "1", "3"],
        Op::Erfc => ["1.5", "2.22", "", "11"],
        Op::Sigmoid => ["", "", "", "3"],
        Op::Pow => ["1.0", "4", "", ""],
        Op::Rsqrt => ["", "", "1", ""],
        _ => [""; 4],
    }
}
