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
