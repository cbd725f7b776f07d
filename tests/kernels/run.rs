//! Kernels over arrays of every layout, against plain loops over `ndarray`.

use common::{Rng, random_program};
use half::{bf16, f16};
use kiln::internals::cpu::Cpu;
use kiln::internals::emit::{self, Code};
use kiln::internals::vir::{Builder, Routine, Storage, interp};
use kiln::internals::{Work, execute, matmul, op_program};
use kiln::{Argument, EmitterKind, RunError, Tensor, View, ViewMut, compile_text};
use kiln_ir::{DType, Op};
use ndarray::{
    Array, Array1, Array2, ArrayD, ArrayViewD, ArrayViewMutD, Axis, IxDyn, Slice, Zip, arr0, s,
};

const ONE_THREAD: Work = Work::new(Some(1), 1.0);
/// So dear that two elements are worth a thread.
const MANY_THREADS: Work = Work::new(Some(3), 1e6);

fn compile(program: &Routine) -> Code {
    emit::compile(program, EmitterKind::Auto, Cpu::host()).unwrap()
}

fn op(op: Op, dtype: DType) -> Code {
    compile(&op_program(op, dtype))
}

/// `x * y + z` of one element type, so that all three inputs and their order matter.
fn fma(storage: Storage) -> Code {
    let mut b = Builder::new();
    let [x, y, z] = [0; 3].map(|_| b.input(storage));
    let result = b.fma(x, y, z);
    b.output(result, storage);
    compile(&b.finish())
}

/// An array of a random shape that broadcasts to `shape`, and some layout: permuted, sliced with
/// steps, reversed. The closure sees the view.
struct Drawn {
    whole: ArrayD<f32>,
    order: Vec<usize>,
    slices: Vec<(isize, Option<isize>, isize)>,
    target: Vec<usize>,
}

impl Drawn {
    fn new(rng: &mut Rng, target: &[usize], exact: bool) -> Drawn {
        let dropped = if exact { 0 } else { rng.below(target.len() + 1) * rng.below(2) };
        let target: Vec<usize> = target[dropped..]
            .iter()
            .map(|&size| if !exact && rng.below(4) == 0 { 1 } else { size })
            .collect();
        let mut order: Vec<usize> = (0..target.len()).collect();
        for i in (1..order.len()).rev() {
            if rng.below(2) == 0 {
                order.swap(i, rng.below(i + 1));
            }
        }
        // `whole` is `target` permuted, each dimension made larger and cut down by a slice.
        let mut shape = Vec::new();
        let mut slices = Vec::new();
        for &dim in &order {
            let size = target[dim];
            let step = rng.pick(&[1, 1, 1, 2, 3]) as isize * rng.pick(&[1, 1, -1]);
            let before = rng.below(3) * rng.below(2);
            let span = if size == 0 { 0 } else { (size - 1) * step.unsigned_abs() + 1 };
            shape.push(before + span + rng.below(2));
            slices.push((before as isize, Some((before + span) as isize), step));
        }
        let whole = Array::from_shape_simple_fn(shape, || rng.ordinary() as f32);
        Drawn { whole, order, slices, target }
    }

    /// The axes of the view, in the order of the target.
    fn inverse(&self) -> Vec<usize> {
        (0..self.order.len())
            .map(|dim| self.order.iter().position(|&o| o == dim).unwrap())
            .collect()
    }

    fn view(&self) -> ArrayViewD<'_, f32> {
        let mut view = self.whole.view();
        for (axis, &(start, end, step)) in self.slices.iter().enumerate() {
            view.slice_axis_inplace(Axis(axis), Slice::new(start, end, step));
        }
        let view = view.permuted_axes(self.inverse());
        assert_eq!(view.shape(), self.target);
        view
    }

    fn view_mut(&mut self) -> ndarray::ArrayViewMutD<'_, f32> {
        let inverse = self.inverse();
        let mut view = self.whole.view_mut();
        for (axis, &(start, end, step)) in self.slices.iter().enumerate() {
            view.slice_axis_inplace(Axis(axis), Slice::new(start, end, step));
        }
        view.permuted_axes(inverse)
    }
}

