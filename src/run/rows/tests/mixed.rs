//! Sums and extremes of the same elements, which a sweep merges as it goes through them once.

use super::{apart, body, check, compile, compile_sweep, emitters, fill};
use crate::lower::Tier;
use crate::lower::rows::rows;
use crate::run::rows::RowCode;
use crate::run::{Tensor, View};
use kiln_ir::DType;
use kiln_jit::cpu::Cpu;

const BODIES: [&str; 6] = [
    "|x| (logsumexp[A](x), sum[A](x))",
    "|x| (x - mean[A](x)) / (max[A](x) - min[A](x))",
    "|x, y| let m = max[A](x); (sum[A](x * y), m, min[A](x * y), sum[A](x - m))",
    "|x, s| log_softmax[A](x) * sum[A](select(s > 0, x, 0))",
    "|x, y| exp(x - max[A](y)) / (sum[A](x) + sum[A](y) + min[A](y))",
    "|x| max[A](abs(x)) + x / sum[A](x * x)",
];

/// Rows of a few elements, of blocks that are full, and of some that are not; where some are NaN and infinite, and where
/// all are zeros of either sign, so that the least and the largest of each block are such.
#[test]
fn sums_and_extremes_join_as_they_do_apart() {
    let shapes = [[70, 5], [40, 64], [5, 511], [4, 512], [3, 513], [3, 1025], [2, 2600]];
    let mut turn = 0;
    for (shape, text) in shapes.iter().flat_map(|shape| BODIES.map(|text| (shape, text))) {
        turn += 1;
        let dtype = if turn % 3 == 0 { DType::F64 } else { DType::F32 };
        let body = body(text, "[-1]", dtype);
        for are_zeros in [false, true] {
            let array = |index| {
                let mut tensor = Tensor::zeros(dtype, shape).unwrap();
                fill(&mut tensor, turn + index, true);
                if are_zeros {
                    to_zeros(&mut tensor);
                }
                tensor
            };
            let arrays: Vec<Tensor> = (0..body.inputs().len() as u64).map(array).collect();
            let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
            let expected = apart(&body, &views);
            for emitter in emitters() {
                let program = rows(&body, Tier::Default).unwrap();
                assert!(program.sweep.is_some(), "{body}");
                let by = |routine: &_| compile(routine, emitter, Cpu::host());
                let mut code = RowCode::compile(program, by, compile_sweep).unwrap();
                for threads in [1, 3] {
                    check(&body, &mut code, &views, &expected, threads);
                }
            }
        }
    }
}

/// Some +0 among many of -0, in some of the blocks.
fn to_zeros(tensor: &mut Tensor) {
    match tensor {
        Tensor::F32(array) => array.mapv_inplace(|x| if x > 1.99 { 0.0 } else { -0.0 }),
        Tensor::F64(array) => array.mapv_inplace(|x| if x > 1.99 { 0.0 } else { -0.0 }),
        other => panic!("{}", other.dtype()),
    }
}
