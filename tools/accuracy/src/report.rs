//! Records as text: lines while measuring, and `ACCURACY.md`.

use crate::exhaustive::MARGIN;
use crate::function::Function;
use crate::products;
use crate::published::{LIBRARIES, SOURCES, figures};
use crate::record::{Hashes, Program, Record, State, Tally, Worst};
use crate::rows;
use crate::scan::mix;
use crate::speed::aim;
use kiln::DType;
use kiln::internals::{Tier, max_ulp};
use kiln::ir::{Flags, Op};
use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::Duration;

/// What the document says before its tables.
const PREFACE: &str = include_str!("preface.md");

/// A measurement in a line for each program.
pub(crate) fn lines(function: &Function, dtype: DType, record: &Record, time: Duration) -> String {
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
    text.truncate(text.trim_end().len());
    text + &format!(" ({:.1} s)\n", time.as_secs_f64())
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
        let bound = max_ulp(tier, op, dtype);
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
pub(crate) fn document(state: &State) -> Result<String, Box<dyn Error>> {
    let functions = Function::all();
    let (ops, composites): (Vec<Function>, Vec<Function>) =
        functions.iter().partition(|function| function.op().is_some());
    let (unary, several): (Vec<Function>, Vec<Function>) =
        ops.iter().partition(|function| function.arity() == 1);
    let mut dates: Vec<&str> = state.records.values().map(|record| record.date.as_str()).collect();
    dates.retain(|date| !date.is_empty());
    dates.sort_unstable();
    let mut text = String::from(PREFACE);
    write!(text, "\n**Measured** on {}", state.machine)?;
    if let (Some(first), Some(last)) = (dates.first(), dates.last()) {
        write!(
            text,
            ", {first}{}",
            if first == last { String::new() } else { format!(" to {last}") }
        )?;
    }
    text += ".\n\n## Faults\n\n";
    text += &all_faults(state, &functions)?;
    text += "\n## Ops of one operand, f32, all inputs\n\n";
    text += &op_table(state, &unary, DType::F32)?;
    text += "\n## Ops of one operand, f64, samples\n\n";
    text += &op_table(state, &unary, DType::F64)?;
    text += "\n## Ops of two and three operands, f32, samples\n\n";
    text += &op_table(state, &several, DType::F32)?;
    text += "\n## Ops of two and three operands, f64, samples\n\n";
    text += &op_table(state, &several, DType::F64)?;
    text += "\n## Composites, f32, all inputs\n\n";
    text += &composite_table(state, &composites, DType::F32)?;
    text += "\n## Composites, f64, samples\n\n";
    text += &composite_table(state, &composites, DType::F64)?;
    text += "\n## Products of matrices\n\n";
    text += &products::section()?;
    text += "\n## Rows\n\n";
    text += &rows::section()?;
    text += "\n## Throughput\n\n";
    text += THROUGHPUT;
    text += &speed_table(state, &functions)?;
    text += "\n## What was tried\n\n";
    text += TRIED;
    for dtype in [DType::F32, DType::F64] {
        text += &tried_table(state, &functions, dtype)?;
    }
    text += "\n## Sources of the published figures\n\n";
    text += SOURCES;
    Ok(text)
}

const THROUGHPUT: &str = "\
Nanoseconds per element of f32 in the L1 cache, one thread: the code alone, from the difference of
calls on 4096 and 1024 elements. *std* is Rust's standard library, one call for each element; *aim* is
what the project means to stay below on AVX-512. The default mode; *fast* where that is another program.

";

const TRIED: &str = "\
*bits*: whether AVX-512, AVX2, Cranelift and (on a part) the interpreter gave the same. *hash*: of all
2^32 results. *back*: neighbouring inputs whose results are in the wrong order, of a monotone op.

";

/// The records of `functions` in `dtype` with their programs, in order.
fn measured<'a>(
    state: &'a State,
    functions: &'a [Function],
    dtype: DType,
) -> impl Iterator<Item = (&'a Function, &'a Record, &'a Program)> {
    let record = move |function: &'a Function| {
        let record = state.records.get(&State::key(function.name(), dtype))?;
        Some(record.programs.iter().map(move |program| (function, record, program)))
    };
    functions.iter().filter_map(record).flatten()
}

