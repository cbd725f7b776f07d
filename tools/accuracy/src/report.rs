//! Records as text: lines while measuring, and `ACCURACY.md`.

use crate::exhaustive::MARGIN;
use crate::function::Function;
use crate::published::{LIBRARIES, SOURCES, figures};
use crate::record::{Hashes, Program, Record, State, Tally, Worst};
use crate::scan::mix;
use kiln::DType;
use kiln::ir::Flags;
use kiln::lower::Tier;
use std::fmt::{self, Write as _};

/// What the document says before its tables.
const PREFACE: &str = include_str!("preface.md");

/// A measurement in a line for each program.
pub(crate) fn lines(function: &Function, dtype: DType, record: &Record) -> String {
    let mut text = String::new();
    for program in &record.programs {
        let tally = &program.tally;
        let modes = program.modes.join("+");
        let worst = tally.worst();
        text += &format!(
            "{dtype} {:16} {modes:20} {:>9} ULP at {}, {} inputs",
            record.name,
            ulp(worst.ulp),
            operands(dtype, worst),
            tally.inputs
        );
        for fault in faults(function, dtype, program) {
            text += &format!("; {fault}");
        }
        text.push('\n');
    }
    if !record.speed.is_empty() {
        let figures = record.speed.iter().map(|(name, ns)| format!("{name} {ns:.3}"));
        text += &format!("    ns per element: {}\n", figures.collect::<Vec<_>>().join(", "));
    }
    text
}

/// What is wrong with a program, beyond the size of its error.
pub(crate) fn faults(function: &Function, dtype: DType, program: &Program) -> Vec<String> {
    let tally = &program.tally;
    let mut faults = Vec::new();
    for (failure, failed) in &tally.failures {
        let at: Vec<String> = failed.at.iter().map(|&bits| number(dtype, bits)).collect();
        faults.push(format!("{} × {failure:?}, as at {}", count(failed.count), at.join(", ")));
    }
    for (emitter, at) in &tally.differs {
        let at: Vec<String> = at.iter().map(|&bits| number(dtype, bits)).collect();
        faults.push(format!("{emitter} differs at {}", at.join(", ")));
    }
    if tally.outside > 0 {
        faults.push(format!("{} × out of range", count(tally.outside)));
    }
    if tally.reference_gap > MARGIN {
        faults.push(format!("the fast reference is off by {:.2e} ULP", tally.reference_gap));
    }
    if symmetry(function, tally) == Some(false) {
        faults.push("not symmetric".to_string());
    }
    if let Some(op) = function.op() {
        // What other modes share is held to the bound of the default.
        let only_fast = program.modes.iter().all(|mode| mode == "fast");
        let tier = if only_fast { Tier::Fast } else { Tier::Default };
        let bound = tier.max_ulp(op, dtype);
        if ceil(tally.worst().ulp) > bound + 1e-9 {
            faults.push(format!("the op table says {bound}"));
        }
    }
    faults
}

/// Whether an op is not as its row says. Composites have no row, but must have the same bits on
/// every emitter.
pub(crate) fn breaks_contract(function: &Function, dtype: DType, record: &Record) -> bool {
    record.programs.iter().any(|program| match function.op() {
        Some(_) => !faults(function, dtype, program).is_empty(),
        None => !program.tally.emitters_agree(),
    })
}

/// Whether an odd or even function is so by its bits, on all inputs; `None` of others.
fn symmetry(function: &Function, tally: &Tally) -> Option<bool> {
    let symmetric = function.has(Flags::ODD) || function.has(Flags::EVEN);
    let Hashes([positive, negative]) = tally.hashes.values().next()?;
    symmetric.then_some(positive == negative)
}

/// The whole document.
pub(crate) fn document(state: &State) -> Result<String, fmt::Error> {
    let functions = Function::all();
    let (ops, composites): (Vec<Function>, Vec<Function>) =
        functions.iter().partition(|function| function.op().is_some());
    let (unary, several): (Vec<Function>, Vec<Function>) =
        ops.iter().partition(|function| function.arity() == 1);
    let mut text = String::from(PREFACE);
    writeln!(text, "\nMeasured on: {}.\n", state.machine)?;
    text += "## Ops of one operand, f32: all 2^32 inputs\n\n";
    text += &op_table(state, &unary, DType::F32)?;
    text += "\n## Ops of one operand, f64: samples\n\n";
    text += &op_table(state, &unary, DType::F64)?;
    text += "\n## Ops of two and three operands: samples\n\n";
    text += &op_table(state, &several, DType::F32)?;
    text += "\n";
    text += &op_table(state, &several, DType::F64)?;
    text += "\n## Composites, f32: all 2^32 inputs\n\n";
    text += &composite_table(state, &composites, DType::F32)?;
    text += "\n## Composites, f64: samples\n\n";
    text += &composite_table(state, &composites, DType::F64)?;
    text += "\n## Throughput\n\nNanoseconds per element, one thread, 4096 `f32` in the L1 cache, the \
             default mode; `std` is Rust's standard library, one call for each element.\n\n";
    text += &speed_table(state, &functions)?;
    text += "\n## Sources of the published figures\n\n";
    text += SOURCES;
    Ok(text)
}

