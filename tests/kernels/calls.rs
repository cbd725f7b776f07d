//! Typed calls: that they compute what untyped ones do, and what they refuse.

use kiln::{
    ArrayExt, CompileError, CompileOptions, DType, Expr, Float, Function, KernelCache, RunError,
    SignatureError, Tensor, View, compile, compile_text, fuse,
};
use ndarray::{
    Array, Array1, Array2, ArrayD, ArrayView2, ArrayViewD, IxDyn, ShapeBuilder, arr0, array, s,
};

type Unary = Function<(f32,), (f32,)>;
type Ternary = Function<(f32, f32, f32), (f32,)>;

/// The bits of an array, in order of its indices.
fn bits<'a>(array: impl Into<ArrayViewD<'a, f32>>) -> Vec<u32> {
    array.into().iter().map(|x| x.to_bits()).collect()
}

fn noise(shape: [usize; 2], seed: usize) -> Array2<f32> {
    Array2::from_shape_fn(shape, |(i, j)| ((i * 31 + j * 17 + seed * 7) % 101) as f32 / 20.0 - 2.5)
}

/// Views of arrays that lie in different ways, all of one shape.
fn with_layouts(
    [rows, columns]: [usize; 2],
    seed: usize,
    mut use_it: impl FnMut(&str, ArrayView2<'_, f32>),
) {
    let wide = noise([rows, 2 * columns], seed);
    let tall = noise([columns, rows], seed);
    use_it("row-major", noise([rows, columns], seed).view());
    use_it("column-major", tall.t());
    use_it("gaps", wide.slice(s![.., ..;2]));
    use_it("part of a row", wide.slice(s![.., columns..]));
    use_it("reversed", tall.t().slice(s![..;-1, ..]));
    let row = noise([1, columns], seed);
    use_it("one row", row.broadcast((rows, columns)).expect("any number of rows"));
}

/// Whatever the layouts of inputs and outputs, a call, a call into, a call in place and an untyped
/// run have the same bits, and so has each element by itself.
#[test]
fn all_ways_to_call_agree() {
    let layer: Ternary = fuse!(|x, w, b| (x * w + b).gelu_tanh()).unwrap();
    for shape in [[0, 3], [1, 1], [1, 5], [3, 1], [2, 8], [5, 16], [7, 13], [33, 70]] {
        with_layouts(shape, 1, |x_lies, x| {
            with_layouts(shape, 2, |w_lies, w| {
                let what = format!("{shape:?}: x {x_lies}, w {w_lies}");
                let b = noise([1, shape[1]], 3).row(0).to_owned();
                let inputs = [View::from(x), View::from(w), View::from(&b)];
                let [run] = layer.kernel().run(&inputs).unwrap().try_into().unwrap();
                let run = Array2::<f32>::try_from(run).unwrap();
                let called = layer.call((x, w, &b)).unwrap();
                assert_eq!(bits(called.view().into_dyn()), bits(run.view().into_dyn()), "{what}");
                let whole = b.broadcast(shape).unwrap().to_owned();
                let dense = layer.call((&x.to_owned(), &w.to_owned(), &whole)).unwrap();
                assert_eq!(bits(dense.view().into_dyn()), bits(run.view().into_dyn()), "{what}");
                let mut into = Array2::<f32>::zeros(shape.f());
                layer.call_into((x, w, &b), &mut into).unwrap();
                assert_eq!(into, run, "{what}");
                let mut state = x.to_owned();
                layer.call_in_place(&mut state, (w, &b)).unwrap();
                assert_eq!(state, run, "{what}");
                for ((i, j), y) in run.indexed_iter() {
                    let one: f32 = layer.call_as((x[[i, j]], w[[i, j]], b[j])).unwrap();
                    assert_eq!(one.to_bits(), y.to_bits(), "{what}");
                }
            });
        });
    }
}

/// Rows that repeat, on either side of where the short way takes them: every call gives what one
/// without rows does.
#[test]
fn rows_that_repeat_agree() {
    let layer: Ternary = fuse!(|x, w, b| x * w + b).unwrap();
    let turned: Ternary = fuse!(|w, b, x| x * w + b).unwrap();
    for (rows, columns) in
        [(1, 64), (4, 1024), (3, 65), (7, 100), (5, 63), (64, 64), (0, 64), (300, 1000)]
    {
        let x = noise([rows, columns], 1);
        let [w, b] = [2, 3].map(|seed| noise([1, columns], seed).row(0).to_owned());
        let wide = |row: &Array1<f32>| row.broadcast((rows, columns)).unwrap().to_owned();
        let expected = layer.call((&x, &wide(&w), &wide(&b))).unwrap();
        let what = format!("{rows}x{columns}");
        assert_eq!(layer.call((&x, &w, &b)).unwrap(), expected, "{what}");
        assert_eq!(turned.call((&w, &b, &x)).unwrap(), expected, "{what}");
        assert_eq!(layer.call((&x, &w, &wide(&b))).unwrap(), expected, "{what}");
        let mut into = Array2::zeros((rows, columns));
        layer.call_into((&x, &w, &b), &mut into).unwrap();
        assert_eq!(into, expected, "{what}");
        let mut state = x.clone();
        layer.call_in_place(&mut state, (&w, &b)).unwrap();
        assert_eq!(state, expected, "{what}");
        // Rows backwards, or of an array whose rows lie across.
        let (w_back, b_back) = (w.slice(s![..;-1]), b.slice(s![..;-1]));
        let backwards = layer.call((&x, &w_back.to_owned(), &b_back.to_owned())).unwrap();
        assert_eq!(layer.call((&x, w_back, b_back)).unwrap(), backwards, "{what}");
        let across = x.t().as_standard_layout().into_owned();
        assert_eq!(layer.call((across.t(), &w, &b)).unwrap(), expected, "{what}");
        // A row of another length fits nothing.
        let long = Array1::<f32>::zeros(columns + 1);
        assert!(layer.call((&x, &long, &b)).is_err(), "{what}");
    }
    // What is read of rows alone is a row.
    let sum: Ternary = fuse!(|_x, w, b| w + b).unwrap();
    let x = noise([4, 1024], 1);
    let row = noise([1, 1024], 2).row(0).to_owned();
    let (mut narrow, mut wide) = (Array1::<f32>::zeros(1024), x.clone());
    sum.call_into((&x, &row, &row), &mut narrow).unwrap();
    assert_eq!(narrow, &row + &row);
    assert!(sum.call_into((&x, &row, &row), &mut wide).is_err());
}

/// Calls long enough for several threads take the short way too.
#[test]
fn long_calls_agree() {
    let sgd: Ternary = fuse!(|p, lr, g| p - lr * g).unwrap();
    let (p, g) = (noise([700, 1000], 1), noise([700, 1000], 2));
    let inputs = [View::from(&p), View::from(0.1f32), View::from(&g)];
    let [run] = sgd.kernel().run(&inputs).unwrap().try_into().unwrap();
    let run = Array2::<f32>::try_from(run).unwrap();
    assert_eq!(sgd.call((&p, 0.1, &g)).unwrap(), run);
    let (t, u) = (p.t().to_owned(), g.t().to_owned());
    let turned = sgd.call((t.t(), 0.1, u.t())).unwrap();
    assert_eq!(turned, run);
    let mut state = p.clone();
    sgd.call_in_place(&mut state, (0.1, &g)).unwrap();
    assert_eq!(state, run);
}

/// Numbers among the inputs, of every position, against arrays that repeat them.
#[test]
fn numbers_are_arrays_of_no_axes() {
    let f: Ternary = fuse!(|a, b, c| (a - b.exp()) * c).unwrap();
    for size in [1, 2, 15, 16, 100] {
        let x = noise([1, size], 1).row(0).to_owned();
        let whole = |value: f32| Array1::from_elem(size, value);
        let expected =
            |a: &Array1<f32>, b: &Array1<f32>, c: &Array1<f32>| f.call((a, b, c)).unwrap();
        assert_eq!(f.call((&x, 0.5, &x)).unwrap(), expected(&x, &whole(0.5), &x));
        assert_eq!(f.call((0.5, &x, 2.0)).unwrap(), expected(&whole(0.5), &x, &whole(2.0)));
        assert_eq!(
            f.call((&x, &arr0(0.5), -1.0)).unwrap(),
            expected(&x, &whole(0.5), &whole(-1.0))
        );
        assert_eq!(f.call((&x, &array![0.5], &x)).unwrap(), expected(&x, &whole(0.5), &x));
    }
    assert_eq!(f.call((1.0, 0.0, 3.0)).unwrap(), arr0(0.0));
}

#[test]
fn results_lie_as_the_arguments_do() {
    let relu: Unary = fuse!(|x| x.relu()).unwrap();
    let x = noise([4, 6], 1);
    let turned = x.t();
    for y in [relu.call(turned).unwrap(), turned.fused(&relu).unwrap()] {
        assert_eq!((y.strides(), &y), (turned.strides(), &turned.mapv(|x| x.max(0.0))));
    }
    let [y] = relu.kernel().run(&[View::from(turned)]).unwrap().try_into().unwrap();
    assert_eq!(y.view().strides(), [4, 24]);
    let cube = Array::<f32, _>::ones((2, 3, 4)).permuted_axes([1, 2, 0]);
    assert_eq!(relu.call(&cube).unwrap().strides(), cube.strides());
    // Arguments that do not agree make rows.
    let sum = fuse!(|x, y| x + y).unwrap();
    assert!(sum.call((turned, &turned.as_standard_layout())).unwrap().is_standard_layout());
    assert_eq!(sum.call((turned, &array![1.0, 2.0, 3.0, 4.0])).unwrap().strides(), [1, 6]);
}

#[test]
fn parameters_are_the_inputs() {
    let first = fuse!(|p, lr, g| p - lr * g).unwrap();
    let second = fuse!(|p, lr, g| p - g * lr).unwrap();
    for function in [&first, &second] {
        let names: Vec<&str> = function.kernel().inputs().iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["p", "lr", "g"]);
        assert_eq!(function.call((10.0, 0.5, 4.0)).unwrap(), arr0(8.0));
    }
    // One that nothing reads is an input all the same.
    let ignores = fuse!(|x: f64, _unread: i32| 2.0 * x).unwrap();
    assert_eq!(ignores.call((&array![1.0, 2.0], 7)).unwrap(), array![2.0, 4.0]);
    assert_eq!(
        ignores.call((3.0, &array![7, 8])).unwrap_err().to_string(),
        "the result has shape [], which is no array of 1 axis; take it as a number or an `ArrayD`, \
         by `call_as` if a function gives it"
    );
    let three: f64 = ignores.call_as((1.5, &array![7, 8])).unwrap();
    assert_eq!(three, 3.0);
    let same = fuse!(|x, y| (y, x)).unwrap();
    assert_eq!(same.call((&array![1.0], &array![2.0])).unwrap(), (array![2.0], array![1.0]));
}

