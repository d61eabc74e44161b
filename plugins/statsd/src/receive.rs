//! From datagrams to what is handed over.

use std::fmt::Display;
use std::sync::Arc;

use suiro_sdk::datagrams::{Burst as Datagrams, STOPPED};
use suiro_sdk::http::excerpt;
use suiro_sdk::intake::Desk;
use suiro_sdk::record::{Batch, EditError, Scope, Signal};
use suiro_sdk::{Complaint, Reason, time};

use crate::notice;
use crate::parse::{Line, parse};
use crate::point::{Point, write_each};
use crate::settings::Shape;
use crate::window::Window;

/// Points of a batch, at most.
const BATCH: usize = 4096;
/// What a point takes in memory, about, bytes.
const POINT: usize = 512;

/// Makes records of datagrams.
#[derive(Debug)]
pub(crate) struct Collector {
    desk: Desk,
    window: Option<Window>,
    burst: Burst,
    malformed: Complaint,
    /// The agent stops.
    closed: bool,
}

/// Records made at one time: of one origin, numbered.
#[derive(Debug, Default)]
struct Burst {
    batches: Vec<Batch>,
    scope: Option<Arc<Scope>>,
    records: u64,
    bytes: u64,
}

// === impl Collector ===

impl Collector {
    pub(crate) fn new(desk: Desk, shape: &Shape) -> Self {
        let window = shape.interval.is_some().then(|| Window::new(shape.clone(), time::now()));
        Collector { desk, window, burst: Burst::default(), malformed: Complaint::default(), closed: false }
    }

    /// Takes those that were there at one time.
    pub(crate) fn take(&mut self, burst: Datagrams<'_>) {
        for (_, datagram) in burst.iter() {
            self.datagram(datagram);
        }
        self.hand_over();
    }

    /// Takes one.
    pub(crate) fn datagram(&mut self, bytes: &[u8]) {
        self.burst.bytes += bytes.len() as u64;
        let now = time::now();
        for line in bytes.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                self.line(line, now);
            }
        }
    }

    fn line(&mut self, line: &[u8], now: i64) {
        if self.closed {
            return self.desk.turn_away(STOPPED, 1);
        }
        let written = match parse(line) {
            Ok(Line::Metric(metric)) => match &mut self.window {
                // One that says its time speaks of no window.
                Some(window) if metric.timestamp.is_none() => {
                    if let Err((reason, values)) = window.add(&metric, now) {
                        self.desk.turn_away(reason, values);
                    }
                    return;
                }
                _ => self.burst.write(&self.desk, Signal::Metrics, |batch, at| write_each(&metric, now, batch, at)),
            },
            Ok(Line::Event(event)) => self
                .burst
                .write(&self.desk, Signal::Logs, |batch, at| notice::write_event(&event, now, batch, at).map(|()| 1)),
            Ok(Line::Check(check)) => self
                .burst
                .write(&self.desk, Signal::Logs, |batch, at| notice::write_check(&check, now, batch, at).map(|()| 1)),
            Err(error) => return self.malformed(line, error),
        };
        if written.is_err() {
            self.desk.turn_away(Reason::TOO_LARGE, 1);
        }
    }

    /// A stream of datagrams is none.
    pub(crate) fn broken(&mut self, why: &'static str) {
        self.malformed(b"", why);
    }

    fn malformed(&mut self, line: &[u8], error: impl Display) {
        self.desk.turn_away(Reason::MALFORMED, 1);
        if let Some(malformed) = self.malformed.of(1) {
            tracing::warn!(
                input = %self.desk.name(),
                line = %excerpt(&line[..line.len().min(200)]),
                malformed,
                "a line is not StatsD: {error}; it is counted and left out"
            );
        }
    }

    /// Hands over what was made of datagrams at once.
    pub(crate) fn hand_over(&mut self) {
        let burst = std::mem::take(&mut self.burst);
        if burst.records == 0 {
            self.burst.bytes = burst.bytes;
            return;
        }
        let records = burst.records;
        let memory = burst.batches.iter().map(Batch::used).sum();
        match self.desk.try_room(memory) {
            // Nobody waits for an answer to a datagram.
            Ok(room) => drop(self.desk.submit(room, burst.batches, burst.bytes)),
            Err(_) => self.desk.turn_away(Reason::QUEUE_FULL, usize::try_from(records).unwrap_or(usize::MAX)),
        }
    }

    /// Ends the window and hands over what it holds. Says whether it did: without room it goes on, and loses nothing.
    pub(crate) fn close_window(&mut self) -> bool {
        let Some(window) = &mut self.window else { return true };
        let points = window.len();
        if points == 0 {
            window.close(time::now(), |_| {});
            return true;
        }
        let Ok(room) = self.desk.try_room(points * POINT) else { return false };
        let bytes = std::mem::take(&mut self.burst.bytes);
        let burst = end_window(&self.desk, window);
        drop(self.desk.submit(room, burst.batches, bytes));
        true
    }

    /// Whether it takes nothing any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The agent stops: what was made of datagrams and not handed over, the window that is open among it. What comes behind
    /// that is turned away.
    pub(crate) fn close(&mut self) -> Vec<Batch> {
        self.closed = true;
        let mut batches = std::mem::take(&mut self.burst).batches;
        if let Some(mut window) = self.window.take() {
            batches.append(&mut end_window(&self.desk, &mut window).batches);
        }
        batches
    }
}

/// Ends the window: its points.
fn end_window(desk: &Desk, window: &mut Window) -> Burst {
    let mut burst = Burst::default();
    window.close(time::now(), |point: &Point<'_>| {
        if burst.write(desk, Signal::Metrics, |batch, at| point.write(batch, at).map(|()| 1)).is_err() {
            desk.turn_away(Reason::TOO_LARGE, 1);
        }
    });
    burst
}

// === impl Burst ===

impl Burst {
    /// Writes records into a batch of that signal; into a fresh one where the last has no room for them.
    fn write(
        &mut self,
        desk: &Desk,
        signal: Signal,
        write: impl Fn(&mut Batch, u64) -> Result<u64, EditError>,
    ) -> Result<(), EditError> {
        let scope = self.scope.get_or_insert_with(|| Arc::new(Scope::new(desk.origin()))).clone();
        let last = self.batches.iter_mut().rev().find(|batch| batch.signal == signal);
        if let Some(batch) = last.filter(|batch| batch.len() < BATCH) {
            let before = batch.rows.len();
            match write(batch, self.records) {
                Ok(records) => {
                    self.records += records;
                    return Ok(());
                }
                Err(_) => batch.rows.truncate(before),
            }
        }
        let mut batch = desk.batch(scope, signal);
        let written = write(&mut batch, self.records)?;
        self.records += written;
        self.batches.push(batch);
        Ok(())
    }
}
