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

/// The logistic function without cancellation: `exp(-|a|)` never overflows.
pub(crate) fn sigmoid(a: f64) -> f64 {
    let e = libm::exp(-a.abs());
    if a < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}
