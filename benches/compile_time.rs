//! How long compilation takes: small kernels, and the curve for texts that grow.
//!
//! ```sh
//! cargo bench --bench compile_time                       # everything, about a minute
//! cargo bench --bench compile_time -- "sum of multiples" # one family
//! ```
//!
//! Times are those that the processor spent on the thread, so that other programs count for little.
//! "First" is the first kernel of a process, which also pays for what is made once.

#[allow(dead_code, unreachable_pub, reason = "shared with tests, which use more of it")]
#[path = "../tests/common/texts.rs"]
mod texts;

use kiln::internals::cpu::Cpu;
use kiln::internals::emit;
use kiln::internals::{Tier, fuse, lower};
use kiln::{CompileOptions, EmitterKind, Mode, compile_with};
use kiln_ir::{Node, parse};
use std::process::Command;
use std::time::Duration;
use texts::{FAMILIES, Family};

const SMALL: &[(&str, &str)] = &[
    ("x + y", "x + y"),
    ("gelu_tanh", "0.5*x*(1+tanh(0.7978845608*(x+0.044715*x*x*x)))"),
    ("silu", "x/(1+exp(-x))"),
    ("gelu", "gelu(x)"),
    ("mish", "mish(x)"),
    ("softplus", "log(1+exp(x))"),
    (
        "gelu slope",
        "kernel k(x: f32[..], g: f32[..]) { let c = 0.7978845608; let u = c*(x+0.044715*x^3); let t = tanh(u); g*(0.5*(1+t) + 0.5*x*(1-t*t)*c*(1+3*0.044715*x*x)) }",
    ),
    (
        "adam",
        "kernel k(p: f32[..], g: f32[..], m: f32[..], v: f32[..]) { let m1 = 0.9*m + 0.1*g; let v1 = 0.999*v + 0.001*g*g; (p - 0.001*(m1/0.9)/(sqrt(v1/0.99)+1e-8), m1, v1) }",
    ),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // A process of its own; more than one compilation is for a profiler.
    if let [flag, count, text, mode] = &arguments[..]
        && flag == "--first"
    {
        let (count, mode) = (count.parse().expect("a count"), mode.parse().expect("a mode"));
        let times: Vec<Duration> = (0..count).map(|_: usize| compile(text, mode)).collect();
        return println!("{}", times[0].as_nanos());
    }
    // `cargo bench` says so; `cargo test --benches` does not, and wants to know only that it runs.
    if !arguments.iter().any(|argument| argument == "--bench") {
        eprintln!("nothing measured: run it by `cargo bench --bench compile_time`");
        return;
    }
    let chosen: Vec<&String> = arguments.iter().filter(|argument| *argument != "--bench").collect();
    if chosen.is_empty() {
        small();
    }
    println!(
        "\n| family | terms | bytes | mode | fuse ms | lower ms | emit ms | all ms | ops | MB of code |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for family in
        FAMILIES.iter().filter(|f| chosen.is_empty() || chosen.iter().any(|c| *c == f.name))
    {
        for mode in [Mode::Precise, Mode::Fast] {
            curve(family, mode);
        }
    }
}

/// What the processor has spent on this thread.
#[cfg(unix)]
fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes, and the clock exists on every Unix.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(status, 0, "the thread has a clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The time since the first call.
#[cfg(not(unix))]
fn now() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Compiles a text, parsing included.
fn compile(text: &str, mode: Mode) -> Duration {
    let start = now();
    let graph = parse(text).expect("a valid text");
    let kernel = compile_with(&graph, CompileOptions::new().mode(mode)).expect("it compiles");
    let taken = now() - start;
    assert!(kernel.pass_count() > 0);
    taken
}

fn small() {
    println!("| kernel | mode | median µs | least µs | first in a process, µs |");
    println!("|---|---|---|---|---|");
    let this = std::env::current_exe().expect("this program has a path");
    for (name, text) in SMALL {
        for mode in [Mode::Precise, Mode::Fast] {
            let first = (0..9).map(|_| {
                let mut command = Command::new(&this);
                command.args(["--first", "1", text, &mode.to_string()]);
                let output = command.output().expect("it runs").stdout;
                let nanos: u64 = String::from_utf8_lossy(&output).trim().parse().expect("a number");
                Duration::from_nanos(nanos)
            });
            let mut first: Vec<Duration> = first.collect();
            first.sort_unstable();
            let mut times: Vec<Duration> = (0..201).map(|_| compile(text, mode)).collect();
            times.sort_unstable();
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            println!(
                "| {name} | {mode} | {:.0} | {:.0} | {:.0} |",
                micros(times[100]),
                micros(times[0]),
                micros(first[4])
            );
        }
    }
}

/// One family at doubling sizes.
fn curve(family: &Family, mode: Mode) {
    for terms in
        (0..).map(|halvings| family.most >> halvings).take(5).collect::<Vec<_>>().into_iter().rev()
    {
        let text = (family.text)(terms);
        let graph = parse(&text).unwrap_or_else(|fault| panic!("{}: {fault}", family.name));
        let start = now();
        let fused = fuse(&graph, mode).graph;
        let fuse = now() - start;
        let tier = if mode == Mode::Fast { Tier::Fast } else { Tier::Default };
        let bodies = fused.nodes().iter().filter_map(|node| match node {
            Node::Fused { body, .. } => Some(body),
            _ => None,
        });
        let ops: usize = bodies.clone().map(|body| body.op_count()).sum();
        let start = now();
        let programs: Vec<_> = bodies.map(|body| lower(body, tier)).collect();
        let lower = now() - start;
        let start = now();
        let codes: Vec<_> = programs
            .iter()
            .map(|program| emit::compile(program, EmitterKind::Auto, Cpu::host()).expect("code"))
            .collect();
        let emit = now() - start;
        let bytes: usize = codes.iter().map(|code| code.machine_code().len()).sum();
        let all = compile(&text, mode);
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "| {} | {terms} | {} | {mode} | {:.1} | {:.1} | {:.1} | {:.1} | {ops} of {} | {:.2} |",
            family.name,
            text.len(),
            ms(fuse),
            ms(lower),
            ms(emit),
            ms(all),
            graph.op_count(),
            bytes as f64 / 1e6,
        );
    }
}
