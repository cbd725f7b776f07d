//! Streaming twins: the same machine code with stores that bypass the caches.
//!
//! An ordinary store reads the cache line that it is about to overwrite, so a kernel over arrays
//! larger than the caches moves half as many bytes again as it needs. A non-temporal store does
//! not. `vmovups` and `vmovntps` differ in one byte, so no emitter has to know about this: the twin
//! is made from the finished code on its first call.
//!
//! Measured at 64 Mi `f32` on two threads of a Zen 5, as multiples of a streaming copy: tanh-GELU
//! 1.11 against 1.40 with ordinary stores; 1.06 through a tile of 256 elements in L1, but 1.61
//! through one of 1024, and worse on one thread.

use super::launch::{Entry, Launch};
use super::memory::CodeMemory;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use std::collections::BTreeSet;

/// Machine code that streams. The targets of its whole-vector stores must be aligned to a vector.
#[derive(Debug)]
pub(in crate::emit) struct Streaming {
    entry: Entry,
    /// Holds the code that `entry` points at.
    _code: CodeMemory,
}

impl Streaming {
    /// The twin of a kernel routine; none if it has no stores to replace, the machine is not
    /// x86-64, or the system gives no memory for code.
    pub(in crate::emit) fn new(code: &[u8]) -> Option<Streaming> {
        if cfg!(not(target_arch = "x86_64")) {
            return None;
        }
        let code = CodeMemory::new(&twin(code)?).ok()?;
        // SAFETY: a function of this ABI for this machine: only the kind of its stores differs from
        // one. The code lives as long as the routine.
        let entry = unsafe { code.routine() };
        Some(Streaming { entry, _code: code })
    }

    /// Calls it.
    ///
    /// # Safety
    ///
    /// As for the routine whose twin it is.
    pub(in crate::emit) unsafe fn call(&self, launch: &mut Launch) {
        // SAFETY: required of the caller.
        unsafe { (self.entry)(launch) };
    }
}

/// The opcodes of a vector store, and of a streaming one.
const STORE: u8 = 0x11;
const STREAM: u8 = 0x2b;

/// `code` with its whole-vector stores to outputs replaced; none if there are none, or if one has
/// its opcode in an unexpected place: no other byte may change.
pub(in crate::emit) fn twin(code: &[u8]) -> Option<Vec<u8>> {
    let mut twin = code.to_vec();
    let mut replaced = false;
    for store in instructions(code).iter().filter(|instruction| is_store(instruction)) {
        let start = store.ip() as usize;
        let at = start + opcode(&code[start..start + store.len()])?;
        if code[at] != STORE {
            return None;
        }
        twin[at] = STREAM;
        replaced = true;
    }
    replaced.then_some(twin)
}

/// A store of a whole vector to anywhere but the stack. Masked stores do not stream: the remainder
/// after the whole vectors goes through the caches.
fn is_store(instruction: &Instruction) -> bool {
    let stores = matches!(
        instruction.code(),
        Code::EVEX_Vmovups_zmmm512_k1z_zmm
            | Code::EVEX_Vmovupd_zmmm512_k1z_zmm
            | Code::VEX_Vmovups_ymmm256_ymm
            | Code::VEX_Vmovupd_ymmm256_ymm
            | Code::VEX_Vmovups_xmmm128_xmm
            | Code::VEX_Vmovupd_xmmm128_xmm
            | Code::Movups_xmmm128_xmm
            | Code::Movupd_xmmm128_xmm
    );
    let base = instruction.memory_base();
    stores && !instruction.has_op_mask() && !matches!(base, Register::RSP | Register::RBP)
}

/// The position of the opcode in a vector instruction: after its prefixes.
fn opcode(bytes: &[u8]) -> Option<usize> {
    match bytes[0] {
        0x62 => Some(4),
        0xc4 => Some(3),
        0xc5 => Some(2),
        _ => bytes.windows(2).position(|pair| pair == [0x0f, STORE]).map(|escape| escape + 1),
    }
}

