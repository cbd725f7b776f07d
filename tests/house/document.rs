//! What `ACCURACY.md` measured is what the op table states.

use kiln::DType;
use kiln_ir::{Op, Typing};

/// The cell in column `column` of `name`'s row, in a table under a heading of level two that contains
/// `heading`, whose first column is `first`.
fn cell<'a>(
    document: &'a str,
    heading: &str,
    first: &str,
    name: &str,
    column: &str,
) -> Option<&'a str> {
    let cells = |line: &'a str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let sections = document
        .split("\n## ")
        .filter(|section| section.lines().next().is_some_and(|line| line.contains(heading)));
    let mut head = Vec::new();
    for line in sections.flat_map(str::lines) {
        let row = cells(line);
        if row.len() < 3 {
            head.clear();
        } else if head.is_empty() {
            head = row;
        } else if head[1] == first && row[1] == name {
            return head.iter().position(|title| *title == column).map(|at| row[at]);
        }
    }
    None
}

/// Exhaustive maxima are stated as they are, rounded up to two decimals; the largest errors that
/// were seen in samples are stated with what the search may have missed.
fn is_stated(bound: f64, max: f64, exhaustive: bool) -> bool {
    let least = (max * 100.0 - 1e-6).ceil() / 100.0;
    let most = if exhaustive { least } else { 1.1 * least + 0.1 };
    (least - 1e-9..=most + 1e-9).contains(&bound)
}

/// How the document contradicts the op table.
fn contradictions(document: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let floats = |op: &&Op| matches!(op.info().typing, Typing::Float | Typing::Number);
    for &op in Op::ALL.iter().filter(floats) {
        for dtype in [DType::F32, DType::F64] {
            let name = op.name();
            // The default mode; other modes' rows have it behind the name.
            let operands = if op.arity() == 1 { "one operand" } else { "two and three operands" };
            let heading = format!("Ops of {operands}, {dtype}");
            let max = cell(document, &heading, "op", name, "max ULP");
            let Some(max) = max.and_then(|max| max.parse::<f64>().ok()) else {
                wrong.push(format!("{name} in {dtype} was not measured"));
                continue;
            };
            let (bound, exhaustive) = (op.max_ulp(dtype), dtype == DType::F32 && op.arity() == 1);
            // A correctly rounded op needs no measurement to be stated as one.
            let exact = bound <= 0.5 && max <= bound;
            if !exact && !is_stated(bound, max, exhaustive) {
                wrong.push(format!("{name} in {dtype}: {max} measured, {bound} stated"));
            }
            let (fast, row) = (op.fast_ulp(dtype), format!("{name} (fast)"));
            let max = cell(document, &heading, "op", &row, "max ULP").map(str::parse::<f64>);
            match max {
                Some(Ok(max)) if is_stated(fast, max, exhaustive) => {}
                None if fast == bound => {}
                _ => wrong.push(format!("{row} in {dtype}: {max:?} measured, {fast} stated")),
            }
            let tried = |column| cell(document, "What was tried", dtype.name(), name, column);
            if exhaustive && tried("inputs") != Some("2^32") {
                wrong.push(format!("{name} in {dtype}: {:?} inputs tried", tried("inputs")));
            }
            if tried("bits") != Some("equal") {
                wrong.push(format!("{name} in {dtype}: emitters differ"));
            }
            let fault = format!("\n- {dtype} {name}: ");
            if document.contains(&fault) {
                wrong.push(format!("{name} in {dtype} has faults"));
            }
        }
    }
    wrong
}

#[test]
fn the_op_table_states_what_was_measured() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ACCURACY.md");
    let document = std::fs::read_to_string(path).expect("the program wrote it");
    let wrong = contradictions(&document);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Were the check blind, the document could say anything.
#[test]
fn contradictions_are_found() {
    let document = "\
## Faults

- f32 sin: 3 × Sign, as at -0x1p-149

## Ops of one operand, f32, all inputs

| op | max ULP | at |
|---|--:|---|
| exp | 0.8930 | |
| log | 1.5000 | |
| sin | 0.8840 | |

## What was tried

| f32 | inputs | bits |
|---|--:|---|
| exp | 2^32 | equal |
| log | 4096 | DIFFER |
| sin | 2^32 | equal |
";
    let wrong = contradictions(document);
    let of = |name: &str| wrong.iter().filter(|line| line.starts_with(name)).count();
    assert_eq!((of("exp in f32"), of("log in f32"), of("sin in f32")), (0, 3, 1), "{wrong:?}");
    assert_eq!((of("exp in f64"), of("tan in f32"), of("pow in f32")), (1, 1, 1), "{wrong:?}");
    assert_eq!((of("exp (fast)"), of("sin (fast)")), (0, 1), "{wrong:?}");
}

#[test]
fn bounds_are_maxima_rounded_up() {
    assert!(is_stated(0.88, 0.8715, true));
    assert!(is_stated(1.05, 1.05, true));
    assert!(!is_stated(0.87, 0.8715, true));
    assert!(!is_stated(0.89, 0.8715, true));
    assert!(is_stated(0.95, 0.8715, false));
    assert!(!is_stated(0.87, 0.8715, false));
    assert!(!is_stated(1.2, 0.8715, false));
}
