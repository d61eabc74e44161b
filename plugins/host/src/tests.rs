//! The input as the agent uses it, on hosts made of files.

use std::fs;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use suiro_record::Batch;
use suiro_sdk::ledger::InputLedger;
use suiro_sdk::settings::Section;
use suiro_sdk::{Flow, Polled, Source, SourceSetup, Waker};
use tempfile::TempDir;

use crate::point::{Collection, Number};

/// Points as `name{values of attributes} value`, in their order.
pub(crate) fn shown(collection: &Collection) -> Vec<String> {
    let show = |point: &crate::point::Point| {
        let attributes: Vec<String> = point
            .attributes
            .iter()
            .map(|(_, value)| match value.as_str() {
                Some(text) => text.to_owned(),
                None => {
                    let mut json = Vec::new();
                    value.write_json(&mut json);
                    String::from_utf8(json).unwrap()
                }
            })
            .collect();
        let attributes = if attributes.is_empty() { String::new() } else { format!("{{{}}}", attributes.join(",")) };
        match point.value {
            Number::Int(value) => format!("{}{attributes} {value}", point.metric.name),
            Number::Float(value) => format!("{}{attributes} {value:?}", point.metric.name),
        }
    };
    collection.points.iter().map(show).collect()
}

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A host.
fn host() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("etc/hostname", "node-1\n");
    write("proc/stat", "cpu 200 0 100 700 0 0 0 0\ncpu0 200 0 100 700 0 0 0 0\nbtime 1700000000\nprocesses 50\n");
    write("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nBuffers: 1 kB\nCached: 2 kB\n");
    write("proc/vmstat", "pgfault 10\npgmajfault 1\n");
    write("proc/loadavg", "1.5 1.0 0.5 1/2 3\n");
    write("proc/uptime", "1000.5 900.0\n");
    write(
        "proc/diskstats",
        "8 0 sda 1 0 8 5 2 0 16 6 0 7 8\n8 1 sda1 1 0 8 5 2 0 16 6 0 7 8\n7 0 loop0 1 0 8 5 2 0 16 6 0 7 8\n",
    );
    fs::create_dir_all(folder.path().join("sys/block/sda")).unwrap();
    fs::create_dir_all(folder.path().join("sys/class/block/sda1")).unwrap();
    write("proc/1/net/dev", "h\n eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n lo: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n");
    write("proc/1/mountinfo", "27 1 8:1 / / rw - ext4 /dev/sda1 rw\n28 27 8:2 / /gone rw - ext4 /dev/sda2 rw\n");
    write("proc/1/stat", "1 (init) S 0 1 1 0 -1 0 5 0 1 0 100 50 0 0 20 0 1 0 200 4096 3 0\n");
    write("proc/2/stat", "2 (kthreadd) S 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 2 0 0 0\n");
    write("proc/7/stat", "7 (we b) R 1 7 7 0 -1 0 5 0 1 0 300 50 0 0 20 0 4 0 500 8192 6 0\n");
    write("proc/7/io", "read_bytes: 11\nwrite_bytes: 12\n");
    write("proc/8/stat", "nonsense");
    fs::create_dir_all(folder.path().join("proc/9")).unwrap();
    fs::create_dir_all(folder.path().join("proc/7/fd/3")).unwrap();
    write("sys/fs/cgroup/cgroup.controllers", "cpu memory io\n");
    let container = format!("sys/fs/cgroup/system.slice/docker-{ID}.scope");
    write(&format!("{container}/cpu.stat"), "usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\nnew x\n");
    write(&format!("{container}/memory.current"), "5000\n");
    write(&format!("{container}/memory.stat"), "anon 3000\ninactive_file 1000\n");
    write(&format!("{container}/memory.max"), "10000\n");
    write(&format!("{container}/io.stat"), "8:0 rbytes=1 wbytes=2 rios=3\n9:9 rbytes=4\n");
    folder
}

struct Opened {
    source: Box<dyn Source>,
    ledger: Arc<InputLedger>,
    woken: mpsc::Receiver<()>,
}

fn open(root: &Path, settings: &str, once: bool) -> Opened {
    let text = format!("root = '{}'\n{settings}", root.display());
    let (section, diagnostics) = Section::from_text("[[input]] host", &text);
    let input = crate::build(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false)));
    let (wake, woken) = mpsc::channel();
    let setup = SourceSetup {
        name: "host".into(),
        waker: Waker::new(move || wake.send(()).unwrap_or_default()),
        once,
        ..SourceSetup::sample("metrics.{@input}")
    };
    let ledger = setup.ledger.clone();
    assert!(input.source(SourceSetup { shard: 1, ..setup.clone() }).unwrap().is_none());
    Opened { source: input.source(setup).unwrap().unwrap(), ledger, woken }
}

