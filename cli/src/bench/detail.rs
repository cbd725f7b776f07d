//! All that one record tells.

use super::difference::Difference;
use super::record::{Input, Record};
use super::tables::{date_and_machine, limit};
use crate::console::counted;
use crate::units::percent;

/// Fused, unfused and the copy, a line each, and how far results are apart.
pub(super) fn detail(record: &Record) -> String {
    let Record { kernel, shape, mode, threads, compile_ms, .. } = record;
    let inputs: Vec<String> = record.inputs.iter().map(Input::to_string).collect();
    let mut text = format!(
        "{kernel}({}) -> {shape:?}: {mode}, {}, {}, compiled in {compile_ms:.3} ms\n{}\n\
         {:<8} {:>7} {:>11} {:>7} {:>9} {:>10} {:>9}\n",
        inputs.join(", "),
        record.emitter(),
        counted(*threads, "thread"),
        date_and_machine(record),
        "",
        "kernels",
        "ns/element",
        "spread",
        "GB/s",
        "MB moved",
        "time"
    );
    let fused = record.fused_ns_per_element;
    let rows = [
        (
            "fused",
            record.kernels_fused.to_string(),
            fused,
            record.fused_spread,
            record.bytes_fused,
            1.0,
        ),
        (
            "unfused",
            record.kernels_unfused.to_string(),
            record.unfused_ns_per_element,
            record.unfused_spread,
            record.bytes_unfused,
            record.unfused_over_fused,
        ),
        (
            "copy",
            "-".into(),
            record.copy_ns_per_element,
            record.copy_spread,
            record.bytes_fused,
            record.copy_ns_per_element / fused,
        ),
    ];
    for (label, kernels, per_element, spread, bytes, ratio) in rows {
        text += &format!(
            "{label:<8} {kernels:>7} {per_element:>11.4} {:>7} {:>9.2} {:>10.3} {ratio:>8.2}x\n",
            percent(spread),
            bytes as f64 / (per_element * record.n as f64),
            bytes as f64 / 1e6,
        );
    }
    let difference = Difference {
        abs: record.max_abs_diff,
        ulp: record.max_ulp_diff,
        most: record.max_ulp_at.clone(),
    };
    text + &format!(
        "\nmedians of {} interleaved rounds, half of which lie within the spread; time is relative to \
         fused\ncopied by {}, the fastest of several ways\n{}{difference}\n",
        record.rounds,
        record.copied_by,
        roof(record),
    )
}

/// How near fused is to the roof that binds it, a line.
fn roof(record: &Record) -> String {
    let Some(roof) = &record.roof else { return String::new() };
    let (unit, does) = match &roof.of[..] {
        "peak" => ("GFLOP/s", record.gflops()),
        _ => ("GB/s", record.bandwidth()),
    };
    format!(
        "fused does {does:.1} {unit}, {} ({:.1} {unit}, {})\n",
        limit(record),
        roof.giga,
        roof.by
    )
}
