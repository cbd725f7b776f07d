//! Many cases, on several threads.

use crate::check::{Failure, Kind, Plan, catch_messages, check, without_numbers};
use crate::draw::{Case, draw};
use crate::fragments::Fragments;
use crate::judge::Fault;
use crate::replay;
use crate::shrink::shrink;
use kiln::ir::Node;
use kiln::{Mode, explain};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// What a run saw.
#[derive(Debug, Default)]
pub struct Report {
    /// Cases tried.
    pub cases: u64,
    /// Kernels compiled and run beside those as written.
    pub kernels: u64,
    /// Failures by kind.
    pub failures: BTreeMap<String, u64>,
    /// What is told but no failure: results of repairs at poles, edges of domains and zeros.
    pub excused: BTreeMap<String, u64>,
    /// How many of each kind were shrunk.
    pub(crate) shrunk: BTreeMap<String, usize>,
    /// One small failure for each cause, ready to be replayed, by what tells causes apart.
    pub distinct: BTreeMap<String, String>,
    /// How often each rule stood in a proof, if they were counted.
    pub rules: BTreeMap<String, u64>,
    /// How many nodes of the drawn graphs apply each op.
    pub ops: BTreeMap<&'static str, u64>,
}

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) count: u64,
    pub(crate) threads: usize,
    /// Kinds of failures that are not shrunk, by how their names begin.
    pub(crate) skip: Vec<String>,
    /// Rules whose failures are known: where one stands in the proof, the failure is only counted.
    pub(crate) known_rules: Vec<String>,
    /// The most failures of a kind that are shrunk.
    pub(crate) most: usize,
    /// Whether all byte strides are multiples of the element size.
    pub(crate) aligned: bool,
    /// Whether to prove each graph, to count the rules that fire.
    pub(crate) coverage: bool,
    pub(crate) progress: bool,
}

/// Tries `count` cases from a seed on this many threads; the same ones in every run.
pub fn run(seed: u64, count: u64, threads: usize) -> Report {
    run_with(&Settings {
        seed,
        count,
        threads,
        skip: Vec::new(),
        known_rules: Vec::new(),
        most: 1000,
        aligned: false,
        coverage: false,
        progress: false,
    })
}

pub(crate) fn run_with(settings: &Settings) -> Report {
    catch_messages();
    let (next, report) = (AtomicU64::new(0), Mutex::new(Report::default()));
    let failed = AtomicUsize::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..settings.threads {
            scope.spawn(|| {
                let mut fragments = Fragments::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= settings.count {
                        break;
                    }
                    one(settings, settings.seed + index, &mut fragments, &report, &failed);
                    if settings.progress && index % 10_000 == 9_999 {
                        let rate = (index + 1) as f64 / start.elapsed().as_secs_f64();
                        let failed = failed.load(Ordering::Relaxed);
                        eprintln!("{} cases, {rate:.0}/s, {failed} failed", index + 1);
                    }
                }
            });
        }
    });
    let _ = std::panic::take_hook();
    report.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn one(
    settings: &Settings,
    seed: u64,
    fragments: &mut Fragments,
    report: &Mutex<Report>,
    failed: &AtomicUsize,
) {
    let case = draw(fragments, seed);
    let plan = Plan::draw(&case, seed, settings.aligned);
    let failure = check(&case, &plan);
    let mut rules = BTreeSet::new();
    if settings.coverage {
        rules.extend(Mode::ALL.into_iter().flat_map(|mode| rules_of(&case, mode)));
    }
    let lock = || report.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut seen = lock();
    seen.cases += 1;
    seen.kernels += plan.runs.len() as u64;
    for node in case.graph.nodes() {
        let name = match node {
            Node::Op(op, _) => op.name(),
            Node::Call(call, _) => call.info().name,
            Node::Fused { .. } => "fused",
            _ => continue,
        };
        *seen.ops.entry(name).or_default() += 1;
    }
    for rule in rules {
        *seen.rules.entry(rule).or_default() += 1;
    }
    let Some(failure) = failure else { return };
    failed.fetch_add(1, Ordering::Relaxed);
    let name = group(&failure.kind);
    let shrunk = seen.shrunk.entry(name.clone()).or_default();
    let enough =
        *shrunk >= settings.most || settings.skip.iter().any(|skip| name.starts_with(skip));
    if enough {
        *seen.failures.entry(format!("{name} (not shrunk)")).or_default() += 1;
        return;
    }
    *shrunk += 1;
    drop(seen);
    let (small, small_plan, failure) = shrink(&case, &plan, failure);
    let rules = rules_behind(&small, &failure);
    let mut seen = lock();
    if is_excused(&small, &failure.kind, &rules)
        || rules.iter().any(|rule| settings.known_rules.contains(rule))
    {
        *seen.excused.entry(name).or_default() += 1;
        return;
    }
    *seen.failures.entry(name.clone()).or_default() += 1;
    let cause = format!("{name} [{}]", rules.into_iter().collect::<Vec<_>>().join(" "));
    if seen.distinct.contains_key(&cause) {
        return;
    }
    let text = replay::print(&small, &small_plan, &failure, seed);
    if settings.progress {
        println!("── {cause}\n{text}");
    }
    seen.distinct.insert(cause, text);
}

/// Whether it comes of a repair: that is nearer to the truth, which may lie at a pole or beyond the
/// edge of a domain, and where it is zero its sign is that of the operand, as in `log(1 + -0)`. A
/// product that is not rounded has no such excuse, but for the sign of a zero.
fn is_excused(case: &Case, kind: &Kind, rules: &BTreeSet<String>) -> bool {
    let at_edge = match kind {
        Kind::Promise(_, Fault::ZeroSign) => return true,
        Kind::Promise(_, Fault::NumberOfNan) => !case.has_nan(),
        Kind::Promise(_, fault) => {
            matches!(fault, Fault::NanAtEdge | Fault::InfinityAtEdge | Fault::InfinityOfNan)
        }
        _ => false,
    };
    let repairs = kiln::internals::repairs().any(|repair| rules.contains(repair));
    at_edge && repairs && !rules.iter().any(|rule| rule.starts_with("contract"))
}

/// The name of a kind without what differs from case to case.
fn group(kind: &Kind) -> String {
    match kind {
        Kind::Panic(message) => format!("panic: {}", without_numbers(message)),
        other => without_numbers(&other.to_string()),
    }
}

/// The rules of the algebra that a failure may be due to; for others, the ops of the graph.
fn rules_behind(case: &Case, failure: &Failure) -> BTreeSet<String> {
    let mode = match failure.kind {
        Kind::Promise(mode, _) | Kind::Signature(mode) => mode,
        Kind::Strict => Mode::Strict,
        _ => return ops_of(case),
    };
    let rules = rules_of(case, mode);
    if rules.is_empty() { ops_of(case) } else { rules }
}

fn ops_of(case: &Case) -> BTreeSet<String> {
    let name = |node: &Node| match node {
        Node::Op(op, _) => Some(op.name().to_string()),
        Node::Call(call, _) => Some(call.info().name.to_string()),
        Node::Fused { .. } => Some("fused".to_string()),
        _ => None,
    };
    case.graph.nodes().iter().filter_map(name).collect()
}

fn rules_of(case: &Case, mode: Mode) -> BTreeSet<String> {
    let proof = catch_unwind(AssertUnwindSafe(|| explain::prove(&case.graph, mode)));
    let steps = proof.ok().flatten().map(|proof| proof.steps).unwrap_or_default();
    steps.into_iter().map(|step| step.rule).collect()
}
