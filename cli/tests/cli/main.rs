//! The binary `kiln`, run for real in a directory of its own.
//!
//! What users read is kept as transcripts in `snapshots/`: the command, its exit status, its output.

mod advise;
mod arrays;
mod bench;
mod console;
mod explain;
mod files;
mod messages;
mod npy;
mod ops;
mod outputs;
mod pages;
mod pictures;
mod roofline;
mod run;
mod timings;

use ndarray::{Array, ArrayD, Dimension};
use npy::Element;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A directory where commands run.
struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(TempDir::new().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Saves an array; arrays in Fortran order are saved so.
    fn save<T: Element, D: Dimension>(&self, name: &str, array: &Array<T, D>) {
        self.write(name, npy::encode(array));
    }

    #[track_caller]
    fn load<T: Element>(&self, name: &str) -> ArrayD<T> {
        npy::decode(&std::fs::read(self.path(name)).expect("a file"))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("a file written");
    }

    /// Names in the directory, sorted.
    fn names(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.args(args).current_dir(self.0.path()).env_remove("RUST_BACKTRACE");
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("kiln runs")
    }

    /// What a command prints; it must succeed and say nothing on stderr.
    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Commands that fail, as a reader of the terminal sees them.
    #[track_caller]
    fn transcript(&self, commands: &[&[&str]]) -> String {
        let mut text = String::new();
        for args in commands {
            let output = self.output(args);
            assert!(output.stdout.is_empty(), "{args:?} prints {:?}", output.stdout);
            let quoted =
                args.iter().map(|arg| match arg.is_empty() || arg.contains([' ', '*', '(']) {
                    true => format!("'{arg}'"),
                    false => (*arg).to_string(),
                });
            text += &format!(
                "$ kiln {}\n{}[exit status {}]\n\n",
                quoted.collect::<Vec<_>>().join(" "),
                String::from_utf8_lossy(&output.stderr),
                output.status.code().expect("no signal"),
            );
        }
        text
    }
}

#[test]
fn version_and_help() {
    let desk = Desk::new();
    assert_eq!(desk.ok(&["--version"]), format!("kiln {}\n", env!("CARGO_PKG_VERSION")));
    let mut help = desk.ok(&["--help"]);
    for command in ["run", "explain", "bench", "roofline", "advise", "ops", "completions", "man"] {
        help += &format!("\n$ kiln {command} --help\n{}", desk.ok(&[command, "--help"]));
    }
    // Emitters come and go with the library.
    let emitters = kiln::EmitterKind::ALL.map(kiln::EmitterKind::name).join(", ");
    insta::assert_snapshot!("help", help.replace(&emitters, "auto, ..."));
}

#[test]
fn notes_are_told_beside_the_result() {
    let desk = Desk::new();
    desk.save("x.npy", &ndarray::array![1f32, 2.0]);
    let run: &[&str] = &["run", "x + x*1e-60", "-i", "x=x.npy", "-o", "y.npy"];
    for args in [run, &["explain", "x + x*1e-60"]] {
        let output = desk.output(args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert!(told.starts_with("note: KERNEL:1:5: the number 1e-60 is 0 in f32\n"), "{told}");
        assert_eq!(told.matches("note").count(), 1);
    }
    assert_eq!(desk.load::<f32>("y.npy"), ndarray::array![1f32, 2.0].into_dyn());
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_is_no_failure() {
    let desk = Desk::new();
    let mut child = desk
        .command(&["explain", "@gelu_tanh"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("kiln runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("kiln ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