impl Opened {
    /// The next batch, waited for; `None` at the end.
    fn next(&mut self) -> Option<Flow> {
        loop {
            match self.source.poll() {
                Polled::Batch(flow) => return Some(flow),
                Polled::Done => return None,
                Polled::Idle { .. } => self.woken.recv_timeout(Duration::from_secs(60)).unwrap(),
            }
        }
    }
}

/// Records with what stands beside them: `host.name|pid or container name{..} value start`.
fn records(batch: &Batch) -> Vec<String> {
    let show = |row: &suiro_record::Row| {
        let mut json = Vec::new();
        batch.write_json(row, &mut json);
        let resource: Vec<String> =
            batch.scope(row).resource.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
        format!("{} {}", resource.join(" "), String::from_utf8(json).unwrap())
    };
    batch.rows.iter().map(show).collect()
}

const ALL: &str = "collect = ['cpu', 'memory', 'disk', 'filesystem', 'network', 'load', 'process', 'container']";

#[test]
fn all_of_a_host_at_once() {
    let host = host();
    let mut opened = open(host.path(), ALL, true);
    let flow = opened.next().unwrap();
    let batch = &flow.batch;
    assert_eq!((&*batch.tag, batch.signal.name()), ("metrics.host", "metrics"));
    let times: std::collections::BTreeSet<i64> = batch.rows.iter().map(|row| row.time).collect();
    assert_eq!(times.len(), 1, "one look at the clock");
    let records = records(batch);
    for want in [
        r#""name":"system.cpu.time","description":"Seconds each logical CPU spent on each mode","unit":"s","kind":"sum","temporality":"cumulative","monotonic":true,"start":1700000000000000000,"attributes":{"cpu.logical_number":0,"cpu.mode":"user"},"value":2.0}"#,
        r#""kind":"sum","temporality":"cumulative","start":1700000000000000000,"attributes":{"system.memory.state":"used"},"value":614400}"#,
        r#""name":"system.cpu.load_average.1m","description":"Threads that ran or waited, on average over a minute","unit":"{thread}","kind":"gauge","value":1.5}"#,
        r#""attributes":{"system.device":"sda","disk.io.direction":"read"},"value":4096}"#,
        r#""attributes":{"network.interface.name":"eth0","network.io.direction":"transmit"},"value":5}"#,
        r#""attributes":{"process.state":"running"},"value":1}"#,
    ] {
        assert!(records.iter().any(|record| record.contains(want)), "{want}:\n{records:#?}");
    }
    let of = |words: &[&str]| records.iter().filter(|record| words.iter().all(|word| record.contains(word))).count();
    // What is left out: partitions, files as disks, the loopback, kernel threads.
    for word in ["sda1", "loop0", "\"lo\"", "kthreadd"] {
        let leaves =
            records.iter().filter(|record| record.contains(word) && !record.contains("system.filesystem")).count();
        assert_eq!(leaves, 0, "{word}");
    }
    assert_eq!(of(&["host.name=Str(\"node-1\")", "os.type=Str(\"linux\")", "host.arch"]), records.len());
    // A process's sums begin when it did.
    assert_eq!(of(&["process.pid=Int(7)", "we b", "process.cpu.time", "1700000005000000000", "3.0}"]), 1);
    assert_eq!(of(&["process.pid=Int(7)", "process.disk.io", "\"write\"", "\"value\":12"]), 1);
    assert_eq!(of(&["process.pid=Int(1)", "process.unix.file_descriptor"]), 0, "it has no folder of files");
    assert_eq!(of(&[&format!("container.id=Str(\"{ID}\")"), "container.runtime.name=Str(\"docker\")"]), 9);
    assert_eq!(of(&["container.memory.available", "\"value\":6000"]), 1);
    assert_eq!(of(&["container.disk.io", "\"system.device\":\"sda\"", "\"read\"", "\"value\":1}"]), 1);
    assert_eq!(of(&["container.disk.io", "\"system.device\":\"9:9\""]), 1);
    assert_eq!(of(&["system.filesystem.limit", "/dev/sda1"]), 1);
    // What could not be read: the process that makes no sense, and the filesystem that is not there.
    assert_eq!(opened.ledger.turned_away.snapshot().get("unreadable"), Some(&2));
    let received = batch.len() as u64;
    assert!(opened.next().is_none(), "`--once`: one collection");
    flow.custody.settle();
    assert_eq!(
        (opened.ledger.received(), opened.ledger.settled_records(), opened.ledger.in_flight()),
        (received, received, 0)
    );
}

