//! Byte strides that are multiples of nothing, as fields of packed records have: every element type,
//! layout and emitter, against a plain loop over bytes.

use common::{Rng, emitters};
use kiln::internals::emit::Code;
use kiln::internals::vir::{Builder, Routine, Storage};
use kiln::internals::{Work, dtype, execute};
use kiln::{DType, View, ViewMut, compile_text};
use std::collections::HashMap;

const STORAGES: [Storage; 8] = [
    Storage::Bool,
    Storage::U8,
    Storage::F16,
    Storage::BF16,
    Storage::F32,
    Storage::I32,
    Storage::F64,
    Storage::I64,
];

const ONE_THREAD: Work = Work::new(Some(1), 1.0);
/// So dear that two elements are worth a thread.
const MANY_THREADS: Work = Work::new(Some(3), 1e6);

/// Two inputs, stored the other way round: what is wrong is not hidden by arithmetic.
fn swap(storage: Storage) -> Routine {
    let mut b = Builder::new();
    let (x, y) = (b.input(storage), b.input(storage));
    b.output(y, storage);
    b.output(x, storage);
    b.finish()
}

/// Bytes of which any few in a row are an element of the type, and no NaN.
fn memory(storage: Storage, len: usize) -> Vec<u8> {
    let mut rng = Rng::new(7);
    let mask = if storage == Storage::Bool { 1 } else { 0x3f };
    (0..len).map(|_| rng.next() as u8 & mask).collect()
}

/// The distance in bytes of element `index` from the first.
fn offset(index: &[usize], strides: &[isize]) -> isize {
    index.iter().zip(strides).map(|(&i, &stride)| i as isize * stride).sum()
}

/// Every index of a shape, the last dimension fastest.
fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let extend = |all: Vec<Vec<usize>>, &size: &usize| {
        let longer = |index: Vec<usize>| (0..size).map(move |i| [&index[..], &[i]].concat());
        all.into_iter().flat_map(longer).collect()
    };
    shape.iter().fold(vec![vec![]], extend)
}

fn row_major(shape: &[usize], size: usize) -> Vec<isize> {
    let mut strides = vec![size as isize; shape.len()];
    for dim in (1..shape.len()).rev() {
        strides[dim - 1] = strides[dim] * shape[dim] as isize;
    }
    strides
}

/// Copies `x` and `y` of these strides to outputs of others, one byte off any alignment, and checks
/// every byte that was or was not to be written.
fn check(code: &Code, shape: &[usize], x: &[isize], y: &[isize], out: &[isize], work: Work) {
    const MIDDLE: usize = 1 << 14;
    thread_local! {
        static MEMORY: HashMap<Storage, Vec<u8>> =
            STORAGES.iter().map(|&s| (s, memory(s, 2 * MIDDLE))).collect();
    }
    let storage = code.inputs()[0];
    let (size, ty) = (storage.size(), dtype(storage));
    MEMORY.with(|memory| {
        let memory = &memory[&storage];
        let bases = [MIDDLE + 1, MIDDLE + 2];
        // SAFETY: strides and shapes reach less than `MIDDLE` bytes, whose every byte is good.
        let views = [(bases[0], x), (bases[1], y)].map(|(base, strides)| unsafe {
            View::from_raw(memory[base..].as_ptr(), ty, shape, strides)
        });
        let mut written = [(); 2].map(|()| vec![0xaa_u8; 2 * MIDDLE]);
        {
            // SAFETY: as above.
            let mut targets = written.each_mut().map(|bytes| unsafe {
                ViewMut::from_raw(bytes[MIDDLE + 3..].as_mut_ptr(), ty, shape, out)
            });
            execute(code, &views, &mut targets, work).unwrap();
        }
        let mut expected = [(); 2].map(|()| vec![0xaa_u8; 2 * MIDDLE]);
        for index in indices(shape) {
            for (target, base, strides) in [(0, bases[1], y), (1, bases[0], x)] {
                let from = base.wrapping_add_signed(offset(&index, strides));
                let to = (MIDDLE + 3).wrapping_add_signed(offset(&index, out));
                expected[target][to..to + size].copy_from_slice(&memory[from..from + size]);
            }
        }
        let what = format!("{} {storage:?} {shape:?}: {x:?}, {y:?} to {out:?}", code.emitter());
        assert!(written == expected, "{what}, {work:?}");
    });
}

/// Every byte stride from -40 to 40, as an input and, where elements do not overlap, as an output.
#[test]
fn every_stride_of_every_type() {
    for storage in STORAGES {
        let size = storage.size() as isize;
        for code in emitters(&swap(storage)) {
            for stride in -40..=40isize {
                for n in [0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 65, 100] {
                    check(&code, &[n], &[stride], &[size], &[size], ONE_THREAD);
                    check(&code, &[n], &[stride], &[7 - stride], &[size], ONE_THREAD);
                    if stride.abs() >= size {
                        check(&code, &[n], &[size], &[stride], &[stride], ONE_THREAD);
                    }
                }
            }
        }
    }
}

