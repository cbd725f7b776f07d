//~ a function of inputs `(f32, i32)` and outputs `(f64,)` cannot run in place
//~ the first inputs must have the types of the outputs
use ndarray::array;

fn main() {
    let wide = kiln::fuse!(|x: f32, _n: i32| -> f64 { x.cast(kiln::DType::F64) }).unwrap();
    let mut x = array![1.0f64];
    wide.call_in_place(&mut x, 1i32).unwrap();
}
