//! `kiln bench --plot`, of figures that were written by hand.

use super::compare::{desk, figure, with};
use serde_json::{Value, json};

/// Figures of a kernel at sizes that double.
fn sweep(suite: &str, kernel: &str) -> Vec<Value> {
    let of = |power: u32| {
        let n = 1u64 << power;
        let figure = with(figure(kernel, 0.2, 0.02), "suite", json!(suite));
        let figure = with(with(figure, "size", json!(n)), "n", json!(n));
        with(figure, "bytes_fused", json!(8 * n))
    };
    (10..20).map(of).collect()
}

#[test]
fn a_kernel_is_drawn_over_sizes() {
    let desk = desk(&[], &sweep("elementwise", "mish"));
    let plot = ["bench", "--load", "new.json", "--plot"];
    desk.ok(&[&plot[..], &["mish.svg", "-q"]].concat());
    let svg = std::fs::read_to_string(desk.path("mish.svg")).unwrap();
    for text in [
        "mish",
        "fused",
        "unfused",
        "copy",
        "ns/element",
        "elements",
        "L1 32 KiB",
        "2026-11-28 21:36 UTC on a processor",
        "precise, avx2 256-bit, 1 thread",
    ] {
        assert!(svg.contains(text), "{text} is missing");
    }
    // L2 is larger than the largest size.
    assert!(!svg.contains("L2 1 MiB<"), "a border that no size crosses");
    desk.ok(&[&plot[..], &["mish.png"]].concat());
    assert!(std::fs::read(desk.path("mish.png")).unwrap().starts_with(b"\x89PNG\r\n"));
    assert_eq!(desk.names(), ["mish.png", "mish.svg", "new.json", "old.json"]);
}

#[test]
fn products_are_drawn_below_the_peak() {
    let figures = [sweep("matmul", "n x n x n"), sweep("matmul", "8 x n x n")].concat();
    let desk = desk(&[], &figures);
    desk.ok(&["bench", "--load", "new.json", "--plot", "products.svg"]);
    let svg = std::fs::read_to_string(desk.path("products.svg")).unwrap();
    for text in ["n x n x n", "8 x n x n", "peak 100 GFLOP/s", "50% of peak", "GFLOP/s"] {
        assert!(svg.contains(text), "{text} is missing");
    }
    assert!(!svg.contains("unfused"));
}

#[test]
fn kernels_have_a_chart_each() {
    let names = ["mish", "silu", "gelu", "selu", "elu"];
    let figures: Vec<Value> = names.iter().flat_map(|name| sweep("elementwise", name)).collect();
    let desk = desk(&[], &figures);
    desk.ok(&["bench", "--load", "new.json", "--plot", "all.svg"]);
    let svg = std::fs::read_to_string(desk.path("all.svg")).unwrap();
    assert!(names.iter().all(|name| svg.contains(name)));
    // Once for every kernel.
    assert_eq!(svg.matches(">\nunfused\n<").count(), names.len());
}

/// Before anything is measured or written.
#[test]
fn pictures_that_cannot_be() {
    let figures =
        [figure("mish", 0.2, 0.02), with(figure("mish", 0.2, 0.02), "suite", json!(null))];
    let desk = desk(&[], &figures);
    let transcript = desk.transcript(&[
        &["bench", "x", "--plot", "x.pdf"],
        &["bench", "x", "--plot", "absent/x.svg"],
        &["bench", "x", "--plot", ".svg/"],
        &["bench", "x", "--plot", "-"],
        &["bench", "--suite", "layers,matmul", "--plot", "x.svg"],
        &["bench", "--load", "new.json", "--plot", "x.svg"],
    ]);
    insta::assert_snapshot!("bad_pictures", transcript);
    assert_eq!(desk.names(), ["new.json", "old.json"]);
}