#[test]
fn every_layout_gives_the_same_bits() {
    let code = fma(Storage::F32);
    for seed in 0..3000 {
        let mut rng = Rng::new(seed);
        let rank = rng.below(5);
        let most = [0, 3000, 90, 20, 8][rank];
        let target: Vec<usize> = (0..rank)
            .map(|_| match rng.below(30) {
                0 => 0,
                1..15 => 1 + rng.below(6),
                _ => 1 + rng.below(most),
            })
            .collect();
        let [x, y, z] = [0; 3].map(|_| Drawn::new(&mut rng, &target, false));
        let mut out = Drawn::new(&mut rng, &target, true);
        let before = out.whole.clone();
        let work = if rng.below(3) == 0 { MANY_THREADS } else { ONE_THREAD };
        let inputs = [x.view().into(), y.view().into(), z.view().into()];
        execute(&code, &inputs, &mut [out.view_mut().into()], work).unwrap();

        let [x, y, z] =
            [&x, &y, &z].map(|d| d.view().broadcast(IxDyn(&target)).unwrap().to_owned());
        let mut expected = Drawn { whole: before, ..out };
        let out = std::mem::take(&mut out.whole);
        let mut target = expected.view_mut();
        let values = x.iter().zip(&y).zip(&z);
        target.iter_mut().zip(values).for_each(|(e, ((x, y), z))| *e = x.mul_add(*y, *z));
        // The whole array: elements between those of the view are untouched.
        assert_eq!(out, expected.whole, "seed {seed}");
    }
}

#[test]
fn random_programs_over_arrays_have_the_bits_of_the_interpreter() {
    for seed in 0..150 {
        let mut rng = Rng::new(seed);
        let program = random_program(&mut rng, 20, false);
        let code = compile(&program);
        let n = rng.below(300);
        let draw = |rng: &mut Rng, storage, n| -> Vec<u64> {
            (0..n)
                .map(|_| rng.element(storage) & if storage == Storage::Bool { 1 } else { !0 })
                .collect()
        };
        let columns: Vec<Vec<u64>> =
            program.inputs.iter().map(|&storage| draw(&mut rng, storage, n)).collect();
        let tensor = |storage, bits: &[u64]| {
            let bits = Array1::from_iter(bits.iter().copied());
            match storage {
                Storage::F16 => Tensor::from(bits.mapv(|b| f16::from_bits(b as u16))),
                Storage::BF16 => Tensor::from(bits.mapv(|b| bf16::from_bits(b as u16))),
                Storage::F32 => Tensor::from(bits.mapv(|b| f32::from_bits(b as u32))),
                Storage::F64 => Tensor::from(bits.mapv(f64::from_bits)),
                Storage::Bool => Tensor::from(bits.mapv(|b| b != 0)),
                Storage::U8 => Tensor::from(bits.mapv(|b| b as u8)),
                Storage::I32 => Tensor::from(bits.mapv(|b| b as i32)),
                Storage::I64 => Tensor::from(bits.mapv(|b| b as i64)),
            }
        };
        let inputs: Vec<Tensor> =
            program.inputs.iter().zip(&columns).map(|(&storage, c)| tensor(storage, c)).collect();
        let mut outputs: Vec<Tensor> =
            program.outputs.iter().map(|&storage| tensor(storage, &vec![0; n])).collect();
        let views: Vec<View> = inputs.iter().map(Tensor::view).collect();
        let mut targets: Vec<ViewMut> = outputs.iter_mut().map(Tensor::view_mut).collect();
        execute(&code, &views, &mut targets, ONE_THREAD).unwrap();
        let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
        for (j, expected) in interp::run(&program, &slices, n).iter().enumerate() {
            let got: Vec<u64> = match &outputs[j] {
                Tensor::F16(a) => a.iter().map(|x| u64::from(x.to_bits())).collect(),
                Tensor::BF16(a) => a.iter().map(|x| u64::from(x.to_bits())).collect(),
                Tensor::F32(a) => a.iter().map(|x| u64::from(x.to_bits())).collect(),
                Tensor::F64(a) => a.iter().map(|x| x.to_bits()).collect(),
                Tensor::Bool(a) => a.iter().map(|&x| u64::from(x)).collect(),
                Tensor::U8(a) => a.iter().map(|&x| x.into()).collect(),
                Tensor::I32(a) => a.iter().map(|&x| u64::from(x as u32)).collect(),
                Tensor::I64(a) => a.iter().map(|&x| x as u64).collect(),
            };
            let storage = program.outputs[j];
            let same = |(a, b): (&u64, &u64)| !common::differs(storage, *a, *b);
            assert!(got.iter().zip(expected).all(same), "seed {seed} output {j}\n{program}");
        }
    }
}

