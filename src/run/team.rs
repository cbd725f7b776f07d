//! Work shared with helpers from rayon's pool that may come late, or not at all.
//!
//! A sleeping worker takes 15 to 50 µs to wake, and a thread that sleeps until all work is done
//! takes as long again. So the caller works too, does not wait for a helper that has not begun, and
//! spins for one that has. Measured on two cores (Zen 5, KVM) for 40 µs of work in 8 pieces, one
//! call every 100 µs: 38 µs, against 91 by a parallel iterator; back to back: 22 against 44. For 5
//! µs of work: 13 against 25, and 3.7 against 26. Calling a sleeping helper costs the caller 7 µs.

use super::interrupt::{self, Watch};
use rayon::ThreadPoolBuilder;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use std::any::Any;
use std::error::Error;
use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

/// The number of pool threads that a call from here uses; 1 if none can be started.
///
/// Rayon starts its pool when it is first asked for, and panics if it cannot.
pub(crate) fn pool_size() -> usize {
    static GLOBAL_RUNS: OnceLock<bool> = OnceLock::new();
    let has_pool =
        rayon::current_thread_index().is_some() || *GLOBAL_RUNS.get_or_init(start_global);
    if has_pool { rayon::current_num_threads() } else { 1 }
}

/// Starts the global pool. Returns whether it runs.
fn start_global() -> bool {
    match ThreadPoolBuilder::new().build_global() {
        Ok(()) => true,
        // A refusal by the system has a source; an error because the pool was already started has
        // none. That first start may have failed too, which only rayon's panic tells.
        Err(error) => error.source().is_none() && catch_unwind(rayon::current_num_threads).is_ok(),
    }
}

/// Calls `work` on this thread and on up to `threads - 1` of the current pool at the same time, and
/// returns when all calls have. A single call must be able to do all the work.
pub(super) fn share(threads: usize, work: &(dyn Fn() + Sync)) {
    if rayon::current_thread_index().is_some() {
        // In the pool, rayon has no thread to wake for the caller, and takes back what was not
        // stolen. Meanwhile this thread may run stolen work of others, in their environment.
        let watch = Watch::for_helpers();
        let _apart = interrupt::leave();
        return kiln_fenv::without(|| {
            (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
                let _env = kiln_fenv::hold_default();
                let _under = interrupt::enter(watch);
                work();
            });
        });
    }
    // SAFETY: a pointer may dangle; only its lifetime changes.
    let shared = unsafe {
        std::mem::transmute::<*const (dyn Fn() + Sync + '_), *const (dyn Fn() + Sync)>(work)
    };
    let team = Arc::new(Team {
        work: shared,
        watch: Watch::for_helpers(),
        size: threads,
        members: AtomicUsize::new(0),
        panic: Mutex::new(None),
    });
    let open = Open(&team);
    call_helpers(&team, 0);
    work();
    drop(open);
    let panic = team.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

/// When the last call worth several threads ended, by [`now`]; 0 if there was none.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Notes the end of a call worth several threads, whether it had them or not.
pub(super) fn ended() {
    LAST.store(now(), Ordering::Relaxed);
}

/// Whether another such call has just ended, so that helpers are still awake, or will be next time.
pub(super) fn is_called_often() -> bool {
    /// Roughly how many nanoseconds rayon's workers look for work before they sleep.
    const AWAKE: u64 = 20_000;
    let last = LAST.load(Ordering::Relaxed);
    last != 0 && now().saturating_sub(last) < AWAKE
}

/// Nanoseconds since the first call of this.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as u64
}

