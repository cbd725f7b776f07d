//! Products of operands that do not lie at multiples of their size, as parts of records do not.

use crate::random_mixed::memory::{Elements, Memory, Order};
use common::Rng;
use kiln::{DType, compile_text};

/// A text, and the shapes of its operands and of its result.
type Case = (&'static str, [&'static [usize]; 3]);

/// The bits of operands that are aligned, fused or not, and with the result in records, too.
#[test]
fn products_of_records() {
    let mut rng = Rng::new(17);
    let orders = [Order::Rows, Order::Misaligned, Order::Records];
    let cases: [Case; 6] = [
        ("x @ w", [&[5, 70], &[70, 300], &[5, 300]]),
        ("x @ transpose(w)", [&[1, 70], &[30, 70], &[1, 30]]),
        ("x @ w", [&[70], &[70], &[]]),
        ("gelu_tanh(x @ w + sum[-1](x))", [&[2, 40, 20], &[20, 33], &[2, 40, 33]]),
        ("relu(x @ w)", [&[2, 1, 4, 20], &[3, 20, 9], &[2, 3, 4, 9]]),
        // What repeats is copied once.
        ("x @ expand[5000, 8, 9](w)", [&[5000, 1, 8], &[1, 8, 9], &[5000, 1, 9]]),
    ];
    for (text, [x_shape, w_shape, shape]) in cases {
        for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
            let text = format!("|x: {dtype}, w: {dtype}| {text}");
            let kernel = compile_text(&text).unwrap();
            let x = Elements::draw(&mut rng, dtype, x_shape, 0);
            let w = Elements::draw(&mut rng, dtype, w_shape, 0);
            let mut expected: Option<Vec<u64>> = None;
            for at in 0..27 {
                let [of_x, of_w, of_y] = [at / 9, at / 3 % 3, at % 3].map(|order| orders[order]);
                let (x, w) = (Memory::of(&x, of_x), Memory::of(&w, of_w));
                let mut y = Memory::new(kernel.output_dtype(0), shape, of_y);
                kernel.run_into(&[x.view(), w.view()], &mut [y.view_mut()]).unwrap();
                let found = y.bits();
                let about = format!("{text}, {of_x:?} {of_w:?} {of_y:?}");
                assert!(*expected.get_or_insert_with(|| found.clone()) == found, "{about}");
            }
        }
    }
}