fn op_table(state: &State, functions: &[Function], dtype: DType) -> Result<String, fmt::Error> {
    let exhaustive = dtype == DType::F32 && functions.iter().all(|f| f.arity() == 1);
    let mut text = String::from("| op | type | mode | max ULP | at | subnormal | inputs | bits |");
    text += if exhaustive { " hash | steps back |" } else { "" };
    writeln!(text, " faults | date | {} |", LIBRARIES.join(" | "))?;
    let columns = 10 + LIBRARIES.len() + if exhaustive { 2 } else { 0 };
    writeln!(text, "|{}", "---|".repeat(columns))?;
    for function in functions {
        let Some(record) = state.records.get(&State::key(function.name(), dtype)) else { continue };
        let Some(op) = function.op() else { continue };
        for program in &record.programs {
            text += &row(function, dtype, record, program);
            if exhaustive {
                let monotone = function.has(Flags::MONOTONE);
                let turns = if monotone { count(program.tally.turns) } else { String::new() };
                write!(text, " {} | {turns} |", hash(&program.tally))?;
            }
            let faults = faults(function, dtype, program).join("; ");
            writeln!(text, " {faults} | {} | {} |", record.date, figures(op, dtype).join(" | "))?;
        }
    }
    Ok(text)
}

fn composite_table(
    state: &State,
    functions: &[Function],
    dtype: DType,
) -> Result<String, fmt::Error> {
    let mut text = String::from(
        "| composite | type | mode | max ULP | at | subnormal | inputs | bits | faults | date |\n",
    );
    writeln!(text, "|{}", "---|".repeat(10))?;
    for function in functions {
        let Some(record) = state.records.get(&State::key(function.name(), dtype)) else { continue };
        for program in &record.programs {
            text += &row(function, dtype, record, program);
            writeln!(text, " {} | {} |", faults(function, dtype, program).join("; "), record.date)?;
        }
    }
    Ok(text)
}

/// The columns that every table begins with.
fn row(function: &Function, dtype: DType, record: &Record, program: &Program) -> String {
    let tally = &program.tally;
    let name = match function.text() {
        text if text == record.name || text == format!("{}(x)", record.name) => record.name.clone(),
        text => format!("{} `{text}`", record.name),
    };
    let modes = match program.modes.len() {
        3 => "all".to_string(),
        _ => program.modes.join(", "),
    };
    let subnormal =
        if tally.subnormal.at.is_empty() { String::new() } else { ulp(tally.subnormal.ulp) };
    let partial = if record.is_complete() { "" } else { " (not done)" };
    format!(
        "| {name} | {dtype} | {modes} | {} | {} | {subnormal} | {}{partial} | {} |",
        ulp(tally.worst().ulp),
        operands(dtype, tally.worst()),
        count(tally.inputs),
        if tally.emitters_agree() { "equal" } else { "DIFFER" },
    )
}

fn speed_table(state: &State, functions: &[Function]) -> Result<String, fmt::Error> {
    let columns = ["avx512", "avx2", "cranelift", "std"];
    let mut text = format!("| op | {} |\n|{}\n", columns.join(" | "), "---|".repeat(5));
    for function in functions {
        let record = state.records.get(&State::key(function.name(), DType::F32));
        let Some(record) = record.filter(|record| !record.speed.is_empty()) else { continue };
        let figure =
            |name: &&str| record.speed.get(*name).map_or(String::new(), |ns| format!("{ns:.3}"));
        let cells: Vec<String> = columns.iter().map(figure).collect();
        writeln!(text, "| {} | {} |", record.name, cells.join(" | "))?;
    }
    Ok(text)
}

/// Rounded up to four decimals: what is printed is never below what was measured (but for the
/// error of the reference).
fn ceil(ulp: f64) -> f64 {
    ((ulp - 1e-6) * 1e4).ceil().max(0.0) / 1e4
}

fn ulp(value: f64) -> String {
    if value >= 1e4 { format!("{value:.1e}") } else { format!("{:.4}", ceil(value)) }
}

fn number(dtype: DType, bits: u64) -> String {
    match dtype {
        DType::F32 => format!("{:?}", f64::from_bits(bits) as f32),
        _ => format!("{:?}", f64::from_bits(bits)),
    }
}

fn operands(dtype: DType, worst: &Worst) -> String {
    if worst.ulp == 0.0 {
        return String::new();
    }
    let numbers: Vec<String> = worst.at.iter().map(|&bits| number(dtype, bits)).collect();
    numbers.join(", ")
}

fn count(value: u64) -> String {
    if value == 1 << 32 { "2^32".to_string() } else { value.to_string() }
}

/// One number for all results, the same on any machine.
fn hash(tally: &Tally) -> String {
    let Some(Hashes([positive, negative])) = tally.hashes.values().next() else {
        return String::new();
    };
    format!("`{:016x}`", mix(mix(*positive) ^ *negative))
}
