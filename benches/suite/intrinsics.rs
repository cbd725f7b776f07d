//! Kiln beside code by hand with intrinsics.

use crate::Suite;
use crate::kernels::{call, copy, random, text};
use crate::table::{Cell, Table, timed};
use kiln::profile::Race;
use kiln::{CompileOptions, DType};
use std::hint::black_box;

/// Three instruction sets by hand, and the emitter for each.
#[cfg(target_arch = "x86_64")]
pub(crate) fn intrinsics(suite: Suite) {
    use crate::by_hand::{NAMES, STEP, avx2, avx512, sse};
    use kiln::EmitterKind::{Avx2, Avx512, Cranelift};
    use kiln::internals::cpu::Cpu;
    use kiln::internals::emit::Operand;

    let note = "f32 on one thread, ns/element. By hand: the best of so many vectors side by \
                side (1, 2, 4), the same bits. Code: Kiln's machine code alone; call: run_into";
    let columns = [
        "",
        "size",
        "bits",
        "vectors",
        "by hand",
        "code",
        "call",
        "code/hand",
        "call/hand",
        "copy",
    ];
    let table = Table::new("intrinsics", note, 9, &columns);
    let cpu = Cpu::host();
    let sets = [
        (cpu.avx512, Avx512, 512, avx512::KERNELS),
        (cpu.avx2, Avx2, 256, avx2::KERNELS),
        (cpu.fma, Cranelift, 128, sse::KERNELS),
    ];
    for size in suite.sizes(&[4 << 10, 256 << 10, 4 << 20]) {
        assert!(size % STEP == 0);
        let inputs = [random(DType::F32, &[size], 1)];
        let x = inputs[0].clone().into_f32().expect("it was made so").into_raw_vec_and_offset().0;
        for (function, name) in NAMES.iter().enumerate() {
            // All of a size and function race together: the emitters compare as well.
            let sets: Vec<_> = sets.iter().filter(|(available, ..)| *available).collect();
            let options = |emitter| CompileOptions::new().emitter(emitter);
            let compiled: Vec<_> =
                sets.iter().map(|set| text(&format!("{name}(x)"), options(set.1))).collect();
            let mut race = Race::new();
            race.add(timed(copy(8 * size)));
            for ((.., by_hand), kernel) in sets.iter().zip(&compiled) {
                let expected = kernel.run(&[inputs[0].view()]).expect("one input").remove(0);
                let expected = expected.into_f32().expect("its type");
                for hand in by_hand[function] {
                    let (x, mut y) = (&x, vec![0f32; size]);
                    // SAFETY: the processor has the instruction set.
                    unsafe { hand(x, &mut y) };
                    let same = y.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{name} by hand and by Kiln differ");
                    race.add(timed(move || {
                        // SAFETY: as above.
                        unsafe { hand(x, &mut y) };
                        black_box(&mut y);
                    }));
                }
                let code = kiln::internals::codes(kernel).next().expect("one pass");
                let (x, mut y) = (bytes(&x), vec![0u8; 4 * size]);
                race.add(timed(move || {
                    code.apply(size, &[Operand::Array(x)], &mut [black_box(&mut y)])
                }));
                race.add(timed(call(kernel, &inputs)));
            }
            let times = race.run_for(suite.budget(4)).expect("nothing fails");
            let ns = |candidate| Cell::Time(times[candidate].latency().median() / size as f64);
            for (at, (_, _, bits, _)) in sets.iter().enumerate() {
                let (first, code, call) = (1 + 5 * at, 4 + 5 * at, 5 + 5 * at);
                let median = |candidate: &usize| times[*candidate].latency().median();
                let hand = (first..code).min_by(|a, b| median(a).total_cmp(&median(b)));
                let hand = hand.expect("written by hand");
                table.row(&[
                    Cell::Text(name.to_string()),
                    Cell::Size(size),
                    Cell::Text(bits.to_string()),
                    Cell::Text((1 << (hand - first)).to_string()),
                    ns(hand),
                    ns(code),
                    ns(call),
                    Cell::Ratio(times.ratio(code, hand)),
                    Cell::Ratio(times.ratio(call, hand)),
                    ns(0),
                ]);
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn intrinsics(_: Suite) {
    println!("\n== intrinsics: only written for x86-64");
}

#[cfg(target_arch = "x86_64")]
fn bytes(floats: &[f32]) -> &[u8] {
    // SAFETY: any byte of a float is a byte; the length is that of the memory.
    unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), size_of_val(floats)) }
}
