//! What the figures of a report were measured on.

use kiln::internals::cpu::Cpu;
use std::fs::read_to_string;

/// The processor, its cores, vectors and caches, in a line; what the system does not tell is left
/// out.
pub(super) fn machine() -> String {
    let mut parts =
        vec![model().unwrap_or_else(|| format!("an {} processor", std::env::consts::ARCH))];
    if let Ok(threads) = std::thread::available_parallelism() {
        parts.push(format!("{threads} hardware threads"));
    }
    let vectors = match Cpu::host() {
        Cpu { avx512: true, .. } => "AVX-512 (512-bit vectors)",
        Cpu { avx2: true, .. } => "AVX2 (256-bit vectors)",
        _ => "128-bit vectors",
    };
    parts.push(vectors.into());
    parts.extend((0..).map_while(cache).flatten());
    parts.join(", ")
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
fn cache(index: usize) -> Option<Option<String>> {
    let field = |name: &str| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{name}");
        read_to_string(path).ok().map(|text| text.trim().to_string())
    };
    let (level, kind, size) = (field("level")?, field("type")?, field("size")?);
    Some((kind != "Instruction").then(|| format!("L{level} {size}")))
}
