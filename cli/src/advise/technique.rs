//! The table of techniques: a row says what is tried, and what it costs to have it or not.

use super::narrow::{narrowed, widest};
use super::{Goal, Subject};
use crate::console::counted;
use kiln::internals::programs;
use kiln::{CompileOptions, DType, EmitterKind, Graph, Kernel, Mode, compile_with};
use std::time::{Duration, Instant};

/// A way to make a kernel faster or smaller.
pub(super) struct Technique {
    pub(super) name: &'static str,
    /// What it does.
    pub(super) does: &'static str,
    /// Whether Kiln does it unless told otherwise. If so, it is tried to leave it out.
    pub(super) is_default: bool,
    /// What it costs, or risks.
    pub(super) costs: &'static str,
    /// What one gains besides time by leaving it out.
    pub(super) undone: &'static str,
    /// The kernels to try; of a technique that is left out, the one that has least of it comes first. Or
    /// why there are none.
    pub(super) trials: fn(&Subject) -> Result<Vec<Trial>, String>,
}

/// A kernel to measure against the default.
pub(super) struct Trial {
    pub(super) label: String,
    pub(super) compiled: Compiled,
    /// What floats are stored as, where that is not as in the kernel that was given.
    pub(super) stored: Option<DType>,
    /// How to compile so.
    pub(super) how: String,
    /// Calls that are made at once, each from a thread of its own.
    pub(super) at_once: usize,
}

/// A kernel, and how long it took to compile.
pub(super) struct Compiled {
    pub(super) kernel: Kernel,
    pub(super) took: Duration,
}

/// A technique is a row.
pub(super) const TECHNIQUES: [Technique; 6] = [
    Technique {
        name: "vectorisation",
        does: "computes with the widest vectors",
        is_default: true,
        costs: "nothing: all widths give the same bits",
        undone: "nothing",
        trials: emitters,
    },
    Technique {
        name: "fusion",
        does: "passes over memory once, not once for each op",
        is_default: true,
        costs: "compile time",
        undone: "a shorter compilation",
        trials: unfused,
    },
    Technique {
        name: "graph rewriting",
        does: "takes equal, cheaper formulas (Precise)",
        is_default: true,
        costs: "compile time, and bits that differ in rounding from those as written",
        undone: "the very bits of the formula as written",
        trials: strict,
    },
    Technique {
        name: "threads",
        does: "shares a call among all cores",
        is_default: true,
        costs: "cores, which other calls could use",
        undone: "cores for other calls",
        trials: threads,
    },
    Technique {
        name: "fast mode",
        does: "takes every identity of real numbers",
        is_default: false,
        costs: "accuracy, infinities, NaN and signed zeros",
        undone: "",
        trials: fast,
    },
    Technique {
        name: "narrower storage",
        does: "keeps arrays as narrower floats",
        is_default: false,
        costs: "accuracy and range of what is stored",
        undone: "",
        trials: narrower,
    },
];

/// Each emitter with vectors narrower than those of the default, the narrowest first.
fn emitters(subject: &Subject) -> Result<Vec<Trial>, String> {
    let Some((_, widest)) = subject.default.kernel.emitter() else {
        return Err("products take the widest vectors, whatever the emitter".into());
    };
    // The interpreter does not compute with vectors of the processor: it would say nothing of them.
    let others = [EmitterKind::Auto, EmitterKind::Interp];
    let mut trials = Vec::new();
    for kind in EmitterKind::ALL.into_iter().filter(|kind| !others.contains(kind)) {
        // What this machine lacks is not tried.
        let Ok(compiled) = compile(&subject.graph, CompileOptions::new().emitter(kind)) else {
            continue;
        };
        let bits = compiled.kernel.emitter().map_or(widest, |(_, bits)| bits);
        if bits < widest {
            let label = format!("{bits}-bit vectors ({kind})");
            trials.push((bits, Trial::new(label, format!("--emitter {kind}"), compiled)));
        }
    }
    trials.sort_by_key(|(bits, _)| *bits);
    match trials.is_empty() {
        true => Err(format!("{widest} bits are the narrowest here; there is no scalar emitter")),
        false => Ok(trials.into_iter().map(|(_, trial)| trial).collect()),
    }
}

