//! Few short rows side by side, run after run, whose elements are taken as one row.

use super::super::setup::Setup;
use super::narrow::{How, check};
use super::{BODIES, apart, body, compile, compile_sweep, emitters, fill};
use crate::lower::Tier;
use crate::lower::rows::rows;
use crate::run::rows::RowCode;
use crate::run::{Tensor, View};
use kiln_ir::DType;
use kiln_jit::cpu::Cpu;

/// Any number of rows in a run, of any length, in tiles that are full or not; a number of each row among inputs.
#[test]
fn runs_of_rows_change_no_bit() {
    let emitters = emitters();
    let mut turn = 0;
    let shapes = [[90, 63, 2], [1, 60, 5], [700, 3, 8], [41, 33, 3], [9, 100, 2], [50, 2, 7]];
    for shape in shapes.into_iter().chain([[30, 20, 15], [400, 16, 4], [1500, 4, 6], [12, 37, 13]])
    {
        let run = [shape[0], 1, shape[2]];
        for text in BODIES {
            turn += 1;
            let dtype = if turn % 3 == 0 { DType::F64 } else { DType::F32 };
            let body = body(text, "[1]", dtype);
            let arrays: Vec<Tensor> = body
                .inputs()
                .iter()
                .map(|input| {
                    let own = if input.name == "s" && turn % 2 == 0 { run } else { shape };
                    let mut tensor = Tensor::zeros(dtype, &own).unwrap();
                    fill(&mut tensor, turn, true);
                    tensor
                })
                .collect();
            let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
            let expected = apart(&body, &views);
            // What is not folded by vectors goes another way.
            let is_expected = !["argmax", "any", "f16"].iter().any(|other| text.contains(other));
            for (emitter, how) in
                emitters.iter().flat_map(|&e| [How::Tiles, How::Streaming].map(|how| (e, how)))
            {
                let program = rows(&body, Tier::Default).unwrap();
                let code =
                    RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep)
                        .unwrap();
                let what = format!("{body} of {shape:?} by {emitter}");
                if is_expected {
                    let goes_so = |setup: &Setup| setup.beside == shape[2];
                    check(&code, &views, &expected, how, turn as usize % 16, goes_so, &what);
                }
            }
        }
    }
}
