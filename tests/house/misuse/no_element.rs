//~ `kiln::Element` is not implemented for `String`
fn main() {
    let _ = kiln::fuse!(|x: String| x + 1.0);
}
