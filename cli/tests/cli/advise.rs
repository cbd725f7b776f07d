//! `kiln advise`. Nothing is asserted of times, nor of what follows of them.

use super::Desk;
use serde_json::{Value, json};

/// What a command prints as JSON.
#[track_caller]
fn object(args: &[&str]) -> Value {
    let advise = ["advise", "--quick", "-q", "--json"];
    serde_json::from_str(&Desk::new().ok(&[&advise[..], args].concat())).expect("an object")
}

/// The advice on a technique.
#[track_caller]
fn on<'a>(object: &'a Value, technique: &str) -> &'a Value {
    let advice = object["advice"].as_array().expect("advice");
    let found = advice.iter().find(|advice| advice["technique"] == technique);
    found.unwrap_or_else(|| panic!("no {technique}: {object}"))
}

/// The labels of what was tried.
#[track_caller]
fn tried<'a>(object: &'a Value, technique: &str) -> Vec<&'a str> {
    let trials = on(object, technique)["trials"].as_array().expect("trials");
    trials.iter().map(|trial| trial["label"].as_str().expect("a label")).collect()
}

/// Why nothing was tried.
#[track_caller]
fn reason<'a>(object: &'a Value, technique: &str) -> &'a str {
    let advice = on(object, technique);
    assert_eq!(advice["verdict"], "not_applicable", "{advice}");
    assert_eq!((&advice["gain"], &advice["trials"]), (&Value::Null, &json!([])), "{advice}");
    advice["words"].as_str().expect("words")
}

#[test]
fn workloads() {
    let desk = Desk::new();
    insta::assert_snapshot!("workloads", desk.ok(&["advise", "--workloads"]));
    let object: Value =
        serde_json::from_str(&desk.ok(&["advise", "--workloads", "--json"])).expect("an object");
    let names = |list: &Value, field: &str| {
        let list = list.as_array().expect("a list");
        list.iter().map(|row| row[field].as_str().expect("a name").to_string()).collect::<Vec<_>>()
    };
    let phases = ["vectorisation", "fusion", "narrower storage", "graph rewriting"];
    assert_eq!(names(&object["techniques"], "technique"), phases);
    let edge = &object["workloads"][3];
    assert_eq!(edge["workload"], "edge");
    let ranked = ["fusion", "vectorisation", "graph rewriting", "narrower storage"];
    assert_eq!(names(&edge["techniques"], "technique"), ranked);
    let fusion = json!({
        "technique": "fusion", "priority": "high", "total": 6,
        "memory": 2, "latency": 2, "risk": 1, "cost": 0, "hardware": 1
    });
    assert_eq!(edge["techniques"][0], fusion);
}

#[test]
fn every_technique_is_tried_or_told_why_not() {
    let object = object(&["@gelu_tanh", "--shape", "n=1000"]);
    let mut techniques: Vec<&str> = object["advice"]
        .as_array()
        .expect("advice")
        .iter()
        .map(|advice| advice["technique"].as_str().expect("a name"))
        .collect();
    techniques.sort_unstable();
    let all =
        ["fast mode", "fusion", "graph rewriting", "narrower storage", "threads", "vectorisation"];
    assert_eq!(techniques, all);
    for (field, value) in [
        ("command", json!("advise")),
        ("kernel", json!("gelu_tanh")),
        ("goal", json!("latency")),
        ("inputs", json!([{ "name": "x", "dtype": "f32", "shape": [1000] }])),
        ("bound", Value::Null),
    ] {
        assert_eq!(object[field], value, "{field}: {object}");
    }
    let default = &object["default"];
    let expected = (&json!("default"), &json!(8000), &json!(8000), &Value::Null);
    assert_eq!(
        (&default["label"], &default["bytes"], &default["memory"], &default["error"]),
        expected
    );
    assert_eq!(tried(&object, "fusion"), ["9 passes, as written"]);
    assert_eq!(tried(&object, "graph rewriting"), ["strict mode"]);
    assert_eq!(tried(&object, "fast mode"), ["fast mode"]);
    assert_eq!(tried(&object, "narrower storage"), ["bf16 for f32"]);
    // Each with its figures: half of the bytes, and an error of some ULP of bf16.
    let narrow = &on(&object, "narrower storage")["trials"][0];
    assert_eq!((&narrow["bytes"], &narrow["memory"]), (&json!(4000), &json!(4000)));
    let error = narrow["error"]["max_relative"].as_f64().expect("a number");
    assert!(error > 1e-4 && error < 0.02, "{narrow}");
    let unfused = &on(&object, "fusion")["trials"][0];
    assert_eq!(unfused["bytes"], 84000);
    for field in ["ns", "spread", "speed_up", "compile_ms"] {
        assert!(narrow[field].is_number() && default[field].is_number(), "{field}: {object}");
    }
}

