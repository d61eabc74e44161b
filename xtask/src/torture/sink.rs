//! Where the records go, and what goes wrong there.

use std::fs;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use suiro_test_servers::{Elasticsearch, ElasticsearchOptions, Entry, Fault, Faults, Loki, LokiOptions};

use super::oracle::Oracle;
use crate::error::{Context, Error};

/// Which output is tortured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    Elasticsearch,
    Loki,
    File,
}

/// A server, or a file.
pub(super) enum Sink {
    Elasticsearch(Elasticsearch),
    Loki(Loki),
    /// What the agent writes, and how far it was read.
    File(PathBuf),
}

// === impl Output ===

impl Output {
    /// Why nothing should be there twice.
    pub(super) fn guarantee(self) -> &'static str {
        match self {
            Output::Elasticsearch => "id = \"origin\"",
            Output::Loki => "equal time and line are one",
            Output::File => "settled ranges beside the file",
        }
    }
}

// === impl Sink ===

impl Sink {
    pub(super) fn start(output: Output, folder: &Path, seed: u64, oracle: &Arc<Oracle>) -> Result<Sink, Error> {
        let seen = Arc::clone(oracle);
        let sink = match output {
            Output::Elasticsearch => Sink::Elasticsearch(
                Elasticsearch::with(ElasticsearchOptions {
                    observer: Some(Arc::new(move |_: &str, id: &str, source: &[u8]| seen.arrived(id, source))),
                    keep_sources: false,
                    ..ElasticsearchOptions::default()
                })
                .context("the sink")?,
            ),
            Output::Loki => Sink::Loki(
                Loki::with(LokiOptions {
                    observer: Some(Arc::new(move |entry: &Entry| {
                        seen.arrived(&entry.time.to_string(), entry.line.as_bytes())
                    })),
                    keep_entries: false,
                    ..LokiOptions::default()
                })
                .context("the sink")?,
            ),
            Output::File => Sink::File(folder.join("out/records.log")),
        };
        if let Some(faults) = sink.faults() {
            faults.random(seed ^ 0x73_69_6e_6b, 250, troubles());
        }
        Ok(sink)
    }

    /// The settings of its own in the output's block.
    pub(super) fn config(&self) -> String {
        match self {
            Sink::Elasticsearch(server) => {
                let url = server.url();
                format!(
                    "type = \"elasticsearch\"\nurl = \"{url}\"\nindex = \"torture\"\nid = \"origin\"\ntimeout = \"1s\"\n"
                )
            }
            Sink::Loki(server) => {
                let url = server.url();
                format!("type = \"loki\"\nurl = \"{url}\"\nlabels = {{ job = \"torture\" }}\ntimeout = \"1s\"\n")
            }
            Sink::File(path) => format!("type = \"file\"\npath = \"{}\"\n", path.display()),
        }
    }

    pub(super) fn faults(&self) -> Option<&Faults> {
        match self {
            Sink::Elasticsearch(server) => Some(server.faults()),
            Sink::Loki(server) => Some(server.faults()),
            Sink::File(_) => None,
        }
    }

    /// Requests, and records that were there already.
    pub(super) fn counts(&self) -> (u64, u64) {
        match self {
            Sink::Elasticsearch(server) => (server.requests(), server.conflicts()),
            Sink::Loki(server) => (server.requests(), 0),
            Sink::File(_) => (0, 0),
        }
    }

    /// Whether what is there may be taken back: the end of a file that was written and not settled is cut off.
    pub(super) fn may_take_back(&self) -> bool {
        matches!(self, Sink::File(_))
    }

    /// Tells the oracle of what arrives, where nobody else does.
    pub(super) fn watch(&self, oracle: &Oracle, stop: &AtomicBool) {
        let Sink::File(path) = self else { return };
        let mut from = 0;
        while !stop.load(Ordering::Relaxed) {
            from = read_from(path, from, oracle).unwrap_or(from);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Counts again all that is there, where what was counted may have been taken back.
    pub(super) fn recount(&self, oracle: &Oracle) {
        if let Sink::File(path) = self {
            oracle.forget_arrivals();
            // Without the file nothing arrived.
            let _ = read_from(path, 0, oracle);
        }
    }
}

/// Reads whole lines; where the next one begins.
fn read_from(path: &Path, mut from: u64, oracle: &Oracle) -> std::io::Result<u64> {
    let mut file = fs::File::open(path)?;
    if file.metadata()?.len() < from {
        oracle.forget_arrivals();
        from = 0;
    }
    file.seek(SeekFrom::Start(from))?;
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        oracle.arrived(&format!("at {from}"), line.trim_ascii_end());
        from += line.len() as u64;
        line.clear();
    }
    Ok(from)
}

/// What goes wrong at a server.
fn troubles() -> Vec<(u32, Fault)> {
    vec![
        (6, Fault::Busy(None)),
        (6, Fault::Unavailable(None)),
        (8, Fault::RefuseSome(3)),
        (4, Fault::ResetBeforeBody),
        (4, Fault::ResetMidBody),
        (6, Fault::ResetAfterStore),
        (4, Fault::ResetMidAnswer),
        (3, Fault::StoreAndHang),
        (1, Fault::Hang),
        (4, Fault::Slow(Duration::from_millis(150))),
        (2, Fault::Html(502)),
        (1, Fault::Html(200)),
    ]
}
