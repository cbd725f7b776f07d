//! Rows that are finished late, where an input lies.

use super::{BODIES, apart, bits, body, compile, compile_sweep, emitters, fill, turn_to};
use crate::lower::Tier;
use crate::lower::rows::rows;
use crate::run::copy::copy;
use crate::run::rows::{RowCode, Sweeps};
use crate::run::view::Layout;
use crate::run::{Tensor, View, ViewMut};
use kiln_ir::DType;
use kiln_jit::cpu::Cpu;

/// What reads elements after the step that computes most of them, and leaves a number.
const READS_LATER: [&str; 2] = [
    "|x| let e = exp(x - max[A](x)); let s = sum[A](e); let q = sum[A](abs(x - s)); (e / s * q, q)",
    "|x| let e = tanh(x) * exp(x); let s = sum[A](e); let q = max[A](x * s); (e / s * q, q)",
];

/// Many rows and few, that end with a vector or not; on one thread and on several, each of which finishes its last ones.
#[test]
fn late_rows_may_lie_where_an_input_does() {
    let emitters = emitters();
    let (mut turn, mut late, mut at_once) = (0, 0, 0);
    for shape in [[70, 64], [9, 592], [100, 1000], [333, 17], [4, 3000], [2100, 130]] {
        let bodies = BODIES.into_iter().filter(|text| !text.contains("f16")).chain(READS_LATER);
        for text in bodies {
            turn += 1;
            let body = body(text, "[-1]", if turn % 3 == 0 { DType::F64 } else { DType::F32 });
            let program = rows(&body, Tier::Default).unwrap();
            let emitter = emitters[turn % emitters.len()];
            let mut code =
                RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep)
                    .unwrap();
            turn_to(&mut code, Sweeps::Late);
            let mut arrays: Vec<Tensor> = body
                .inputs()
                .iter()
                .map(|input| {
                    let own = if input.name == "s" { [1, shape[1]] } else { shape };
                    let mut tensor = Tensor::zeros(input.dtype, &own).unwrap();
                    fill(&mut tensor, turn as u64, turn % 2 == 0);
                    tensor
                })
                .collect();
            let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
            let expected = apart(&body, &views);
            drop(views);
            if expected[0].shape() != shape || expected[0].dtype() != arrays[0].dtype() {
                continue;
            }
            let mut others: Vec<Tensor> = expected[1..]
                .iter()
                .map(|tensor| Tensor::zeros(tensor.dtype(), tensor.shape()).unwrap())
                .collect();
            let (first, rest) = arrays.split_first_mut().unwrap();
            let result = first.view_mut();
            let inputs: Vec<View<'_>> = rest.iter().map(Tensor::view).collect();
            let outputs: Vec<ViewMut<'_>> = others.iter_mut().map(Tensor::view_mut).collect();
            let mut operands: Vec<&Layout> = vec![&result.layout];
            operands.extend(inputs.iter().map(|view| &view.layout));
            operands.push(&result.layout);
            operands.extend(outputs.iter().map(|view| &view.layout));
            let setup = code.setup(code.program(), &operands).unwrap();
            let is_late = setup.sweeping.is_some_and(|sweeping| sweeping.is_late);
            (late, at_once) = (late + usize::from(is_late), at_once + usize::from(!is_late));
            // SAFETY: the types and shapes of the body, and one output is exactly an input.
            assert!(unsafe { code.run(&operands, Some(1 + turn % 3)) }, "{body}");
            drop((result, inputs, outputs));
            let found = std::iter::once(&arrays[0]).chain(&others);
            for (at, (found, expected)) in found.zip(&expected).enumerate() {
                let same = bits(found) == bits(expected);
                assert!(same, "output {at} of {body} of {shape:?} by {emitter}, late: {is_late}");
            }
        }
    }
    assert!(late > 20 && at_once > 5, "{late} late, {at_once} at once");
}

/// A call is like the one before only if the same results lie where inputs do: numbers that are left there may be read
/// later, and then rows are not finished late.
#[test]
fn calls_remember_which_result_is_in_place() {
    let text = "|x: f32[r, n], s: f32[r, 1]| let e = exp(x); (e * s / sum[-1](e), sum[-1](e))";
    let body = kiln_ir::parse(text).unwrap();
    let (shape, row) = ([700, 512], [700, 1]);
    // Where each array begins, in lines of memory.
    let count = shape[0] * shape[1] / 16;
    let places = [0, count, 2 * count, 2 * count + 64];
    for emitter in emitters() {
        let program = rows(&body, Tier::Default).unwrap();
        let mut code =
            RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep).unwrap();
        turn_to(&mut code, Sweeps::Late);
        for in_place in [0, 1, 2, 1, 0] {
            let mut room = vec![0f32; (2 * count + 129) * 16];
            let first = room.as_ptr().align_offset(64);
            let base = room[first..].as_mut_ptr().cast::<u8>();
            let array = |place: usize, shape: &[usize]| {
                let strides = [(shape[1] * 4) as isize, 4];
                // SAFETY: there is room for it, apart from the others.
                unsafe {
                    ViewMut::from_raw(base.wrapping_add(place * 64), DType::F32, shape, &strides)
                }
            };
            let [mut x, mut elements] = [places[0], places[1]].map(|place| array(place, &shape));
            let [mut s, mut sums] = [places[2], places[3]].map(|place| array(place, &row));
            let [mut x_of, mut s_of] =
                [&shape, &row].map(|shape| Tensor::zeros(DType::F32, shape).unwrap());
            fill(&mut x_of, 3, true);
            fill(&mut s_of, 4, true);
            let expected = apart(&body, &[x_of.view(), s_of.view()]);
            copy(&x_of.view(), &mut x);
            copy(&s_of.view(), &mut s);
            let results = match in_place {
                0 => [&mut x, &mut sums],
                1 => [&mut elements, &mut s],
                _ => [&mut elements, &mut sums],
            };
            let results = results.map(|view| view.layout.clone());
            let operands = [&x.layout, &s.layout, &results[0], &results[1]];
            // SAFETY: the types and shapes of the body, and one output is exactly an input, or none is.
            assert!(unsafe { code.run(&operands, Some(1)) });
            let found = match in_place {
                0 => [x.view(), sums.view()],
                1 => [elements.view(), s.view()],
                _ => [elements.view(), sums.view()],
            };
            for (found, expected) in found.iter().zip(&expected) {
                let mut dense = Tensor::zeros(DType::F32, expected.shape()).unwrap();
                copy(found, &mut dense.view_mut());
                let same = bits(&dense) == bits(expected);
                assert!(same, "{emitter}, result {in_place} in place");
            }
        }
    }
}
