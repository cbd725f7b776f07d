//! What a mode that may round differently still promises about what was written.

use crate::array::Elements;
use crate::real::Real;
use crate::rng::Rng;
use crate::truth::{Doubt, Way, evaluate, largest, point};
use kiln::ir::Scalar;
use kiln::{DType, Graph};
use kiln_accuracy::Big;

/// How a result breaks the promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// NaN where what was written gives a finite number.
    Nan,
    /// The same where there is no true number, or rounding makes it anything: what was written is
    /// at the edge of a domain.
    NanAtEdge,
    /// NaN where what was written gives an infinity, and there is a true number.
    NanOfInfinity,
    /// Infinite where what was written gives a finite number, and the true one is finite.
    Infinity,
    /// The same where rounding errors may come to a pole.
    InfinityAtEdge,
    /// Infinite where what was written gives a NaN, and the true number is finite, or none.
    InfinityOfNan,
    /// A number where what was written gives NaN, and there is no true one.
    NumberOfNan,
    /// The other zero.
    ZeroSign,
    /// Far from the true number, and farther than the finite one that was written.
    Far,
    /// A bool or an integer that a well conditioned graph gives otherwise.
    Step,
}

/// More ULP than this between the two are looked at.
const SCREEN: f64 = 8.0;
/// The error may be this many times the rounding error of what was written.
const FACTOR: f64 = 8.0;

/// Compares an element of an output with the same of what was written.
pub(crate) fn judge(
    graph: &Graph,
    inputs: &[Elements],
    output: usize,
    shape: &[usize],
    index: usize,
    [written, got]: [Scalar; 2],
) -> Option<Fault> {
    let dtype = graph.dtype(graph.outputs()[output]);
    let truth = |way: Way<'_>| -> (Real, Doubt) {
        let values = point(inputs, shape, index);
        let (mut all, doubt) = evaluate(graph, &values, way);
        (all.swap_remove(output), doubt)
    };
    let (Scalar::Float(written), Scalar::Float(got)) = (written, got) else {
        return (written != got && is_wrong(&truth, written, got)).then_some(Fault::Step);
    };
    if written.to_bits() == got.to_bits() || (written.is_nan() && got.is_nan()) {
        return None;
    }
    if dtype == DType::Bool {
        let [written, got] = [written, got].map(Scalar::Float);
        return is_wrong(&truth, written, got).then_some(Fault::Step);
    }
    if got.is_nan() {
        let (exact, doubt) = truth(Way::Exact);
        return match (exact, written.is_finite()) {
            (Real::Nan | Real::Unknown, true) => Some(Fault::NanAtEdge),
            (_, true) if doubt.absorbed => Some(Fault::NanAtEdge),
            (Real::Finite(value), true) if is_edge(&truth, &value) => Some(Fault::NanAtEdge),
            (_, true) => Some(Fault::Nan),
            (Real::Nan | Real::Unknown, false) => None,
            (_, false) => (!doubt.absorbed).then_some(Fault::NanOfInfinity),
        };
    }
    if written == 0.0 && got == 0.0 {
        // What rounded to zero may have either sign; the true one is right.
        let (exact, doubt) = truth(Way::Exact);
        let right = match exact {
            Real::Zero(_) if doubt.absorbed => true,
            Real::Zero(negative) => negative == got.is_sign_negative(),
            Real::Finite(value) => {
                value.is_negative() == got.is_sign_negative() || is_edge(&truth, &value)
            }
            _ => true,
        };
        return (!right).then_some(Fault::ZeroSign);
    }
    let unit = |value: f64| {
        let (digits, least) = precision(dtype);
        let exponent = ((value.to_bits() >> 52 & 0x7ff) as i32 - 1023 - digits).max(least);
        f64::from(exponent).exp2()
    };
    if written.is_finite() && got.is_finite() && (written - got).abs() <= SCREEN * unit(written) {
        return None;
    }
    let (exact, doubt) = truth(Way::Exact);
    match exact {
        Real::Infinite(_) | Real::Nan if doubt.absorbed => return None,
        Real::Finite(_) | Real::Zero(_) => {}
        Real::Infinite(negative) => {
            let right = got.is_infinite() && (got < 0.0) == negative;
            let fault = if got.is_infinite() { Fault::Infinity } else { Fault::Far };
            return (!right && written.is_infinite()).then_some(fault);
        }
        Real::Nan if written.is_nan() && got.is_infinite() => {
            return (!doubt.indeterminate).then_some(Fault::InfinityOfNan);
        }
        Real::Nan if written.is_nan() => {
            return (!doubt.indeterminate).then_some(Fault::NumberOfNan);
        }
        Real::Nan if got.is_infinite() && written.is_finite() => return Some(Fault::Infinity),
        _ => return None,
    }
    let exact = match exact {
        Real::Finite(value) => value,
        _ => Big::from_f64(0.0),
    };
    let limit = Big::from_f64(largest(dtype));
    if got.is_infinite() {
        let overflows = exact.abs() > limit && exact.is_negative() == (got < 0.0);
        let edge = is_edge(&truth, &exact);
        let bounded =
            matches!(truth(Way::Bounded).0, Real::Infinite(negative) if negative == (got < 0.0));
        let fault = match written.is_nan() {
            true => Fault::InfinityOfNan,
            false if edge => Fault::InfinityAtEdge,
            false => Fault::Infinity,
        };
        return (!overflows && !bounded).then_some(fault);
    }
    if !written.is_finite() || doubt.absorbed || doubt.indeterminate {
        return None;
    }
    let distance = |value: f64| (Big::from_f64(value) - exact.clone()).abs();
    let off = distance(got);
    let allowed = Big::from_f64(SCREEN * unit(exact.to_f64().clamp(-1e300, 1e300)));
    if off <= allowed {
        return None;
    }
    if off <= distance(written) * Big::from_f64(4.0) + allowed.clone() {
        return None;
    }
    let spread = spread(&truth, &exact)?;
    // Rounding leaves no digit of the sine of a large sum.
    if spread > exact.abs().shifted(-3) {
        return None;
    }
    let far = off > spread * Big::from_f64(FACTOR) + allowed;
    far.then_some(Fault::Far)
}

