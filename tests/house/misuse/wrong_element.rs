//~ an array of `f64` is passed for an input of `f32`
//~ as in `|x: f64|`, or convert the array, as in `x.mapv(|x| x as f32)`
use ndarray::{Array1, array};

fn main() {
    let sum = kiln::fuse!(|x, y| x + y).unwrap();
    let (x, y): (Array1<f32>, Array1<f64>) = (array![1.0], array![1.0]);
    let _ = sum.call((&x, &y));
}
