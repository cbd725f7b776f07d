//! The picture: roofs as lines, kernels as points.

use super::report::Report;
use crate::plot::{Axis, Chart, Line, Look, Point, Scale, Ticks};
use kiln::DType;
use kiln::profile::Resources;

pub(super) fn chart(report: &Report, command: &str) -> Chart {
    let Report { machine, date, threads, placed, .. } = report;
    let shown: Vec<_> = placed.iter().filter(|place| place.intensity > 0.0).collect();
    let intensities = || shown.iter().map(|place| place.intensity).filter(|it| it.is_finite());
    // From left of all kernels to right of where the last roof ends.
    let first = intensities().fold(0.1, f64::min) / 4.0;
    let peaks = peaks(report);
    let most = peaks.first().map_or(0.0, |(_, peak)| *peak);
    let ridge = report.bandwidths().map(|(_, rate)| most / rate).fold(1.0, f64::max);
    let last = intensities().fold(3.0 * ridge, f64::max) * 2.0;
    let fastest = report.bandwidths().map(|(_, rate)| rate).fold(0.0, f64::max);
    let mut lines: Vec<Line> = report
        .bandwidths()
        .map(|(level, rate)| Line {
            label: format!("{level} {rate:.0} GB/s"),
            points: vec![(first, first * rate), (most / rate, most)],
            look: Look::Limit,
        })
        .collect();
    lines.extend(peaks.iter().enumerate().map(|(index, (name, peak))| Line {
        label: format!("{name}: {peak:.0} GFLOP/s"),
        points: vec![(peak / fastest, *peak), (last, *peak)],
        look: if index == 0 { Look::Limit } else { Look::Minor },
    }));
    let point = |place: &&kiln::profile::Placed| Point {
        label: place.name.clone(),
        at: (place.intensity, place.gflops),
    };
    let s = if *threads == 1 { "" } else { "s" };
    Chart {
        title: format!("Kernels below the roofs of {threads} thread{s}"),
        notes: vec![format!("{machine}; {date}"), command.to_string()],
        x: Axis { label: "FLOP per byte".into(), scale: Scale::Log, ticks: Ticks::Plain },
        y: Axis { label: "GFLOP/s".into(), scale: Scale::Log, ticks: Ticks::Plain },
        lines,
        points: shown.iter().map(point).collect(),
        borders: Vec::new(),
    }
}

/// The peaks of `f32` and `f64`, and of narrower vectors that are clearly slower; the highest first.
fn peaks(report: &Report) -> Vec<(String, f64)> {
    let mut bits: Vec<u32> = report.roofline.peaks().iter().map(|peak| peak.bits).collect();
    bits.sort_unstable_by(|a, b| b.cmp(a));
    bits.dedup();
    let mut peaks: Vec<(String, f64)> = Vec::new();
    for (dtype, bits) in bits.iter().flat_map(|bits| [(DType::F32, *bits), (DType::F64, *bits)]) {
        let with = Resources { dtype, bits, threads: report.threads };
        let Some(gflops) = report.roofline.peak_of(with) else { continue };
        if peaks.iter().all(|(_, other)| (gflops / other - 1.0).abs() > 0.1) {
            peaks.push((format!("{dtype} FMA, {bits} bits"), gflops));
        }
    }
    peaks.sort_by(|a, b| b.1.total_cmp(&a.1));
    peaks
}
