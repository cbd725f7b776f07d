//~ is not what a function of inputs `(f32, f32, f32)` takes
//~ one argument for each of `(f32, f32, f32)` is wanted, in this order
//~ several arguments as a tuple: `f.call((&x, 0.5, &y))`
use ndarray::array;

fn main() {
    let sgd = kiln::fuse!(|p, lr, g| p - lr * g).unwrap();
    let p = array![1.0f32];
    let _ = sgd.call((&p, 0.5f32));
}
