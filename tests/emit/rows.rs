//! Calls on several rows: every emitter does what as many calls on one row would, and touches nothing
//! between them.

use crate::check::{bytes, elements};
use common::{Rng, differs, emitters, random_program};
use kiln::internals::emit::{Code, Cursor};
use kiln::internals::vir::{Builder, Routine, Storage, Type, Value, interp};

/// Rows in memory: upwards, downwards, or all of them the same one.
struct Operand {
    memory: Vec<u8>,
    /// Where each row begins.
    starts: Vec<usize>,
    row: isize,
}

impl Operand {
    /// Room for rows of so many bytes; `repeats` if they are one.
    fn new(rows: usize, len: usize, repeats: bool, rng: &mut Rng) -> Operand {
        let (pitch, offset) = (len + rng.pick(&[0, 0, 1, 7, 96]), rng.below(70));
        let down = rng.below(3) == 0;
        let start = |row| match (repeats, down) {
            (true, _) => offset,
            (_, false) => offset + row * pitch,
            (_, true) => offset + (rows - 1 - row) * pitch,
        };
        let row = if repeats { 0 } else { pitch as isize * if down { -1 } else { 1 } };
        let memory = vec![0xa5; offset + rows * pitch + 70];
        Operand { memory, starts: (0..rows).map(start).collect(), row }
    }

    fn put(&mut self, row: usize, bytes: &[u8]) {
        self.memory[self.starts[row]..][..bytes.len()].copy_from_slice(bytes);
    }

    fn cursor(&mut self, step: usize) -> Cursor {
        let base = self.memory.as_mut_ptr().wrapping_add(self.starts[0]);
        Cursor { base, step, row: self.row }
    }
}

/// Calls `code` on random elements, and compares with the interpreter row by row.
fn check(routine: &Routine, code: &Code, rows: usize, n: usize, rng: &mut Rng) {
    let n = if code.takes_any_count() { n } else { n - n % code.lanes() };
    let mut operands = Vec::new();
    let mut steps = Vec::new();
    // `[row][input][element]`
    let mut values = vec![Vec::new(); rows];
    for &storage in &routine.inputs {
        let (is_splat, repeats) = (rng.below(4) == 0, rng.below(4) == 0);
        let count = if is_splat { code.copies() } else { n };
        let mut operand = Operand::new(rows, count * storage.size(), repeats, rng);
        let mut column = Vec::new();
        for (row, values) in values.iter_mut().enumerate() {
            if row == 0 || !repeats {
                let first = rng.element(storage);
                let next = |_| if is_splat { first } else { rng.element(storage) };
                column = (0..n.max(count)).map(next).collect();
                operand.put(row, &bytes(storage, &column[..count], 0));
            }
            values.push(column.clone());
        }
        operands.push(operand);
        steps.push(if is_splat { 0 } else { code.lanes() * storage.size() });
    }
    for &storage in &routine.outputs {
        operands.push(Operand::new(rows, n * storage.size(), false, rng));
        steps.push(0);
    }
    let mut cursors: Vec<Cursor> =
        operands.iter_mut().zip(steps).map(|(operand, step)| operand.cursor(step)).collect();
    // SAFETY: every operand has these rows, and none overlaps another.
    unsafe { code.call(rows, n, &mut cursors) };

    let inputs = routine.inputs.len();
    for (row, values) in values.iter().enumerate() {
        let slices: Vec<&[u64]> = values.iter().map(Vec::as_slice).collect();
        let expected = interp::run(routine, &slices, n);
        for ((operand, &storage), want) in
            operands[inputs..].iter_mut().zip(&routine.outputs).zip(&expected)
        {
            let written = &mut operand.memory[operand.starts[row]..][..n * storage.size()];
            for (at, (got, &want)) in elements(storage, written).into_iter().zip(want).enumerate() {
                assert!(
                    !differs(storage, got, want),
                    "{} element {at} of {n} in row {row} of {rows}: {got:#x}, not {want:#x}\n{routine}",
                    code.emitter(),
                );
            }
            written.fill(0xa5);
        }
    }
    let untouched = |operand: &Operand| operand.memory.iter().all(|&byte| byte == 0xa5);
    assert!(operands[inputs..].iter().all(untouched), "{} wrote between rows", code.emitter());
}

fn check_all(routine: &Routine, rng: &mut Rng) {
    for code in emitters(routine) {
        for rows in [1, 2, 5] {
            for n in [0, 1, code.lanes(), code.lanes() + 3, code.copies(), 2 * code.copies() + 5] {
                check(routine, &code, rows, n, rng);
            }
        }
    }
}

