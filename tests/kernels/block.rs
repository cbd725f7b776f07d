//! A block of a transformer, from the first norm to the last residual: its kernels and its bits; and the
//! products that it is made of, as a user calls them.

use common::Rng;
use kiln::ir::{Array, Dim, Input, eval, parse};
use kiln::{CompileOptions, DType, Kernel, Mode, RunError, Tensor, View, compile_with, fuse};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, array, s};

/// Norm, causal attention with four heads, residual; norm, MLP, residual.
const BLOCK: &str = "|x: f32[n, 32], g: f32[32], s: f32[32], qkv: f32[32, 96], o: f32[32, 32],
     h: f32[32], t: f32[32], up: f32[32, 128], b: f32[128], down: f32[128, 32], c: f32[32]| {
    let p = (layer_norm[-1](x) * g + s) @ qkv;
    let q = swapaxes[0, 1](reshape[-1, 4, 8](slice[-1, 0:32](p)));
    let k = swapaxes[0, 1](reshape[-1, 4, 8](slice[-1, 32:64](p)));
    let v = swapaxes[0, 1](reshape[-1, 4, 8](slice[-1, 64:96](p)));
    let scores = q @ swapaxes[-2, -1](k) * 0.35355339;
    let a = softmax[-1](select(iota[-2](scores) >= iota[-1](scores), scores, -inf)) @ v;
    let r = x + reshape[-1, 32](swapaxes[0, 1](a)) @ o;
    r + gelu_tanh((layer_norm[-1](r) * h + t) @ up + b) @ down + c
}";

/// Inputs for so many tokens, and the same for the interpreter. Weights have a size that keeps that of
/// what they multiply.
fn inputs(tokens: usize) -> Vec<(Tensor, Array)> {
    let mut rng = Rng::new(31);
    let graph = parse(BLOCK).unwrap();
    let mut of = |input: &Input| {
        let dims = input.dims.as_ref().unwrap();
        let shape: Vec<usize> = dims
            .iter()
            .map(|dim| match dim {
                Dim::Size(size) => *size,
                Dim::Symbol(_) => tokens,
            })
            .collect();
        let scale = if input.name == "x" { 2.0 } else { (2.0 / shape[0] as f32).sqrt() };
        let array = ArrayD::from_shape_simple_fn(shape, || scale * (rng.ordinary() as f32).sin());
        let data = array.iter().map(|&x| f64::from(x)).collect();
        let data = Array::new(DType::F32, array.shape().to_vec(), data).unwrap();
        (array.into(), data)
    };
    graph.inputs().iter().map(&mut of).collect()
}

fn compiled(options: CompileOptions) -> Kernel {
    compile_with(&parse(BLOCK).unwrap(), options).unwrap()
}

fn run(kernel: &Kernel, inputs: &[(Tensor, Array)]) -> Array2<f32> {
    let views: Vec<View<'_>> = inputs.iter().map(|(tensor, _)| tensor.view()).collect();
    kernel.run(&views).unwrap().remove(0).try_into().unwrap()
}

fn bits(x: &Array2<f32>) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// A norm with the projection; attention, with its scores, mask, softmax and values; the projection back with the
/// residual; the norm of that with the wide layer; the narrow one with its residual. What is no kernel is the copy of the
/// heads side by side that a call makes before the projection back, and tells of.
#[test]
fn kernels_of_a_block() {
    let kernel = compiled(CompileOptions::new());
    insta::assert_snapshot!(kernel.pass_count(), @"5");
    let inputs = inputs(70);
    let views: Vec<View<'_>> = inputs.iter().map(|(tensor, _)| tensor.view()).collect();
    let plan = kernel.plan_for(&views).unwrap();
    let told = plan.to_string();
    let copies: Vec<&str> = told.lines().filter(|line| line.contains("a copy for")).collect();
    let bytes = 4 * 70 * 32;
    let line = format!("before it, a copy for reshape[-1, 32](swapaxes[0, 1](t1)): {bytes} bytes");
    assert_eq!(copies, [format!("   {line}")], "{told}");
    assert_eq!((plan.steps().len(), plan.passes()), (5, 6), "{told}");
}

#[test]
fn a_block_is_what_the_reference_says() {
    for tokens in [1, 2, 33, 70] {
        let inputs = inputs(tokens);
        let arrays: Vec<Array> = inputs.iter().map(|(_, array)| array.clone()).collect();
        let expected = eval(&parse(BLOCK).unwrap(), &arrays).unwrap().remove(0);
        for mode in [Mode::Strict, Mode::Precise, Mode::Fast] {
            let found = run(&compiled(CompileOptions::new().mode(mode)), &inputs);
            assert_eq!(found.shape(), expected.shape());
            let largest = expected.data().iter().fold(0f64, |most, x| most.max(x.abs()));
            for (found, expected) in found.iter().zip(expected.data()) {
                let off = (f64::from(*found) - expected).abs();
                assert!(off <= 1e-5 * largest, "{tokens} tokens, {mode}: {off:e} of {largest}");
            }
        }
    }
}

