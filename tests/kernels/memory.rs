//! Where results go and come from: past the caches, into freed memory, at any alignment, in blocks
//! for any number of threads. The bits are the same and nothing else is written.

use common::emitters;
use common::runner::is_built;
use half::{bf16, f16};
use kiln::internals::cpu::Cpu;
use kiln::internals::emit::{self, Code};
use kiln::internals::vir::{Builder, Routine, Storage};
use kiln::internals::{Work, execute, programs};
use kiln::ir::parse;
use kiln::{
    CompileOptions, DType, EmitterKind, Expr, Mode, Tensor, View, ViewMut, compile, compile_text,
    compile_with, release_memory,
};
use ndarray::{Array1, Array2, ArrayD, Axis, Slice, s};

/// `x * w + y` and `x < w`: an output of numbers and one of bools.
fn program(storage: Storage, with_bools: bool) -> Routine {
    let mut b = Builder::new();
    let [x, w, y] = [0; 3].map(|_| b.input(storage));
    let result = b.fma(x, w, y);
    b.output(result, storage);
    if with_bools {
        let less = b.lt(x, w);
        b.output(less, Storage::Bool);
    }
    b.finish()
}

/// How to run: threads, and past the caches or not.
fn ways() -> impl Iterator<Item = Work> {
    let streams = [Some(0), Some(usize::MAX)];
    streams.into_iter().flat_map(|stream_above| {
        // So dear that two elements are worth a thread.
        [Some(1), Some(3)].map(|threads| Work { stream_above, ..Work::new(threads, 1e6) })
    })
}

fn number(i: usize) -> f32 {
    (i * 7919 % 1013) as f32 * 0.25 - 100.0
}

/// Writes `n` results at `offset` bytes into a line, with `w` of length `period`; checks all bytes.
fn check(code: &Code, n: usize, period: usize, offset: usize, work: Work) {
    let x: Vec<f32> = (0..n).map(number).collect();
    let w: Vec<f32> = (0..period).map(|i| number(i + 500)).collect();
    let y = [3.5f32];
    let what = format!("{}, {n} by {period} at {offset}: {work:?}", code.emitter());
    const ROOM: usize = 192;
    let sizes: Vec<usize> = code.outputs().iter().map(|storage| storage.size()).collect();
    let mut written: Vec<Vec<u8>> = sizes.iter().map(|size| vec![0xaa; n * size + ROOM]).collect();
    let starts: Vec<usize> =
        written.iter().map(|bytes| bytes.as_ptr().align_offset(64) + offset).collect();
    let shape = [n / period, period];
    {
        let x = Array2::from_shape_vec(shape, x.clone()).unwrap();
        let (w, y) = (Array1::from(w.clone()), Array1::from(y.to_vec()));
        let mut outputs: Vec<ViewMut<'_>> = written
            .iter_mut()
            .zip(&starts)
            .zip(code.outputs())
            .map(|((bytes, &start), storage)| {
                let dtype = if *storage == Storage::Bool { DType::Bool } else { DType::F32 };
                let size = storage.size() as isize;
                let strides = [period as isize * size, size];
                // SAFETY: there is room for the shape, which is borrowed.
                unsafe { ViewMut::from_raw(bytes[start..].as_mut_ptr(), dtype, &shape, &strides) }
            })
            .collect();
        execute(code, &[View::from(&x), View::from(&w), View::from(&y)], &mut outputs, work)
            .unwrap();
    }
    for ((bytes, &start), &size) in written.iter().zip(&starts).zip(&sizes) {
        let end = start + n * size;
        assert!(bytes[..start].iter().chain(&bytes[end..]).all(|&byte| byte == 0xaa), "{what}");
        for (i, found) in bytes[start..end].chunks_exact(size).enumerate() {
            let w = w[i % period];
            let expected = match size {
                1 => vec![u8::from(x[i] < w)],
                _ => x[i].mul_add(w, y[0]).to_le_bytes().to_vec(),
            };
            assert_eq!(found, expected, "{what}: element {i}");
        }
    }
}

