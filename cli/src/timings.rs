//! `--timings`: how long each stage took, by the spans that the library enters.

use crate::console::Console;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher};

/// The times of all stages since it was started.
pub(crate) struct Timings {
    began: Instant,
    stages: Arc<Mutex<Vec<Stage>>>,
}

/// The times of the spans of one name within one other stage, or within none.
struct Stage {
    name: &'static str,
    /// The place of the stage that it is within.
    within: Option<usize>,
    count: u64,
    total: Duration,
}

impl Timings {
    /// From now on, every stage is timed.
    pub(crate) fn start() -> Timings {
        let stages = Arc::<Mutex<Vec<Stage>>>::default();
        let dispatch = Dispatch::new(Stopwatch { stages: stages.clone() });
        dispatcher::set_global_default(dispatch).expect("a process is timed once");
        Timings { began: Instant::now(), stages }
    }

    /// Tells them as a tree, in the order in which the stages first began.
    pub(crate) fn tell(&self, console: &Console) {
        let mut text =
            format!("{:<20} {:>7} {:>12} {:>12}\n", "stage", "count", "total ms", "self ms");
        add_rows(&lock(&self.stages), None, 0, &mut text);
        let _ = writeln!(text, "{:<28} {:>12.3}", "in all", milliseconds(self.began.elapsed()));
        console.remark(&text);
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Adds a row for each stage within this one, each followed by those within it.
fn add_rows(stages: &[Stage], within: Option<usize>, depth: usize, text: &mut String) {
    let below = |at| stages.iter().filter(move |stage| stage.within == Some(at));
    for (at, stage) in stages.iter().enumerate().filter(|(_, stage)| stage.within == within) {
        let itself = stage.total.saturating_sub(below(at).map(|stage| stage.total).sum());
        let _ = writeln!(
            text,
            "{:<20} {:>7} {:>12.3} {:>12.3}",
            format!("{:1$}{2}", "", 2 * depth, stage.name),
            stage.count,
            milliseconds(stage.total),
            milliseconds(itself)
        );
        add_rows(stages, Some(at), depth + 1, text);
    }
}

fn lock(stages: &Mutex<Vec<Stage>>) -> MutexGuard<'_, Vec<Stage>> {
    stages.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds up the times of spans. All spans of a stage have one id, its place plus one.
struct Stopwatch {
    stages: Arc<Mutex<Vec<Stage>>>,
}

thread_local! {
    /// The stages that this thread is in, by their places, and when each began.
    static ENTERED: RefCell<Vec<(usize, Instant)>> = const { RefCell::new(Vec::new()) };
}

impl Subscriber for Stopwatch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == "kiln"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let name = span.metadata().name();
        let within = ENTERED.with_borrow(|entered| entered.last().map(|(at, _)| *at));
        let mut stages = lock(&self.stages);
        let known = stages.iter().position(|stage| stage.name == name && stage.within == within);
        let at = known.unwrap_or_else(|| {
            stages.push(Stage { name, within, count: 0, total: Duration::ZERO });
            stages.len() - 1
        });
        Id::from_u64(at as u64 + 1)
    }

    fn enter(&self, id: &Id) {
        let at = id.into_u64() as usize - 1;
        ENTERED.with_borrow_mut(|entered| entered.push((at, Instant::now())));
    }

    fn exit(&self, _: &Id) {
        let left = ENTERED.with_borrow_mut(Vec::pop);
        if let Some((at, began)) = left {
            let total = began.elapsed();
            let stage = &mut lock(&self.stages)[at];
            stage.count += 1;
            stage.total += total;
        }
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}
}
