//! Results past the caches whose rows begin anywhere.

use super::{apart, bits, body, compile, compile_sweep, emitters, fill, turn_to};
use crate::lower::Tier;
use crate::lower::rows::rows;
use crate::run::copy::copy;
use crate::run::rows::{RowCode, Sweeps};
use crate::run::view::Layout;
use crate::run::{Tensor, ViewMut};
use kiln_ir::DType;
use kiln_jit::cpu::Cpu;

/// The first of two results begins so many elements after a line, the second as many before one; what is around them
/// stays as it is.
#[test]
fn several_results_of_any_width_begin_anywhere() {
    const GAP: usize = 8;
    let texts = [
        "|x| softmax[A](x)",
        "|x| let m = mean[A](x); (x - m, exp(x - m))",
        "|x| let m = max[A](x); let e = exp(x - m); (e / sum[A](e), x - m)",
    ];
    let mut realigned = 0;
    for (text, dtype) in texts.into_iter().flat_map(|t| [(t, DType::F32), (t, DType::F64)]) {
        let body = body(text, "[-1]", dtype);
        for (shape, emitter) in [[9, 297], [70, 33], [40, 64], [300, 130]]
            .into_iter()
            .flat_map(|shape| emitters().into_iter().map(move |emitter| (shape, emitter)))
        {
            let mut x = Tensor::zeros(dtype, &shape).unwrap();
            fill(&mut x, 5, true);
            let views = [x.view()];
            let expected = apart(&body, &views);
            for (turn, sweeps) in [(0, Sweeps::Always), (1, Sweeps::Late), (3, Sweeps::Late)] {
                let program = rows(&body, Tier::Default).unwrap();
                let mut code =
                    RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep)
                        .unwrap();
                turn_to(&mut code, sweeps);
                let (size, count) = (dtype.size(), shape[0] * shape[1]);
                let mut rooms: Vec<Vec<u64>> =
                    expected.iter().map(|_| vec![u64::MAX; count + 4 * GAP]).collect();
                let first = |room: &mut Vec<u64>, index: usize| {
                    let line = room.as_mut_ptr().align_offset(64) + GAP;
                    let after = if index == 0 { turn } else { 64 / size - turn };
                    room.as_mut_ptr().wrapping_add(line).cast::<u8>().wrapping_add(after * size)
                };
                let strides = [(shape[1] * size) as isize, size as isize];
                let bases: Vec<*mut u8> =
                    rooms.iter_mut().enumerate().map(|(index, room)| first(room, index)).collect();
                let view = |&base: &*mut u8| {
                    // SAFETY: there is room for an array of this shape, and nothing else uses it.
                    unsafe { ViewMut::from_raw(base, dtype, &shape, &strides) }
                };
                let results: Vec<ViewMut<'_>> = bases.iter().map(view).collect();
                let mut operands: Vec<&Layout> = vec![&views[0].layout];
                operands.extend(results.iter().map(|view| &view.layout));
                let mut setup = code.setup(code.program(), &operands).unwrap();
                let Some(sweeping) = &mut setup.sweeping else { continue };
                let deferred = code.sweep.as_ref().and_then(|sweep| sweep.realigned.as_ref());
                if deferred.is_none_or(|deferred| deferred.code().is_none()) {
                    continue;
                }
                (sweeping.streams, sweeping.can_copy, sweeping.can_realign) = (true, false, true);
                // SAFETY: the types and shapes of the body, of arrays that live.
                assert!(unsafe {
                    super::super::execute(code.program(), &setup, &operands, Some(1 + turn))
                });
                realigned += 1;
                for (view, expected) in results.iter().zip(&expected) {
                    let mut found = Tensor::zeros(dtype, &shape).unwrap();
                    copy(&view.view(), &mut found.view_mut());
                    let same = bits(&found) == bits(expected);
                    assert!(same, "{body} of {shape:?} by {emitter}");
                }
                drop(results);
                for (room, base) in rooms.iter().zip(bases) {
                    let bytes = room.iter().flat_map(|word| word.to_ne_bytes());
                    let start = base.addr() - room.as_ptr().addr();
                    let around = bytes
                        .enumerate()
                        .filter(|(at, _)| !(start..start + count * size).contains(at));
                    assert!(around.into_iter().all(|(_, byte)| byte == u8::MAX), "around {body}");
                }
            }
        }
    }
    assert!(realigned > 0 || !Cpu::host().avx512);
}
