//! Sweeps on the processor of software: the bits of the interpreter, with any number of rows at a time,
//! wherever outputs begin, whether or not memory is asked for the next rows, and nothing else is touched.

use common::Rng;
use common::emulation::load;
use kiln::EmitterKind;
use kiln::internals::cpu::Cpu;
use kiln::internals::emit::{Carry, Code, Cursor, MOST_ROWS, Tile, compile_sweep, emulated};
use kiln::internals::vir::{
    Builder, Join, Merge, Part, Place, Routine, Step, Storage, Sweep, Value,
};

const GAP: usize = 16;

/// What a builder makes, and where its operands are.
fn part(inputs: &[Place], results: &[Place], make: impl FnOnce(&mut Builder)) -> Part {
    let mut b = Builder::new();
    make(&mut b);
    let routine: Routine = b.finish();
    Part { routine, inputs: inputs.to_vec(), results: results.to_vec() }
}

/// Each element without the largest of its row, times a number of the row over the sum of these: it has
/// every kind of step and place.
fn shares() -> Sweep {
    let [largest, block, total, inverse] = [0, 1, 2, 3].map(Place::Number);
    let (x, off, y) = (Place::Input(0), Place::Kept(0), Place::Output(0));
    let scale = Place::Input(1);
    let find = part(&[x], &[largest], |b| {
        let x = b.input(Storage::F32);
        b.fold(x, Merge::Sup);
    });
    let start = part(&[], &[total], |b| {
        let zero = b.f64(-0.0);
        b.output(zero, Storage::F64);
    });
    let mut subtract = part(&[x, largest], &[off, block], |b| {
        let (x, largest) = (b.input(Storage::F32), b.scalar(Storage::F32));
        let off = b.sub(x, largest);
        b.output(off, Storage::F32);
        b.fold(off, Merge::Add);
    });
    // The second to read a row asks memory for the next ones.
    subtract.routine.ahead.push(0);
    let add = part(&[block, total], &[total], |b| {
        let (block, total) = (b.scalar(Storage::F32), b.scalar(Storage::F64));
        let block = b.promote(block);
        let sum: Value = b.add(total, block);
        b.output(sum, Storage::F64);
    });
    let invert = part(&[total, scale], &[inverse], |b| {
        let (total, scale) = (b.scalar(Storage::F64), b.scalar(Storage::F64));
        let inverse = b.div(scale, total);
        let inverse = b.demote(inverse);
        b.output(inverse, Storage::F32);
    });
    let multiply = part(&[off, inverse], &[y], |b| {
        let (off, inverse) = (b.input(Storage::F32), b.scalar(Storage::F32));
        let y = b.mul(off, inverse);
        b.output(y, Storage::F32);
    });
    let sweep = Sweep {
        inputs: vec![Storage::F32, Storage::F64],
        outputs: vec![Storage::F32],
        kept: vec![Storage::F32],
        numbers: vec![Storage::F32, Storage::F32, Storage::F64, Storage::F32],
        left: vec![3, 2],
        steps: vec![
            Step::Each { part: find, join: None },
            Step::Once(start),
            Step::Each { part: subtract, join: Some(Box::new(Join { block: 512, part: add })) },
            Step::Once(invert),
            Step::Each { part: multiply, join: None },
        ],
    };
    assert_eq!(sweep.verify(), Ok(()));
    sweep
}

/// How results are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stores {
    Through,
    Past,
    /// Past the caches, the rows in two calls.
    Realigned,
}

/// Runs `code` on rows that are `pitch` elements apart, and returns all elements of the output, which begins
/// `before` elements after a line of the caches, and what is around them, and then the words of the numbers that are
/// results.
fn run(
    code: &Code,
    x: &[f32],
    [rows, n, pitch, before]: [usize; 4],
    tile: Tile,
    stores: Stores,
) -> Vec<u32> {
    let mut x = x.to_vec();
    let mut scales: Vec<f64> = (0..rows * 2).map(|row| 1.0 + row as f64 / 7.0).collect();
    let mut kept = vec![0f32; tile.rows * pitch];
    let mut y = vec![f32::from_bits(0xa5a5_a5a5); rows * pitch + 64];
    let start = y.as_ptr().align_offset(64) + GAP + before;
    let (step, row) = (code.lanes() * 4, (pitch * 4) as isize);
    let cursor = |array: &mut [f32], step| Cursor { base: array.as_mut_ptr().cast(), step, row };
    let scale = Cursor { base: scales.as_mut_ptr().cast(), step: 0, row: 16 };
    // Numbers of rows, one after the other and with two words between them.
    let (mut inverses, mut totals) = (vec![7u32; rows + 1], vec![7u32; rows * 4 + 4]);
    let inverse = Cursor { base: inverses.as_mut_ptr().cast(), step: 0, row: 4 };
    let total = Cursor { base: totals.as_mut_ptr().cast(), step: 0, row: 16 };
    let [x, y_of, kept] =
        [cursor(&mut x, step), cursor(&mut y[start..], 0), cursor(&mut kept, step)];
    let mut cursors = [x, scale, y_of, inverse, total, kept];
    // SAFETY: each operand has these rows, and none overlaps another.
    unsafe {
        match stores {
            Stores::Through => code.call_tiles(rows, tile, n, &mut cursors),
            Stores::Past => code.call_tiles_streaming(rows, tile, n, &mut cursors),
            Stores::Realigned => {
                let mut carries = [Carry::new(y_of.base)];
                let first = rows / 3;
                for (from, count) in [(0, first), (first, rows - first)] {
                    let later = |cursor: &Cursor| Cursor {
                        base: cursor.base.wrapping_offset(from as isize * cursor.row),
                        ..*cursor
                    };
                    let mut cursors = cursors.each_ref().map(later);
                    cursors[5] = kept;
                    code.call_tiles_realigned(count, tile, n, &mut cursors, &mut carries);
                }
                carries[0].store(y_of.base.wrapping_offset(rows as isize * row));
            }
        }
    }
    let elements = y[start - GAP..start + rows * pitch + GAP].iter().map(|y| y.to_bits());
    elements.chain(inverses).chain(totals).collect()
}

