//! Figures over sizes, as a picture.

use super::noisy;
use super::record::Record;
use super::slowest;
use super::tables::{date_and_machine, making};
use crate::failure::Failure;
use crate::machine::Cache;
use crate::plot::{Axis, Border, Chart, Grid, Line, Look, Picture, Scale, Ticks};
use crate::suites::{Shows, Suite};

/// The picture of records of one suite, or of kernels of one command.
pub(super) fn picture(records: &[Record]) -> Picture {
    let suite = records.first().and_then(|record| record.suite.as_deref()).and_then(Suite::find);
    let shows = suite.map_or(Shows::Times, |suite| suite.shows);
    let kernels: Vec<&[Record]> = records.chunk_by(|a, b| a.kernel == b.kernel).collect();
    let notes = notes(records);
    let counts = suite.map_or("n", |suite| suite.counts);
    let charts: Vec<Chart> = match shows {
        Shows::Products => vec![products(&kernels, counts)],
        Shows::Times | Shows::Slowest => {
            let is_one = kernels.len() == 1;
            kernels.iter().map(|records| times(records, counts, is_one)).collect()
        }
        Shows::Flops => kernels.iter().map(|records| flops(records, counts)).collect(),
    };
    match <[Chart; 1]>::try_from(charts) {
        Ok([chart]) => Chart { notes, ..chart }.picture(),
        Err(charts) => {
            let title = match shows {
                Shows::Flops => "GFLOP/s, fused and unfused",
                _ => "Nanoseconds for an element, fused and unfused",
            };
            Grid { title: title.into(), notes, charts }.picture()
        }
    }
}

/// Refuses what no picture is of.
pub(super) fn check<'a>(mut suites: impl Iterator<Item = Option<&'a str>>) -> Result<(), Failure> {
    let Some(first) = suites.next() else { return Ok(()) };
    if suites.any(|suite| suite != first) {
        let why = "--plot draws the kernels of one suite; name one by --suite";
        return Err(Failure::Usage(why.into()));
    }
    match first {
        Some(name) if slowest::is_sought(first) => {
            Err(Failure::Usage(format!("--plot draws figures over sizes, and {name} has none")))
        }
        _ => Ok(()),
    }
}

/// Nanoseconds for an element over sizes. Where there is room, borders tell the size of caches.
fn times(records: &[Record], counts: &str, has_room: bool) -> Chart {
    let line = |label: &str, look: Look, of: fn(&Record) -> f64| Line {
        label: label.into(),
        points: over_sizes(records, of),
        look,
    };
    Chart {
        title: records[0].kernel.clone(),
        notes: Vec::new(),
        x: sizes(counts),
        y: Axis { label: "ns/element".into(), scale: Scale::Log, ticks: Ticks::Plain },
        lines: vec![
            line("fused", Look::Series, |record| record.fused_ns_per_element),
            line("unfused", Look::Series, |record| record.unfused_ns_per_element),
            line("copy", Look::Minor, |record| record.copy_ns_per_element),
        ],
        points: Vec::new(),
        borders: borders(records, has_room),
    }
}

/// FLOPs a second over sizes.
fn flops(records: &[Record], counts: &str) -> Chart {
    let line = |label: &str, of: fn(&Record) -> f64| Line {
        label: label.into(),
        points: over_sizes(records, of),
        look: Look::Series,
    };
    let unfused = |record: &Record| record.flops as f64 / record.unfused();
    let mut lines = vec![line("fused", Record::gflops), line("unfused", unfused)];
    lines.extend(peak(records, &[1.0]));
    Chart {
        title: records[0].kernel.clone(),
        notes: Vec::new(),
        x: sizes(counts),
        y: Axis { label: "GFLOP/s".into(), scale: Scale::Linear, ticks: Ticks::Plain },
        lines,
        points: Vec::new(),
        borders: Vec::new(),
    }
}

/// FLOPs a second over sizes, of products: there is nothing to fuse.
fn products(kernels: &[&[Record]], counts: &str) -> Chart {
    let all: Vec<Record> = kernels.iter().flat_map(|records| records.to_vec()).collect();
    let mut lines: Vec<Line> = kernels
        .iter()
        .map(|records| Line {
            label: records[0].kernel.clone(),
            points: over_sizes(records, Record::gflops),
            look: Look::Series,
        })
        .collect();
    lines.extend(peak(&all, &[0.25, 0.5, 0.75, 1.0]));
    Chart {
        title: "Products of matrices of f32".into(),
        notes: Vec::new(),
        x: sizes(counts),
        y: Axis { label: "GFLOP/s".into(), scale: Scale::Linear, ticks: Ticks::Plain },
        lines,
        points: Vec::new(),
        borders: Vec::new(),
    }
}

fn sizes(counts: &str) -> Axis {
    Axis { label: counts.into(), scale: Scale::Log, ticks: Ticks::Binary }
}

fn over_sizes(records: &[Record], of: impl Fn(&Record) -> f64) -> Vec<(f64, f64)> {
    records.iter().map(|record| (size(record), of(record))).collect()
}

fn size(record: &Record) -> f64 {
    record.size.unwrap_or(record.n) as f64
}

/// The measured peak, and parts of it, from the least to the largest size.
fn peak(records: &[Record], parts: &[f64]) -> Vec<Line> {
    let Some(peak) = records.iter().find_map(|record| record.peak_gflops) else {
        return Vec::new();
    };
    let sizes = || records.iter().map(size);
    let ends = [sizes().fold(f64::INFINITY, f64::min), sizes().fold(0.0, f64::max)];
    let line = |&part: &f64| Line {
        label: match part {
            1.0 => format!("peak {peak:.0} GFLOP/s"),
            _ => format!("{:.0}% of peak", 100.0 * part),
        },
        points: ends.map(|size| (size, part * peak)).to_vec(),
        look: if part == 1.0 { Look::Limit } else { Look::Minor },
    };
    parts.iter().map(line).collect()
}

/// The sizes from which on what fused reads and writes is more than a cache holds.
fn borders(records: &[Record], has_room: bool) -> Vec<Border> {
    let border = |cache: &Cache| {
        let crossed = records.windows(2).find_map(|pair| {
            let [below, above] = [&pair[0], &pair[1]].map(|record| record.bytes_fused as f64);
            let bytes = cache.bytes as f64;
            let along = (bytes / below).ln() / (above / below).ln();
            let [from, to] = [&pair[0], &pair[1]].map(size);
            (below <= bytes && bytes < above).then(|| from * (to / from).powf(along))
        });
        let label = if has_room { cache.to_string() } else { format!("L{}", cache.level) };
        Some(Border { label, at: crossed? })
    };
    records[0].machine.caches.iter().filter_map(border).collect()
}

/// The machine, the day, how it was made, and how well.
fn notes(records: &[Record]) -> Vec<String> {
    let machine = date_and_machine(&records[0]).trim_end().to_string();
    let noise = match noisy(records) {
        0 => String::new(),
        count => format!("; the machine was noisy in {count} of {} figures", records.len()),
    };
    vec![format!("{}; medians of interleaved rounds{noise}", making(records)), machine]
}
