//! Where held spans are: in the batches they came in, as they came.
//!
//! Nothing is copied on the way in but what came in small batches, which are joined, since a batch of its own for each few
//! spans would cost more than they do. On the way out, spans that are kept are copied into batches of many. A chunk goes
//! as soon as none of its spans is held, which is at most `wait` after its last one came.

use std::collections::VecDeque;
use std::time::Instant;

use suiro_record::{Batch, EditError, Row};
use suiro_sdk::{Custody, FilterContext, Flow};

/// The largest chunk that batches are joined into, bytes; of little memory, a part. A batch joins up to a quarter of that.
const MAX_JOINED: usize = 256 << 10;
/// Memory holds at least so many of them.
const JOINED_IN_MEMORY: usize = 32;
/// Batches whose buffers are that much larger than what is in them are copied into smaller ones.
const ROOMY: usize = 4;
/// Scopes in one batch: they are looked up one after the other.
const MAX_SCOPES: usize = 256;
/// Spans in a batch that is sent on.
const MAX_OUT: usize = 4096;
/// One that comes to this is closed, bytes.
const MAX_OUT_BYTES: usize = 1 << 20;

/// A held span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    chunk: u32,
    row: u32,
}

#[derive(Debug)]
struct Chunk {
    batch: Batch,
    /// Spans that are still held.
    left: usize,
    /// Spans to be sent on.
    kept: Vec<Row>,
    bytes: usize,
    opened: Instant,
}

/// All held spans.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Size up to which batches are joined, bytes.
    joined: usize,
    chunks: VecDeque<Chunk>,
    /// Number of the first; numbers go around.
    first: u32,
    /// Chunks with spans to be sent on.
    touched: Vec<u32>,
    bytes: usize,
    spans: usize,
    out: Out,
}

/// Spans on their way out.
#[derive(Debug, Default)]
struct Out {
    full: Vec<Batch>,
    open: Option<Batch>,
    /// Those that no batch took.
    lost: usize,
}

// === impl Chunks ===

impl Chunks {
    /// Room for what comes to about `memory` bytes.
    pub(super) fn new(memory: usize) -> Self {
        Chunks {
            joined: (memory / JOINED_IN_MEMORY).min(MAX_JOINED),
            chunks: VecDeque::new(),
            first: 0,
            touched: Vec::new(),
            bytes: 0,
            spans: 0,
            out: Out::default(),
        }
    }

    /// Memory of what is held, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many are held.
    pub(super) fn spans(&self) -> usize {
        self.spans
    }

    /// Takes `rows` out of the batch, which keeps `passing`. Where the first of them is; the others follow. They stay
    /// where they can't be copied.
    pub(super) fn hold(
        &mut self,
        from: &mut Batch,
        rows: Vec<Row>,
        passing: Vec<Row>,
        (now, young): (Instant, Instant),
    ) -> Result<Place, (EditError, Vec<Row>, Vec<Row>)> {
        let count = rows.len();
        let small = from.used() <= self.joined / 4;
        let joins = small && self.chunks.back().is_some_and(|chunk| chunk.takes(from, young, self.joined));
        if joins && let Some(chunk) = self.chunks.back_mut() {
            let before = chunk.batch.rows.len();
            if chunk.batch.import_all(from, &rows).is_ok() {
                from.rows = passing;
                chunk.left += count;
                let bytes = chunk.batch.capacity();
                self.bytes = self.bytes + bytes - chunk.bytes;
                chunk.bytes = bytes;
                self.spans += count;
                return Ok(Place { chunk: self.number(self.chunks.len() - 1), row: before as u32 });
            }
            chunk.batch.rows.truncate(before);
        }
        let whole = passing.is_empty() && from.capacity() <= ROOMY * from.used();
        let batch = if whole {
            let empty = from.sibling(from.tag.clone());
            let mut batch = std::mem::replace(from, empty);
            batch.rows = rows;
            batch
        } else {
            let mut batch = empty_like(from, &rows);
            if let Err(error) = batch.import_all(from, &rows) {
                return Err((error, rows, passing));
            }
            from.rows = passing;
            batch
        };
        let bytes = batch.capacity();
        self.chunks.push_back(Chunk { batch, left: count, kept: Vec::new(), bytes, opened: now });
        self.bytes += bytes;
        self.spans += count;
        Ok(Place { chunk: self.number(self.chunks.len() - 1), row: 0 })
    }

