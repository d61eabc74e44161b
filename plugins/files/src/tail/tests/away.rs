//! What happens to files while the agent is down, and what it does when it is back.

use super::*;

#[test]
fn what_is_settled_is_not_read_again_and_the_rest_is_with_the_same_origin() {
    let bench = Bench::new();
    bench.append("a.log", "one\ntwo\n");
    let mut run = bench.run();
    let first = run.records();
    bench.append("a.log", "three\n");
    run.pass(Duration::from_secs(2));
    let lost = run.flows();
    let lost_records: Vec<_> = lost.iter().flat_map(seen).collect();
    run.source.checkpoint().unwrap();
    drop(run); // killed: "three" was not settled
    bench.append("a.log", "four\n");
    let mut run = bench.run();
    let again = run.records();
    assert_eq!(texts(&again), ["three", "four"]);
    assert_eq!(again[0], lost_records[0], "the time of reading included");
    assert_eq!(again[0].incarnation, first[0].incarnation);
    assert!(again[1].time > again[0].time);
    run.end();
    assert!(bench.run().read().is_empty());
}

/// Equal lines of one reading are told apart by their times alone, where a store knows nothing else (Loki): half of them
/// read again must not take the times of the other half.
#[test]
fn lines_read_again_have_the_times_they_had_whatever_of_their_reading_is_settled() {
    let bench = Bench::new();
    bench.append("a.log", "same\nsame\nsame\nsame\n");
    let mut run = bench.run();
    let mut flows = run.flows();
    assert_eq!(flows.len(), 1);
    let first = seen(&flows[0]);
    assert!(first.is_sorted_by(|a, b| a.time < b.time));
    let Flow { batch, custody } = &mut flows[0];
    custody.narrow(batch, batch.rows[2..].iter());
    run.source.checkpoint().unwrap();
    drop((run, flows)); // killed: the last two were not settled
    let mut run = bench.run();
    assert_eq!(run.records(), first[2..]);
    run.end();
}

#[test]
fn killed_before_the_first_checkpoint() {
    let bench = Bench::new();
    bench.append("a.log", "one\ntwo\n");
    let mut run = bench.run();
    let first: Vec<_> = run.flows().iter().flat_map(seen).collect();
    drop(run);
    let mut run = bench.run();
    assert_eq!(run.records(), first);
    run.end();
}

#[test]
fn replaced_before_the_first_checkpoint() {
    let bench = Bench::new();
    bench.append("a.log", "same header\none\n");
    let mut run = bench.run();
    let first: Vec<_> = run.flows().iter().flat_map(seen).collect();
    drop(run);
    // The same inode, other content: ids must not repeat.
    fs::write(bench.path("a.log"), "same header\nsix\n").unwrap();
    let mut run = bench.run();
    let second = run.records();
    assert_eq!(texts(&second), ["same header", "six"]);
    assert_ne!(second[0].incarnation, first[0].incarnation);
    run.end();
}

#[test]
fn settled_ranges_are_skipped_after_a_restart() {
    let bench = Bench::new();
    let lines: Vec<_> = (0..10).map(|i| format!("line {i}\n")).collect();
    bench.append("a.log", lines.concat());
    let mut run = bench.run();
    let mut flow = run.flows().remove(0);
    // Lines 0, 3, 4 and 7 wait; the others are settled.
    let keep: Vec<_> = [0, 3, 4, 7].iter().map(|&i| flow.batch.rows[i]).collect();
    flow.custody.narrow(&flow.batch, keep.iter());
    run.source.checkpoint().unwrap();
    drop((run, flow));
    let mut run = bench.run();
    let flows = run.flows();
    let groups: Vec<Vec<_>> = flows.iter().map(|flow| texts(&seen(flow))).collect();
    assert_eq!(groups, [vec!["line 0"], vec!["line 3", "line 4"], vec!["line 7"]]);
    // And once more, some of them settled now.
    let mut flows = flows.into_iter();
    let first = flows.next();
    flows.next().unwrap().custody.settle();
    run.source.checkpoint().unwrap();
    drop((run, first, flows));
    let mut run = bench.run();
    assert_eq!(run.read(), ["line 0", "line 7"]);
    bench.append("a.log", "line 10\n");
    assert_eq!(run.read(), ["line 10"]);
    run.end();
    assert!(bench.run().read().is_empty());
}

