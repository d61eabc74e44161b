//! Everything that is wrong with a configuration, collected so that it can be said all at once.
//!
//! Whoever finds something wrong reports it here and goes on. [`Reported`] is the proof that it was said: functions that
//! read settings fail with it, so an error can't be lost between its place and the user, nor be said twice.
//!
//! The number kept is bounded ([`MAX_KEPT`]); the rest is counted.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::render;
use super::source::Place;

/// Reports kept for showing. A file of garbage must not become a report of gigabytes.
pub const MAX_KEPT: usize = 200;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The configuration can't be run.
    Error,
    /// It can be run, and probably isn't what was meant.
    Warning,
}

/// The error of every function that reads settings: the user has been, or will be, told; there is nothing to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has errors")]
pub struct Reported(());

/// One thing to tell.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Error or warning.
    pub level: Level,
    /// Where; `None` where there is no text to show, as for a file that can't be read.
    pub place: Option<Place>,
    /// What is wrong, in one line, without a full stop.
    pub message: String,
    /// What to do about it; empty for none.
    pub help: String,
    /// A second place that explains the first, and what it is.
    pub note: Option<(Place, String)>,
}

/// The collection: shared by all that read one configuration. Clones are handles to the same one.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: Vec<Diagnostic>,
    /// Hashes of all there were, those not kept too.
    said: HashSet<u64>,
    errors: usize,
    warnings: usize,
}

// === impl Diagnostic ===

impl Diagnostic {
    /// An error at a place.
    pub fn error(place: Option<Place>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { level: Level::Error, place, message: message.into(), help: help.into(), note: None }
    }

    /// A warning at a place.
    pub fn warning(place: Option<Place>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(place, message, help) }
    }

    /// With a second place.
    pub fn with_note(mut self, place: Place, text: impl Into<String>) -> Self {
        self.note = Some((place, text.into()));
        self
    }

    /// The same for reports that say the same about the same place.
    fn identity(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let place = self.place.as_ref().map(|place| (Arc::as_ptr(&place.source), place.start, place.end));
        (self.level, place, &self.message).hash(&mut hasher);
        hasher.finish()
    }
}

// === impl Diagnostics ===

impl Diagnostics {
    /// Takes a report. The same report twice, as when two readers ask for one setting, is kept once.
    pub fn report(&self, diagnostic: Diagnostic) -> Reported {
        let mut inner = self.lock();
        if !inner.said.insert(diagnostic.identity()) {
            return Reported(());
        }
        match diagnostic.level {
            Level::Error => inner.errors += 1,
            Level::Warning => inner.warnings += 1,
        }
        if inner.kept.len() < MAX_KEPT {
            inner.kept.push(diagnostic);
        }
        Reported(())
    }

    /// Reports an error at a place of a file. An empty help is none.
    pub fn error(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) -> Reported {
        self.report(Diagnostic::error(Some(place.clone()), message, help))
    }

    /// Reports a warning at a place of a file. An empty help is none.
    pub fn warning(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.report(Diagnostic::warning(Some(place.clone()), message, help));
    }

    /// Takes an error back that a better one replaces.
    pub(super) fn retract(&self, message: &str, place: &Place) {
        let mut inner = self.lock();
        let kept = inner.kept.len();
        inner.kept.retain(|d| d.message != message || d.place.as_ref().is_none_or(|own| !own.same(place)));
        inner.errors -= kept - inner.kept.len();
    }

    /// The proof for one who fails because of something already said, possibly elsewhere.
    pub(super) fn already_said(&self) -> Reported {
        Reported(())
    }

    /// `Err` as soon as there is an error; warnings don't count.
    pub fn check(&self) -> Result<(), Reported> {
        if self.errors() == 0 { Ok(()) } else { Err(Reported(())) }
    }

    /// The number of errors so far.
    pub fn errors(&self) -> usize {
        self.lock().errors
    }

    /// The number of warnings so far.
    pub fn warnings(&self) -> usize {
        self.lock().warnings
    }

    /// What is kept, in the order of the files and of the text within them; what has no place comes first.
    pub fn sorted(&self) -> Vec<Diagnostic> {
        let mut kept = self.lock().kept.clone();
        kept.sort_by_key(|diagnostic| diagnostic.place.as_ref().map(Place::order));
        kept
    }

    /// All of it as text to print, with a summary as the last line; empty if there is nothing to tell.
    pub fn render(&self, colour: bool) -> String {
        let (errors, warnings) = {
            let inner = self.lock();
            (inner.errors, inner.warnings)
        };
        render::all(&self.sorted(), errors, warnings, colour)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_report_counts_once_kept_or_not() {
        let diagnostics = Diagnostics::default();
        for _ in 0..2 {
            for n in 0..MAX_KEPT + 100 {
                diagnostics.report(Diagnostic::error(None, format!("mistake {n}"), ""));
            }
            diagnostics.report(Diagnostic::warning(None, "mistake 0", ""));
        }
        assert_eq!((diagnostics.errors(), diagnostics.warnings()), (MAX_KEPT + 100, 1));
        assert!(diagnostics.render(false).contains("and 101 more"));
    }
}
