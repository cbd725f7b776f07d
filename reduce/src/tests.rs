//! What rows become does not depend on how they lie, nor on the vectors that fold them.

use super::folder::folder_for;
use super::wide::Width;
use super::{BLOCK, Blocks, Folder, Rows, Runs};
use kiln_ir::{DType, Reduction};

/// Vectors of every width that this machine has.
fn widths() -> impl Iterator<Item = Width> {
    [Width::Base, Width::Avx2, Width::Avx512].into_iter().filter(|&width| width <= Width::host())
}

/// The results of `count` rows of `len` elements, as bytes.
fn results(folder: &Folder, elements: &[u8], rows: Rows, result: usize) -> Vec<u8> {
    let blocks = rows.len.div_ceil(BLOCK);
    let mut room = vec![0u64; (rows.rows * blocks * folder.block_size).div_ceil(8)];
    let base = room.as_mut_ptr().cast();
    let places = match rows.side_by_side {
        true => Blocks { base, row: 1, block: rows.rows },
        false => Blocks { base, row: blocks, block: 1 },
    };
    let mut results = vec![0u64; (rows.rows * result).div_ceil(8)];
    let rows = Rows { base: elements.as_ptr(), ..rows };
    // SAFETY: the elements are there, and room for what becomes of them.
    unsafe {
        folder.fold(&rows, &places);
        folder.finish(&places, rows.rows, rows.len, results.as_mut_ptr().cast());
    }
    if !rows.side_by_side && rows.len <= BLOCK {
        let mut whole = vec![0u64; results.len()];
        // SAFETY: as above.
        unsafe { folder.fold_whole(&rows, &places, whole.as_mut_ptr().cast()) };
        assert_eq!(whole, results, "{} rows of {} at a time", rows.rows, rows.len);
    }
    let bytes: Vec<u8> = results.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes[..rows.rows * result].to_vec()
}

/// Elements as bytes, aligned as any element must be.
fn elements(dtype: DType, count: usize, random: &mut fastrand::Rng) -> Vec<u64> {
    let mut bytes = Vec::with_capacity(count * dtype.size());
    for _ in 0..count {
        let near = random.f64() * 2.0 - 1.0;
        let number = match random.u8(..100) {
            0 => -0.0,
            1 => 0.0,
            2 => f64::INFINITY,
            3 if count > 64 => f64::NAN,
            _ => near * f64::from(random.i8(-9..9)).exp2(),
        };
        match dtype {
            DType::F32 => bytes.extend((number as f32).to_ne_bytes()),
            DType::F64 => bytes.extend(number.to_ne_bytes()),
            DType::I32 => bytes.extend(random.i32(..).to_ne_bytes()),
            DType::I64 => bytes.extend(random.i64(..).to_ne_bytes()),
            DType::Bool => bytes.push(u8::from(random.u8(..) > 3)),
            _ => bytes.push(random.u8(..)),
        }
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.chunks(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes"))).collect()
}

/// As a matrix of rows and as its transpose.
fn both_ways(by: Reduction, dtype: DType, [rows, len]: [usize; 2], random: &mut fastrand::Rng) {
    let size = dtype.size();
    let result = match by {
        Reduction::ArgMax | Reduction::ArgMin => 8,
        _ => size,
    };
    let words = elements(dtype, rows * len, random);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut turned = vec![0u64; words.len()];
    // SAFETY: as many bytes.
    let across =
        unsafe { std::slice::from_raw_parts_mut(turned.as_mut_ptr().cast::<u8>(), bytes.len()) };
    for row in 0..rows {
        for at in 0..len {
            let (from, to) = ((row * len + at) * size, (at * rows + row) * size);
            across[to..to + size].copy_from_slice(&bytes[from..from + size]);
        }
    }
    // SAFETY: as above.
    let along = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), bytes.len()) };
    let apart = Rows {
        base: std::ptr::null(),
        rows,
        len,
        first: 0,
        side_by_side: false,
        is_near: false,
        step: (len * size) as isize,
    };
    let nearby = Rows { side_by_side: true, step: (rows * size) as isize, ..apart };
    let expected = results(&folder_for(Width::Base, by, dtype), along, apart, result);
    for width in widths() {
        let folder = folder_for(width, by, dtype);
        let what = format!("{by:?} of {dtype}, {rows} x {len}, {width:?}");
        assert_eq!(results(&folder, along, apart, result), expected, "{what}, apart");
        assert_eq!(results(&folder, across, nearby, result), expected, "{what}, side by side");
        let near = Rows { is_near: true, ..nearby };
        assert_eq!(results(&folder, across, near, result), expected, "{what}, in L2");
    }
}

const NUMBERS: [DType; 5] = [DType::F32, DType::F64, DType::U8, DType::I32, DType::I64];

/// Blocks with any number of elements in the last stripes, and strips with any number of rows in the last.
#[test]
fn sums_are_the_same_however_rows_lie() {
    let mut random = fastrand::Rng::with_seed(11);
    let lens =
        [1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100, 128, 129, 192, 200];
    for len in lens.into_iter().chain([256, 257, 320, 400, 511, 512, 513, 640, 1100]) {
        for rows in [1, 2, 3, 7, 16, 17, 40, 66, 300] {
            for dtype in [DType::F32, DType::F64] {
                both_ways(Reduction::Sum, dtype, [rows, len], &mut random);
            }
        }
    }
    // Several strips of rows that are not near.
    for len in [3, 64, 65, 520] {
        both_ways(Reduction::Sum, DType::F32, [17_000, len], &mut random);
    }
}