#[test]
fn arguments_of_all_kinds() {
    let half: Unary = fuse!(|x| 0.5 * x).unwrap();
    let (list, expected) = (vec![2.0, 4.0], array![1.0, 2.0]);
    assert_eq!(half.call(&list).unwrap(), expected);
    assert_eq!(half.call(&list[..]).unwrap(), expected);
    assert_eq!(half.call(&[2.0, 4.0]).unwrap(), expected);
    assert_eq!(half.call((&list,)).unwrap(), expected);
    let x = Array1::from(list.clone());
    assert_eq!(half.call(x.view()).unwrap(), expected);
    assert_eq!(half.call(&x.view()).unwrap(), expected);
    assert_eq!(half.call(&x.to_shared()).unwrap(), expected);
    assert_eq!(half.call(&x.clone().into_dyn()).unwrap(), expected.clone().into_dyn());
    assert_eq!(half.call(5.0).unwrap(), arr0(2.5));
    let mut out = [0.0; 2];
    half.call_into(&x, &mut out).unwrap();
    assert_eq!(out, [1.0, 2.0]);
    half.call_into(&x, &mut out[..]).unwrap();
    let mut states = list.clone();
    half.call_in_place(&mut states, ()).unwrap();
    assert_eq!(states, [1.0, 2.0]);
    let mut shared = x.to_shared();
    let other = shared.clone();
    half.call_in_place(&mut shared, ()).unwrap();
    assert_eq!(
        (shared, other.to_owned()),
        (expected.to_shared(), x),
        "only one of the two is written"
    );
    let mut grid = Array2::from_elem((3, 4), 2.0);
    half.call_in_place(grid.slice_mut(s![1, ..]), ()).unwrap();
    assert_eq!((grid[[1, 0]], grid.sum()), (1.0, 20.0));
    grid.slice_mut(s![.., ..;2]).fuse_in_place(&half).unwrap();
    assert_eq!(grid.sum(), 15.0);
}

