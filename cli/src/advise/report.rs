//! What is said of it: a list of advice and a table of what was measured, or JSON.

use super::measure::{Error, Outcome};
use super::technique::{Technique, Trial};
use super::verdict::{Judgement, Verdict};
use super::{Advice, Goal, Subject};
use crate::json::{Array, print};
use crate::machine::{Machine, now};
use crate::table::Table;
use crate::units::{percent, time};
use kiln::profile::{Placed, Profile, Profiles, Roof};
use serde::Serialize;
use std::time::Duration;

pub(super) struct Report<'a> {
    pub(super) subject: &'a Subject,
    /// The default's is the first.
    pub(super) profiles: &'a Profiles,
    /// `None` where the machine was not measured.
    pub(super) bound: Option<Placed>,
    /// The most urgent first.
    pub(super) advice: Vec<Advice>,
}

/// The object that `kiln advise --json` prints.
#[derive(Serialize)]
struct Object<'a> {
    command: &'static str,
    kernel: &'a str,
    goal: &'static str,
    date: String,
    machine: Machine,
    inputs: Vec<Array<'a>>,
    threads: usize,
    emitter: Option<String>,
    width: Option<u32>,
    rounds: usize,
    default: Figures<'a>,
    intensity: f64,
    bound: Option<Bound>,
    advice: Vec<Row<'a>>,
}

/// What was measured of one kernel.
#[derive(Serialize)]
struct Figures<'a> {
    label: &'a str,
    ns: f64,
    spread: f64,
    speed_up: f64,
    memory: u64,
    bytes: u64,
    compile_ms: f64,
    error: Option<Error>,
}

#[derive(Serialize)]
struct Bound {
    /// `"compute"`, or the name of a level of memory.
    by: String,
    /// The part of the roof that is reached.
    part: f64,
}

#[derive(Serialize)]
struct Row<'a> {
    technique: &'static str,
    verdict: Verdict,
    gain: Option<f64>,
    words: String,
    trials: Vec<Figures<'a>>,
}