#[test]
fn every_alignment() {
    for with_bools in [false, true] {
        for code in emitters(&program(Storage::F32, with_bools)) {
            for offset in 0..64 {
                for work in ways() {
                    check(&code, 201, 201, offset, work);
                    check(&code, 300, 3, offset, work);
                }
            }
        }
    }
}

/// Whatever is stored by whole vectors streams: integers, too. A vector that is not aligned faults.
#[test]
fn every_alignment_of_every_type() {
    for dtype in DType::ALL {
        let sum = match dtype {
            DType::Bool => "x | x".to_string(),
            dtype => format!("{dtype}(x + x)"),
        };
        let graph = parse(&format!("kernel k(x: {dtype}[n]) {{ {sum} }}")).unwrap();
        let program = programs(&graph, Mode::Precise).next().unwrap();
        let n = 203;
        let size = dtype.size();
        let x: Vec<u8> = (0..n * size).map(|i| (i % size == 0) as u8).collect();
        // SAFETY: so many elements, and bytes 0 and 1 are values of every type.
        let x = unsafe { View::from_raw(x.as_ptr(), dtype, &[n], &[size as isize]) };
        let run = |code: &Code, offset: usize, work: Work| {
            let mut bytes = vec![0xaa; n * size + 192];
            let start = bytes.as_ptr().align_offset(64) + offset;
            let target = bytes[start..].as_mut_ptr();
            // SAFETY: there is room for so many, which is borrowed.
            let output = unsafe { ViewMut::from_raw(target, dtype, &[n], &[size as isize]) };
            execute(code, std::slice::from_ref(&x), &mut [output], work).unwrap();
            let end = start + n * size;
            assert!(bytes[..start].iter().chain(&bytes[end..]).all(|&byte| byte == 0xaa));
            bytes[start..end].to_vec()
        };
        for code in emitters(&program) {
            let expected = run(&code, 0, Work::new(Some(1), 1.0));
            for offset in (0..64).step_by(size) {
                for work in ways() {
                    let what = format!("{} of {dtype} at {offset}: {work:?}", code.emitter());
                    assert_eq!(run(&code, offset, work), expected, "{what}");
                }
            }
        }
    }
}

#[test]
fn lengths_around_the_bounds_of_blocks() {
    for code in emitters(&program(Storage::F32, true)) {
        for work in ways() {
            for n in [1, 2, 63, 64, 65, 2047, 2048, 2049, 2063, 2064, 4111, 4112, 65535, 65537] {
                for offset in [0, 16] {
                    check(&code, n, n, offset, work);
                    check(&code, n, 1, offset, work);
                }
            }
            // Rows that are written out, and rows that blocks end with.
            for (rows, period) in [(2, 1023), (5, 1024), (3, 1025), (40, 1024), (7, 5000), (900, 5)]
            {
                check(&code, rows * period, period, 16, work);
            }
        }
    }
}

/// Periods within periods, along leading axes that are missing or of size 1.
#[test]
fn rows_of_rows_repeat() {
    let mut b = Builder::new();
    let [x, y, z] = [0; 3].map(|_| b.input(Storage::F32));
    let result = b.fma(x, y, z);
    b.output(result, Storage::F32);
    for code in emitters(&b.finish()) {
        for shape in [[3, 4, 5], [2, 30, 50], [3, 2, 2000], [2, 3, 1024]] {
            let [a, b, c] = shape;
            let full =
                ArrayD::from_shape_fn(vec![a, b, c], |at| number(at[0] * 31 + at[1] * 17 + at[2]));
            let inner = full.slice(s![0..1, .., ..]).to_owned().into_dyn();
            let row = full.slice(s![0, 0, ..]).to_owned().into_dyn();
            let expected = &full * &inner + &row;
            for work in ways() {
                let mut out = ArrayD::<f32>::zeros(vec![a, b, c]);
                let inputs = [View::from(&full), View::from(&inner), View::from(&row)];
                execute(&code, &inputs, &mut [(&mut out).into()], work).unwrap();
                let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-3 * b.abs().max(1.0);
                assert!(out.iter().zip(&expected).all(close), "{shape:?}");
                // The same in Fortran order.
                let turned = full.t().as_standard_layout().into_owned();
                let mut other = ArrayD::<f32>::zeros(vec![c, b, a]);
                let mut view = other.view_mut().reversed_axes();
                let inputs = [View::from(turned.t()), View::from(&inner), View::from(&row)];
                execute(&code, &inputs, &mut [(&mut view).into()], work).unwrap();
                assert_eq!(view, out, "{shape:?}");
            }
        }
    }
}

