//~ may outlive borrowed value `factor`
//~ `factor` is borrowed here
fn main() {
    let cache = kiln::KernelCache::new(1);
    let factor = std::env::args().count() as f64;
    let _ = kiln::fuse!(in cache, |x| factor * x);
}