impl Report<'_> {
    pub(super) fn text(&self) -> String {
        let default = &self.profiles[0];
        let inputs = self.subject.graph.inputs().iter().zip(&self.subject.shapes);
        let inputs: Vec<String> = inputs
            .map(|(input, shape)| format!("{}: {}{shape:?}", input.name, input.dtype))
            .collect();
        let emitter = match self.subject.default.kernel.emitter() {
            Some((emitter, bits)) => format!("{emitter} {bits}-bit"),
            None => "calls alone".into(),
        };
        let threads = crate::console::counted(self.subject.threads, "thread");
        let mut text = format!(
            "{}({}): {} a call, precise, {emitter}, {threads}\n{} on {}\n{}\n\n",
            self.subject.graph.name(),
            inputs.join(", "),
            time(default.latency().median()),
            now(),
            Machine::host(),
            self.bound(),
        );
        text += &format!("For {}:\n", self.goal());
        for (number, advice) in (1..).zip(&self.advice) {
            let (name, verdict) = (advice.technique.name, advice.verdict().words());
            text += &format!("{number}. {name}: {verdict}. {}\n", self.words(advice));
        }
        text + "\n" + &self.table()
    }

    fn goal(&self) -> &'static str {
        match self.subject.goal {
            Goal::Latency => "latency",
            Goal::Throughput => "throughput",
            Goal::Memory => "memory",
        }
    }

    /// What binds the default.
    fn bound(&self) -> String {
        match &self.bound {
            Some(placed) => {
                let helps = match placed.roof {
                    Roof::Bandwidth { .. } => "Fewer bytes help: fusion, narrower storage",
                    _ => {
                        "Less arithmetic helps, and doing more at once: rewriting, vectors, threads"
                    }
                };
                let mut it = placed.clone();
                it.name = "It".into();
                format!("{it}.\n{helps}.")
            }
            None => {
                let intensity = self.profiles[0].counts().intensity();
                format!("{intensity:.3} FLOP/byte; --quick does not measure what binds it")
            }
        }
    }

    /// What was measured, and what it means.
    fn words(&self, advice: &Advice) -> String {
        let Technique { does, costs, undone, .. } = advice.technique;
        let (judgement, tried) = match &advice.tried {
            Ok((judgement, tried)) => (judgement, tried),
            Err(reason) => return sentence(reason),
        };
        let (trial, outcome) = &tried[judgement.trial];
        let Judgement { verdict, gain, enough, .. } = *judgement;
        let (label, how, more) = (&trial.label, &trial.how, self.times(gain));
        let aside = self.aside(outcome);
        match verdict {
            Verdict::Use => format!(
                "It {does}: {more}{aside}, with {how}. It costs {costs}: {}.",
                deviation(outcome)
            ),
            Verdict::LeaveOut => format!(
                "It {does}, but without it is {more}{aside}, with {how}; also gained: {undone}."
            ),
            Verdict::Done => {
                let enough = enough.map_or(String::new(), |enough| {
                    format!(", though {} would do", tried[enough].0.label)
                });
                format!("It {does}: {more} as with {label}{enough}. It costs {costs}.")
            }
            Verdict::NoDifference => {
                format!("With {label} it is the same{}; gained: {undone}.", self.within(""))
            }
            Verdict::Unclear => format!(
                "Against {label}, {more} are within the spread, of {:.0} %: measure again when the machine is \
                 quiet.",
                100.0 * outcome.spread
            ),
            Verdict::NotWorthIt | Verdict::NotApplicable => {
                let within = if gain > 1.0 { self.within(", which is") } else { String::new() };
                format!(
                    "With {label} it is {more}{within}. It would cost {costs}: {}.",
                    deviation(outcome)
                )
            }
        }
    }

    /// A gain in words.
    fn times(&self, gain: f64) -> String {
        match self.subject.goal {
            Goal::Memory => format!("{:.2} times as much memory", 1.0 / gain),
            Goal::Latency => format!("{gain:.2} times as fast"),
            Goal::Throughput => format!("{gain:.2} times as many calls"),
        }
    }

    /// That times are the same within the spread; memory is the same.
    fn within(&self, before: &str) -> String {
        match self.subject.goal {
            Goal::Memory => String::new(),
            Goal::Latency | Goal::Throughput => format!("{before} within the spread"),
        }
    }

    /// What a gain of memory means for the time.
    fn aside(&self, outcome: &Outcome) -> String {
        match self.subject.goal {
            Goal::Memory => format!(", in {:.2} of the time", 1.0 / outcome.speed_up),
            Goal::Latency | Goal::Throughput => String::new(),
        }
    }

    fn table(&self) -> String {
        let head =
            ["", "a call", "spread", "speed-up", "MB held", "MB moved", "compiled in", "error"];
        let mut table = Table::new(head);
        let row = |figures: Figures<'_>| {
            vec![
                figures.label.to_string(),
                time(figures.ns),
                percent(figures.spread),
                format!("{:.2}x", figures.speed_up),
                format!("{:.3}", figures.memory as f64 / 1e6),
                format!("{:.3}", figures.bytes as f64 / 1e6),
                format!("{:.2} ms", figures.compile_ms),
                figures.error.map_or("-".into(), shown),
            ]
        };
        table.row(row(self.default_figures()));
        for advice in &self.advice {
            let tried = advice.tried.iter().flat_map(|(_, tried)| tried);
            tried.for_each(|(trial, outcome)| table.row(row(figures(trial, outcome))));
        }
        table.plain()
            + &format!(
                "medians of {} interleaved rounds; errors are against the default, relative to its \
                 largest result\n",
                self.profiles.rounds()
            )
    }

    fn default_figures(&self) -> Figures<'_> {
        let profile = &self.profiles[0];
        let ns = profile.latency().median();
        Figures { speed_up: 1.0, ..Figures::of(profile, ns, self.subject.default.took) }
    }

    pub(super) fn json(&self) -> String {
        let Subject { graph, shapes, threads, default, .. } = self.subject;
        let (emitter, width) = default.kernel.emitter().unzip();
        let inputs = graph.inputs().iter().zip(shapes).map(|(input, shape)| Array {
            name: &input.name,
            dtype: input.dtype.name(),
            shape: shape.clone(),
        });
        print(&Object {
            command: "advise",
            kernel: graph.name(),
            goal: self.goal(),
            date: now(),
            machine: Machine::host(),
            inputs: inputs.collect(),
            threads: *threads,
            emitter: emitter.map(|emitter| emitter.to_string()),
            width,
            rounds: self.profiles.rounds(),
            default: self.default_figures(),
            intensity: self.profiles[0].counts().intensity(),
            bound: self.bound.as_ref().map(|placed| Bound {
                by: match &placed.roof {
                    Roof::Bandwidth { level, .. } => level.clone(),
                    _ => "compute".into(),
                },
                part: placed.part,
            }),
            advice: self.advice.iter().map(|advice| self.row(advice)).collect(),
        })
    }

    fn row<'a>(&self, advice: &'a Advice) -> Row<'a> {
        let trials = advice.tried.iter().flat_map(|(_, tried)| tried);
        Row {
            technique: advice.technique.name,
            verdict: advice.verdict(),
            gain: advice.judgement().map(|judgement| judgement.gain),
            words: self.words(advice),
            trials: trials.map(|(trial, outcome)| figures(trial, outcome)).collect(),
        }
    }
}

impl<'a> Figures<'a> {
    fn of(profile: &'a Profile, ns: f64, compiled: Duration) -> Figures<'a> {
        let counts = profile.counts();
        Figures {
            label: profile.name(),
            ns,
            spread: profile.latency().spread(),
            speed_up: 1.0,
            memory: counts.memory,
            bytes: counts.bytes(),
            compile_ms: compiled.as_secs_f64() * 1e3,
            error: None,
        }
    }
}

fn figures<'a>(trial: &Trial, outcome: &'a Outcome) -> Figures<'a> {
    let figures = Figures::of(&outcome.profile, outcome.nanoseconds, trial.compiled.took);
    let memory = figures.memory.saturating_mul(trial.at_once as u64);
    Figures { speed_up: outcome.speed_up, memory, error: outcome.error, ..figures }
}

/// An error in a table.
fn shown(error: Error) -> String {
    match error.max_relative.is_finite() {
        true => format!("{:.1e}, {} ULP", error.max_relative, error.max_ulp),
        false => "no numbers".into(),
    }
}

/// How far results are from the default's, in words.
fn deviation(outcome: &Outcome) -> String {
    match outcome.error {
        None => "here, results are the same".into(),
        Some(error) if error.max_relative.is_finite() => format!(
            "here, results differ by at most {} ULP, {:.1e} of the largest",
            error.max_ulp, error.max_relative
        ),
        Some(_) => "here, some results are no numbers, or only here".into(),
    }
}

/// With a capital and a full stop.
fn sentence(words: &str) -> String {
    let (first, rest) = words.split_at(words.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}.", first.to_uppercase())
}
