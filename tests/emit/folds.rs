//! Folds and row scalars: every emitter leaves the bits of the interpreter, of any number of elements in
//! any number of rows, and touches nothing else.

use common::{Rng, SPECIAL, differs, emitters};
use kiln::internals::emit::{Code, Cursor};
use kiln::internals::vir::{Builder, Merge, Routine, Storage, Value, interp};

/// Memory of an operand: rows, with something between them that nobody may write.
struct Rows {
    bytes: Vec<u8>,
    pitch: usize,
    size: usize,
}

const GAP: usize = 8;

impl Rows {
    fn new(rows: usize, n: usize, size: usize) -> Rows {
        let pitch = n * size + GAP;
        Rows { bytes: vec![0xa5; rows * pitch], pitch, size }
    }

    fn set(&mut self, row: usize, at: usize, bits: u64) {
        let at = row * self.pitch + at * self.size;
        self.bytes[at..at + self.size].copy_from_slice(&bits.to_le_bytes()[..self.size]);
    }

    fn get(&self, row: usize, at: usize) -> u64 {
        let at = row * self.pitch + at * self.size;
        let mut word = [0; 8];
        word[..self.size].copy_from_slice(&self.bytes[at..at + self.size]);
        u64::from_le_bytes(word)
    }

    fn cursor(&mut self, step: usize) -> Cursor {
        Cursor { base: self.bytes.as_mut_ptr(), step, row: self.pitch as isize }
    }

    fn gaps_are_whole(&self) -> bool {
        self.bytes.chunks(self.pitch).all(|row| row[self.pitch - GAP..].iter().all(|&b| b == 0xa5))
    }
}

/// Runs `code` on rows of `n` elements and compares with the interpreter.
fn check(
    routine: &Routine,
    code: &Code,
    rows: usize,
    n: usize,
    mut element: impl FnMut(Storage, usize) -> u64,
) {
    let n = if code.takes_any_count() { n } else { n - n % code.lanes() };
    let storages: Vec<Storage> = routine.inputs.clone();
    let length = |slot: usize| if routine.is_scalar(slot) { 1 } else { n };
    let mut row = || -> Vec<Vec<u64>> {
        let column = |(slot, &s)| (0..length(slot)).map(|at| element(s, at)).collect();
        storages.iter().enumerate().map(column).collect()
    };
    let values: Vec<Vec<Vec<u64>>> = (0..rows).map(|_| row()).collect();
    let folds: Vec<Storage> = routine.folds().collect();
    assert_eq!(code.folds(), folds);
    let inputs = storages.iter().enumerate().map(|(slot, s)| (s, length(slot)));
    let counts = inputs.chain(routine.outputs.iter().map(|s| (s, n)));
    let counts: Vec<(Storage, usize)> =
        counts.chain(folds.iter().map(|s| (s, 1))).map(|(&s, n)| (s, n)).collect();
    let mut operands: Vec<Rows> =
        counts.iter().map(|&(storage, n)| Rows::new(rows, n, storage.size())).collect();
    for (row, values) in values.iter().enumerate() {
        for (operand, column) in operands.iter_mut().zip(values) {
            column.iter().enumerate().for_each(|(at, &bits)| operand.set(row, at, bits));
        }
    }
    let lanes = code.lanes();
    let step = |(at, operand): (usize, &mut Rows)| {
        let is_scalar = at < storages.len() && code.is_scalar(at);
        operand.cursor(if is_scalar { 0 } else { lanes * operand.size })
    };
    let mut cursors: Vec<Cursor> = operands.iter_mut().enumerate().map(step).collect();
    // SAFETY: every operand has these rows, and none overlaps another.
    unsafe { code.call(rows, n, &mut cursors) };
    let results = &operands[storages.len()..];
    for (row, values) in values.iter().enumerate() {
        let slices: Vec<&[u64]> = values.iter().map(Vec::as_slice).collect();
        let expected = interp::run(routine, &slices, n);
        let places = results.iter().zip(&counts[storages.len()..]);
        for ((result, &(storage, _)), want) in places.zip(&expected) {
            for (at, &want) in want.iter().enumerate() {
                let got = result.get(row, at);
                assert!(
                    !differs(storage, got, want),
                    "{} element {at}, row {row} of {rows} of {n}: {got:#x}, not {want:#x}\n{routine}",
                    code.emitter(),
                );
            }
        }
    }
    assert!(results.iter().all(Rows::gaps_are_whole), "{} wrote between rows", code.emitter());
}

