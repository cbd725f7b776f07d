//! Inputs that lie in the memory of another, where they may be anything: inputs are only read.

use super::{BODIES, apart, body, check, compile, compile_sweep, emitters, fill};
use crate::lower::Tier;
use crate::lower::rows::rows;
use crate::run::rows::RowCode;
use crate::run::{Tensor, View};
use kiln_ir::DType;
use kiln_jit::cpu::Cpu;

/// Some of whose stages take no number of a row but that of an input.
const OTHERS: [&str; 3] = [
    "|x, s| (x * s, sum[A](x))",
    "|x, s| (x - s, argmax[A](x))",
    "|x, s, y| (exp(y) * s, max[A](x), min[A](y + s))",
];

/// How many ways there are.
const WAYS: usize = 8;

/// Rows and columns of an array, in memory of one that has so many: whether it begins with the last one's element, and
/// steps as multiples of those from row to row and from column to column.
fn way(of: usize, [rows, columns]: [usize; 2]) -> ([usize; 2], bool, [isize; 2]) {
    match of {
        0 => ([rows, columns], false, [1, 1]),
        // A number for each row, as far from one another as rows are.
        1 => ([rows, 1], false, [1, 1]),
        2 => ([rows, 1], true, [-1, 1]),
        3 => ([1, columns], false, [1, 1]),
        4 => ([rows, columns], true, [-1, -1]),
        // The first elements of rows, again and again; the first row; one number.
        5 => ([rows, columns], false, [1, 0]),
        6 => ([rows, columns], false, [0, 1]),
        _ => ([rows, columns], false, [0, 0]),
    }
}

#[test]
fn inputs_may_lie_in_one_another() {
    let emitters = emitters();
    let mut turn = 0;
    for (shape, axes) in [
        ([9, 70], "[-1]"),
        ([40, 16], "[-1]"),
        ([40, 64], "[-1]"),
        ([3, 600], "[-1]"),
        ([150, 7], "[0]"),
        ([70, 40], "[0]"),
    ] {
        let mut x = Tensor::zeros(DType::F32, &shape).unwrap();
        fill(&mut x, 9, false);
        let (whole, last) = (x.view(), 4 * (shape[0] * shape[1] - 1));
        let window = |of: usize| {
            let (own, is_from_end, [down, across]) = way(of, shape);
            let start = if is_from_end { last } else { 0 };
            let start =
                if is_from_end && own[1] == 1 { 4 * (shape[0] - 1) * shape[1] } else { start };
            let strides = [down * 4 * shape[1] as isize, across * 4];
            // SAFETY: all elements are some of `x`.
            unsafe {
                View::from_raw(whole.layout.base.wrapping_add(start), DType::F32, &own, &strides)
            }
        };
        for text in BODIES.iter().chain(&OTHERS).filter(|text| text.contains("x, ")) {
            let body = body(text, axes, DType::F32);
            let program = rows(&body, Tier::Default).unwrap();
            let emitter = emitters[turn % emitters.len()];
            let mut code =
                RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep)
                    .unwrap();
            for of in 0..WAYS {
                turn += 1;
                let views: Vec<View<'_>> = body
                    .inputs()
                    .iter()
                    .map(|input| match &input.name[..] {
                        "x" => whole.clone(),
                        "s" => window(of),
                        _ => window([4, 5, 6, 7, 0][turn % 5]),
                    })
                    .collect();
                let expected = apart(&body, &views);
                check(&body, &mut code, &views, &expected, 1 + turn % 2);
            }
        }
    }
}
