//! One function for `f32`, `f64` and halves: element types are parameters.
//!
//! `cargo run --release --example generic`

use kiln::{CompileError, Float, Function, KernelCache, fuse};
use ndarray::{Array, Array1, Dimension, array};
use std::sync::LazyLock;

/// The kernels of this program, each compiled when it is first asked for.
static KERNELS: LazyLock<KernelCache> = LazyLock::new(|| KernelCache::new(64));

/// `(x - mean) / deviation` for each element, of any float type and any number of axes.
fn standardised<T: Float, D: Dimension>(
    x: &Array<T, D>,
    mean: T,
    deviation: T,
) -> kiln::Result<Array<T, D>> {
    let kernel = fuse!(in KERNELS, |x: T, mean: T, deviation: T| (x - mean) / deviation)?;
    Ok(kernel.call((x, mean, deviation))?)
}

/// A function that is made once and kept.
fn softsign<T: Float>() -> Result<Function<(T,), (T,)>, CompileError> {
    fuse!(|x: T| x / (1.0 + x.abs()))
}

fn main() -> kiln::Result<()> {
    let singles: Array1<f32> = Array1::linspace(0.0, 10.0, 11);
    let doubles = array![[1.0f64, 2.0], [3.0, 4.0]];
    for _ in 0..10 {
        assert_eq!(standardised(&singles, 5.0, 2.0)?, singles.mapv(|x| (x - 5.0) / 2.0));
        assert_eq!(standardised(&doubles, 2.5, 0.5)?, doubles.mapv(|x| (x - 2.5) / 0.5));
    }
    println!("20 calls, {} kernels compiled", KERNELS.compile_count());
    assert_eq!(KERNELS.compile_count(), 2);

    let (single, double) = (softsign::<f32>()?.call(&singles)?, softsign::<f64>()?.call(&doubles)?);
    println!("{single}\n{double}");
    assert_eq!(single, singles.mapv(|x| x / (1.0 + x.abs())));
    assert_eq!(double, doubles.mapv(|x| x / (1.0 + x.abs())));
    Ok(())
}
