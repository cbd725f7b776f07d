//! `kiln explain --svg, --dot`.

use super::Desk;
use serde_json::Value;

fn text(desk: &Desk, name: &str) -> String {
    String::from_utf8(std::fs::read(desk.path(name)).expect("a file")).expect("text")
}

#[test]
fn pictures_are_files() {
    let desk = Desk::new();
    let told = desk.ok(&["explain", "@gelu_tanh", "--svg", "a.svg", "--dot", "a.dot"]);
    assert_eq!(
        told,
        "a.svg, a.dot: as written: 9 passes over memory, moving 84 B an element; fused: 1 pass \
         over memory, moving 8 B an element\n"
    );
    let (svg, dot) = (text(&desk, "a.svg"), text(&desk, "a.dot"));
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(dot.starts_with("digraph \"gelu_tanh\" {"), "{dot}");
    // The same every time, and on standard output.
    assert_eq!(desk.ok(&["explain", "@gelu_tanh", "--svg", "-"]), svg);
    assert_eq!(desk.ok(&["explain", "@gelu_tanh", "--dot", "-", "--quiet"]), dot);
    let sized = desk.ok(&["explain", "x * y", "--svg", "-", "--shape", "x=1000x64,y=64"]);
    assert!(sized.contains("x: f32[1000, 64]") && sized.contains("in 250.2 KiB"), "{sized}");
}

#[test]
fn json_says_what_was_written() {
    let desk = Desk::new();
    let object = desk.ok(&["explain", "x + 1", "--svg", "a.svg", "--json"]);
    let object: Value = serde_json::from_str(&object).expect("an object");
    assert_eq!(object["command"], "explain");
    assert_eq!(object["files"], serde_json::json!([{ "format": "svg", "to": "a.svg" }]));
    let plain: Value = serde_json::from_str(&desk.ok(&["explain", "x", "--json"])).expect("one");
    assert_eq!(plain["files"], serde_json::json!([]));
}

#[test]
fn nothing_is_half_written() {
    let desk = Desk::new();
    desk.write("old.svg", "old");
    std::fs::create_dir(desk.path("d")).expect("a directory");
    let explain = |args: &[&'static str]| [&["explain", "x + 1"], args].concat();
    let faults = [
        explain(&["--svg", "old.svg", "--dot", "absent/a.dot"]),
        explain(&["--svg", "d"]),
        explain(&["--svg", ""]),
        explain(&["--svg", "a.svg", "--dot", "./a.svg"]),
        explain(&["--svg", "a.svg", "--stage", "vir"]),
        explain(&["--dot", "a.dot", "--all"]),
        explain(&["--svg", "a.svg", "--shape", "x=3,y=4"]),
        vec!["explain", "x @ w", "--svg", "a.svg", "--shape", "x=3x4,w=3x4"],
        vec!["explain", "x +", "--svg", "a.svg"],
    ];
    let faults: Vec<&[&str]> = faults.iter().map(|args| &args[..]).collect();
    insta::assert_snapshot!("picture_faults", desk.transcript(&faults));
    assert_eq!(desk.names(), ["d", "old.svg"]);
    assert_eq!(text(&desk, "old.svg"), "old");
}

#[test]
fn the_readme_shows_what_is_drawn() {
    let desk = Desk::new();
    let kernel = "gelu_tanh(x @ w + b)";
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("it is there");
    assert!(readme.contains(&format!("kiln explain '{kernel}' --svg docs/explain.svg")));
    let told = desk.ok(&["explain", kernel, "--svg", "explain.svg"]);
    assert!(told.contains("11 passes over memory"), "{told}");
    assert!(told.contains("fused: 1 pass over memory"), "{told}");
    let shown = std::fs::read_to_string(root.join("docs/explain.svg")).expect("it is there");
    assert!(text(&desk, "explain.svg") == shown, "draw docs/explain.svg again, as README.md says");
}
