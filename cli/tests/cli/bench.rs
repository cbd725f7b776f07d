//! `kiln bench`. Nothing is asserted of times.

mod axes;
mod compare;
mod plot;

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
    let bench =
        ["bench", "@gelu_tanh", "--shape", "n=1000", "--json", "--threads", "1", "--quick", "-q"];
    let objects = objects(&bench);
    let [object] = &objects[..] else { panic!("{objects:?}") };
    for name in [
        "fused_ns_per_element",
        "unfused_ns_per_element",
        "copy_ns_per_element",
        "fused_spread",
        "unfused_spread",
        "copy_spread",
        "unfused_over_fused",
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
        ("version", json!(1)),
        ("suite", Value::Null),
        ("kernel", json!("gelu_tanh")),
        ("text", json!("@gelu_tanh")),
        ("inputs", json!([{ "name": "x", "dtype": "f32", "shape": [1000] }])),
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
    let bench =
        ["bench", "@gelu_tanh", "--shape", "n=999", "--json", "--mode", "strict", "-q", "--quick"];
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
    let bench =
        ["bench", "@gelu_tanh", "-q", "--quick", "--shape", "n=40,d=25", "--emitter", "interp"];
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
    let table = desk.ok(&[
        "bench",
        "scale.kiln",
        "-q",
        "--quick",
        "--shape",
        "n=30,d=20",
        "--emitter",
        "interp",
    ]);
    assert!(
        table.starts_with("scale(x: f32[30, 20], w: f32[20]) -> [30, 20]: precise, interp "),
        "{table}"
    );
    for label in ["fused", "unfused", "copy", "ns/element", "GB/s", "results"] {
        assert!(table.contains(label), "{label} is missing:\n{table}");
    }
    desk.ok(&["bench", "-q", "--quick", "x @ y + 1", "--shape", "n=16,d=16"]);
    desk.ok(&["bench", "-q", "--quick", "log(x)", "--shape", "n=100"]); // NaN in both
}

#[test]
fn a_suite_has_a_row_for_every_kernel_and_size() {
    let bench = ["bench", "-q", "--quick", "--threads", "1", "--json", "--suite"];
    let rows = |more: &[&str]| {
        let row = |object: Value| {
            let [suite, kernel] =
                ["suite", "kernel"].map(|field| object[field].as_str().unwrap().to_string());
            (suite, kernel, object["size"].as_u64().unwrap())
        };
        objects(&[&bench[..], more].concat()).into_iter().map(row).collect::<Vec<_>>()
    };
    let of = |suite: &str, kernel: &str, size| (suite.to_string(), kernel.to_string(), size);
    let derived = kiln::derived::DERIVED.iter().map(|op| of("derived", op.name, 16));
    assert_eq!(rows(&["derived", "--sizes", "16"]), derived.collect::<Vec<_>>());
    let squares = |size| of("matmul", "n x n x n", size);
    let products = rows(&["matmul", "--sizes", "2..8"]);
    assert_eq!(products[..3], [2, 4, 8].map(squares));
    let matrices = rows(&["rows", "--sizes", "4Ki"]);
    assert!(matrices.contains(&of("rows", "softmax, n x 1024", 4 << 10)), "{matrices:?}");
    assert!(matrices.contains(&of("rows", "sum, axis 0, n x 4", 4 << 10)), "{matrices:?}");
    // They have no row of 65536.
    assert_eq!(matrices.len(), 18, "{matrices:?}");
    let all = rows(&["elementwise,layers", "--sizes", "1"]);
    assert!(all.contains(&of("elementwise", "SiLU", 1)), "{all:?}");
    assert!(all.contains(&of("layers", "SwiGLU", 1)), "{all:?}");
    // Its rows have 1024 elements.
    assert!(all.iter().all(|(_, kernel, _)| kernel != "gelu(x*w+b)"), "{all:?}");
    assert!(all.iter().all(|(suite, ..)| suite != "matmul"), "{all:?}");
}

