//! Which technique to reach for: by the kind of work, from a table; and for a GELU, by trying each.
//!
//! `cargo run --release --example advise [elements]`. `kiln advise` does the same for any kernel.

use kiln::profile::{Priorities, Profiler, Race};
use kiln::{CompileOptions, EmitterKind, Mode, View, compile_with, ir};
use ndarray::Array1;

const GELU: &str = "0.5 * x * (1 + tanh(0.7978845608 * (x + 0.044715 * x^3)))";

/// What is tried: its name, whether Kiln does it by default, the text of the kernel with it or without,
/// how to compile that, and what it costs.
type Trial = (&'static str, bool, String, CompileOptions, &'static str);

fn trials() -> [Trial; 6] {
    let (gelu, new) = (|| format!("|x: f32[n]| {GELU}"), CompileOptions::new);
    [
        ("fusion", true, gelu(), CompileOptions::unfused(), "compile time"),
        ("wide vectors", true, gelu(), new().emitter(EmitterKind::Avx2), "nothing"),
        ("rewriting", true, gelu(), new().mode(Mode::Strict), "the bits as written"),
        ("threads", true, gelu(), new().threads(1), "cores"),
        ("fast mode", false, gelu(), new().mode(Mode::Fast), "accuracy"),
        ("bf16 storage", false, format!("|x: bf16[n]| bf16({GELU})"), new(), "accuracy"),
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let elements = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 1 << 20,
    };
    print!("By the kind of work\n\n{Priorities}");

    let wide: Array1<f32> = Array1::linspace(-6.0, 6.0, elements);
    let to_bf16 = kiln::compile_text("|x: f32[n]| bf16(x)")?;
    let narrow = to_bf16.run(&[(&wide).into()])?.swap_remove(0);
    let default = kiln::compile_text(&format!("|x: f32[n]| {GELU}"))?;
    let (mut trials, mut kernels) = (Vec::from(trials()), Vec::new());
    trials.retain(|(.., text, options, _)| {
        let graph = ir::parse(text).expect("the text of a kernel");
        // Not every machine has every emitter.
        compile_with(&graph, *options).map(|kernel| kernels.push(kernel)).is_ok()
    });
    let inputs: Vec<[View<'_>; 1]> = kernels
        .iter()
        .map(|kernel| {
            [if kernel.inputs()[0].dtype == narrow.dtype() {
                narrow.view()
            } else {
                (&wide).into()
            }]
        })
        .collect();
    let wide = [(&wide).into()];
    let mut race = Race::new();
    race.add(Profiler::new("default", &default, &wide)?);
    for (((name, is_default, ..), kernel), input) in trials.iter().zip(&kernels).zip(&inputs) {
        let name = format!("{} {name}", if *is_default { "without" } else { "with" });
        race.add(Profiler::new(name, kernel, input)?);
    }
    let profiles = race.run(1, 15)?;

    println!("\nBy trying: GELU of {elements} elements of f32\n\n{profiles}");
    for (index, (name, is_default, _, _, costs)) in (1..).zip(&trials) {
        // How many times as fast it is with the technique.
        let with = profiles.ratio(index, 0).powi(if *is_default { 1 } else { -1 });
        let margin =
            profiles[0].latency().spread().max(profiles[index].latency().spread()).max(0.03);
        let verdict = match (with > 1.0 + margin, with * (1.0 + margin) < 1.0, is_default) {
            (true, _, true) => "already done",
            (true, _, false) => "use it where that does not matter",
            (_, true, true) => "better left out",
            (_, true, false) => "not worth it",
            (false, false, _) => "no difference beyond the spread",
        };
        println!("{name:13}{with:6.2} times as fast; it costs {costs}: {verdict}");
    }
    Ok(())
}
