//! A warm `run_into` allocates nothing.

use kiln::{View, ViewMut, compile_text};
use ndarray::{Array1, Array2, ArrayD};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting what each thread asks for.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does the work; the count does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: required of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: required of the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of the third call of a kernel.
fn allocations(text: &str, inputs: &[View<'_>]) -> usize {
    let kernel = compile_text(text).unwrap();
    let shape = kernel.output_shapes(inputs).unwrap().remove(0);
    let mut output = ArrayD::<f32>::zeros(shape);
    let mut outputs = [ViewMut::from(&mut output)];
    for _ in 0..2 {
        kernel.run_into(inputs, &mut outputs).unwrap();
    }
    let before = COUNT.get();
    assert!(before > 0, "allocations are counted");
    kernel.run_into(inputs, &mut outputs).unwrap();
    COUNT.get() - before
}

#[test]
fn warm_calls_allocate_nothing() {
    let gelu = "0.5*x*(1+tanh(0.7978845608*(x+0.044715*x^3)))";
    for n in [1, 5, 16, 21, 1000] {
        let x = Array1::<f32>::ones(n);
        assert_eq!(allocations(gelu, &[View::from(&x)]), 0, "{n} elements");
    }
    let declared = "kernel k(x: f32[n, d], w: f32[d], b: f32[1]) -> f32[n, d] { x * w + b }";
    for (rows, columns) in [(3, 5), (4, 16), (7, 100), (40, 33), (5, 3000)] {
        let x = Array2::<f32>::ones((rows, columns));
        let (w, b) = (Array1::<f32>::ones(columns), Array1::<f32>::ones(1));
        let column = Array2::<f32>::ones((rows, 1));
        let t = Array2::<f32>::ones((columns, rows));
        for text in ["x * w + b", declared] {
            let row = [View::from(&x), View::from(&w), View::from(&b)];
            assert_eq!(allocations(text, &row), 0, "{text}, a row of {columns}");
        }
        let mixed = [View::from(&x), View::from(&column), View::from(t.t())];
        assert_eq!(allocations("x * w + b", &mixed), 0, "a column and a transposed operand");
        // Where there are many rows, `exp(sin(w))` gets a pass of its own, and an intermediate.
        let small = [View::from(&x), View::from(&w), View::from(&b)];
        assert_eq!(allocations("x * exp(sin(w)) + b", &small), 0, "two passes");
    }
}
