//! `kiln bench`: fused against unfused against a plain copy, interleaved in one run.

use crate::failure::Failure;
use crate::kernel::Source;
use crate::options::{Execution, dtypes};
use clap::Args;
use half::{bf16, f16};
use kiln::ir::{Dim, Input, Node};
use kiln::run::{broadcast_shape, matmul_shape};
use kiln::{DType, Graph, Kernel, RunError, Tensor, View, ViewMut, compile_with};
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Measure a kernel: fused, unfused, and a plain copy of the same bytes
#[derive(Args)]
#[command(after_help = "\
The three take turns in one run; a figure is the median over all rounds (about two seconds).
Inputs are pseudo-random, the same in every run. The copy reads and writes, in all, as many bytes
as the fused kernel does.

Examples
  kiln bench @gelu_tanh --shape n=4194304 --threads 1
  kiln bench bias_gelu.kiln --shape n=1024,d=4096 --json
  kiln bench --suite --shape n=262144 --threads 1")]
pub(crate) struct Bench {
    /// A file ending in .kiln, an expression, or @name for an op
    #[arg(required_unless_present = "suite", conflicts_with = "suite")]
    kernel: Option<String>,
    /// Measure every derived op instead: one table, in about a minute
    #[arg(long)]
    suite: bool,
    /// The size of each axis; an input without a declared shape has all of them, in this order
    #[arg(
        long,
        value_name = "NAME=SIZE",
        default_value = "n=4194304",
        value_delimiter = ',',
        value_parser = axis
    )]
    shape: Vec<Axis>,
    /// The element type of inputs that KERNEL does not type
    #[arg(long, default_value = "f32", value_parser = dtypes())]
    dtype: DType,
    #[command(flatten)]
    execution: Execution,
    /// Print one JSON object, or one a line with --suite
    #[arg(long)]
    json: bool,
}

#[derive(Clone)]
struct Axis {
    name: String,
    size: usize,
}

fn axis(text: &str) -> Result<Axis, String> {
    let (name, size) = text.split_once('=').unwrap_or_default();
    match size.trim().parse() {
        Ok(size) if size > 0 && !name.trim().is_empty() => {
            Ok(Axis { name: name.trim().into(), size })
        }
        _ => Err("write NAME=SIZE with a size of at least 1, such as n=4096,d=128".into()),
    }
}

impl Bench {
    pub(crate) fn execute(&self) -> Result<String, Failure> {
        if let Some(kernel) = &self.kernel {
            let report = self.report(kernel)?;
            return Ok(if self.json { report.json() } else { report.table() });
        }
        let ops = kiln::derived::DERIVED.iter();
        let reports: Vec<Report> =
            ops.map(|op| self.report(&format!("@{}", op.name))).collect::<Result<_, _>>()?;
        Ok(if self.json {
            reports.iter().map(Report::json).collect()
        } else {
            suite_table(&reports)
        })
    }

    fn report(&self, kernel: &str) -> Result<Report, Failure> {
        let graph = Source::find(kernel)?.graph_of(self.dtype)?;
        self.check_axes(&graph)?;
        let shapes: Vec<Vec<usize>> =
            graph.inputs().iter().map(|input| self.shape_of(input)).collect::<Result<_, _>>()?;
        self.execution.in_pool(|| self.measure(&graph, &shapes))
    }

    /// Checks that each axis is named once, and meant for some input.
    fn check_axes(&self, graph: &Graph) -> Result<(), Failure> {
        let any_shape = graph.inputs().iter().any(|input| input.dims.is_none());
        let dims: Vec<&Dim> = graph.inputs().iter().flat_map(|i| i.dims.iter().flatten()).collect();
        let has = |name: &str| dims.iter().any(|dim| matches!(dim, Dim::Symbol(s) if **s == *name));
        for (index, Axis { name, .. }) in self.shape.iter().enumerate() {
            if self.shape[..index].iter().any(|other| other.name == *name) {
                return Err(Failure::Usage(format!("--shape gives axis {name} twice")));
            }
            if !any_shape && !has(name) {
                let inputs: Vec<String> = graph.inputs().iter().map(Input::to_string).collect();
                let takes = if inputs.is_empty() { "no input".into() } else { inputs.join(", ") };
                return Err(Failure::Usage(format!(
                    "no input has an axis {name}; the kernel takes {takes}"
                )));
            }
        }
        Ok(())
    }

