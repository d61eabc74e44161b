//! The input `host_metrics`: what the host, its processes and its containers use, as metric points with the names of
//! OpenTelemetry's semantic conventions.
//!
//! # Constraints
//!
//! - A worker never waits for it. A thread of the input's own collects, and hands a whole collection over at a time, one
//!   ahead and no more: one that nobody took before the next is due is not made up for, since the counters go on counting.
//! - That thread never waits for a filesystem: `statvfs` on a server that is gone waits for ever, so helper threads ask
//!   (`statfs`), and one that does not come back is left behind, its mount passed over until it does.
//! - `/proc` and `/sys` are the kernel's, and still may hold anything: another kernel has other columns, a container hides
//!   files. What can't be read or understood is left out, counted as `unreadable`, and said once; the rest goes on.
//! - Everything is bounded: bytes of a file, processes, containers, points of a collection (`point::MAX_POINTS`).
//!
//! # Invariants
//!
//! - All points of a collection have one time, and are records of one origin.
//! - A sum's start does not move while the agent runs: the boot time is read once, a process's start is known in ticks
//!   since then.
//!
//! | part | is |
//! | --- | --- |
//! | `cpu`, `memory`, `disk`, `filesystem`, `network`, `load`, `process`, `container` | one collector each: a parser of text, and the points made of it |
//! | `point` | a point, and how it is written as a record |
//! | `read` | reading files of `/proc` and `/sys`, and what becomes of failures |
//! | `collect` | a collection |
//! | `source` | the thread, and the source that hands collections on |

mod collect;
mod container;
mod cpu;
mod disk;
mod filesystem;
mod load;
mod memory;
mod network;
mod point;
mod process;
mod read;
mod settings;
mod source;
mod statfs;

#[cfg(test)]
mod tests;

use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Input, Registry};

/// Adds the input.
pub fn register(registry: &mut Registry) {
    registry.input("host_metrics", "collects what the host, its processes and containers use, as metrics", build);
}

/// Reads the settings.
pub fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    Ok(Box::new(source::HostMetrics::new(settings::Settings::read(section)?)))
}
