//! Machine code of the x86 emitters, executed by `tools/emulate`.

use kiln::EmitterKind;
use kiln::internals::emit::Code;
use kiln::internals::emit::emulated::{self, Array, Call, Execute, Operand};
use kiln::internals::vir::Routine;
use kiln_emulate::{Access, Decoded};

/// The code of `program`.
pub fn compile(program: &Routine, kind: EmitterKind) -> Code {
    emulated::compile(program, kind, load).unwrap()
}

/// From now on, kernels with these emitters are emulated.
pub fn stand_in_for(kinds: &[EmitterKind]) {
    emulated::emulate(kinds, load);
}

/// What executes machine code by `tools/emulate`.
pub fn load(code: &[u8]) -> Execute {
    let routine = Decoded::decode(code).unwrap_or_else(|fault| panic!("{fault}"));
    Box::new(move |call, arrays| execute(&routine, call, arrays))
}

fn execute(routine: &Decoded, call: &Call<'_>, arrays: &mut [Array]) {
    let lent = |array: &mut Array| kiln_emulate::Array {
        bytes: std::mem::take(&mut array.bytes),
        row: array.row,
        pitch: array.pitch,
        address: array.address,
        access: match (array.is_input, array.is_output) {
            (true, true) => Access::ReadWrite,
            (false, true) => Access::Write,
            _ => Access::Read,
        },
    };
    let operand = |&Operand { array, first, step, row }: &Operand| kiln_emulate::Operand {
        array,
        first,
        step,
        row,
    };
    let lent = kiln_emulate::Call {
        rows: call.rows,
        tile: call.tile,
        ahead: call.ahead,
        results: call.results,
        head: call.head,
        n: call.n,
        arrays: arrays.iter_mut().map(lent).collect(),
        operands: &call.operands.iter().map(operand).collect::<Vec<_>>(),
        pool: call.pool,
        carries: call.carries,
    };
    let done = lent.run(routine).unwrap_or_else(|fault| panic!("{fault}"));
    for (array, done) in arrays.iter_mut().zip(done) {
        array.bytes = done.bytes;
    }
}
