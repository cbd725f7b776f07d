//! What figures were measured on, and when.

use jiff::Timestamp;
use kiln::internals::cpu::Cpu;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::read_to_string;

/// A machine, as far as its system tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    /// Hardware threads that this process may use.
    pub(crate) hardware_threads: usize,
    /// Bits of its widest vectors that Kiln knows.
    pub(crate) vector_bits: u32,
    /// Of its first processor, from the smallest.
    pub(crate) caches: Vec<Cache>,
}

/// A cache that holds data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cache {
    pub(crate) level: u32,
    pub(crate) bytes: usize,
}

impl Machine {
    /// The one that this runs on.
    pub(crate) fn host() -> Machine {
        let vector_bits = match Cpu::host() {
            Cpu { avx512: true, .. } => 512,
            Cpu { avx2: true, .. } => 256,
            _ => 128,
        };
        Machine {
            processor: model()
                .unwrap_or_else(|| format!("an {} processor", std::env::consts::ARCH)),
            hardware_threads: std::thread::available_parallelism().map_or(1, |count| count.get()),
            vector_bits,
            caches: (0..).map_while(cache).flatten().collect(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { processor, hardware_threads, vector_bits, caches } = self;
        let s = if *hardware_threads == 1 { "" } else { "s" };
        write!(f, "{processor}, {hardware_threads} hardware thread{s}, {vector_bits}-bit vectors")?;
        caches.iter().try_for_each(|cache| write!(f, ", {cache}"))
    }
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cache { level, bytes } = self;
        match bytes {
            _ if bytes.is_multiple_of(1 << 20) => write!(f, "L{level} {} MiB", bytes >> 20),
            _ => write!(f, "L{level} {} KiB", bytes >> 10),
        }
    }
}

fn model() -> Option<String> {
    let text = read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    let model = field("model name")?;
    Some(match (field("cpu family"), field("model\t")) {
        (Some(family), Some(number)) => format!("{model} (family {family}, model {number})"),
        _ => model,
    })
}

/// A cache of the first processor; nothing of one that only holds instructions.
fn cache(index: usize) -> Option<Option<Cache>> {
    let field = |name: &str| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{name}");
        read_to_string(path).ok().map(|text| text.trim().to_string())
    };
    let (level, kind, size) = (field("level")?, field("type")?, field("size")?);
    let bytes = size.strip_suffix('K')?.parse::<usize>().ok()? << 10;
    let level = level.parse().ok()?;
    Some((kind != "Instruction").then_some(Cache { level, bytes }))
}

/// The time by the clock of the system: `2026-11-28 21:36 UTC`.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()
}
