//~ is no operand of an expression
//~ make an array an input, as a parameter of the closure, and pass it to each call
use ndarray::array;

fn main() {
    let w = array![1.0f32, 2.0];
    let _ = kiln::fuse!(|x| x * &w);
}
