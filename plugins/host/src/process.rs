//! Processes: `/proc/<pid>/stat`, `io`, `fd`.
//!
//! ```text
//! <pid> (<name>) <state> <parent> ... <minor faults> ... <major> ... <utime> <stime> ... <threads> <0> <start> <virtual> <resident> ...
//! ```
//! The name may hold anything, blanks and brackets too: it ends at the last bracket. Command lines are not collected: they
//! hold passwords. Kernel threads are counted, and are not among the processes.

use std::os::unix::fs::MetadataExt as _;

use suiro_record::Value;
use suiro_sdk::lang::TagMatch;

use crate::cpu::TICKS;
use crate::point::{Collection, Metric, Subject, text};
use crate::read::{Reader, numbers};

static COUNT: Metric = Metric::up_down("system.process.count", "{process}", "Processes in each state");
static CPU_TIME: Metric = Metric::counter("process.cpu.time", "s", "CPU seconds by mode");
static MEMORY: Metric = Metric::up_down("process.memory.usage", "By", "Physical memory in use");
static VIRTUAL: Metric = Metric::up_down("process.memory.virtual", "By", "Virtual memory");
static THREADS: Metric = Metric::up_down("process.thread.count", "{thread}", "Threads");
static FILES: Metric =
    Metric::up_down("process.unix.file_descriptor.count", "{file_descriptor}", "Open file descriptors");
static IO: Metric = Metric::counter("process.disk.io", "By", "Disk bytes transferred");
static FAULTS: Metric = Metric::counter("process.paging.faults", "{fault}", "Page faults");

/// Processes that are looked at.
const MAX_SEEN: usize = 100_000;
/// Nanoseconds of a tick.
const TICK: i64 = 10_000_000;

/// What `stat` says.
#[derive(Clone, Debug, PartialEq)]
struct Stat {
    name: String,
    state: char,
    parent: i64,
    minor: u64,
    major: u64,
    user: u64,
    system: u64,
    threads: u64,
    /// Ticks since the host's start.
    start: u64,
    memory: u64,
    pages: u64,
}

impl Stat {
    fn parse(stat: &str) -> Option<Stat> {
        let (front, back) = stat.rsplit_once(')')?;
        let (_, name) = front.split_once('(')?;
        let mut words = back.split_ascii_whitespace();
        let state = words.next()?.chars().next()?;
        let parent = words.next()?.parse().ok()?;
        // Fields are numbered from 1 in proc(5); these begin with the fifth.
        let fields: Vec<&str> = words.collect();
        let field = |number: usize| fields.get(number - 5)?.parse::<u64>().ok();
        Some(Stat {
            name: name.to_owned(),
            state,
            parent,
            minor: field(10)?,
            major: field(12)?,
            user: field(14)?,
            system: field(15)?,
            threads: field(20)?,
            start: field(22)?,
            memory: field(23)?,
            // Of a process that is about to end it may be less than nothing.
            pages: field(24).unwrap_or(0),
        })
    }

    fn cpu(&self) -> u64 {
        self.user.saturating_add(self.system)
    }

    /// As the conventions call it.
    fn state_name(&self) -> &'static str {
        match self.state {
            'R' => "running",
            'T' | 't' => "stopped",
            'Z' | 'X' | 'x' => "defunct",
            _ => "sleeping",
        }
    }
}

pub(crate) fn collect(reader: &mut Reader, wanted: &TagMatch, max: usize, page: u64, to: &mut Collection) {
    let folder = match std::fs::read_dir(reader.path("proc")) {
        Ok(folder) => folder,
        Err(error) => return reader.failed("processes", &error.to_string()),
    };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let pids: Vec<u32> = pids.take(MAX_SEEN).collect();
    let mut states = [("running", 0_u64), ("sleeping", 0), ("stopped", 0), ("defunct", 0)];
    let mut chosen = Vec::new();
    for pid in pids {
        let stat = match reader.try_text(&format!("proc/{pid}/stat")) {
            Ok(text) => Stat::parse(&text),
            Err(error) => {
                reader.failed_of_many("processes", &error);
                continue;
            }
        };
        let Some(stat) = stat else {
            reader.failed("processes", "a `stat` that is not understood");
            continue;
        };
        states.iter_mut().filter(|(state, _)| *state == stat.state_name()).for_each(|(_, n)| *n += 1);
        // What has no memory of its own is the kernel's, or over.
        if stat.memory > 0 && wanted.matches(&stat.name) {
            chosen.push((pid, stat));
        }
    }
    states.iter().for_each(|(state, n)| to.host(&COUNT, [("process.state", text(*state))], *n));
    if chosen.len() > max {
        chosen.sort_by_key(|(pid, stat)| (std::cmp::Reverse(stat.cpu()), *pid));
        reader.too_many("processes", chosen.len() - max, "`process.max`: those that used most CPU time are collected");
        chosen.truncate(max);
    }
    chosen.sort_by_key(|(pid, _)| *pid);
    chosen.iter().for_each(|(pid, stat)| add(reader, *pid, stat, page, to));
}