/// Those of the names given, or all but the first, in every kernel that has them.
#[test]
fn inputs_are_bound_to_constants() {
    let bench = ["bench", "-q", "--quick", "--threads", "1"];
    let layer = ["relu(x @ w + b)", "--shape", "x=3x20,w=20x30,b=30"];
    let bound = |more: &[&str]| {
        let objects = objects(&[&bench[..], &["--json"], more].concat());
        let names = |object: &Value| {
            let inputs = object["inputs"].as_array().unwrap().iter();
            let bound = inputs.filter(|input| input["bound"] == json!(true));
            bound.map(|input| input["name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        objects.iter().map(names).collect::<Vec<_>>()
    };
    assert_eq!(bound(&[&layer[..], &["--bind"]].concat()), ["w b"]);
    assert_eq!(bound(&[&layer[..], &["--bind=b"]].concat()), ["b"]);
    assert_eq!(bound(&[&layer[..], &["--bind=x,w,b"]].concat()), ["x w b"]);
    assert_eq!(bound(&layer), [""]);
    let suite = bound(&["--suite", "layers", "--sizes", "2", "--bind=w,down"]);
    assert_eq!(suite, ["w", "w", "w", "down", "", "down"]);

    let desk = Desk::new();
    let text = desk.ok(&[&bench[..], &layer, &["--bind=w"]].concat());
    assert!(text.starts_with("kernel(x: f32[3, 20], bound w: f32[20, 30], b: f32[30])"), "{text}");
    let text = desk.ok(&[&bench[..], &["@gelu", "x @ w", "--sizes", "4", "--bind"]].concat());
    assert!(text.contains(", 1 thread, bound: w\n"), "{text}");
    // What was bound is another thing.
    let old = desk.ok(&[&bench[..], &layer, &["--json", "--bind"]].concat());
    desk.write("old.json", &old);
    desk.ok(&[&bench[..], &layer, &["--bind", "--compare", "old.json"]].concat());
    let output = desk.output(&[&bench[..], &layer, &["--compare", "old.json"]].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("the old figures have none of these kernels and shapes"), "{told}");
}

#[test]
fn every_table_says_how_it_was_made() {
    let desk = Desk::new();
    let of_kernel = ["bench", "-q", "@relu", "--quick", "--threads", "2"];
    for more in [
        &["--shape", "n=100"][..],
        &["--sizes", "1,2"],
        &["--sizes", "1,2", "--markdown"],
        &["--emitter", "interp", "--shape", "n=9"],
    ] {
        let text = desk.ok(&[&of_kernel[..], more].concat());
        let processor = text.contains(" hardware thread") && text.contains("-bit vectors");
        assert!(processor && text.contains(" UTC on "), "{text}");
        assert!(text.contains("precise, ") && text.contains(", 2 threads"), "{text}");
        assert!(text.contains("-bit"), "the emitter and its width: {text}");
    }
}

#[test]
fn shapes_are_of_axes_and_of_inputs() {
    let shapes = |kernel: &str, shape: &str| {
        let bench = ["bench", "-q", kernel, "--quick", "--json", "--shape", shape];
        let object = objects(&bench).swap_remove(0);
        object["inputs"].as_array().unwrap().iter().map(|i| i["shape"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(shapes("x @ w", "x=4x8,w=8x2"), [json!([4, 8]), json!([8, 2])]);
    assert_eq!(shapes("x*w", "n=1Ki,d=3"), [json!([1024, 3]), json!([1024, 3])]);
    assert_eq!(shapes("x*w", "n=5,d=3,w=3"), [json!([5, 3]), json!([3])]);
    let typed = "kernel f(x, w: f32[d]) { x*w }";
    assert_eq!(shapes(typed, "n=5,d=3"), [json!([5, 3]), json!([3])]);
    assert_eq!(shapes("kernel f(x: f32[2, 3]) { x + 1 }", "x=2x3"), [json!([2, 3])]);
    // A kernel whose shape is known needs none.
    let known = ["bench", "-q", "kernel f(x: f32[2, 3]) { x + 1 }", "--quick", "--json"];
    assert_eq!(objects(&known)[0]["n"], 6);
}

#[test]
fn a_file_of_figures_is_read_again() {
    let desk = Desk::new();
    let bench = ["bench", "-q", "@relu", "--sizes", "1,2", "--quick", "--json"];
    let text = desk.ok(&bench);
    desk.write("new.json", &text);
    assert_eq!(desk.ok(&["bench", "--load", "new.json", "--json"]), text);
    let table = desk.ok(&["bench", "--load", "new.json"]);
    assert_eq!(table.matches("\nrelu ").count(), 2, "{table}");
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
