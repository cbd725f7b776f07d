//! The floating-point environment of a thread: the default one for as long as a value lives.
//!
//! A thread's control register decides how results are rounded, whether subnormals count as zero
//! (FTZ and DAZ, which a library built with `-ffast-math` sets as it is loaded) and whether an
//! exception ends the process. New threads inherit it. Kiln's results must not depend on it, so
//! whatever computes holds the default environment:
//!
//! ```
//! let third = {
//!     let _env = kiln_fenv::hold_default();
//!     1.0 / std::hint::black_box(3.0) // to nearest, whatever the caller's mode is
//! };
//! assert_eq!(third, 1.0 / 3.0);
//! ```
//!
//! Where the environment is the default one already, as nearly always, this costs a look at the
//! register and a comparison.
//!
//! Rust lets the compiler assume the default environment everywhere. It cannot move work that reads
//! memory, or that is behind a call, to before or behind the change; hold the environment around
//! such work, and not around a few operations on values at hand.

use std::cell::Cell;
use std::marker::PhantomData;

/// The default environment, until it is dropped: rounding to nearest, subnormals as they are, no
/// exception trapped. Then the caller's is back, but for the flags of exceptions that have occurred,
/// which are added to the caller's.
#[derive(Debug)]
#[must_use = "the environment is the caller's again where this is dropped"]
pub struct DefaultEnv {
    /// What was put aside, where it was another.
    aside: Option<register::Control>,
    /// It belongs to a thread.
    thread: PhantomData<*const ()>,
}

thread_local! {
    /// What this thread has put aside, while it holds the default environment.
    static ASIDE: Cell<Option<register::Control>> = const { Cell::new(None) };
}

/// Makes the environment of this thread the default one.
#[inline]
pub fn hold_default() -> DefaultEnv {
    let control = register::control();
    let aside = (control != register::DEFAULT).then_some(control);
    if let Some(control) = aside {
        put_aside(control);
    }
    DefaultEnv { aside, thread: PhantomData }
}

#[cold]
#[inline(never)]
fn put_aside(control: register::Control) {
    register::set_control(register::DEFAULT);
    ASIDE.set(Some(control));
}

#[cold]
#[inline(never)]
fn put_back(control: register::Control) {
    register::set_control(control);
    ASIDE.set(None);
}

impl Drop for DefaultEnv {
    #[inline]
    fn drop(&mut self) {
        if let Some(control) = self.aside {
            put_back(control);
        }
    }
}

/// Calls `wait` in the environment that was put aside, if one is held: for waiting in which this
/// thread may do the work of others.
pub fn without<R>(wait: impl FnOnce() -> R) -> R {
    /// Puts it aside again.
    struct Again(register::Control);
    impl Drop for Again {
        fn drop(&mut self) {
            put_aside(self.0);
        }
    }
    let _again = ASIDE.take().map(|control| {
        register::set_control(control);
        Again(control)
    });
    wait()
}

/// MXCSR. The flags of exceptions are in it, too, and stay as they are.
#[cfg(all(any(target_arch = "x86_64", target_arch = "x86"), target_feature = "sse", not(miri)))]
mod register {
    use std::arch::asm;

    /// Bits 6 to 15: DAZ, a mask for each exception, the rounding mode, FTZ.
    pub(super) type Control = u32;

    const CONTROL: u32 = 0xffc0;

    /// All exceptions masked.
    pub(super) const DEFAULT: Control = 0x1f80;

    #[inline]
    fn get() -> u32 {
        let mut value = 0u32;
        // SAFETY: it writes the four bytes of `value`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
        value
    }

    #[inline]
    pub(super) fn control() -> Control {
        get() & CONTROL
    }

    pub(super) fn set_control(control: Control) {
        let value = get() & !CONTROL | control;
        // SAFETY: it reads the four bytes of `value`; control bits are those of a value that was in
        // the register, or the default ones.
        unsafe {
            asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, preserves_flags))
        };
    }
}

/// FPCR. The flags of exceptions are in another register.
#[cfg(all(target_arch = "aarch64", not(miri)))]
mod register {
    use std::arch::asm;

    pub(super) type Control = u64;

    /// To nearest, no flush to zero of any width, NaNs propagated, no exception trapped.
    pub(super) const DEFAULT: Control = 0;

    #[inline]
    pub(super) fn control() -> Control {
        let value: u64;
        // SAFETY: it only reads the register.
        unsafe { asm!("mrs {}, fpcr", out(reg) value, options(nostack, preserves_flags)) };
        value
    }

    pub(super) fn set_control(control: Control) {
        // SAFETY: a value that was in the register, or the default one.
        unsafe { asm!("msr fpcr, {}", in(reg) control, options(nostack, preserves_flags)) };
    }
}

/// Elsewhere the environment is taken for the default one.
#[cfg(not(all(
    any(
        all(any(target_arch = "x86_64", target_arch = "x86"), target_feature = "sse"),
        target_arch = "aarch64"
    ),
    not(miri)
)))]
mod register {
    pub(super) type Control = u8;

    pub(super) const DEFAULT: Control = 0;

    pub(super) fn control() -> Control {
        DEFAULT
    }

    pub(super) fn set_control(_: Control) {}
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::{hold_default, register, without};

    /// Flush to zero, rounding down, every exception trapped; each alone, and held twice.
    #[test]
    fn others_are_put_aside_and_come_back() {
        for control in [0x9f80, 0x1fc0, 0x3f80, 0x7f80, 0x0000, register::DEFAULT] {
            register::set_control(control);
            let (held, nested) = {
                let _env = hold_default();
                let held = register::control();
                let _again = hold_default();
                (held, register::control())
            };
            let after = register::control();
            register::set_control(register::DEFAULT);
            assert_eq!((held, nested, after), (register::DEFAULT, register::DEFAULT, control));
        }
    }

    #[test]
    fn what_was_put_aside_can_be_lent() {
        register::set_control(0x9f80);
        let seen = {
            let _env = hold_default();
            let lent = without(|| {
                let lent = register::control();
                let _env = hold_default();
                (lent, register::control(), without(register::control), register::control())
            });
            (lent, register::control())
        };
        let after = register::control();
        register::set_control(register::DEFAULT);
        let (other, default) = (0x9f80, register::DEFAULT);
        assert_eq!(seen, ((other, default, other, default), default));
        assert_eq!(after, other);
        assert_eq!(without(register::control), default, "nothing was put aside");
    }

    #[test]
    fn it_comes_back_after_a_panic() {
        register::set_control(0x9f80);
        let panicked = std::panic::catch_unwind(|| {
            let _env = hold_default();
            std::panic::resume_unwind(Box::new(()));
        });
        let after = register::control();
        register::set_control(register::DEFAULT);
        assert!(panicked.is_err());
        assert_eq!(after, 0x9f80);
    }
}
