//! What the machine would refuse, or would do unnoticed, is a fault that says where.

use kiln_emulate::{Access, Array, Call, Decoded, Fault, Memory, Operand, Processor};

/// Calls `code` on `n` elements of 4 bytes: an input, and an output.
fn call(code: &[u8], n: usize) -> Result<Vec<u8>, Fault> {
    let array = |access| Array::new((0..4 * n as u8).collect(), 64, access);
    let call = Call {
        rows: 1,
        tile: 1,
        ahead: 0,
        results: false,
        head: 0,
        n,
        arrays: vec![array(Access::Read), array(Access::Write)],
        operands: &[0, 1].map(|array| Operand { array, first: 0, step: 64, row: 0 }),
        pool: &[0; 64],
        carries: None,
    };
    Ok(call.run(&Decoded::decode(code)?)?.remove(1).bytes)
}

fn fault(code: &[u8], n: usize) -> String {
    call(code, n).expect_err("it faults").to_string()
}

/// `mov rdx,[rdi+18h]; mov rax,[rdx]; mov rcx,[rdx+18h]`: the addresses of the input and of the
/// output.
const ADDRESSES: [u8; 11] = [0x48, 0x8b, 0x57, 0x18, 0x48, 0x8b, 0x02, 0x48, 0x8b, 0x4a, 0x18];
const RET: [u8; 1] = [0xc3];
/// `vmovups zmm0,[rax]` and `vmovups [rcx],zmm0`.
const LOAD: [u8; 6] = [0x62, 0xf1, 0x7c, 0x48, 0x10, 0x00];
const STORE: [u8; 6] = [0x62, 0xf1, 0x7c, 0x48, 0x11, 0x01];

fn code(parts: &[&[u8]]) -> Vec<u8> {
    [&ADDRESSES, &parts.concat()[..], &RET].concat()
}

#[test]
fn a_copy_is_no_fault() {
    let copied = call(&code(&[&LOAD, &STORE]), 16).unwrap();
    assert_eq!(copied, (0..64).collect::<Vec<u8>>());
}

#[test]
fn a_byte_too_many_is_seen() {
    assert_eq!(
        fault(&code(&[&LOAD, &STORE]), 15),
        "0xb `vmovups zmm0,[rax]`: reads 64 bytes at offset 0 of an input, which has 60 and may not be"
    );
}

#[test]
fn an_output_that_is_not_written_is_seen() {
    // `vmovups [rcx],ymm0`: half of it.
    let half = [0xc5, 0xfc, 0x11, 0x01];
    assert!(fault(&code(&[&LOAD, &half]), 16).ends_with("byte 32 of an output was not written"));
}

#[test]
fn an_input_is_not_written_nor_an_output_read() {
    // `vmovups [rax],zmm0`, `vmovups zmm0,[rcx]`.
    let store = [0x62, 0xf1, 0x7c, 0x48, 0x11, 0x00];
    assert!(fault(&code(&[&store]), 16).contains("writes 64 bytes at offset 0 of an input"));
    let load = [0x62, 0xf1, 0x7c, 0x48, 0x10, 0x01];
    assert!(fault(&code(&[&load]), 16).contains("reads 64 bytes at offset 0 of an output"));
}

#[test]
fn lanes_without_their_predicate_touch_nothing() {
    // `mov edx,0x7fff; kmovw k1,edx; vmovups zmm0{k1}{z},[rax]; vmovups [rcx]{k1},zmm0`.
    let masked: [&[u8]; 4] = [
        &[0xba, 0xff, 0x7f, 0, 0],
        &[0xc5, 0xf8, 0x92, 0xca],
        &[0x62, 0xf1, 0x7c, 0xc9, 0x10, 0x00],
        &[0x62, 0xf1, 0x7c, 0x49, 0x11, 0x01],
    ];
    assert_eq!(call(&code(&masked), 15).unwrap(), (0..60).collect::<Vec<u8>>());
    assert!(fault(&code(&masked), 14).contains("reads 4 bytes at offset 56 of an input"));
}

