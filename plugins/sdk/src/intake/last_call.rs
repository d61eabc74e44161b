//! The end of an input whose senders send nothing again.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::flow::Flow;
use crate::input::{Polled, Source};

/// What a worker reads of an intake of which nothing may be given up: what was handed over when the agent stops is taken.
pub struct LastCall<C> {
    inner: Box<dyn Source>,
    /// Sees to it that nothing is handed over any more, and brings what never was.
    close: C,
    last: VecDeque<Flow>,
}

// === impl LastCall ===

impl<C: FnMut() -> Vec<Flow> + Send> LastCall<C> {
    /// Behind `inner`, the intake's source. `close` is called when the agent stops: nothing is handed over behind that, and
    /// what it returns comes last.
    pub fn new(inner: Box<dyn Source>, close: C) -> Self {
        LastCall { inner, close, last: VecDeque::new() }
    }
}

impl<C: FnMut() -> Vec<Flow> + Send> Source for LastCall<C> {
    fn poll(&mut self) -> Polled {
        self.inner.poll()
    }

    fn stop(&mut self) {
        let never_handed_over = (self.close)();
        // It panics if the network side has died: there is nothing more then.
        while let Ok(polled) = catch_unwind(AssertUnwindSafe(|| self.inner.poll())) {
            match polled {
                Polled::Batch(flow) => self.last.push_back(flow),
                Polled::Idle { until: Some(_) } => {}
                Polled::Idle { until: None } | Polled::Done => break,
            }
        }
        self.last.extend(never_handed_over);
        self.inner.stop();
    }

    fn finish(&mut self) -> Option<Flow> {
        self.last.pop_front()
    }
}

impl<C> std::fmt::Debug for LastCall<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LastCall").field("last", &self.last.len()).finish_non_exhaustive()
    }
}
