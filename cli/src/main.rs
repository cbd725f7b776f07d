//! The binary `kiln`: fused kernels on `.npy` files, from the command line.

mod advise;
mod bench;
mod console;
mod explain;
mod failure;
mod html;
mod interrupt;
mod json;
mod kernel;
mod machine;
mod npy;
mod ops;
mod options;
mod output;
mod plot;
mod progress;
mod roofline;
mod run;
mod shapes;
mod shell;
mod sizes;
mod suites;
mod table;
mod timings;
mod units;

use clap::{CommandFactory, Parser, Subcommand};
use console::{Color, Console, complain};
use failure::Failure;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use timings::Timings;

/// Kiln makes one native SIMD loop of an elementwise expression.
#[derive(Parser)]
#[command(name = "kiln", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    console: Console,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Explain(explain::Explain),
    Bench(bench::Bench),
    Roofline(roofline::Options),
    Advise(advise::Advise),
    Ops(ops::Ops),
    Completions(shell::Completions),
    Man(shell::Man),
}

const AFTER_HELP: &str = "\
KERNEL is one of
  a file      bias_gelu.kiln, ending in .kiln
  an op       @gelu_tanh, an op by its name (kiln ops lists them)
  expression  '0.5*x*(1+erf(x/sqrt(2)))', whose free names are its inputs, or
              '|p, lr, g| p - lr*g', which names them in order;
              one that begins with a minus goes last, after --: kiln explain -- '-x'

Operators, from the loosest: or |, and &, not, < <= > >= == !=, << >>, + -, * / // % @,
- ! ~, ^ **. `//` is floor division, `mod(a, b)` its remainder, and `a % b` has the sign of a;
`#` begins a comment; a number with a point, as 2.0, is a float and meets no integers.

Examples
  kiln run '2*x + b' -i x=x.npy -i b=b.npy -o y.npy
  kiln explain @gelu_tanh --stage fused
  kiln bench @gelu_tanh --shape n=4Mi --threads 1
  kiln advise @gelu_tanh --shape n=4Mi
  kiln ops gelu

Exit status: 0 success, 1 a run failed, 2 the command or its KERNEL is wrong.";

impl Command {
    fn execute(&self, console: &Console) -> Result<(), Failure> {
        match self {
            Command::Run(run) => run.execute(console),
            Command::Explain(explain) => explain.execute(console),
            Command::Bench(bench) => bench.execute(console),
            Command::Roofline(roofline) => roofline.execute(console),
            Command::Advise(advise) => advise.execute(console),
            Command::Ops(ops) => ops.execute(console),
            Command::Completions(completions) => completions.execute(Cli::command(), console),
            Command::Man(man) => man.execute(Cli::command(), console),
        }
    }
}

fn main() -> ExitCode {
    Color::set_early();
    let cli = Cli::parse();
    panic::set_hook(Box::new(|panic| complain(&format!("this is a bug in Kiln, it {panic}"))));
    let timings = cli.console.times_stages().then(Timings::start);
    let done = panic::catch_unwind(AssertUnwindSafe(|| cli.command.execute(&cli.console)));
    timings.inspect(|timings| timings.tell(&cli.console));
    match done {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            failure.message().map(complain);
            failure.exit_code()
        }
        Err(_) => ExitCode::FAILURE,
    }
}