#[test]
fn short_rows_and_bias() {
    let code = op(Op::Add, DType::F32);
    for columns in [1, 2, 3, 5, 64, 65, 100, 1000, 1025] {
        let x = Array2::from_shape_fn((517, columns), |(i, j)| (i * columns + j) as f32);
        let bias = Array1::from_shape_fn(columns, |j| j as f32 * 0.5);
        let scale = Array2::from_shape_fn((517, 1), |(i, _)| i as f32);
        for work in [ONE_THREAD, MANY_THREADS] {
            let mut out = Array2::<f32>::zeros((517, columns));
            execute(&code, &[(&x).into(), (&bias).into()], &mut [(&mut out).into()], work).unwrap();
            assert_eq!(out, &x + &bias);
            execute(&code, &[(&scale).into(), (&x).into()], &mut [(&mut out).into()], work)
                .unwrap();
            assert_eq!(out, &x + &scale);
            // Rows of a wider array, and a transposed output.
            let mut wide = Array2::<f32>::zeros((columns + 3, 517));
            let mut part = wide.slice_mut(s![1..columns + 1, ..]).reversed_axes();
            execute(&code, &[(&x).into(), (&bias).into()], &mut [(&mut part).into()], work)
                .unwrap();
            assert_eq!(part, &x + &bias);
        }
    }
}

/// Long rows that repeat are rows of one call, short ones are written out, and those of two lengths
/// are called one by one: in arrays that begin anywhere, on any number of threads.
#[test]
fn rows_that_repeat() {
    let code = fma(Storage::F32);
    let waves = |len: usize, step: f32| (0..len).map(|i| (i as f32 * step).sin()).collect();
    for (rows, columns) in [(5, 256), (5, 257), (7, 1000), (9, 1024), (20, 2048), (3, 4097)] {
        let (n, shape) = (2 * rows * columns, [rows, 2, columns]);
        for (w, b) in [
            ([1, columns], [1, columns]),
            ([1, columns], [2, columns]),
            ([2, columns], [1, columns]),
        ] {
            let [first, second] = [(w, 0.3), (b, 0.9)].map(|(shape, step)| {
                ArrayD::from_shape_vec(&shape[..], waves(shape[0] * columns, step)).unwrap()
            });
            for start in [0, 3] {
                let x: Vec<f32> = waves(n + start, 0.7);
                let x = ArrayViewD::from_shape(&shape[..], &x[start..]).unwrap();
                let expected = Zip::from(&x).and_broadcast(&first).and_broadcast(&second);
                let expected = expected.map_collect(|x, w, b| x.mul_add(*w, *b));
                for work in [ONE_THREAD, MANY_THREADS] {
                    let mut y = vec![0f32; n + start];
                    let mut y = ArrayViewMutD::from_shape(&shape[..], &mut y[start..]).unwrap();
                    let inputs = [x.view().into(), (&first).into(), (&second).into()];
                    execute(&code, &inputs, &mut [(&mut y).into()], work).unwrap();
                    assert_eq!(y, expected, "{shape:?} {w:?} {b:?} from {start}");
                }
            }
        }
    }
}

