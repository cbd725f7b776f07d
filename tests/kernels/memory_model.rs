//! Kernels over arrays of every kind of layout by the interpreter, small enough for Miri
//! (`scripts/miri`): what `run` does with memory and threads, without machine code.

use common::Rng;
use kiln::internals::cpu::Cpu;
use kiln::internals::emit::{self, Code};
use kiln::internals::vir::{Builder, Storage, Type};
use kiln::internals::{Work, dtype, execute};
use kiln::{DType, Element, EmitterKind, Tensor, View, ViewMut};
use ndarray::{Array1, Array2, Array3, ArrayView2, Axis, arr0, s};

/// `x * y + z` by the interpreter, whose vectors have one element.
fn fma(storage: Storage) -> Code {
    let mut b = Builder::new();
    let [x, y, z] = [0; 3].map(|_| b.input(storage));
    let result = b.fma(x, y, z);
    b.output(result, storage);
    emit::compile(&b.finish(), EmitterKind::Interp, Cpu::host()).unwrap()
}

/// One thread, several, and past the caches.
fn ways() -> [Work; 3] {
    let one = Work::new(Some(1), 1.0);
    [one, Work::new(Some(3), 1e6), Work { stream_above: Some(0), ..one }]
}

fn number(i: usize) -> f32 {
    (i * 7919 % 1013) as f32 * 0.25 - 100.0
}

/// `x * y + z` of three views of one shape; the output in two layouts.
fn check(code: &Code, x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>, z: ArrayView2<'_, f32>) {
    let shape = x.dim();
    let expected = Array2::from_shape_fn(shape, |at| x[at].mul_add(y[at], z[at]));
    for work in ways() {
        let mut out = Array2::<f32>::zeros(shape);
        let inputs = [View::from(x), View::from(y), View::from(z)];
        execute(code, &inputs, &mut [(&mut out).into()], work).unwrap();
        assert_eq!(out, expected);
        let mut turned = Array2::<f32>::zeros((shape.1 + 1, shape.0));
        let mut part = turned.slice_mut(s![1.., ..;-1]).reversed_axes();
        execute(code, &inputs, &mut [(&mut part).into()], work).unwrap();
        assert_eq!(part, expected);
    }
}

#[test]
fn dense_strided_transposed_and_repeated() {
    let code = fma(Storage::F32);
    // Miri takes a second for each.
    let sizes = [(3, 17), (17, 3), (1, 1), (5, 17), (17, 5), (2, 70)];
    let sizes = if cfg!(miri) { &sizes[..2] } else { &sizes[..] };
    for &(rows, columns) in sizes {
        let x = Array2::from_shape_fn((rows, columns), |(i, j)| number(i * 31 + j));
        let wide = Array2::from_shape_fn((rows, columns * 2), |(i, j)| number(i * 17 + j));
        let turned = Array2::from_shape_fn((columns, rows), |(i, j)| number(i * 13 + j));
        let (row, column) = (x.slice(s![0, ..]), x.slice(s![.., 0..1]));
        let one = arr0(2.5f32);
        let views = [
            x.view(),
            wide.slice(s![.., ..;2]),
            wide.slice(s![..;-1, ..;-2]),
            turned.t(),
            row.broadcast((rows, columns)).unwrap(),
            column.broadcast((rows, columns)).unwrap(),
            one.broadcast((rows, columns)).unwrap(),
        ];
        let step = if cfg!(miri) { 2 } else { 1 };
        for (at, view) in views.iter().enumerate().step_by(step) {
            let others = [1, 3].map(|step| views[(at + step) % views.len()]);
            check(&code, *view, others[0], others[1]);
        }
    }
}

