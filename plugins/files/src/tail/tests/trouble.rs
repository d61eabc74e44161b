//! What can't be read, and what takes its time.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_folder_a_socket_and_a_link_to_nothing_are_left_alone() {
    let bench = Bench::with("path = ['{}/*.log', '{}/folder']");
    fs::create_dir(bench.path("folder")).unwrap();
    fs::create_dir(bench.path("b.log")).unwrap();
    std::os::unix::fs::symlink("nowhere", bench.path("c.log")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.path("e.log")).unwrap();
    bench.append("a.log", "fine\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["fine"]);
    assert_eq!(run.source.files.len(), 1);
    // The link leads somewhere, later.
    bench.append("nowhere", "now\n");
    assert_eq!(run.read(), ["now"]);
    run.end();
}

#[test]
fn a_file_that_may_not_be_read_is_read_once_it_may() {
    let bench = Bench::new();
    bench.append("a.log", "secret\n");
    bench.append("b.log", "open\n");
    fs::set_permissions(bench.path("a.log"), fs::Permissions::from_mode(0o000)).unwrap();
    let privileged = File::open(bench.path("a.log")).is_ok();
    let mut run = bench.run();
    let mut read = run.read();
    if !privileged {
        assert_eq!(read, ["open"]);
    }
    fs::set_permissions(bench.path("a.log"), fs::Permissions::from_mode(0o600)).unwrap();
    read.extend(run.read());
    read.sort();
    assert_eq!(read, ["open", "secret"]);
    run.end();
}