#[test]
fn scalars_empty_arrays_and_no_inputs() {
    let add = op(Op::Add, DType::F64);
    let (a, b) = (arr0(1.5), arr0(2.0));
    let mut out = arr0(0.0);
    execute(&add, &[(&a).into(), (&b).into()], &mut [(&mut out).into()], Work::default()).unwrap();
    assert_eq!(out[()], 3.5);

    let empty = Array2::<f64>::zeros((0, 3));
    let mut out = empty.clone();
    execute(&add, &[(&empty).into(), (&a).into()], &mut [(&mut out).into()], Work::default())
        .unwrap();

    let mut builder = Builder::new();
    let seven = builder.f32(7.0);
    builder.output(seven, Storage::F32);
    let fill = compile(&builder.finish());
    let mut out = Array2::<f32>::zeros((3, 5));
    execute(&fill, &[], &mut [(&mut out).into()], Work::default()).unwrap();
    assert!(out.iter().all(|&x| x == 7.0));
}

#[test]
fn bools_and_mixed_widths() {
    let less = op(Op::Lt, DType::F64);
    let x = Array1::from_iter((0..1001).map(f64::from));
    let y = x.slice(s![..;-1]);
    let mut out = Array1::from_elem(1001, false);
    execute(&less, &[(&x).into(), y.into()], &mut [(&mut out).into()], ONE_THREAD).unwrap();
    assert!(out.iter().enumerate().all(|(i, &b)| b == (i < 500)));

    let select = op(Op::Select, DType::F32);
    let condition = out.slice(s![..;2]);
    let (a, b) = (arr0(1f32), arr0(-1f32));
    let mut chosen = Array1::<f32>::zeros(501);
    let inputs = [condition.into(), (&a).into(), (&b).into()];
    execute(&select, &inputs, &mut [(&mut chosen).into()], ONE_THREAD).unwrap();
    assert!(chosen.iter().enumerate().all(|(i, &x)| x == if 2 * i < 500 { 1.0 } else { -1.0 }));
}

/// A view of memory that is also mutably viewed, as an arena has it.
pub(crate) fn alias<'a>(array: &mut Array2<f32>, rows: std::ops::Range<usize>) -> View<'a> {
    let columns = array.ncols();
    let base = array.as_mut_ptr().wrapping_add(rows.start * columns);
    let strides = [columns as isize * 4, 4];
    // SAFETY: rows of the array, which outlives the test's calls.
    unsafe { View::from_raw(base.cast(), DType::F32, &[rows.len(), columns], &strides) }
}

#[test]
fn in_place_is_fine_and_overlap_is_not() {
    let code = op(Op::Sub, DType::F32);
    let start = Array2::from_shape_fn((9, 7), |(i, j)| (i * 7 + j) as f32);
    let one = arr0(1f32);
    let mut x = start.clone();
    let input = alias(&mut x, 0..9);
    execute(&code, &[(&one).into(), input], &mut [(&mut x).into()], ONE_THREAD).unwrap();
    assert_eq!(x, 1.0 - &start);

    let mut x = start.clone();
    let input = alias(&mut x, 0..8);
    let mut later = x.slice_mut(s![1.., ..]);
    let error = execute(&code, &[(&one).into(), input], &mut [(&mut later).into()], ONE_THREAD)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "output 0 overlaps input 1 in memory: an output may be exactly an input (same place, shape \
         and strides), or must lie elsewhere; copy input 1 first"
    );
    assert_eq!(x, start, "nothing is written");

    // The same memory, transposed.
    let mut x = Array2::<f32>::ones((5, 5));
    let input = alias(&mut x, 0..5);
    let mut turned = x.view_mut().reversed_axes();
    let error = execute(&code, &[(&one).into(), input], &mut [(&mut turned).into()], ONE_THREAD)
        .unwrap_err();
    assert!(matches!(error, RunError::Overlap { .. }));

    // Columns of one array interleave, and do not overlap.
    let mut x = Array2::from_shape_fn((40, 3), |(i, j)| (i * 3 + j) as f32);
    let (left, mut right) = x.multi_slice_mut((s![.., 0], s![.., 2]));
    execute(&code, &[(&one).into(), (&left).into()], &mut [(&mut right).into()], ONE_THREAD)
        .unwrap();
    assert!((0..40).all(|i| x[[i, 2]] == 1.0 - x[[i, 0]]));

    // An output that repeats an element.
    let mut x = 0f32;
    // SAFETY: one element, whatever the index.
    let repeated = unsafe { ViewMut::from_raw((&raw mut x).cast(), DType::F32, &[4], &[0]) };
    let error = execute(&code, &[(&one).into(), (&one).into()], &mut [repeated], ONE_THREAD);
    let output = Argument::Output { index: 0, name: None };
    assert_eq!(error, Err(RunError::SelfOverlap { output, shape: vec![4] }));
}