/// The instructions reachable from the first: the other bytes need not be code.
fn instructions(code: &[u8]) -> Vec<Instruction> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut pending = vec![0];
    while let Some(start) = pending.pop() {
        let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
        if decoder.set_position(start).is_err() {
            continue;
        }
        decoder.set_ip(start as u64);
        while decoder.can_decode() && seen.insert(decoder.position()) {
            let instruction = decoder.decode();
            found.push(instruction);
            if instruction.op0_kind() == OpKind::NearBranch64 {
                pending.push(instruction.near_branch_target() as usize);
            }
            if matches!(instruction.mnemonic(), Mnemonic::Jmp | Mnemonic::Ret | Mnemonic::Ud2) {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{instructions, is_store, twin};
    use crate::cpu::Cpu;
    use crate::emit::{EmitterKind, compile, emulated};
    use crate::vir::{Builder, Storage};
    use iced_x86::{Decoder, DecoderOptions, Mnemonic};

    /// A store of each width, and its streaming replacement.
    #[test]
    fn stores_are_replaced_and_nothing_else() {
        let cases: [(&[u8], Mnemonic); 6] = [
            (&[0x62, 0xf1, 0x7c, 0x48, 0x11, 0x01], Mnemonic::Vmovntps),
            (&[0x62, 0xf1, 0xfd, 0x48, 0x11, 0x01], Mnemonic::Vmovntpd),
            (&[0xc5, 0xfc, 0x11, 0x01], Mnemonic::Vmovntps),
            (&[0xc4, 0xc1, 0x7d, 0x11, 0x00], Mnemonic::Vmovntpd),
            (&[0x44, 0x0f, 0x11, 0x01], Mnemonic::Movntps),
            (&[0x66, 0x0f, 0x11, 0x01], Mnemonic::Movntpd),
        ];
        for (store, expected) in cases {
            let code = [store, &[0xc3, 0x0f, 0x11, 0x01]].concat();
            let streaming = twin(&code).unwrap();
            assert_eq!(streaming[store.len()..], code[store.len()..], "what follows is no code");
            let streaming = Decoder::new(64, &streaming, DecoderOptions::NONE).decode();
            let ordinary = Decoder::new(64, &code, DecoderOptions::NONE).decode();
            assert_eq!(streaming.mnemonic(), expected);
            assert_eq!(streaming.len(), store.len());
            assert_eq!(streaming.memory_base(), ordinary.memory_base());
            assert_eq!(streaming.op1_register(), ordinary.op1_register());
        }
        // An extra prefix, which no emitter writes, hides the opcode.
        assert_eq!(twin(&[0x3e, 0xc5, 0xfc, 0x11, 0x01, 0xc3]), None);
        // To the stack, and under a mask.
        assert_eq!(twin(&[0xc5, 0xfc, 0x11, 0x04, 0x24, 0xc3]), None);
        assert_eq!(twin(&[0x62, 0xf1, 0x7c, 0x49, 0x11, 0x01, 0xc3]), None);
    }

    #[test]
    fn every_emitter_has_one_store_a_vector() {
        let mut b = Builder::new();
        let x = b.input(Storage::F32);
        let sum = b.add(x, x);
        b.output(sum, Storage::F32);
        let routine = b.finish();
        for kind in [EmitterKind::Cranelift, EmitterKind::Avx2, EmitterKind::Avx512] {
            // Nothing is executed, so any machine will do.
            let code = match kind {
                EmitterKind::Cranelift
                    if cfg!(not(all(target_arch = "x86_64", feature = "cranelift"))) =>
                {
                    continue;
                }
                EmitterKind::Cranelift => compile(&routine, kind, Cpu::host()).unwrap(),
                _ => emulated::compile(&routine, kind, |_| Box::new(|_, _| ())).unwrap(),
            };
            let found = instructions(code.machine_code());
            let stores = found.iter().filter(|instruction| is_store(instruction)).count();
            // A loop may handle several vectors at a time.
            let stored = stores * code.bits() as usize / 32;
            assert!(stored > 0 && stored.is_multiple_of(code.lanes()), "{kind}: {stored}");
        }
    }
}
