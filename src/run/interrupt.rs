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
    let over = AtomicBool::new(false);
    let asking = Asking::new(ask);
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
    fn new(ask: &'a dyn Fn() -> bool) -> Asking<'a> {
        let (asked, looked) = (Cell::new(None), Cell::new(None));
        Asking { ask, asked, looked, stride: Cell::new(1), left: Cell::new(0) }
    }

    /// Asks, if it is time to.
    fn says_so(&self) -> bool {
        const EVERY: Duration = Duration::from_millis(100);
        /// A look at the clock takes as long as a short piece of work: they are some way apart.
        const APART: Duration = Duration::from_millis(1);
        const MOST: u32 = 64;
        if self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            return false;
        }
        let now = Instant::now();
        if let Some(last) = self.looked.replace(Some(now)) {
            let stride = self.stride.get();
            let is_near = now.duration_since(last) < APART;
            self.stride.set(if is_near { (2 * stride).min(MOST) } else { (stride / 2).max(1) });
        }
        self.left.set(self.stride.get() - 1);
        let Some(asked) = self.asked.get() else {
            self.asked.set(Some(now));
            return false;
        };
        if now.duration_since(asked) < EVERY {
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
mod tests;
