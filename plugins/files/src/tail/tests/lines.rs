//! Lines of every kind.

use super::super::read::CHUNK;
use super::*;
use crate::lines::CUT_MARKER;

fn read_one(settings: &str, content: impl AsRef<[u8]>) -> (Vec<Seen>, Run) {
    let bench = Bench::with(settings);
    bench.append("a.log", content);
    let mut run = bench.run();
    let records = run.records();
    run.balanced();
    (records, run)
}

#[test]
fn line_ends_nul_bytes_and_bytes_that_are_no_text() {
    let (records, run) = read_one("path = '{}/*.log'", b"crlf\r\n\n\r\na\0b\nbad \xff\xfe byte\n\xe2\x82\xac\n");
    assert_eq!(texts(&records), ["crlf", "a\0b", "bad \u{fffd}\u{fffd} byte", "€"]);
    assert_eq!(read(&run.ledger.invalid_utf8), 1);
    assert_eq!((records[1].start, records[1].end), (9, 13));
    run.end();
}

#[test]
fn long_lines_are_cut_whatever_their_length() {
    for length in [99, 100, 101, 102, 103, 104, 5000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
        let line = "é".repeat(length / 2) + if length % 2 == 1 { "x" } else { "" };
        let (records, run) = read_one("path = '{}/*.log'\nmax_line = '100B'", format!("before\n{line}\nafter\n"));
        assert_eq!(records.len(), 3, "{length}");
        assert_eq!((&*records[0].text, &*records[2].text), ("before", "after"));
        assert_eq!((records[1].start, records[1].end), (7, 7 + length as u64 + 1));
        if length <= 100 {
            assert_eq!(records[1].text, line);
            assert_eq!(read(&run.ledger.long_lines), 0);
        } else {
            let cut = records[1].text.strip_suffix(CUT_MARKER).unwrap();
            assert!(line.starts_with(cut) && (99..=100).contains(&cut.len()), "{length}");
            assert_eq!((read(&run.ledger.long_lines), run.abandoned()), (1, length as u64 - 100));
        }
        run.end();
    }
}

#[test]
fn lines_longer_than_a_chunk_are_whole_below_the_limit() {
    for length in [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3] {
        let line = "0123456789".repeat(length / 10 + 1);
        let (records, run) = read_one("path = '{}/*.log'", format!("a\n{}\nb\n", &line[..length]));
        assert_eq!(texts(&records), ["a", &line[..length], "b"]);
        run.end();
    }
}

#[test]
fn a_huge_line_costs_no_memory_and_stalls_nothing() {
    let bench = Bench::with("path = '{}/*.log'\nmax_line = '1KiB'");
    bench.append("a.log", "x".repeat(20 << 20));
    bench.append("b.log", "small\n");
    let mut run = bench.run();
    assert_eq!(run.read(), ["small"]);
    bench.append("a.log", "\nnext\n");
    let flows = run.flows();
    assert!(flows.is_empty(), "not looked at yet");
    let records = run.records();
    assert_eq!((records[0].end, &*records[1].text), ((20 << 20) + 1, "next"));
    assert_eq!(records[0].text.len(), 1024 + CUT_MARKER.len());
    assert_eq!(run.abandoned(), (20 << 20) - 1024);
    run.end();
}

#[test]
fn a_line_that_grows_slowly_is_read_once_it_is_whole() {
    let bench = Bench::new();
    let mut run = bench.run();
    let mut line = String::new();
    for i in 0..50 {
        let piece = format!("{i}-").repeat(3000);
        line += &piece;
        bench.append("a.log", &piece);
        assert!(run.read().is_empty());
    }
    bench.append("a.log", "\nz\n");
    assert_eq!(run.read(), [line.as_str(), "z"]);
    run.end();
}

#[test]
fn nothing_but_line_ends() {
    let (records, run) = read_one("path = '{}/*.log'", "\n".repeat(200_000) + "x\n");
    assert_eq!(texts(&records), ["x"]);
    assert_eq!(records[0].start, 200_000);
    let position = run.source.files.values().next().unwrap().tracker.position();
    assert_eq!(position.mark, 200_002);
    run.end();
}

#[test]
fn read_from_end_begins_with_a_whole_line() {
    let bench = Bench::with("path = '{}/*.log'\nread_from = 'end'");
    bench.append("a.log", "old\nhal");
    let mut run = bench.run();
    assert!(run.read().is_empty());
    bench.append("a.log", "f\nnew\n");
    bench.append("later.log", "from the beginning\n");
    let mut read = run.read();
    read.sort();
    assert_eq!(read, ["from the beginning", "half", "new"]);
    run.end();
    bench.append("a.log", "while away\n");
    assert_eq!(bench.run().read(), ["while away"]);
}

#[test]
fn a_batch_that_runs_out_of_keys_goes_on_with_the_next() {
    use suiro_sdk::record::{Batch, RootId};
    use suiro_sdk::{ParseError, Parser};

    struct Json;
    impl Parser for Json {
        fn parse(&self, batch: &mut Batch, span: std::ops::Range<usize>) -> Result<RootId, ParseError> {
            Ok(batch.parse_json(span)?)
        }
    }
    let bench = Bench::new();
    // More keys than a batch holds, and less text than a chunk does.
    let lines: Vec<_> = (0..600)
        .map(|i| {
            let members: Vec<_> = (0..120).map(|k| format!("\"{:x}\":0", i * 120 + k)).collect();
            format!("{{{}}}\n", members.join(","))
        })
        .collect();
    bench.append("a.log", lines.concat());
    let (mut setup, ledger) = bench.setup(0);
    setup.decoder = Arc::new(Decoder::new(Some(Arc::new(Json)), OnParseError::Keep, false, ledger.clone()));
    let mut source = bench.tail().open(setup).unwrap();
    source.watch = None;
    let mut run = Run { now: source.next_scan, source, ledger };
    let flows = run.flows();
    let mut at = 0;
    for row in flows.iter().flat_map(|flow| &flow.batch.rows) {
        assert_eq!(row.start, at);
        at = row.end;
    }
    assert_eq!(at, lines.concat().len() as u64);
    assert_eq!(flows.iter().map(|flow| flow.batch.len()).sum::<usize>(), 600);
    assert_eq!(read(&run.ledger.parse_errors), 0);
    flows.into_iter().for_each(|flow| flow.custody.settle());
    run.end();
}

#[test]
fn a_file_read_faster_than_time_passes_has_its_lines_in_order() {
    let bench = Bench::new();
    // Long lines: a nanosecond a byte is much more than it takes to read them.
    let line = format!("{}\n", "x".repeat(900_000));
    bench.append("a.log", line.repeat(8));
    let mut run = bench.run();
    let flows = run.flows();
    assert!(flows.len() > 1, "one piece has no order to lose");
    let records: Vec<_> = flows.iter().flat_map(seen).collect();
    assert_eq!(records.len(), 8);
    for two in records.windows(2) {
        assert!(two[1].time - two[0].time >= 900_001, "{} then {}", two[0].time, two[1].time);
    }
    flows.into_iter().for_each(|flow| flow.custody.settle());
    run.end();
}
