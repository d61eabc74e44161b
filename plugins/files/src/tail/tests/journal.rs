//! The journal under every damage: never a panic, never a position that was not written.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::identity::{FileKey, Imprint};
use super::super::journal::{Entry, Id, Journal, Known, ReadSpan, Stored, merge, read};
use super::*;

fn imprint(n: u64) -> Imprint {
    Imprint { start: n, len: 3, hash: n * 7 }
}

fn entry() -> impl Strategy<Value = Entry> {
    let id = (0..3_u128).prop_map(|n| Id(n << 100 | 5));
    let key = (0..3_u64, 0..3_u64).prop_map(|(dev, ino)| FileKey { dev, ino });
    let span = (0..1000_u64, 0..100_u64, any::<i64>()).prop_map(|(start, n, at)| ReadSpan {
        start,
        end: start + n,
        at,
        before: imprint(start),
    });
    prop_oneof![
        (id.clone(), key, "[ -~é\u{0}]{0,12}", 0..10_u64).prop_map(|(id, key, path, from)| Entry::Seen {
            id,
            key,
            path,
            from,
            head: imprint(1),
            born: (from > 5).then_some(7),
        }),
        (id.clone(), span, any::<bool>()).prop_map(|(id, span, grew)| Entry::Read {
            id,
            span,
            head: grew.then_some(imprint(2))
        }),
        (id.clone(), 0..1000_u64, 0..3_u64).prop_map(|(id, mark, n)| Entry::At {
            id,
            mark,
            settled: (0..n).map(|i| mark + 10 * i + 1..mark + 10 * i + 5).collect(),
            head: imprint(3),
            before: imprint(mark),
            size: mark + 100,
        }),
        id.prop_map(|id| Entry::Gone { id }),
    ]
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.journal");
    let mut journal = Journal::create(path.clone(), [].iter()).unwrap();
    for entry in entries {
        journal.append(entry).unwrap();
    }
    journal.sync().unwrap();
    fs::read(path).unwrap()
}

fn known(bytes: &[u8]) -> (Known, usize) {
    let mut known = Known::new();
    let extent = read(bytes, &mut known).unwrap();
    assert_eq!(extent.bytes, bytes.len() as u64);
    (known, extent.damaged as usize)
}

/// Every position that was ever written of each incarnation.
fn marks(entries: &[Entry]) -> BTreeMap<Id, Vec<u64>> {
    let mut marks: BTreeMap<Id, Vec<u64>> = BTreeMap::new();
    for entry in entries {
        match entry {
            Entry::Seen { id, from, .. } => marks.entry(*id).or_default().push(*from),
            Entry::At { id, mark, .. } => marks.entry(*id).or_default().push(*mark),
            _ => {}
        }
    }
    marks
}

fn only_what_was_written(found: &Known, entries: &[Entry]) {
    let marks = marks(entries);
    for (id, stored) in found {
        assert!(marks[id].contains(&stored.mark), "{stored:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn torn_anywhere(entries in proptest::collection::vec(entry(), 1..12)) {
        let bytes = written(&entries);
        let (whole, damaged) = known(&bytes);
        prop_assert_eq!(damaged, 0);
        only_what_was_written(&whole, &entries);
        let mut lines = Known::new();
        for cut in 0..bytes.len() {
            if cut > 0 && bytes[cut - 1] == b'\n' {
                (lines, _) = known(&bytes[..cut]);
                only_what_was_written(&lines, &entries);
            }
            // What stands before the tear is all there, and nothing else.
            let (found, damaged) = known(&bytes[..cut]);
            prop_assert!(damaged <= 1);
            prop_assert_eq!(&found, &lines);
        }
    }

    #[test]
    fn flipped_anywhere(entries in proptest::collection::vec(entry(), 1..6), bit in 0..8_u32) {
        let bytes = written(&entries);
        let whole = known(&bytes).0;
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let (found, damaged) = known(&bytes);
            // Upper and lower case digits of the checksum are the same digits.
            prop_assert!(damaged > 0 || found == whole);
            only_what_was_written(&found, &entries);
        }
    }

    #[test]
    fn garbage(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (found, _) = known(&bytes);
        prop_assert!(found.is_empty());
    }

    #[test]
    fn written_anew_it_says_the_same(entries in proptest::collection::vec(entry(), 1..20)) {
        let (before, _) = known(&written(&entries));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.journal");
        Journal::create(path.clone(), before.values()).unwrap();
        let (journal, after) = Journal::open(path).unwrap();
        drop(journal);
        let sorted = |known: &Known| -> Vec<Stored> {
            known.values().cloned().map(|mut stored| { stored.size = 0; stored }).collect()
        };
        prop_assert_eq!(sorted(&before), sorted(&after));
    }

    /// It goes on where the last run ended, even where that died within a line.
    #[test]
    fn opened_again_it_is_written_on(
        runs in proptest::collection::vec((proptest::collection::vec(entry(), 0..6), 0..200_usize), 1..6)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.journal");
        for (entries, cut) in runs {
            let bytes = fs::read(&path).unwrap_or_default();
            let (mut journal, opened) = Journal::open(path.clone()).unwrap();
            prop_assert_eq!(&opened, &known(&bytes).0);
            for entry in &entries {
                journal.append(entry).unwrap();
            }
            journal.sync().unwrap();
            drop(journal);
            let mut all = fs::read(&path).unwrap();
            let (_, damaged) = known(&all);
            prop_assert_eq!(damaged, 0);
            all.truncate(all.len().saturating_sub(cut));
            fs::write(&path, all).unwrap();
        }
    }
}