#[test]
fn a_host_that_hides_almost_everything_gives_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("proc")).unwrap();
    fs::write(folder.path().join("proc/stat"), "cpu 1 2 3 4\n").unwrap();
    let mut opened = open(folder.path(), &format!("{ALL}\nper_cpu = false\nhost_name = 'x'"), true);
    let flow = opened.next().unwrap();
    let records = records(&flow.batch);
    assert_eq!(records.iter().filter(|record| record.contains("system.cpu.time")).count(), 4);
    assert!(!records.iter().any(|record| record.contains("\"start\"")), "the time of the start is not known");
    assert!(records.iter().all(|record| record.starts_with("host.name=Str(\"x\")")));
    // memory, paging, disks, filesystems, interfaces, load, uptime, containers.
    assert_eq!(opened.ledger.turned_away.snapshot().get("unreadable"), Some(&8));
    flow.custody.settle();
    assert!(opened.next().is_none());
    assert_eq!(opened.ledger.in_flight(), 0);
}

#[test]
fn collections_follow_each_other_and_sums_keep_their_start() {
    let host = host();
    let mut opened = open(host.path(), "interval = '100ms'\ncollect = ['cpu']\nutilization = true", false);
    let first = opened.next().unwrap();
    assert!(!records(&first.batch).iter().any(|record| record.contains("system.cpu.utilization")));
    // The host's clock was set: what it reckons as its start moves.
    let stat = "cpu 200 0 100 700 0 0 0 0\ncpu0 250 0 100 750 0 0 0 0\nbtime 1700009999\n";
    fs::write(host.path().join("proc/stat"), stat).unwrap();
    let mut second = opened.next().unwrap();
    while !records(&second.batch).iter().any(|record| record.contains("system.cpu.utilization")) {
        second.custody.settle();
        second = opened.next().unwrap();
    }
    let records = records(&second.batch);
    assert!(records.iter().any(|record| record.contains(r#""cpu.mode":"user"},"value":0.5}"#)), "{records:#?}");
    assert!(records.iter().all(|record| !record.contains("170000999")), "{records:#?}");
    let origin = |flow: &Flow| flow.batch.scopes()[0].source.clone();
    assert!(!Arc::ptr_eq(&origin(&first), &origin(&second)), "an origin each");
    first.custody.settle();
    second.custody.settle();
    assert_eq!(opened.ledger.in_flight(), 0);
}

#[test]
fn a_collection_that_nobody_takes_is_not_made_up_for() {
    let host = host();
    let mut opened = open(host.path(), "interval = '100ms'\ncollect = ['load']", false);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while opened.ledger.turned_away.snapshot().get("not_taken").is_none_or(|n| *n < 10) {
        assert!(std::time::Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
    let flow = opened.next().unwrap();
    assert_eq!((flow.batch.len(), opened.ledger.received()), (5, 5));
    flow.custody.settle();
}

#[test]
fn processes_are_bounded_and_large_collections_are_cut() {
    let host = host();
    for pid in 100..400 {
        let folder = host.path().join(format!("proc/{pid}"));
        fs::create_dir_all(folder.join("fd")).unwrap();
        fs::write(folder.join("io"), "read_bytes: 1\nwrite_bytes: 1\n").unwrap();
        let stat = format!("{pid} (job) S 1 0 0 0 -1 0 5 0 1 0 {pid} 0 0 0 20 0 1 0 200 4096 3 0\n");
        fs::write(folder.join("stat"), stat).unwrap();
    }
    let mut opened = open(host.path(), "collect = ['process']\nprocess = { match = ['job'], max = 200 }", true);
    let (mut flows, mut pids) = (Vec::new(), std::collections::BTreeSet::new());
    while let Some(flow) = opened.next() {
        for row in &flow.batch.rows {
            let resource = &flow.batch.scope(row).resource;
            pids.extend(resource.iter().filter(|(key, _)| key == "process.pid").map(|(_, value)| format!("{value:?}")));
        }
        flows.push(flow);
    }
    assert_eq!(pids.len(), 200);
    assert!(pids.contains("Int(399)") && !pids.contains("Int(199)"), "those that used most CPU time");
    assert_eq!(opened.ledger.turned_away.snapshot().get("over_limit"), Some(&100));
    assert!(flows.len() > 1 && flows.iter().all(|flow| flow.batch.len() <= 1000));
    let origins: Vec<_> = flows.iter().map(|flow| flow.batch.scopes()[0].source.clone()).collect();
    assert!(origins.windows(2).all(|pair| Arc::ptr_eq(&pair[0], &pair[1])), "one origin");
    let received = opened.ledger.received();
    assert_eq!(received, flows.iter().map(|flow| flow.batch.len() as u64).sum::<u64>());
    flows.into_iter().for_each(|flow| flow.custody.settle());
    assert_eq!((opened.ledger.settled_records(), opened.ledger.in_flight()), (received, 0));
}

#[test]
fn a_root_without_a_host_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (section, _) = Section::from_text("[[input]] host", &format!("root = '{}'", folder.path().display()));
    let input = crate::build(&section).unwrap();
    let setup = SourceSetup { name: "host".into(), once: true, ..SourceSetup::sample("t") };
    let Err(error) = input.source(setup) else { panic!("it started") };
    assert!(error.to_string().contains("mount the host's /proc"), "{error}");
}
