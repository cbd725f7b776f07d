//! `kiln bench --compare`, on figures that were written by hand.

use super::Desk;
use serde_json::{Value, json};

/// What `kiln bench --json` would print of a kernel that takes so long.
pub(super) fn figure(kernel: &str, ns: f64, spread: f64) -> Value {
    json!({
        "command": "bench", "version": 1, "date": "2026-11-28 21:36 UTC",
        "machine": {
            "processor": "a processor", "hardware_threads": 2, "vector_bits": 256,
            "caches": [{ "level": 1, "bytes": 32768 }, { "level": 2, "bytes": 1048576 }],
        },
        "suite": "elementwise", "size": 4096, "kernel": kernel, "text": format!("@{kernel}"),
        "inputs": [{ "name": "x", "dtype": "f32", "shape": [4096] }],
        "n": 4096, "shape": [4096], "mode": "precise", "emitter": "avx2", "width": 256,
        "threads": 1, "rounds": 101,
        "fused_ns_per_element": ns, "unfused_ns_per_element": 3.0 * ns,
        "copy_ns_per_element": 0.05,
        "fused_spread": spread, "unfused_spread": 0.02, "copy_spread": 0.01,
        "copied_by": "memcpy", "unfused_over_fused": 3.0,
        "kernels_fused": 1, "kernels_unfused": 9, "bytes_fused": 32768, "bytes_unfused": 344064,
        "ops_fused": 20480, "ops_unfused": 36864, "flops": 81920, "peak_gflops": 100.0,
        "roof": { "part": 0.5, "of": "L1", "by": "copy by avx2", "giga": 90.0 },
        "max_abs_diff": null, "max_ulp_diff": 0, "max_ulp_at": null, "compile_ms": 0.3,
    })
}

pub(super) fn with(mut figure: Value, field: &str, value: Value) -> Value {
    figure[field] = value;
    figure
}

pub(super) fn desk(old: &[Value], new: &[Value]) -> Desk {
    let desk = Desk::new();
    let lines = |figures: &[Value]| figures.iter().map(|f| format!("{f}\n")).collect::<String>();
    desk.write("old.json", lines(old));
    desk.write("new.json", lines(new));
    desk
}

const COMPARE: [&str; 5] = ["bench", "--load", "new.json", "--compare", "old.json"];

#[test]
fn figures_are_compared_beyond_their_spread() {
    let names = ["mish", "silu", "gelu", "selu"];
    let old = names.map(|name| figure(name, 0.2, 0.02));
    let new = [("mish", 0.3, 0.02), ("silu", 0.1, 0.02), ("gelu", 0.21, 0.04), ("selu", 0.3, 0.6)];
    let desk = desk(&old, &new.map(|(name, ns, spread)| figure(name, ns, spread)));
    insta::assert_snapshot!("compared", desk.ok(&COMPARE));
    insta::assert_snapshot!(
        "compared_markdown",
        desk.ok(&[&COMPARE[..], &["--markdown"]].concat())
    );
    let json = desk.ok(&[&COMPARE[..], &["--json"]].concat());
    let verdicts: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["compared"]["verdict"].take())
        .collect();
    assert_eq!(verdicts, ["slower", "faster", "same", "same"]);
}

#[test]
fn slower_kernels_fail_where_that_is_asked_for() {
    let desk = desk(
        &[figure("mish", 0.2, 0.02), figure("silu", 0.2, 0.02)],
        &[figure("mish", 0.3, 0.02), figure("silu", 0.2, 0.02)],
    );
    let status = |ratio: &str| {
        let output = desk.output(&[&COMPARE[..], &["--fail-above", ratio]].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let failed = "error: more than 1.05 times as slow as before: mish 4 Ki\n";
    assert_eq!(status("1.05"), (Some(1), failed.into()));
    assert_eq!(status("1.6"), (Some(0), String::new()));
}

#[test]
fn what_else_differs_is_told() {
    let old = figure("mish", 0.2, 0.02);
    let new = with(with(old.clone(), "threads", json!(2)), "emitter", json!("avx512"));
    let desk = desk(&[old], &[with(new, "mode", json!("fast")), figure("silu", 0.2, 0.02)]);
    let output = desk.output(&COMPARE);
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stderr).unwrap();
    let expected = "\
note: threads: 1 in the old figures, 2 in the new ones
note: emitter: avx2 256-bit in the old figures, avx512 256-bit in the new ones
note: mode: precise in the old figures, fast in the new ones
note: the old figures lack silu 4 Ki
";
    assert_eq!(told, expected);
}

/// The last figure of a kernel counts, for files are appended to.
#[test]
fn the_last_figure_counts() {
    let old = [figure("mish", 9.0, 0.02), figure("mish", 0.2, 0.02)];
    let table = desk(&old, &[figure("mish", 0.2, 0.02)]).ok(&COMPARE);
    assert!(table.contains(" 1.000 "), "{table}");
}

#[test]
fn files_that_cannot_be_compared() {
    let good = figure("mish", 0.2, 0.02);
    let lacking = |field: &str| {
        let mut figure = good.clone();
        figure.as_object_mut().unwrap().remove(field);
        figure.to_string()
    };
    let machine = json!({ "processor": "another", "hardware_threads": 2, "vector_bits": 256,
        "caches": [] });
    let desk = desk(&[], std::slice::from_ref(&good));
    let files = [
        ("empty.json", String::new()),
        ("cut.json", good.to_string()[..200].into()),
        ("text.json", "It took 3 ms.".into()),
        ("list.json", "[1, 2]".into()),
        ("run.json", json!({ "command": "run" }).to_string()),
        ("foreign.json", json!({ "benchmarks": [] }).to_string()),
        ("older.json", lacking("version")),
        ("newer.json", with(good.clone(), "version", json!(2)).to_string()),
        ("lacking.json", lacking("fused_spread")),
        ("words.json", with(good.clone(), "threads", json!("two")).to_string()),
        ("zero.json", with(good.clone(), "fused_ns_per_element", json!(0.0)).to_string()),
        ("second.json", format!("{good}\n{{}}\n")),
        ("others.json", figure("silu", 0.2, 0.02).to_string()),
        ("machine.json", with(good, "machine", machine).to_string()),
    ];
    for (name, text) in &files {
        desk.write(name, text);
    }
    let mut transcript = desk.transcript(&[&["bench", "--load", "absent.json"]]);
    for (name, _) in &files[..12] {
        transcript += &desk.transcript(&[&["bench", "--load", "new.json", "--compare", name]]);
    }
    // Of these the new figures are fine, and printed first.
    for (name, _) in &files[12..] {
        let output = desk.output(&["bench", "--load", "new.json", "--compare", name]);
        let errors = String::from_utf8(output.stderr).unwrap();
        transcript += &format!("{name}: {:?}\n{errors}\n", output.status.code());
    }
    insta::assert_snapshot!("bad_figures", transcript);
}
