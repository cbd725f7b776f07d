//! `kiln advise`: which technique pays for a kernel here, by trying it; and for a kind of work, by a
//! table.

mod measure;
mod narrow;
mod report;
mod technique;
mod verdict;
mod workloads;

use crate::console::Console;
use crate::failure::Failure;
use crate::kernel::Text;
use crate::options::Arrays;
use crate::progress::Progress;
use crate::shapes::shapes_over;
use clap::{Args, ValueEnum};
use kiln::profile::{NOISY, Placed, Profile, Resources, Roofline};
use kiln::{CompileOptions, Graph};
use measure::{Outcome, measure};
use report::Report;
use std::time::Duration;
use technique::{Compiled, TECHNIQUES, Technique, Trial, compile};
use verdict::{Gain, Judgement, Verdict, judge};

/// Say which techniques pay, by trying each on this machine
#[derive(Args)]
#[command(after_help = "\
Everything that is tried takes turns in one run (about three seconds). What Kiln does by default is
left out to see what it is worth: the widest vectors, fusion, rewriting, all threads. What it does not
do unasked is added: fast mode, and narrower floats in memory, whose errors are measured against the
default's results on pseudo-random inputs. A gain within the spread is none. What binds the kernel,
memory or arithmetic, takes a measurement of the machine, of half a minute; --quick does without.

Examples
  kiln advise @gelu_tanh --shape n=4Mi
  kiln advise 'gelu_tanh(x @ w + b)' --shape x=64x512,w=512x2048,b=2048 --goal throughput
  kiln advise mlp.kiln --shape n=16 --goal memory --json
  kiln advise --workloads")]
pub(crate) struct Advise {
    /// A file ending in .kiln, an expression, or @name for an op
    #[arg(required_unless_present = "workloads")]
    kernel: Option<String>,
    /// Print which technique suits which kind of work instead, from research to batch inference
    #[arg(long, conflicts_with_all = ["kernel", "goal", "shape", "dtype", "quick"])]
    workloads: bool,
    /// What is to be gained
    #[arg(long, default_value = "latency")]
    goal: Goal,
    #[command(flatten)]
    arrays: Arrays,
    /// Take less care, and a tenth of the time
    #[arg(long)]
    quick: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is to be gained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Goal {
    /// A call takes less time
    Latency,
    /// More calls a second, by all cores
    Throughput,
    /// Inputs, outputs and intermediates of a call take less memory
    Memory,
}

/// The kernel in question, as it is compiled by default.
struct Subject {
    graph: Graph,
    shapes: Vec<Vec<usize>>,
    goal: Goal,
    /// Threads that a call may use.
    threads: usize,
    default: Compiled,
}

/// A technique, and what follows of trying it.
struct Advice {
    technique: &'static Technique,
    /// `Err` says why there is nothing to try.
    tried: Result<(Judgement, Vec<(Trial, Outcome)>), String>,
}

impl Advise {
    pub(crate) fn execute(&self, console: &Console) -> Result<(), Failure> {
        let Some(kernel) = &self.kernel else { return workloads::print(self.json, console) };
        let subject = self.subject(kernel, console)?;
        let progress = Progress::of_one(console);
        progress.at("trying techniques");
        let trials = TECHNIQUES.each_ref().map(|technique| (technique.trials)(&subject));
        let flat: Vec<&Trial> = trials.iter().flatten().flatten().collect();
        let budget = Duration::from_millis(if self.quick { 300 } else { 3000 });
        let measured = measure(&subject, &flat, budget)?;
        let mut outcomes = measured.outcomes.into_iter();
        let mut advice: Vec<Advice> = TECHNIQUES
            .iter()
            .zip(trials)
            .map(|(technique, trials)| {
                let tried = trials.map(|trials| {
                    let tried: Vec<_> = trials.into_iter().zip(outcomes.by_ref()).collect();
                    (subject.judge(technique, &tried), tried)
                });
                Advice { technique, tried }
            })
            .collect();
        advice.sort_by(|a, b| {
            let gain = |advice: &Advice| advice.judgement().map_or(0.0, |judgement| judgement.gain);
            a.verdict().rank().cmp(&b.verdict().rank()).then(gain(b).total_cmp(&gain(a)))
        });
        let profile = &measured.profiles[0];
        let bound = if self.quick { None } else { Some(subject.bound(profile, &progress)?) };
        let report = Report { subject: &subject, profiles: &measured.profiles, bound, advice };
        drop(progress);
        console.print(&if self.json { report.json() } else { report.text() })?;
        if measured.profiles.noise() >= NOISY {
            console.note("the machine is noisy: something else runs; small gains cannot be told");
        }
        Ok(())
    }

    fn subject(&self, kernel: &str, console: &Console) -> Result<Subject, Failure> {
        let graph = Text::find(kernel)?.graph_of(self.arrays.dtype, console)?;
        let inputs = graph.inputs();
        if inputs.is_empty() {
            return Err(Failure::Usage(format!(
                "{kernel}: a kernel without inputs is a constant, and nothing to advise on"
            )));
        }
        let shapes = shapes_over(&graph, &self.arrays.sizes(&graph))?;
        let options = CompileOptions::new();
        // The first compilation finds cold caches and untouched pages.
        let _ = compile(&graph, options);
        let default = compile(&graph, options).map_err(Failure::Failed)?;
        let threads = rayon::current_num_threads();
        Ok(Subject { graph, shapes, goal: self.goal, threads, default })
    }
}

impl Subject {
    fn judge(&self, technique: &Technique, tried: &[(Trial, Outcome)]) -> Judgement {
        /// Code that lies elsewhere in memory can be so much faster or slower.
        const LEAST: f64 = 0.03;
        let gain = |(_, outcome): &(Trial, Outcome)| Gain {
            ratio: match self.goal {
                Goal::Memory => outcome.memory_ratio,
                Goal::Latency | Goal::Throughput => outcome.speed_up,
            },
            margin: match self.goal {
                Goal::Memory => 0.0,
                Goal::Latency | Goal::Throughput => outcome.spread.max(LEAST),
            },
            is_sound: outcome.error.is_none_or(|error| error.max_relative.is_finite()),
        };
        judge(technique.is_default, &tried.iter().map(gain).collect::<Vec<_>>())
    }

    /// The roof that is over the default.
    fn bound(&self, profile: &Profile, progress: &Progress) -> Result<Placed, Failure> {
        progress.at("measuring the roofs of this machine");
        let resources = Resources::of(&self.default.kernel, self.threads);
        Ok(Roofline::measure()?.place(profile, resources))
    }
}

impl Advice {
    fn judgement(&self) -> Option<&Judgement> {
        self.tried.as_ref().ok().map(|(judgement, _)| judgement)
    }

    fn verdict(&self) -> Verdict {
        self.judgement().map_or(Verdict::NotApplicable, |judgement| judgement.verdict)
    }
}
