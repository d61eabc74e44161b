//! The named points of `tail`: where a test lets something happen in the middle of what one thread does.
//!
//! To the agent they are what [`suiro_sdk::killpoint`] makes of them. In the tests of this crate each pass is told to a
//! hook, which may end the source there and then, as a kill would, or change files under it: so each window between two
//! steps can be opened on purpose, and a failure comes again.

use std::io::{self, Write};

use suiro_sdk::killpoint;

/// Passes the point `name`.
#[inline(always)]
pub(super) fn pass(name: &'static str) {
    #[cfg(test)]
    hook::call(name);
    killpoint::pass(name);
}

/// Writes `bytes`; the point `name` is where half of them are written.
#[cfg(not(test))]
pub(super) fn write_all(file: &mut impl Write, bytes: &[u8], name: &'static str) -> io::Result<()> {
    killpoint::write_all(file, bytes, name)
}

/// Writes `bytes`; the point `name` is in the middle of each line, and behind each.
#[cfg(test)]
pub(super) fn write_all(file: &mut impl Write, bytes: &[u8], name: &'static str) -> io::Result<()> {
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let (first, second) = line.split_at(line.len() / 2);
        for half in [first, second] {
            file.write_all(half)?;
            hook::call(name);
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod hook {
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    type Hook = Box<dyn FnMut(&'static str)>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// What a kill unwinds with.
    struct Killed;

    pub(super) fn call(name: &'static str) {
        // Not held while it is called: it may kill.
        let Some(mut hook) = HOOK.take() else { return };
        hook(name);
        HOOK.set(Some(hook));
    }

    /// Ends what runs under [`until_killed`], with no last word.
    pub(in super::super) fn kill() -> ! {
        resume_unwind(Box::new(Killed))
    }

    /// Runs `act` while `hook` is told of each pass; `None` if it was killed.
    pub(in super::super) fn until_killed<R>(
        hook: impl FnMut(&'static str) + 'static,
        act: impl FnOnce() -> R,
    ) -> Option<R> {
        HOOK.set(Some(Box::new(hook)));
        let result = catch_unwind(AssertUnwindSafe(act));
        HOOK.set(None);
        match result {
            Ok(result) => Some(result),
            Err(killed) if killed.is::<Killed>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }
}