/// All lengths for the strides around whole elements.
#[test]
fn every_length() {
    for storage in STORAGES {
        let size = storage.size() as isize;
        for code in emitters(&swap(storage)) {
            for whole in [-2, -1, 1, 2, 3] {
                for stride in [whole * size - 1, whole * size + 1] {
                    for n in 0..=100 {
                        check(&code, &[n], &[stride], &[size], &[size], ONE_THREAD);
                    }
                }
            }
        }
    }
}

/// Rows, columns and transposed operands, in blocks and joined, on one thread and on several.
#[test]
fn rows_and_columns() {
    for storage in STORAGES {
        let size = storage.size() as isize;
        for code in emitters(&swap(storage)) {
            let shapes = [[3, 20], [20, 3], [9, 17], [16, 16], [33, 8], [2, 70], [70, 2]];
            for (at, shape) in shapes.into_iter().enumerate() {
                let [rows, columns] = shape.map(|size| size as isize);
                let out = row_major(&shape, size as usize);
                for odd in (1..40isize).filter(|odd| odd % size != 0 || size == 1) {
                    let work = if odd % 5 == at as isize % 5 { MANY_THREADS } else { ONE_THREAD };
                    // Columns apart by an odd number of bytes; rows likewise; both.
                    for x in [[columns * odd, odd], [size, odd], [odd, size], [odd, -odd], [0, odd]]
                    {
                        check(&code, &shape, &x, &out, &out, work);
                    }
                    // Written so: records of rows, then of columns.
                    if odd >= size {
                        check(&code, &shape, &out, &out, &[columns * odd, odd], work);
                        check(&code, &shape, &out, &out, &[odd, rows * odd], work);
                        check(&code, &shape, &out, &out, &[odd, -rows * odd], work);
                    }
                }
            }
        }
    }
}

/// Rows that lie as code reads them, some bytes apart, downwards too, and rows of one element each: one
/// call takes many of them.
#[test]
fn rows_apart() {
    for storage in STORAGES {
        let size = storage.size() as isize;
        for code in emitters(&swap(storage)) {
            for shape in [[70, 8], [40, 13], [20, 65], [12, 128]] {
                let [rows, columns] = shape.map(|size| size as isize);
                let apart = (columns + 1) * size + 3;
                let up = [apart, size];
                let inputs = [up, [-apart, size], [size, 0], [0, 0], [0, size]];
                for (x, y) in inputs.iter().flat_map(|x| inputs.iter().map(move |y| (x, y))) {
                    check(&code, &shape, x, y, &up, ONE_THREAD);
                    check(&code, &shape, x, y, &row_major(&shape, size as usize), MANY_THREADS);
                }
                // Evenly apart by fours only.
                let cube = [rows as usize / 4, 4, columns as usize];
                let up = [5 * apart, apart, size];
                let single = [-size, 9 * size, 0];
                check(&code, &cube, &up, &single, &up, ONE_THREAD);
            }
        }
    }
}

/// Fields of records of 5, 6, 7, 9 and 11 bytes, backwards too, through a kernel.
#[test]
fn fields_of_packed_records() {
    fn check<const SIZE: usize>(
        ty: DType,
        strides: &[isize],
        bytes: impl Fn(usize) -> [u8; SIZE],
        plus_one: impl Fn(usize) -> f64,
    ) {
        let kernel = compile_text(&format!("kernel k(x: {ty}[n]) {{ x + 1 }}")).unwrap();
        for &stride in strides {
            for n in [16, 40, 1000] {
                let mut records = vec![0xff; n * stride.unsigned_abs()];
                let at = |i: usize| if stride < 0 { n - 1 - i } else { i } * stride.unsigned_abs();
                (0..n).for_each(|i| records[at(i)..at(i) + SIZE].copy_from_slice(&bytes(i)));
                // SAFETY: a field of each record.
                let x = unsafe { View::from_raw(records[at(0)..].as_ptr(), ty, &[n], &[stride]) };
                let sum = kernel.run(&[x]).unwrap().remove(0);
                let sum: Vec<f64> = match ty {
                    DType::F32 => sum.into_f32().unwrap().iter().map(|&x| x.into()).collect(),
                    _ => sum.into_f64().unwrap().iter().copied().collect(),
                };
                assert_eq!(sum, (0..n).map(&plus_one).collect::<Vec<_>>(), "{ty} by {stride}");
            }
        }
    }
    let (float, double) = (|i: usize| i as f32 * 0.5, |i: usize| i as f64 * 0.5);
    let plus_one = |i: usize| double(i) + 1.0;
    let strides = [5, 6, 7, 9, 11, -5, -7];
    check(DType::F32, &strides, |i| float(i).to_le_bytes(), plus_one);
    check(DType::F64, &[9, 12, 15, 17, -12], |i| double(i).to_le_bytes(), plus_one);
}
