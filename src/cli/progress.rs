//! The progress of `run --once`, on a terminal: bytes, records, rate, time left.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_sdk::Progress;
use tokio::task::JoinHandle;

use super::screen::{bytes, count};
use crate::pipeline::Shared;

/// A line that shows how far it is, where standard error is a terminal.
pub(super) struct ProgressLine(Option<JoinHandle<()>>);

const EVERY: Duration = Duration::from_millis(250);

// === impl ProgressLine ===

impl ProgressLine {
    pub(super) fn start(shared: Arc<Shared>) -> Self {
        let shown = std::io::stderr().is_terminal();
        ProgressLine(shown.then(|| tokio::spawn(show(shared))))
    }

    pub(super) fn finish(self) {
        if let Some(task) = self.0 {
            task.abort();
            let _ = std::io::stderr().lock().write_all(b"\r\x1b[K");
        }
    }
}

async fn show(shared: Arc<Shared>) {
    let began = Instant::now();
    loop {
        tokio::time::sleep(EVERY).await;
        let line = line(&shared, began.elapsed());
        let _ = std::io::stderr().lock().write_all(format!("\r\x1b[K{line}").as_bytes());
    }
}

fn line(shared: &Shared, elapsed: Duration) -> String {
    let read: u64 = shared.books.inputs.iter().map(|(_, ledger)| ledger.bytes()).sum();
    let records: u64 = shared.books.inputs.iter().map(|(_, ledger)| ledger.received()).sum();
    let delivered: u64 = shared.books.snapshot().outputs.iter().map(|output| output.delivered).sum();
    let total: u64 = shared.inputs.iter().map(|input| input.progress.get()).map(|Progress { total, .. }| total).sum();
    let rate = read as f64 / elapsed.as_secs_f64();
    let mut line = format!(
        "{} read, {} records, {} delivered, {}/s",
        bytes(read),
        count(records),
        count(delivered),
        bytes(rate as u64)
    );
    if total > read && rate > 0.0 {
        let left = (total - read) as f64 / rate;
        line += &format!(", of {}: {left:.0} s left", bytes(total));
    }
    line
}
