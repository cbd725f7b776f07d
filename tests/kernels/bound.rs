//! Kernels with inputs bound to constants: the bits of those without, and what is refused.

use crate::factors::draw;
use common::Rng;
use kiln::{DType, Kernel, KernelCache, RunError, Tensor, View, ViewMut, compile_text};
use ndarray::{Array2, array};

fn bits(tensor: &Tensor) -> Vec<u64> {
    match tensor {
        Tensor::F32(a) => a.iter().map(|x| x.to_bits().into()).collect(),
        Tensor::F64(a) => a.iter().map(|x| x.to_bits()).collect(),
        _ => panic!("no floats"),
    }
}

/// Products with a bound right operand, of every type, few rows and many, batches, and views.
#[test]
fn no_bit_changes() {
    let mut rng = Rng::new(7);
    let cases: &[(&str, &[usize], &[usize])] = &[
        ("x @ w", &[1, 800], &[800, 70]),
        ("x @ w", &[800], &[800, 70]),
        ("x @ w", &[9, 800], &[800, 133]),
        ("x @ w", &[400, 90], &[90, 2100]),
        ("x @ w", &[3, 0], &[0, 40]),
        ("x @ w", &[0, 5], &[5, 40]),
        ("x @ w", &[0, 3, 30], &[0, 30, 40]),
        ("x @ w", &[7, 30], &[30]),
        ("x @ w", &[7, 30], &[30, 1]),
        ("x @ transpose(w)", &[9, 100], &[64, 100]),
        ("x @ slice[1, 3:60:2](w)", &[9, 50], &[50, 64]),
        ("x @ w", &[2, 3, 20, 30], &[30, 40]),
        ("x @ w", &[2, 3, 20, 30], &[3, 30, 40]),
        ("x @ w", &[3, 20, 30], &[2, 1, 30, 40]),
        ("w @ x", &[30, 40], &[20, 30]),
        ("gelu_tanh(x @ w) * 2", &[70, 30], &[30, 140]),
        ("x + 1 + (x @ transpose(w))", &[3, 20, 30], &[30, 30]),
        ("relu(x @ w) * 2 + sum(w)", &[5, 30], &[30, 40]),
        ("exp(x) * w", &[5, 30], &[30]),
    ];
    for (text, x, w) in cases {
        for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
            let is_half = matches!(dtype, DType::BF16 | DType::F16);
            let float = if is_half { DType::F32 } else { dtype };
            let text = format!("|x: {float}{x:?}, w: {dtype}{w:?}| {text}");
            let Ok(kernel) = compile_text(&text) else { panic!("{text}") };
            let ((x, _), (w, _)) = (draw(&mut rng, float, x), draw(&mut rng, dtype, w));
            let free = kernel.run(&[x.view(), w.view()]).unwrap().remove(0);
            let bound = kernel.bind_constant("w", w.view()).unwrap();
            drop(w);
            for _ in 0..2 {
                let found = bound.run(&[x.view()]).unwrap().remove(0);
                assert!(bits(&found) == bits(&free), "{text}");
                assert_eq!(found.shape(), free.shape(), "{text}");
            }
        }
    }
}

/// Any number of threads, at once and each for itself, and the layouts of a result.
#[test]
fn threads_share_what_is_packed() {
    let kernel = compile_text("|x: f32[m, k], w: f32[k, n]| x @ w").unwrap();
    let mut rng = Rng::new(8);
    let ((x, _), (w, _)) =
        (draw(&mut rng, DType::F32, &[70, 300]), draw(&mut rng, DType::F32, &[300, 1500]));
    let expected = bits(&kernel.run(&[x.view(), w.view()]).unwrap()[0]);
    let kernel = kernel.bind_constant("w", w.view()).unwrap();
    let before = kernel.memory(&[x.view()]).unwrap().bound();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert!(bits(&kernel.run(&[x.view()]).unwrap()[0]) == expected);
                }
            });
        }
    });
    let mut turned = Array2::<f32>::zeros((1500, 70));
    let mut result = turned.view_mut().reversed_axes();
    kernel.run_into(&[x.view()], &mut [ViewMut::from(&mut result)]).unwrap();
    assert!(result.iter().map(|x| u64::from(x.to_bits())).eq(expected));
    // The constant, and one copy of it that is packed: nothing was packed again.
    let size = 4 * 300 * 1500;
    assert!((2 * size..2 * size + 4 * 300 * 16).contains(&before), "{before}");
    let memory = kernel.memory(&[x.view()]).unwrap();
    assert_eq!(memory.bound(), before);
    assert_eq!(memory.to_string(), format!("no intermediate, and {before} bytes of constants"));
}

