//! A record that stays open between two batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::{Batch, Path, Row};
use suiro_sdk::custody::Quiet;
use suiro_sdk::{Custody, FilterContext, Flow};

use super::group::{Group, Text, set_text};
use super::trace::State;

/// What a held record costs beside its text, bytes, about.
const OVERHEAD: usize = 2048;
/// The least time between two looks at a source that is not quiet yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The first line's record in a batch of its own, and the text that is its so far.
#[derive(Debug)]
pub(super) struct Held {
    batch: Batch,
    /// UTF-8.
    pub(super) text: Vec<u8>,
    pub(super) solid: usize,
    /// Where the next line begins if nothing lies between.
    pub(super) end: u64,
    pub(super) lines: usize,
    pub(super) state: State,
    pub(super) sole: bool,
    custody: Custody,
    /// When to ask whether there is more to come.
    pub(super) due: Instant,
}

// === impl Held ===

impl Held {
    /// Takes a group out of its batch. Gives it back where it can't be taken.
    pub(super) fn of(flow: &Flow, group: Group, due: Instant) -> Result<Held, Box<Group>> {
        let custody = |fresh: Option<Row>| {
            let mut custody = Custody::default();
            if let Some(row) = fresh {
                custody = flow.custody.fork();
                custody.narrow(&flow.batch, std::iter::once(&row));
            }
            custody
        };
        let solid = group.solid;
        let Group { row, end, text, lines, state, sole, fresh, before, .. } = group;
        let Some(mut held) = before else {
            let mut batch = flow.batch.sibling(flow.batch.tag.clone());
            if batch.import(&flow.batch, &row).is_err() {
                return Err(Box::new(Group { row, end, text, solid, lines, fresh, state, sole, before: None }));
            }
            let text = match text {
                Text::Span(span) => flow.batch.heap()[span].to_vec(),
                Text::Owned(bytes) => bytes,
            };
            return Ok(Held { batch, text, solid, end, lines, state, sole, custody: custody(fresh), due });
        };
        if let Text::Owned(bytes) = text {
            held.text = bytes;
        }
        held.batch.rows[0].end = row.end;
        held.custody.absorb(custody(fresh));
        // Where nothing came, the clock runs on.
        let due = if fresh.is_some() { due } else { held.due };
        Ok(Held { solid, end, lines, state, due, ..*held })
    }

    /// Its record.
    pub(super) fn row(&self) -> Row {
        self.batch.rows[0]
    }

    /// Receipts it holds.
    pub(super) fn receipts(&self) -> usize {
        self.custody.receipts().len()
    }

    /// Memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + OVERHEAD
    }

    /// How long to wait on for more lines; `None` if it is time to let go.
    pub(super) fn wait(&self, timeout: Duration) -> Option<Duration> {
        match self.quiet() {
            Quiet::Unknown => None,
            Quiet::For(time) if time >= timeout => None,
            Quiet::For(time) => Some((timeout - time).max(LOOK_AGAIN)),
            Quiet::No => Some(timeout.max(LOOK_AGAIN)),
        }
    }

    /// How long its source has been quiet, as far as it says.
    fn quiet(&self) -> Quiet {
        let source = &self.batch.scope(&self.row()).source;
        let receipt = self.custody.receipts().iter().rfind(|receipt| Arc::ptr_eq(receipt.tracker().source(), source));
        receipt.map_or(Quiet::Unknown, |receipt| receipt.tracker().quiet())
    }

    /// Sends it on alone.
    pub(super) fn emit(mut self, path: &Path, cx: &mut FilterContext) {
        if self.solid > 0 {
            self.text.truncate(self.solid);
        }
        let text = String::from_utf8_lossy(&self.text).into_owned();
        if self.lines > 1 && !set_text(&mut self.batch, 0, path, &text) {
            cx.failed += 1;
        }
        cx.emit(Flow { batch: self.batch, custody: self.custody });
    }

    /// Sends it on as `group`, which it has grown into, with the batch of its last lines. The custody of the earlier ones.
    pub(super) fn finish(mut self, group: Group, flow: &mut Flow, path: &Path, cx: &mut FilterContext) -> Custody {
        let joined = String::from_utf8_lossy(group.text.bytes(&flow.batch)).into_owned();
        self.batch.rows[0].end = group.row.end;
        let text_set = group.lines == 1 || set_text(&mut self.batch, 0, path, &joined);
        cx.failed += usize::from(!text_set);
        if flow.batch.import(&self.batch, &self.batch.rows[0]).is_ok() {
            return self.custody;
        }
        // No room for another record in that batch: alone then, with all who wait for its lines.
        if let Some(row) = group.fresh {
            let mut more = flow.custody.fork();
            more.narrow(&flow.batch, std::iter::once(&row));
            self.custody.absorb(more);
        }
        cx.emit(Flow { batch: self.batch, custody: self.custody });
        Custody::default()
    }
}
