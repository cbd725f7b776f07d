//! What memory is asked for: lines of a later row, where the routine marks an input and the call says how many
//! rows later, and nothing else.

use super::generate;
use super::isa::Isa;
use crate::vir::{Builder, LONG_ROW, Merge, Routine, Storage, Turn};
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
    let made = generate(routine, isa).unwrap();
    let pool: Vec<u8> = made.pool.iter().flat_map(|line| line.0).collect();
    let code = Decoded::decode(&made.encoded.bytes).unwrap();
    let (row, number) = (n * 4, 4);
    let array = |bytes, access| Array::new(vec![0; ROWS * bytes], 0, access);
    let operand = |array, bytes: usize| Operand {
        array,
        first: 0,
        step: made.lanes * 4,
        row: bytes as isize,
    };
    let call = Call {
        rows: ROWS,
        tile: 1,
        ahead,
        head: 0,
        n,
        arrays: vec![
            array(row, Access::Read),
            array(number, Access::Read),
            array(row, Access::Write),
            array(number, Access::Write),
        ],
        operands: &[operand(0, row), operand(1, number), operand(2, row), operand(3, number)],
        pool: &pool,
        carries: None,
    };
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
