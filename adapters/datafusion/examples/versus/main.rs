//! Queries with the rule against DataFusion alone: time, peak memory, rows a second, and whether results agree.
//!
//! `cargo run --release -p kiln-datafusion --example versus -- [--files 8] [--rows 1000000] [--folder DIR]
//! [--cases a,b]`. Sides take turns; each turn is a process of its own, so that its peak of memory is its own.
//! `-- overhead` measures what a call takes beside its kernel, on batches of 8,192 rows, and `-- crossover` from how
//! many rows on a kernel pays that is compiled for one query.

mod crossover;
mod data;
mod overhead;
mod side;

use side::{CASES, Case, Side};
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "overhead") {
        return overhead::measure();
    }
    if arguments.first().is_some_and(|first| first == "crossover") {
        return crossover::measure().await;
    }
    if let [turn, case, side, folder] = arguments.as_slice()
        && turn == "turn"
    {
        let case = CASES.iter().find(|known| known.name == case).ok_or("no such case")?;
        return side::turn(case, Side::of(side)?, folder).await;
    }
    let options = Options::of(&arguments)?;
    let temporary = tempfile::tempdir()?;
    let folder = options.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    data::write_once(&folder, options.files, options.rows)?;
    let rows = (options.files * options.rows) as f64;
    println!("{} Parquet files of {} rows", options.files, options.rows);
    println!("| query | | time, ms | rows/s | peak memory, MiB |\n|---|---|--:|--:|--:|");
    for case in CASES.iter().filter(|case| options.has(case)) {
        let agreement = side::agreement(case, &folder).await?;
        let mut best = [Turn::WORST; 2];
        for _ in 0..options.rounds {
            for (side, best) in [Side::Stock, Side::Fused].into_iter().zip(&mut best) {
                *best = best.better(&Turn::of(case, side, &folder)?);
            }
        }
        for (side, Turn { seconds, peak }) in ["DataFusion", "with Kiln"].into_iter().zip(&best) {
            let (ms, rate) = (seconds * 1e3, rows / seconds / 1e6);
            println!("| {} | {side} | {ms:.0} | {rate:.1} M | {peak:.0} |", case.name);
        }
        println!("| | {:.2} times; {agreement} | | | |", best[0].seconds / best[1].seconds);
    }
    Ok(())
}

struct Options {
    files: usize,
    rows: usize,
    rounds: usize,
    folder: Option<PathBuf>,
    cases: Vec<String>,
}

impl Options {
    fn of(arguments: &[String]) -> Result<Options> {
        let mut options =
            Options { files: 8, rows: 1_000_000, rounds: 3, folder: None, cases: Vec::new() };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else { return Err(format!("{} of what?", pair[0]).into()) };
            match name.as_str() {
                "--files" => options.files = value.parse()?,
                "--rows" => options.rows = value.parse()?,
                "--rounds" => options.rounds = value.parse()?,
                "--folder" => options.folder = Some(value.into()),
                "--cases" => options.cases = value.split(',').map(str::to_owned).collect(),
                _ => return Err(format!("no option is called {name}").into()),
            }
        }
        Ok(options)
    }

    fn has(&self, case: &Case) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|name| name == case.name)
    }
}

/// What a process measured.
#[derive(Clone, Copy)]
struct Turn {
    seconds: f64,
    /// In MiB.
    peak: f64,
}

impl Turn {
    const WORST: Turn = Turn { seconds: f64::INFINITY, peak: f64::INFINITY };

    fn of(case: &Case, side: Side, folder: &std::path::Path) -> Result<Turn> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["turn", case.name, side.name()]).arg(folder);
        let output = command.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let text = String::from_utf8(output.stdout)?;
        let mut numbers = text.split_whitespace().map(str::parse::<f64>);
        let mut next = || numbers.next().ok_or("a turn without numbers");
        Ok(Turn { seconds: next()??, peak: next()?? })
    }

    fn better(&self, other: &Turn) -> Turn {
        Turn { seconds: self.seconds.min(other.seconds), peak: self.peak.min(other.peak) }
    }
}
