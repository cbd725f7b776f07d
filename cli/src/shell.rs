//! `kiln completions` and `kiln man`: what shells and `man` show of the commands.

use crate::console::Console;
use crate::failure::Failure;
use clap::{Args, Command};
use clap_complete::{Shell, generate};
use clap_mangen::Man as Page;

/// Print the completions for a shell
#[derive(Args)]
#[command(after_help = "\
Examples
  kiln completions bash > ~/.local/share/bash-completion/completions/kiln
  kiln completions zsh > ~/.zfunc/_kiln
  kiln completions fish > ~/.config/fish/completions/kiln.fish")]
pub(crate) struct Completions {
    shell: Shell,
}

impl Completions {
    pub(crate) fn execute(&self, mut kiln: Command, console: &Console) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut kiln, "kiln", &mut script);
        console.print(&String::from_utf8_lossy(&script))
    }
}

/// Print the man page of kiln, or of one of its commands
#[derive(Args)]
#[command(after_help = "\
Examples
  kiln man | man -l -
  kiln man run > ~/.local/share/man/man1/kiln-run.1")]
pub(crate) struct Man {
    /// A command, such as run
    command: Option<String>,
}

impl Man {
    pub(crate) fn execute(&self, mut kiln: Command, console: &Console) -> Result<(), Failure> {
        kiln.build();
        let command = match &self.command {
            None => kiln,
            Some(name) => {
                let names: Vec<&str> = kiln.get_subcommands().map(Command::get_name).collect();
                let known = kiln.find_subcommand(name).ok_or_else(|| {
                    Failure::Usage(format!("no command {name}; there are {}", names.join(", ")))
                })?;
                // A page is found as `kiln-run`.
                let page = known.clone().display_name(format!("kiln-{name}"));
                page.version(env!("CARGO_PKG_VERSION"))
            }
        };
        let mut page = Vec::new();
        let rendered = Page::new(command).render(&mut page);
        rendered.map_err(|error| Failure::Failed(format!("cannot make the page: {error}")))?;
        console.print(&String::from_utf8_lossy(&page))
    }
}
