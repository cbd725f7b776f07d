//! Runs that end before they are done.
//!
//! What hands out pieces of work asks [`goes_on`] before each one, on the thread that called and on its
//! helpers. The caller's thread, and no other, asks whoever wants to know now and then.

use super::error::RunError;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Does work, such as calls of kernels, and ends it early once `ask` says that it should.
///
/// `ask` is called on this thread, between pieces of work, every tenth of a second at most, and not at all in
/// calls that are shorter. After it has returned true, calls fail with [`RunError::Interrupted`] as soon as all threads
/// have done what they are at, some milliseconds. What they were to write may be written in part.
///
/// ```
/// use kiln::{DType, RunError, Tensor, compile_text, interruptible};
/// use std::time::{Duration, Instant};
///
/// let kernel = compile_text("|x: f32[n, k], y: f32[k, m]| x @ y")?;
/// let x = Tensor::zeros(DType::F32, &[3000, 3000])?;
/// let end = Instant::now() + Duration::from_millis(5);
/// let is_late = || Instant::now() > end;
/// let done = interruptible(&is_late, || loop {
///     kernel.run(&[x.view(), x.view()])?;
/// });
/// assert_eq!(done.map(|never: ()| never), Err(RunError::Interrupted));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of the work, or [`RunError::Interrupted`].
pub fn interruptible<R, E: From<RunError>>(
    ask: &dyn Fn() -> bool,
    work: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    asking_every(Duration::from_millis(100), ask, work)
}

/// The same, asking so often.
fn asking_every<R, E: From<RunError>>(
    every: Duration,
    ask: &dyn Fn() -> bool,
    work: impl FnOnce() -> Result<R, E>,
) -> Result<R, E> {
    let over = AtomicBool::new(false);
    let asking = Asking::new(every, ask);
    // SAFETY: a pointer may dangle; only its lifetime changes.
    let shared = unsafe {
        std::mem::transmute::<*const Asking<'_>, *const Asking<'static>>(&raw const asking)
    };
    let done = {
        let _under = enter(Watch { over: &raw const over, asking: shared });
        work()
    };
    if over.into_inner() { Err(RunError::Interrupted.into()) } else { done }
}

/// What ends the work of a thread. Both are valid while a thread is under it, for [`interruptible`] lends
/// them until its work is done, and that waits for its helpers.
#[derive(Clone, Copy)]
pub(super) struct Watch {
    /// Whether it is over; null where nothing can end it.
    over: *const AtomicBool,
    /// On the thread that called.
    asking: *const Asking<'static>,
}

// SAFETY: only the flag, which is atomic, is given to other threads.
unsafe impl Send for Watch {}
// SAFETY: as above.
unsafe impl Sync for Watch {}

impl Watch {
    const NONE: Watch = Watch { over: ptr::null(), asking: ptr::null() };

    /// That of this thread, for its helpers, which do not ask.
    #[cfg(all(feature = "threads", not(target_family = "wasm")))]
    pub(super) fn for_helpers() -> Watch {
        Watch { asking: ptr::null(), ..WATCH.get() }
    }

    #[inline(never)]
    fn goes_on(self) -> bool {
        // SAFETY: this thread is under it.
        let (over, asking) = unsafe { (&*self.over, self.asking.as_ref()) };
        if !over.load(Ordering::Relaxed) && asking.is_some_and(Asking::says_so) {
            over.store(true, Ordering::Relaxed);
        }
        !over.load(Ordering::Relaxed)
    }
}

thread_local! {
    static WATCH: Cell<Watch> = const { Cell::new(Watch::NONE) };
}

/// Whether to go on with the work of this thread.
#[inline]
pub(super) fn goes_on() -> bool {
    let watch = WATCH.get();
    watch.over.is_null() || watch.goes_on()
}

/// An error, if the work of this thread is over before it is done.
#[inline]
pub(super) fn check() -> Result<(), RunError> {
    if goes_on() { Ok(()) } else { Err(RunError::Interrupted) }
}

/// Whether something can end the work of this thread.
#[inline]
pub(super) fn is_watched() -> bool {
    !WATCH.get().over.is_null()
}

/// Puts this thread under a watch, until what is returned is dropped.
#[must_use = "it ends where this is dropped"]
pub(super) fn enter(watch: Watch) -> Under {
    Under { before: WATCH.replace(watch), thread: PhantomData }
}

/// Takes this thread from under its watch, to do the work of others.
pub(super) fn leave() -> Under {
    enter(Watch::NONE)
}

/// A thread under a watch.
pub(super) struct Under {
    before: Watch,
    /// It belongs to a thread.
    thread: PhantomData<*const ()>,
}

