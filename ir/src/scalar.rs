//! Scalar definitions that no library has in the form the op table wants.

/// -1, 1, or the zero or NaN given.
pub(crate) fn sign(a: f64) -> f64 {
    if a == 0.0 || a.is_nan() { a } else { 1f64.copysign(a) }
}

/// IEEE 754-2019 `minimum`: NaN if either is, -0 below +0.
pub(crate) fn minimum(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a < b || (a == b && a.is_sign_negative()) {
        a
    } else {
        b
    }
}

/// IEEE 754-2019 `maximum`: NaN if either is, -0 below +0.
pub(crate) fn maximum(a: f64, b: f64) -> f64 {
    -minimum(-a, -b)
}

/// The quotient rounded toward zero; 0 for a zero divisor.
pub(crate) fn integer_quotient(a: i64, b: i64) -> i64 {
    if b == 0 { 0 } else { a.wrapping_div(b) }
}

/// The remainder of [`integer_quotient`], with the sign of `a`; 0 for a zero divisor.
pub(crate) fn integer_remainder(a: i64, b: i64) -> i64 {
    if b == 0 { 0 } else { a.wrapping_rem(b) }
}

/// The logistic function without cancellation: `exp(-|a|)` never overflows.
pub(crate) fn sigmoid(a: f64) -> f64 {
    let e = libm::exp(-a.abs());
    if a < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}