    fn shape_of(&self, input: &Input) -> Result<Vec<usize>, Failure> {
        let Some(dims) = &input.dims else {
            return Ok(self.shape.iter().map(|axis| axis.size).collect());
        };
        let size = |dim: &Dim| match dim {
            Dim::Size(size) => Ok(*size),
            Dim::Symbol(name) => {
                let axis = self.shape.iter().find(|axis| axis.name[..] == **name);
                axis.map(|axis| axis.size).ok_or_else(|| {
                    Failure::Usage(format!(
                        "no size for axis {name} of input {input}: give --shape {name}=SIZE"
                    ))
                })
            }
        };
        dims.iter().map(size).collect()
    }

    fn measure(&self, graph: &Graph, shapes: &[Vec<usize>]) -> Result<Report, Failure> {
        let seeded = graph.inputs().iter().zip(shapes).zip(1..);
        let arrays: Vec<Tensor> = seeded
            .map(|((input, shape), seed)| random(input.dtype, shape, seed))
            .collect::<Result<_, _>>()?;
        let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();

        // The first compilation finds cold caches and untouched pages.
        compile_with(graph, self.execution.options(true))?;
        let start = Instant::now();
        let fused = compile_with(graph, self.execution.options(true))?;
        let compile = start.elapsed();
        let unfused = compile_with(graph, self.execution.options(false))?;

        let output_shapes = fused.output_shapes(&views)?;
        let n = output_shapes.iter().map(|shape| shape.iter().product()).max().unwrap_or(0);
        if n == 0 {
            return Err(Failure::Usage("the kernel's outputs have no element".into()));
        }
        let bytes = [bytes_moved(fused.graph(), shapes)?, bytes_moved(unfused.graph(), shapes)?];
        let mut fused_outputs = outputs(&fused, &output_shapes)?;
        let mut unfused_outputs = outputs(&unfused, &output_shapes)?;
        let threads = rayon::current_num_threads();
        let mut copy = Copy::new(bytes[0], threads)?;

        let (times, rounds) = {
            let mut fused_views: Vec<_> = fused_outputs.iter_mut().map(Tensor::view_mut).collect();
            let mut unfused_views: Vec<_> =
                unfused_outputs.iter_mut().map(Tensor::view_mut).collect();
            interleave([
                &mut || run(&fused, &views, &mut fused_views),
                &mut || run(&unfused, &views, &mut unfused_views),
                &mut || {
                    copy.run();
                    Ok(())
                },
            ])?
        };
        let pairs = fused_outputs.iter().zip(&unfused_outputs);
        let difference =
            pairs.map(|(a, b)| Difference::of(a, b)).fold(Difference::default(), Difference::max);
        Ok(Report {
            name: graph.name().to_string(),
            inputs: graph.inputs().iter().map(Input::to_string).collect(),
            shape: output_shapes[0].clone(),
            n,
            mode: self.execution.mode.to_string(),
            emitter: fused.emitter().map(|(emitter, bits)| (emitter.to_string(), bits)),
            threads,
            kernels: [fused.pass_count(), unfused.pass_count()],
            bytes,
            times,
            rounds,
            difference,
            compile,
        })
    }
}

fn run(kernel: &Kernel, inputs: &[View<'_>], outputs: &mut [ViewMut<'_>]) -> Result<(), RunError> {
    kernel.run_into(inputs, outputs)
}

fn outputs(kernel: &Kernel, shapes: &[Vec<usize>]) -> Result<Vec<Tensor>, RunError> {
    let zeros =
        |(index, shape): (usize, &Vec<usize>)| Tensor::zeros(kernel.output_dtype(index), shape);
    shapes.iter().enumerate().map(zeros).collect()
}

/// Numbers from -3 to 3, any integers, or bools; the same ones for the same seed.
fn random(dtype: DType, shape: &[usize], seed: u64) -> Result<Tensor, RunError> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // SplitMix64.
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) >> 11
    };
    let number = |bits: u64| bits as f64 / (1u64 << 53) as f64 * 6.0 - 3.0;
    let mut tensor = Tensor::zeros(dtype, shape)?;
    match &mut tensor {
        Tensor::F16(array) => array.mapv_inplace(|_| f16::from_f64(number(next()))),
        Tensor::BF16(array) => array.mapv_inplace(|_| bf16::from_f64(number(next()))),
        Tensor::F32(array) => array.mapv_inplace(|_| number(next()) as f32),
        Tensor::F64(array) => array.mapv_inplace(|_| number(next())),
        Tensor::Bool(array) => array.mapv_inplace(|_| next() % 2 == 0),
        Tensor::U8(array) => array.mapv_inplace(|_| next() as u8),
        Tensor::I32(array) => array.mapv_inplace(|_| next() as i32),
        // Of 53 random bits.
        Tensor::I64(array) => array.mapv_inplace(|_| (next() << 11) as i64),
    }
    Ok(tensor)
}