impl Drop for Under {
    fn drop(&mut self) {
        WATCH.set(self.before);
    }
}

/// When to ask, and whom.
struct Asking<'a> {
    every: Duration,
    ask: &'a dyn Fn() -> bool,
    /// When it was asked, or the first piece of work began.
    asked: Cell<Option<Instant>>,
    /// When the clock was looked at.
    looked: Cell<Option<Instant>>,
    /// Pieces from one look to the next, and how many are left.
    stride: Cell<u32>,
    left: Cell<u32>,
}

impl<'a> Asking<'a> {
    fn new(every: Duration, ask: &'a dyn Fn() -> bool) -> Asking<'a> {
        let (asked, looked) = (Cell::new(None), Cell::new(None));
        Asking { every, ask, asked, looked, stride: Cell::new(1), left: Cell::new(0) }
    }

    /// Asks, if it is time to.
    fn says_so(&self) -> bool {
        const MOST: u32 = 64;
        if self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            return false;
        }
        let now = Instant::now();
        if let Some(last) = self.looked.replace(Some(now)) {
            let stride = self.stride.get();
            // A look at the clock takes as long as a short piece of work: they are some way apart.
            let is_near = now.duration_since(last) < self.every / 100;
            self.stride.set(if is_near { (2 * stride).min(MOST) } else { (stride / 2).max(1) });
        }
        self.left.set(self.stride.get() - 1);
        let Some(asked) = self.asked.get() else {
            self.asked.set(Some(now));
            return false;
        };
        if now.duration_since(asked) < self.every {
            return false;
        }
        // Whoever is asked may call kernels, too.
        let _apart = leave();
        let says_so = kiln_fenv::without(self.ask);
        self.asked.set(Some(Instant::now()));
        says_so
    }
}

#[cfg(test)]
mod tests {
    use super::{asking_every, goes_on, interruptible, is_watched};
    use crate::run::{Kernel, RunError};
    use crate::{CompileOptions, DType, Tensor, compile_with};
    use std::cell::Cell;
    use std::thread;
    use std::time::{Duration, Instant};

    /// Asks on and on, until the first yes: then `work` must be over.
    fn end(work: impl Fn() -> Result<(), RunError>) {
        let begun = Instant::now();
        let is_late = || begun.elapsed() > Duration::from_millis(20);
        let done: Result<(), RunError> = interruptible(&is_late, || {
            loop {
                work()?;
            }
        });
        assert_eq!(done, Err(RunError::Interrupted));
        assert!(goes_on() && !is_watched(), "nothing is left of it");
    }

    fn kernel(text: &str, threads: usize) -> Kernel {
        let graph = text.parse::<crate::Graph>().unwrap();
        compile_with(&graph, CompileOptions::default().threads(threads)).unwrap()
    }

    /// Each kind of step, on one thread and several, and in a pool: calls end, and later ones are whole.
    #[test]
    fn every_kind_of_step_ends() {
        let x = Tensor::zeros(DType::F32, &[300, 500]).unwrap();
        let wide = Tensor::zeros(DType::F32, &[4, 200_000]).unwrap();
        let places = Tensor::zeros(DType::I64, &[700]).unwrap();
        let cases: [(&str, Vec<&Tensor>); 8] = [
            ("|x: f32| exp(x) * 2", vec![&x]),
            ("|x: f32[n, m]| slice[1, 1:499:3](x) + 1", vec![&x]),
            ("|x: f32[n, m]| softmax[-1](x)", vec![&x]),
            ("|x: f32[n, m]| softmax[-1](x)", vec![&wide]),
            ("|x: f32[n, m]| sum[0](x)", vec![&x]),
            ("|x: f32[n, m]| cumsum[1](x)", vec![&x]),
            ("|x: f32[n, m], i: i64[k]| take[0](x, i)", vec![&x, &places]),
            ("|x: f32[n, m], y: f32[k, m]| x @ y^T", vec![&x, &x]),
        ];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for (text, inputs) in cases {
            let text = text.replace("y^T", "transpose(y)");
            for threads in [1, 2] {
                let kernel = kernel(&text, threads);
                let views: Vec<_> = inputs.iter().map(|tensor| tensor.view()).collect();
                let run = || kernel.run(&views).map(drop);
                let expected = kernel.run(&views).unwrap();
                end(run);
                pool.install(|| end(run));
                assert_eq!(format!("{:?}", kernel.run(&views).unwrap()), format!("{expected:?}"));
            }
        }
    }

