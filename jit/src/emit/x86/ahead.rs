//! What memory is asked for: lines of a later row, where the routine marks an input and the call says how many
//! rows later; lines that results of a sweep are stored over, where the call says that; and nothing else.

use super::isa::Isa;
use super::{EmitterKind, Generated, generate, sweep};
use crate::vir::{
    Builder, LONG_ROW, Merge, Part, Place, Routine, Step, Storage, Sweep, Turn, Value,
};
use kiln_emulate::{Access, Array, Call, Decoded, Operand};

const ROWS: usize = 5;
const LINE: i64 = 64;

/// Each element without a number of its row, and the sum of these.
fn routine(ahead: &[u32]) -> Routine {
    let mut b = Builder::new();
    let (x, mean) = (b.input(Storage::F32), b.scalar(Storage::F32));
    let off = b.sub(x, mean);
    b.output(off, Storage::F32);
    b.fold(off, Merge::Add);
    let mut routine = b.finish();
    routine.ahead.extend(ahead);
    routine
}

/// What memory is asked for, in bytes from the first element, in order and each line once.
fn asked(routine: &Routine, isa: Isa, n: usize, ahead: usize) -> Vec<i64> {
    let array = |bytes, access| Array::new(vec![0; ROWS * bytes], 0, access);
    let (row, number) = (n * 4, 4);
    let arrays = vec![
        array(row, Access::Read),
        array(number, Access::Read),
        array(row, Access::Write),
        array(number, Access::Write),
    ];
    let operands = [(0, row), (1, number), (2, row), (3, number)];
    asked_by(&generate(routine, isa).unwrap(), [n, 1, ahead], false, arrays, &operands)
}

/// What code asks memory for, of operands of these arrays with so many bytes from row to row, where it is called with
/// rows of `n` elements, a tile of so many, and so many `ahead`.
fn asked_by(
    made: &Generated,
    [n, tile, ahead]: [usize; 3],
    results: bool,
    arrays: Vec<Array>,
    operands: &[(usize, usize)],
) -> Vec<i64> {
    let pool: Vec<u8> = made.pool.iter().flat_map(|line| line.0).collect();
    let code = Decoded::decode(&made.encoded.bytes).unwrap();
    let operand = |&(array, bytes): &(usize, usize)| Operand {
        array,
        first: 0,
        step: made.lanes * 4,
        row: bytes as isize,
    };
    let operands: Vec<Operand> = operands.iter().map(operand).collect();
    let (rows, head, carries) = (ROWS, 0, None);
    let (operands, pool) = (&operands[..], &pool[..]);
    let call = Call { rows, tile, ahead, results, head, n, arrays, operands, pool, carries };
    let (_, mut asked) = call.run_and_tell(&code).unwrap();
    asked.sort_unstable();
    asked.dedup_by_key(|at| *at / LINE);
    asked
}

#[test]
fn memory_is_asked_for_later_rows_where_a_call_says_so() {
    for isa in [Isa::Avx512, Isa::Avx2] {
        // A row of one iteration, and of several.
        for n in [64, 256] {
            let row = n as i64 * 4;
            for ahead in [1, 3] {
                let first = ahead as i64 * row;
                let lines: Vec<i64> =
                    (first..first + ROWS as i64 * row).step_by(LINE as usize).collect();
                assert_eq!(asked(&routine(&[0]), isa, n, ahead), lines, "{isa:?}, {n}, {ahead}");
                assert!(asked(&routine(&[]), isa, n, ahead).is_empty(), "{isa:?}, {n}, {ahead}");
            }
            assert!(asked(&routine(&[0]), isa, n, 0).is_empty(), "{isa:?}, {n}");
        }
    }
}

#[test]
fn a_step_asks_for_its_turn_of_long_rows() {
    for isa in [Isa::Avx512, Isa::Avx2] {
        for (first, count) in [(0, 1), (1, 2), (3, 1)] {
            // The routine asks for all of short rows, or for none of them.
            for ahead in [&[0][..], &[]] {
                let mut routine = routine(ahead);
                routine.turns.push(Turn { input: 0, first, count });
                let row = LONG_ROW as i64 * 4;
                let part = |row_index: i64| {
                    let from = row_index * row + i64::from(first) * row / 4;
                    (from..from + i64::from(count) * row / 4).step_by(LINE as usize)
                };
                let lines: Vec<i64> = (2..2 + ROWS as i64).flat_map(part).collect();
                assert_eq!(asked(&routine, isa, LONG_ROW, 2), lines, "{isa:?}, {first}, {count}");
                let short = asked(&routine, isa, 256, 2).len();
                assert_eq!(short, ahead.len() * ROWS * 256 * 4 / LINE as usize, "{isa:?}");
                assert!(asked(&routine, isa, LONG_ROW, 0).is_empty(), "{isa:?}");
            }
        }
    }
}

