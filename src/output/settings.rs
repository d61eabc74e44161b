//! The settings every output has.

use std::path::{Path, PathBuf};
use std::time::Duration;

use suiro_record::Signal;
use suiro_sdk::Limits;
use suiro_sdk::lang::{Condition, TagMatch};
use suiro_sdk::settings::{ByteSize, Quantity, Section};

use super::DeadLetterSettings;
use crate::queue::{Fsync, WhenFull};

/// What an output's block says besides what is its plugin's own.
#[derive(Debug)]
pub struct OutputSettings {
    /// `match`: tags it takes. Default: all.
    pub matches: TagMatch,
    /// `when`: records it takes. Default: all.
    pub when: Option<Condition>,
    /// `signal`: signals it takes, of those it can express. Default: all of these.
    pub signals: Option<Vec<Signal>>,
    /// `queue`
    pub queue: QueueSettings,
    /// `retry`
    pub retry: RetrySettings,
    /// `batch.max_bytes`, `batch.max_records`, `batch.timeout`; the plugin knows the defaults.
    pub max_bytes: Option<usize>,
    /// See `max_bytes`.
    pub max_records: Option<usize>,
    /// See `max_bytes`.
    pub batch_timeout: Option<Duration>,
    /// `concurrency`: requests under way at once, at most. Default 4.
    pub concurrency: usize,
    /// `ordered`: one request at a time, a failed one holds up the rest. Default false.
    pub ordered: bool,
    /// `dead_letter`
    pub dead_letter: DeadLetterSettings,
}

/// Where an output's records wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// `queue.type`: `"memory"` (default) or `"disk"`.
    pub kind: QueueKind,
    /// `queue.max_size`. Default 8 MiB in memory, 1 GiB on disk.
    pub max_size: Option<u64>,
    /// `queue.when_full`: `"block"` (default), `"drop_oldest"`, `"drop_newest"`.
    pub when_full: WhenFull,
    /// `queue.fsync`, of a queue on disk: `"interval"` (default: within 50 ms), `"batch"`, `"never"`.
    pub fsync: Fsync,
}

/// Kinds of queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueKind {
    /// In memory.
    #[default]
    Memory,
    /// On disk, below `data_dir`.
    Disk,
}

/// How often, and when, an output tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// `retry.initial`: bound of the first wait. Default 500 ms.
    pub initial: Duration,
    /// `retry.max`: bound of every wait. Default 30 s.
    pub max: Duration,
    /// `retry.max_attempts`. Default: until it works.
    pub max_attempts: Option<u32>,
}

// === impl OutputSettings ===

impl OutputSettings {
    /// Reads them. Mistakes are reported to the section's diagnostics.
    pub fn read(section: &Section, name: &str, data_dir: &Path) -> Self {
        let batch = section.section_or_empty("batch");
        OutputSettings {
            matches: section.get("match").unwrap_or_default(),
            when: section.get("when"),
            signals: crate::pipeline::read_signals(section),
            queue: QueueSettings::read(section),
            retry: RetrySettings::read(&section.section_or_empty("retry")),
            max_bytes: batch.within("max_bytes", ByteSize::kib(1)..=ByteSize::mib(256)).map(ByteSize::as_usize),
            max_records: batch.within("max_records", 1..=10_000_000_usize),
            batch_timeout: batch.get("timeout"),
            concurrency: section.within("concurrency", 1..=256_usize).unwrap_or(4),
            ordered: section.flag("ordered"),
            dead_letter: DeadLetterSettings::read(section, name, data_dir),
        }
    }

    /// The limits of a delivery, where the plugin likes `own`.
    pub fn limits(&self, own: Limits) -> Limits {
        Limits {
            max_bytes: self.max_bytes.unwrap_or(own.max_bytes),
            max_records: self.max_records.unwrap_or(own.max_records),
            timeout: self.batch_timeout.unwrap_or(own.timeout),
        }
    }
}

// === impl QueueSettings ===

impl QueueSettings {
    fn read(section: &Section) -> Self {
        let queue = section.section_or_empty("queue");
        let kinds = [("memory", QueueKind::Memory), ("disk", QueueKind::Disk)];
        let full =
            [("block", WhenFull::Block), ("drop_oldest", WhenFull::DropOldest), ("drop_newest", WhenFull::DropNewest)];
        let fsync = [("interval", Fsync::Interval), ("batch", Fsync::Batch), ("never", Fsync::Never)];
        QueueSettings {
            kind: queue.choice("type", &kinds).unwrap_or_default(),
            max_size: queue.within("max_size", ByteSize::kib(64)..=ByteSize::gib(1 << 20)).map(ByteSize::bytes),
            when_full: queue.choice("when_full", &full).unwrap_or_default(),
            fsync: queue.choice("fsync", &fsync).unwrap_or_default(),
        }
    }
}

// === impl RetrySettings ===

impl RetrySettings {
    fn read(retry: &Section) -> Self {
        let (initial, max) = (retry.get("initial"), retry.get("max"));
        if let (Some(initial), Some(max)) = (initial, max)
            && initial > max
        {
            let message = format!("`max` is shorter than `initial`, {}", Quantity::written(&initial));
            retry.error_at("max", message, "`initial` bounds the first wait, `max` every one");
        }
        let initial = initial.unwrap_or(Duration::from_millis(500).min(max.unwrap_or(Duration::MAX)));
        let max = max.unwrap_or(Duration::from_secs(30).max(initial));
        RetrySettings { initial, max, max_attempts: retry.within("max_attempts", 1..=u32::MAX) }
    }
}

/// A folder below the data folder.
pub(super) fn default_dead_letter(data_dir: &Path, name: &str) -> PathBuf {
    data_dir.join("dead-letter").join(name)
}
