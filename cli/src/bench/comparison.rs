//! One kernel fused, unfused and beside a copy: what was measured, as a table, as JSON and as a row.

use super::difference::{Difference, Place};
use crate::json::print;
use serde::Serialize;
use std::time::Duration;

/// The object that `kiln bench --json` prints.
#[derive(Serialize)]
struct Object<'a> {
    command: &'static str,
    kernel: &'a str,
    n: usize,
    shape: &'a [usize],
    mode: &'a str,
    emitter: Option<&'a str>,
    width: Option<u32>,
    threads: usize,
    fused_ns_per_element: f64,
    unfused_ns_per_element: f64,
    copy_ns_per_element: f64,
    kernels_fused: usize,
    kernels_unfused: usize,
    bytes_fused: usize,
    bytes_unfused: usize,
    ops_fused: usize,
    ops_unfused: usize,
    max_abs_diff: f64,
    max_ulp_diff: u64,
    max_ulp_at: Option<&'a Place>,
    compile_ms: f64,
    rounds: usize,
}

/// What one comparison found.
pub(super) struct Comparison {
    pub(super) name: String,
    pub(super) inputs: Vec<String>,
    pub(super) shape: Vec<usize>,
    pub(super) n: usize,
    pub(super) mode: String,
    pub(super) emitter: Option<(String, u32)>,
    pub(super) threads: usize,
    /// Of the fused and of the unfused program.
    pub(super) kernels: [usize; 2],
    pub(super) bytes: [usize; 2],
    pub(super) ops: [usize; 2],
    /// Nanoseconds of a call: fused, unfused, copy.
    pub(super) times: [f64; 3],
    pub(super) rounds: usize,
    pub(super) difference: Difference,
    pub(super) compile: Duration,
}

impl Comparison {
    fn per_element(&self) -> [f64; 3] {
        self.times.map(|time| time / self.n as f64)
    }

    pub(super) fn table(&self) -> String {
        let Comparison { name, inputs, shape, mode, threads, rounds, .. } = self;
        let emitter = self.emitter.as_ref();
        let emitter = emitter.map_or("matmul".into(), |(name, bits)| format!("{name} {bits}-bit"));
        let s = if *threads == 1 { "" } else { "s" };
        let mut text = format!(
            "{name}({}) -> {shape:?}: {mode}, {emitter}, {threads} thread{s}, compiled in {:.3?}\n\n\
             {:<8} {:>7} {:>11} {:>9} {:>10} {:>9}\n",
            inputs.join(", "),
            self.compile,
            "",
            "kernels",
            "ns/element",
            "GB/s",
            "MB moved",
            "time"
        );
        let per_element = self.per_element();
        let bytes = [self.bytes[0], self.bytes[1], self.bytes[0]];
        let kernels = [self.kernels[0].to_string(), self.kernels[1].to_string(), "-".into()];
        for (index, label) in ["fused", "unfused", "copy"].into_iter().enumerate() {
            text += &format!(
                "{label:<8} {:>7} {:>11.4} {:>9.2} {:>10.3} {:>8.2}x\n",
                kernels[index],
                per_element[index],
                bytes[index] as f64 / self.times[index],
                bytes[index] as f64 / 1e6,
                self.times[index] / self.times[0],
            );
        }
        let difference = &self.difference;
        text + &format!(
            "\nmedians of {rounds} interleaved rounds; time is relative to fused\n{difference}\n"
        )
    }

    pub(super) fn json(&self) -> String {
        let [fused, unfused, copy] = self.per_element();
        let (emitter, width) = self.emitter.as_ref().map(|(name, bits)| (&name[..], *bits)).unzip();
        print(&Object {
            command: "bench",
            kernel: &self.name,
            n: self.n,
            shape: &self.shape,
            mode: &self.mode,
            emitter,
            width,
            threads: self.threads,
            fused_ns_per_element: fused,
            unfused_ns_per_element: unfused,
            copy_ns_per_element: copy,
            kernels_fused: self.kernels[0],
            kernels_unfused: self.kernels[1],
            bytes_fused: self.bytes[0],
            bytes_unfused: self.bytes[1],
            ops_fused: self.ops[0],
            ops_unfused: self.ops[1],
            max_abs_diff: self.difference.abs,
            max_ulp_diff: self.difference.ulp,
            max_ulp_at: self.difference.most.as_ref(),
            compile_ms: self.compile.as_secs_f64() * 1e3,
            rounds: self.rounds,
        })
    }

    /// The head of a table with a row for each op: all have the same shape, mode and threads.
    pub(super) fn suite_head(&self) -> String {
        let Comparison { shape, mode, threads, .. } = self;
        let s = if *threads == 1 { "" } else { "s" };
        format!(
            "every derived op, {shape:?}: {mode}, {threads} thread{s}; ns/element\n\n\
             {:<14} {:>8} {:>9} {:>9} {:>9} {:>14} {:>11}\n",
            "", "kernels", "fused", "unfused", "copy", "unfused/fused", "fused/copy"
        )
    }

    /// Its row, with the number of its kernels unfused.
    pub(super) fn suite_row(&self) -> String {
        let [fused, unfused, copy] = self.per_element();
        format!(
            "{:<14} {:>8} {fused:>9.4} {unfused:>9.4} {copy:>9.4} {:>13.2}x {:>10.2}x\n",
            self.name,
            self.kernels[1],
            unfused / fused,
            fused / copy,
        )
    }
}
