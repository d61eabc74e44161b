//! Spans of foreign formats on their way into batches.
//!
//! A request's spans go into as many batches as it takes: a batch is closed when it is large, when its records share too
//! many scopes (each of them is looked for by each record), or when it has no room for another name. What a span looks like
//! as a record is in `docs/signals.md`.

use std::sync::Arc;

use suiro_record::{Batch, EditError, Row, Scope};

/// A batch is closed at this size. Bytes.
const MAX_BYTES: usize = 1 << 20;
/// Scopes of a batch.
const MAX_SCOPES: usize = 256;

/// The batches of one request, as they are filled.
pub struct Spans<'a> {
    open: &'a mut dyn FnMut(Arc<Scope>) -> Batch,
    batches: Vec<Batch>,
    /// The last batch takes no more.
    closed: bool,
}

/// How far a request was.
#[derive(Clone, Copy, Debug)]
pub struct SpansMark {
    batches: usize,
    rows: usize,
}

// === impl Spans ===

impl<'a> Spans<'a> {
    /// None yet. `open` makes an empty batch of traces for records of a scope.
    pub fn new(open: &'a mut dyn FnMut(Arc<Scope>) -> Batch) -> Self {
        Spans { open, batches: Vec::new(), closed: true }
    }

    /// Adds the span that `write` writes: it builds the body in the batch it is given and returns its row, whose scope will
    /// be `scope`. It is called again with an empty batch if this one has no room.
    pub fn add(
        &mut self,
        scope: &Arc<Scope>,
        mut write: impl FnMut(&mut Batch) -> Result<Row, EditError>,
    ) -> Result<(), EditError> {
        if let Some(batch) = self.batches.last_mut().filter(|_| !self.closed) {
            let mark = batch.mark();
            match write(batch) {
                Ok(row) => {
                    self.push(scope, row);
                    return Ok(());
                }
                Err(error) => {
                    batch.cut(mark);
                    if error != EditError::Full {
                        return Err(error);
                    }
                }
            }
        }
        let mut batch = (self.open)(scope.clone());
        let row = write(&mut batch)?;
        self.batches.push(batch);
        self.push(scope, row);
        Ok(())
    }

    fn push(&mut self, scope: &Arc<Scope>, mut row: Row) {
        let Some(batch) = self.batches.last_mut() else { return };
        row.scope = batch.add_scope(scope);
        batch.rows.push(row);
        self.closed = batch.used() >= MAX_BYTES || batch.scopes().len() >= MAX_SCOPES;
    }

    /// How far it is: for [`Spans::cut`].
    pub fn mark(&self) -> SpansMark {
        SpansMark { batches: self.batches.len(), rows: self.batches.last().map_or(0, Batch::len) }
    }

    /// Takes the spans added since `mark` out again. What they were made of stays in the batches' memory.
    pub fn cut(&mut self, mark: SpansMark) {
        self.closed |= self.batches.len() > mark.batches;
        self.batches.truncate(mark.batches);
        if let Some(batch) = self.batches.last_mut() {
            batch.rows.truncate(mark.rows);
        }
    }

    /// Spans so far.
    pub fn len(&self) -> usize {
        self.batches.iter().map(Batch::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory they take, bytes.
    pub fn used(&self) -> usize {
        self.batches.iter().map(Batch::used).sum()
    }

    /// The batches.
    pub fn finish(self) -> Vec<Batch> {
        self.batches
    }
}

impl std::fmt::Debug for Spans<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spans").field("batches", &self.batches).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use suiro_record::{Key, MAX_KEYS, Signal, Source};

    use super::*;

    fn scope() -> Arc<Scope> {
        Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))))
    }

    fn open(scope: Arc<Scope>) -> Batch {
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.signal = Signal::Traces;
        batch
    }

    /// A span with attributes `from..to`.
    fn span(batch: &mut Batch, keys: std::ops::Range<usize>, text: &str) -> Result<Row, EditError> {
        let mut map = batch.assemble()?;
        for n in keys {
            map.put_text(Key::Name(&format!("k{n}")), text)?;
        }
        Ok(Row::new(map.finish(None)?, 0, 0, 1))
    }

    #[test]
    fn batches_are_closed_when_they_are_full() {
        let mut open = open;
        let mut spans = Spans::new(&mut open);
        let one = scope();
        // By names: what did not fit stands whole in the next batch.
        for n in 0..3 {
            let from = n * 30_000;
            spans.add(&one, |batch| span(batch, from..from + 30_000, "")).unwrap();
        }
        assert_eq!(spans.batches.iter().map(Batch::len).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(spans.add(&one, |batch| span(batch, 0..MAX_KEYS + 1, "")), Err(EditError::Full));
        assert_eq!(spans.len(), 3);
        // By size.
        let large = "x".repeat(MAX_BYTES);
        spans.add(&one, |batch| span(batch, 0..1, &large)).unwrap();
        spans.add(&one, |batch| span(batch, 0..1, "")).unwrap();
        assert_eq!(spans.batches.len(), 3);
        // By scopes.
        for _ in 0..MAX_SCOPES {
            spans.add(&scope(), |batch| span(batch, 0..1, "")).unwrap();
        }
        assert_eq!(spans.batches.len(), 4);
        let batches = spans.finish();
        assert!(batches.iter().all(|batch| batch.signal == Signal::Traces && batch.scopes().len() <= MAX_SCOPES));
        assert_eq!(batches.iter().map(Batch::len).sum::<usize>(), 5 + MAX_SCOPES);
    }

    #[test]
    fn what_was_added_can_be_taken_out() {
        let mut open = open;
        let mut spans = Spans::new(&mut open);
        let one = scope();
        let mark = spans.mark();
        spans.add(&one, |batch| span(batch, 0..1, "a")).unwrap();
        spans.cut(mark);
        assert!(spans.is_empty());
        spans.add(&one, |batch| span(batch, 0..1, "a")).unwrap();
        let mark = spans.mark();
        spans.add(&one, |batch| span(batch, 0..1, "b")).unwrap();
        spans.add(&one, |batch| span(batch, 0..1, &"x".repeat(MAX_BYTES))).unwrap();
        spans.add(&one, |batch| span(batch, 0..1, "c")).unwrap();
        spans.cut(mark);
        spans.add(&one, |batch| span(batch, 0..1, "d")).unwrap();
        let shown = format!("{:?}", spans.finish());
        assert_eq!(shown, r#"[["{\"k0\":\"a\"}"], ["{\"k0\":\"d\"}"]]"#);
    }
}