#[test]
fn alignment_counts_where_the_machine_wants_it() {
    // `vmovaps zmm0,[rax]`, `vmovaps zmm0,[rax+4]` and `vmovntps [rcx],zmm0`.
    let load = [0x62, 0xf1, 0x7c, 0x48, 0x28, 0x00];
    let stream = [0x62, 0xf1, 0x7c, 0x48, 0x2b, 0x01];
    assert!(call(&code(&[&load, &stream]), 16).is_ok());
    let misaligned = [0x48, 0x83, 0xc0, 0x04];
    assert!(fault(&code(&[&misaligned, &load]), 17).contains("is not aligned to 64 bytes"));
    let misaligned = [0x48, 0x83, 0xc1, 0x04];
    assert!(fault(&code(&[&misaligned, &stream]), 17).contains("is not aligned to 64 bytes"));
}

#[test]
fn the_callers_registers_are_kept() {
    // `xor ebx,ebx`, `push rax`.
    assert!(fault(&code(&[&LOAD, &STORE, &[0x31, 0xdb]]), 16).contains("register of the caller's"));
    assert!(fault(&code(&[&[0x50]]), 16).contains("returns to"));
}

#[test]
fn jumps_need_flags_and_loops_an_end() {
    // `jne` to the next instruction, after a product, which leaves "zero" undefined.
    let imul = [0x48, 0x6b, 0xc0, 0x02];
    assert!(fault(&code(&[&imul, &[0x75, 0]]), 16).contains("a flag that is not defined"));
    // `nop`, and then nothing.
    assert!(fault(&[0x90], 16).contains("there are 1 bytes of code"));
}

#[test]
fn what_is_not_known_is_named() {
    // `cpuid`, and `vaddps zmm0,zmm0,zmm0,{rz-sae}`, which rounds otherwise.
    assert_eq!(fault(&code(&[&[0x0f, 0xa2]]), 1), "0xb `cpuid`: Cpuid is not known here");
    let rounding = fault(&code(&[&[0x62, 0xf1, 0x7c, 0x78, 0x58, 0xc0]]), 1);
    assert!(rounding.ends_with("is not known here"), "{rounding}");
    assert!(fault(&[0xff, 0xff], 1).contains("is no instruction"));
}

#[test]
fn a_gather_needs_registers_apart() {
    // `kxnorw k1,k1,k1; vgatherdps zmm0{k1},[r8+zmm0*4]`.
    let gather = [0xc5, 0xf4, 0x46, 0xc9, 0x62, 0xd2, 0x7d, 0x49, 0x92, 0x04, 0x80];
    assert!(fault(&code(&[&gather]), 16).ends_with("is no instruction"));
}

/// Two rows of 4 elements, 24 bytes from start to start.
#[test]
fn what_is_between_rows_is_not_touched() {
    let rows = |load: &[u8]| {
        let array = |access| Array { row: 16, pitch: 24, ..Array::new(vec![7; 32], 0, access) };
        let call = Call {
            rows: 2,
            tile: 1,
            ahead: 0,
            results: false,
            head: 0,
            n: 4,
            arrays: vec![array(Access::Read), array(Access::Write)],
            operands: &[0, 1].map(|array| Operand { array, first: 0, step: 16, row: 24 }),
            pool: &[],
            carries: None,
        };
        // `vmovups xmm0,[rax]; vmovups [rcx],xmm0`, and as it says for the second row.
        let first = [0xc5, 0xf8, 0x10, 0x00, 0xc5, 0xf8, 0x11, 0x01];
        let store = [0xc5, 0xf8, 0x11, 0x41, 0x18];
        let all = code(&[&first, load, &store]);
        call.run(&Decoded::decode(&all).unwrap()).map(|mut arrays| arrays.remove(1).bytes)
    };
    // `vmovups xmm0,[rax+18h]` and `[rax+14h]`.
    assert_eq!(rows(&[0xc5, 0xf8, 0x10, 0x40, 0x18]).unwrap(), [7; 32]);
    let fault = rows(&[0xc5, 0xf8, 0x10, 0x40, 0x14]).unwrap_err().to_string();
    assert!(fault.contains("reads 16 bytes at offset 20 of an input"), "{fault}");
}

#[test]
fn memory_says_what_was_meant() {
    let mut memory = Memory::new();
    let region = memory.add("some bytes", vec![1; 8], 0x1234, Access::ReadWrite);
    assert_eq!(memory.address(region) & 0xfff, 0x234);
    assert_eq!(memory.unwritten(region), Some(0));
    let processor = Processor::new(memory);
    assert_eq!(processor.memory.bytes(region), [1; 8]);
}