fn all_faults(state: &State, functions: &[Function]) -> Result<String, fmt::Error> {
    let mut text = String::new();
    for dtype in [DType::F32, DType::F64] {
        for (function, record, program) in measured(state, functions, dtype) {
            for fault in faults(function, dtype, program) {
                writeln!(text, "- {dtype} {}: {fault}", title(function, record, program))?;
            }
            if !record.is_complete() {
                writeln!(text, "- {dtype} {}: not done", title(function, record, program))?;
            }
        }
    }
    Ok(if text.is_empty() { "None.\n".to_string() } else { text })
}

/// The name, with the modes of a program that is not that of all.
fn title(function: &Function, record: &Record, program: &Program) -> String {
    let name = function.name();
    match program.modes.len() {
        _ if record.programs.len() == 1 => name.to_string(),
        _ if function.op().is_some() && program.modes.iter().any(|m| m == "precise") => name.into(),
        _ => format!("{name} ({})", program.modes.join(", ")),
    }
}

fn op_table(state: &State, functions: &[Function], dtype: DType) -> Result<String, fmt::Error> {
    let mut text = format!("| op | max ULP | at | subnormal | {} |\n", LIBRARIES.join(" | "));
    writeln!(text, "|---|--:|---|{}", "--:|".repeat(1 + LIBRARIES.len()))?;
    for (function, record, program) in measured(state, functions, dtype) {
        let Some(op) = function.op() else { continue };
        let cells = errors(dtype, program);
        let others = figures(op, dtype).join(" | ");
        writeln!(text, "| {} | {cells} | {others} |", title(function, record, program))?;
    }
    Ok(text)
}

fn composite_table(
    state: &State,
    functions: &[Function],
    dtype: DType,
) -> Result<String, fmt::Error> {
    let mut text =
        String::from("| composite | mode | max ULP | at | subnormal |\n|---|---|--:|---|--:|\n");
    for (function, record, program) in measured(state, functions, dtype) {
        let name = match function.text() {
            text if text == format!("{}(x)", record.name) => record.name.clone(),
            text => format!("`{text}`"),
        };
        let modes = match program.modes.len() {
            3 => "all".to_string(),
            _ => program.modes.join(", "),
        };
        writeln!(text, "| {name} | {modes} | {} |", errors(dtype, program))?;
    }
    Ok(text)
}

/// Maximum, where it is, and the maximum at subnormal results.
fn errors(dtype: DType, program: &Program) -> String {
    let tally = &program.tally;
    let subnormal = match tally.subnormal.at.is_empty() {
        true => String::new(),
        false => ulp(tally.subnormal.ulp),
    };
    format!("{} | {} | {subnormal}", ulp(tally.worst().ulp), operands(dtype, tally.worst()))
}

fn tried_table(state: &State, functions: &[Function], dtype: DType) -> Result<String, fmt::Error> {
    let exhaustive = dtype == DType::F32;
    let mut text = format!("\n| {dtype} | inputs | bits |");
    text += if exhaustive { " hash | back |" } else { "" };
    writeln!(text, " date |\n|---|--:|---|{}---|", if exhaustive { "---|--:|" } else { "" })?;
    for (function, record, program) in measured(state, functions, dtype) {
        let tally = &program.tally;
        write!(
            text,
            "| {} | {} | {} |",
            title(function, record, program),
            count(tally.inputs),
            if tally.emitters_agree() { "equal" } else { "DIFFER" },
        )?;
        if exhaustive {
            let monotone = function.op().is_some_and(Op::is_rising);
            let turns = if monotone { count(tally.turns) } else { String::new() };
            write!(text, " {} | {turns} |", hash(tally))?;
        }
        writeln!(text, " {} |", record.date)?;
    }
    Ok(text)
}

