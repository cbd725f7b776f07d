//! Rows that are finished late, where an input lies.

use super::{BODIES, apart, bits, body, compile, compile_sweep, emitters, fill, turn_to};
use crate::lower::Tier;
use crate::lower::rows::rows;
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
    let text = "|x: f32[..], s: f32[..]| let e = exp(x); (e * s / sum[-1](e), sum[-1](e))";
    let body = kiln_ir::parse(text).unwrap();
    let (shape, row) = ([700, 512], [700, 1]);
    for emitter in emitters() {
        let program = rows(&body, Tier::Default).unwrap();
        let code =
            RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep).unwrap();
        for in_place in [0, 1, 2, 1, 0] {
            let [mut x, mut elements] =
                [(); 2].map(|()| Tensor::zeros(DType::F32, &shape).unwrap());
            let [mut s, mut sums] = [(); 2].map(|()| Tensor::zeros(DType::F32, &row).unwrap());
            fill(&mut x, 3, true);
            fill(&mut s, 4, true);
            let expected = apart(&body, &[x.view(), s.view()]);
            let [x_of, s_of] = [&mut x, &mut s].map(Tensor::view_mut);
            let [elements_of, sums_of] = [&mut elements, &mut sums].map(Tensor::view_mut);
            let results = match in_place {
                0 => [&x_of, &sums_of],
                1 => [&elements_of, &s_of],
                _ => [&elements_of, &sums_of],
            };
            let operands = [&x_of, &s_of, results[0], results[1]].map(|view| &view.layout);
            // SAFETY: the types and shapes of the body, and one output is exactly an input, or none is.
            assert!(unsafe { code.run(&operands, Some(1)) });
            drop((x_of, s_of, elements_of, sums_of));
            let found = match in_place {
                0 => [&x, &sums],
                1 => [&elements, &s],
                _ => [&elements, &sums],
            };
            for (found, expected) in found.into_iter().zip(&expected) {
                assert_eq!(bits(found), bits(expected), "{emitter}, result {in_place} in place");
            }
        }
    }
}
