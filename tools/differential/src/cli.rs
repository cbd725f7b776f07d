//! The command line.

use crate::check::{Plan, catch_messages, check};
use crate::replay;
use crate::run::{Report, Settings, run_with};
use crate::shrink::shrink;
use clap::Parser;
use std::path::PathBuf;

/// Compiles random graphs in every way, and compares what they give.
#[derive(Debug, Parser)]
pub struct Cli {
    /// The first case.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many cases.
    #[arg(long, default_value_t = 10_000)]
    count: u64,
    /// Threads that try cases.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Kinds of failures that are counted but not shrunk, by how their names begin.
    #[arg(long, value_delimiter = ',')]
    skip: Vec<String>,
    /// Rules of the algebra whose failures are known.
    #[arg(long, value_delimiter = ',')]
    known_rules: Vec<String>,
    /// The most failures of one kind that are shrunk.
    #[arg(long, default_value_t = 1000)]
    most: usize,
    /// Only byte strides that are multiples of the element size.
    #[arg(long)]
    aligned: bool,
    /// Proves every graph, and counts the rules that fire.
    #[arg(long)]
    coverage: bool,
    /// Tries a failure as it was printed.
    #[arg(long)]
    replay: Option<PathBuf>,
}

impl Cli {
    /// Runs it; the result is the exit status.
    pub fn run(&self) -> i32 {
        if let Some(path) = &self.replay {
            return replay_file(path);
        }
        let report = run_with(&Settings {
            seed: self.seed,
            count: self.count,
            threads: self.threads,
            skip: self.skip.clone(),
            known_rules: self.known_rules.clone(),
            most: self.most,
            aligned: self.aligned,
            coverage: self.coverage,
            progress: true,
        });
        print(&report, self.coverage);
        i32::from(!report.failures.is_empty())
    }
}

fn print(report: &Report, coverage: bool) {
    println!("{} cases, {} kernels beside those as written", report.cases, report.kernels);
    for (op, count) in &report.ops {
        print!("{op} {count}  ");
    }
    println!();
    if coverage {
        for (name, count) in &report.rules {
            print!("{name} {count}  ");
        }
        println!();
        let fired = |name: &str| report.rules.contains_key(name);
        let never: Vec<&str> =
            kiln::internals::rules().map(|(name, _)| name).filter(|name| !fired(name)).collect();
        println!("rules in no proof: {}", never.join(" "));
    }
    for (kind, count) in &report.failures {
        println!("{count:>8}  {kind}");
    }
    for (kind, count) in &report.excused {
        println!("{count:>8}  {kind}, of a repair");
    }
    println!("{} distinct causes", report.distinct.len());
}

fn replay_file(path: &PathBuf) -> i32 {
    let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let (case, plan) = match read.and_then(|text| replay::read(&text)) {
        Ok(read) => read,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            return 2;
        }
    };
    catch_messages();
    let whole = Plan { layouts: plan.layouts.clone(), ..Plan::full(&case) };
    match check(&case, &plan).map(|f| (f, plan)).or_else(|| Some((check(&case, &whole)?, whole))) {
        Some((failure, plan)) => {
            let (case, plan, failure) = shrink(&case, &plan, failure);
            println!("{}", replay::print(&case, &plan, &failure, 0));
            1
        }
        None => {
            println!("nothing is wrong with it now");
            0
        }
    }
}