#[test]
fn wrong_operands_are_named() {
    let code = op(Op::Add, DType::F32);
    let (x, y, z) =
        (Array2::<f32>::zeros((3, 4)), Array1::<f32>::zeros(5), Array1::<f64>::zeros(4));
    let mut out = Array2::<f32>::zeros((3, 4));
    let mut run = |inputs: &[View]| {
        execute(&code, inputs, &mut [(&mut out).into()], ONE_THREAD).unwrap_err().to_string()
    };
    assert_eq!(
        run(&[(&x).into()]),
        "the kernel takes 2 inputs (f32, f32), found 1; give one array for each, in this order"
    );
    assert_eq!(
        run(&[(&x).into(), (&y).into()]),
        "shapes input 0 [3, 4], input 1 [5] do not broadcast: axis -1 is 4 in one and 5 in another; \
         sizes must be equal, or one of them 1"
    );
    assert_eq!(
        run(&[(&x).into(), (&z).into()]),
        "input 1 is f64, the kernel takes f32; convert it"
    );
    assert_eq!(
        run(&[(&y).into(), (&y).into()]),
        "output 0 has shape [3, 4], the result has shape [5]; give an array of that shape"
    );
    let error = execute(&code, &[(&x).into(), (&x).into()], &mut [], ONE_THREAD).unwrap_err();
    assert_eq!(error, RunError::OutputCount { expected: 1, found: 0 });
}

#[test]
fn the_interpreter_runs_arrays_too() {
    let program = op_program(Op::Mul, DType::F32);
    let code = emit::compile(&program, EmitterKind::Interp, Cpu::host()).unwrap();
    let x = Array2::from_shape_fn((37, 11), |(i, j)| (i + j) as f32);
    let mut out = Array2::<f32>::zeros((37, 11));
    let turned = x.t().to_owned();
    let inputs = [(&x).into(), turned.t().into()];
    execute(&code, &inputs, &mut [(&mut out).into()], ONE_THREAD).unwrap();
    assert_eq!(out, &x * &x);
}

/// A view of one element, repeated to this shape.
fn repeated<'a, T: kiln::Element>(element: &'a T, shape: &[usize]) -> View<'a> {
    let base = (&raw const *element).cast();
    // SAFETY: the same element, whatever the index.
    unsafe { View::from_raw(base, T::DTYPE, shape, &vec![0; shape.len()]) }
}

