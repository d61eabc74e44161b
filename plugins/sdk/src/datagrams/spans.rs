//! Spans in datagrams.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use suiro_record::{Signal, Source};

use super::STOPPED;
use super::socket::Burst;
use crate::complaint::Complaint;
use crate::http::excerpt;
use crate::input::Source as InputSource;
use crate::intake::{Desk, LastCall};
use crate::ledger::Reason;
use crate::spans::Spans;

/// Of a datagram that can't be read, so much is shown.
const SHOWN: usize = 80;

/// Makes spans of datagrams.
pub trait Decode {
    /// Why a datagram is not taken.
    type Error: Display;

    /// What comes from now on is of `source`.
    fn begin(&mut self, source: Arc<Source>);

    /// Adds what is in `datagram`, of which the first byte is number `base` of the source. After an error nothing of it is
    /// among `spans`.
    fn decode(&mut self, datagram: &[u8], base: u64, spans: &mut Spans<'_>) -> Result<(), Self::Error>;
}

/// Whether spans are still taken. Locked while a burst is handed over, so that who closes it knows that all is.
#[derive(Debug, Default)]
pub struct Gate(Mutex<bool>);

/// Hands over the spans of bursts.
#[derive(Debug)]
pub struct SpanReader<D> {
    desk: Desk,
    gate: Arc<Gate>,
    decoder: D,
    malformed: Complaint,
    no_room: Complaint,
}

// === impl Gate ===

impl Gate {
    /// What is read from now on is taken.
    pub fn open(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// What is read from now on is turned away; what was read before is handed over.
    pub fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// What a worker reads of the intake behind: at a stop the gate is closed, and what was handed over is taken.
    pub fn source(self: &Arc<Self>, intake: Box<dyn InputSource>) -> Box<dyn InputSource> {
        let gate = self.clone();
        Box::new(LastCall::new(intake, move || {
            gate.close();
            Vec::new()
        }))
    }
}

// === impl SpanReader ===

impl<D: Decode> SpanReader<D> {
    /// One that hands over at `desk` what `decoder` makes of datagrams, as long as `gate` is open.
    pub fn new(desk: Desk, gate: Arc<Gate>, decoder: D) -> Self {
        SpanReader { desk, gate, decoder, malformed: Complaint::default(), no_room: Complaint::default() }
    }

    /// Takes a burst.
    pub fn take(&mut self, burst: Burst<'_>) {
        let desk = self.desk.clone();
        let mut open = |scope| desk.batch(scope, Signal::Traces);
        let mut spans = Spans::new(&mut open);
        self.decoder.begin(desk.origin());
        let mut bad = 0;
        for (base, datagram) in burst.iter() {
            if let Err(error) = self.decoder.decode(datagram, base, &mut spans) {
                bad += 1;
                if let Some(malformed) = self.malformed.of(1) {
                    let begins = excerpt(&datagram[..datagram.len().min(SHOWN)]);
                    tracing::warn!(
                        input = %desk.name(),
                        bytes = datagram.len(),
                        %begins,
                        malformed,
                        "a datagram can't be read: {error}; it is counted and left out"
                    );
                }
            }
        }
        desk.turn_away(Reason::MALFORMED, bad);
        if !spans.is_empty() {
            self.hand_over(spans, burst.bytes() as u64);
        }
    }

    fn hand_over(&mut self, spans: Spans<'_>, bytes: u64) {
        let count = spans.len();
        let closed = self.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return self.desk.turn_away(STOPPED, count);
        }
        match self.desk.try_room(spans.used()) {
            // Nobody waits for an answer.
            Ok(room) => drop(self.desk.submit(room, spans.finish(), bytes)),
            Err(_) => {
                self.desk.turn_away(Reason::QUEUE_FULL, count);
                if let Some(records) = self.no_room.of(count) {
                    tracing::warn!(
                        input = %self.desk.name(),
                        records,
                        "no room for spans that came in datagrams: they are lost; is an output slow? Or raise `max_pending`"
                    );
                }
            }
        }
    }
}
