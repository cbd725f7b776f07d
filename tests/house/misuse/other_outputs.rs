//~ the closure says that it returns `(f32, bool)`, but returns `Expr`
//~ one expression for each element type is wanted
fn main() {
    let _ = kiln::fuse!(|x| -> (f32, bool) { x + 1.0 });
}
