//! What happens to files while the agent looks.

use super::*;

#[test]
fn a_file_is_read_and_followed() {
    let bench = Bench::new();
    bench.append("a.log", "one\ntwo\n");
    let mut run = bench.run();
    let records = run.records();
    assert_eq!(texts(&records), ["one", "two"]);
    assert_eq!((records[0].start, records[0].end, records[1].start, records[1].end), (0, 4, 4, 8));
    bench.append("a.log", "three\n");
    bench.append("b.log", "new\n");
    let mut later = run.read();
    later.sort();
    assert_eq!(later, ["new", "three"]);
    assert_eq!(run.ledger.bytes(), 18);
    run.end();
}

#[test]
fn the_tag_and_the_scope_speak_of_the_file() {
    let bench = Bench::new();
    bench.append("a.log", "x\n");
    let mut run = bench.run();
    let flow = run.flows().remove(0);
    assert_eq!(&*flow.batch.tag, "app.a.log");
    let scope = &flow.batch.scopes()[0];
    assert_eq!(scope.resource[0], ("file.path".into(), bench.path("a.log").to_str().unwrap().into()));
    assert_eq!(scope.resource[1], ("file.name".into(), "a.log".into()));
    flow.custody.settle();
    run.end();
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_its_successor() {
    let bench = Bench::new();
    bench.append("a.log", "1\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["1"]);
    bench.append("a.log", "2\n");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "4\n");
    bench.append("a.log.1", "3\n");
    assert_eq!(run.read(), ["2", "3", "4"]);
    // The writer still has the old one open.
    bench.append("a.log.1", "5\n");
    assert_eq!(run.read(), ["5"]);
    for _ in 0..8 {
        assert!(run.read().is_empty());
    }
    assert_eq!(run.source.files.len(), 1, "the old one is let go of");
    run.end();
}

#[test]
fn renamed_twice_between_two_looks() {
    let bench = Bench::new();
    bench.append("a.log", "1\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["1"]);
    bench.append("a.log", "2\n");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "3\n");
    assert_eq!(run.read(), ["2", "3"]);
    bench.append("a.log", "4\n");
    bench.rename("a.log.1", "a.log.2");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "5\n");
    bench.append("a.log.2", "late\n");
    // What is appended to a file that was read to its end before has no order any more.
    let mut read = run.read();
    let late = read.iter().position(|line| line == "late").unwrap();
    read.remove(late);
    assert_eq!(read, ["4", "5"]);
    run.end();
}

#[test]
fn a_file_that_came_and_went_between_two_looks() {
    for path in ["a.log", "a.log*"] {
        let bench = Bench::with(&format!("path = '{{}}/{path}'"));
        bench.append("a.log", "1\n");
        let mut run = bench.run();
        assert_eq!(run.read(), ["1"]);
        for i in [2, 4] {
            bench.append("a.log", format!("{i}\n"));
            bench.rename("a.log", &format!("a.log.{i}"));
            bench.append("a.log", format!("{}\n", i + 1));
            bench.rename("a.log", &format!("a.log.{}", i + 1));
        }
        bench.append("a.log", "6\n");
        let mut read = run.read();
        if path == "a.log" {
            // Those between may have been created at what looks like the same time.
            assert_eq!((&*read[0], &*read[4]), ("2", "6"));
        }
        read.sort();
        assert_eq!(read, ["2", "3", "4", "5", "6"]);
        for _ in 0..8 {
            assert!(run.read().is_empty());
        }
        run.end();
    }
}

#[test]
fn renamed_within_the_paths() {
    let bench = Bench::with("path = '{}/a.log*'");
    bench.append("a.log", "1\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["1"]);
    bench.append("a.log", "2\n");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "3\n");
    assert_eq!(run.read(), ["2", "3"]);
    for _ in 0..8 {
        assert!(run.read().is_empty());
    }
    bench.append("a.log.1", "late\n");
    assert_eq!(run.read(), ["late"]);
    run.end();
}

