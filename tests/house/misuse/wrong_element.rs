//~ expected `f32`, found `f64`
use ndarray::{Array1, array};

fn main() {
    let sum = kiln::fuse!(|x, y| x + y).unwrap();
    let (x, y): (Array1<f32>, Array1<f64>) = (array![1.0], array![1.0]);
    let _ = sum.call((&x, &y));
}