    #[test]
    fn a_long_product_ends_in_the_middle() {
        let x = Tensor::zeros(DType::F64, &[1600, 1600]).unwrap();
        for threads in [1, 2] {
            let kernel = kernel("|x: f64[n, k], y: f64[k, m]| x @ y", threads);
            let asked = Cell::new(0);
            let ask = || {
                asked.set(asked.get() + 1);
                true
            };
            // One call is long enough to be asked in, and if it is not, a few are.
            let done: Result<(), RunError> = interruptible(&ask, || {
                loop {
                    kernel.run(&[x.view(), x.view()])?;
                }
            });
            assert_eq!((done, asked.get()), (Err(RunError::Interrupted), 1));
        }
    }

    /// How many elements there are to the longest piece of work of a call, roughly.
    #[test]
    fn pieces_of_work_are_short() {
        const PIECE: usize = 1 << 20;
        let x = Tensor::zeros(DType::F32, &[8 * PIECE]).unwrap();
        let rows =
            |columns: usize| Tensor::zeros(DType::F32, &[8 * PIECE / columns, columns]).unwrap();
        let (narrow, wide, lying) = (rows(4), rows(512), rows(PIECE * 2));
        let places = Tensor::zeros(DType::I64, &[8 * PIECE]).unwrap();
        for (text, inputs) in [
            ("|x: f32| exp(x) + 1", vec![&x]),
            ("|x: f32[n]| flip[0](x) + 1", vec![&x]),
            ("|x: f32[n, m]| transpose(x) + 1", vec![&narrow]),
            ("|x: f32[n]| cumsum[0](x)", vec![&x]),
            ("|x: f32[n, m]| cumsum[0](x)", vec![&narrow]),
            ("|x: f32[n, m]| cumsum[0](x)", vec![&wide]),
            ("|x: f32[n, m]| cumprod[1](x)", vec![&lying]),
            ("|x: f32[n], i: i64[k]| take[0](x, i)", vec![&x, &places]),
            ("|x: f32[n, m]| take[0](x, iota[0](x))", vec![&wide]),
            ("|x: f32[n]| concat[0](x, x)", vec![&x]),
            ("|x: f32[n]| sum[0](x)", vec![&x]),
            ("|x: f32[n]| sum[0](exp(x))", vec![&x]),
            ("|x: f32[n]| argmax[0](x)", vec![&x]),
            ("|x: f32[n, m]| sum[0](x)", vec![&narrow]),
            ("|x: f32[n, m]| sum[0](x)", vec![&wide]),
            ("|x: f32[n, m]| sum[0](x)", vec![&lying]),
            ("|x: f32[n, m]| sum[1](x)", vec![&narrow]),
            ("|x: f32[n, m]| max[1](x)", vec![&wide]),
            ("|x: f32[n]| softmax[0](x)", vec![&x]),
            ("|x: f32[n, m]| softmax[0](x)", vec![&wide]),
            ("|x: f32[n, m]| layer_norm[1](x)", vec![&narrow]),
        ] {
            let kernel = kernel(text, 1);
            let views: Vec<_> = inputs.iter().map(|tensor| tensor.view()).collect();
            let asked = Cell::new(0);
            let ask = || {
                asked.set(asked.get() + 1);
                false
            };
            asking_every(Duration::ZERO, &ask, || kernel.run(&views).map(drop)).unwrap();
            let pieces = asked.get();
            assert!(pieces >= 8, "{text} of {:?} is {pieces} pieces", inputs[0].shape());
        }
    }

    #[test]
    fn who_is_asked_may_call_kernels() {
        let kernel = kernel("|x: f32| exp(x) + 1", 2);
        let x = Tensor::zeros(DType::F32, &[100_000]).unwrap();
        let ask = || kernel.run(&[x.view()]).is_ok_and(|_| !is_watched());
        let done: Result<(), RunError> = interruptible(&ask, || {
            loop {
                kernel.run(&[x.view()])?;
            }
        });
        assert_eq!(done, Err(RunError::Interrupted));
    }

    #[test]
    fn what_is_not_ended_gives_what_it_gives() {
        let kernel = kernel("|x: f32| x + 1", 2);
        let x = Tensor::zeros(DType::F32, &[1000]).unwrap();
        let done = interruptible(&|| false, || kernel.run(&[x.view()]));
        assert_eq!(done.unwrap()[0].shape(), [1000]);
        let failed: Result<(), RunError> = interruptible(&|| false, || kernel.run(&[]).map(drop));
        assert!(matches!(failed, Err(RunError::InputCount { .. })));
        // Other threads are under no watch of this one.
        let other: Result<bool, RunError> =
            interruptible(&|| true, || Ok(thread::spawn(is_watched).join().unwrap()));
        assert_eq!(other, Ok(false));
    }
}