#[test]
fn a_rotated_file_that_waits_for_an_output_is_kept() {
    let bench = Bench::new();
    bench.append("a.log", "1\n");
    let mut run = bench.run();
    let held = run.flows();
    bench.append("a.log", "2\n");
    bench.rename("a.log", "a.log.1");
    for _ in 0..20 {
        // Nobody polls for long: time passes, but nobody looks.
        run.pass(Duration::from_secs(60));
    }
    let more = run.flows();
    assert_eq!(texts(&more.iter().flat_map(seen).collect::<Vec<_>>()), ["2"]);
    for _ in 0..20 {
        assert!(run.read().is_empty());
    }
    assert_eq!(run.source.files.len(), 1, "not settled, so not forgotten");
    held.into_iter().chain(more).for_each(|flow| flow.custody.settle());
    run.read();
    assert!(run.source.files.is_empty());
    run.end();
}

#[test]
fn copytruncate() {
    let bench = Bench::new();
    bench.append("a.log", "one\ntwo\n");
    let mut run = bench.run();
    let first = run.records();
    bench.truncate("a.log");
    bench.append("a.log", "new\n");
    let second = run.records();
    assert_eq!(texts(&second), ["new"]);
    assert_eq!(second[0].start, 0);
    assert_ne!(first[0].incarnation, second[0].incarnation);
    assert_eq!(run.abandoned(), 0);
    run.end();
}

/// As logrotate does it.
fn copy_and_truncate(bench: &Bench, name: &str, copy: &str) {
    fs::copy(bench.path(name), bench.path(copy)).unwrap();
    bench.truncate(name);
}

#[test]
fn what_was_not_read_before_a_truncation_is_read_from_the_copy() {
    for path in ["a.log", "a.log*"] {
        let bench = Bench::with(&format!("path = '{{}}/{path}'"));
        bench.append("a.log", "one\ntwo\n");
        let mut run = bench.run();
        let first = run.records();
        for i in 0..3 {
            bench.append("a.log", format!("unread {i}\nhalf"));
            copy_and_truncate(&bench, "a.log", &format!("a.log.{i}"));
            bench.append("a.log", format!("new {i}\n"));
            let records = run.records();
            assert_eq!(texts(&records), [format!("unread {i}"), format!("new {i}")]);
            assert_eq!(records[0].incarnation == first[0].incarnation, i == 0);
            assert_ne!(records[0].incarnation, records[1].incarnation);
            let rest: Vec<_> = (0..8).flat_map(|_| run.read()).collect();
            // What a path leads to may be ended yet.
            assert_eq!(rest, if path == "a.log" { vec!["half"] } else { vec![] });
            assert_eq!(run.abandoned(), 0);
        }
        run.end();
        let mut run = bench.run();
        assert_eq!(run.read(), [""; 0]);
        run.end();
    }
}

