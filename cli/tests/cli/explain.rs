//! `kiln explain`.

use super::Desk;
use serde_json::{Value, json};

#[test]
fn stages_of_gelu_tanh() {
    let desk = Desk::new();
    for stage in ["ir", "fused", "vir", "proof"] {
        let text = desk.ok(&["explain", "@gelu_tanh", "--stage", stage]);
        insta::assert_snapshot!(format!("gelu_tanh-{stage}"), text);
    }
    let clif = desk.ok(&["explain", "@gelu_tanh", "--stage", "clif"]);
    assert!(clif.contains("function"), "{clif}");
    let asm = desk.ok(&["explain", "@gelu_tanh", "--stage", "asm", "--emitter", "avx512"]);
    assert!(asm.contains("{1to16}") && asm.contains("= fma v"), "{asm}");
}

#[test]
fn stages_are_listed() {
    let desk = Desk::new();
    let help = desk.ok(&["explain", "--help"]);
    for line in [
        "after:inline:",
        "after:picks:",
        "after:views:",
        "after:stable:",
        "after:algebra:",
        "after:regions:",
        "after:split:",
        "proof:",
    ] {
        assert!(help.contains(line), "{line} is missing:\n{help}");
    }
    let [shown, fused] = ["after:regions", "fused"]
        .map(|stage| desk.ok(&["explain", "@gelu_tanh", "--stage", stage]));
    assert_eq!(shown, fused);
    let fault = desk.transcript(&[&["explain", "x", "--stage", "after:nothing"]]);
    assert!(
        fault.contains(
            "after:inline, after:picks, after:views, after:stable, after:algebra, after:regions, after:split"
        ),
        "{fault}"
    );
}

#[test]
fn by_default_it_shows_what_was_gained_and_why() {
    let desk = Desk::new();
    let tour = desk.ok(&["explain", "exp(x @ tanh(w))"]);
    insta::assert_snapshot!("tour", tour);
    let all = desk.ok(&["explain", "@gelu_tanh", "--all", "--emitter", "avx512"]);
    let titles = ["as written", "after algebra", "fused (precise)", "vector programs", "machine"];
    for part in [&titles[..], &["proof", "before and after", "v0: f32 = load 0"]].concat() {
        assert!(all.contains(part), "{part} is missing:\n{all}");
    }
    let two = desk.ok(&["explain", "@relu", "--stage", "counts,ir"]);
    assert!(
        two.starts_with("── before and after\n") && two.contains("\n\n── as written\n"),
        "{two}"
    );
}

/// What was decided is told, with the numbers of the kernels.
#[test]
fn why_kernels_are_not_one() {
    let desk = Desk::new();
    let kernels = [
        "exp(x) * y",
        "kernel k(x: f32[1000, 64], w: f32[64]) { x * exp(sin(w)) }",
        "kernel k(x: f32[n], y: f32[m]) { (exp(x), exp(y)) }",
        "kernel k(x: f32[n, n], w: f32[n, n]) { (exp(x), gelu(x @ w + 1)) }",
        "kernel k(x: f32[n], y: f32[4, n]) { let v = exp(sin(x)) * tan(x); (v, v * y) }",
        "kernel k(x: f32[n, d], y: f32[m, d]) { pad[1, 1, 2](concat[0](x * 2, exp(y)), 0) }",
    ];
    let texts = kernels
        .map(|kernel| format!("$ {kernel}\n{}", desk.ok(&["explain", kernel, "--stage", "why"])));
    insta::assert_snapshot!("why", texts.join("\n"));
}

#[test]
fn products_show_their_work() {
    let desk = Desk::new();
    let counts = |kernel: &str| desk.ok(&["explain", kernel, "--stage", "counts"]);
    let symbolic = counts("kernel k(x: f32[n, k], w: f64[k, m]) { f64(x) @ w }");
    assert!(
        symbolic
            .ends_with("a matmul of f64[n, k] and f64[k, m]: 2*k*n*m FLOP, 8*(n*k + k*m) bytes\n"),
        "{symbolic}"
    );
    let known = counts("kernel k(x: f32[3, 4], w: f32[4, 5]) { x @ w }");
    assert!(known.ends_with(": 120 FLOP, 188 bytes\n"), "{known}");
    let plan = desk.ok(&["explain", "x @ w", "--shape", "x=3x4,w=4x5"]);
    assert!(plan.contains("a product; 120 FLOP; 128 bytes loaded, 60 stored"), "{plan}");
}

