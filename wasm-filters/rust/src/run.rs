//! How a filter is called: its state, what it returns, and the exports that `#[filter]` makes.

use std::fmt::Display;

use crate::config::Config;
use crate::{Record, sys};

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Verdict {
    /// It goes on, as the filter left it.
    Keep,
    /// It ends here, counted as `filtered`.
    Drop,
}

/// What a filter has between records: settings, tables, buffers.
///
/// There is one per instance, and the agent has several instances, and replaces them. What must be right can't depend on
/// what was seen before.
pub trait Setup: Sized + 'static {
    /// Reads the settings, once, before the first record. What it returns as an error is in the agent's log, and the agent
    /// does not start with this filter.
    fn setup(config: &Config) -> Result<Self, String>;

    /// The agent stops, or this instance is to be replaced.
    fn flush(&mut self) {}
}

/// For filters without state.
impl Setup for () {
    fn setup(config: &Config) -> Result<(), String> {
        config.only(&[])
    }
}

/// What a filter may return: a [`Verdict`], nothing, which keeps the record, or a `Result` of these with any error that can
/// be shown. An error hands the record to the filter's `on_error`.
pub trait IntoVerdict {
    /// The verdict, or why there is none.
    fn into_verdict(self) -> Result<Verdict, impl Display>;
}

// === impl IntoVerdict ===

impl IntoVerdict for Verdict {
    #[inline]
    fn into_verdict(self) -> Result<Verdict, impl Display> {
        Ok::<_, &str>(self)
    }
}

impl IntoVerdict for () {
    #[inline]
    fn into_verdict(self) -> Result<Verdict, impl Display> {
        Ok::<_, &str>(Verdict::Keep)
    }
}

impl<E: Display> IntoVerdict for Result<Verdict, E> {
    #[inline]
    fn into_verdict(self) -> Result<Verdict, impl Display> {
        self
    }
}

impl<E: Display> IntoVerdict for Result<(), E> {
    #[inline]
    fn into_verdict(self) -> Result<Verdict, impl Display> {
        self.map(|()| Verdict::Keep)
    }
}

/// Makes the state, and says in the log why there is none.
pub(crate) fn set_up<S: Setup>() -> Option<S> {
    S::setup(&Config::new()).inspect_err(|why| crate::error!("{why}")).ok()
}

/// Calls the filter for each record of a batch, and tells the agent what it said.
#[inline]
pub(crate) fn run<V: IntoVerdict>(count: i32, record: &mut Record, mut filter: impl FnMut(&mut Record) -> V) {
    for handle in 0..count {
        record.turn_to(handle);
        match filter(record).into_verdict() {
            Ok(Verdict::Keep) => {}
            Ok(Verdict::Drop) => {
                sys::drop(handle);
            }
            Err(reason) => fail(handle, &reason),
        }
    }
    crate::metrics::report();
}

#[cold]
fn fail(handle: i32, reason: &dyn Display) {
    sys::fail(handle, &reason.to_string());
}

/// What `#[filter]` puts in a `static`.
#[cfg(target_family = "wasm")]
pub mod instance {
    use std::cell::RefCell;

    use super::{IntoVerdict, Setup, run, set_up};
    use crate::Record;

    /// A filter's state, in this instance of the module.
    pub struct Instance<S>(RefCell<Option<(Record, S)>>);

    // SAFETY: a module has one thread.
    unsafe impl<S> Sync for Instance<S> {}

    impl<S: Setup> Instance<S> {
        /// Before `init`.
        #[expect(clippy::new_without_default, reason = "it must be const")]
        pub const fn new() -> Instance<S> {
            Instance(RefCell::new(None))
        }

        /// The export `init`.
        pub fn init(&self) -> i32 {
            // A panic is a trap: without this the agent would only see `unreachable`.
            std::panic::set_hook(Box::new(|panic| crate::error!("{panic}")));
            let state = set_up();
            let code = i32::from(state.is_none());
            *self.0.borrow_mut() = state.map(|state| (Record::new(0), state));
            code
        }

        /// The export `process`.
        #[inline]
        pub fn process<V: IntoVerdict>(&self, count: i32, mut filter: impl FnMut(&mut Record, &mut S) -> V) {
            let mut cell = self.0.borrow_mut();
            let (record, state) = cell.as_mut().expect("init comes first");
            run(count, record, |record| filter(record, state));
        }

        /// The export `flush`.
        pub fn flush(&self) {
            if let Some((_, state)) = self.0.borrow_mut().as_mut() {
                state.flush();
            }
            crate::metrics::report();
        }
    }
}