#[test]
fn types_of_all_kinds() {
    let mask = fuse!(|x: f64, limit: f64| -> bool { x.lt(limit) }).unwrap();
    assert_eq!(mask.call((&array![1.0, 2.0], 1.5)).unwrap(), array![true, false]);
    let mixed =
        fuse!(|m: bool, x: f32, n: i64| -> (f32, i64) { (m.select(x, 0.0), n + 1) }).unwrap();
    let results: (Array1<f32>, i64) = mixed.call_as((&array![true, false], 2.5, 41)).unwrap();
    assert_eq!(results, (array![2.5, 0.0], 42));
    fn scaled<T: Float>(by: T, x: &ArrayD<T>) -> ArrayD<T> {
        let scale = fuse!(|x: T, by: T| x * by).unwrap();
        assert_eq!(scale.call((x, x)).unwrap().len(), x.len());
        scale.call((x, by)).unwrap()
    }
    assert_eq!(scaled(2.0f32, &array![1.5].into_dyn()), array![3.0].into_dyn());
    assert_eq!(scaled(2.0f64, &array![1.5].into_dyn()), array![3.0].into_dyn());
    let halves = half::f16::from_f32(2.0);
    assert_eq!(scaled(halves, &arr0(halves).into_dyn()), arr0(half::f16::from_f32(4.0)).into_dyn());
    fn constant<T: Float>(by: T) -> Function<(T,), (T,)> {
        fuse!(|x: T| x * by).unwrap()
    }
    assert_eq!(constant(0.1f64).call(1.0).unwrap(), arr0(0.1));
    assert_eq!(constant(0.1f32).call(1.0).unwrap(), arr0(0.1));
    let x = Expr::input_of::<f64>("x");
    let kernel =
        compile(&[x.clone() * 2i32 + 1.5f32 - &x / 2u8 + Expr::from(half::f16::ONE)]).unwrap();
    assert_eq!(kernel.output_dtype(0), DType::F64);
    let f: Function<(f64,), (f64,)> = kernel.function().unwrap();
    assert_eq!(f.call(2.0).unwrap(), arr0(5.5));
}

