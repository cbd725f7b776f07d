//! `kiln bench`. Nothing is asserted of times.

use super::Desk;
use serde_json::{Value, json};

/// The objects that a command prints, one a line.
#[track_caller]
fn objects(args: &[&str]) -> Vec<Value> {
    let text = Desk::new().ok(args);
    text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

#[test]
fn json_has_every_field() {
    let bench = ["bench", "@gelu_tanh", "--shape", "n=1000", "--json", "--threads", "1"];
    let objects = objects(&bench);
    let [object] = &objects[..] else { panic!("{objects:?}") };
    for name in [
        "fused_ns_per_element",
        "unfused_ns_per_element",
        "copy_ns_per_element",
        "max_abs_diff",
        "max_ulp_diff",
        "compile_ms",
        "width",
        "rounds",
    ] {
        assert!(object[name].is_number(), "{name}: {object}");
    }
    for (name, value) in [
        ("command", json!("bench")),
        ("kernel", json!("gelu_tanh")),
        ("n", json!(1000)),
        ("shape", json!([1000])),
        ("mode", json!("precise")),
        ("threads", json!(1)),
        ("kernels_fused", json!(1)),
        ("kernels_unfused", json!(9)),
        ("bytes_fused", json!(8000)),
        ("bytes_unfused", json!(84000)),
        ("ops_unfused", json!(9000)),
    ] {
        assert_eq!(object[name], value, "{name}: {object}");
    }
    assert!(object["max_abs_diff"].as_f64().unwrap() < 1e-6, "{object}");
    // Where the largest is, and what stands there.
    let place = &object["max_ulp_at"];
    assert!(place["index"][0].as_u64().unwrap() < 1000, "{object}");
    assert_ne!(place["fused"], place["unfused"], "{object}");
}

#[test]
fn strict_fused_bits_are_unfused_bits() {
    let bench = ["bench", "@gelu_tanh", "--shape", "n=999", "--json", "--mode", "strict"];
    for more in [&["--dtype", "f64"][..], &["--emitter", "interp"], &["--threads", "2"]] {
        let object = &objects(&[&bench[..], more].concat())[0];
        assert_eq!(object["max_abs_diff"], 0.0, "{object}");
        assert_eq!(object["max_ulp_diff"], 0, "{object}");
        assert_eq!(object["max_ulp_at"], Value::Null, "{object}");
    }
}

#[test]
fn differences_are_told_with_their_place() {
    let desk = Desk::new();
    let bench = ["bench", "@gelu_tanh", "--shape", "n=40,d=25", "--emitter", "interp"];
    let table = desk.ok(&bench);
    assert!(table.contains("fused results differ from unfused ones by at most "), "{table}");
    let place = table.lines().last().unwrap();
    assert!(place.starts_with("most ULP at [") && place.ends_with(" unfused"), "{table}");
    let table = desk.ok(&[&bench[..], &["--mode", "strict"]].concat());
    assert!(table.ends_with("fused and unfused results are equal\n"), "{table}");
}

#[test]
fn table_of_declared_shapes() {
    let desk = Desk::new();
    desk.write("scale.kiln", "kernel scale(x: f32[n, d], w: f32[d]) { (x * w + 1, x > w) }");
    let table = desk.ok(&["bench", "scale.kiln", "--shape", "n=30,d=20", "--emitter", "interp"]);
    assert!(
        table.starts_with("scale(x: f32[n, d], w: f32[d]) -> [30, 20]: precise, interp "),
        "{table}"
    );
    for label in ["fused", "unfused", "copy", "ns/element", "GB/s", "results"] {
        assert!(table.contains(label), "{label} is missing:\n{table}");
    }
    desk.ok(&["bench", "x @ y + 1", "--shape", "n=16,d=16"]);
    desk.ok(&["bench", "log(x)", "--shape", "n=100"]); // NaN in both
}

#[test]
fn the_suite_has_a_row_for_every_derived_op() {
    let bench = ["bench", "--suite", "--shape", "n=16", "--threads", "1"];
    let table = Desk::new().ok(&bench);
    let rows: Vec<&str> = table.lines().skip(3).collect();
    let names = rows.iter().map(|row| row.split_whitespace().next());
    assert!(names.eq(kiln::derived::DERIVED.iter().map(|op| Some(op.name))), "{table}");
}

#[test]
fn a_sweep_has_a_line_for_every_size_and_a_verdict() {
    let bench = ["bench", "--sweep", "--quick", "--up-to", "64", "@relu", "x*y+1"];
    let text = Desk::new().ok(&bench);
    let sizes = ["1", "4", "16", "64"];
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|row: &Vec<&str>| row.len() == 9 && row[2].parse::<f64>().is_ok())
        .collect();
    let expected = ["relu", "x*y+1"].iter().flat_map(|name| sizes.map(|size| (*name, size)));
    assert!(rows.iter().map(|row| (row[0], row[1])).eq(expected), "{text}");
    let verdict = text.lines().any(|line| {
        line.contains("8 cases") && (line.starts_with("never slower") || line.starts_with("slower"))
    });
    assert!(verdict, "{text}");
}

/// What is left of a section of figures without its figures.
fn form(section: &str) -> Vec<String> {
    let cell = |cell: &str| {
        let bare = cell.trim().trim_matches('*');
        if bare.chars().all(|c| c.is_ascii_digit() || ".-: ".contains(c)) {
            return "#".to_string();
        }
        // Sizes are others, too.
        bare.trim_start_matches(|c: char| c.is_ascii_digit()).to_string()
    };
    let line = |line: &str| match line.split_once(" on: ") {
        Some((measured, _)) => measured.to_string(),
        None if line.starts_with('|') => line.split('|').map(cell).collect::<Vec<_>>().join("|"),
        None => line.to_string(),
    };
    section.trim().lines().map(line).collect()
}

#[test]
fn the_readme_has_the_form_of_the_report() {
    let readme = include_str!("../../../README.md");
    let (_, section) = readme.split_once("<!-- measured: by scripts/measure -->\n").unwrap();
    let (section, _) = section.split_once("<!-- /measured -->\n").unwrap();
    let report = Desk::new().ok(&["bench", "--report", "--quick"]);
    let (written, made) = (form(section), form(&report));
    assert_eq!(written, made, "run scripts/measure");
    assert!(made.iter().filter(|line| line.contains("|#|")).count() > 20, "{report}");
}
