//~ an array of `f64` is passed for an input of `f32`
//~ as in `|x: f64|`, or convert the array, as in `x.mapv(|x| x as f32)`
use ndarray::{Array1, array};

fn main() {
    let relu = kiln::fuse!(|x| x.relu()).unwrap();
    let x: Array1<f64> = array![1.0];
    let _ = relu.call(&x);
}
