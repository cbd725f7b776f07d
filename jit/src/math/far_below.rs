//! Arguments whose results round to 0 pass no number that a core computes in microcode.

use super::{Range, Tier, erfc, exp, exp2, exp10, normcdf, sigmoid};
use crate::vir::{BinaryOp, Builder, Inst, Routine, Storage, Store, Value, interp};

/// A function, and the sign of the arguments at which it vanishes.
struct Case {
    name: &'static str,
    build: fn(&mut Builder, Value) -> Value,
    vanishes: f64,
}

const CASES: &[Case] = &[
    Case { name: "exp", build: |b, x| exp(b, x, Range::ANY), vanishes: -1.0 },
    Case { name: "exp of no more than 0", build: decaying, vanishes: -1.0 },
    Case { name: "exp2", build: |b, x| exp2(b, x, Range::ANY), vanishes: -1.0 },
    Case { name: "exp10", build: |b, x| exp10(b, x, Range::ANY), vanishes: -1.0 },
    Case { name: "erfc", build: erfc, vanishes: 1.0 },
    Case { name: "normcdf", build: |b, x| normcdf(b, x, Range::ANY), vanishes: -1.0 },
    Case {
        name: "sigmoid",
        build: |b, x| sigmoid(b, Tier::Default, x, Range::ANY),
        vanishes: -1.0,
    },
    Case {
        name: "fast sigmoid",
        build: |b, x| sigmoid(b, Tier::Fast, x, Range::ANY),
        vanishes: -1.0,
    },
];

fn decaying(b: &mut Builder, x: Value) -> Value {
    let zero = b.float(b.ty(x), 0.0);
    let x = b.min(zero, x);
    exp(b, x, Range { low: f64::NEG_INFINITY, high: 0.0 })
}

/// The function, with every number that it passes as an output; the last is its result.
fn observed(case: &Case, of: Storage) -> Routine {
    let mut b = Builder::new();
    let x = b.input(of);
    let y = (case.build)(&mut b, x);
    b.output(y, of);
    let mut routine = b.finish();
    let values = (0..routine.body().insts.len() as u32).map(Value);
    let floats = values.filter(|&value| routine.body().ty(value) == of.lane());
    let stores: Vec<Store> = floats
        .chain([y])
        .enumerate()
        .map(|(output, value)| Store { value, output: output as u32 })
        .collect();
    routine.outputs = vec![of; stores.len()];
    routine.stage.stores = stores;
    routine
}

/// Exponents of numbers between which a core takes long: below the least normal one, above what is 0 at once.
fn slow(of: Storage) -> std::ops::Range<f64> {
    if of == Storage::F32 { -160.0..-126.0 } else { -1088.0..-1022.0 }
}

/// Instructions whose results lie there for this argument, and the function's result.
fn in_microcode(routine: &Routine, of: Storage, x: f64) -> (Vec<Inst>, f64) {
    let bits = if of == Storage::F32 { u64::from((x as f32).to_bits()) } else { x.to_bits() };
    let number = |bits: u64| match of {
        Storage::F32 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    };
    let results = interp::run(routine, &[&[bits]], 1);
    let stored = routine.stage.stores.iter().zip(&results);
    let of_value = |value: Value| {
        let known = stored.clone().find(|(store, _)| store.value == value);
        number(known.expect("each is stored").1[0])
    };
    let takes_long = |&(value, inst): &(Value, &Inst)| {
        let result = of_value(value);
        let exponent = |value: Value| of_value(value).abs().log2();
        let reaches = match *inst {
            Inst::Binary { op: BinaryOp::Mul, a, b } => exponent(a) + exponent(b),
            Inst::Binary { op: BinaryOp::Div, a, b } => exponent(a) - exponent(b),
            Inst::Fma { a, b, .. } if result == 0.0 => exponent(a) + exponent(b),
            Inst::Fma { .. } => result.abs().log2(),
            _ => return false,
        };
        slow(of).contains(&reaches)
    };
    let floats = routine.stage.stores[..results.len() - 1].iter();
    let insts = floats.map(|store| (store.value, &routine.body().insts[store.value.index()]));
    let slow = insts.filter(takes_long).map(|(_, inst)| *inst).collect();
    (slow, number(results.last().expect("the result is stored")[0]))
}

#[test]
fn what_vanishes_passes_no_subnormal_numbers() {
    for of in [Storage::F32, Storage::F64] {
        let least =
            if of == Storage::F32 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE };
        for case in CASES {
            let routine = observed(case, of);
            let mut vanished = 0;
            for step in 0..400 {
                // From 1 to 2^13, and huge ones.
                let size =
                    (f64::from(step.min(390)) / 30.0).exp2() * 1e6f64.powi((step - 390).max(0));
                if of == Storage::F32 && size > f64::from(f32::MAX) {
                    continue;
                }
                let tail = in_microcode(&routine, of, case.vanishes * size).1;
                let before = in_microcode(&routine, of, case.vanishes * size * 0.9).1;
                // Between the least normal number and what is far below 0 takes its time.
                if tail < least && before != 0.0 {
                    continue;
                }
                vanished += usize::from(tail == 0.0);
                for x in [size, -size] {
                    let (slow, _) = in_microcode(&routine, of, x);
                    assert!(slow.is_empty(), "{} of {x:e} ({of:?}) passes {slow:?}", case.name);
                }
            }
            assert!(vanished > 50, "{}: {vanished}", case.name);
        }
    }
}