fn precision(dtype: DType) -> (i32, i32) {
    match dtype {
        DType::F16 => (10, -24),
        DType::BF16 => (7, -133),
        DType::F32 => (23, -149),
        _ => (52, -1074),
    }
}

/// Whether rounding decides what the value is: at a pole, or at the edge of a domain.
fn is_edge(truth: &dyn Fn(Way<'_>) -> (Real, Doubt), exact: &Big) -> bool {
    spread(truth, exact).is_none_or(|by| by > exact.abs().shifted(-6))
}

/// How far rounding moves the true value; none where it may make it anything.
fn spread(truth: &dyn Fn(Way<'_>) -> (Real, Doubt), exact: &Big) -> Option<Big> {
    let mut rng = Rng::new(7);
    let mut spread = Big::from_f64(0.0);
    for _ in 0..8 {
        let moved = match truth(Way::Shaken(&mut rng)).0 {
            Real::Finite(value) => value,
            Real::Zero(_) => Big::from_f64(0.0),
            _ => return None,
        };
        let by = (moved - exact.clone()).abs();
        if by > spread {
            spread = by;
        }
    }
    Some(spread)
}

/// Whether what was written has the true bool or integer, which rounding errors leave what it is,
/// and `got` has not.
fn is_wrong(truth: &dyn Fn(Way<'_>) -> (Real, Doubt), written: Scalar, got: Scalar) -> bool {
    let mut rng = Rng::new(7);
    let step = |(value, doubt): (Real, Doubt)| match value {
        _ if doubt.absorbed || doubt.indeterminate || doubt.cancels => None,
        Real::Bool(value) => Some(Scalar::Float(f64::from(value))),
        Real::Integer(value) => Some(Scalar::Integer(value)),
        _ => None,
    };
    let exact = step(truth(Way::Exact));
    exact.is_some()
        && exact == Some(written)
        && exact != Some(got)
        && (0..8).all(|_| step(truth(Way::Shaken(&mut rng))) == exact)
}