/// Blocks of transposed, reversed and strided operands, whole ones and what is left.
#[test]
fn operands_that_lie_otherwise_give_the_same_bits() {
    fn check<T>(storage: Storage, element: impl Fn(usize) -> T)
    where
        T: kiln::Element + PartialEq + std::fmt::Debug,
        kiln::Tensor: From<ndarray::Array2<T>>,
    {
        for code in emitters(&program(storage, false)) {
            for (rows, columns) in
                [(65, 65), (64, 128), (130, 257), (130, 2051), (33, 3000), (300, 70), (7, 129)]
            {
                let at = |(i, j): (usize, usize)| element(i * columns + j);
                let x = Array2::from_shape_fn((rows, columns), at);
                let w = Array2::from_shape_fn((rows, columns), |(i, j)| at((rows - 1 - i, j)));
                let run = |x: View<'_>, work| {
                    let mut out = Array2::from_elem((rows, columns), element(0));
                    let inputs = [x, View::from(&w), View::from(&w)];
                    execute(&code, &inputs, &mut [(&mut out).into()], work).unwrap();
                    out
                };
                for work in ways() {
                    let dense = run(View::from(&x), work);
                    let turned = x.t().as_standard_layout().into_owned();
                    assert_eq!(run(View::from(turned.t()), work), dense);
                    let mut reversed = x.clone();
                    reversed.invert_axis(Axis(1));
                    let reversed = reversed.as_standard_layout().into_owned();
                    assert_eq!(run(View::from(reversed.slice(s![.., ..;-1])), work), dense);
                    for step in [2, 3] {
                        let mut wide = Array2::from_elem((rows, columns * step), element(0));
                        wide.slice_mut(s![.., ..;step]).assign(&x);
                        assert_eq!(run(View::from(wide.slice(s![.., ..;step])), work), dense);
                    }
                }
            }
        }
    }
    check(Storage::F32, number);
    check(Storage::F64, |i| f64::from(number(i)));
}

/// Blocks with a transposed operand are 512 bytes by 16 KiB where rows are long, and joined rows
/// where they are short: a little more than one, skinny ones and square ones, of elements of every
/// size, read and written.
#[test]
fn transposed_operands_of_every_element_size() {
    fn check<T>(storage: Storage, element: impl Fn(usize) -> T)
    where
        T: kiln::Element + PartialEq + std::fmt::Debug,
    {
        let mut b = Builder::new();
        let x = b.input(storage);
        b.output(x, storage);
        let copy = emit::compile(&b.finish(), EmitterKind::Auto, Cpu::host()).unwrap();
        let tall = (512 / size_of::<T>() + 3, (16 << 10) / size_of::<T>() + 5);
        let skinny = [(1027, 4), (4, 1027), (603, 6), (9, 603), (1027, 16), (16, 1027)];
        let square = [(8, 8), (17, 19), (100, 100), (130, 128)];
        for (rows, columns) in [tall].into_iter().chain(skinny).chain(square) {
            let x = Array2::from_shape_fn((rows, columns), |(i, j)| element(i * 13 + j * 7));
            let turned = Array2::from_shape_fn((columns, rows), |(j, i)| x[[i, j]]);
            for threads in [1, 3] {
                let work = Work::new(Some(threads), 1e6);
                let mut out = Array2::from_elem((rows, columns), element(1));
                let mut out_turned = Array2::from_elem((columns, rows), element(1));
                execute(&copy, &[turned.t().into()], &mut [(&mut out).into()], work).unwrap();
                let mut columns_first = out_turned.view_mut().reversed_axes();
                execute(&copy, &[(&x).into()], &mut [(&mut columns_first).into()], work).unwrap();
                let case = format!("{storage:?} of {rows} x {columns} on {threads}");
                assert!(out == x, "{case}");
                assert!(out_turned == turned, "{case}, written");
            }
        }
    }
    check(Storage::Bool, |i| i % 3 == 0);
    check(Storage::U8, |i| i as u8);
    check(Storage::F16, |i| f16::from_f32(i as f32 % 2000.0));
    check(Storage::BF16, |i| bf16::from_f32(i as f32 % 256.0));
    check(Storage::I32, |i| i as i32);
    check(Storage::F32, number);
    check(Storage::I64, |i| i as i64);
    check(Storage::F64, |i| f64::from(number(i)));
}