struct Team {
    /// Borrowed by [`share`], which waits for all members. Valid while there is a member; dangling
    /// for helpers that come too late to be one.
    work: *const (dyn Fn() + Sync),
    /// The caller's, of which the same is true.
    watch: Watch,
    /// The most members, the caller among them.
    size: usize,
    /// Helpers at work, and whether the team is closed to new ones.
    members: AtomicUsize,
    /// The panic of a helper.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: the work is `Sync`; only members use it.
unsafe impl Send for Team {}
// SAFETY: as above.
unsafe impl Sync for Team {}

const CLOSED: usize = 1 << (usize::BITS - 1);

/// Each helper calls two more, so that the caller need not wake all of them.
fn call_helpers(team: &Arc<Team>, member: usize) {
    for helper in [2 * member + 1, 2 * member + 2] {
        if helper < team.size {
            let team = team.clone();
            rayon::spawn(move || {
                let Some(member) = Member::join(&team) else { return };
                // Rayon would end the process; instead, the caller gets the panic.
                let done = catch_unwind(AssertUnwindSafe(|| {
                    call_helpers(&team, helper);
                    let _env = kiln_fenv::hold_default();
                    let _under = interrupt::enter(team.watch);
                    // SAFETY: `share` waits for this member before its borrow ends.
                    unsafe { (*team.work)() };
                }));
                if let Err(panic) = done {
                    *team.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
                }
                drop(member);
            });
        }
    }
}

/// A helper at work.
struct Member<'a>(&'a Team);

impl Member<'_> {
    fn join(team: &Team) -> Option<Member<'_>> {
        let before = team.members.fetch_add(1, Ordering::Acquire);
        let member = Member(team);
        (before & CLOSED == 0).then_some(member)
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.0.members.fetch_sub(1, Ordering::Release);
    }
}

/// Closes the team, and waits for its members.
struct Open<'a>(&'a Team);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        /// Iterations before the thread yields the processor, some tens of µs.
        const SPINS: usize = 2000;
        let members = &self.0.members;
        members.fetch_or(CLOSED, Ordering::AcqRel);
        let mut spins = 0;
        while members.load(Ordering::Acquire) != CLOSED {
            match spins < SPINS {
                true => hint::spin_loop(),
                false => {
                    // Helpers hear of it.
                    interrupt::goes_on();
                    thread::yield_now();
                }
            }
            spins += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::share;
    use crate::run::queue::Queue;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn all_work_is_done_once() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for round in 0..3000 {
            let (blocks, chunk) = (round % 17, 1 + round % 3);
            let queue = Queue::new(blocks, chunk);
            let done: Vec<AtomicUsize> = (0..blocks).map(|_| AtomicUsize::new(0)).collect();
            let work = || {
                while let Some(range) = queue.take() {
                    range.for_each(|block| _ = done[block].fetch_add(1, Ordering::Relaxed));
                }
            };
            match round % 2 {
                0 => share(1 + round % 7, &work),
                _ => pool.install(|| share(1 + round % 7, &work)),
            }
            assert!(done.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_after_all_have_left() {
        let at_work = AtomicUsize::new(0);
        let caller = std::thread::current().id();
        let shared = catch_unwind(AssertUnwindSafe(|| {
            share(3, &|| {
                at_work.fetch_add(1, Ordering::SeqCst);
                if std::thread::current().id() == caller {
                    panic!("here");
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
                at_work.fetch_sub(1, Ordering::SeqCst);
            });
        }));
        assert!(shared.is_err());
        assert_eq!(at_work.load(Ordering::SeqCst), 1, "helpers are done");
    }

    /// The caller gets the panic, whether it is in the pool or not.
    #[test]
    fn a_helper_that_panics_ends_the_call_and_not_the_process() {
        let panics = || {
            let caller = std::thread::current().id();
            let panicked = AtomicUsize::new(0);
            share(2, &|| {
                if std::thread::current().id() != caller {
                    panicked.store(1, Ordering::SeqCst);
                    panic!("a helper's");
                }
                // A second thread does the other half, once it has woken.
                while panicked.load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
            });
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let from_outside = catch_unwind(panics).unwrap_err();
        let from_inside = catch_unwind(AssertUnwindSafe(|| pool.install(panics))).unwrap_err();
        for panic in [from_outside, from_inside] {
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"a helper's"));
        }
        all_work_is_done_once();
    }
}