/// Twice each element, which is kept for a second step that stores its square.
fn squares() -> Sweep {
    let part = |inputs: &[Place], results: &[Place], make: fn(&mut Builder, Value)| {
        let mut b = Builder::new();
        let x = b.input(Storage::F32);
        make(&mut b, x);
        Part { routine: b.finish(), inputs: inputs.to_vec(), results: results.to_vec() }
    };
    let keep = part(&[Place::Input(0)], &[Place::Kept(0)], |b, x| {
        let sum = b.add(x, x);
        b.output(sum, Storage::F32);
    });
    let store = part(&[Place::Kept(0)], &[Place::Output(0)], |b, x| {
        let square = b.mul(x, x);
        b.output(square, Storage::F32);
    });
    let steps = [keep, store].map(|part| Step::Each { part, join: None }).into();
    let [inputs, outputs, kept] = [(); 3].map(|()| vec![Storage::F32]);
    let sweep = Sweep { inputs, outputs, kept, steps, ..Sweep::default() };
    assert_eq!(sweep.verify(), Ok(()));
    sweep
}

#[test]
fn memory_is_asked_for_what_results_are_stored_over_where_a_call_says_so() {
    for isa in [Isa::Avx512, Isa::Avx2] {
        let made = sweep::generate(&squares(), isa).unwrap().expect("it is a sweep");
        // A row of one iteration, and of several; results are where the input is.
        for n in [64, 256] {
            let row = n * 4;
            let asked = |results: bool| {
                let arrays = vec![
                    Array::new(vec![0; ROWS * row], 0, Access::ReadWrite),
                    Array::new(vec![0; 3 * row], 0, Access::ReadWrite),
                ];
                let operands = [(0, row), (0, row), (1, row)];
                asked_by(&made, [n, 3, 0], results, arrays, &operands)
            };
            let first = 512;
            let lines: Vec<i64> =
                (first..first + (ROWS * row) as i64).step_by(LINE as usize).collect();
            assert_eq!(asked(true), lines, "{isa:?}, {n}");
            assert!(asked(false).is_empty(), "{isa:?}, {n}");
        }
    }
}

#[test]
fn memory_is_not_asked_for_what_vectors_of_other_rows_are_stored_over() {
    let realigned = squares().realigned().expect("its output is as wide as lanes");
    let code = |sweep: &Sweep| sweep::generate(sweep, Isa::Avx512).unwrap().unwrap().encoded.bytes;
    let asks = |code: &[u8]| {
        let mut decoder = iced_x86::Decoder::new(64, code, iced_x86::DecoderOptions::NONE);
        decoder.iter().any(|i| i.mnemonic() == iced_x86::Mnemonic::Prefetchw)
    };
    assert!(asks(&code(&squares())) && !asks(&code(&realigned)));
}

#[test]
fn memory_is_not_asked_for_what_bypasses_the_caches() {
    use crate::emit::code::{Cursor, Tile};
    use std::sync::Mutex;
    static SEEN: Mutex<Vec<bool>> = Mutex::new(Vec::new());
    let load: crate::emit::emulated::Load =
        |_| Box::new(|call, _| SEEN.lock().unwrap().push(call.results));
    let code = sweep::compile_for(&squares(), EmitterKind::Avx512, load).unwrap().unwrap();
    let mut memory = [Vector([0.0; 64]); 3];
    let mut cursor =
        |at: usize| Cursor { base: memory[at].0.as_mut_ptr().cast(), step: 64, row: 256 };
    let mut cursors = [0, 1, 2].map(&mut cursor);
    let tile = Tile { rows: 1, ahead: 1, results: true };
    // SAFETY: there are rows of 64 elements in each place, aligned to a vector.
    unsafe {
        code.call_tiles(1, tile, 64, &mut cursors);
        code.call_tiles_streaming(1, tile, 64, &mut cursors);
    }
    assert_eq!(*SEEN.lock().unwrap(), [true, false]);
}

/// Elements that begin where a line does.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Vector([f32; 64]);