#[test]
fn the_format_is_kept() {
    let entries = [
        Entry::Seen {
            id: Id(0xabc),
            key: FileKey { dev: 1, ino: 2 },
            path: "/a".into(),
            from: 0,
            head: imprint(0),
            born: None,
        },
        Entry::Gone { id: Id(0xabc) },
    ];
    let text = String::from_utf8(written(&entries)).unwrap();
    let json = r#"{"seen":{"id":"00000000000000000000000000000abc","key":{"dev":1,"ino":2},"path":"/a","from":0,"head":{"at":0,"len":3,"hash":0}}}"#;
    assert_eq!(text.lines().next().unwrap()[9..], *json);
    assert!(text.ends_with("{\"gone\":{\"id\":\"00000000000000000000000000000abc\"}}\n"));
}

#[test]
fn of_two_accounts_the_one_further_on_counts() {
    let seen = Entry::Seen {
        id: Id(1),
        key: FileKey { dev: 1, ino: 2 },
        path: "/a".into(),
        from: 0,
        head: imprint(0),
        born: None,
    };
    let at = |mark| Entry::At { id: Id(1), mark, settled: vec![], head: imprint(0), before: imprint(0), size: 9 };
    let (old, _) = known(&written(&[seen.clone(), at(5)]));
    let (new, _) = known(&written(&[seen, at(8)]));
    for (mut first, second) in [(old.clone(), new.clone()), (new, old)] {
        merge(&mut first, second);
        assert_eq!(first[&Id(1)].mark, 8);
    }
}

#[test]
fn a_write_that_failed_within_a_line_harms_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.journal");
    let seen = |n| Entry::Seen {
        id: Id(n),
        key: FileKey { dev: 1, ino: 2 },
        path: "/a".into(),
        from: 0,
        head: imprint(0),
        born: None,
    };
    let mut journal = Journal::create(path.clone(), [].iter()).unwrap();
    journal.append(&seen(1)).unwrap();
    journal.sync().unwrap();
    journal.break_for_test();
    journal.append(&seen(2)).unwrap();
    assert!(journal.sync().is_err());
    journal.mend_for_test();
    // Half of it had got through.
    File::options().append(true).open(&path).unwrap().write_all(b"0123abcd {\"se").unwrap();
    journal.append(&seen(3)).unwrap();
    journal.sync().unwrap();
    let (found, damaged) = known(&fs::read(&path).unwrap());
    assert_eq!((found.len(), damaged), (3, 1));
}

#[test]
fn a_long_journal_is_written_anew() {
    let bench = Bench::new();
    let mut run = bench.run();
    for i in 0..6000 {
        bench.append("a.log", format!("{i}\n"));
        run.pass(Duration::from_millis(1001));
        run.flows().into_iter().for_each(|flow| flow.custody.settle());
        run.source.checkpoint().unwrap();
    }
    assert!(fs::metadata(bench.journal()).unwrap().len() < 300 << 10);
    run.end();
    bench.append("a.log", "last\n");
    assert_eq!(bench.run().read(), ["last"]);
}

#[test]
fn a_copy_of_the_data_folder_taken_at_any_time_loses_nothing() {
    let bench = Bench::new();
    let mut run = bench.run();
    let mut all = Vec::new();
    for i in 0..12 {
        let line = format!("line {i}");
        bench.append("a.log", format!("{line}\n"));
        all.push(line);
        run.pass(Duration::from_millis(1001));
        let flows = run.flows();
        if i % 3 == 0 {
            run.source.checkpoint().unwrap();
        }
        let settled = texts(&flows.iter().flat_map(seen).collect::<Vec<_>>());
        if i % 2 == 0 {
            flows.into_iter().for_each(|flow| flow.custody.settle());
        }
        // A kill here: another agent begins with what is on disk.
        let data = tempfile::tempdir().unwrap();
        copy_folder(bench.data.path(), data.path());
        let other = Bench {
            logs: tempfile::tempdir().unwrap(),
            data,
            settings: bench.settings.clone(),
            once: false,
            shards: 1,
        };
        let again = other.run().read();
        let unsettled: Vec<_> = (0..=i).filter(|n| n % 2 == 1).map(|n| format!("line {n}")).collect();
        for line in &unsettled {
            assert!(again.contains(line), "{again:?} lacks {line}; {settled:?}");
        }
        let unique: std::collections::BTreeSet<_> = again.iter().collect();
        assert_eq!(unique.len(), again.len());
    }
}