fn add(reader: &mut Reader, pid: u32, stat: &Stat, page: u64, to: &mut Collection) {
    let mut own = vec![
        ("process.pid".to_owned(), Value::Int(pid.into())),
        ("process.parent_pid".to_owned(), Value::Int(stat.parent)),
        ("process.executable.name".to_owned(), text(&*stat.name)),
    ];
    if let Ok(folder) = std::fs::metadata(reader.path(format!("proc/{pid}"))) {
        own.push(("process.user.id".to_owned(), Value::Int(folder.uid().into())));
    }
    let subject = to.subject(own);
    let since_boot = i64::try_from(stat.start).ok().and_then(|ticks| ticks.checked_mul(TICK));
    let start = to.boot.zip(since_boot).and_then(|(boot, since)| boot.checked_add(since));
    for (mode, ticks) in [("user", stat.user), ("system", stat.system)] {
        to.add(&CPU_TIME, subject, start, [("cpu.mode", text(mode))], ticks as f64 / TICKS);
    }
    to.add(&MEMORY, subject, start, [], stat.pages.saturating_mul(page));
    to.add(&VIRTUAL, subject, start, [], stat.memory);
    to.add(&THREADS, subject, start, [], stat.threads);
    for (kind, faults) in [("major", stat.major), ("minor", stat.minor)] {
        to.add(&FAULTS, subject, start, [("system.paging.fault.type", text(kind))], faults);
    }
    match files(reader, pid) {
        Ok(files) => to.add(&FILES, subject, start, [], files),
        Err(error) => reader.failed_of_many("open files of processes", &error),
    }
    match reader.try_text(&format!("proc/{pid}/io")) {
        Ok(io) => add_io(&io, subject, start, to),
        Err(error) => reader.failed_of_many("disk bytes of processes", &error),
    }
}

/// How many files a process has open. Kernels from 6.2 on say so; of others they are counted.
fn files(reader: &Reader, pid: u32) -> std::io::Result<u64> {
    let folder = reader.path(format!("proc/{pid}/fd"));
    match std::fs::metadata(&folder)?.len() {
        0 => Ok(std::fs::read_dir(&folder)?.count() as u64),
        told => Ok(told),
    }
}

fn add_io(io: &str, subject: Subject, start: Option<i64>, to: &mut Collection) {
    for line in io.lines() {
        let direction = match line.split_once(':') {
            Some(("read_bytes", value)) => Some(("read", value)),
            Some(("write_bytes", value)) => Some(("write", value)),
            _ => None,
        };
        if let Some((direction, value)) = direction
            && let Some(value) = numbers(value).next()
        {
            to.add(&IO, subject, start, [("disk.io.direction", text(direction))], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str =
        "42 (a) b (c) S 1 42 42 0 -1 4194304 99 0 7 0 150 50 0 0 20 0 3 0 1000 8192 5 18446744073709551615 1 1\n";

    #[test]
    fn a_name_may_hold_anything() {
        let stat = Stat::parse(STAT).unwrap();
        assert_eq!((&*stat.name, stat.state, stat.parent), ("a) b (c", 'S', 1));
        assert_eq!((stat.minor, stat.major, stat.user, stat.system), (99, 7, 150, 50));
        assert_eq!((stat.threads, stat.start, stat.memory, stat.pages), (3, 1000, 8192, 5));
        for odd in ["", "1 a S", "1 (a)", "1 (a) S x", "1 (a) S 1 2 3", ")("] {
            assert_eq!(Stat::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_agent_itself() {
        let mut reader = Reader::new("host".into(), "/".into(), std::sync::Arc::default());
        let pid = std::process::id();
        let stat = Stat::parse(&reader.try_text(&format!("proc/{pid}/stat")).unwrap()).unwrap();
        let mut to = Collection::new(i64::MAX, Some(1_000_000_000), Vec::new());
        add(&mut reader, pid, &stat, 4096, &mut to);
        let points = crate::tests::shown(&to);
        for name in [
            "process.cpu.time{user}",
            "process.memory.usage",
            "process.unix.file_descriptor.count",
            "process.disk.io{read}",
        ] {
            assert!(points.iter().any(|point| point.starts_with(name)), "{name}: {points:?}");
        }
        let open = to.points.iter().find(|point| point.metric.name == FILES.name).unwrap();
        assert!(matches!(open.value, crate::point::Number::Int(n) if (3..10_000).contains(&n)), "{open:?}");
        assert!(to.points.iter().all(|point| point.start.is_some_and(|start| start > 1_000_000_000)));
    }

    proptest! {
        #[test]
        fn takes_anything(text in r"([0-9]{0,3} \([a-z)é ]{0,4}\)? ?[A-Z]?( -?[0-9]{0,21}| x){0,26})?") {
            let _ = Stat::parse(&text);
            add_io(&text, Subject::HOST, None, &mut Collection::new(0, None, Vec::new()));
        }
    }
}
