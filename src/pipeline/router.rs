//! From the filters to the queues: which outputs take which records of a batch.
//!
//! Outputs share the batch; only one with filters of its own gets a copy. A record that no output takes is dropped as
//! `unrouted`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use suiro_record::{Batch, Signal};
use suiro_sdk::lang::{Condition, TagMatch};
use suiro_sdk::ledger::{RouterLedger, add};
use suiro_sdk::{Flow, Part, Pool, Reason, Rows, SharedBatch};

use super::chain::{Chain, Flush};
use crate::queue::Queue;

/// Buffers up to this size are kept as they are, bytes.
const ROOMY: usize = 64 << 10;
/// Tags whose outputs are remembered.
const TAGS_KEPT: usize = 1024;

/// An output as a worker sees it.
pub struct Route {
    /// Tags it takes.
    pub matches: TagMatch,
    /// Records it takes.
    pub when: Option<Condition>,
    /// Signals it takes.
    pub signals: Vec<Signal>,
    /// Its own filters, if it has any.
    pub chain: Option<Chain>,
    /// Whether it and its queue can do with packed batches.
    pub takes_packed: bool,
    /// Where its records wait.
    pub queue: Arc<dyn Queue>,
}

/// A worker's way out.
pub struct Router {
    routes: Vec<Route>,
    by_tag: HashMap<Arc<str>, Arc<[usize]>>,
    ledger: Arc<RouterLedger>,
    pool: Arc<Pool>,
}

/// A part on its way to the queue of an output that had no room for it.
#[derive(Debug)]
pub struct Blocked {
    route: usize,
    part: Box<Part>,
}

// === impl Router ===

impl Router {
    /// A router to `routes`.
    pub fn new(routes: Vec<Route>, ledger: Arc<RouterLedger>, pool: Arc<Pool>) -> Self {
        Router { routes, by_tag: HashMap::new(), ledger, pool }
    }

    /// Hands `flow` to every output that takes it. What has to wait is pushed to `blocked`.
    pub fn route(&mut self, mut flow: Flow, now: Instant, blocked: &mut Vec<Blocked>) {
        flow.batch.compact();
        let records = flow.batch.len();
        let routes = self.routes_of(&flow.batch.tag);
        add(&self.ledger.taken, records);
        let mut targets: Vec<(usize, Rows)> = Vec::with_capacity(routes.len());
        for &at in routes.iter() {
            let route = &self.routes[at];
            if !route.signals.contains(&flow.batch.signal) {
                continue;
            }
            // A chain of an output's own sees to it itself.
            if route.when.is_some() || (!route.takes_packed && route.chain.is_none()) {
                flow.batch.unpack();
            }
            if let Some(rows) = select(&flow.batch, route.when.as_ref()) {
                targets.push((at, rows));
            }
        }
        let unrouted = count_unrouted(records, &targets);
        add(&self.ledger.routed, records - unrouted);
        self.ledger.dropped.add(Reason::UNROUTED, unrouted);
        let Flow { batch, custody } = flow;
        let batch = self.pool.share(self.fitted(batch));
        // Forks first: the range must not settle before every output has its share of the duty.
        let mut duties = vec![custody];
        while duties.len() < targets.len() {
            let fork = duties[0].fork();
            duties.push(fork);
        }
        if targets.is_empty() {
            duties.into_iter().for_each(suiro_sdk::Custody::settle);
            return;
        }
        for ((at, rows), mut custody) in targets.into_iter().zip(duties) {
            if let Rows::Some(rows) = &rows {
                custody.narrow(&batch, rows.iter().filter_map(|&row| batch.rows.get(row as usize)));
            }
            let part = Part { batch: batch.clone(), rows, custody };
            self.send(at, part, now, blocked);
        }
    }

    /// A batch that is small in large buffers, moved to small ones: a queue is charged with what a batch occupies, and a few
    /// lines must not fill it.
    fn fitted(&self, batch: Batch) -> Batch {
        if batch.capacity() <= ROOMY || batch.used() * 4 >= batch.capacity() {
            return batch;
        }
        let Ok(small) = batch.fitted() else { return batch };
        self.pool.recycle(batch);
        small
    }

    fn send(&mut self, at: usize, part: Part, now: Instant, blocked: &mut Vec<Blocked>) {
        let Some(chain) = &mut self.routes[at].chain else {
            return self.push(at, part, blocked);
        };
        let mut out = Vec::new();
        chain.run(Flow { batch: copy(&part), custody: part.custody }, now, &mut out);
        self.push_all(at, out, blocked);
    }