/// Results in memory that held others: of this kernel, of another type, of no terms at all.
#[test]
fn memory_that_is_reused_holds_only_the_new_result() {
    let n = 1 << 18;
    let x = Array1::from_shape_fn(n, number);
    let double = compile_text("2*x").unwrap();
    for round in 0..6 {
        // Sizes around that from which memory is kept.
        for n in [n - 1, n, n + 1000] {
            let x = Array1::from_shape_fn(n, |i| number(i + round));
            let result = double.run(&[(&x).into()]).unwrap().remove(0);
            let Tensor::F32(array) = &result else { panic!("of its type") };
            assert!(array.iter().zip(&x).all(|(a, b)| *a == 2.0 * b));
        }
    }
    let bools = compile_text("x < 0").unwrap().run(&[(&x).into()]).unwrap().remove(0);
    assert!(bools.into_bool().unwrap().iter().zip(&x).all(|(a, b)| *a == (*b < 0.0)));
    drop(double.run(&[(&x).into()]).unwrap());
    let product = compile(&[Expr::input("a").matmul(Expr::input("b"))]).unwrap();
    let (a, b) = (Array2::<f32>::ones((512, 0)), Array2::<f32>::ones((0, 512)));
    let product = product.run(&[(&a).into(), (&b).into()]).unwrap().remove(0);
    assert!(product.into_f32().unwrap().iter().all(|&x| x == 0.0), "a sum of no terms");
    // An array that was taken out is the user's.
    let kept = double.run(&[(&x).into()]).unwrap().remove(0).into_f32().unwrap();
    let other = double.run(&[(&kept).into()]).unwrap().remove(0);
    assert!(kept.iter().zip(&x).all(|(a, b)| *a == 2.0 * b));
    drop(other);
    release_memory();
    assert!(double.run(&[(&x).into()]).is_ok());
}

/// More operands than a call keeps inline, in blocks that are cut in the middle of a vector: a body
/// that Cranelift unrolls by 6 takes 24 elements at a time, and a block of 65,536 or 2,048 is no
/// multiple of that.
#[test]
fn many_operands_in_blocks_that_cut_vectors() {
    let text = "mish(a)+erf(b)+c+d+e+f+g+h+i+j";
    let all: Vec<ArrayD<f32>> = (0..10)
        .map(|input| Array1::from_shape_fn(98_304, |i| number(i + input) * 0.01).into_dyn())
        .collect();
    let kernel = |emitter| {
        let options = CompileOptions::new().emitter(emitter).threads(1);
        compile_with(&parse(text).unwrap(), options).unwrap()
    };
    for step in [1, 41] {
        let arrays: Vec<_> =
            all.iter().map(|array| array.slice_axis(Axis(0), Slice::new(0, None, step))).collect();
        let views: Vec<View<'_>> = arrays.iter().map(View::from).collect();
        let bits = |emitter| -> Vec<u32> {
            let result = kernel(emitter).run(&views).unwrap().remove(0).into_f32().unwrap();
            result.iter().map(|value| value.to_bits()).collect()
        };
        let expected = bits(EmitterKind::Interp);
        let others = [EmitterKind::Cranelift, EmitterKind::Auto];
        for emitter in others.into_iter().filter(|&kind| is_built(kind)) {
            assert!(bits(emitter) == expected, "{emitter}, one element in {step}");
        }
    }
}