fn lengths() -> impl Iterator<Item = usize> {
    (0..=200).chain([511, 512, 513, 1000])
}

const NUMBERS: [Storage; 4] = [Storage::F32, Storage::F64, Storage::I32, Storage::I64];

/// One fold of an input.
fn plain(storage: Storage, merge: Merge) -> Routine {
    let mut b = Builder::new();
    let x = b.input(storage);
    b.fold(x, merge);
    b.finish()
}

fn merges(storage: Storage) -> impl Iterator<Item = Merge> {
    Merge::ALL.into_iter().filter(move |merge| merge.fits(storage.lane()))
}

#[test]
fn every_merge_of_every_type() {
    let mut rng = Rng::new(31);
    for storage in NUMBERS {
        for merge in merges(storage) {
            let routine = plain(storage, merge);
            for code in emitters(&routine) {
                for n in lengths() {
                    // Everyday numbers, so that sums are more than NaN.
                    check(&routine, &code, 1 + n % 3, n, |storage, _| match storage {
                        Storage::F32 => u64::from((rng.ordinary() as f32).to_bits()),
                        Storage::F64 => rng.ordinary().to_bits(),
                        _ => rng.element(storage),
                    });
                }
            }
        }
    }
}

/// NaN, infinities and zeros, alone among others at every position.
#[test]
fn special_numbers_at_every_position() {
    for storage in [Storage::F32, Storage::F64] {
        let bits = |number: f64| match storage {
            Storage::F32 => u64::from((number as f32).to_bits()),
            _ => number.to_bits(),
        };
        for merge in merges(storage) {
            let routine = plain(storage, merge);
            for code in emitters(&routine) {
                for n in [1, 7, 32, 64, 130] {
                    for at in 0..n {
                        for special in &SPECIAL[..12] {
                            // Zeros of either sign, and ones.
                            let other = SPECIAL[at % 4];
                            let number = |i| if i == at { *special } else { other };
                            check(&routine, &code, 1, n, |_, i| bits(number(i)));
                        }
                        let nan = bits(-f64::NAN);
                        check(&routine, &code, 1, n, |_, i| if i == at { nan } else { bits(1.0) });
                    }
                }
            }
        }
    }
}

