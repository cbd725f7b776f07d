//! Is fused ever slower than unfused, or are two threads ever slower than one? Every kernel at
//! every size, and whatever looks slower measured again before it is said.

use super::Bench;
use super::data::{outputs, random};
use super::slowest::{BOUND, RACES};
use crate::console::Console;
use crate::failure::Failure;
use crate::kernel::Text;
use crate::progress::Progress;
use crate::shapes::{Shape, shapes_over};
use kiln::derived::DERIVED;
use kiln::profile::{Counts, Profiles, Race, try_profile_fn};
use kiln::{CompileOptions, Graph, Kernel, Tensor, View, compile_with};
use std::cell::RefCell;
use std::time::Duration;

/// What is compared: the candidate, what it may not be slower than, how much slower it may look,
/// and both in words.
const PAIRS: [(usize, usize, f64, &str); 3] = [
    (FUSED, UNFUSED, BOUND, "1 thread: fused takes {} times as long as unfused"),
    (FUSED_2, UNFUSED_2, BOUND, "2 threads: fused takes {} times as long as unfused"),
    (FUSED_2, FUSED, 1.05, "fused: 2 threads take {} times as long as 1"),
];
/// Candidates, in this order.
const FUSED: usize = 0;
const FUSED_2: usize = 1;
const UNFUSED: usize = 2;
const UNFUSED_2: usize = 3;

/// One kernel at one size.
struct Row {
    name: String,
    size: usize,
    /// Nanoseconds of a call, by candidate.
    times: [f64; 4],
    /// For each of the pairs, the least ratio that a race had.
    ratios: [f64; 3],
    races: usize,
}

impl Row {
    fn slower(&self) -> impl Iterator<Item = String> + '_ {
        let pairs = PAIRS.iter().zip(self.ratios).filter(|((_, _, most, _), ratio)| ratio > most);
        pairs.map(|((.., words), ratio)| {
            let words = words.replace("{}", &format!("{ratio:.3}"));
            format!("{} of {} elements, {words}\n", self.name, self.size)
        })
    }

    fn line(&self) -> String {
        let [fused, fused_2, unfused, unfused_2] = self.times.map(|ns| ns / self.size as f64);
        let [one, two, threads] = self.ratios;
        format!(
            "{:<14} {:>9} {fused:>9.4} {unfused:>9.4} {one:>7.3} {fused_2:>9.4} {unfused_2:>9.4} \
             {two:>7.3} {threads:>7.3}\n",
            self.name, self.size
        )
    }
}

pub(super) fn sweep(bench: &Bench, console: &Console) -> Result<(), Failure> {
    let most = bench.up_to.unwrap_or(if bench.quick { 1 << 22 } else { 1 << 26 });
    let sizes: Vec<usize> =
        (0..).step_by(2).map(|power| 1 << power).take_while(|&size| size <= most).collect();
    let mut rows = Vec::new();
    // Calls start in the pool whose threads they share the work with.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let pool =
        pool.map_err(|error| Failure::Failed(format!("cannot start two threads: {error}")))?;
    let kernels = match bench.kernels.is_empty() {
        true => DERIVED.iter().map(|op| format!("@{}", op.name)).collect(),
        false => bench.kernels.clone(),
    };
    let progress = Progress::of_steps(console, (kernels.len() * sizes.len()) as u64);
    console.print(&head(bench))?;
    for kernel in kernels {
        let graph = Text::find(&kernel)?.graph_of(bench.arrays.dtype, console)?;
        pool.install(|| -> Result<(), Failure> {
            let kernels = compile(bench, &graph)?;
            for &size in &sizes {
                progress.at(format!("{kernel} {size}"));
                let name = kernel.trim_start_matches('@').to_string();
                let row = measure(bench, name, &graph, &kernels, size)?;
                progress.pause(|| console.print(&row.line()))?;
                progress.step();
                rows.push(row);
            }
            Ok(())
        })?;
    }
    drop(progress);
    console.print(&verdict(&rows))
}

/// The candidates, in the order of their numbers.
fn compile(bench: &Bench, graph: &Graph) -> Result<[Kernel; 4], Failure> {
    let make = |options: CompileOptions, threads| compile_with(graph, options.threads(threads));
    let [fused, unfused] = [true, false].map(|fused| bench.execution.options(fused));
    Ok([make(fused, 1)?, make(fused, 2)?, make(unfused, 1)?, make(unfused, 2)?])
}

fn measure(
    bench: &Bench,
    name: String,
    graph: &Graph,
    kernels: &[Kernel; 4],
    size: usize,
) -> Result<Row, Failure> {
    let budget = Duration::from_millis(if bench.quick { 80 } else { 400 });
    let times = race(graph, kernels, size, budget)?;
    let ratios = |times: &Profiles| PAIRS.map(|(candidate, than, ..)| times.ratio(candidate, than));
    let mut row = Row {
        name,
        size,
        times: [0, 1, 2, 3].map(|candidate| times[candidate].latency().median()),
        ratios: ratios(&times),
        races: 1,
    };
    // Where code lies in memory can be worth 10 % to a short call. Earlier code stays, so that later
    // code lies elsewhere.
    let mut others = Vec::new();
    while row.races < RACES && row.slower().next().is_some() {
        others.push(compile(bench, graph)?);
        let again = ratios(&race(graph, &others[others.len() - 1], size, 4 * budget)?);
        row.ratios = [0, 1, 2].map(|pair| row.ratios[pair].min(again[pair]));
        row.races += 1;
    }
    Ok(row)
}

/// The candidates against each other, on arrays of their own.
fn race(
    graph: &Graph,
    kernels: &[Kernel; 4],
    size: usize,
    budget: Duration,
) -> Result<Profiles, Failure> {
    let shapes = shapes_over(graph, &[Shape::axis("n", size)])?;
    let arrays: Vec<Tensor> = (1..)
        .zip(graph.inputs().iter().zip(&shapes))
        .map(|(seed, (input, shape))| random(input.dtype, shape, seed))
        .collect::<Result<_, _>>()?;
    let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
    let mut results = outputs(&kernels[0], &kernels[0].output_shapes(&views)?)?;
    // All write to the same memory: where it lies makes no difference between them.
    let targets = RefCell::new(results.iter_mut().map(Tensor::view_mut).collect::<Vec<_>>());
    let mut race = Race::new();
    for kernel in kernels {
        let call = || kernel.run_into(&views, &mut targets.borrow_mut());
        race.add(try_profile_fn("", Counts::default(), call));
    }
    Ok(race.run_for(budget)?)
}

fn head(bench: &Bench) -> String {
    format!(
        "{}, {}, emitter {}; ns/element, medians of interleaved rounds\n\n\
         {:<14} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7} {:>7}\n{:<14} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7} {:>7}\n",
        bench.arrays.dtype,
        bench.execution.mode,
        bench.execution.emitter,
        "",
        "",
        "1 thread",
        "",
        "fused/",
        "2 threads",
        "",
        "fused/",
        "2 thr./",
        "",
        "elements",
        "fused",
        "unfused",
        "unfused",
        "fused",
        "unfused",
        "unfused",
        "1 thr."
    )
}

fn verdict(rows: &[Row]) -> String {
    let again = rows.iter().filter(|row| row.races > 1).count();
    let slower: Vec<String> = rows.iter().flat_map(Row::slower).collect();
    let cases = rows.len();
    match slower.len() {
        0 => format!("\nnever slower, in {cases} cases, {again} of them measured again\n"),
        count => format!(
            "\nslower in each of {RACES} races, {count} times ({cases} cases, {again} measured again)\n{}",
            slower.concat()
        ),
    }
}
