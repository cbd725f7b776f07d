//! `kiln roofline`. Nothing is asserted of figures: `cargo bench --bench roofline` judges them.

use super::Desk;
use serde_json::Value;

/// What is wrong is said before anything is measured, and no file is begun.
#[test]
fn errors_come_first() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("folder.svg")).unwrap();
    let transcript = desk.transcript(&[
        &["roofline", "--plot", "roofs.pdf"],
        &["roofline", "--plot", "roofs"],
        &["roofline", "--plot", "missing/roofs.svg"],
        &["roofline", "--plot", "folder.svg"],
        &["roofline", "1.5 * 2.0"],
        &["roofline", "|a: f32[m, k]| 2*a", "--shape", "m=8"],
        &["roofline", "|a: f32[m, k]| 2*a", "--shape", "a=8"],
        &["roofline", "x + 1", "--shape", "x=4Gix4Gix4Gi"],
        &["roofline", "x + 1", "--shape", "x=1024Gix1024"],
        &["roofline", "--shape", "x=4"],
        &["roofline", "nope.kiln"],
    ]);
    insta::assert_snapshot!("roofline_errors", transcript);
    assert_eq!(desk.names(), ["folder.svg"]);
}

#[test]
#[ignore = "measures the machine, for some ten seconds"]
fn all_of_it() {
    let desk = Desk::new();
    let args = ["roofline", "@gelu_tanh", "x + y", "--shape", "n=4Ki", "--plot", "roofs.svg", "-q"];
    let text = desk.ok(&args);
    for part in ["peak, GFLOP/s", "bandwidth, GB/s", "memory, copy", "gelu_tanh is bound by", "UTC"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let picture = std::fs::read_to_string(desk.path("roofs.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("\ngelu_tanh\n"), "{picture}");
    let text =
        desk.ok(&["roofline", "x + y", "--shape", "n=4Ki", "--threads", "1", "--json", "-q"]);
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&object["command"], &object["threads"]), (&"roofline".into(), &1.into()));
    let kernel = &object["kernels"][0];
    assert_eq!(kernel["kernel"], "x + y");
    assert!(kernel["part"].as_f64().is_some_and(|part| part > 0.0), "{object}");
    assert!(object["levels"].as_array().is_some_and(|levels| levels.len() > 1), "{object}");
    assert_eq!(desk.names(), ["roofs.svg"]);
}
