//~ a kernel's closure returns an expression, or a tuple of up to 6, not `()`
fn main() {
    let _ = kiln::fuse!(|x| {
        let _ = x + 1.0;
    });
}