/// Optimisers: several states, replaced together.
#[test]
fn states_in_place() {
    let adam = fuse!(|p, m, v, g, lr| {
        let m = 0.9 * m + 0.1 * g;
        let v = 0.99 * v + 0.01 * g * g;
        (p - lr * &m / (v.sqrt() + 1e-8), m, v)
    })
    .unwrap();
    let size = 1000;
    let [p, m, v, g] = [1, 2, 3, 4].map(|seed| noise([1, size], seed).row(0).mapv(f32::abs));
    let (p1, m1, v1) = adam.call((&p, &m, &v, &g, 0.001)).unwrap();
    let (mut p2, mut m2, mut v2) = (p.clone(), m.clone(), v.clone());
    adam.call_in_place((&mut p2, &mut m2, &mut v2), (&g, 0.001)).unwrap();
    assert_eq!((&p2, &m2, &v2), (&p1, &m1, &v1));
    // Arrays of one shape share one pass, though shapes are not declared.
    let views = [&p, &m, &v, &g].map(View::from);
    let inputs = [views.to_vec(), vec![0.001f32.into()]].concat();
    let plan = adam.kernel().plan_for(&inputs).unwrap();
    assert_eq!((plan.steps().len(), adam.kernel().pass_count()), (1, 3));
    assert!(
        plan.to_string().starts_with("a plan for arrays of one shape, and single lr, of 1 pass\n"),
        "{plan}"
    );
    let [p3, m3, v3] = adam.kernel().run(&inputs).unwrap().try_into().unwrap();
    assert_eq!(Array1::try_from(p3).as_ref(), Ok(&p1));
    assert_eq!((Array1::try_from(m3).unwrap(), Array1::try_from(v3).unwrap()), (m1, v1));
}