/// Three axes, joined rows, bytes beside words, an input that is the output.
#[test]
fn several_types_and_in_place() {
    let mut b = Builder::new();
    let (x, y) = (b.input(Storage::F32), b.input(Storage::F64));
    let (sum, less) = {
        let wide = b.promote(x);
        (b.add(wide, y), b.lt(wide, y))
    };
    let narrow = b.demote(sum);
    let less = b.resize_mask(less, Type::M32);
    b.output(narrow, Storage::F32);
    b.output(less, Storage::Bool);
    let code = emit::compile(&b.finish(), EmitterKind::Interp, Cpu::host()).unwrap();
    let x = Array3::from_shape_fn((2, 3, 7), |(i, j, k)| number(i * 50 + j * 7 + k));
    let y = Array3::from_shape_fn((7, 1, 2), |(i, _, k)| f64::from(number(i * 3 + k)));
    for work in ways() {
        let mut sums = x.clone();
        let mut less = Array3::from_elem((2, 3, 7), false);
        // SAFETY: the input is the output, element for element.
        let input =
            unsafe { View::from_raw(sums.as_ptr().cast(), DType::F32, &[2, 3, 7], &[84, 28, 4]) };
        let mut outputs = [ViewMut::from(&mut sums), ViewMut::from(&mut less)];
        execute(&code, &[input, View::from(y.t())], &mut outputs, work).unwrap();
        for ((at, &sum), &less) in sums.indexed_iter().zip(&less) {
            let (x, y) = (f64::from(x[at]), y[[at.2, 0, at.0]]);
            assert_eq!((sum, less), ((x + y) as f32, x < y));
        }
    }
}

/// Every element type, at strides that are multiples of nothing.
#[test]
fn packed_records_of_every_type() {
    for storage in [Storage::Bool, Storage::U8, Storage::F16, Storage::F32, Storage::F64] {
        let mut b = Builder::new();
        let x = b.input(storage);
        b.output(x, storage);
        let copy = emit::compile(&b.finish(), EmitterKind::Interp, Cpu::host()).unwrap();
        let (size, ty) = (storage.size(), dtype(storage));
        let mut rng = Rng::new(3);
        let bytes: Vec<u8> = (0..600).map(|_| rng.next() as u8 & 1).collect();
        for stride in [0, 1, 5, 9, -3, -11] {
            let n = 23;
            let mut out = vec![0u8; n * size];
            // SAFETY: it reaches at most 253 bytes to either side of the middle.
            let x = unsafe { View::from_raw(bytes[300..].as_ptr(), ty, &[n], &[stride]) };
            // SAFETY: there is room.
            let target = unsafe { ViewMut::from_raw(out.as_mut_ptr(), ty, &[n], &[size as isize]) };
            execute(&copy, &[x], &mut [target], ways()[0]).unwrap();
            for (i, found) in out.chunks(size).enumerate() {
                let at = 300usize.wrapping_add_signed(i as isize * stride);
                assert_eq!(found, &bytes[at..at + size], "{storage:?} by {stride}");
            }
        }
    }
}

#[test]
fn more_operands_than_fit_in_place() {
    let mut b = Builder::new();
    let inputs: Vec<_> = (0..11).map(|_| b.input(Storage::F32)).collect();
    let sum = inputs[1..].iter().fold(inputs[0], |sum, &x| b.add(sum, x));
    b.output(sum, Storage::F32);
    let code = emit::compile(&b.finish(), EmitterKind::Interp, Cpu::host()).unwrap();
    let x = Array2::from_shape_fn((4, 9), |(i, j)| (i * 9 + j) as f32);
    let (row, one) = (x.slice(s![0, ..]), arr0(1f32));
    let kinds = [View::from(&x), View::from(row), View::from(&one)];
    let inputs: Vec<View<'_>> = (0..11).map(|i| kinds[i % 3].clone()).collect();
    for work in ways() {
        let mut out = Array2::<f32>::zeros((4, 9));
        execute(&code, &inputs, &mut [(&mut out).into()], work).unwrap();
        for ((i, j), &sum) in out.indexed_iter() {
            assert_eq!(sum, 4.0 * x[[i, j]] + 4.0 * j as f32 + 3.0);
        }
    }
}

#[test]
fn tensors_of_every_type() {
    fn check<T: Element>(dtype: DType) {
        assert_eq!(T::DTYPE, dtype);
        let mut tensor = Tensor::zeros(dtype, &[3, 4]).unwrap();
        assert_eq!(tensor.view().shape(), [3, 4]);
        assert_eq!(tensor.view_mut().dtype(), dtype);
        assert_eq!(tensor.clone(), tensor);
    }
    check::<f32>(DType::F32);
    check::<f64>(DType::F64);
    check::<bool>(DType::Bool);
    check::<i64>(DType::I64);
    let mut x = Array1::from_iter((0..5).map(number));
    x.invert_axis(Axis(0));
    let tensor = Tensor::from(x.clone());
    assert_eq!(tensor.into_f32().unwrap().into_dimensionality().as_ref(), Ok(&x));
}