/// The other inputs keep their order, however calls are made.
#[test]
fn what_is_left_is_given() {
    let kernel = compile_text("|a: f32[n], b: f32[n], c: f32[n]| a - 10*b + 100*c").unwrap();
    let [a, b, c] = [array![1f32, 2.0], array![3f32, 4.0], array![5f32, 6.0]];
    let expected = kernel.run(&[(&a).into(), (&b).into(), (&c).into()]).unwrap();
    let bound = kernel.bind_constant("b", &b).unwrap();
    assert_eq!(bound.inputs().iter().map(|i| &*i.name).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(bound.run(&[(&a).into(), (&c).into()]).unwrap(), expected);
    assert_eq!(bound.bind().input("c", &c).input("a", &a).run().unwrap(), expected);
    let shapes = bound.output_shapes(&[(&a).into(), (&c).into()]).unwrap();
    assert_eq!(shapes, [[2]]);
    let mut state = a.clone();
    bound.run_in_place(&mut state, &[(&c).into()]).unwrap();
    assert_eq!(Tensor::from(state), expected[0]);
    let plan = bound.plan_for(&[(&a).into(), (&c).into()]).unwrap();
    assert_eq!(plan.memory().bound(), 8);
    let both = bound.bind_constant("a", &a).unwrap();
    assert_eq!(both.run(&[(&c).into()]).unwrap(), expected);
    let all = both.bind_constant("c", &c).unwrap();
    assert_eq!(all.run(&[]).unwrap(), expected);
    assert!(format!("{both:?}").starts_with("Kernel(kernel: |c: f32[n]|"), "{both:?}");
    // What a kernel is made of is as it was.
    assert_eq!(kernel.inputs().len(), 3);
}

#[test]
fn kernels_of_a_cache_are_bound_too() {
    let cache = KernelCache::new(4);
    let text = "|x: f32[m, k], w: f32[k, n]| x @ w";
    let kernel = cache.get_or_compile_text(text, Default::default()).unwrap();
    let w = Array2::<f32>::eye(3);
    let bound: Kernel = kernel.bind_constant("w", &w).unwrap();
    let x = array![[1f32, 2.0, 3.0]];
    assert_eq!(bound.run(&[(&x).into()]).unwrap(), [Tensor::from(x.clone())]);
    assert_eq!(cache.compile_count(), 1);
}

#[test]
fn what_does_not_fit_is_refused() {
    let kernel = compile_text("|x: f32[m, k], w: f32[k, 4], b: f32[4]| x @ w + b").unwrap();
    let said = |kernel: &Kernel, name: &str, value: View<'_>| {
        kernel.bind_constant(name, value).unwrap_err().to_string()
    };
    let (w, b) = (Array2::<f32>::zeros((3, 4)), array![0f32, 0.0, 0.0, 0.0]);
    assert_eq!(
        said(&kernel, "v", (&w).into()),
        "the kernel has no input v; its inputs are x, w, b"
    );
    assert_eq!(
        said(&kernel, "w", (&w.mapv(f64::from)).into()),
        "input w is f64, the kernel takes f32; convert it, or declare w: f64"
    );
    assert_eq!(
        said(&kernel, "w", (&Array2::<f32>::zeros((4, 3))).into()),
        "input w: f32[k, 4] got shape [4, 3]: axis 1 must be 4"
    );
    let bound = kernel.bind_constant("w", &w).unwrap();
    assert_eq!(said(&bound, "w", (&w).into()), "input w is given twice");
    assert_eq!(said(&bound, "v", (&w).into()), "the kernel has no input v; its inputs are x, b");
    // With what is bound, sizes of others are known.
    let x = Array2::<f32>::zeros((2, 5));
    assert_eq!(
        said(&bound, "x", (&x).into()),
        "input w: f32[k, 4] got shape [3, 4]: axis 0, k, is 5 in input x"
    );
    let found = bound.run(&[(&x).into()]).unwrap_err();
    assert!(matches!(&found, RunError::InputCount { inputs, found: 1 } if inputs.len() == 2));
    let found = bound.run(&[(&x).into(), (&b).into()]).unwrap_err();
    assert!(matches!(&found, RunError::InputShape { .. }), "{found}");
}
