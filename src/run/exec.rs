//! Executing one elementwise kernel over arrays of any layout: what is checked, and how many
//! threads it runs on. [`walk`](super::walk) walks the arrays.

use super::dense::Dense;
use super::error::{Argument, RunError};
use super::interrupt;
use super::layout::{OPERANDS, Space, broadcast_shape, broadcasts_to};
use super::overlap;
use super::queue::Queue;
use super::team::{self, share};
use super::view::{Layout, View, ViewMut};
use super::walk::Job;
use kiln_ir::DType;
use kiln_jit::cpu::last_level_cache;
use kiln_jit::emit::{Code, Storage};
use smallvec::SmallVec;
use std::ops::Range;

/// How much work, in nanoseconds, makes a thread worth calling while helpers are awake. Two threads
/// take 0.6 to 0.75 of the time of one for calls of 30 to 60 µs, one after another.
/// `cargo bench --bench suite -- threads` shows every power of two.
pub(super) const WORTH_A_THREAD: f64 = 20_000.0;
/// The same where they must be woken ([`team`](super::team)). Time of two threads relative to one,
/// with 200 µs and with 1 ms between calls: 30 µs 1.2 and 1.2, 46 µs 1.1 and 1.3, 61 µs 0.9 to 1.2
/// and 1.0 to 1.2, 75 µs 0.9 and 0.8 to 1.1, 120 µs 0.7 and 0.9.
const WORTH_WAKING: f64 = 60_000.0;
/// Nanoseconds per byte moved, a lower bound of any kernel's cost: `relu` in the L2 cache.
pub(super) const PER_BYTE: f64 = 0.01;

/// When a call reads and writes more bytes than this many last-level caches, outputs bypass the
/// caches. Measured with a copy on two threads (32 MiB of cache), ns per element, streaming and
/// not: 32 MiB 0.10 and 0.07, 64 MiB 0.10 and 0.14, 512 MiB 0.13 and 0.17.
const STREAM_ABOVE: f64 = 1.5;

/// How much work an element is, and how many threads may share it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// The most threads; `Some(1)` stays on the caller's, `None` takes the current pool.
    pub threads: Option<usize>,
    /// Estimated nanoseconds per element on one thread.
    pub cost: f64,
    /// Where a call reads and writes more bytes than this, dense outputs bypass the caches; `None`
    /// means a few last-level caches.
    pub stream_above: Option<usize>,
}

impl Work {
    /// At most this many threads, for elements of this cost.
    pub const fn new(threads: Option<usize>, cost: f64) -> Work {
        Work { threads, cost, stream_above: None }
    }
}

impl Default for Work {
    fn default() -> Work {
        Work::new(None, 0.5)
    }
}

