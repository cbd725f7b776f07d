//! Few rows side by side, of which a call takes groups of elements.

use super::super::Stage;
use super::super::job::Job;
use super::super::narrow;
use super::super::setup::Setup;
use super::{BODIES, apart, bits, body, compile, compile_sweep, emitters, fill};
use crate::lower::Tier;
use crate::lower::rows::rows;
use crate::run::rows::{RowCode, execute};
use crate::run::view::Layout;
use crate::run::{Tensor, View, ViewMut};
use kiln_ir::DType;
use kiln_jit::cpu::Cpu;

/// How the rows are run.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// In tiles of whole rows.
    Tiles,
    /// The same, and results bypass the caches.
    Streaming,
    /// In parts.
    Parts,
}

/// Groups that are full, and what is left, of any number of rows that are few; results begin anywhere in a line.
#[test]
fn groups_change_no_bit() {
    let emitters = emitters();
    let mut turn = 0;
    for shape in [[128, 2], [65, 31], [150, 7], [500, 16], [1100, 3], [700, 24], [2600, 5]] {
        for text in BODIES {
            turn += 1;
            let dtype = if turn % 3 == 0 { DType::F64 } else { DType::F32 };
            let body = body(text, "[0]", dtype);
            let arrays: Vec<Tensor> = body
                .inputs()
                .iter()
                .map(|input| {
                    let columns = if turn % 2 == 0 { shape[1] } else { 1 };
                    let own = if input.name == "s" { [shape[0], columns] } else { shape };
                    let mut tensor = Tensor::zeros(dtype, &own).unwrap();
                    fill(&mut tensor, turn, true);
                    tensor
                })
                .collect();
            let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
            let expected = apart(&body, &views);
            for (emitter, how) in emitters
                .iter()
                .flat_map(|&e| [How::Tiles, How::Streaming, How::Parts].map(|h| (e, h)))
            {
                let program = rows(&body, Tier::Default).unwrap();
                let code =
                    RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep)
                        .unwrap();
                let is_run = check(
                    &code,
                    &views,
                    &expected,
                    how,
                    turn as usize % 16,
                    |setup| setup.group.is_some(),
                    &format!("{body} by {emitter}"),
                );
                assert!(is_run, "{body}");
            }
        }
    }
}

/// Runs code on views the way that is expected if any of it is called, and checks what it writes so many elements
/// after a line of memory begins. Returns whether stages run it at all.
pub(super) fn check(
    code: &RowCode,
    views: &[View<'_>],
    expected: &[Tensor],
    how: How,
    shift: usize,
    goes_so: impl Fn(&Setup) -> bool,
    what: &str,
) -> bool {
    #[repr(align(64))]
    #[derive(Clone, Copy)]
    struct Line([u8; 64]);
    const KEPT: u8 = 0xa5;
    let mut rooms: Vec<(Vec<Line>, usize)> = expected
        .iter()
        .map(|tensor| {
            let before = shift * tensor.dtype().size();
            let bytes = tensor.shape().iter().product::<usize>() * tensor.dtype().size();
            (vec![Line([KEPT; 64]); (before + bytes).div_ceil(64) + 1], before)
        })
        .collect();
    let outputs: Vec<ViewMut<'_>> = rooms
        .iter_mut()
        .zip(expected)
        .map(|((lines, before), tensor)| {
            let (dtype, shape) = (tensor.dtype(), tensor.shape());
            let mut step = dtype.size() as isize;
            let mut strides = vec![0; shape.len()];
            for (stride, &size) in strides.iter_mut().zip(shape).rev() {
                *stride = step;
                step *= size as isize;
            }
            let base = lines.as_mut_ptr().cast::<u8>().wrapping_add(*before);
            // SAFETY: the lines have room for it.
            unsafe { ViewMut::from_raw(base, dtype, shape, &strides) }
        })
        .collect();
    let operands: Vec<&Layout> =
        views.iter().map(|v| &v.layout).chain(outputs.iter().map(|v| &v.layout)).collect();
    let program = code.program();
    let Some(mut setup) = code.setup(program, &operands) else { return false };
    let calls_code = program.stages.iter().any(|stage| matches!(stage, Stage::Each(_)));
    assert_eq!(goes_so(&setup), calls_code, "{what}");
    if let How::Streaming = how {
        setup.streams = true;
        let blocks = setup.blocks;
        setup.prepare(program, blocks, |_| false);
    }
    let bases: Vec<*mut u8> = operands.iter().map(|operand| operand.base).collect();
    let job = Job { program, setup: &setup, bases: &bases, shared: &[] };
    // SAFETY: the types and shapes of the body, of arrays that live.
    let done = unsafe {
        match how {
            How::Parts => job.execute_long(2),
            How::Tiles | How::Streaming => execute(program, &setup, &operands, Some(1)),
        }
    };
    assert!(done, "{what}");
    drop(outputs);
    for ((lines, before), expected) in rooms.iter().zip(expected) {
        let bytes: Vec<u8> = lines.iter().flat_map(|line| line.0).collect();
        let mut found = Tensor::zeros(expected.dtype(), expected.shape()).unwrap();
        let len = expected.shape().iter().product::<usize>() * expected.dtype().size();
        let output = found.view_mut();
        // SAFETY: as many bytes.
        unsafe { output.layout.base.copy_from_nonoverlapping(bytes[*before..].as_ptr(), len) };
        drop(output);
        assert_eq!(bits(&found), bits(expected), "{what}, {how:?}, {:?}", views[0].shape());
        let mut around = bytes[..*before].iter().chain(&bytes[before + len..]);
        assert!(around.all(|&byte| byte == KEPT), "{what}, {how:?}: nothing else is written");
    }
    true
}

/// The room for what is repeated is enough for any group.
#[test]
fn groups_fit_their_room() {
    let body = body("|x| softmax[A](x)", "[0]", DType::F64);
    let program = rows(&body, Tier::Default).unwrap();
    let code = RowCode::compile(
        program,
        |r| compile(r, kiln_jit::emit::EmitterKind::Interp, Cpu::host()),
        compile_sweep,
    )
    .unwrap();
    for columns in 2..40 {
        let x = Tensor::zeros(DType::F64, &[600, columns]).unwrap();
        let mut y = Tensor::zeros(DType::F64, &[600, columns]).unwrap();
        let (x, y) = (x.view(), y.view_mut());
        let setup = code.setup(code.program(), &[&x.layout, &y.layout]).unwrap();
        let group = setup.group;
        assert_eq!(group.is_some(), columns < 32, "{columns}");
        assert!(group.is_none_or(|group| group * columns * 8 <= narrow::ROOM), "{columns}");
    }
}
