//~ expected `f32`, found `f64`
use ndarray::{Array1, array};

fn main() {
    let relu = kiln::fuse!(|x| x.relu()).unwrap();
    let x: Array1<f64> = array![1.0];
    let _ = relu.call(&x);
}
