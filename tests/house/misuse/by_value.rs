//~ is not what a function of inputs `(f32,)` takes
//~ arrays go by reference
use ndarray::array;

fn main() {
    let relu = kiln::fuse!(|x| x.relu()).unwrap();
    let _ = relu.call(array![1.0f32]);
}
