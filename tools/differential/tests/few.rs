//! A few cases of the differential test, the same ones in every run.
//!
//! `KILN_GRAPHS=100000` tries more, `KILN_SEED=7` others; `kiln-differential` itself is quicker.

use kiln::ir::Op;

const CASES: u64 = 1_200;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn random_graphs_keep_every_promise() {
    let cases = setting("KILN_GRAPHS").unwrap_or(CASES).max(CASES);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let report = kiln_differential::run(setting("KILN_SEED").unwrap_or(1), cases, threads);
    assert_eq!(report.cases, cases);
    // A case that compiles nothing tests nothing.
    assert!(report.kernels >= cases, "{} kernels", report.kernels);
    let missing: Vec<&str> =
        Op::ALL.iter().map(|op| op.name()).filter(|name| !report.ops.contains_key(name)).collect();
    assert!(missing.is_empty(), "no graph has {missing:?}");
    let distinct: Vec<&str> = report.distinct.values().map(String::as_str).collect();
    assert!(report.failures.is_empty(), "{:#?}\n{}", report.failures, distinct.join("\n"));
}