/// Bytes that the passes of a fused graph load and store.
fn bytes_moved(graph: &Graph, inputs: &[Vec<usize>]) -> Result<usize, RunError> {
    let mut shapes: Vec<Vec<usize>> = Vec::new();
    let mut total = 0;
    for (id, node) in graph.iter() {
        let operands = node.operands();
        let args: Vec<&[usize]> = operands.iter().map(|arg| &shapes[arg.index()][..]).collect();
        let (shape, stored) = match node {
            Node::Input(index) => (inputs[*index as usize].clone(), None),
            Node::Matmul(..) => (matmul_shape(args[0], args[1])?, Some(graph.dtype(id).size())),
            Node::Fused { body, .. } => {
                let sizes = body.outputs().iter().map(|&output| body.dtype(output).size());
                (broadcast_shape(&args)?, Some(sizes.sum()))
            }
            Node::Item { .. } | Node::Const(_) | Node::Op(..) => (broadcast_shape(&args)?, None),
        };
        if let Some(stored) = stored {
            let loads = operands.iter().zip(&args);
            let loads = loads.map(|(&arg, shape)| count(shape) * graph.dtype(arg).size());
            total += loads.sum::<usize>() + count(&shape) * stored;
        }
        shapes.push(shape);
    }
    Ok(total)
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The copy that kernels are compared with: half of the bytes are read, half are written.
struct Copy {
    from: Vec<u8>,
    to: Vec<u8>,
    /// Bytes for each thread.
    share: usize,
}

impl Copy {
    /// Smaller copies are faster on one thread.
    const SHARED_FROM: usize = 1 << 20;

    fn new(bytes: usize, threads: usize) -> Result<Copy, Failure> {
        let half = (bytes / 2).max(1);
        let touched = |value: u8| {
            let mut buffer = Vec::new();
            let reserved = buffer.try_reserve_exact(half);
            reserved
                .map_err(|_| Failure::Failed(format!("out of memory: {half} bytes to copy")))?;
            buffer.resize(half, value);
            Ok::<_, Failure>(buffer)
        };
        let share = if half < Copy::SHARED_FROM { half } else { half.div_ceil(threads) };
        Ok(Copy { from: touched(1)?, to: touched(2)?, share })
    }

    fn run(&mut self) {
        if self.share == self.from.len() {
            self.to.copy_from_slice(&self.from);
        } else {
            let to = self.to.par_chunks_mut(self.share);
            to.zip(self.from.par_chunks(self.share))
                .for_each(|(to, from)| to.copy_from_slice(from));
        }
        black_box(&mut self.to);
    }
}

/// Calls all in turn, round by round, for about two seconds; the median time of each in
/// nanoseconds, and the number of rounds.
fn interleave<const N: usize>(
    mut calls: [&mut dyn FnMut() -> Result<(), RunError>; N],
) -> Result<([f64; N], usize), Failure> {
    const BUDGET: Duration = Duration::from_secs(2);
    /// Long enough for the clock.
    const SAMPLE: Duration = Duration::from_micros(50);
    const ROUNDS: std::ops::RangeInclusive<usize> = 3..=301;
    let start = Instant::now();
    let mut repeats = [1; N];
    for (call, repeats) in calls.iter_mut().zip(&mut repeats) {
        call()?; // touches every page
        let once = Instant::now();
        call()?;
        *repeats = (SAMPLE.as_nanos() / once.elapsed().as_nanos().max(1)).clamp(1, 10_000);
    }
    let mut samples: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    let mut rounds = 0;
    while rounds < *ROUNDS.start() || (rounds < *ROUNDS.end() && start.elapsed() < BUDGET) {
        for ((call, &repeats), samples) in calls.iter_mut().zip(&repeats).zip(&mut samples) {
            let once = Instant::now();
            for _ in 0..repeats {
                call()?;
            }
            samples.push(once.elapsed().as_nanos() as f64 / repeats as f64);
        }
        rounds += 1;
    }
    let median = |mut samples: Vec<f64>| {
        samples.sort_by(f64::total_cmp);
        samples[samples.len() / 2]
    };
    Ok((samples.map(median), rounds))
}

/// The largest difference between two arrays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Difference {
    abs: f64,
    /// Representable numbers from one to the other.
    ulp: u64,
}

