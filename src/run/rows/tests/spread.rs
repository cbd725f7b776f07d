//! Operands that repeat from run to run, and are spread over several.

use super::{apart, body, check, compile, compile_sweep, emitters, fill};
use crate::lower::Tier;
use crate::lower::rows::rows;
use crate::run::rows::RowCode;
use crate::run::view::Layout;
use crate::run::{Tensor, View};
use kiln_ir::DType;
use kiln_jit::cpu::Cpu;

const BODIES: [&str; 5] = [
    "|x, s| softmax[A](x * 0.5 + s)",
    "|x, s, y| layer_norm[A](x) * s + y",
    "|s, x| max[A](x * s) - x",
    "|x, s| (sum[A](x * s), x + sum[A](x))",
    "|x, s| cumsum[A](x) * s",
];

/// Rows side by side along the first axis, or the second of four; a number for each row of a run, or for each element of
/// each, among inputs, in any order; as many runs as numbers divide well, and not.
#[test]
fn what_is_spread_changes_no_bit() {
    let emitters = emitters();
    let (mut turn, mut are_spread) = (0, 0);
    for (shape, axes) in [
        (&[3, 40, 5][..], "[0]"),
        (&[9, 64, 33], "[0]"),
        (&[65, 7, 2], "[0]"),
        (&[2, 1009, 3], "[0]"),
        (&[2, 3, 24, 7], "[1]"),
        (&[4, 3, 24, 7], "[0, 1]"),
        (&[600, 12, 40], "[0]"),
        // Whose inner axes end nothing, and whose runs are wide.
        (&[5, 6, 600], "[0]"),
    ] {
        let (rank, run) = (shape.len(), shape[shape.len() - 1]);
        for text in BODIES {
            if text.contains("cumsum") && axes.contains(',') {
                continue;
            }
            turn += 1;
            let dtype = if turn % 3 == 0 { DType::F64 } else { DType::F32 };
            let body = body(text, axes, dtype);
            let mut own = vec![1; rank];
            own[rank - 1] = run;
            if turn % 2 == 0 {
                let along = usize::from(axes == "[1]");
                own[along] = shape[along];
            }
            let arrays: Vec<Tensor> = body
                .inputs()
                .iter()
                .map(|input| {
                    let own = if input.name == "s" { &own[..] } else { shape };
                    let mut tensor = Tensor::zeros(dtype, own).unwrap();
                    fill(&mut tensor, turn, true);
                    tensor
                })
                .collect();
            let mut views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
            if turn % 5 == 0 {
                let of_s = body.inputs().iter().position(|input| input.name == "s").unwrap();
                let layout = &views[of_s].layout;
                let mut strides = layout.strides.to_vec();
                let last = (run as isize - 1) * strides[rank - 1];
                strides[rank - 1] = -strides[rank - 1];
                // SAFETY: the same elements, from the last of each run on.
                views[of_s] = unsafe {
                    View::from_raw(
                        layout.base.wrapping_offset(last),
                        dtype,
                        &layout.shape,
                        &strides,
                    )
                };
            }
            let expected = apart(&body, &views);
            for &emitter in &emitters {
                let program = rows(&body, Tier::Default).unwrap();
                let by = |routine: &_| compile(routine, emitter, Cpu::host());
                let mut code = RowCode::compile(program, by, compile_sweep).unwrap();
                for threads in [1, 3] {
                    check(&body, &mut code, &views, &expected, threads);
                }
                let results: Vec<Tensor> = expected.clone();
                let results: Vec<View<'_>> = results.iter().map(Tensor::view).collect();
                let operands = views.iter().chain(&results);
                let operands: Vec<&Layout> = operands.map(|view| &view.layout).collect();
                let setup = code.setup(code.program(), &operands);
                are_spread += usize::from(setup.is_some_and(|setup| setup.spread.is_some()));
            }
        }
    }
    assert!(are_spread >= 20 * emitters.len(), "{are_spread}");
}
