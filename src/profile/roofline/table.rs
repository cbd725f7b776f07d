//! The roofs as a table.

use super::bandwidth::{Access, Bandwidth};
use super::level::Level;
use super::{Peak, Roofline};
use std::fmt;

/// Peaks, then bandwidths, each for one thread and for all, with how they were reached.
impl fmt::Display for Roofline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = format!("{} threads", self.threads);
        writeln!(f, "{:<24} {:>9} {all:>10}  by, spread", "peak, GFLOP/s", "1 thread")?;
        for peak in self.peaks.iter().filter(|peak| peak.threads == 1) {
            let same = |other: &&Peak| {
                other.threads > 1 && (other.dtype, other.bits) == (peak.dtype, peak.bits)
            };
            let all = self.peaks.iter().find(same).map(|all| all.gflops);
            let name = format!("{} FMA, {} bits", peak.dtype, peak.bits);
            write!(f, "{name:<24} {:>9.1} {:>10}  {}", peak.gflops, figure(all), peak.by)?;
            writeln!(f, ", {:.1}%", 100.0 * peak.spread)?;
        }
        writeln!(f, "\n{:<24} {:>9} {all:>10}  best way, spread", "bandwidth, GB/s", "1 thread")?;
        for level in &self.levels {
            let name = level.to_string();
            for access in Access::ALL {
                let of = |one: bool| {
                    let mut all = level.bandwidths.iter();
                    all.find(|it| it.access == access && (it.threads == 1) == one)
                };
                let Some(one) = of(true) else { continue };
                let what = format!("{name}, {}", access.name());
                let all = figure(of(false).map(|all| all.gbytes));
                writeln!(f, "{what:<24} {:>9.1} {all:>10}  {}", one.gbytes, how(one))?;
            }
        }
        Ok(())
    }
}

fn how(bandwidth: &Bandwidth) -> String {
    let Bandwidth { way, offset, spread, non_temporal, .. } = bandwidth;
    let mut text = format!("{way}");
    if *offset > 0 {
        text += &format!(", arrays {offset} bytes apart modulo 4 KiB");
    }
    text += &format!(", {:.1}%", 100.0 * spread);
    if let Some(rate) = non_temporal {
        text += &format!("; non-temporal {rate:.1}");
    }
    text
}

fn figure(rate: Option<f64>) -> String {
    rate.map_or("-".into(), |rate| format!("{rate:.1}"))
}

/// `L2 1 MiB`, `memory`.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.bytes {
            Some(bytes) if bytes % (1 << 20) == 0 => write!(f, " {} MiB", bytes >> 20),
            Some(bytes) => write!(f, " {} KiB", bytes >> 10),
            None => Ok(()),
        }
    }
}
