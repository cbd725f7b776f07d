//! `kiln ops`, `kiln completions` and `kiln man`.

use super::Desk;
use kiln::derived::DERIVED;
use kiln::ir::text::SPECIAL;
use kiln::ir::{Call, Op, ROWWISE};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn every_row_of_the_tables_is_listed() {
    let desk = Desk::new();
    let list = desk.ok(&["ops"]);
    let objects = desk.ok(&["ops", "--json"]);
    let objects: Vec<Value> =
        objects.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let names: Vec<&str> = objects.iter().map(|object| object["name"].as_str().unwrap()).collect();
    let ops = Op::ALL.iter().map(|op| op.name()).chain(DERIVED.iter().map(|op| op.name));
    let calls = Call::all().map(|call| call.info().name).chain(ROWWISE.iter().map(|row| row.name));
    let special = SPECIAL.iter().map(|special| special.name);
    let expected: Vec<&str> = ops.chain(calls).chain(special).collect();
    assert_eq!(names, expected);
    for name in expected {
        let mut rests = list.lines().filter_map(|line| line.strip_prefix(name));
        assert!(rests.any(|rest| rest.starts_with(['(', '['])), "{name}");
    }
    for op in Op::ALL {
        let object = objects.iter().find(|object| object["name"] == op.name()).unwrap();
        assert_eq!(object["doc"], op.info().doc);
        assert_eq!(object["max_ulp"]["f32"], op.info().max_ulp[0]);
        assert_eq!(object["max_ulp"]["f64"], op.info().max_ulp[1]);
    }
}

#[test]
fn one_op() {
    let desk = Desk::new();
    let pages = ["sin", "@leaky_relu", "select", "matmul", "argmax", "layer_norm", "maximum"]
        .map(|name| desk.ok(&["ops", name]));
    insta::assert_snapshot!("ops", pages.join("\n"));
    let fault = desk.transcript(&[&["ops", "gleu"], &["ops", ""], &["man", "walk"]]);
    insta::assert_snapshot!("ops_faults", fault);
    // What is listed is a kernel by its name.
    let calls = Call::all().map(|call| call.info().name);
    for name in ["fma", "select"].into_iter().chain(calls) {
        desk.ok(&["explain", &format!("@{name}"), "--stage", "ir"]);
    }
}

#[test]
fn shells_can_read_the_completions() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = desk.ok(&["completions", shell]);
        assert!(script.contains("explain") && script.contains("unfused"), "{shell}");
        let Ok(mut child) = Command::new(shell)
            .arg("-n")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
        else {
            continue; // This machine has no such shell.
        };
        let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
        let output = child.wait_with_output().unwrap();
        assert!(output.stderr.is_empty(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_command_has_a_page() {
    let desk = Desk::new();
    let page = desk.ok(&["man"]);
    assert!(page.contains(".TH kiln 1") && page.contains("Exit status"), "{page}");
    for command in ["run", "explain", "bench", "ops", "completions", "man"] {
        let page = desk.ok(&["man", command]);
        assert!(page.contains(&format!(".TH kiln-{command} 1")), "{page}");
        assert!(page.contains("Examples"), "{page}");
    }
}