impl Difference {
    fn of(a: &Tensor, b: &Tensor) -> Difference {
        match (a, b) {
            (Tensor::F16(a), Tensor::F16(b)) => Difference::over(a, b, |a, b| {
                let steps =
                    ordered(a.to_bits().into(), 15).abs_diff(ordered(b.to_bits().into(), 15));
                Difference::between(a.into(), b.into(), steps)
            }),
            (Tensor::BF16(a), Tensor::BF16(b)) => Difference::over(a, b, |a, b| {
                let steps =
                    ordered(a.to_bits().into(), 15).abs_diff(ordered(b.to_bits().into(), 15));
                Difference::between(a.into(), b.into(), steps)
            }),
            (Tensor::F32(a), Tensor::F32(b)) => Difference::over(a, b, |a, b| {
                let steps =
                    ordered(a.to_bits().into(), 31).abs_diff(ordered(b.to_bits().into(), 31));
                Difference::between(a.into(), b.into(), steps)
            }),
            (Tensor::F64(a), Tensor::F64(b)) => Difference::over(a, b, |a, b| {
                let steps = ordered(a.to_bits(), 63).abs_diff(ordered(b.to_bits(), 63));
                Difference::between(a, b, steps)
            }),
            (Tensor::U8(a), Tensor::U8(b)) => {
                Difference::over(a, b, |a, b| Difference::of_integers(a.into(), b.into()))
            }
            (Tensor::I32(a), Tensor::I32(b)) => {
                Difference::over(a, b, |a, b| Difference::of_integers(a.into(), b.into()))
            }
            (Tensor::I64(a), Tensor::I64(b)) => Difference::over(a, b, Difference::of_integers),
            (Tensor::Bool(a), Tensor::Bool(b)) => Difference::over(a, b, |a, b| Difference {
                abs: f64::from(u8::from(a != b)),
                ulp: u64::from(a != b),
            }),
            _ => panic!("outputs of one graph have one type"),
        }
    }

    fn over<T: std::marker::Copy>(
        a: &ndarray::ArrayD<T>,
        b: &ndarray::ArrayD<T>,
        difference: impl Fn(T, T) -> Difference,
    ) -> Difference {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| difference(a, b))
            .fold(Difference::default(), Difference::max)
    }

    fn of_integers(a: i64, b: i64) -> Difference {
        Difference { abs: a.abs_diff(b) as f64, ulp: a.abs_diff(b) }
    }

    /// Equal numbers and two NaNs do not differ; a NaN and a number differ in everything.
    fn between(a: f64, b: f64, steps: u64) -> Difference {
        match a.is_nan() || b.is_nan() {
            _ if a == b || (a.is_nan() && b.is_nan()) => Difference::default(),
            true => Difference { abs: f64::INFINITY, ulp: u64::MAX },
            false => Difference { abs: (a - b).abs(), ulp: steps },
        }
    }

    fn max(self, other: Difference) -> Difference {
        Difference { abs: self.abs.max(other.abs), ulp: self.ulp.max(other.ulp) }
    }
}

/// The bits of a float as a number that grows with it; `sign` is the place of the sign bit.
fn ordered(bits: u64, sign: u32) -> i64 {
    let magnitude = (bits & !(1 << sign)) as i64;
    if bits >> sign == 0 { magnitude } else { -magnitude }
}

struct Report {
    name: String,
    inputs: Vec<String>,
    shape: Vec<usize>,
    n: usize,
    mode: String,
    emitter: Option<(String, u32)>,
    threads: usize,
    /// Of the fused and of the unfused program.
    kernels: [usize; 2],
    bytes: [usize; 2],
    /// Nanoseconds of a call: fused, unfused, copy.
    times: [f64; 3],
    rounds: usize,
    difference: Difference,
    compile: Duration,
}

impl Report {
    fn per_element(&self) -> [f64; 3] {
        self.times.map(|time| time / self.n as f64)
    }