#[test]
fn other_folds_are_the_same_however_rows_lie() {
    use Reduction::{ArgMax, ArgMin, Max, Min, Prod, Sum, Sup};
    let mut random = fastrand::Rng::with_seed(12);
    for by in [Prod, Sum, Max, Sup, Min, ArgMax, ArgMin] {
        for dtype in NUMBERS {
            // Short rows share vectors, and the last of them may not.
            let short = [[5, 4], [16, 2], [67, 3], [100, 4], [33, 7], [70, 8], [49, 13], [64, 16]];
            let long = [[1, 600], [17, 64], [40, 65], [70, 200], [300, 513]];
            for [rows, len] in short.into_iter().chain(long) {
                both_ways(by, dtype, [rows, len], &mut random);
            }
        }
    }
    for by in [Reduction::All, Reduction::Any] {
        for shape in [[1, 600], [5, 4], [17, 64], [300, 513]] {
            both_ways(by, DType::Bool, shape, &mut random);
        }
    }
}

/// Of later blocks of rows, too, places count from the first element of the row on.
#[test]
fn places_go_on() {
    let mut random = fastrand::Rng::with_seed(14);
    for len in [1, 2, 3, 4, 7, 8, 9, 16, 17, 100] {
        let rows = 50;
        let words = elements(DType::F32, rows * len, &mut random);
        // SAFETY: as many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), rows * len * 4) };
        let whole = Rows {
            base: std::ptr::null(),
            rows,
            len,
            first: 0,
            side_by_side: false,
            is_near: false,
            step: (len * 4) as isize,
        };
        for width in widths() {
            let folder = folder_for(width, Reduction::ArgMax, DType::F32);
            let mut room = vec![0u64; (rows * folder.block_size).div_ceil(8)];
            let blocks = Blocks { base: room.as_mut_ptr().cast(), row: 1, block: rows };
            let mut found = vec![0i64; rows];
            let later = Rows { base: bytes.as_ptr(), first: BLOCK, ..whole };
            // SAFETY: the elements are there, and room for what becomes of them.
            unsafe {
                folder.fold(&later, &blocks);
                folder.finish(&blocks, rows, len, found.as_mut_ptr().cast());
            }
            let places: Vec<u8> =
                found.iter().flat_map(|place| (place - BLOCK as i64).to_ne_bytes()).collect();
            assert_eq!(places, results(&folder, bytes, whole, 8), "{len}, {width:?}");
        }
    }
}

/// Runs one after the other become what each would by itself, and nothing between results is written.
fn run_after_run(by: Reduction, dtype: DType, [rows, len]: [usize; 2], random: &mut fastrand::Rng) {
    // More than are folded at a time.
    const RUNS: usize = 5;
    if len > folder_for(Width::Base, by, dtype).longest_of_runs {
        return;
    }
    let size = dtype.size();
    let result = match by {
        Reduction::ArgMax | Reduction::ArgMin => 8,
        _ => size,
    };
    // With gaps between elements, runs, and the results of runs, or with none.
    let gaps = random.usize(..2);
    let (step, gap) = (rows + gaps * random.usize(..3), gaps * random.usize(..5));
    let [next, next_results] = [(len * step + gap) * size, (rows + gap) * result];
    let words = elements(dtype, RUNS * (len * step + gap), random);
    // SAFETY: as many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), words.len() * 8) };
    let mut expected = vec![0xa5; RUNS * next_results];
    for run in 0..RUNS {
        let elements = &bytes[run * next..];
        let mut row_by_row = vec![0u64; (rows * len * size).div_ceil(8)];
        // SAFETY: as above.
        let along = unsafe {
            std::slice::from_raw_parts_mut(row_by_row.as_mut_ptr().cast::<u8>(), rows * len * size)
        };
        for row in 0..rows {
            for at in 0..len {
                let (from, to) = ((at * step + row) * size, (row * len + at) * size);
                along[to..to + size].copy_from_slice(&elements[from..from + size]);
            }
        }
        let apart = Rows {
            base: std::ptr::null(),
            rows,
            len,
            first: 0,
            side_by_side: false,
            is_near: false,
            step: (len * size) as isize,
        };
        let of_run = results(&folder_for(Width::Base, by, dtype), along, apart, result);
        expected[run * next_results..][..of_run.len()].copy_from_slice(&of_run);
    }
    for width in widths() {
        let mut found = vec![u64::from_ne_bytes([0xa5; 8]); (RUNS * next_results).div_ceil(8)];
        let runs = Runs {
            base: bytes.as_ptr(),
            runs: RUNS,
            rows,
            len,
            step: (step * size) as isize,
            next: next as isize,
            are_near: random.bool(),
            results: found.as_mut_ptr().cast(),
            next_results: next_results as isize,
        };
        // SAFETY: the elements are there, and room for what becomes of them.
        unsafe { folder_for(width, by, dtype).fold_runs(&runs) };
        let found: Vec<u8> = found.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let what = format!("{by:?} of {dtype}, {rows} x {len}, {width:?}");
        assert_eq!(found[..expected.len()], expected, "{what}");
    }
}

#[test]
fn runs_are_the_same_one_by_one() {
    use Reduction::{All, Any, ArgMax, ArgMin, Max, Min, Prod, Sum, Sup};
    let mut random = fastrand::Rng::with_seed(13);
    let lens = [1, 2, 7, 8, 9, 16, 33, 63, 64, 65, 129, 511, 512];
    for len in lens {
        for rows in [1, 2, 3, 4, 7, 8, 9, 16, 17, 20, 70] {
            for by in [Sum, Prod, Max, Sup, Min, ArgMax, ArgMin] {
                for dtype in NUMBERS {
                    run_after_run(by, dtype, [rows, len], &mut random);
                }
            }
            for by in [All, Any] {
                run_after_run(by, DType::Bool, [rows, len], &mut random);
            }
        }
    }
}