#[test]
fn emulated_sweeps_have_the_bits_of_the_interpreter() {
    let sweep = shares();
    let expected = compile_sweep(&sweep, EmitterKind::Interp).unwrap().expect("it makes sweeps");
    let mut rng = Rng::new(5);
    for kind in [EmitterKind::Avx2, EmitterKind::Avx512] {
        let code = emulated::compile_sweep(&sweep, kind, load).unwrap().expect("it makes sweeps");
        for n in [1, 7, 16, 63, 64, 65, 200, 512, 513, 1100] {
            let pitch = (n + GAP).next_multiple_of(16);
            for rows in [1, 3, 5, 41].into_iter().filter(|rows| n * rows < 6000) {
                let x: Vec<f32> = (0..rows * pitch).map(|_| rng.ordinary() as f32).collect();
                let sizes = |before| [rows, n, pitch, before];
                let want = run(&expected, &x, sizes(0), Tile::ONE, Stores::Through);
                for tile in [1, 2, 9, MOST_ROWS] {
                    let (through, past) = (Stores::Through, Stores::Past);
                    for (runs_ahead, stores, before) in
                        [(false, through, 0), (true, through, 3), (true, past, 0), (true, past, 5)]
                    {
                        let tile = Tile {
                            rows: tile,
                            ahead: if runs_ahead { tile } else { 0 },
                            results: runs_ahead,
                        };
                        let got = run(&code, &x, sizes(before), tile, stores);
                        assert!(got == want, "{kind}, {rows} rows of {n}, {tile:?}, {stores:?}");
                    }
                }
            }
        }
    }
}

/// Rows one after the other that begin anywhere in a vector of memory: nothing before the first and behind the last
/// is stored to.
#[test]
fn realigned_sweeps_have_the_bits_of_the_interpreter() {
    let sweep = shares();
    let expected = compile_sweep(&sweep, EmitterKind::Interp).unwrap().expect("it makes sweeps");
    let sweep = sweep.realigned().expect("its output is as wide as lanes");
    assert_eq!(sweep.verify(), Ok(()));
    assert!(compile_sweep(&sweep, EmitterKind::Interp).unwrap().is_none(), "it has no vectors");
    let mut rng = Rng::new(6);
    assert!(emulated::compile_sweep(&sweep, EmitterKind::Avx2, load).unwrap().is_none());
    let kind = EmitterKind::Avx512;
    let emulated = emulated::compile_sweep(&sweep, kind, load).unwrap();
    assert!(emulated.is_some());
    let native = if Cpu::host().avx512 { compile_sweep(&sweep, kind).unwrap() } else { None };
    for code in [emulated, native].into_iter().flatten() {
        for n in [1, 5, 15, 16, 17, 31, 48, 64, 77, 200, 512, 515, 600, 1056] {
            for rows in [1, 2, 9, 41].into_iter().filter(|rows| n * rows < 6000) {
                let x: Vec<f32> = (0..rows * n).map(|_| rng.ordinary() as f32).collect();
                let sizes = |before| [rows, n, n, before];
                let want = run(&expected, &x, sizes(0), Tile::ONE, Stores::Through);
                for before in 0..16 {
                    let at_a_time = if before % 2 == 0 { 5 } else { MOST_ROWS };
                    let (ahead, results) = (before % 3, before % 4 < 2);
                    let tile = Tile { rows: at_a_time, ahead, results };
                    let got = run(&code, &x, sizes(before), tile, Stores::Realigned);
                    assert!(got == want, "{rows} rows of {n}, {before} before them, {tile:?}");
                }
            }
        }
    }
}
