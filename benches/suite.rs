//! The benchmark suite: whatever is compared takes turns in one run, and ratios are what counts.
//!
//! ```sh
//! cargo bench --bench suite                                  # everything: some ten minutes, 6 GB
//! cargo bench --bench suite -- --quick                       # 4 Ki and 256 Ki: a quarter minute
//! cargo bench --bench suite -- intrinsics emitters --quick   # these sections
//! ```
//!
//! A time is the median over all rounds; a ratio is the median of the ratios of each round, so that
//! it holds on a machine that others use too. Nothing here fails for being slow. Other libraries are
//! measured by `benches/peers`.

#[cfg(target_arch = "x86_64")]
#[path = "suite/by_hand.rs"]
mod by_hand;
#[path = "suite/calls.rs"]
mod calls;
#[path = "suite/intrinsics.rs"]
mod intrinsics;
#[path = "suite/kernels.rs"]
mod kernels;
#[path = "suite/ops.rs"]
mod ops;
#[path = "suite/running.rs"]
mod running;
#[path = "suite/table.rs"]
mod table;

use std::time::Duration;

/// How thorough to be.
#[derive(Clone, Copy)]
pub(crate) struct Suite {
    quick: bool,
}

impl Suite {
    /// The sizes to measure, out of all.
    fn sizes(self, all: &[usize]) -> Vec<usize> {
        let most = if self.quick { 256 << 10 } else { usize::MAX };
        all.iter().copied().filter(|&size| size <= most).collect()
    }

    /// How long a race may take: one with more at stake has a larger share.
    fn budget(self, share: u32) -> Duration {
        Duration::from_millis(if self.quick { 60 } else { 250 }) * share
    }
}

type Section = (&'static str, fn(Suite));

const SECTIONS: [Section; 10] = [
    ("intrinsics", intrinsics::intrinsics),
    ("emitters", ops::emitters_compared),
    ("broadcast", ops::broadcast),
    ("overhead", ops::overhead),
    ("calls", calls::calls),
    ("memory", running::memory),
    ("layout", running::layout),
    ("threads", running::threads),
    ("compile", ops::compile_time),
    ("derived", ops::derived),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` says so; `cargo test --benches` does not, and wants to know only that it runs.
    if !arguments.iter().any(|argument| argument == "--bench") {
        eprintln!("nothing measured: run it by `cargo bench --bench suite`");
        return;
    }
    let mut suite = Suite { quick: false };
    let mut chosen: Vec<Section> = Vec::new();
    for argument in &arguments {
        let section = SECTIONS.iter().find(|(name, _)| name == argument);
        match (&argument[..], section) {
            ("--bench", _) => {}
            ("--quick", _) => suite.quick = true,
            (_, Some(section)) => chosen.push(*section),
            _ => {
                let names = SECTIONS.map(|(name, _)| name).join(", ");
                eprintln!("unknown argument {argument}: give --quick, or sections: {names}");
                std::process::exit(2);
            }
        }
    }
    let chosen = if chosen.is_empty() { SECTIONS.to_vec() } else { chosen };
    for (_, section) in chosen {
        section(suite);
    }
}
