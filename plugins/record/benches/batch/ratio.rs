//! The race: whole jobs over 32 MiB, rounds interleaved so that the machine's moods hit both alike, CPU time of the thread,
//! medians, and the ratio. Trust the ratio.

use std::hint::black_box;

use crate::corpus;
use crate::job::{self, Paths};

const BYTES: usize = 32 << 20;
const CHUNK: usize = 64 << 10;
const ROUNDS: usize = 9;

/// CPU time of this thread, nanoseconds, where the system tells it; exact to a tick, so it is for long rounds.
fn cpu_time() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok()
}

/// Medians of both, nanoseconds.
fn race(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (u64, u64) {
    let time = |f: &mut dyn FnMut()| {
        let from = cpu_time();
        f();
        cpu_time().zip(from).map_or(0, |(to, from)| to - from)
    };
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        times.0.push(time(&mut ours));
        times.1.push(time(&mut theirs));
    }
    times.0.sort_unstable();
    times.1.sort_unstable();
    (times.0[ROUNDS / 2], times.1[ROUNDS / 2])
}

pub(crate) fn run() {
    if cpu_time().is_none() {
        eprintln!("no /proc/thread-self/schedstat: no ratios here");
        return;
    }
    eprintln!("\n32 MiB, CPU time, medians of {ROUNDS} interleaved rounds");
    eprintln!("{:<34}{:>10}{:>12}{:>14}{:>8}", "", "MB/s", "ns/record", "tree, MB/s", "ratio");
    for (name, text) in [("", corpus::lines(BYTES)), (", shuffled keys", corpus::shuffled(BYTES))] {
        let chunks = corpus::chunks(&text, CHUNK);
        let records = memchr::memchr_iter(b'\n', &text).count() as u64;
        let paths = Paths::new();
        let mut batch = job::empty();
        let (mut out, mut tree_out) = (Vec::new(), Vec::new());
        let report = |what: &str, (ours, theirs): (u64, u64)| {
            let speed = |ns: u64| text.len() as f64 * 1e3 / ns.max(1) as f64;
            let ratio = theirs as f64 / ours.max(1) as f64;
            let (name, per) = (format!("{what}{name}"), ours / records);
            eprintln!("{name:<34}{:>10.0}{per:>12}{:>14.0}{ratio:>8.2}", speed(ours), speed(theirs));
        };
        report(
            "job",
            race(
                || chunks.iter().for_each(|c| _ = black_box(job::job(&mut batch, &paths, c, &mut out))),
                || chunks.iter().for_each(|c| _ = black_box(job::tree_job(c, &mut tree_out))),
            ),
        );
        report(
            "parse, validate, emit",
            race(
                || {
                    for c in &chunks {
                        job::parse(&mut batch, c);
                        job::encode(&batch, &mut out);
                        black_box(&out);
                    }
                },
                || {
                    for c in &chunks {
                        job::tree_copy(c, &mut tree_out);
                        black_box(&tree_out);
                    }
                },
            ),
        );
    }
}
