//! Measures the throughput of every primitive on every emitter and prints `jit/src/emit/cost/table.rs`:
//!
//! ```sh
//! cargo bench --bench costs > table.rs && mv table.rs jit/src/emit/cost/table.rs && cargo fmt
//! ```
//!
//! A primitive's time is the slope between two programs, one with more copies of it than the other,
//! in several independent chains: throughput, not latency, which other elements hide. All inputs
//! are in L1.

use kiln::EmitterKind;
use kiln::internals::cpu::Cpu;
use kiln::internals::emit::cost::Primitive;
use kiln::internals::emit::{self, Operand};
use kiln::internals::vir::{Builder, Routine, Storage, Type, Value};
use kiln::profile::{Counts, Race, profile_fn};
use std::time::Duration;

/// Elements of an input: full vectors of every emitter.
const N: usize = 1536;
/// Copies of a primitive in the two programs.
const COPIES: [usize; 2] = [16, 48];
/// Chains that do not depend on each other.
const CHAINS: usize = 4;

fn main() {
    // `cargo bench` says so; `cargo test --benches` does not, and wants to know only that it runs.
    let budget = match std::env::args().any(|argument| argument == "--bench") {
        true => Duration::from_millis(40),
        false => Duration::ZERO,
    };
    println!(
        "//! Picoseconds per element of each [`Primitive`](super::Primitive), by emitter. Written by"
    );
    println!("//! `cargo bench --bench costs` on {}.", processor());
    println!("\nuse super::Times;");
    for emitter in EmitterKind::ALL.into_iter().filter(|&kind| kind != EmitterKind::Auto) {
        let name = emitter.name();
        println!("\n/// `{name}`\n#[rustfmt::skip]");
        println!("pub(crate) const {}: Times = [", name.to_uppercase());
        for primitive in Primitive::ALL {
            let times = [Type::F32, Type::F64];
            let times = times.map(|ty| picoseconds(primitive, ty, emitter, budget));
            println!("    {times:?}, // {primitive:?}");
        }
        println!("];");
    }
}

/// The time of a primitive.
fn picoseconds(primitive: Primitive, ty: Type, emitter: EmitterKind, budget: Duration) -> u32 {
    let slope = |primitive| slope(primitive, ty, emitter, budget);
    let time = slope(primitive);
    let own = match primitive {
        // Its program needs a `select`, too. Where that is slow the comparison hides behind it,
        // but it takes its place in the adders all the same.
        Primitive::Compare => (time - slope(Primitive::Select)).max(slope(Primitive::Add)),
        // There and back.
        Primitive::Convert => time / 2.0,
        _ => time,
    };
    (own * 1000.0).round().max(1.0) as u32
}

/// Nanoseconds that one more copy takes for an element.
fn slope(primitive: Primitive, ty: Type, emitter: EmitterKind, budget: Duration) -> f64 {
    let size = ty.bits() as usize / 8;
    let bytes = |value: f64| match ty {
        Type::F32 => (value as f32).to_le_bytes().repeat(N),
        _ => value.to_le_bytes().repeat(N),
    };
    let inputs = [bytes(1.25), bytes(0.75)];
    let mut race = Race::new();
    for copies in COPIES {
        let code = emit::compile(&program(primitive, ty, copies), emitter, Cpu::host())
            .unwrap_or_else(|error| panic!("the table needs every emitter: {error}"));
        let mut output = vec![0; N * size];
        let inputs = &inputs;
        let call = move || {
            let inputs = [Operand::Array(&inputs[0]), Operand::Array(&inputs[1])];
            code.apply(N, &inputs, &mut [&mut output]);
        };
        race.add(profile_fn(format!("{copies} copies"), Counts::default(), call));
    }
    let times = race.run_for(budget).expect("nothing fails");
    let [few, many] = [0, 1].map(|entrant| times[entrant].latency().median());
    (many - few) / ((COPIES[1] - COPIES[0]) * N) as f64
}

/// So many copies of a primitive, in chains.
fn program(primitive: Primitive, ty: Type, copies: usize) -> Routine {
    let mut b = Builder::new();
    let storage = if ty == Type::F32 { Storage::F32 } else { Storage::F64 };
    let (x, y) = (b.input(storage), b.input(storage));
    let mut chains: Vec<Value> = (0..CHAINS)
        .map(|chain| {
            let start = b.float(ty, chain as f64);
            b.add(x, start)
        })
        .collect();
    for copy in 0..copies {
        let chain = &mut chains[copy % CHAINS];
        *chain = step(&mut b, primitive, ty, *chain, y);
    }
    let sum = chains.into_iter().reduce(|a, c| b.add(a, c)).expect("there are chains");
    b.output(sum, storage);
    b.finish()
}

/// One more copy of a primitive on a chain; numbers stay normal.
fn step(b: &mut Builder, primitive: Primitive, ty: Type, a: Value, y: Value) -> Value {
    let int = ty.int();
    let on_bits = |b: &mut Builder, make: fn(&mut Builder, Value, Value) -> Value| {
        let (bits, other) = (b.bitcast(a, int), b.bitcast(y, int));
        let made = make(b, bits, other);
        b.bitcast(made, ty)
    };
    match primitive {
        Primitive::Logic => on_bits(b, Builder::xor),
        Primitive::CopySign => b.copysign(a, y),
        Primitive::Add => b.add(a, y),
        Primitive::IntAdd => on_bits(b, Builder::add),
        Primitive::Mul => b.mul(a, y),
        Primitive::IntMul => on_bits(b, Builder::mul),
        Primitive::Fma => b.fma(a, y, y),
        Primitive::Div => b.div(a, y),
        Primitive::Sqrt => b.sqrt(a),
        Primitive::Round => b.nearest(a),
        Primitive::Min => b.min(a, y),
        Primitive::Compare => {
            let mask = b.lt(a, y);
            b.select(mask, a, y)
        }
        Primitive::Select => {
            let one = b.float(ty, 1.0);
            let mask = b.lt(y, one);
            b.select(mask, a, y)
        }
        Primitive::Shift => on_bits(b, |b, bits, _| b.shr(bits, 1)),
        Primitive::SignedShift => on_bits(b, |b, bits, _| b.sar(bits, 1)),
        Primitive::Convert if ty == Type::F32 => {
            let wide = b.promote(a);
            b.demote(wide)
        }
        Primitive::Convert => {
            let narrow = b.demote(a);
            b.promote(narrow)
        }
        Primitive::Table => on_bits(b, |b, bits, _| {
            let entries: Vec<u64> = (0..16).map(|entry| (entry + 5) % 16).collect();
            b.table(b.ty(bits), &entries, bits)
        }),
    }
}

/// The machine, for the table's head.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(": ").nth(1)).unwrap_or("?").trim().to_string()
    };
    format!("{}, family {} model {}", field("model name"), field("cpu family"), field("model\t"))
}
