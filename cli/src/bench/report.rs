//! The guide's page of measured figures: Kiln beside the best figure of any peer.

use super::data::{Copy, outputs, random};
use super::machine::machine;
use super::race::{Race, Times};
use crate::console::Console;
use crate::failure::Failure;
use crate::kernel::Text;
use crate::progress::Progress;
use kiln::internals::cpu::Cpu;
use kiln::{CompileOptions, DType, EmitterKind, Graph, Kernel, Mode, Tensor, View, compile_with};
use std::cell::RefCell;
use std::time::Duration;

/// What is measured: its name, and its kernel.
const KERNELS: [(&str, &str); 7] = [
    ("tanh-GELU", "gelu_tanh(x)"),
    ("erf-GELU", "gelu(x)"),
    ("SiLU", "silu(x)"),
    ("mish", "mish(x)"),
    ("softplus", "softplus(x)"),
    ("SELU", "selu(x)"),
    ("gelu(x\\*w+b)", "gelu_tanh(x*w+b)"),
];

/// One table of the first section.
struct Setting {
    size: usize,
    threads: usize,
    /// The best of NumPy, numexpr, numba (with and without SVML and fastmath), JAX (as it comes,
    /// and told to use 512 bits), PyTorch eager and compiled, ONNX Runtime, and gcc -Ofast with
    /// libmvec: ns per element, kernel by kernel, and a copy. Measured on the same
    /// kind of machine, not by this program.
    peers: [f64; 8],
}

const SETTINGS: [Setting; 3] = [
    Setting {
        size: 4 << 10,
        threads: 1,
        peers: [0.246, 0.428, 0.217, 0.950, 0.506, 0.218, 0.289, 0.018],
    },
    Setting {
        size: 256 << 10,
        threads: 1,
        peers: [0.251, 0.181, 0.195, 0.838, 0.455, 0.190, 0.290, 0.074],
    },
    Setting {
        size: 4 << 20,
        threads: 2,
        peers: [0.132, 0.103, 0.110, 0.473, 0.269, 0.102, 0.145, 0.066],
    },
];

const INTRODUCTION: &str = "\
Nanoseconds per element, `f32`; medians of rounds in which all candidates take turns. *Unfused* is
the same graph as one kernel for each op; *copy* moves the bytes that the fused kernel reads and
writes; `w` and `b` are rows of 1024. *Best peer* is the best of NumPy, numexpr, numba, JAX, PyTorch
eager and compiled, ONNX Runtime, and gcc -Ofast with libmvec, each at its own accuracy. It was
measured on this kind of machine (family 26), but apart.
";

/// The columns of a row of `w` and `b`.
const ROW: usize = 1024;

struct Report<'a> {
    quick: bool,
    console: &'a Console,
    progress: Progress,
    /// What is not printed yet.
    text: String,
}

pub(super) fn report(quick: bool, console: &Console) -> Result<(), Failure> {
    let progress = Progress::of_steps(console, SETTINGS.len() as u64 + 2);
    let mut report = Report { quick, console, progress, text: String::new() };
    report.line(&format!("Measured by `scripts/measure` on: {}.\n", machine()));
    report.line(INTRODUCTION);
    for setting in &SETTINGS {
        in_pool(setting.threads, || report.setting(setting))?;
        report.flush()?;
    }
    in_pool(2, || report.large())?;
    report.flush()?;
    in_pool(1, || report.emitters())?;
    report.flush()
}

/// Calls start in the pool whose threads they share the work with.
fn in_pool(
    threads: usize,
    work: impl FnOnce() -> Result<(), Failure> + Send,
) -> Result<(), Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool =
        pool.map_err(|error| Failure::Failed(format!("cannot start {threads} threads: {error}")))?;
    pool.install(work)
}

