//! `kiln bench --suite axes`, what is chosen of it and how it is told.

use super::compare::{desk, figure, with};
use super::{Desk, objects};
use serde_json::{Value, json};
use std::collections::HashSet;

const AXES: [&str; 7] = ["bench", "-q", "--quick", "--threads", "1", "--suite", "axes"];

/// The names of the kernels that a command measures.
fn names(more: &[&str]) -> Vec<String> {
    let objects = objects(&[&AXES[..], &["--json"], more].concat());
    let mut names: Vec<String> =
        objects.iter().map(|object| object["kernel"].as_str().unwrap().into()).collect();
    names.sort();
    names
}

#[test]
fn names_and_parts_are_chosen() {
    let chosen = names(&["--only", "axis 1 of 3 x 3", "--only", "softmax, axis 2 of 2 x 3 x 4"]);
    assert_eq!(chosen.len(), 20 + 2, "{chosen:?}");
    assert!(chosen.contains(&"mean and variance, axis 1 of 3 x 3".into()), "{chosen:?}");
    // Parts are all, once each.
    let parts = ["1/4", "2/4", "3/4", "4/4"];
    let parts = parts.map(|part| names(&["--only", "axis 1 of 3 x 3", "--part", part]));
    assert_eq!(parts.each_ref().map(Vec::len), [5; 4]);
    assert_eq!(parts.concat().into_iter().collect::<HashSet<_>>().len(), 20);
    // Of a size, and of another suite.
    let small = names(&["--only", "cumsum", "--sizes", "9,24"]);
    assert_eq!(small.len(), 4 * (2 + 3), "{small:?}");
    let bench = ["bench", "-q", "--quick", "--json", "--suite", "derived", "--sizes", "16"];
    let selu = objects(&[&bench[..], &["--only", "selu"]].concat());
    assert_eq!(selu.len(), 1);
}

#[test]
fn an_object_has_the_shape_and_the_type() {
    let more = ["--json", "--only", "argmax of x*2 + y, axis 0 of 2 x 3 x 4", "--dtype", "f64"];
    let object = &objects(&[&AXES[..], &more].concat())[0];
    let input = |name: &str| json!({ "name": name, "dtype": "f64", "shape": [2, 3, 4] });
    for (name, value) in [
        ("suite", json!("axes")),
        ("size", json!(24)),
        ("text", json!("argmax[0](x*2 + y)")),
        ("inputs", json!([input("x"), input("y")])),
        ("shape", json!([1, 3, 4])),
    ] {
        assert_eq!(object[name], value, "{name}: {object}");
    }
    assert!(object["unfused_over_fused"].is_number(), "{object}");
}

/// All that are slower, and some of the others; how many.
#[test]
fn the_slowest_come_first_and_are_counted() {
    let of = |name: &str, gain: f64| {
        let figure = with(figure(name, 0.2, 0.02), "suite", json!("axes"));
        with(figure, "unfused_over_fused", json!(gain))
    };
    let gains = (0..60).map(|at| of(&format!("kernel {at}"), 0.95 + f64::from(at) / 50.0));
    let figures: Vec<Value> = gains.collect();
    let desk = desk(&[], &figures);
    let text = desk.ok(&["bench", "--load", "new.json"]);
    let listed = text.lines().filter(|line| line.starts_with("kernel ")).count();
    assert_eq!(listed, 40, "{text}");
    let verdict = "More than 3% slower fused than unfused, in each of 3 races: 2 of 60; \
                   20 more gain more than these (--json has all).\n";
    assert!(text.contains(verdict), "{text}");
    let all = desk.ok(&["bench", "--load", "new.json", "--json"]);
    assert_eq!(all.lines().count(), 60);
}

#[test]
fn a_table_begins_with_the_least_gain() {
    let text = Desk::new().ok(&[&AXES[..], &["--only", "of 2 x 3 x 4"]].concat());
    let gains = text.lines().filter(|line| line.contains(" of 2 x 3 x 4"));
    let gain = |line: &str| {
        line.split_whitespace().find_map(|cell| cell.strip_suffix('x')?.parse::<f64>().ok())
    };
    let gains: Vec<f64> = gains.filter_map(gain).collect();
    assert!(!gains.is_empty() && gains.is_sorted(), "{text}");
}