/// Folds beside stores and beside each other, of lanes of both widths, of cold regions, of constants,
/// and more of them than registers.
#[test]
fn folds_among_other_work() {
    let mut rng = Rng::new(32);
    let mut routines = Vec::new();
    let mut add = |build: &mut dyn FnMut(&mut Builder)| {
        let mut b = Builder::new();
        build(&mut b);
        routines.push(b.finish());
    };
    for storage in [Storage::F32, Storage::F64] {
        // The moments of a difference.
        add(&mut |b| {
            let (x, y) = (b.input(storage), b.input(storage));
            let d = b.sub(x, y);
            let square = b.mul(d, d);
            b.fold(d, Merge::Add);
            b.fold(square, Merge::Add);
        });
        // A long body, stored, too.
        for length in [8, 30, 80] {
            add(&mut |b| {
                let x = b.input(storage);
                let factors: Vec<Value> =
                    (0..length).map(|i| b.float(storage.lane(), 1.0 / f64::from(i + 2))).collect();
                let y = factors.iter().fold(x, |y, &factor| b.fma(y, factor, x));
                b.output(y, storage);
                b.fold(y, Merge::Add);
                b.fold(x, Merge::Max);
                b.fold(factors[3], Merge::Add);
            });
        }
        add(&mut |b| {
            let x = b.input(storage);
            let bound = b.float(storage.lane(), 3.0);
            let mask = b.lt(bound, x);
            let [y] = b.cold(mask, [x], |b| [b.sqrt(x)]);
            b.fold(y, Merge::Add);
            b.fold(y, Merge::Min);
            let set = b.bitcast(mask, storage.lane().int());
            b.fold(set, Merge::Or);
            b.fold(set, Merge::And);
        });
    }
    add(&mut |b| {
        let (x, y) = (b.input(Storage::F32), b.input(Storage::F64));
        let wide = b.promote(x);
        let sum = b.add(wide, y);
        b.output(sum, Storage::F64);
        b.fold(x, Merge::Add);
        b.fold(sum, Merge::Add);
        b.fold(wide, Merge::Mul);
    });
    // What AVX2 cannot mask.
    for storage in [Storage::F16, Storage::BF16, Storage::U8] {
        add(&mut |b| {
            let x = b.input(storage);
            b.fold(x, Merge::Add);
            b.output(x, storage);
        });
    }
    add(&mut |b| {
        let x = b.input(Storage::F32);
        for i in 0..12 {
            let factor = b.f32(i as f32);
            let product = b.mul(x, factor);
            b.fold(product, if i % 2 == 0 { Merge::Add } else { Merge::Max });
        }
    });
    for routine in &routines {
        for code in emitters(routine) {
            for n in lengths().filter(|n| n % 3 == 0 || n % 32 == 0 || *n > 60) {
                check(routine, &code, 1 + n % 3, n, |storage, _| rng.element(storage));
                if n % 5 == 0 {
                    check(routine, &code, 2, n, |storage, _| match storage {
                        Storage::F32 => u64::from((rng.ordinary() as f32).to_bits()),
                        Storage::F64 => rng.ordinary().to_bits(),
                        _ => rng.element(storage),
                    });
                }
            }
        }
    }
}

/// Row scalars of every type, beside elements, stores and folds; more of them than registers.
#[test]
fn row_scalars() {
    let mut rng = Rng::new(33);
    let mut routines = Vec::new();
    let mut add = |build: &mut dyn FnMut(&mut Builder)| {
        let mut b = Builder::new();
        build(&mut b);
        routines.push(b.finish());
    };
    for storage in NUMBERS {
        add(&mut |b| {
            let (mean, x) = (b.scalar(storage), b.input(storage));
            let d = b.sub(x, mean);
            b.fold(d, Merge::Add);
        });
        add(&mut |b| {
            let (x, mean, scale) = (b.input(storage), b.scalar(storage), b.scalar(storage));
            let d = b.sub(x, mean);
            let y = b.mul(d, scale);
            b.output(y, storage);
            b.output(scale, storage);
            b.fold(y, Merge::Max);
        });
        // Nothing but scalars.
        add(&mut |b| {
            let x = b.scalar(storage);
            b.fold(x, Merge::Add);
            b.output(x, storage);
        });
    }
    for count in [9, 40] {
        add(&mut |b| {
            let x = b.input(Storage::F32);
            let scalars: Vec<Value> = (0..count).map(|_| b.scalar(Storage::F32)).collect();
            let y = scalars.iter().fold(x, |y, &s| b.fma(y, x, s));
            let y = scalars.iter().rev().fold(y, |y, &s| b.fma(y, s, x));
            b.output(y, Storage::F32);
        });
    }
    add(&mut |b| {
        let (x, y) = (b.input(Storage::F32), b.scalar(Storage::F64));
        let wide = b.promote(x);
        let sum = b.add(wide, y);
        let bound = b.f64(1.0);
        let mask = b.lt(bound, sum);
        let [z] = b.cold(mask, [sum], |b| [b.fma(sum, y, y)]);
        b.output(z, Storage::F64);
    });
    for routine in &routines {
        for code in emitters(routine) {
            for n in lengths().filter(|n| n % 7 == 0 || n % 32 == 0 || *n > 180) {
                check(routine, &code, 1 + n % 4, n, |storage, _| match storage {
                    Storage::F32 => u64::from((rng.ordinary() as f32).to_bits()),
                    Storage::F64 => rng.ordinary().to_bits(),
                    _ => rng.element(storage),
                });
            }
        }
    }
}