impl Report<'_> {
    /// Prints a table as soon as it is done.
    fn flush(&mut self) -> Result<(), Failure> {
        self.progress.step();
        let text = std::mem::take(&mut self.text);
        self.progress.pause(|| self.console.print(&text))
    }

    fn line(&mut self, text: &str) {
        self.text += text;
        self.text.push('\n');
    }

    /// A table's head, or one of its rows.
    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        self.line(&format!("| {} |", cells.join(" | ")));
    }

    fn head(&mut self, first: String, columns: &[&str]) {
        self.row([first].into_iter().chain(columns.iter().map(|column| column.to_string())));
        self.row(std::iter::once("---".into()).chain(columns.iter().map(|_| "--:".into())));
    }

    fn budget(&self) -> Duration {
        Duration::from_millis(if self.quick { 1 } else { 2000 })
    }

    /// Every kernel at one size, in both modes, beside peers.
    fn setting(&mut self, setting: &Setting) -> Result<(), Failure> {
        let Setting { size, threads, peers } = setting;
        let mut rows: Vec<Vec<String>> = Vec::new();
        let labels = ["best peer", "Precise", "Fast", "unfused", "copy", "Precise / best peer"];
        for ((_, text), peer) in KERNELS.iter().zip(peers) {
            let graph = Text::find(text)?.graph_of(DType::F32, self.console)?;
            let options = CompileOptions::new();
            let kernels = [
                compile_with(&graph, options.mode(Mode::Precise))?,
                compile_with(&graph, options.mode(Mode::Fast))?,
                compile_with(&graph, CompileOptions::unfused())?,
            ];
            let kernels: Vec<&Kernel> = kernels.iter().collect();
            let times =
                self.race(&graph, &kernels, *size, Copy::new(bytes(&graph, *size), *threads)?)?;
            let ns = |candidate: usize| times.median(candidate) / *size as f64;
            let cell = |ns: f64| format!("{ns:.3}");
            rows.push(vec![
                cell(*peer),
                format!("**{:.3}**", ns(0)),
                cell(ns(1)),
                cell(ns(2)),
                cell(ns(3)),
                format!("{:.2}", ns(0) / peer),
            ]);
        }
        // The peers' copy is of one array, as most kernels' is.
        let first_copy = rows[0][4].clone();
        rows.push(vec![
            format!("{:.3}", peers[7]),
            "-".into(),
            "-".into(),
            "-".into(),
            first_copy,
            "-".into(),
        ]);
        let names: Vec<&str> = KERNELS.iter().map(|kernel| kernel.0).chain(["copy"]).collect();
        let s = if *threads == 1 { "" } else { "s" };
        self.head(format!("{}, {threads} thread{s}", Size(*size)), &names);
        for (at, label) in labels.iter().enumerate() {
            let cells = rows.iter().map(|row| row[at].clone());
            self.row([label.to_string()].into_iter().chain(cells));
        }
        self.line("");
        Ok(())
    }

    /// Arrays that no cache holds: against a copy that bypasses the caches, too.
    fn large(&mut self) -> Result<(), Failure> {
        let size = if self.quick { 1 << 20 } else { 64 << 20 };
        let names = [
            "Precise, into a given array",
            "Fast",
            "non-temporal copy",
            "Precise / copy",
            "Fast / copy",
            "Precise, into a fresh array",
            "fresh / given",
        ];
        self.head(format!("{}, 2 threads", Size(size)), &names);
        for (name, text) in [KERNELS[0], KERNELS[2], KERNELS[5]] {
            let graph = Text::find(text)?.graph_of(DType::F32, self.console)?;
            let kernel = compile_with(&graph, CompileOptions::new())?;
            let fast = compile_with(&graph, CompileOptions::new().mode(Mode::Fast))?;
            let input = random(DType::F32, &[size], 1)?;
            let views = [input.view()];
            let mut output = Tensor::zeros(DType::F32, &[size])?;
            let target = RefCell::new([output.view_mut()]);
            let mut copy = Copy::new(bytes(&graph, size), 2)?.streaming();
            let mut race = Race::default();
            race.add(|| kernel.run_into(&views, &mut *target.borrow_mut()));
            race.add(|| fast.run_into(&views, &mut *target.borrow_mut()));
            race.add(|| {
                copy.run();
                Ok(())
            });
            race.add(|| kernel.run(&views).map(drop));
            let times = race.run(2 * self.budget())?;
            let ns = |candidate: usize| format!("{:.3}", times.median(candidate) / size as f64);
            let ratio = |a, b| format!("{:.2}", times.ratio(a, b));
            let copied = [ratio(0, 2), ratio(1, 2)];
            let row = [name.into(), ns(0), ns(1), ns(2)].into_iter().chain(copied);
            self.row(row.chain([ns(3), ratio(3, 0)]));
        }
        self.line("");
        Ok(())
    }

    /// What width is worth where memory is not in the way.
    fn emitters(&mut self) -> Result<(), Failure> {
        const SIZE: usize = 4 << 10;
        let cpu = Cpu::host();
        let kinds = [
            (EmitterKind::Cranelift, cpu.fma),
            (EmitterKind::Avx2, cpu.avx2),
            (EmitterKind::Avx512, cpu.avx512),
        ];
        let names: Vec<&str> = KERNELS.iter().map(|kernel| kernel.0).collect();
        self.head(format!("{}, 1 thread", Size(SIZE)), &names);
        let mut rows = vec![Vec::new(); kinds.len()];
        let mut ratios = Vec::new();
        for (_, text) in KERNELS {
            let graph = Text::find(text)?.graph_of(DType::F32, self.console)?;
            let available = kinds.iter().filter(|kind| kind.1).map(|kind| kind.0);
            let kernels: Vec<Kernel> = available
                .map(|kind| compile_with(&graph, CompileOptions::new().emitter(kind)))
                .collect::<Result<_, _>>()?;
            let copy = Copy::new(bytes(&graph, SIZE), 1)?;
            let times = self.race(&graph, &kernels.iter().collect::<Vec<_>>(), SIZE, copy)?;
            let mut candidates = 0..;
            let candidates: Vec<Option<usize>> =
                kinds.iter().map(|kind| kind.1.then(|| candidates.next()).flatten()).collect();
            for (row, candidate) in rows.iter_mut().zip(&candidates) {
                let ns = |candidate: usize| format!("{:.3}", times.median(candidate) / SIZE as f64);
                row.push(candidate.map_or("-".into(), ns));
            }
            let widest = kernels.len().saturating_sub(1);
            let ratio = |candidate: &Option<usize>| {
                candidate.map_or("-".into(), |candidate| {
                    format!("{:.1}", times.ratio(candidate, widest))
                })
            };
            ratios.push(candidates.iter().map(ratio).collect::<Vec<_>>().join(" : "));
        }
        for ((kind, _), row) in kinds.iter().zip(rows) {
            self.row([kind.to_string()].into_iter().chain(row));
        }
        self.row(["ratio".into()].into_iter().chain(ratios));
        Ok(())
    }

    /// Kernels of one graph against each other, all writing to one array, and last a copy.
    fn race(
        &self,
        graph: &Graph,
        kernels: &[&Kernel],
        size: usize,
        mut copy: Copy,
    ) -> Result<Times, Failure> {
        let arrays: Vec<Tensor> = (1..)
            .zip(shapes(graph, size))
            .map(|(seed, shape)| random(DType::F32, &shape, seed))
            .collect::<Result<_, _>>()?;
        let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
        let mut results = outputs(kernels[0], &kernels[0].output_shapes(&views)?)?;
        let targets = RefCell::new(results.iter_mut().map(Tensor::view_mut).collect::<Vec<_>>());
        let mut race = Race::default();
        for kernel in kernels {
            race.add(|| kernel.run_into(&views, &mut targets.borrow_mut()));
        }
        race.add(|| {
            copy.run();
            Ok(())
        });
        Ok(race.run(self.budget())?)
    }
}

/// `x` alone is a vector; with `w` and `b` it is a matrix, and they are its rows.
fn shapes(graph: &Graph, size: usize) -> Vec<Vec<usize>> {
    match graph.inputs().len() {
        1 => vec![vec![size]],
        count => {
            let mut shapes = vec![vec![ROW]; count];
            shapes[0] = vec![size / ROW, ROW];
            shapes
        }
    }
}

/// Bytes that the fused kernel reads and writes.
fn bytes(graph: &Graph, size: usize) -> usize {
    let read: usize = shapes(graph, size).iter().map(|shape| shape.iter().product::<usize>()).sum();
    (read + size) * DType::F32.size()
}

/// A power of two, such as 256 Ki.
struct Size(usize);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            size if size >= 1 << 20 => write!(f, "{} Mi", size >> 20),
            size => write!(f, "{} Ki", size >> 10),
        }
    }
}