#[test]
fn random_programs() {
    let mut rng = Rng::new(21);
    for round in 0..24 {
        let size = 1 + rng.below(40);
        check_all(&random_program(&mut rng, size, round % 4 == 3), &mut rng);
    }
}

/// More inputs and outputs than registers for their addresses, constants in registers, and none.
#[test]
fn many_operands() {
    let mut rng = Rng::new(22);
    for (inputs, outputs) in [(0, 1), (1, 12), (8, 1), (12, 3), (20, 12)] {
        let mut b = Builder::new();
        let two = b.f32(2.0);
        let mut values: Vec<Value> = (0..inputs).map(|_| b.input(Storage::F32)).collect();
        values.push(two);
        let sum = values.iter().rev().fold(two, |sum, &x| b.fma(sum, two, x));
        for at in 0..outputs {
            let factor = b.f32(at as f32);
            let value = b.mul(sum, factor);
            b.output(value, Storage::F32);
        }
        check_all(&b.finish(), &mut rng);
    }
}

/// What a row leaves in registers and slots is nothing to the next.
#[test]
fn cold_regions() {
    let mut rng = Rng::new(23);
    for storage in [Storage::F32, Storage::F64] {
        let mut b = Builder::new();
        let (x, y) = (b.input(storage), b.input(storage));
        let bound = b.float(storage.lane(), 3.0);
        let mask = b.lt(bound, x);
        let slow = |b: &mut Builder| {
            let root = b.sqrt(x);
            [(0..20).fold(root, |sum, _| b.fma(sum, root, y))]
        };
        let [chosen] = b.cold(mask, [y], slow);
        let wide: Vec<Value> = (0..40).map(|i| b.float(storage.lane(), f64::from(i))).collect();
        let sums: Vec<Value> = wide.iter().map(|&w| b.fma(chosen, w, x)).collect();
        let all = sums.iter().rev().fold(chosen, |all, &sum| b.max(all, sum));
        b.output(all, storage);
        let narrow = b.resize_mask(mask, Type::F32);
        b.output(narrow, Storage::Bool);
        check_all(&b.finish(), &mut rng);
    }
}

/// An output that is an input, row by row, downwards too.
#[test]
fn in_place() {
    let mut b = Builder::new();
    let (x, y) = (b.input(Storage::F32), b.input(Storage::F32));
    let z = b.fma(x, x, y);
    b.output(z, Storage::F32);
    let (rows, pitch) = (6, 100);
    for code in emitters(&b.finish()) {
        let n = if code.takes_any_count() { 37 } else { 2 * code.lanes() };
        for down in [false, true] {
            let mut x: Vec<f32> = (0..rows * pitch).map(|i| i as f32).collect();
            let before = x.clone();
            let first = if down { (rows - 1) * pitch } else { 0 };
            let row = pitch as isize * if down { -4 } else { 4 };
            let base = x[first..].as_mut_ptr().cast();
            let y = vec![0.5f32; code.copies()];
            let lanes = code.lanes() * 4;
            let mut cursors = [
                Cursor { base, step: lanes, row },
                Cursor { base: y.as_ptr().cast_mut().cast(), step: 0, row: 0 },
                Cursor { base, step: 0, row },
            ];
            // SAFETY: rows of `pitch` elements, and the output is exactly the first input.
            unsafe { code.call(rows, n, &mut cursors) };
            for (at, (&got, x)) in x.iter().zip(before).enumerate() {
                let want = if at % pitch < n { x.mul_add(x, 0.5) } else { x };
                assert_eq!(got, want, "{} element {at}", code.emitter());
            }
        }
    }
}

/// Stores past the caches, where rows are aligned, and where they are not.
#[test]
fn streaming() {
    let mut b = Builder::new();
    let x = b.input(Storage::F32);
    let y = b.add(x, x);
    b.output(y, Storage::F32);
    for code in emitters(&b.finish()) {
        for pitch in [64, 68] {
            let (rows, n) = (5, 64);
            let x: Vec<f32> = (0..rows * pitch).map(|i| i as f32).collect();
            let mut memory = vec![-1f32; rows * pitch + 16];
            let start = memory.as_ptr().align_offset(64);
            let row = pitch as isize * 4;
            let mut cursors = [
                Cursor { base: x.as_ptr().cast_mut().cast(), step: code.lanes() * 4, row },
                Cursor { base: memory[start..].as_mut_ptr().cast(), step: 0, row },
            ];
            // SAFETY: rows of `pitch` elements each.
            unsafe { code.call_streaming(rows, n, &mut cursors) };
            for (at, &x) in x.iter().enumerate() {
                let want = if at % pitch < n { x + x } else { -1.0 };
                assert_eq!(memory[start + at], want, "{} element {at}", code.emitter());
            }
        }
    }
}
