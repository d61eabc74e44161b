//! Forming deliveries: parts are collected until there is enough, or the oldest has waited long enough.

use std::sync::Arc;
use std::time::Instant;

use suiro_sdk::{Delivery, Limits};

use crate::queue::Queued;

/// A delivery and what it is charged with at its queue.
#[derive(Debug, Default)]
pub(crate) struct Formed {
    pub(crate) delivery: Delivery,
    /// Per part of the delivery.
    pub(crate) charges: Vec<Charge>,
    /// How often it was tried.
    pub(crate) attempts: u32,
}

/// What a part is charged with at its queue. The pieces of a part that was cut share it: its batch is in memory until the
/// last of them is gone, whichever that is.
pub(crate) type Charge = Arc<usize>;

/// Collects parts.
#[derive(Debug)]
pub(crate) struct Former {
    limits: Limits,
    forming: Formed,
    records: usize,
    bytes: usize,
    since: Option<Instant>,
}

// === impl Former ===

impl Former {
    pub(crate) fn new(limits: Limits) -> Self {
        Former { limits, forming: Formed::default(), records: 0, bytes: 0, since: None }
    }

    /// Adds a part. A part that would exceed a limit is cut; what is complete is returned.
    pub(crate) fn add(&mut self, queued: Queued, now: Instant, complete: &mut Vec<Formed>) {
        let Queued { mut part, charge } = queued;
        let charge = Arc::new(charge);
        loop {
            let bytes = part.source_bytes();
            let room = self.records_that_fit(&part);
            if room == 0 && self.records > 0 {
                complete.extend(self.take());
                continue;
            }
            let cut = room.max(1);
            if cut >= part.len() {
                self.since.get_or_insert(now);
                self.records += part.len();
                self.bytes += bytes;
                self.forming.delivery.parts.push(part);
                self.forming.charges.push(charge);
                break;
            }
            let mut rest = part.split_off(cut);
            // Each now answers for its own records only.
            let all: Vec<usize> = (0..part.len()).collect();
            part.narrow(&all);
            let all: Vec<usize> = (0..rest.len()).collect();
            rest.narrow(&all);
            self.forming.delivery.parts.push(part);
            self.forming.charges.push(charge.clone());
            complete.extend(self.take());
            part = rest;
        }
        if self.records >= self.limits.max_records || self.bytes >= self.limits.max_bytes {
            complete.extend(self.take());
        }
    }

    /// How many records of `part` may still join.
    fn records_that_fit(&self, part: &suiro_sdk::Part) -> usize {
        let records = self.limits.max_records.saturating_sub(self.records);
        let room = self.limits.max_bytes.saturating_sub(self.bytes) as u64;
        let mut used = 0;
        let fit = part
            .records()
            .take(records)
            .take_while(|row| {
                used += row.end - row.start;
                used <= room
            })
            .count();
        // Forming whole parts is cheaper than filling each request to the last byte.
        if self.records > 0 && fit < part.len() { 0 } else { fit }
    }

    /// What is collected, if anything.
    pub(crate) fn take(&mut self) -> Option<Formed> {
        self.records = 0;
        self.bytes = 0;
        self.since = None;
        let formed = std::mem::take(&mut self.forming);
        (!formed.delivery.is_empty()).then_some(formed)
    }

    /// When what is collected has waited long enough.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + self.limits.timeout)
    }
}
