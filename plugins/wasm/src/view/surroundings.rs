//! What is around the records: configuration, log, metrics, clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use suiro_record::{Batch, NewValue, Path, PathRoot, Row, Value};
use suiro_sdk::Metrics;
use suiro_sdk::metrics::{Counter, Gauge};

use super::fields::put_text;
use super::memory::{bytes, put, text};
use super::{Answer, Code, View, empty_batch};

/// Names of metrics a filter may have.
const MAX_CUSTOM: usize = 64;
/// Longest name of a metric.
const MAX_NAME: usize = 64;
/// Longest line of a guest's log, bytes.
const MAX_LINE: usize = 4 << 10;
/// Lines of a guest's log in a second.
const LINES_A_SECOND: u32 = 100;

/// What a filter's instances share.
pub struct Surroundings {
    name: Arc<str>,
    /// `config`, as the one record of a batch: paths work as they do in records.
    config: Batch,
    log: Log,
    pace: Mutex<Pace>,
    metrics: Arc<Metrics>,
    names: Mutex<Vec<(Box<str>, bool)>>,
    left_out: Counter,
    salt: u64,
}

type Log = Box<dyn Fn(LogLevel, &str) + Send + Sync>;

/// How important a line of a guest's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Needs someone to act.
    Error,
    /// May need someone to act.
    Warn,
    /// What changes.
    Info,
    /// For those who look for a fault.
    Debug,
}

struct Pace {
    since: Instant,
    lines: u32,
    left_out: u64,
}

/// An instance's own counters and gauges, and what the call under way did to them.
#[derive(Default)]
pub(super) struct Custom {
    counters: Vec<(Box<str>, Counter, u64)>,
    gauges: Vec<(Box<str>, Gauge, Option<f64>)>,
}

// === impl Surroundings ===

impl Surroundings {
    /// Those of the filter `name`. `log` is called with each line that is let through.
    pub fn new(
        name: Arc<str>,
        config: &Value,
        metrics: Arc<Metrics>,
        log: impl Fn(LogLevel, &str) + Send + Sync + 'static,
    ) -> Surroundings {
        let mut batch = empty_batch();
        let root = batch.new_object();
        if let Value::Object(members) = config {
            for (key, value) in members {
                // It came from a file of settings: there is room for it.
                let _ = batch.append(root, key, NewValue::Tree(value));
            }
        }
        batch.rows.push(Row::new(root, 0, 0, 0));
        let labels = [("filter", &*name)];
        let left_out =
            metrics.counter("suiro_wasm_log_left_out_total", "Lines of a filter's log beyond its rate", &labels);
        // FNV-1a: the same in every version, since ids of records are made of it.
        let salt =
            name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        Surroundings {
            config: batch,
            log: Box::new(log),
            pace: Mutex::new(Pace { since: Instant::now(), lines: 0, left_out: 0 }),
            names: Mutex::default(),
            left_out,
            metrics,
            salt,
            name,
        }
    }

    /// The filter's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What tells ids of records that this filter makes from those others make of the same record.
    pub(super) fn salt(&self) -> u64 {
        self.salt
    }

    /// A line for the log, unless there were too many. A level above the last is the last.
    pub fn say(&self, level: LogLevel, line: &str) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.since.elapsed() >= Duration::from_secs(1) {
            let left_out = std::mem::take(&mut pace.left_out);
            (pace.since, pace.lines) = (Instant::now(), 0);
            if left_out > 0 {
                (self.log)(LogLevel::Warn, &format!("{left_out} lines of the filter's log were left out"));
            }
        }
        if pace.lines == LINES_A_SECOND {
            pace.left_out += 1;
            self.left_out.add(1);
            return;
        }
        pace.lines += 1;
        drop(pace);
        (self.log)(level, &line[..line.floor_char_boundary(MAX_LINE)]);
    }

    /// Whether the filter has, or may have, a metric of that name and kind.
    fn admits(&self, name: &str, gauge: bool) -> bool {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.iter().any(|(own, kind)| **own == *name && *kind == gauge) {
            return true;
        }
        let room = names.len() < MAX_CUSTOM;
        if room {
            names.push((name.into(), gauge));
        }
        room
    }
}

// === impl View ===

