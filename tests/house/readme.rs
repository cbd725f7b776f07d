//! What the guide says of accuracy is what the op table says.

use kiln::DType;
use kiln_ir::{Op, Typing};

/// Ops whose results are not always exact or correctly rounded, with their bounds.
fn accuracy_table() -> String {
    let mut table =
        String::from("| op | f32 | f64 | op | f32 | f64 |\n|---|---|---|---|---|---|\n");
    let inexact = |op: &&Op| op.info().typing == Typing::Float && op.max_ulp(DType::F32) > 0.5;
    let cells: Vec<String> = Op::ALL
        .iter()
        .filter(inexact)
        .map(|op| {
            format!("{} | {} | {}", op.name(), op.max_ulp(DType::F32), op.max_ulp(DType::F64))
        })
        .collect();
    let half = cells.len().div_ceil(2);
    for row in 0..half {
        let right = cells.get(half + row).map_or("| |", String::as_str);
        table += &format!("| {} | {right} |\n", cells[row]);
    }
    table
}

#[test]
fn the_accuracy_table_is_that_of_the_ops() {
    let page = include_str!("../../docs/accuracy.md");
    let table = accuracy_table();
    assert!(page.contains(&table), "docs/accuracy.md should have\n{table}");
}