fn unfused(subject: &Subject) -> Result<Vec<Trial>, String> {
    let compiled = compile(&subject.graph, CompileOptions::unfused())?;
    let (fused, unfused) = (subject.default.kernel.pass_count(), compiled.kernel.pass_count());
    if fused == unfused {
        return Err("there is nothing to fuse".into());
    }
    // Rewriting goes, too: nothing is between what was written and what runs.
    let label = format!("{unfused} passes, as written");
    Ok(vec![Trial::new(label, "CompileOptions::unfused".into(), compiled)])
}

fn strict(subject: &Subject) -> Result<Vec<Trial>, String> {
    in_mode(subject, Mode::Strict)
}

fn fast(subject: &Subject) -> Result<Vec<Trial>, String> {
    in_mode(subject, Mode::Fast)
}

fn in_mode(subject: &Subject, mode: Mode) -> Result<Vec<Trial>, String> {
    let compiled = compile(&subject.graph, CompileOptions::new().mode(mode))?;
    // Modes differ in what ops expand to, too.
    let expanded = |mode| programs(&subject.graph, mode).map(|program| program.to_string());
    let is_same = compiled.kernel.graph() == subject.default.kernel.graph()
        && expanded(mode).eq(expanded(Mode::Precise));
    if is_same {
        return Err(format!("{mode} mode makes the same program"));
    }
    Ok(vec![Trial::new(format!("{mode} mode"), format!("--mode {mode}"), compiled)])
}

/// Fewer threads; or, where throughput counts, one for each of as many calls as there are cores.
fn threads(subject: &Subject) -> Result<Vec<Trial>, String> {
    let all = subject.threads;
    if all == 1 {
        return Err("there is one hardware thread".into());
    }
    let of = |count: usize| {
        let compiled = compile(&subject.graph, CompileOptions::new().threads(count))?;
        let how = format!("--threads {count}");
        Ok::<_, String>(Trial::new(counted(count, "thread"), how, compiled))
    };
    if subject.goal == Goal::Throughput {
        let label = format!("{all} calls at once, a thread each");
        let one = of(1)?;
        let how = format!("{}, and calls from {all} threads", one.how);
        return Ok(vec![Trial { label, how, at_once: all, ..one }]);
    }
    let doubled = std::iter::successors(Some(1), |count| Some(2 * count));
    doubled.take_while(|&count| count < all).map(of).collect()
}

/// Each narrower type, the widest first.
fn narrower(subject: &Subject) -> Result<Vec<Trial>, String> {
    let Some(widest) = widest(&subject.graph) else {
        return Err("it has no arrays of floats".into());
    };
    let mut trials = Vec::new();
    for to in [DType::F32, DType::BF16].into_iter().filter(|to| to.size() < widest.size()) {
        let compiled = compile(&narrowed(&subject.graph, to)?, CompileOptions::new())?;
        let how = format!("arrays of {to}");
        let trial = Trial::new(format!("{to} for {widest}"), how, compiled);
        trials.push(Trial { stored: Some(to), ..trial });
    }
    match trials.is_empty() {
        true => Err(format!("nothing is narrower than {widest}")),
        false => Ok(trials),
    }
}

impl Trial {
    fn new(label: String, how: String, compiled: Compiled) -> Trial {
        Trial { label, how, compiled, stored: None, at_once: 1 }
    }
}

/// Compiles, timed.
pub(super) fn compile(graph: &Graph, options: CompileOptions) -> Result<Compiled, String> {
    let start = Instant::now();
    let kernel = compile_with(graph, options).map_err(|error| error.to_string())?;
    Ok(Compiled { kernel, took: start.elapsed() })
}
