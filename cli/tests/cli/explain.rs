//! `kiln explain`.

use super::Desk;

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
    for line in ["after:inline:", "after:algebra:", "after:regions:", "after:split:", "proof:"] {
        assert!(help.contains(line), "{line} is missing:\n{help}");
    }
    let [shown, fused] = ["after:regions", "fused"]
        .map(|stage| desk.ok(&["explain", "@gelu_tanh", "--stage", stage]));
    assert_eq!(shown, fused);
    let fault = desk.transcript(&[&["explain", "x", "--stage", "after:nothing"]]);
    assert!(fault.contains("after:inline, after:algebra, after:regions, after:split"), "{fault}");
}

#[test]
fn tour_shows_every_stage_and_counts() {
    let tour = Desk::new().ok(&["explain", "@gelu_tanh"]);
    for part in
        ["kernel gelu_tanh", "proof", "fused (precise)", "vector program", "passes", "ops", "bytes"]
    {
        assert!(tour.contains(part), "{part} is missing:\n{tour}");
    }
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
            layer.contains("(t1: f32[3, 4], w: f32[4, 4]) -> (output 0: f32[3, 4])"),
            "{layer}"
        );
        assert!(layer.ends_with("128 bytes for 2 intermediates of 128 bytes in all\n"), "{layer}");
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
