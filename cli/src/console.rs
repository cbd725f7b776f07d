//! Where a command speaks: results on standard output, remarks on standard error.

use crate::failure::Failure;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use std::io::{self, ErrorKind, IsTerminal, Write};

/// A title of a section.
pub(crate) const TITLE: Style = Style::new().bold();
/// A name that a list is about.
pub(crate) const NAME: Style = AnsiColor::Green.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default().bold();

/// How much is said, and in which colours.
#[derive(Args, Clone, Copy)]
#[command(next_help_heading = "Printing")]
pub(crate) struct Console {
    /// When to colour: auto is on a terminal, as NO_COLOR and CLICOLOR_FORCE have it
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true
    )]
    color: Color,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say what is done on the way
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Say how often each stage was entered and how long it took
    #[arg(long, global = true, conflicts_with = "quiet")]
    timings: bool,
}

/// When to colour.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// Looks for `--color` before arguments are parsed: their errors have colours, too.
    pub(crate) fn set_early() {
        let args: Vec<_> = std::env::args_os().take_while(|arg| arg != "--").collect();
        let following = args.windows(2).filter(|pair| pair[0] == "--color").map(|pair| &pair[1]);
        let given = following.filter_map(|arg| arg.to_str());
        let joined = args.iter().filter_map(|arg| arg.to_str()?.strip_prefix("--color="));
        if let Some(color) = given.chain(joined).next()
            && let Ok(color) = Color::from_str(color, false)
        {
            match color {
                Color::Auto => ColorChoice::Auto,
                Color::Always => ColorChoice::Always,
                Color::Never => ColorChoice::Never,
            }
            .write_global();
        }
    }
}

impl Console {
    /// Prints a part of the result.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = AutoStream::auto(io::stdout().lock());
        let printed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        printed.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::NobodyReads,
            _ => Failure::Failed(format!("cannot write the result: {error}")),
        })
    }

    /// Prints what a result that is a file is like.
    pub(crate) fn summary(&self, text: &str) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { self.print(text) }
    }

    /// Says something beside the result. Where that cannot be written, the result still can.
    pub(crate) fn remark(&self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    /// Says something that one may want to know: `note: ..`.
    pub(crate) fn note(&self, text: &str) {
        self.remark(&format!("{NOTE}note:{NOTE:#} {text}\n"));
    }

    /// Says what is done, if asked to.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            say(&format!("{text}\n"));
        }
    }

    /// Whether stages are to be timed.
    pub(crate) fn times_stages(&self) -> bool {
        self.timings
    }

    /// Whether progress can be seen.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

/// `1 kernel`, `2 kernels`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Tells an error; where even that cannot be written, only the exit status is left.
pub(crate) fn complain(message: &str) {
    say(&format!("{ERROR}error:{ERROR:#} {message}\n"));
}

fn say(text: &str) {
    let _ = AutoStream::auto(io::stderr().lock()).write_all(text.as_bytes());
}