/// Runs `code` once per element of the outputs; the inputs broadcast to their shape.
///
/// An output may be exactly an input (the same elements in the same order); any other overlap of
/// an output is an error. Nothing is written if there is an error.
pub fn execute(
    code: &Code,
    inputs: &[View<'_>],
    outputs: &mut [ViewMut<'_>],
    work: Work,
) -> Result<(), RunError> {
    let _env = kiln_fenv::hold_default();
    check_types(code, inputs, outputs)?;
    if outputs.is_empty() {
        return Ok(());
    }
    check_shapes(inputs, outputs)?;
    overlap::check(inputs, outputs)?;
    let layouts = inputs.iter().map(|v| &v.layout).chain(outputs.iter().map(|v| &v.layout));
    // SAFETY: the views vouch for their memory; types, shapes and overlaps were just checked.
    unsafe { execute_checked(code, &layouts.collect::<SmallVec<[&Layout; OPERANDS]>>(), work) };
    interrupt::check()
}

/// [`execute`] where its checks are known to hold. `operands` are the inputs, then the outputs, at
/// least one of them.
///
/// # Safety
///
/// Operands must have the types of `code`. Inputs must be readable and broadcast to the one shape
/// of the outputs. Outputs must be writable and overlap nothing, except that one may be exactly an
/// input.
pub(super) unsafe fn execute_checked(code: &Code, operands: &[&Layout], work: Work) {
    let inputs = code.inputs().len();
    let shape = &operands[inputs].shape[..];
    if shape.contains(&0) {
        return;
    }
    let threads = threads(shape, operands, work);
    // SAFETY: required of the caller.
    unsafe { execute_on(threads.count, code, operands, work) };
    if threads.are_worth_it {
        team::ended();
    }
}

/// # Safety
///
/// As for [`execute_checked`]; the outputs have at least one element.
#[inline(always)]
pub(super) unsafe fn execute_on(threads: usize, code: &Code, operands: &[&Layout], work: Work) {
    if let Some(dense) = Dense::new(code, operands) {
        // SAFETY: required of the caller.
        return unsafe { run_dense(dense, threads, work) };
    }
    let inputs = code.inputs().len();
    let space = Space::new(&operands[inputs].shape, operands, inputs);
    if let Some(dense) = Dense::of_space(code, &space) {
        // SAFETY: required of the caller.
        return unsafe { run_dense(dense, threads, work) };
    }
    let job = Job::new(code, &space, threads);
    let blocks = job.blocks();
    match threads {
        1 => job.work(once(blocks)),
        _ => {
            let queue = queue(blocks, threads);
            share(threads, &|| job.work(|| queue.take()));
        }
    }
}

/// # Safety
///
/// As for [`execute_checked`].
#[inline(always)]
unsafe fn run_dense(mut dense: Dense<'_>, threads: usize, work: Work) {
    dense.cut(threads);
    let above = || work.stream_above.unwrap_or_else(stream_above);
    dense.streams = dense.bytes() > above() && !dense.is_in_place();
    let blocks = dense.blocks();
    // SAFETY: required of the caller.
    unsafe {
        match threads {
            1 => dense.work(once(blocks)),
            _ => {
                let queue = queue(blocks, threads);
                share(threads, &|| dense.work(|| queue.take()));
            }
        }
    }
}

/// Bytes read and written from which on outputs bypass the caches.
pub(super) fn stream_above() -> usize {
    (last_level_cache() as f64 * STREAM_ABOVE) as usize
}

/// All blocks at once.
fn once(blocks: usize) -> impl FnMut() -> Option<Range<usize>> {
    let mut all = Some(0..blocks);
    move || all.take()
}

/// Blocks in portions small enough that a thread kept busy by others holds nothing up.
fn queue(blocks: usize, threads: usize) -> Queue {
    const PORTIONS: usize = 8;
    Queue::new(blocks, blocks.div_ceil(threads * PORTIONS))
}

/// The element type that lies in memory as `storage`.
pub fn dtype(storage: Storage) -> DType {
    match storage {
        Storage::F16 => DType::F16,
        Storage::BF16 => DType::BF16,
        Storage::F32 => DType::F32,
        Storage::F64 => DType::F64,
        Storage::Bool => DType::Bool,
        Storage::U8 => DType::U8,
        Storage::I32 => DType::I32,
        Storage::I64 => DType::I64,
    }
}

fn check_types(code: &Code, inputs: &[View<'_>], outputs: &[ViewMut<'_>]) -> Result<(), RunError> {
    if code.inputs().len() != inputs.len() {
        let declared = code.inputs().iter().map(|&storage| dtype(storage).to_string()).collect();
        return Err(RunError::InputCount { inputs: declared, found: inputs.len() });
    }
    let (expected, found) = (code.outputs().len(), outputs.len());
    if expected != found {
        return Err(RunError::OutputCount { expected, found });
    }
    for (i, (view, storage)) in inputs.iter().zip(code.inputs()).enumerate() {
        view.layout.check_rank(|| Argument::input(i))?;
        let (expected, found) = (dtype(*storage), view.dtype());
        if expected != found {
            return Err(RunError::DType { argument: Argument::input(i), expected, found });
        }
    }
    for (i, (view, storage)) in outputs.iter().zip(code.outputs()).enumerate() {
        view.layout.check_rank(|| Argument::output(i))?;
        let (expected, found) = (dtype(*storage), view.dtype());
        if expected != found {
            return Err(RunError::DType { argument: Argument::output(i), expected, found });
        }
    }
    Ok(())
}

/// All outputs have one shape, and inputs broadcast to it.
fn check_shapes(inputs: &[View<'_>], outputs: &[ViewMut<'_>]) -> Result<(), RunError> {
    let shape = outputs[0].shape();
    for (index, output) in outputs.iter().enumerate().skip(1) {
        if output.shape() != shape {
            let (expected, found) = (shape.to_vec(), output.shape().to_vec());
            return Err(RunError::OutputShape { output: Argument::output(index), expected, found });
        }
    }
    if inputs.iter().all(|input| broadcasts_to(input.shape(), shape)) {
        return Ok(());
    }
    // Either the inputs do not fit each other, or their shape is not the output's.
    let shapes: Vec<&[usize]> = inputs.iter().map(View::shape).collect();
    let expected = broadcast_shape(&shapes)?;
    Err(RunError::OutputShape { output: Argument::output(0), expected, found: shape.to_vec() })
}

/// How many threads a call is given.
pub(super) struct Threads {
    pub(super) count: usize,
    /// Whether the call would get several if helpers were awake.
    pub(super) are_worth_it: bool,
}

/// How many threads the work is worth.
fn threads(shape: &[usize], operands: &[&Layout], work: Work) -> Threads {
    let most = work.threads.unwrap_or(usize::MAX);
    let bytes: usize = operands.iter().map(|operand| operand.dtype.size()).sum();
    let cost = work.cost.max(bytes as f64 * PER_BYTE);
    let elements: usize = shape.iter().product();
    threads_for(elements as f64 * cost, most)
}

/// How many threads this much work is worth, at most `most`.
pub(super) fn threads_for(nanoseconds: f64, most: usize) -> Threads {
    if most < 2 || nanoseconds < 2.0 * WORTH_A_THREAD {
        return Threads { count: 1, are_worth_it: false };
    }
    let worth = if team::is_called_often() { WORTH_A_THREAD } else { WORTH_WAKING };
    let count = most.min((nanoseconds / worth) as usize);
    // The pool is asked last, because asking starts it.
    let count = if count < 2 { 1 } else { count.min(team::pool_size()) };
    Threads { count, are_worth_it: true }
}