fn speed_table(state: &State, functions: &[Function]) -> Result<String, fmt::Error> {
    let columns = ["avx512", "avx2", "cranelift", "std"];
    let heads = columns.join(" | ");
    let mut text = format!("| op | {heads} | aim |\n|---|{}\n", "--:|".repeat(5));
    for function in functions {
        let record = state.records.get(&State::key(function.name(), DType::F32));
        let Some(record) = record.filter(|record| !record.speed.is_empty()) else { continue };
        for (prefix, title) in
            [("", record.name.clone()), ("fast ", format!("{} (fast)", record.name))]
        {
            let figure = |name: &str| record.speed.get(&format!("{prefix}{name}"));
            if columns.iter().all(|name| figure(name).is_none()) {
                continue;
            }
            let cell = |name: &&str| figure(name).map_or(String::new(), |ns| format!("{ns:.3}"));
            let cells: Vec<String> = columns.iter().map(cell).collect();
            let aim = function.op().and_then(aim).map_or(String::new(), |ns| ns.to_string());
            writeln!(text, "| {title} | {} | {aim} |", cells.join(" | "))?;
        }
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

/// A number exactly, as C's `%a` has it.
fn number(dtype: DType, bits: u64) -> String {
    let value = f64::from_bits(bits);
    if value == 0.0 || !value.is_finite() {
        return format!("{value:?}");
    }
    let (exponent, fraction) = match dtype {
        DType::F32 if value.abs() < f64::from(f32::MIN_POSITIVE) => {
            return format!("{}0x{:x}p-149", sign(value), (value.abs() as f32).to_bits());
        }
        _ if value.is_subnormal() => {
            return format!("{}0x{:x}p-1074", sign(value), value.abs().to_bits());
        }
        _ => ((bits >> 52 & 0x7ff) as i64 - 1023, format!("{:013x}", bits & ((1 << 52) - 1))),
    };
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}0x1{point}{fraction}p{exponent:+}", sign(value))
}

fn sign(value: f64) -> &'static str {
    if value.is_sign_negative() { "-" } else { "" }
}

/// Exactly, and so that it can be read. Nothing where there is no error, or any input will do: of a
/// correctly rounded `f64` no more is known.
fn operands(dtype: DType, worst: &Worst) -> String {
    if worst.ulp == 0.0 || dtype == DType::F64 && worst.ulp == 0.5 {
        return String::new();
    }
    let exact: Vec<String> = worst.at.iter().map(|&bits| number(dtype, bits)).collect();
    let near: Vec<String> = worst.at.iter().map(|&bits| near(f64::from_bits(bits))).collect();
    format!("`{}` {}", exact.join(", "), near.join(", "))
}

/// Four digits.
fn near(value: f64) -> String {
    match value.abs() {
        size if (1e-3..1e5).contains(&size) => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    }
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

#[cfg(test)]
mod tests {
    use super::{near, number};
    use kiln::DType;

    #[test]
    fn numbers_are_written_exactly() {
        for (dtype, value, text) in [
            (DType::F64, 1.0, "0x1p+0"),
            (DType::F64, -0.1, "-0x1.999999999999ap-4"),
            (DType::F32, f64::from(0.1f32), "0x1.99999ap-4"),
            (DType::F64, f64::from_bits(3), "0x3p-1074"),
            (DType::F32, -f64::from(f32::from_bits(3)), "-0x3p-149"),
            (DType::F32, -0.0, "-0.0"),
            (DType::F64, f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(number(dtype, value.to_bits()), text);
        }
        assert_eq!((near(-1.25), near(1.5e-7)), ("-1.2500".to_string(), "1.500e-7".to_string()));
    }
}
