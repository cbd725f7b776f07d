//! Runs the differential test; `--help` says how.

use clap::Parser;

fn main() {
    std::process::exit(kiln_differential::Cli::parse().run());
}
