//! Progress on a terminal, of whatever takes over a second.

use crate::console::Console;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Read;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is going on. It disappears when this is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Shows the bar after a while, unless it is stopped before.
    timer: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Of so many steps.
    pub(crate) fn of_steps(console: &Console, steps: u64) -> Progress {
        Progress::new(console, Some(steps), "{bar:24} {pos}/{len} {msg} {elapsed}")
    }

    /// Of so many bytes.
    pub(crate) fn of_bytes(console: &Console, bytes: u64) -> Progress {
        Progress::new(console, Some(bytes), "{bar:24} {bytes}/{total_bytes} {msg}")
    }

    /// Of something that has no parts.
    pub(crate) fn of_one(console: &Console) -> Progress {
        Progress::new(console, None, "{spinner} {msg} {elapsed}")
    }

    fn new(console: &Console, length: Option<u64>, template: &str) -> Progress {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        if !console.shows_progress() {
            return Progress { bar, timer: None };
        }
        bar.set_style(ProgressStyle::with_template(template).expect("a template of indicatif"));
        let (stop, stopped) = channel();
        let shown = bar.clone();
        let show = move || {
            if stopped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(Duration::from_millis(100));
            }
        };
        let timer = Builder::new().spawn(show).ok().map(|thread| (stop, thread));
        Progress { bar, timer }
    }

    /// Says what is being done.
    pub(crate) fn at(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }

    /// A step is done.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// Counts the bytes that are read.
    pub(crate) fn watch<R: Read>(&self, stream: R) -> impl Read {
        self.bar.wrap_read(stream)
    }

    /// Prints something above it.
    pub(crate) fn pause<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.timer.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}