#[test]
fn a_copy_within_the_paths_is_not_read_again() {
    let bench = Bench::with("path = '{}/a.log*'");
    bench.append("a.log", "one\ntwo\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["one", "two"]);
    // Being made, made, and grown by somebody: then it is a file like others.
    bench.append("a.log.1", "one\n");
    assert_eq!(run.read(), [""; 0]);
    bench.append("a.log.1", "two\n");
    assert_eq!(run.read(), [""; 0]);
    bench.append("a.log.1", "three\n");
    assert_eq!(run.read(), ["one", "two", "three"]);
    run.end();
}

#[test]
fn what_was_not_settled_before_a_truncation_is_read_from_the_copy_after_a_crash() {
    for seen in [false, true] {
        let bench = Bench::new();
        bench.append("a.log", "one\ntwo\n");
        let mut run = bench.run();
        let flows = run.flows();
        let first: Vec<_> = flows.iter().flat_map(super::seen).collect();
        copy_and_truncate(&bench, "a.log", "a.log.1");
        bench.append("a.log", "new\n");
        let mut later = Vec::new();
        if seen {
            run.pass(Duration::from_secs(2));
            later = run.flows();
        }
        run.source.checkpoint().unwrap();
        drop((run, flows, later));
        let mut run = bench.run();
        let records = run.records();
        assert_eq!(texts(&records), ["one", "two", "new"]);
        assert_eq!(records[..2], first);
        run.end();
        let mut run = bench.run();
        assert_eq!(run.read(), [""; 0]);
        run.end();
    }
}

#[test]
fn truncated_and_grown_beyond_the_position() {
    let bench = Bench::new();
    bench.append("a.log", "one\ntwo\n");
    let mut run = bench.run();
    let first = run.records();
    bench.truncate("a.log");
    bench.append("a.log", "other text, and longer\nmore\n");
    let second = run.records();
    assert_eq!(texts(&second), ["other text, and longer", "more"]);
    assert_ne!(first[0].incarnation, second[0].incarnation);
    run.end();
}

#[test]
fn truncated_and_grown_to_the_same_size() {
    let bench = Bench::new();
    bench.append("a.log", "one\ntwo\n");
    let mut run = bench.run();
    run.read();
    bench.truncate("a.log");
    // The clock of the file system is coarse: without a new time there would be nothing to see.
    bench.append("a.log", "six\nten\n");
    let file = File::options().write(true).open(bench.path("a.log")).unwrap();
    file.set_modified(std::time::SystemTime::now() + Duration::from_secs(5)).unwrap();
    assert_eq!(run.read(), ["six", "ten"]);
    run.end();
}

#[test]
fn bytes_truncated_unread_are_counted() {
    let bench = Bench::new();
    bench.append("a.log", "one\npartial");
    let mut run = bench.run();
    assert_eq!(run.read(), ["one"]);
    bench.truncate("a.log");
    bench.append("a.log", "x\n");
    assert_eq!(run.read(), ["x"]);
    assert_eq!(run.abandoned(), 7);
    run.end();
}

#[test]
fn deleted_and_created_again() {
    let bench = Bench::new();
    bench.append("a.log", "one\n");
    let mut run = bench.run();
    let first = run.records();
    bench.append("a.log", "two\n");
    bench.remove("a.log");
    bench.append("a.log", "three\n");
    let second = run.records();
    assert_eq!(texts(&second), ["two", "three"]);
    assert_eq!(second[0].incarnation, first[0].incarnation);
    assert_ne!(second[1].incarnation, first[0].incarnation);
    for _ in 0..8 {
        run.read();
    }
    assert_eq!(run.source.files.len(), 1);
    assert_eq!(run.abandoned(), 0);
    run.end();
}

#[test]
fn a_link_that_is_turned() {
    let bench = Bench::with("path = '{}/current.log'");
    bench.append("1.data", "one\n");
    std::os::unix::fs::symlink("1.data", bench.path("current.log")).unwrap();
    let mut run = bench.run();
    assert_eq!(run.read(), ["one"]);
    bench.append("1.data", "two\n");
    bench.append("2.data", "three\n");
    std::os::unix::fs::symlink("2.data", bench.path("next")).unwrap();
    bench.rename("next", "current.log");
    assert_eq!(run.read(), ["two", "three"]);
    run.end();
}

#[test]
fn two_names_of_one_file_are_read_once() {
    let bench = Bench::new();
    bench.append("a.log", "one\n");
    fs::hard_link(bench.path("a.log"), bench.path("b.log")).unwrap();
    std::os::unix::fs::symlink("a.log", bench.path("c.log")).unwrap();
    let mut run = bench.run();
    assert_eq!(run.read(), ["one"]);
    run.end();
}

#[test]
fn tiny_and_empty_files_and_equal_headers() {
    let bench = Bench::new();
    bench.append("empty.log", "");
    bench.append("tiny.log", "x\n");
    for name in ["1.log", "2.log", "3.log"] {
        bench.append(name, "#header\n#header\n");
    }
    let mut run = bench.run();
    let records = run.records();
    assert_eq!(records.len(), 7);
    let sources: std::collections::BTreeSet<_> = records.iter().map(|record| record.incarnation).collect();
    assert_eq!(sources.len(), 4);
    bench.append("empty.log", "y\n");
    assert_eq!(run.read(), ["y"]);
    run.end();
}

#[test]
fn a_partial_line_waits_until_it_is_whole_or_the_file_is_let_go_of() {
    let bench = Bench::new();
    bench.append("a.log", "on");
    let mut run = bench.run();
    assert!(run.read().is_empty());
    bench.append("a.log", "e\ntw");
    assert_eq!(run.read(), ["one"]);
    bench.rename("a.log", "a.log.1");
    bench.append("a.log.1", "o");
    assert!(run.read().is_empty());
    let rest: Vec<_> = (0..8).flat_map(|_| run.read()).collect();
    assert_eq!(rest, ["two"]);
    run.end();
}

#[test]
fn quiet_is_told_only_when_nothing_is_left() {
    use suiro_sdk::custody::Quiet;
    let bench = Bench::new();
    bench.append("a.log", "one\ntw");
    let mut run = bench.run();
    let flow = run.flows().remove(0);
    let tracker = flow.custody.receipts()[0].tracker().clone();
    for _ in 0..4 {
        run.pass(Duration::from_millis(250));
        assert!(run.flows().is_empty());
    }
    assert_eq!(tracker.quiet(), Quiet::No, "half a line is there");
    bench.append("a.log", "o\n");
    run.pass(Duration::from_millis(250));
    let more = run.flows();
    assert_eq!(more.len(), 1);
    for _ in 0..4 {
        run.pass(Duration::from_millis(250));
        assert!(run.flows().is_empty());
    }
    assert!(matches!(tracker.quiet(), Quiet::For(time) if time >= Duration::from_millis(500)));
    flow.custody.settle();
    more.into_iter().for_each(|flow| flow.custody.settle());
    run.end();
}

#[test]
fn files_take_turns() {
    let bench = Bench::new();
    let big = "0123456789abcde\n".repeat(super::super::read::CHUNK * 3 / 16);
    bench.append("a.log", &big);
    bench.append("b.log", &big);
    let mut run = bench.run();
    let flows = run.flows();
    let tags: Vec<_> = flows.iter().map(|flow| flow.batch.tag.to_string()).collect();
    assert_eq!(tags[..4], ["app.a.log", "app.b.log", "app.a.log", "app.b.log"]);
    let mut ends = [0, 0];
    for flow in &flows {
        let end = &mut ends[usize::from(&*flow.batch.tag == "app.b.log")];
        for row in &flow.batch.rows {
            assert_eq!(row.start, *end);
            *end = row.end;
        }
    }
    assert_eq!(ends, [big.len() as u64; 2]);
    flows.into_iter().for_each(|flow| flow.custody.settle());
    run.end();
}

#[test]
fn once_reads_to_the_end_and_is_done() {
    let mut bench = Bench::new();
    bench.once = true;
    bench.append("a.log", "one\ntwo");
    bench.append("b.log", "");
    bench.append("c.log", "x".repeat(super::super::read::CHUNK * 2));
    let mut run = bench.run();
    let flows = run.flows();
    assert!(matches!(run.source.step(run.now), Polled::Done));
    let records: Vec<_> = flows.iter().flat_map(seen).collect();
    assert_eq!(texts(&records)[..2], ["one", "two"]);
    assert_eq!(records[2].text.len(), super::super::read::CHUNK * 2);
    let progress = run.source.progress();
    assert_eq!((progress.read, progress.total), (7 + (512 << 10), 7 + (512 << 10)));
    flows.into_iter().for_each(|flow| flow.custody.settle());
    run.end();
    let mut run = bench.run();
    assert!(run.flows().is_empty());
    assert!(matches!(run.source.step(run.now), Polled::Done));
    run.end();
}