#[test]
fn killed_again_before_the_settled_ranges_were_come_to() {
    let bench = Bench::new();
    let lines: Vec<_> = (0..6).map(|i| format!("line {i}\n")).collect();
    bench.append("a.log", lines.concat());
    let mut run = bench.run();
    let mut flow = run.flows().remove(0);
    let keep: Vec<_> = [1, 5].iter().map(|&i| flow.batch.rows[i]).collect();
    flow.custody.narrow(&flow.batch, keep.iter());
    run.source.checkpoint().unwrap();
    drop((run, flow));
    for _ in 0..2 {
        let mut run = bench.run();
        let Polled::Batch(flow) = run.source.step(run.now) else { panic!() };
        assert_eq!(texts(&seen(&flow)), ["line 1"]);
        run.source.checkpoint().unwrap();
    }
    assert_eq!(bench.run().read(), ["line 1", "line 5"]);
}

#[test]
fn a_partial_line_across_a_restart() {
    let bench = Bench::new();
    bench.append("a.log", "one\ntw");
    let mut run = bench.run();
    assert_eq!(run.read(), ["one"]);
    run.end();
    bench.append("a.log", "o\n");
    assert_eq!(bench.run().read(), ["two"]);
}

#[test]
fn renamed_while_stopped() {
    let bench = Bench::new();
    bench.append("a.log", "1\n");
    let mut run = bench.run();
    let first = run.records();
    run.end();
    bench.append("a.log", "2\n");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "3\n");
    bench.rename("a.log.1", "a.log.2");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "4\n");
    bench.append("a.log.bak", "not a rotated file\n");
    let mut run = bench.run();
    let records = run.records();
    // The file between was never seen before.
    assert_eq!(texts(&records), ["2", "3", "4"]);
    assert_eq!(records[0].incarnation, first[0].incarnation);
    run.end();
    assert!(bench.run().read().is_empty());
}

#[test]
fn rotated_twice_and_the_known_one_deleted_while_stopped() {
    let bench = Bench::new();
    bench.append("a.log.1", "from before\n");
    bench.append("a.log", "1\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["1"]);
    run.end();
    // It keeps its inode from being used again until the others are there.
    bench.rename("a.log", "gone");
    bench.append("a.log", "2\n");
    bench.rename("a.log", "a.log.2");
    bench.append("a.log", "3\n");
    bench.remove("gone");
    let mut run = bench.run();
    assert_eq!(run.read(), ["2", "3"]);
    for _ in 0..8 {
        assert_eq!(run.read(), [""; 0]);
    }
    run.end();
    let mut run = bench.run();
    assert_eq!(run.read(), [""; 0]);
    run.end();
}

#[test]
fn two_generations_renamed_while_stopped_are_read_oldest_first() {
    let bench = Bench::new();
    bench.append("a.log", "1\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["1"]);
    bench.append("a.log", "2\n");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "3\n");
    let held = {
        run.pass(Duration::from_secs(2));
        let mut held = run.flows();
        run.pass(Duration::from_millis(300));
        held.extend(run.flows());
        held
    };
    assert_eq!(texts(&held.iter().flat_map(seen).collect::<Vec<_>>()), ["2", "3"]);
    run.source.checkpoint().unwrap();
    drop((run, held));
    bench.rename("a.log.1", "a.log.2");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "4\n");
    let old = File::options().write(true).open(bench.path("a.log.2")).unwrap();
    old.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
    let mut run = bench.run();
    assert_eq!(run.read(), ["2", "3", "4"]);
    run.end();
}

#[test]
fn truncated_while_stopped() {
    let bench = Bench::new();
    bench.append("a.log", "one\ntwo\n");
    let mut run = bench.run();
    let first = run.records();
    run.end();
    bench.truncate("a.log");
    bench.append("a.log", "x\n");
    let mut run = bench.run();
    let second = run.records();
    assert_eq!(texts(&second), ["x"]);
    assert_ne!(first[0].incarnation, second[0].incarnation);
    run.end();
}