    fn table(&self) -> String {
        let Report { name, inputs, shape, mode, threads, rounds, .. } = self;
        let emitter = self.emitter.as_ref();
        let emitter = emitter.map_or("matmul".into(), |(name, bits)| format!("{name} {bits}-bit"));
        let s = if *threads == 1 { "" } else { "s" };
        let mut text = format!(
            "{name}({}) -> {shape:?}: {mode}, {emitter}, {threads} thread{s}, compiled in {:.3?}\n\n\
             {:<8} {:>7} {:>11} {:>9} {:>10} {:>9}\n",
            inputs.join(", "),
            self.compile,
            "",
            "kernels",
            "ns/element",
            "GB/s",
            "MB moved",
            "time"
        );
        let per_element = self.per_element();
        let bytes = [self.bytes[0], self.bytes[1], self.bytes[0]];
        let kernels = [self.kernels[0].to_string(), self.kernels[1].to_string(), "-".into()];
        for (index, label) in ["fused", "unfused", "copy"].into_iter().enumerate() {
            text += &format!(
                "{label:<8} {:>7} {:>11.4} {:>9.2} {:>10.3} {:>8.2}x\n",
                kernels[index],
                per_element[index],
                bytes[index] as f64 / self.times[index],
                bytes[index] as f64 / 1e6,
                self.times[index] / self.times[0],
            );
        }
        let Difference { abs, ulp } = self.difference;
        text + &format!(
            "\nmedians of {rounds} interleaved rounds; time is relative to fused\n\
             fused and unfused results differ by at most {abs:.3e}, {ulp} ULP\n"
        )
    }

    fn json(&self) -> String {
        let [fused, unfused, copy] = self.per_element();
        let emitter = self.emitter.as_ref();
        // Names of modes and emitters are plain words; JSON knows no infinity.
        let (emitter, width) = emitter.map_or(("null".into(), "null".into()), |(name, bits)| {
            (format!("\"{name}\""), bits.to_string())
        });
        let Difference { abs, ulp } = self.difference;
        let abs = if abs.is_finite() { format!("{abs:e}") } else { "null".into() };
        let fields = [
            ("n", self.n.to_string()),
            ("shape", format!("{:?}", self.shape)),
            ("mode", format!("\"{}\"", self.mode)),
            ("emitter", emitter),
            ("width", width),
            ("threads", self.threads.to_string()),
            ("fused_ns_per_element", fused.to_string()),
            ("unfused_ns_per_element", unfused.to_string()),
            ("copy_ns_per_element", copy.to_string()),
            ("kernels_fused", self.kernels[0].to_string()),
            ("kernels_unfused", self.kernels[1].to_string()),
            ("bytes_fused", self.bytes[0].to_string()),
            ("bytes_unfused", self.bytes[1].to_string()),
            ("max_abs_diff", abs),
            ("max_ulp_diff", ulp.to_string()),
            ("compile_ms", (self.compile.as_secs_f64() * 1e3).to_string()),
            ("rounds", self.rounds.to_string()),
        ];
        let fields = fields.map(|(name, value)| format!("\"{name}\": {value}"));
        format!("{{{}}}\n", fields.join(", "))
    }
}

/// A row for each op, with the number of its kernels unfused; all have the same shape, mode, emitter and threads.
fn suite_table(reports: &[Report]) -> String {
    let Some(Report { shape, mode, threads, .. }) = reports.first() else { return String::new() };
    let s = if *threads == 1 { "" } else { "s" };
    let mut text = format!(
        "every derived op, {shape:?}: {mode}, {threads} thread{s}; ns/element\n\n\
         {:<14} {:>8} {:>9} {:>9} {:>9} {:>14} {:>11}\n",
        "", "kernels", "fused", "unfused", "copy", "unfused/fused", "fused/copy"
    );
    for report in reports {
        let [fused, unfused, copy] = report.per_element();
        text += &format!(
            "{:<14} {:>8} {fused:>9.4} {unfused:>9.4} {copy:>9.4} {:>13.2}x {:>10.2}x\n",
            report.name,
            report.kernels[1],
            unfused / fused,
            fused / copy,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Difference, ordered};

    #[test]
    fn floats_are_ordered_by_their_bits() {
        let order = |x: f32| ordered(x.to_bits().into(), 31);
        assert_eq!(order(0.0), order(-0.0));
        assert_eq!(order(1.0) + 1, order(1.0f32.next_up()));
        assert_eq!(order(-1.0) - 1, order((-1.0f32).next_down()));
        assert_eq!(ordered(f64::MIN_POSITIVE.to_bits(), 63), 1 << 52);
    }

    #[test]
    fn nans_differ_from_numbers_only() {
        let nan = f64::NAN;
        assert_eq!(Difference::between(nan, nan, 5), Difference::default());
        assert_eq!(Difference::between(nan, 1.0, 5).ulp, u64::MAX);
        assert_eq!(Difference::between(1.0, 3.0, 5), Difference { abs: 2.0, ulp: 5 });
        assert_eq!(Difference::between(f64::INFINITY, f64::INFINITY, 0), Difference::default());
    }
}
