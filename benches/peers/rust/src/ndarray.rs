//! `ndarray`: one `Zip` with a closure of `f32`'s methods, which is fused by hand, and by LLVM.

use crate::peer::{Array, Bound, Case, DType, Peer, Unable};
use ndarray::{ArrayView, ArrayViewMut2, Ix2, Zip};

pub(crate) struct NdArray;

/// A type's methods, and `erf`, which the standard library has not.
macro_rules! closures {
    ($module:ident, $T:ident, $erf:path) => {
        mod $module {
            use super::{ArrayView, ArrayViewMut2, Ix2, Zip};
            use std::$T::consts::FRAC_1_SQRT_2;

            type Views = Vec<ArrayView<'static, $T, Ix2>>;
            type Apply = Box<dyn FnMut(&Views, &mut ArrayViewMut2<'static, $T>, bool)>;

            fn gelu_tanh(x: $T) -> $T {
                0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x)).tanh())
            }

            fn softplus(x: $T) -> $T {
                x.max(0.0) + (-x.abs()).exp().ln_1p()
            }

            fn selu(x: $T) -> $T {
                1.050_700_987_355_480_5
                    * if x > 0.0 { x } else { 1.673_263_242_354_377_2 * x.exp_m1() }
            }

            fn logs_and_roots(a: $T, b: $T, c: $T) -> $T {
                let h = (a * a + b * b).sqrt();
                let u = (h + c).ln();
                let w = a.ln() * b.sqrt() + b.ln() * c.sqrt() + c.ln() * a.sqrt();
                (u + (a * b).ln_1p().sqrt() * w) / (1.0 + (h * u * u + 1.0).sqrt())
            }

            fn normal(x: $T) -> $T {
                0.5 + 0.5 * $erf(FRAC_1_SQRT_2 * x)
            }

            fn black_scholes(s: $T, k: $T, t: $T, v: $T) -> $T {
                let q = v * t.sqrt();
                let d = ((s / k).ln() + (0.03 + 0.5 * (v * v)) * t) / q;
                s * normal(d) - k * (-0.03 * t).exp() * normal(d - q)
            }

            fn one(f: impl Fn($T) -> $T + Sync + Copy + 'static) -> Apply {
                Box::new(move |views, out, shared| {
                    let zip = Zip::from(out).and(&views[0]);
                    if shared {
                        zip.par_for_each(|out, &x| *out = f(x));
                    } else {
                        zip.for_each(|out, &x| *out = f(x));
                    }
                })
            }

            fn three(f: impl Fn($T, $T, $T) -> $T + Sync + Copy + 'static) -> Apply {
                Box::new(move |views, out, shared| {
                    let zip = Zip::from(out).and(&views[0]).and(&views[1]).and(&views[2]);
                    if shared {
                        zip.par_for_each(|out, &x, &y, &z| *out = f(x, y, z));
                    } else {
                        zip.for_each(|out, &x, &y, &z| *out = f(x, y, z));
                    }
                })
            }

            fn four(f: impl Fn($T, $T, $T, $T) -> $T + Sync + Copy + 'static) -> Apply {
                Box::new(move |views, out, shared| {
                    let inputs = Zip::from(out).and(&views[0]).and(&views[1]).and(&views[2]);
                    let zip = inputs.and(&views[3]);
                    if shared {
                        zip.par_for_each(|out, &x, &y, &z, &w| *out = f(x, y, z, w));
                    } else {
                        zip.for_each(|out, &x, &y, &z, &w| *out = f(x, y, z, w));
                    }
                })
            }

            pub(super) fn of(name: &str) -> Option<Apply> {
                Some(match name {
                    "x*w+b" => three(|x, w, b| x * w + b),
                    "relu" => one(|x| x.max(0.0)),
                    "silu" => one(|x| x / (1.0 + (-x).exp())),
                    "gelu tanh" => one(gelu_tanh),
                    "gelu erf" => one(|x| 0.5 * x * (1.0 + $erf(FRAC_1_SQRT_2 * x))),
                    "gelu(x*w+b)" => three(|x, w, b| gelu_tanh(x * w + b)),
                    "mish" => one(|x| x * softplus(x).tanh()),
                    "softplus" => one(softplus),
                    "selu" => one(selu),
                    "logs, roots" => three(logs_and_roots),
                    "Black-Scholes" => four(black_scholes),
                    _ => return None,
                })
            }
        }
    };
}

closures!(single, f32, libm::erff);
closures!(double, f64, libm::erf);

impl Peer for NdArray {
    fn version(&self) -> &'static str {
        "0.17, with f32's methods and libm's erf"
    }

    fn knows(&self) -> &'static str {
        crate::peer::MATH
    }

    fn bind(&self, case: &Case, inputs: &[Array], output: &Array) -> Result<Bound, Unable> {
        let shared = case.threads > 1;
        let missing = || "has no closure for this".to_string();
        macro_rules! bound {
            ($module:ident, $T:ty) => {{
                let mut apply = $module::of(&case.name).ok_or_else(missing)?;
                let matrix = |array: &Array| {
                    let shape = (output.stored[0], output.stored[1]);
                    let slice = array.slice::<$T>();
                    let view = ndarray::ArrayViewD::from_shape(&array.stored[..], slice);
                    let view = view.map_err(|error| error.to_string())?;
                    // A row for every row: its steps are 0, not its elements copied.
                    let step = if array.stored.len() == 1 { 0 } else { shape.1 };
                    let strided = ndarray::ShapeBuilder::strides(shape, (step, 1));
                    drop(view);
                    ndarray::ArrayView2::from_shape(strided, slice).map_err(|e| e.to_string())
                };
                let views = inputs.iter().map(matrix).collect::<Result<Vec<_>, _>>()?;
                let out = output.view_mut::<$T>().into_dimensionality::<Ix2>();
                let mut out = out.map_err(|error| error.to_string())?;
                Ok(Bound::new(move || apply(&views, &mut out, shared)))
            }};
        }
        match case.dtype {
            DType::Float32 => bound!(single, f32),
            DType::Float64 => bound!(double, f64),
        }
    }
}
