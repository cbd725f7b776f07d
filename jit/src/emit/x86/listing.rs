//! The machine code as text, each instruction with the primitive it came from.

use super::EmitError;
use super::generate;
use super::isa::Isa;
use crate::vir::{Each, Routine, Value};
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, NasmFormatter};
use std::fmt::Write as _;

/// Disassembles the code of `routine`, on any machine.
pub(super) fn listing(routine: &Routine, isa: Isa) -> Result<String, EmitError> {
    let encoded = generate(routine, isa)?.encoded;
    let primitive = |origin: u32| primitive(routine, origin as usize);
    Ok(disassembled(&encoded.bytes, &encoded.origins, primitive))
}

/// Machine code as text, with what is known of instructions at offsets.
pub(in crate::emit) fn disassembled(
    bytes: &[u8],
    origins: &[(u32, u32)],
    comment: impl Fn(u32) -> String,
) -> String {
    let mut formatter = NasmFormatter::new();
    let mut origins = origins.iter().copied().peekable();
    let mut text = String::new();
    let mut line = String::new();
    let mut instruction = Instruction::default();
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        line.clear();
        formatter.format(&instruction, &mut line);
        let at = instruction.ip();
        let _ = match origins.next_if(|&(start, _)| u64::from(start) == at) {
            Some((_, origin)) => writeln!(text, "{at:5x}  {line:<56} ; {}", comment(origin)),
            None => writeln!(text, "{at:5x}  {line}"),
        };
    }
    text
}

/// The line of the vector routine that an instruction serves.
fn primitive(routine: &Routine, origin: usize) -> String {
    let Each { body, stores, folds } = &routine.stage;
    match origin.checked_sub(body.insts.len()) {
        None => body.line(Value(origin as u32)).to_string(),
        Some(index) if index < stores.len() => stores[index].to_string(),
        Some(index) => folds[index - stores.len()].to_string(),
    }
}
