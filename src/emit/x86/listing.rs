//! The machine code as text, each instruction with the primitive that it came from.

use super::{EmitError, EmitterKind, generate, isa};
use crate::vir::{Program, Value};
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, NasmFormatter};
use std::fmt::Write as _;

/// Disassembles what the emitter `kind` (`avx512` or `avx2`) makes of `program`, on any machine.
pub fn listing(program: &Program, kind: EmitterKind) -> Result<String, EmitError> {
    let (encoded, _) = generate(program, isa(kind))?;
    let mut formatter = NasmFormatter::new();
    let mut origins = encoded.origins.iter().copied().peekable();
    let mut text = String::new();
    let mut line = String::new();
    let mut instruction = Instruction::default();
    let mut decoder = Decoder::with_ip(64, &encoded.bytes, 0, DecoderOptions::NONE);
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        line.clear();
        formatter.format(&instruction, &mut line);
        let at = instruction.ip();
        let _ = match origins.next_if(|&(start, _)| u64::from(start) == at) {
            Some((_, origin)) => {
                writeln!(text, "{at:5x}  {line:<56} ; {}", program.line(Value(origin)))
            }
            None => writeln!(text, "{at:5x}  {line}"),
        };
    }
    Ok(text)
}