#[test]
fn json_has_stages_reasons_and_plans() {
    let desk = Desk::new();
    let object = |args: &[&str]| -> Value {
        serde_json::from_str(&desk.ok(&[&["explain", "--json"], args].concat())).expect("an object")
    };
    let kernel = "kernel two(x: f32[1000, 64], w: f32[64]) { x * exp(sin(w)) }";
    let explained = object(&[kernel]);
    assert_eq!(explained["command"], "explain");
    assert_eq!(explained["kernel"], "two");
    let stages = explained["stages"].as_array().unwrap();
    let names: Vec<&str> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["ir", "proof", "fused", "why", "counts"]);
    assert!(stages[2]["text"].as_str().unwrap().contains("fused("));
    let apart = &explained["apart"][0];
    assert_eq!(apart["steps"], json!([1, 2]));
    assert!(apart["cost_apart"].as_f64() < apart["cost_fused"].as_f64(), "{apart}");
    assert_eq!(explained["plan"], Value::Null);
    let called = object(&["x @ x", "--shape", "x=4x4"]);
    let step = &called["plan"]["steps"][0];
    assert_eq!((&step["ops"], &step["emitter"]), (&json!(128), &Value::Null));
}

#[test]
fn dtype_and_mode_count() {
    let desk = Desk::new();
    let ir = desk.ok(&["explain", "x * y", "--stage", "ir", "--dtype", "f64"]);
    assert!(ir.contains("x: f64[..], y: f64[..]"), "{ir}");
    let ir = desk.ok(&["explain", "pi * x", "--stage", "ir"]);
    assert!(!ir.contains("pi: "), "{ir}");
    let stage = ["explain", "x * y + z", "--stage", "fused", "--mode"];
    assert!(!desk.ok(&[&stage[..], &["strict"]].concat()).contains("fma"));
    assert!(desk.ok(&[&stage[..], &["precise"]].concat()).contains("fma"));
    let ir = desk.ok(&["explain", "--stage", "ir", "--", "-x"]);
    assert!(ir.contains("-x"), "{ir}");
}

#[test]
fn what_a_call_runs() {
    let desk = Desk::new();
    let shown = |shape: &str| {
        desk.ok(&["explain", "x * exp(sin(w))", "--shape", shape, "--emitter", "interp"])
    };
    insta::assert_snapshot!("plan", shown("x=1000x8,w=8"));
    assert!(shown("x=8,w=8").starts_with("the usual plan, of 1 pass\n"));
    let layer = "kernel k(x: f32[n, d], w: f32[d, d]) { exp(x @ w) @ w }";
    for shape in ["x=3x4", "n=3,d=4"] {
        let layer = desk.ok(&["explain", layer, "--shape", shape]);
        assert!(
            layer.contains("(t0: f32[3, 4], w: f32[4, 4]) -> (output 0: f32[3, 4])"),
            "{layer}"
        );
        // So small a product is a pass of its own.
        assert!(layer.contains("128 bytes for 2 intermediates of 128 bytes in all\n"), "{layer}");
        // 2 * 3 * 4 * 4.
        assert!(layer.ends_with("2. 96 FLOP: 96 in products\n"), "{layer}");
    }
    let faults = desk.transcript(&[
        &["explain", "x * w", "--shape", "x=3"],
        &["explain", "x * w", "--shape", "x=3,w=4"],
        &["explain", "x * w", "--shape", "x=3,y=4"],
        &["explain", "x * w", "--shape", "x=3,x=4"],
        &["explain", "x * w", "--shape", "x=3x"],
    ]);
    insta::assert_snapshot!("plan_faults", faults);
}
