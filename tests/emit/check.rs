//! Runs code on random elements and compares with the interpreter, bit for bit.

use common::{Rng, differs, emitters};
use kiln::internals::emit::{self, Code, Operand};
use kiln::internals::vir::{Routine, Storage, interp};

/// Bytes of elements, `offset` bytes in, so that nothing is aligned.
pub(crate) fn bytes(storage: Storage, elements: &[u64], offset: usize) -> Vec<u8> {
    let mut bytes = vec![0xa5; offset];
    for element in elements {
        bytes.extend_from_slice(&element.to_le_bytes()[..storage.size()]);
    }
    bytes
}

/// The elements that these bytes are.
pub(crate) fn elements(storage: Storage, bytes: &[u8]) -> Vec<u64> {
    let wide = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    };
    bytes.chunks(storage.size()).map(wide).collect()
}

/// Runs `code` on `n` random elements, offset by some bytes, some inputs repeated; compares with
/// the interpreter and checks that nothing around the outputs is touched.
pub(crate) fn check(program: &Routine, code: &Code, n: usize, splats: usize, rng: &mut Rng) {
    let widest = program.inputs.iter().chain(&program.outputs);
    let vector = code.copies() * widest.map(|storage| storage.size()).max().unwrap_or(0);
    assert!(vector <= emit::MAX_VECTOR, "a vector of {vector} bytes");
    let n = if code.takes_any_count() { n } else { n - n % code.lanes() };
    let mut raw = Vec::new();
    let mut inputs = Vec::new();
    let is_splat = |slot: usize| splats >> slot & 1 == 1;
    for (slot, &storage) in program.inputs.iter().enumerate() {
        let first = rng.element(storage);
        let values: Vec<u64> = (0..n.max(code.copies()))
            .map(|_| if is_splat(slot) { first } else { rng.element(storage) })
            .collect();
        let offset = rng.below(17);
        let stored = if is_splat(slot) { code.copies() } else { n };
        raw.push((bytes(storage, &values[..stored], offset), offset));
        inputs.push(values);
    }
    let operands: Vec<Operand> = raw
        .iter()
        .enumerate()
        .map(|(slot, (bytes, offset))| match is_splat(slot) {
            true => Operand::Splat(&bytes[*offset..]),
            false => Operand::Array(&bytes[*offset..]),
        })
        .collect();
    const GUARD: usize = 24;
    let offset = rng.below(17);
    let mut results: Vec<Vec<u8>> = program
        .outputs
        .iter()
        .map(|storage| vec![0xa5; offset + n * storage.size() + GUARD])
        .collect();
    let mut targets: Vec<&mut [u8]> = results
        .iter_mut()
        .map(|bytes| {
            let end = bytes.len() - GUARD;
            &mut bytes[offset..end]
        })
        .collect();
    code.apply(n, &operands, &mut targets);

    let slices: Vec<&[u64]> = inputs.iter().map(Vec::as_slice).collect();
    let expected = interp::run(program, &slices, n);
    for (j, &storage) in program.outputs.iter().enumerate() {
        let (before, rest) = results[j].split_at(offset);
        let (inside, after) = rest.split_at(n * storage.size());
        assert!(before.iter().chain(after).all(|&byte| byte == 0xa5), "wrote out of bounds");
        for (i, (got, &want)) in elements(storage, inside).into_iter().zip(&expected[j]).enumerate()
        {
            let operands: Vec<String> = inputs.iter().map(|x| format!("{:#x}", x[i])).collect();
            assert!(
                !differs(storage, got, want),
                "{} output {j} element {i} of {n}: got {got:#x}, the interpreter gives {want:#x}, \
                 for {operands:?}\n{program}",
                code.emitter(),
            );
        }
    }
}

/// [`check`] of every emitter, for counts of all kinds and inputs repeated in all combinations.
pub(crate) fn check_all(program: &Routine, rng: &mut Rng) {
    for code in emitters(program) {
        for n in 0..=67 {
            check(program, &code, n, 0, rng);
        }
        for splats in 0..1 << program.inputs.len() {
            check(program, &code, 64, splats, rng);
            check(program, &code, 77, splats, rng);
        }
        check(program, &code, 4095, 0, rng);
        check(program, &code, 4096, 0, rng);
    }
}