    /// Ticks the filters that belong to outputs.
    pub fn tick(&mut self, now: Instant, blocked: &mut Vec<Blocked>) {
        self.each_chain(blocked, |chain, out| chain.tick(now, out));
    }

    /// Has the filters that belong to outputs let go of what they hold.
    pub fn flush(&mut self, now: Instant, which: Flush, blocked: &mut Vec<Blocked>) {
        self.each_chain(blocked, |chain, out| chain.flush(now, which, out));
    }

    /// When a filter that belongs to an output wants to be ticked.
    pub fn deadline(&self) -> Option<Instant> {
        self.routes.iter().filter_map(|route| route.chain.as_ref()?.deadline()).min()
    }

    fn each_chain(&mut self, blocked: &mut Vec<Blocked>, mut call: impl FnMut(&mut Chain, &mut Vec<Flow>)) {
        for at in 0..self.routes.len() {
            let mut out = Vec::new();
            if let Some(chain) = &mut self.routes[at].chain {
                call(chain, &mut out);
            }
            self.push_all(at, out, blocked);
        }
    }

    fn push_all(&mut self, at: usize, flows: Vec<Flow>, blocked: &mut Vec<Blocked>) {
        for Flow { mut batch, custody } in flows {
            if !self.routes[at].takes_packed {
                batch.unpack();
            }
            let part = Part { batch: self.pool.share(self.fitted(batch)), rows: Rows::All, custody };
            self.push(at, part, blocked);
        }
    }

    fn push(&self, at: usize, part: Part, blocked: &mut Vec<Blocked>) {
        // Nothing overtakes what waits already.
        if blocked.iter().any(|waiting| waiting.route == at) {
            blocked.push(Blocked { route: at, part: Box::new(part) });
        } else if let Err(part) = self.routes[at].queue.push(part) {
            blocked.push(Blocked { route: at, part });
        }
    }

    /// Tries again what had to wait; what still has to stays. An output whose first part finds no room is not asked for
    /// the others: order is kept.
    pub fn retry(&self, blocked: &mut Vec<Blocked>) {
        let mut full = Vec::new();
        for Blocked { route, part } in std::mem::take(blocked) {
            if full.contains(&route) {
                blocked.push(Blocked { route, part });
            } else if let Err(part) = self.routes[route].queue.push(*part) {
                full.push(route);
                blocked.push(Blocked { route, part });
            }
        }
    }

    fn routes_of(&mut self, tag: &Arc<str>) -> Arc<[usize]> {
        if let Some(routes) = self.by_tag.get(tag) {
            return routes.clone();
        }
        if self.by_tag.len() >= TAGS_KEPT {
            self.by_tag.clear();
        }
        let routes: Arc<[usize]> = (0..self.routes.len()).filter(|&at| self.routes[at].matches.matches(tag)).collect();
        if routes.is_empty() {
            tracing::warn!(tag = %tag, "no output takes records of this tag; they are dropped and counted as unrouted");
        }
        self.by_tag.insert(tag.clone(), routes.clone());
        routes
    }
}

/// The records for which `when` holds; `None` if there are none.
fn select(batch: &Batch, when: Option<&Condition>) -> Option<Rows> {
    let Some(when) = when else { return Some(Rows::All) };
    let prepared = when.prepare(batch);
    let rows: Box<[u32]> =
        (0..batch.len() as u32).filter(|&row| prepared.matches(batch, &batch.rows[row as usize])).collect();
    match rows.len() {
        0 => None,
        n if n == batch.len() => Some(Rows::All),
        _ => Some(Rows::Some(rows)),
    }
}

fn count_unrouted(records: usize, targets: &[(usize, Rows)]) -> usize {
    if targets.iter().any(|(_, rows)| *rows == Rows::All) {
        return 0;
    }
    let mut taken = vec![false; records];
    for (_, rows) in targets {
        if let Rows::Some(rows) = rows {
            rows.iter().for_each(|&row| taken[row as usize] = true);
        }
    }
    taken.iter().filter(|&&taken| !taken).count()
}

/// A batch of its own for an output that filters.
fn copy(part: &Part) -> Batch {
    let shared: &SharedBatch = &part.batch;
    let mut batch = Batch::clone(shared);
    if let Rows::Some(rows) = &part.rows {
        batch.rows = rows.iter().map(|&row| shared.rows[row as usize]).collect();
    }
    batch
}