/// Fused or not, and on any number of threads.
#[test]
fn bits_of_a_block() {
    let inputs = inputs(150);
    let strict = |options: CompileOptions| run(&compiled(options.mode(Mode::Strict)), &inputs);
    let expected = bits(&strict(CompileOptions::unfused().threads(1)));
    for threads in [1, 2, 5] {
        let found = strict(CompileOptions::new().threads(threads));
        assert!(bits(&found) == expected, "{threads} threads");
    }
    let kernel = compiled(CompileOptions::new());
    let mut bound = compiled(CompileOptions::new());
    for (input, (tensor, _)) in kernel.inputs().iter().zip(&inputs).skip(1) {
        bound = bound.bind_constant(&input.name, tensor.view()).unwrap();
    }
    let found = run(&bound, &inputs[..1]);
    assert!(bits(&found) == bits(&run(&kernel, &inputs)), "bound weights");
}

/// What comes later changes no bit of what was before.
#[test]
fn no_token_sees_a_later_one() {
    let kernel = compiled(CompileOptions::new());
    let mut inputs = inputs(40);
    let expected = run(&kernel, &inputs);
    let Tensor::F32(x) = &mut inputs[0].0 else { panic!("x is f32") };
    x.slice_mut(s![25.., ..]).mapv_inplace(|x| 50.0 - 3.0 * x * x);
    let found = run(&kernel, &inputs);
    let [before, after] = [s![..25, ..], s![25.., ..]];
    assert_eq!(found.slice(before), expected.slice(before));
    let pairs = found.slice(after).into_iter().zip(expected.slice(after));
    assert!(pairs.filter(|(found, expected)| found == expected).count() < 3);
}

/// Products as a user writes them: of matrices, of batches, and of a batch with one matrix.
#[test]
fn products_of_matrices_and_batches() {
    let product = fuse!(|x, y| x.matmul(y)).unwrap();
    let a = array![[1f32, 2.0], [3.0, 4.0]];
    let b = array![[5f32, 6.0], [7.0, 8.0]];
    assert_eq!(product.call((&a, &b)).unwrap(), array![[19.0, 22.0], [43.0, 50.0]]);

    let batch = Array3::from_shape_fn((3, 2, 4), |(i, j, k)| (i * 8 + j * 4 + k) as f32);
    let others = Array3::from_shape_fn((3, 4, 5), |(i, j, k)| (i + 2 * j + 3 * k) as f32);
    let found: Array3<f32> = product.call((&batch, &others)).unwrap();
    assert_eq!(found.dim(), (3, 2, 5));
    for (at, found) in found.outer_iter().enumerate() {
        let (a, b) = (batch.index_axis(Axis(0), at), others.index_axis(Axis(0), at));
        assert_eq!(found, a.dot(&b));
    }

    let one = others.index_axis(Axis(0), 1);
    let found = product.call((&batch, one)).unwrap();
    for (a, found) in batch.outer_iter().zip(found.outer_iter()) {
        assert_eq!(found, a.dot(&one));
    }
    // Batches of several axes broadcast, a size of 1 too.
    let many = batch.clone().insert_axis(Axis(1));
    let found = product.call((&many, &others)).unwrap();
    assert_eq!(found.shape(), [3, 3, 2, 5]);
    let (a, b) = (batch.index_axis(Axis(0), 2), others.index_axis(Axis(0), 1));
    assert_eq!(found.slice(s![2, 1, .., ..]), a.dot(&b));
}

/// A vector is a row on the left and a column on the right, as in NumPy. Where matrices are declared it
/// is refused, and told what to do; so are inner sizes that differ, with both of them.
#[test]
fn products_refuse_what_does_not_fit() {
    let layer = fuse!(|x: f32[n, k], w: f32[k, m]| x.matmul(w)).unwrap();
    let (v, w) = (Array1::<f32>::ones(4), Array2::<f32>::ones((4, 5)));
    let error = refused(layer.kernel().run(&[(&v).into(), (&w).into()]));
    assert_eq!(error, "input x: f32[n, k] got shape [4]: it must have 2 axes; reshape it");
    let row = v.to_shape((1, 4)).unwrap();
    assert_eq!(layer.call((&row, &w)).unwrap(), array![[4.0, 4.0, 4.0, 4.0, 4.0]]);

    let product = fuse!(|x, y| x.matmul(y)).unwrap();
    let row = product.kernel().run(&[(&v).into(), (&w).into()]).unwrap();
    assert_eq!(row[0], Array1::<f32>::from_elem(5, 4.0).into());
    let short = Array2::<f32>::ones((2, 3));
    let error = refused(product.kernel().run(&[(&short).into(), (&w).into()]));
    let reason = "the last axis of the left is 3, but the second-last axis of the right is 4; they must be equal";
    let message = format!("matmul: shapes [2, 3] and [4, 5] do not fit: {reason} (written at ");
    assert!(error.starts_with(&message), "{error}");
    let batches = [Array3::<f32>::ones((2, 3, 4)), Array3::<f32>::ones((3, 4, 5))];
    let [a, b] = &batches;
    let error = refused(product.kernel().run(&[a.into(), b.into()]));
    assert!(error.contains("2 against 3; sizes must be equal, or one of them 1"), "{error}");
}

fn refused(result: Result<Vec<Tensor>, RunError>) -> String {
    result.unwrap_err().to_string()
}
