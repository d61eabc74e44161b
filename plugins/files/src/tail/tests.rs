//! Files are really written, renamed and truncated here; time is not real: each step is told what time it is.

mod away;
mod journal;
mod lines;
mod rotation;
mod trouble;
mod windows;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_sdk::lang::Template;
use suiro_sdk::ledger::{InputLedger, read};
use suiro_sdk::settings::Section;
use suiro_sdk::{Decoder, Flow, OnParseError, Polled, Pool, Source, SourceSetup, Waker};

use super::Tail;
use super::settings::TailSettings;
use super::source::TailSource;

/// A folder of logs, a data folder, and the runs of an agent over them.
struct Bench {
    logs: tempfile::TempDir,
    data: tempfile::TempDir,
    settings: String,
    once: bool,
    shards: usize,
}

/// One run.
struct Run {
    source: TailSource,
    ledger: Arc<InputLedger>,
    now: Instant,
}

/// A record, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    text: String,
    start: u64,
    end: u64,
    incarnation: u128,
    time: i64,
}

impl Bench {
    fn new() -> Self {
        Self::with("path = '{}/*.log'")
    }

    /// `{}` stands for the folder of logs.
    fn with(settings: &str) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let settings = settings.replace("{}", logs.path().to_str().unwrap());
        Bench { logs, data: tempfile::tempdir().unwrap(), settings, once: false, shards: 1 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.logs.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn truncate(&self, name: &str) {
        File::options().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn tail(&self) -> Tail {
        let (section, diagnostics) = Section::from_text("[[input]] tail", &self.settings);
        Tail::new(TailSettings::read(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false))))
    }

    fn setup(&self, shard: usize) -> (SourceSetup, Arc<InputLedger>) {
        let ledger = Arc::new(InputLedger::default());
        let setup = SourceSetup {
            name: "logs".into(),
            shard,
            shards: self.shards,
            data_dir: self.data.path().to_owned(),
            ledger: ledger.clone(),
            decoder: Arc::new(Decoder::new(None, OnParseError::Keep, false, ledger.clone())),
            tag: Arc::new(Template::parse("app.{@file.name}").unwrap()),
            pool: Arc::new(Pool::default()),
            waker: Waker::new(|| {}),
            once: self.once,
        };
        (setup, ledger)
    }

    fn run(&self) -> Run {
        self.run_shard(&self.tail(), 0)
    }

    fn run_shard(&self, tail: &Tail, shard: usize) -> Run {
        let (setup, ledger) = self.setup(shard);
        let mut source = tail.open(setup).unwrap();
        source.watch = None;
        let now = source.next_scan;
        Run { source, ledger, now }
    }

    fn journal(&self) -> PathBuf {
        self.data.path().join("checkpoints/logs/0.journal")
    }
}

impl Run {
    /// Everything there is to read now.
    fn flows(&mut self) -> Vec<Flow> {
        let mut flows = Vec::new();
        loop {
            match self.source.step(self.now) {
                Polled::Batch(flow) => flows.push(flow),
                Polled::Idle { until: Some(until) } if until <= self.now => {}
                Polled::Idle { .. } | Polled::Done => return flows,
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// What is read now, a second later than before, and settled.
    fn read(&mut self) -> Vec<String> {
        texts(&self.records())
    }

    fn records(&mut self) -> Vec<Seen> {
        self.pass(Duration::from_millis(1100));
        let mut all = Vec::new();
        loop {
            let flows = self.flows();
            if flows.is_empty() {
                return all;
            }
            for flow in flows {
                all.extend(seen(&flow));
                flow.custody.settle();
            }
            // What waited for something else to be read or settled is looked at in a while.
            self.pass(Duration::from_millis(260));
        }
    }

    /// The end of a run that is not killed.
    fn end(mut self) {
        self.source.checkpoint().unwrap();
        self.source.stop();
        self.balanced();
    }

    fn balanced(&self) {
        assert_eq!(self.ledger.received(), self.ledger.settled_records() + self.ledger.in_flight());
        assert_eq!(self.ledger.in_flight(), 0);
    }

    fn abandoned(&self) -> u64 {
        read(&self.ledger.abandoned_bytes)
    }
}

fn seen(flow: &Flow) -> Vec<Seen> {
    let batch = &flow.batch;
    let record = |row| {
        let origin = batch.origin(row);
        let text = batch.sole_text(row.root()).unwrap_or(b"?");
        Seen {
            text: String::from_utf8_lossy(text).into_owned(),
            start: origin.start,
            end: origin.end,
            incarnation: origin.source.incarnation(),
            time: row.time,
        }
    };
    batch.rows.iter().map(record).collect()
}

fn texts(records: &[Seen]) -> Vec<String> {
    records.iter().map(|record| record.text.clone()).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
