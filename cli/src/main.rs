//! The binary `kiln`: fused kernels on `.npy` files, from the command line.

mod bench;
mod explain;
mod failure;
mod interrupt;
mod kernel;
mod npy;
mod options;
mod output;
mod run;
mod shapes;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::io::{self, ErrorKind, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

/// Kiln makes one native SIMD loop of an elementwise expression.
#[derive(Parser)]
#[command(name = "kiln", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Explain(explain::Explain),
    Bench(bench::Bench),
}

const AFTER_HELP: &str = "\
KERNEL is one of
  a file      bias_gelu.kiln, ending in .kiln
  an op       @gelu_tanh, a derived op or an op by its name
  expression  '0.5*x*(1+erf(x/sqrt(2)))', whose free names are its inputs;
              one that begins with a minus goes last, after --: kiln explain -- '-x'

Operators, from the loosest: or |, and &, not, < <= > >= == !=, << >>, + -, * / // % @,
- ! ~, ^ **. `//` is floor division, `mod(a, b)` its remainder, and `a % b` has the sign of a;
`#` begins a comment; a number with a point, as 2.0, is a float and meets no integers.

Examples
  kiln run '2*x + b' -i x=x.npy -i b=b.npy -o y.npy
  kiln explain @gelu_tanh --stage fused
  kiln bench @gelu_tanh --shape n=4194304 --threads 1

Exit status: 0 success, 1 a run failed, 2 the command or its KERNEL is wrong.";

impl Command {
    /// What to print on success.
    fn execute(&self) -> Result<String, Failure> {
        match self {
            Command::Run(run) => run.execute(),
            Command::Explain(explain) => explain.execute(),
            Command::Bench(bench) => bench.execute(),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    panic::set_hook(Box::new(|panic| complain(&format!("this is a bug in Kiln, it {panic}"))));
    match panic::catch_unwind(AssertUnwindSafe(|| cli.command.execute())) {
        Ok(Ok(text)) => print(&text),
        Ok(Err(failure)) => {
            complain(failure.message());
            failure.exit_code()
        }
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prints the result. A reader that has seen enough and closed the pipe is no failure.
fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format!("cannot write the result: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Tells an error; where even that cannot be written, only the exit status is left.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "error: {message}");
}