#[test]
fn an_inode_used_again() {
    let bench = Bench::new();
    bench.append("a.log", "header\none\n");
    bench.run().records();
    let mut run = bench.run();
    run.read();
    run.end();
    // The same inode, the same first line, even the same length.
    for content in ["header\nsix\n", "header\nsix and then some more\n"] {
        fs::write(bench.path("a.log"), content).unwrap();
        let mut run = bench.run();
        let lines: Vec<_> = content.lines().collect();
        assert_eq!(run.read(), lines);
        run.end();
    }
}

#[test]
fn deleted_unread_while_stopped_is_counted() {
    let bench = Bench::new();
    bench.append("a.log", "one\ntwo\n");
    let mut run = bench.run();
    let held = run.flows();
    run.source.checkpoint().unwrap();
    drop((run, held));
    bench.remove("a.log");
    let mut run = bench.run();
    assert!(run.read().is_empty());
    assert_eq!(run.abandoned(), 8);
    run.end();
    let mut run = bench.run();
    run.read();
    assert_eq!(run.abandoned(), 0, "counted once");
    run.end();
}

#[test]
fn compressed_while_stopped() {
    let bench = Bench::new();
    let old: String = (0..5000).map(|i| format!("line {i}\n")).collect();
    bench.append("a.log", &old);
    let mut run = bench.run();
    let first = run.records();
    run.end();
    bench.append("a.log", "rest 1\nrest 2\npartial");
    pack(&bench, "a.log", "a.log.1.gz");
    bench.append("b.log", "another\n");
    pack(&bench, "b.log", "a.log.2.gz");
    bench.append("a.log", "new\n");
    let mut run = bench.run();
    let mut records = run.records();
    for _ in 0..8 {
        records.extend(run.records());
    }
    assert_eq!(texts(&records), ["rest 1", "rest 2", "new", "partial"]);
    assert_eq!((records[0].incarnation, records[0].start), (first[0].incarnation, old.len() as u64));
    assert_eq!(run.abandoned(), 0);
    run.end();
    let mut run = bench.run();
    assert!(run.read().is_empty());
    run.end();
}

/// Compresses a file as two members, and removes it.
fn pack(bench: &Bench, name: &str, packed: &str) {
    let content = fs::read(bench.path(name)).unwrap();
    let mut out = Vec::new();
    for half in content.chunks(content.len() / 2 + 1) {
        let mut encoder = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
        encoder.write_all(half).unwrap();
        encoder.finish().unwrap();
    }
    fs::write(bench.path(packed), out).unwrap();
    bench.remove(name);
}