    /// Lets go of a span, which is sent on where it is kept.
    pub(super) fn release(&mut self, place: Place, keep: bool) {
        let at = place.chunk.wrapping_sub(self.first) as usize;
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        if keep {
            if chunk.kept.is_empty() {
                self.touched.push(place.chunk);
            }
            chunk.kept.push(chunk.batch.rows[place.row as usize]);
        }
        chunk.left -= 1;
        self.spans -= 1;
        if chunk.left == 0 {
            self.out.add(&chunk.batch, std::mem::take(&mut chunk.kept));
            self.bytes -= chunk.bytes;
            chunk.bytes = 0;
            chunk.batch = chunk.batch.sibling(chunk.batch.tag.clone());
            while self.chunks.front().is_some_and(|chunk| chunk.left == 0) {
                self.chunks.pop_front();
                self.first = self.first.wrapping_add(1);
            }
        }
    }

    /// Sends on what is kept. How many could not be.
    pub(super) fn send(&mut self, cx: &mut FilterContext) -> usize {
        let mut touched = std::mem::take(&mut self.touched);
        let first = self.first;
        touched.sort_unstable_by_key(|number| number.wrapping_sub(first));
        for number in touched {
            if let Some(chunk) = self.chunks.get_mut(number.wrapping_sub(first) as usize) {
                self.out.add(&chunk.batch, std::mem::take(&mut chunk.kept));
            }
        }
        let Out { full, open, lost } = std::mem::take(&mut self.out);
        let batches = full.into_iter().chain(open).filter(|batch| !batch.is_empty());
        batches.for_each(|batch| cx.emit(Flow { batch, custody: Custody::default() }));
        lost
    }

    fn number(&self, at: usize) -> u32 {
        self.first.wrapping_add(at as u32)
    }
}

// === impl Place ===

impl Place {
    /// The span `n` places behind, of those that were held together.
    pub(super) fn behind(self, n: usize) -> Place {
        Place { row: self.row + n as u32, ..self }
    }
}

// === impl Chunk ===

impl Chunk {
    /// Whether a small batch may join.
    fn takes(&self, batch: &Batch, young: Instant, joined: usize) -> bool {
        self.left > 0
            && self.opened >= young
            && self.batch.used() < joined
            && self.batch.scopes().len() < MAX_SCOPES
            && self.batch.tag == batch.tag
            && self.batch.scopes().len() + batch.scopes().len() < 2 * MAX_SCOPES
    }
}

// === impl Out ===

impl Out {
    fn add(&mut self, from: &Batch, rows: Vec<Row>) {
        if rows.is_empty() {
            return;
        }
        for some in rows.chunks(MAX_OUT) {
            let fits = self.open.as_ref().is_some_and(|open| {
                open.tag == from.tag
                    && open.len() + some.len() <= MAX_OUT
                    && open.scopes().len() <= MAX_SCOPES
                    && open.used() < MAX_OUT_BYTES
            });
            if !fits {
                self.full.extend(self.open.take());
            }
            let mut open = self.open.take().unwrap_or_else(|| empty_like(from, some));
            let before = open.rows.len();
            if open.import_all(from, some).is_err() {
                // It ran out of keys: another one has them all.
                open.rows.truncate(before);
                self.full.push(open);
                open = empty_like(from, some);
                if open.import_all(from, some).is_err() {
                    open.rows.clear();
                    self.lost += some.len();
                }
            }
            self.open = Some(open);
        }
    }
}

/// A batch for copies of `rows` of `from`, without the scopes of the others.
fn empty_like(from: &Batch, rows: &[Row]) -> Batch {
    let scope = rows.first().map_or(&from.scopes()[0], |row| from.scope(row));
    let mut batch = Batch::new(from.tag.clone(), scope.clone(), from.read_at);
    batch.signal = from.signal;
    batch
}