/// A state that a later pass still reads is not lost: products read their operands again and again.
#[test]
fn states_that_are_read_later() {
    let power = fuse!(|a: f32[n, n], b: f32[n, n]| a.matmul(b)).unwrap();
    let (a, b) = (noise([5, 5], 1), noise([5, 5], 2));
    let expected = power.call((&a, &b)).unwrap();
    for mut state in [a.clone(), a.t().to_owned().reversed_axes()] {
        power.call_in_place(&mut state, &b).unwrap();
        assert_eq!(state, expected);
    }
    let mut gaps = Array2::<f32>::zeros((5, 10));
    gaps.slice_mut(s![.., ..;2]).assign(&a);
    power.call_in_place(gaps.slice_mut(s![.., ..;2]), &b).unwrap();
    assert_eq!(gaps.slice(s![.., ..;2]), expected);
    assert_eq!(gaps.slice(s![.., 1..;2]).sum(), 0.0);
    let swap = fuse!(|x, y| (y, x)).unwrap();
    let (mut x, mut y) = (array![1.0, 2.0], array![3.0, 4.0]);
    swap.call_in_place((&mut x, &mut y), ()).unwrap();
    assert_eq!((x, y), (array![3.0, 4.0], array![1.0, 2.0]));
}

/// Where a state must be kept for a later pass and another one does not fit, none is written.
#[test]
fn states_of_which_one_does_not_fit() {
    let rotate = fuse!(|x, y, z, u| (y, x, z + u)).unwrap();
    let [mut x, mut y, mut z] = [1, 2, 3].map(|value| Array1::from_elem(2, value as f32));
    let states = (&mut x, &mut y, &mut z);
    let error = rotate.call_in_place(states, &Array2::ones((3, 2))).unwrap_err();
    assert!(matches!(error, RunError::OutputShape { .. }), "{error}");
    assert_eq!([x[0], y[0], z[0]], [1.0, 2.0, 3.0]);
}

