//! What was measured, as a table and as JSON.

use super::picture::Picture;
use crate::console::TITLE;
use crate::json::print;
use crate::machine::Machine;
use crate::table::Table;
use kiln::DType;
use kiln::profile::{Access, Placed, Resources, Roof, Roofline};
use serde::Serialize;

/// Kernels under the roofs of a machine.
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) date: String,
    pub(super) threads: usize,
    /// Whether something else ran meanwhile.
    pub(super) noisy: bool,
    pub(super) roofline: &'static Roofline,
    pub(super) placed: Vec<Placed>,
}

/// The object that `kiln roofline --json` prints.
#[derive(Serialize)]
struct Object<'a> {
    command: &'static str,
    machine: &'a Machine,
    date: &'a str,
    threads: usize,
    peaks: Vec<PeakObject>,
    levels: Vec<LevelObject<'a>>,
    kernels: Vec<KernelObject<'a>>,
}

#[derive(Serialize)]
struct PeakObject {
    dtype: &'static str,
    bits: u32,
    threads: usize,
    gflops: f64,
    spread: f64,
    by: &'static str,
}

#[derive(Serialize)]
struct LevelObject<'a> {
    name: &'a str,
    bytes: Option<usize>,
    bandwidths: Vec<BandwidthObject>,
}

#[derive(Serialize)]
struct BandwidthObject {
    access: &'static str,
    threads: usize,
    gbytes: f64,
    spread: f64,
    way: String,
    offset: usize,
    non_temporal_gbytes: Option<f64>,
}

#[derive(Serialize)]
struct KernelObject<'a> {
    kernel: &'a str,
    /// A level's name, or `"compute"`.
    roof: &'a str,
    intensity: f64,
    gflops: f64,
    attainable_gflops: f64,
    gbytes: f64,
    attainable_gbytes: f64,
    part: f64,
    spread: f64,
}

impl Report {
    pub(super) fn table(&self) -> String {
        let Report { machine, date, threads, roofline, placed, .. } = self;
        let mut table = Table::new([
            "",
            "FLOP/byte",
            "GFLOP/s",
            "at most",
            "GB/s",
            "at most",
            "reached",
            "spread",
            "roof",
        ]);
        for place in placed {
            let figures =
                [place.gflops, place.attainable_gflops(), place.gbytes, place.attainable_gbytes()];
            let mut cells = vec![place.name.clone(), format!("{:.3}", place.intensity)];
            cells.extend(figures.map(|figure| format!("{figure:.1}")));
            cells.push(format!("{:.0}%", 100.0 * place.part));
            cells.push(format!("{:.1}%", 100.0 * place.spread));
            cells.push(roof(place).into());
            table.row(cells);
        }
        let s = if *threads == 1 { "" } else { "s" };
        let mut text = format!("{machine}; {date}\n\n{roofline}\n");
        text += &format!("{TITLE}{threads} thread{s}, medians{TITLE:#}\n{}\n", table.plain());
        placed.iter().for_each(|place| text += &format!("{place}\n"));
        text
    }

    pub(super) fn json(&self) -> String {
        let peak = |peak: &kiln::profile::Peak| PeakObject {
            dtype: peak.dtype.name(),
            bits: peak.bits,
            threads: peak.threads,
            gflops: peak.gflops,
            spread: peak.spread,
            by: peak.by,
        };
        let bandwidth = |it: &kiln::profile::Bandwidth| BandwidthObject {
            access: it.access.name(),
            threads: it.threads,
            gbytes: it.gbytes,
            spread: it.spread,
            way: it.way.to_string(),
            offset: it.offset,
            non_temporal_gbytes: it.non_temporal,
        };
        let levels = self.roofline.levels().iter().map(|level| LevelObject {
            name: &level.name,
            bytes: level.bytes,
            bandwidths: level.bandwidths.iter().map(bandwidth).collect(),
        });
        let kernels = self.placed.iter().map(|place| KernelObject {
            kernel: &place.name,
            roof: roof(place),
            intensity: place.intensity,
            gflops: place.gflops,
            attainable_gflops: place.attainable_gflops(),
            gbytes: place.gbytes,
            attainable_gbytes: place.attainable_gbytes(),
            part: place.part,
            spread: place.spread,
        });
        print(&Object {
            command: "roofline",
            machine: &self.machine,
            date: &self.date,
            threads: self.threads,
            peaks: self.roofline.peaks().iter().map(peak).collect(),
            levels: levels.collect(),
            kernels: kernels.collect(),
        })
    }

    /// What is drawn of it; the command is in the small print.
    pub(super) fn picture(&self, command: String) -> Picture {
        let Report { machine, date, threads, noisy, placed, .. } = self;
        let noise = if *noisy { "; something else ran meanwhile" } else { "" };
        let s = if *threads == 1 { "" } else { "s" };
        Picture {
            title: format!("Kernels below the roofs of {threads} thread{s}"),
            notes: vec![format!("{machine}; {date}"), format!("{command}{noise}")],
            bandwidths: self.bandwidths(),
            peaks: self.peaks(),
            kernels: placed
                .iter()
                .map(|place| (place.name.clone(), place.intensity, place.gflops))
                .collect(),
        }
    }

    /// The most that a level gives these threads, whatever is read and written.
    fn bandwidths(&self) -> Vec<(String, f64)> {
        let levels = self.roofline.levels().iter();
        let most = levels.filter_map(|level| {
            let of = |access: Access| level.bandwidth(access.part_read(), self.threads);
            let rates = Access::ALL.into_iter().filter_map(of).map(|it| it.gbytes);
            Some((level.name.clone(), rates.reduce(f64::max)?))
        });
        most.collect()
    }

    /// The peak of `f32` for each width that is clearly slower than wider ones, and that of `f64`; the
    /// narrowest vectors only where there are no others.
    fn peaks(&self) -> Vec<(String, f64)> {
        const CLEARLY: f64 = 0.8;
        let mut bits: Vec<u32> = self.roofline.peaks().iter().map(|peak| peak.bits).collect();
        bits.sort_unstable_by(|a, b| b.cmp(a));
        bits.dedup();
        if bits.len() > 1 {
            bits.retain(|&bits| bits > 128);
        }
        let peak = |dtype: DType, bits: u32| {
            let with = Resources { dtype, bits, threads: self.threads };
            let gflops = self.roofline.peak_of(with)?;
            Some((format!("{dtype} FMA, {bits} bits"), gflops))
        };
        let mut peaks: Vec<(String, f64)> = Vec::new();
        for (name, gflops) in bits.iter().filter_map(|&bits| peak(DType::F32, bits)) {
            if peaks.last().is_none_or(|(_, wider)| gflops < CLEARLY * wider) {
                peaks.push((name, gflops));
            }
        }
        peaks.extend(bits.first().and_then(|&bits| peak(DType::F64, bits)));
        peaks
    }
}

fn roof(place: &Placed) -> &str {
    match &place.roof {
        Roof::Bandwidth { level, .. } => level,
        _ => "compute",
    }
}
