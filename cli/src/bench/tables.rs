//! Records as tables.

use super::record::{Compared, Record, Verdict};
use super::slowest;
use crate::console::counted;
use crate::sizes;
use crate::table::Table;
use crate::units::{digits, percent, time};

/// What is said of the records of one suite, or of kernels of one command.
pub(super) fn section(records: &[Record], is_compared: bool, markdown: bool) -> String {
    let is_sought = slowest::is_sought(records.first().and_then(|record| record.suite.as_deref()));
    let table = match (is_compared, is_sought) {
        (true, _) => comparison(records),
        (false, true) => figures(slowest::told(records)),
        (false, false) => figures(records),
    };
    let table = if markdown { table.markdown() } else { table.plain() };
    let below = match (is_compared, is_sought) {
        (true, _) => legend_of_comparison(records),
        (false, true) => slowest::verdict(records) + &legend(records),
        (false, false) => legend(records),
    };
    format!("{}\n{table}\n{below}", heading(records))
}

/// How the records were made, in two lines.
fn heading(records: &[Record]) -> String {
    let Some(first) = records.first() else { return String::new() };
    format!("{}\n{}", making(records), date_and_machine(first))
}

/// The suite, the mode, the emitter, the threads and what is bound.
pub(super) fn making(records: &[Record]) -> String {
    let made = |record: &Record| format!("{}, {}", record.mode, record.emitter());
    let makers = distinct(records.iter().map(made)).join(" and ");
    let threads = distinct(records.iter().map(|record| counted(record.threads, "thread")));
    let suites = distinct(records.iter().filter_map(|record| record.suite.clone())).join(", ");
    let suites = if suites.is_empty() { suites } else { format!("{suites}: ") };
    let inputs = records.iter().flat_map(|record| &record.inputs);
    let bound = distinct(inputs.filter(|input| input.bound).map(|input| input.name.clone()));
    let bound = match &bound[..] {
        [] => String::new(),
        names => format!(", bound: {}", names.join(" ")),
    };
    format!("{suites}{makers}, {}{bound}", threads.join(" and "))
}

/// A line.
pub(super) fn date_and_machine(record: &Record) -> String {
    format!("{} on {}\n", record.date, record.machine)
}

/// What was measured, a row each.
fn figures(records: &[Record]) -> Table {
    let mut table = Table::new([
        "",
        "size",
        "fused",
        "unfused",
        "gain",
        "spread",
        "ns/element",
        "GFLOP/s",
        "GB/s",
        "limit",
    ]);
    for record in records {
        table.row(vec![
            record.kernel.clone(),
            place(record),
            time(record.fused()),
            time(record.unfused()),
            format!("{:.2}x", record.unfused_over_fused),
            percent(record.fused_spread.max(record.unfused_spread)),
            digits(record.fused_ns_per_element),
            digits(record.gflops()),
            digits(record.bandwidth()),
            limit(record),
        ]);
    }
    table
}

/// What the words of [`figures`] mean.
fn legend(records: &[Record]) -> String {
    let rounds = records.iter().map(|record| record.rounds);
    let (least, most) = (rounds.clone().min().unwrap_or(0), rounds.max().unwrap_or(0));
    let rounds = if least == most { most.to_string() } else { format!("{least} to {most}") };
    format!(
        "Medians of {rounds} interleaved rounds, half of which lie within the spread (the larger of \
         the two);\ngain is unfused over fused, the rest is of fused. {}",
        limits(records)
    )
}

/// What the limits are, and by what they were measured.
fn limits(records: &[Record]) -> String {
    let roof =
        |record: &Record| record.roof.as_ref().map(|roof| format!("{}: {}", roof.of, roof.by));
    let mut limits = distinct(records.iter().filter_map(roof));
    let copies = records.iter().filter(|record| record.roof.is_none());
    let ways = distinct(copies.map(|record| record.copied_by.clone()));
    if !ways.is_empty() {
        limits.push(format!("copy: {}", ways.join(" or ")));
    }
    format!("Limits, each the best of several ways:\n{}\n", limits.join("; "))
}

/// New figures and old ones, of the records that have both.
fn comparison(records: &[Record]) -> Table {
    let mut table = Table::new([
        "",
        "size",
        "old",
        "spread",
        "new",
        "spread",
        "new/old",
        "copy new/old",
        "verdict",
    ]);
    for record in records {
        let Some(old) = &record.compared else { continue };
        table.row(vec![
            record.kernel.clone(),
            place(record),
            time(old.fused_ns_per_element * record.n as f64),
            percent(old.fused_spread),
            time(record.fused()),
            percent(record.fused_spread),
            format!("{:.3}", old.ratio),
            format!("{:.3}", old.copy_ratio),
            match old.verdict {
                Verdict::Faster => "faster".into(),
                Verdict::Same => "within spread".into(),
                Verdict::Slower => "slower".into(),
            },
        ]);
    }
    table
}

/// What the words of [`comparison`] mean.
fn legend_of_comparison(records: &[Record]) -> String {
    let olds: Vec<&Compared> =
        records.iter().filter_map(|record| record.compared.as_ref()).collect();
    let count = |verdict| olds.iter().filter(|old| old.verdict == verdict).count();
    let dates = distinct(olds.iter().map(|old| old.date.clone()));
    format!(
        "Of {}, {} faster, {} slower by more than both spreads together; old figures of {}.\nWhere \
         the copy took another time, too, the machine differed.\n",
        counted(olds.len(), "kernel"),
        count(Verdict::Faster),
        count(Verdict::Slower),
        dates.join(", ")
    )
}

/// Its name, and its size or shape.
pub(super) fn title(record: &Record) -> String {
    format!("{} {}", record.kernel, place(record))
}

fn place(record: &Record) -> String {
    match record.size {
        Some(size) => sizes::shown(size),
        None => format!("{:?}", record.shape),
    }
}

/// The limit that it meets first, and how much of it is reached.
pub(super) fn limit(record: &Record) -> String {
    let copy = record.copy_ns_per_element / record.fused_ns_per_element;
    let (part, of) = match &record.roof {
        Some(roof) => (roof.part, &roof.of[..]),
        None => (copy, "copy"),
    };
    format!("{:.0}% of {of}", 100.0 * part)
}

/// In the order in which they come.
fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}