#[test]
fn what_cannot_be_tried_is_said() {
    let integers = object(&["|i: i32[n], j: i32[n]| i + j", "--shape", "n=100"]);
    assert_eq!(reason(&integers, "narrower storage"), "It has no arrays of floats.");
    assert_eq!(reason(&integers, "fusion"), "There is nothing to fuse.");
    assert_eq!(reason(&integers, "fast mode"), "Fast mode makes the same program.");
    let bools = object(&["|x: bool[n], y: bool[n]| x & !y", "--shape", "n=100"]);
    assert_eq!(reason(&bools, "narrower storage"), "It has no arrays of floats.");
    let product = object(&["x @ w", "--shape", "x=8x16,w=16x4"]);
    assert_eq!(
        reason(&product, "vectorisation"),
        "Products take the widest vectors, whatever the emitter."
    );
    assert_eq!(tried(&product, "narrower storage"), ["bf16 for f32"]);
    let narrow = object(&["|x: bf16[n]| bf16(exp(x))", "--shape", "n=100"]);
    assert_eq!(reason(&narrow, "narrower storage"), "Nothing is narrower than bf16.");
    let large = object(&["|x: f64[n]| x * 1e300", "--shape", "n=100"]);
    assert!(reason(&large, "narrower storage").contains("1e300"), "{large}");
    let wide = object(&["|x: f64[n]| exp(x) + 1", "--shape", "n=100"]);
    assert_eq!(tried(&wide, "narrower storage"), ["f32 for f64", "bf16 for f64"]);
}

#[test]
fn the_goal_decides_what_is_tried_and_what_counts() {
    // Memory is counted, not timed: what follows of it is the same in every run.
    let object = object(&["|x: f64[n]| exp(x) + 1", "--shape", "n=1000", "--goal", "memory"]);
    let first = &object["advice"][0];
    assert_eq!(first["technique"], "narrower storage");
    assert_eq!((&first["verdict"], &first["gain"]), (&json!("use"), &json!(4.0)), "{object}");
    for (technique, verdict) in [("fusion", "done"), ("vectorisation", "no_difference")] {
        let advice = on(&object, technique);
        // Where there is no narrower emitter, none was tried.
        let is_so = advice["verdict"] == verdict || advice["trials"] == json!([]);
        assert!(is_so, "{advice}");
    }
    let calls = self::object(&["@relu", "--shape", "n=1000", "--goal", "throughput"]);
    assert_eq!(calls["goal"], "throughput");
    if calls["threads"] != 1 {
        let label = tried(&calls, "threads")[0].to_string();
        assert!(label.ends_with(" calls at once, a thread each"), "{label}");
    }
}

#[test]
fn text_has_a_paragraph_for_every_technique_and_a_row_for_every_trial() {
    let text = Desk::new().ok(&["advise", "-q", "--quick", "silu(x)", "--shape", "n=100"]);
    assert!(text.starts_with("kernel(x: f32[100]): "), "{text}");
    assert!(text.contains(" UTC on ") && text.contains(" FLOP/byte"), "{text}");
    for number in 1..=6 {
        assert_eq!(text.matches(&format!("\n{number}. ")).count(), 1, "{text}");
    }
    for row in ["\ndefault ", "\nfast mode ", "\nbf16 for f32 ", " interleaved rounds"] {
        assert_eq!(text.matches(row).count(), 1, "{row}: {text}");
    }
}

#[test]
fn what_is_wrong_with_the_command_is_told() {
    let transcript = Desk::new().transcript(&[
        &["advise"],
        &["advise", "1 + 2", "--quick"],
        &["advise", "|x: f32[n, d], w: f32[d]| x * w", "--shape", "n=100"],
        &["advise", "x @ w", "--shape", "x=8x16,w=8x4", "--quick"],
        &["advise", "@relu", "--shape", "n=0", "--quick"],
        &["advise", "@relu", "--shape", "n=16Gi,m=16Gi", "--quick"],
        &["advise", "@relu", "--goal", "speed"],
        &["advise", "@relu", "--workloads"],
        &["advise", "@rleu"],
    ]);
    insta::assert_snapshot!("advise_faults", transcript);
}