impl View {
    /// `config(key, buf, cap)`
    pub fn config(&mut self, memory: &mut [u8], key_ptr: i32, key_len: i32, buf: i32, cap: i32) -> Answer {
        let key = text(memory, key_ptr, key_len)?;
        let config = &self.around.config;
        let row = &config.rows[0];
        if key.is_empty() {
            self.scratch.clear();
            config.write_json(row, &mut self.scratch);
            return put(memory, buf, cap, &self.scratch);
        }
        let path = Path::parse(key).map_err(|_| Code::BadText)?;
        if path.root() != PathRoot::Body {
            return Err(Code::Absent);
        }
        let resolved = config.resolve(&path);
        let found = config.get(row, &resolved).ok_or(Code::Absent)?;
        put_text(found, memory, buf, cap, &mut self.scratch)
    }

    /// `log(level, ptr, len)`
    pub fn log(&mut self, memory: &mut [u8], level: i32, ptr: i32, len: i32) -> Answer {
        let level = match level {
            0 => LogLevel::Error,
            1 => LogLevel::Warn,
            2 => LogLevel::Info,
            3 => LogLevel::Debug,
            _ => return Err(Code::Invalid),
        };
        let line = bytes(memory, ptr, len)?;
        // No more than is shown is looked at.
        let line = String::from_utf8_lossy(&line[..line.len().min(MAX_LINE)]);
        self.around.say(level, &line);
        Ok(0)
    }

    /// `counter(name, add)`
    pub fn counter(&mut self, memory: &mut [u8], ptr: i32, len: i32, add: i64) -> Answer {
        let name = metric_name(memory, ptr, len)?;
        let add = u64::try_from(add).map_err(|_| Code::Invalid)?;
        let known = match self.custom.counters.iter().position(|(own, ..)| **own == *name) {
            Some(at) => at,
            None if !self.around.admits(name, false) => return Err(Code::Full),
            None => {
                let labels = [("filter", &*self.around.name), ("name", name)];
                let help = "Counters that filters keep";
                let counter = self.around.metrics.counter("suiro_wasm_custom_total", help, &labels);
                self.custom.counters.push((name.into(), counter, 0));
                self.custom.counters.len() - 1
            }
        };
        let pending = &mut self.custom.counters[known].2;
        *pending = pending.saturating_add(add);
        Ok(0)
    }

    /// `gauge(name, value)`
    pub fn gauge(&mut self, memory: &mut [u8], ptr: i32, len: i32, value: f64) -> Answer {
        let name = metric_name(memory, ptr, len)?;
        let known = match self.custom.gauges.iter().position(|(own, ..)| **own == *name) {
            Some(at) => at,
            None if !self.around.admits(name, true) => return Err(Code::Full),
            None => {
                let labels = [("filter", &*self.around.name), ("name", name)];
                let gauge = self.around.metrics.gauge("suiro_wasm_custom", "Gauges that filters keep", &labels);
                self.custom.gauges.push((name.into(), gauge, None));
                self.custom.gauges.len() - 1
            }
        };
        self.custom.gauges[known].2 = Some(value);
        Ok(0)
    }

    /// `now_ns()`
    pub fn now_ns(&mut self, _memory: &mut [u8]) -> i64 {
        if self.call.began.is_some() { self.call.now } else { suiro_sdk::time::now() }
    }

    /// `random()`
    pub fn random(&mut self, _memory: &mut [u8]) -> i64 {
        rand::random()
    }

    /// What a guest did to its metrics outside of calls stands.
    pub fn commit_metrics(&mut self) {
        self.custom.commit();
    }

    /// The filter's surroundings.
    pub fn surroundings(&self) -> &Arc<Surroundings> {
        &self.around
    }
}

// === impl Custom ===

impl Custom {
    /// The call stands.
    pub(super) fn commit(&mut self) {
        for (_, counter, pending) in &mut self.counters {
            counter.add(std::mem::take(pending));
        }
        for (_, gauge, pending) in &mut self.gauges {
            pending.take().into_iter().for_each(|value| gauge.set(value));
        }
    }

    /// The call never was.
    pub(super) fn forget(&mut self) {
        self.counters.iter_mut().for_each(|(.., pending)| *pending = 0);
        self.gauges.iter_mut().for_each(|(.., pending)| *pending = None);
    }
}

fn metric_name(memory: &[u8], ptr: i32, len: i32) -> Result<&str, Code> {
    let name = text(memory, ptr, len)?;
    let sound = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if sound { Ok(name) } else { Err(Code::BadText) }
}
