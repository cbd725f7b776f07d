//~ the trait bound `Liar: kiln::front::outputs::sealed::Sealed` is not satisfied
use kiln::DType;
use kiln::calls::Elements;

struct Liar;

impl Elements for Liar {
    const DTYPES: &'static [DType] = &[DType::F32];
    type First = f64;
}

fn main() {}
