//! The machine code as text, each instruction with the primitive that it came from.

use super::EmitError;
use super::generate;
use super::isa::Isa;
use crate::vir::{Program, Value};
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, NasmFormatter};
use std::fmt::Write as _;

/// Disassembles what is made of `program`, on any machine.
pub(super) fn listing(program: &Program, isa: Isa) -> Result<String, EmitError> {
    let encoded = generate(program, isa)?.encoded;
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
                writeln!(text, "{at:5x}  {line:<56} ; {}", primitive(program, origin as usize))
            }
            None => writeln!(text, "{at:5x}  {line}"),
        };
    }
    Ok(text)
}

/// The line of the vector program that an instruction serves.
fn primitive(program: &Program, origin: usize) -> String {
    match origin.checked_sub(program.insts.len()) {
        None => program.line(Value(origin as u32)).to_string(),
        Some(index) => format!("store {index} {}", program.outputs[index].value),
    }
}