/// Views without elements, however they lie, and what calls on them leave behind.
#[test]
fn empty_arrays() {
    let sum = fuse!(|x, b| x + b).unwrap();
    for a in [Array2::<f32>::ones((2, 3)), Array2::ones((2, 3).f())] {
        let (_, empty) = a.view().split_at(ndarray::Axis(1), 3);
        assert_eq!(sum.call((empty, &array![1.0])).unwrap().shape(), [2, 0]);
        assert_eq!(sum.call((empty, 1.0)).unwrap().shape(), [2, 0]);
        let [out] = sum.kernel().run(&[empty.into(), 1f32.into()]).unwrap().try_into().unwrap();
        assert_eq!(out.shape(), [2, 0]);
    }
    // A call on nothing does not decide the plan of the next one.
    let dear = fuse!(|x, w| x * w.sin().exp()).unwrap();
    assert_eq!(dear.call((1.0, &[] as &[f32])).unwrap().len(), 0);
    let x = Array1::linspace(-1.0, 1.0, 40);
    assert_eq!(
        dear.call((&x, &x)).unwrap(),
        fuse!(|x, w| x * w.sin().exp()).unwrap().call((&x, &x)).unwrap()
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let sum = fuse!(|x, y| x + y).unwrap();
    let (x, y) = (array![1.0, 2.0], array![1.0, 2.0, 3.0]);
    let told = "shapes x [2], y [3] do not broadcast: axis -1 is 2 in one and 3 in another; sizes \
                must be equal, or one of them 1 (written at ";
    let misfit = sum.call((&x, &y)).unwrap_err().to_string();
    assert!(misfit.starts_with(told), "{misfit}");
    let mut out = array![7.0, 7.0, 7.0];
    assert_eq!(sum.call_into((&x, &y), &mut out).unwrap_err().to_string(), misfit);
    let error = sum.call_into((&x, &x), &mut out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "output 0 has shape [3], the result has shape [2]; give an array of that shape"
    );
    let mut state = x.clone();
    let error = sum.call_in_place(&mut state, &array![[1.0], [2.0]]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "output 0 has shape [2], the result has shape [2, 2]; give an array of that shape"
    );
    assert_eq!((out, state), (array![7.0, 7.0, 7.0], x.clone()), "nothing is written");
    let error = sum.call_as::<f32, _>((&x, &x)).unwrap_err();
    assert_eq!(error, RunError::TensorRank { expected: 0, found: vec![2] });
    // Declared shapes are checked.
    let declared = fuse!(|x: f32[n], y: f32[n]| x + y).unwrap();
    let error = declared.call((&x, &y)).unwrap_err();
    assert!(matches!(error, RunError::InputShape { .. }), "{error}");
    assert!(declared.call((&x, 1.0)).is_err());
    // As many axes as no kernel takes.
    let deep = ArrayD::<f32>::zeros(IxDyn(&[1; 65]));
    assert!(matches!(sum.call((&deep, &deep)), Err(RunError::Rank { .. })));
}

#[test]
fn closures_that_make_no_function() {
    let message = |error: CompileError| error.to_string();
    let error = fuse!(|x| x.lt(1.0)).unwrap_err();
    assert_eq!(
        message(error),
        "output 0 is bool in the kernel, and f32 in the function: say so, as in \
         `|x| -> bool { .. }`, or convert it, as in `y.cast(DType::F32)`"
    );
    let error = fuse!(|x| x + Expr::input("hidden")).unwrap_err();
    assert_eq!(message(error), "input hidden is no parameter of the function; make it one");
    let error = fuse!(|nan| nan + 1.0).unwrap_err();
    assert!(message(error).contains("nan is a word of the text format"), "a reserved name");
    let error = fuse!(|x: f32[n, 3], y: f32[4]| x + y).unwrap_err();
    let text = message(error);
    assert!(text.contains("shapes [n, 3] and [4] do not broadcast"), "{text}");
    assert!(text.contains("calls.rs:"), "{text}");
}

#[test]
fn kernels_as_functions() {
    let text = |text: &str| compile_text(text).unwrap();
    let sgd: Ternary = text("|p, lr, g| p - g*lr").function().unwrap();
    assert_eq!(sgd.call((10.0, 0.5, 4.0)).unwrap(), arr0(8.0));
    let one: Unary = text("x * sigmoid(x)").function().unwrap();
    assert_eq!(one.call(0.0).unwrap(), arr0(0.0));
    let error = text("p - lr*g").function::<(f32, f32, f32), (f32,)>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the text does not say the order of the inputs p, lr, g: write `|p, lr, g| ..`, or give \
         them by name, as in `kernel.bind().input(\"p\", ..)`"
    );
    let error = text("|x: f64, y| x + y").function::<(f64, f64), (f64,)>().unwrap_err();
    let (name, expected, found) = ("y".to_string(), DType::F64, DType::F32);
    assert_eq!(error, SignatureError::Input { name, expected, found });
    let error = text("x").function::<(f32, f32), (f32,)>().unwrap_err();
    assert_eq!(error.to_string(), "the function has 2 inputs, the kernel has 1: x: f32[..]");
    let error = text("x").function::<(f32,), (f32, f32)>().unwrap_err();
    assert_eq!(error.to_string(), "the function has 2 outputs, the kernel 1");
    let error = text("x > 0").function::<(f32,), (f32,)>().unwrap_err();
    assert!(matches!(error, SignatureError::Output { index: 0, .. }), "{error}");
    let error =
        text("|x| { let y = 2 * x; let m = x > y; (y, m) }").function::<(f32,), (f32, f32)>();
    assert!(
        error.unwrap_err().to_string().starts_with("output 1 (m) is bool in the kernel, and f32")
    );
}

#[test]
fn calls_by_name() {
    let kernel = compile_text("p - lr*g").unwrap();
    let (p, g) = (array![1f32, 2.0], vec![2f32, 4.0]);
    let bind = || kernel.bind().input("g", &g);
    let [out] = bind().input("lr", 0.5f32).input("p", &p).run().unwrap().try_into().unwrap();
    assert_eq!(Array1::<f32>::try_from(out).unwrap(), array![0.0, 0.0]);
    let mut into = [7f32; 2];
    let call = bind().input("lr", 0.5f32).input("p", &p);
    call.run_into(&mut [(&mut into).into()]).unwrap();
    assert_eq!(into, [0.0, 0.0]);
    let message = |call: kiln::NamedCall<'_, '_>| call.run().unwrap_err().to_string();
    assert_eq!(message(bind().input("p", &p)), "input lr: f32[..] is missing");
    assert_eq!(message(bind().input("g", 1f32)), "input g is given twice");
    let unknown = message(bind().input("rate", 1f32).input("g", 1f32));
    assert_eq!(unknown, "the kernel has no input rate; its inputs are p, lr, g");
    let typed = message(bind().input("lr", 0.5f64).input("p", &p));
    assert!(typed.starts_with("input lr is f64, the kernel takes f32"), "{typed}");
}

