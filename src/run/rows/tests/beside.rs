//! Few short rows side by side, run after run, whose elements are taken as one row.

use super::super::Stage;
use super::super::setup::Setup;
use super::narrow::{How, check};
use super::{BODIES, apart, body, compile, compile_sweep, emitters, fill};
use crate::lower::Tier;
use crate::lower::rows::rows;
use crate::run::rows::RowCode;
use crate::run::{Tensor, View};
use kiln_ir::{DType, Graph};
use kiln_jit::cpu::Cpu;
use kiln_jit::emit::EmitterKind;

/// Any number of rows in a run, of any length, in tiles that are full or not; a number of each row among inputs.
#[test]
fn runs_of_rows_change_no_bit() {
    let emitters = emitters();
    let (mut turn, mut others_run) = (0, 0);
    let shapes = [[90, 63, 2], [1, 60, 5], [700, 3, 8], [41, 33, 3], [9, 100, 2], [50, 2, 7]];
    for shape in shapes.into_iter().chain([[30, 20, 15], [400, 16, 4], [1500, 4, 6], [12, 37, 13]])
    {
        let run = [shape[0], 1, shape[2]];
        // What is not folded by vectors goes another way.
        let others = ["argmax", "any", "f16"];
        for text in BODIES.into_iter().filter(|text| !others.iter().any(|o| text.contains(o))) {
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
            run_and_check(&body, &views, &emitters, turn, Some(shape[2]));
            // One element for each row, as often as rows are long.
            let repeated: Vec<View<'_>> = arrays
                .iter()
                .map(|tensor| {
                    let size = dtype.size() as isize;
                    let view = tensor.view();
                    let steps = [shape[2] as isize * size, 0, size];
                    // SAFETY: an array of this shape, or of runs, has a number for each row.
                    unsafe { View::from_raw(view.layout.base, dtype, &shape, &steps) }
                })
                .collect();
            let mixed = [&repeated[..1], &views[1..]].concat();
            for views in [repeated, mixed] {
                others_run += run_and_check(&body, &views, &emitters, turn, None);
            }
        }
    }
    assert!(others_run > 20, "{others_run}");
}

/// Each emitter, in runs of so many rows if that is told. Returns how often stages run it.
fn run_and_check(
    body: &Graph,
    views: &[View<'_>],
    emitters: &[EmitterKind],
    turn: u64,
    beside: Option<usize>,
) -> u64 {
    let expected = apart(body, views);
    let mut runs = 0;
    for (emitter, how) in
        emitters.iter().flat_map(|&e| [How::Tiles, How::Streaming].map(|how| (e, how)))
    {
        let program = rows(body, Tier::Default).unwrap();
        let code = RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep);
        let code = code.unwrap();
        let takes_any_count = |stage: &Stage| match stage {
            Stage::Each(map) => map.kernel.takes_any_count(),
            _ => true,
        };
        // Code that takes whole vectors goes another way.
        let beside = beside.filter(|_| code.program().stages.iter().all(takes_any_count));
        let what = format!("{body} by {emitter}");
        let goes_so = |setup: &Setup| beside.is_none_or(|beside| setup.beside == beside);
        let is_run = check(&code, views, &expected, how, turn as usize % 16, goes_so, &what);
        assert!(is_run || beside.is_none(), "{what}");
        runs += u64::from(is_run);
    }
    runs
}
