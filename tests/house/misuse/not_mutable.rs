//~ cannot take the outputs `(f32,)` of a function
//~ arrays go by mutable reference
use ndarray::array;

fn main() {
    let relu = kiln::fuse!(|x| x.relu()).unwrap();
    let (x, y) = (array![1.0f32], array![0.0f32]);
    relu.call_into(&x, &y).unwrap();
}