#[test]
fn the_number_of_workers_changes() {
    let mut bench = Bench::new();
    let names: Vec<_> = (0..20).map(|i| format!("{i}.log")).collect();
    let mut total = 0;
    for (round, shards) in [1, 4, 2, 4, 1].into_iter().enumerate() {
        for name in &names {
            bench.append(name, format!("round {round}\n"));
        }
        bench.shards = shards;
        let tail = bench.tail();
        for shard in 0..shards {
            let mut run = bench.run_shard(&tail, shard);
            let read = run.read();
            assert!(read.iter().all(|line| *line == format!("round {round}")), "{read:?}");
            total += read.len();
            run.end();
        }
        assert_eq!(total, names.len() * (round + 1));
    }
    assert_eq!(fs::read_dir(bench.journal().parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_worker_that_is_restarted_goes_on() {
    let bench = Bench::new();
    bench.append("a.log", "one\n");
    let tail = bench.tail();
    let mut run = bench.run_shard(&tail, 0);
    assert_eq!(run.read(), ["one"]);
    run.end();
    bench.append("a.log", "two\n");
    let mut run = bench.run_shard(&tail, 0);
    assert_eq!(run.read(), ["two"]);
    run.end();
}

#[test]
fn a_file_that_is_not_wanted_any_more_keeps_its_place() {
    let mut bench = Bench::new();
    bench.append("a.log", "one\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["one"]);
    run.end();
    let settings = std::mem::replace(&mut bench.settings, format!("path = '{}/other'", bench.logs.path().display()));
    let mut run = bench.run();
    assert!(run.read().is_empty());
    run.end();
    bench.settings = settings;
    bench.append("a.log", "two\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["two"]);
    run.end();
}

#[test]
fn rotated_by_the_kubelet_while_stopped() {
    let bench = Bench::with("path = '{}/*.log'");
    bench.append("0.log", "2026-01-31 line 1\n");
    let mut run = bench.run();
    let first = run.records();
    bench.append("0.log", "2026-01-31 line 2\n");
    bench.rename("0.log", "0.log.20260131-120000");
    bench.append("0.log", "2026-01-31 line 3\n");
    assert_eq!(run.read(), ["2026-01-31 line 2", "2026-01-31 line 3"]);
    run.end();
    // Twice while nobody looks; the older one is compressed, as the kubelet does it.
    bench.append("0.log", "2026-01-31 line 4\n");
    pack(&bench, "0.log", "0.log.20260131-130000.gz");
    bench.append("0.log", "2026-01-31 line 5\n");
    let mut run = bench.run();
    let records = run.records();
    assert_eq!(texts(&records), ["2026-01-31 line 4", "2026-01-31 line 5"]);
    assert_ne!(records[0].incarnation, first[0].incarnation);
    assert_eq!(records[0].start, "2026-01-31 line 3\n".len() as u64);
    run.end();
    let mut run = bench.run();
    assert!(run.read().is_empty());
    run.end();
}

#[test]
fn a_compressed_file_that_is_damaged_is_read_as_far_as_it_goes() {
    let bench = Bench::new();
    let lines: Vec<String> = (0..4000_u32).map(|i| format!("line {i} {}\n", i.wrapping_mul(2_654_435_761))).collect();
    bench.append("a.log", lines[..1000].concat());
    let mut run = bench.run();
    assert_eq!(run.read().len(), 1000);
    run.end();
    bench.append("a.log", lines[1000..].concat());
    pack(&bench, "a.log", "a.log.1.gz");
    let packed = fs::read(bench.path("a.log.1.gz")).unwrap();
    // Cut off in its second member.
    fs::write(bench.path("a.log.1.gz"), &packed[..packed.len() * 3 / 4]).unwrap();
    let mut run = bench.run();
    let read: Vec<String> = (0..8).flat_map(|_| run.read()).collect();
    assert!((1000..3000).contains(&read.len()), "{}", read.len());
    // The last one may be half a line.
    for (line, written) in read.iter().zip(&lines[1000..]).take(read.len() - 1) {
        assert_eq!(line, written.trim_end());
    }
    run.end();
}

#[test]
fn a_link_that_was_turned_while_stopped() {
    let bench = Bench::with("path = '{}/current.log'");
    bench.append("1.data", "one\n");
    std::os::unix::fs::symlink("1.data", bench.path("current.log")).unwrap();
    let mut run = bench.run();
    assert_eq!(run.read(), ["one"]);
    run.end();
    bench.append("2.data", "two\n");
    bench.remove("current.log");
    std::os::unix::fs::symlink("2.data", bench.path("current.log")).unwrap();
    let mut run = bench.run();
    assert_eq!(run.read(), ["two"]);
    run.end();
    // And back: what was read of it is not read again, unless it was forgotten that it was.
    bench.remove("current.log");
    std::os::unix::fs::symlink("1.data", bench.path("current.log")).unwrap();
    bench.append("1.data", "three\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["three"]);
    run.end();
}

#[test]
fn positions_beyond_four_gigabytes() {
    let bench = Bench::with("path = '{}/*.log'\nread_from = 'end'");
    // A hole costs no room.
    File::create(bench.path("a.log")).unwrap().set_len(5 << 30).unwrap();
    bench.append("a.log", "\n");
    let mut run = bench.run();
    assert!(run.read().is_empty());
    bench.append("a.log", "one\n");
    let records = run.records();
    assert_eq!((&*records[0].text, records[0].start), ("one", (5 << 30) + 1));
    run.end();
    bench.append("a.log", "two\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["two"]);
    run.end();
}
