//! The timer: candidates take turns in one run, so that whatever disturbs the machine disturbs all
//! of them, and the table that it fills.

use std::time::{Duration, Instant};

/// Candidates to be measured against each other.
#[derive(Default)]
pub(crate) struct Race<'a> {
    calls: Vec<Box<dyn FnMut() + 'a>>,
}

/// Nanoseconds of a call: one row a candidate, one sample a round.
pub(crate) struct Times(Vec<Vec<f64>>);

impl<'a> Race<'a> {
    /// Adds a candidate. They are numbered as they come.
    pub(crate) fn add(&mut self, call: impl FnMut() + 'a) {
        self.calls.push(Box::new(call));
    }

    /// Calls all in turn, round by round, for about so long.
    pub(crate) fn run(self, budget: Duration) -> Times {
        self.run_with(budget, None)
    }

    /// The same, one call at a time, after a pause of so many microseconds without sleep.
    pub(crate) fn run_apart(self, budget: Duration, pause: u64) -> Times {
        self.run_with(budget, Some(Duration::from_micros(pause)))
    }

    fn run_with(mut self, budget: Duration, pause: Option<Duration>) -> Times {
        /// Long enough for the clock.
        const SAMPLE: Duration = Duration::from_micros(50);
        const ROUNDS: std::ops::RangeInclusive<usize> = 3..=301;
        let start = Instant::now();
        let repeats = self.calls.iter_mut().map(|call| {
            call(); // touches every page
            let once = Instant::now();
            call();
            let fitting = SAMPLE.as_nanos() / once.elapsed().as_nanos().max(1);
            if pause.is_some() { 1 } else { fitting.clamp(1, 10_000) }
        });
        let repeats: Vec<u128> = repeats.collect();
        let mut samples = vec![Vec::new(); self.calls.len()];
        let mut rounds = 0;
        while rounds < *ROUNDS.start() || (rounds < *ROUNDS.end() && start.elapsed() < budget) {
            for ((call, &repeats), samples) in self.calls.iter_mut().zip(&repeats).zip(&mut samples)
            {
                let paused = Instant::now();
                while pause.is_some_and(|pause| paused.elapsed() < pause) {
                    std::hint::spin_loop();
                }
                let once = Instant::now();
                for _ in 0..repeats {
                    call();
                }
                samples.push(once.elapsed().as_nanos() as f64 / repeats as f64);
            }
            rounds += 1;
        }
        Times(samples)
    }
}

impl Times {
    /// The median time of a call in nanoseconds.
    pub(crate) fn median(&self, candidate: usize) -> f64 {
        median(self.0[candidate].clone())
    }

    /// How many times longer a call takes than one of `than`: the median of the ratios of each
    /// round, which a disturbance of some rounds does not move.
    pub(crate) fn ratio(&self, candidate: usize, than: usize) -> f64 {
        median(self.0[candidate].iter().zip(&self.0[than]).map(|(a, b)| a / b).collect())
    }

    /// The fastest of some candidates.
    pub(crate) fn fastest(&self, candidates: impl IntoIterator<Item = usize>) -> usize {
        let by_median = |a: &usize, b: &usize| self.median(*a).total_cmp(&self.median(*b));
        candidates.into_iter().min_by(by_median).expect("there are candidates")
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// A table that is printed row by row, as the rows are measured.
pub(crate) struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Prints what the table shows and its header. The first column is `wide` characters wide.
    pub(crate) fn new(section: &str, note: &str, wide: usize, columns: &[&str]) -> Table {
        println!("\n== {section}: {note}\n");
        let width = |(at, name): (usize, &&str)| if at == 0 { wide } else { name.len().max(7) };
        let table = Table { widths: columns.iter().enumerate().map(width).collect() };
        table.row(&columns.iter().map(|&name| Cell::Text(name.into())).collect::<Vec<_>>());
        table
    }

    pub(crate) fn row(&self, cells: &[Cell]) {
        let mut line = String::new();
        for (at, (cell, &width)) in cells.iter().zip(&self.widths).enumerate() {
            let text = cell.to_string();
            line += &if at == 0 { format!("{text:<width$}") } else { format!("  {text:>width$}") };
        }
        println!("{}", line.trim_end());
    }
}

/// What a table shows.
pub(crate) enum Cell {
    Text(String),
    /// Nanoseconds or microseconds, as the header says.
    Time(f64),
    /// How many times more.
    Ratio(f64),
    /// A power of two, such as 256 Ki.
    Size(usize),
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cell::Text(text) => f.write_str(text),
            Cell::Time(time) if *time < 10.0 => write!(f, "{time:.3}"),
            Cell::Time(time) => write!(f, "{time:.1}"),
            Cell::Ratio(ratio) => write!(f, "{ratio:.2}x"),
            Cell::Size(size) if *size >= 1 << 20 => write!(f, "{} Mi", size >> 20),
            Cell::Size(size) if *size >= 1 << 10 => write!(f, "{} Ki", size >> 10),
            Cell::Size(size) => write!(f, "{size}"),
        }
    }
}