/// A view that repeats has more elements than there are addresses, and no product of sizes overflows.
#[test]
fn views_may_be_as_large_as_they_like() {
    let (one, double) = (1f32, 1f64);
    let shapes: [&[usize]; 6] = [
        &[usize::MAX],
        &[1 << 62],
        &[1 << 60],
        &[1 << 40, 1 << 40],
        &[usize::MAX, 2, 0, usize::MAX],
        &[3, usize::MAX, usize::MAX],
    ];
    let w = Array1::<f32>::ones(1);
    for shape in shapes {
        let x = repeated(&one, shape);
        let expected = shape.iter().fold(1u128, |len, &size| len.saturating_mul(size as u128));
        let expected = if shape.contains(&0) { 0 } else { expected.min(usize::MAX as u128) };
        assert_eq!(x.len() as u128, expected, "{shape:?}");
        // With a plan of its own for small operands, without, and with an intermediate.
        for text in ["x * exp(sin(w)) + x", "x + w", "(x * w) @ v + x"] {
            let kernel = compile_text(text).unwrap();
            let inputs = [x.clone(), (&w).into(), (&w).into()];
            let inputs = &inputs[..kernel.inputs().len()];
            let mut out = Array1::<f32>::zeros(7);
            let error = kernel.run_into(inputs, &mut [(&mut out).into()]);
            assert!(error.is_err(), "{text} of {shape:?}");
            if !shape.contains(&0) {
                kernel.run(inputs).unwrap_err();
            }
        }
        let code = op(Op::Add, DType::F32);
        let mut out = Array1::<f32>::zeros(7);
        execute(&code, &[x.clone(), x.clone()], &mut [(&mut out).into()], MANY_THREADS)
            .unwrap_err();
        // As a batch of matrices.
        let matrices = [shape, &[2, 3]].concat();
        let x = repeated(&double, &matrices);
        let mut out = Array2::<f64>::zeros((2, 2));
        let y = Array2::<f64>::ones((3, 2));
        matmul(&x, &(&y).into(), &mut (&mut out).into(), None).unwrap_err();
        let empty = Array2::<f64>::ones((3, 0));
        let mut none = Array2::<f64>::zeros((2, 0));
        matmul(&x, &(&empty).into(), &mut (&mut none).into(), None).unwrap_err();
        let product = compile_text("kernel k(a: f64, b: f64) { a @ b }").unwrap();
        product.run(&[x.clone(), (&empty).into()]).map(drop).unwrap_or_default();
        product.output_shapes(&[x, (&y).into()]).unwrap();
    }
}

/// However a kernel is called; the text of a kernel says the same of a declaration.
#[test]
fn too_many_axes_are_refused() {
    let shape = vec![1; 65];
    let x = ArrayD::<f32>::zeros(IxDyn(&shape));
    let says =
        |operand| format!("{operand} has 65 axes, over 64: merge some, or drop those of size 1");
    for (text, operand) in [("x + 1", "input x"), ("y - x", "input x"), ("x @ y", "input x")] {
        let kernel = compile_text(text).unwrap();
        let (x, y) = (View::from(&x), arr0(1f32));
        let inputs: Vec<View> = kernel
            .inputs()
            .iter()
            .map(|input| if input.name == "x" { x.clone() } else { View::from(&y) })
            .collect();
        let mut out = ArrayD::<f32>::zeros(IxDyn(&shape));
        let errors = [
            kernel.run(&inputs).unwrap_err(),
            kernel.output_shapes(&inputs).unwrap_err(),
            kernel.run_into(&inputs, &mut [(&mut out).into()]).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.to_string(), says(operand), "{text}");
        }
    }
    let code = op(Op::Neg, DType::F32);
    let mut out = ArrayD::<f32>::zeros(IxDyn(&shape));
    let error = execute(&code, &[(&x).into()], &mut [(&mut out).into()], ONE_THREAD).unwrap_err();
    assert_eq!(error.to_string(), says("input 0"));
    let one = arr0(1f32);
    let error = execute(&code, &[(&one).into()], &mut [(&mut out).into()], ONE_THREAD).unwrap_err();
    assert_eq!(error.to_string(), says("output 0"));
    let y = Array2::<f32>::ones((1, 1));
    let error = matmul(&(&y).into(), &(&x).into(), &mut (&mut out).into(), None).unwrap_err();
    assert_eq!(error.to_string(), says("input 1"));
    // As many as there may be.
    let shape = vec![1; 64];
    let x = ArrayD::<f32>::ones(IxDyn(&shape));
    let sum = compile_text("x + 1").unwrap().run(&[(&x).into()]).unwrap().remove(0);
    assert_eq!(sum.shape(), shape);
    assert_eq!(sum.into_f32().unwrap().sum(), 2.0);
}

#[test]
fn kernels_are_unwind_safe_and_shared() {
    fn good<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe + Send + Sync>() {}
    good::<kiln::Kernel>();
    good::<kiln::KernelCache>();
    good::<Code>();
    good::<Tensor>();
    good::<View<'_>>();
}