#[test]
fn tensors_and_arrays() {
    let tensor = || Tensor::from(array![[1f32, 2.0]]);
    assert_eq!(Array2::<f32>::try_from(tensor()).unwrap(), array![[1.0, 2.0]]);
    assert_eq!(ArrayD::<f32>::try_from(tensor()).unwrap().ndim(), 2);
    let error = Array1::<f32>::try_from(tensor()).unwrap_err();
    assert_eq!(error, RunError::TensorRank { expected: 1, found: vec![1, 2] });
    let error = Array2::<f64>::try_from(tensor()).unwrap_err();
    assert_eq!(error.to_string(), "the tensor is f32, not f64: take it with `into_f32`");
}

#[test]
fn a_closure_in_a_cache_is_compiled_once() {
    let cache = KernelCache::new(3);
    fn scaled<T: Float>(cache: &KernelCache) -> Function<(T,), (T,)> {
        fuse!(in cache, |x: T| 2.0 * x).unwrap()
    }
    for _ in 0..3 {
        assert_eq!(scaled::<f32>(&cache).call(1.5).unwrap(), arr0(3.0));
        assert_eq!(scaled::<f64>(&cache).call(1.5).unwrap(), arr0(3.0));
    }
    assert_eq!((cache.len(), cache.compile_count()), (2, 2));
    // The same by text.
    let text = "|x| 2.0 * x";
    let options = CompileOptions::new();
    let first = cache.get_or_compile_text(text, options).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, scaled::<f32>(&cache).kernel()));
    assert!(cache.get_or_compile_text("2 *", options).is_err());
    let one = cache.get_or_compile_text(text, options.threads(1)).unwrap();
    assert!(!std::sync::Arc::ptr_eq(&first, &one));
    assert_eq!(cache.compile_count(), 3);
    // A text that is asked for counts as used, and what is evicted is compiled anew.
    for constant in 0..20 {
        cache.get_or_compile_text(text, options).unwrap();
        cache.get_or_compile_text(&format!("x + {constant}"), options).unwrap();
    }
    assert_eq!((cache.len(), cache.compile_count()), (3, 23));
    assert!(std::sync::Arc::ptr_eq(&first, &cache.get_or_compile_text(text, options).unwrap()));
    scaled::<f64>(&cache).call(1.0).unwrap();
    assert_eq!(cache.compile_count(), 24);
    // Once it is there again, it is found at once: what was evicted leaves nothing in the way.
    for constant in 0..3 {
        cache.get_or_compile_text(&format!("x - {constant}"), options).unwrap();
    }
    drop(first);
    let again = cache.get_or_compile_text(text, options).unwrap();
    let count = cache.compile_count();
    for _ in 0..3 {
        let found = cache.get_or_compile_text(text, options).unwrap();
        assert!(std::sync::Arc::ptr_eq(&again, &found));
    }
    assert_eq!(cache.compile_count(), count);
    // A bare expression of several inputs is not the same as a function of them.
    let cache = KernelCache::new(3);
    assert!(
        cache.get_or_compile_text("|x, y| x + y", options).unwrap().graph().inputs_are_ordered()
    );
    assert!(!cache.get_or_compile_text("x + y", options).unwrap().graph().inputs_are_ordered());
}

/// What a `main` prints that returns the error of all of Kiln.
#[test]
fn errors_are_readable_when_main_returns_them() {
    let run = |text: &str| -> kiln::Result<Tensor> {
        let kernel = kiln::compile_text(text)?;
        let outputs = kernel.run(&[View::from(&array![1.0f32])])?;
        Ok(outputs.into_iter().next().expect("one output"))
    };
    assert!(run("x + 1").is_ok());
    let printed = |text: &str| format!("{:?}", run(text).unwrap_err());
    assert!(printed("x + (1").starts_with("1:5: this `(` is never closed\n  |\n1 | x + (1\n"));
    assert!(printed("x + y").starts_with("the kernel takes 2 inputs (x: f32[..], y: f32[..])"));
    let profile: kiln::Error = kiln::profile::Race::new().run(1, 0).unwrap_err().into();
    assert_eq!(format!("{profile:?}"), profile.to_string());
}
