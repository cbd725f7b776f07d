//! Crates that multiply matrices. What follows the product is a closure of `f32`'s methods: given to
//! gemmkit, which calls it as it stores, and after faer, in a pass of its own.

use crate::peer::{Array, Bound, Case, DType, Peer, Unable};
use faer::{Accum, MatMut, MatRef, Par};
use gemmkit::Parallelism;

pub(crate) struct Gemmkit;
pub(crate) struct Faer;

fn gelu_tanh(x: f32) -> f32 {
    0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x * x * x)).tanh())
}

/// The bias of a linear layer with GELU, `None` for a product alone.
fn bias(case: &Case, inputs: &[Array]) -> Result<Option<&'static [f32]>, Unable> {
    if case.dtype != DType::Float32 {
        return Err("is measured in f32".into());
    }
    match &case.name[..] {
        "matmul" => Ok(None),
        "linear + gelu" => Ok(Some(inputs[2].slice())),
        _ => Err("only multiplies matrices".into()),
    }
}

impl Peer for Gemmkit {
    fn version(&self) -> &'static str {
        "0.1.2"
    }

    fn knows(&self) -> &'static str {
        crate::peer::MATH
    }

    fn bind(&self, case: &Case, inputs: &[Array], output: &Array) -> Result<Bound, Unable> {
        let bias = bias(case, inputs)?;
        let threads = case.threads;
        let (x, w, out) = (inputs[0].clone(), inputs[1].clone(), output.clone());
        Ok(Bound::new(move || {
            let view = |array: &Array| {
                let (rows, columns, down, right) = array.matrix();
                gemmkit::MatRef::new(array.slice::<f32>(), rows, columns, down, right)
            };
            let (rows, columns, ..) = out.matrix();
            let target = gemmkit::MatMut::from_row_major(out.slice_mut::<f32>(), rows, columns);
            let parallel =
                if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::Serial };
            match bias {
                None => gemmkit::gemm(1.0, view(&x), view(&w), 0.0, target, parallel),
                Some(bias) => {
                    let finish = |z: f32, _row: usize, column: usize| gelu_tanh(z + bias[column]);
                    gemmkit::gemm_map(1.0, view(&x), view(&w), 0.0, target, &finish, parallel);
                }
            }
        }))
    }
}

impl Peer for Faer {
    fn version(&self) -> &'static str {
        "0.24.4"
    }

    fn knows(&self) -> &'static str {
        crate::peer::MATH
    }

    fn bind(&self, case: &Case, inputs: &[Array], output: &Array) -> Result<Bound, Unable> {
        let bias = bias(case, inputs)?;
        let parallel = if case.threads > 1 { Par::rayon(case.threads) } else { Par::Seq };
        let (x, w, out) = (inputs[0].clone(), inputs[1].clone(), output.clone());
        Ok(Bound::new(move || {
            let view = |array: &Array| {
                let (rows, columns) = (array.stored[0], array.stored[1]);
                let view = MatRef::from_row_major_slice(array.slice::<f32>(), rows, columns);
                if array.transposed { view.transpose() } else { view }
            };
            let (rows, columns, ..) = out.matrix();
            let target = MatMut::from_row_major_slice_mut(out.slice_mut::<f32>(), rows, columns);
            faer::linalg::matmul::matmul(target, Accum::Replace, view(&x), view(&w), 1.0, parallel);
            if let Some(bias) = bias {
                for row in out.slice_mut::<f32>().chunks_exact_mut(columns) {
                    for (z, bias) in row.iter_mut().zip(bias) {
                        *z = gelu_tanh(*z + bias);
                    }
                }
            }
        }))
    }
}
