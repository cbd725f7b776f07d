//! What was measured, as a table and as JSON.

use crate::console::TITLE;
use crate::json::print;
use crate::machine::Machine;
use crate::table::Table;
use kiln::profile::{Access, Placed, Roof, Roofline};
use serde::Serialize;

/// Kernels under the roofs of a machine.
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) date: String,
    pub(super) threads: usize,
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
        let Report { machine, date, threads, roofline, placed } = self;
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

    /// The most that a level gives these threads, whatever is read and written.
    pub(super) fn bandwidths(&self) -> impl Iterator<Item = (&str, f64)> {
        self.roofline.levels().iter().filter_map(|level| {
            let of = |access: Access| level.bandwidth(access.part_read(), self.threads);
            let rates = Access::ALL.into_iter().filter_map(of).map(|it| it.gbytes);
            Some((&level.name[..], rates.reduce(f64::max)?))
        })
    }
}

fn roof(place: &Placed) -> &str {
    match &place.roof {
        Roof::Bandwidth { level, .. } => level,
        _ => "compute",
    }
}