#[test]
fn compressed_files_are_left_alone() {
    let bench = Bench::with("path = '{}/*'");
    bench.append("a.log.gz", [0x1f, 0x8b, 8, 0, 0, 0, b'\n', b'\n']);
    bench.append("a.log", "text\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["text"]);
    assert!(run.read().is_empty());
    run.end();
}

#[test]
fn no_file_and_no_folder_yet() {
    let bench = Bench::with("path = ['{}/sub/*.log', '{}/**/deep.txt']");
    let mut run = bench.run();
    assert!(run.read().is_empty());
    fs::create_dir_all(bench.path("sub/x/y")).unwrap();
    bench.append("sub/a.log", "here\n");
    bench.append("sub/x/y/deep.txt", "deep\n");
    let mut read = run.read();
    read.sort();
    assert_eq!(read, ["deep", "here"]);
    run.end();
}

#[test]
fn nothing_matches_once() {
    let mut bench = Bench::new();
    bench.once = true;
    let mut run = bench.run();
    assert!(matches!(run.source.step(run.now), Polled::Done));
    run.end();
}

#[test]
fn a_file_with_too_much_unsettled_waits() {
    let bench = Bench::new();
    let mut run = bench.run();
    let mut flows = Vec::new();
    for _ in 0..4200 {
        bench.append("a.log", "x\n");
        run.pass(Duration::from_millis(1001));
        flows.extend(run.flows());
    }
    assert_eq!(flows.len(), 4096);
    assert_eq!(run.ledger.in_flight(), 4096);
    flows.into_iter().for_each(|flow| flow.custody.settle());
    assert_eq!(run.read().len(), 4200 - 4096);
    run.end();
}

#[test]
fn a_file_with_too_many_settled_ranges_waits() {
    let bench = Bench::new();
    bench.append("a.log", "x\n".repeat(4000));
    let mut run = bench.run();
    let mut flow = run.flows().remove(0);
    let keep: Vec<_> = flow.batch.rows.iter().step_by(2).copied().collect();
    flow.custody.narrow(&flow.batch, keep.iter());
    run.source.checkpoint().unwrap();
    bench.append("a.log", "y\n");
    assert!(run.read().is_empty());
    flow.custody.settle();
    run.source.checkpoint().unwrap();
    assert_eq!(run.read(), ["y"]);
    run.end();
}

#[test]
fn many_files_need_few_descriptors() {
    let bench = Bench::new();
    let count = 1500;
    for i in 0..count {
        bench.append(&format!("{i}.log"), format!("{i}\n"));
    }
    let mut run = bench.run();
    assert_eq!(run.read().len(), count);
    run.read();
    assert!(run.source.open_files <= 520, "{}", run.source.open_files);
    assert_eq!(run.source.open_files, run.source.files.values().filter(|file| file.handle.is_some()).count());
    for i in 0..count {
        bench.append(&format!("{i}.log"), "again\n");
    }
    // Closed files are renamed, too.
    bench.rename("0.log", "0.log.1");
    bench.rename("1499.log", "1499.log.1");
    assert_eq!(run.read().len(), count);
    run.source.checkpoint().unwrap();
    for _ in 0..12 {
        run.read();
    }
    assert_eq!(run.source.files.len(), count - 2);
    assert!(run.source.lively.is_empty(), "idle files cost nothing");
    run.end();
    let mut run = bench.run();
    assert!(run.read().is_empty());
    run.end();
}

#[test]
fn a_full_disk_stops_reading_until_there_is_room() {
    let bench = Bench::new();
    let mut run = bench.run();
    // /dev/full takes no byte.
    run.source.journal.break_for_test();
    bench.append("a.log", "one\n");
    assert!(run.read().is_empty());
    run.source.journal.mend_for_test();
    assert_eq!(run.read(), ["one"]);
    run.end();
    assert!(bench.run().read().is_empty());
}

#[test]
fn the_tag_is_checked_at_the_start() {
    let bench = Bench::new();
    let (mut setup, _) = bench.setup(0);
    setup.tag = Arc::new(Template::parse("app.{level}").unwrap());
    let error = bench.tail().open(setup).err().unwrap().to_string();
    assert!(error.contains("`tag` names `level`"), "{error}");
}

#[test]
fn a_data_folder_that_is_a_file() {
    let bench = Bench::new();
    let (mut setup, _) = bench.setup(0);
    setup.data_dir = bench.path("file");
    bench.append("file", "x");
    let error = bench.tail().open(setup).err().unwrap().to_string();
    assert!(error.contains("data_dir"), "{error}");
}

#[test]
fn names_of_inputs_are_folders() {
    use super::super::folder_name;
    assert_eq!(folder_name("app-1.log_x"), "app-1.log_x");
    assert_eq!(folder_name("../x y"), "%2e.%2fx%20y");
    assert_eq!(folder_name(".."), "%2e.");
}

#[test]
fn the_system_tells_of_changes() {
    let bench = Bench::with("path = '{}/*.log'\nscan_interval = '1d'");
    let (wake, woken) = std::sync::mpsc::channel();
    let (mut setup, ledger) = bench.setup(0);
    setup.waker = Waker::new(move || wake.send(()).unwrap_or_default());
    let mut source = bench.tail().open(setup).unwrap();
    if source.watch.is_none() {
        return; // no inotify here
    }
    let mut lines = Vec::new();
    let mut poll_until = |source: &mut TailSource, count: usize| {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match source.poll() {
                Polled::Batch(flow) => {
                    lines.extend(texts(&seen(&flow)));
                    flow.custody.settle();
                }
                Polled::Idle { .. } if lines.len() >= count => return lines.clone(),
                Polled::Idle { until } => {
                    let until = until.unwrap_or(deadline).min(deadline);
                    assert!(Instant::now() < deadline, "{lines:?}");
                    let _ = woken.recv_timeout(until.saturating_duration_since(Instant::now()));
                }
                Polled::Done => unreachable!(),
            }
        }
    };
    poll_until(&mut source, 0);
    bench.append("a.log", "one\n");
    poll_until(&mut source, 1);
    bench.append("a.log", "two\n");
    poll_until(&mut source, 2);
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "three\n");
    assert_eq!(poll_until(&mut source, 3), ["one", "two", "three"]);
    assert_eq!(ledger.received(), ledger.settled_records() + ledger.in_flight());
}
