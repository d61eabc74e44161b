//! The file output, stopped at every byte.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::disk::Disk;
use super::*;
use crate::testing::{Feed, wait};

/// A disk that stops for ever after so many steps: so many bytes are a step, and so is every other change.
struct Failing {
    left: Cell<u64>,
    grain: usize,
}

impl Failing {
    fn step(&self) -> io::Result<()> {
        match self.left.get() {
            0 => Err(io::Error::other("crashed")),
            left => {
                self.left.set(left - 1);
                Ok(())
            }
        }
    }
}

impl Disk for Failing {
    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(self.grain) {
            self.step()?;
            file.write_all(piece)?;
        }
        Ok(())
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        self.step()?;
        file.set_len(len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        fs::remove_file(path)
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        self.step()
    }
}

fn output(folder: &Path, settings: &str) -> FileOutput {
    let settings = settings.replace("{}", folder.to_str().unwrap());
    let (section, diagnostics) = Section::from_text("[[output]] file", &settings);
    FileOutput::read(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false)))
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn records_are_appended_as_lines() {
    let folder = tempfile::tempdir().unwrap();
    let out = output(folder.path(), "path = '{}/sub/app.log'\nformat = 'raw'");
    let feed = Feed::new();
    for lines in ["one\ntwo\n", "three\n"] {
        let delivery = feed.delivery(lines);
        assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered);
        assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered, "again, and nothing is added");
        feed.settle(delivery);
    }
    assert_eq!(text(folder.path().join("sub/app.log")), "one\ntwo\nthree\n");
}

#[test]
fn json_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let out = output(folder.path(), "path = '{}/app.log'");
    let feed = Feed::new();
    let delivery = feed.delivery("say \"x\"\n");
    assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered);
    assert_eq!(text(folder.path().join("app.log")), "{\"log\":\"say \\\"x\\\"\"}\n");
    feed.settle(delivery);
}

#[test]
fn a_replay_after_a_restart_adds_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let feed = Feed::of(7);
    let first = feed.delivery("one\ntwo\n");
    let settings = "path = '{}/app.log'\nformat = 'raw'";
    assert_eq!(wait(output(folder.path(), settings).deliver(&first)), Outcome::Delivered);
    feed.settle(first);
    // The same source again, cut into other batches, and another source with the same offsets.
    let (again, other) = (Feed::of(7), Feed::of(8));
    let out = output(folder.path(), settings);
    for (feed, lines) in [(&again, "one\n"), (&again, "two\nthree\n"), (&other, "one\n")] {
        let delivery = feed.delivery(lines);
        assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered);
        feed.settle(delivery);
    }
    assert_eq!(text(folder.path().join("app.log")), "one\ntwo\nthree\none\n");
}

#[test]
fn records_made_of_one_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "path = '{}/app.log'\nformat = 'raw'";
    let derived = |feed: &Feed, ordinals: &[u32]| {
        let mut batch = feed.batch_at("x\n", 0);
        let row = batch.rows[0];
        let made = |&ordinal: &u32| {
            let mut row = row;
            (row.ordinal, row.salt) = (ordinal, u64::from(ordinal));
            row
        };
        batch.rows = ordinals.iter().map(made).collect();
        feed.delivery_of(batch)
    };
    for (ordinals, lines) in [(&[1, 2][..], 2), (&[1, 2, 3], 3), (&[0], 4), (&[0, 1, 2, 3], 4)] {
        let feed = Feed::of(7);
        let delivery = derived(&feed, ordinals);
        assert_eq!(wait(output(folder.path(), settings).deliver(&delivery)), Outcome::Delivered);
        assert_eq!(text(folder.path().join("app.log")).lines().count(), lines);
        feed.settle(delivery);
    }
}

/// Delivers lines in batches with a disk that stops after `steps`, then replays all of it with one that works. How often
/// each line is there then; `None` if the disk did not stop.
fn crash_after(steps: u64, rotate: &str, grain: usize) -> Option<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("path = '{{}}/app.log'\nformat = 'raw'\n{rotate}");
    let batches = ["one\ntwo\n", "three\n", "four\nfive\n"];
    let mut out = output(folder.path(), &settings);
    out.disk = Box::new(Failing { left: Cell::new(steps), grain });
    let feed = Feed::of(7);
    let mut stopped = false;
    let mut settled = 0;
    for lines in batches {
        let delivery = feed.delivery(lines);
        stopped = wait(out.deliver(&delivery)) != Outcome::Delivered;
        if stopped {
            delivery.parts.into_iter().for_each(|part| drop(part.custody));
            break;
        }
        settled += 1;
        delivery.parts.into_iter().for_each(|part| part.custody.settle());
    }
    drop(out);
    // The source's checkpoint may be older than what is settled.
    let from = settled.min(steps as usize % 2);
    let out = output(folder.path(), &settings);
    let feed = Feed::of(7);
    let mut at = 0;
    for (i, lines) in batches.into_iter().enumerate() {
        if i >= from {
            let delivery = feed.delivery_of(feed.batch_at(lines, at));
            assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered);
            feed.settle(delivery);
        }
        at += lines.len() as u64;
    }
    let mut files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| !sidecar::is_sidecar(path));
    files.sort();
    files.reverse();
    let lines = files.iter().flat_map(|path| text(path).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    stopped.then_some(lines)
}

#[test]
fn a_crash_at_any_byte_loses_and_doubles_nothing() {
    for (rotate, grain) in [("", 1), ("rotate = { max_size = '12B', keep = 9 }", 9)] {
        let mut steps = 0;
        while let Some(lines) = crash_after(steps, rotate, grain) {
            assert_eq!(lines, ["one", "two", "three", "four", "five"], "{rotate} {steps}");
            steps += 1;
        }
        assert!(steps as usize > 400 / grain, "{steps}");
    }
}

#[test]
fn what_others_appended_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let settings = "path = '{}/app.log'\nformat = 'raw'";
    fs::write(&path, "before\n").unwrap();
    let feed = Feed::of(7);
    let first = feed.delivery("one\n");
    let out = output(folder.path(), settings);
    assert_eq!(wait(out.deliver(&first)), Outcome::Delivered);
    File::options().append(true).open(&path).unwrap().write_all(b"theirs\n").unwrap();
    drop(out);
    let out = output(folder.path(), settings);
    let second = feed.delivery("two\n");
    assert_eq!(wait(out.deliver(&second)), Outcome::Delivered);
    assert_eq!(text(&path), "before\none\ntheirs\ntwo\n");
    first.parts.into_iter().for_each(|part| part.custody.settle());
    feed.settle(second);
}

#[test]
fn a_file_that_is_moved_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let out = output(folder.path(), "path = '{}/app.log'\nformat = 'raw'");
    let feed = Feed::new();
    for lines in ["one\n", "two\n"] {
        let delivery = feed.delivery(lines);
        assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered);
        assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered);
        feed.settle(delivery);
        assert_eq!(text(&path), lines);
        fs::rename(&path, folder.path().join("moved")).unwrap();
    }
}

#[test]
fn rotation_keeps_as_many_as_told() {
    for (keep, expected) in [(2, vec!["4\n", "3\n", "2\n"]), (0, vec!["4\n"])] {
        let folder = tempfile::tempdir().unwrap();
        let out = output(
            folder.path(),
            &format!("path = '{{}}/a'\nformat = 'raw'\nrotate = {{ max_size = '3B', keep = {keep} }}"),
        );
        let feed = Feed::new();
        for i in 0..5 {
            let delivery = feed.delivery(&format!("{i}\n"));
            assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered);
            feed.settle(delivery);
        }
        let found: Vec<_> = ["a", "a.1", "a.2", "a.3"]
            .iter()
            .filter_map(|name| fs::read_to_string(folder.path().join(name)).ok())
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn paths_by_record() {
    let folder = tempfile::tempdir().unwrap();
    let out = output(folder.path(), "path = '{}/by-{log}.log'\nformat = 'raw'");
    let feed = Feed::new();
    let delivery = feed.delivery("a\nb\nx/../y\na\n");
    let Outcome::Partial(verdicts) = wait(out.deliver(&delivery)) else { panic!() };
    assert!(matches!(&verdicts[..], [(2, Verdict::Refused { reason: Reason::NOT_ALLOWED, .. })]), "{verdicts:?}");
    assert_eq!(text(folder.path().join("by-a.log")), "a\na\n");
    assert_eq!(text(folder.path().join("by-b.log")), "b\n");
    feed.settle(delivery);
}

#[test]
fn one_path_that_fails_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("by-b.log")).unwrap();
    let out = output(folder.path(), "path = '{}/by-{log}.log'\nformat = 'raw'");
    let feed = Feed::new();
    let delivery = feed.delivery("a\nb\nc\n");
    let Outcome::Partial(verdicts) = wait(out.deliver(&delivery)) else { panic!() };
    assert!(
        matches!(&verdicts[..], [(1, Verdict::Retry { why, degraded: true, .. })] if why.contains("by-b.log")),
        "{verdicts:?}"
    );
    fs::remove_dir(folder.path().join("by-b.log")).unwrap();
    assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered);
    for name in ["a", "b", "c"] {
        assert_eq!(text(folder.path().join(format!("by-{name}.log"))), format!("{name}\n"));
    }
    feed.settle(delivery);
    // What no waiting mends is set aside.
    let delivery = feed.delivery("a\na.log/x\n");
    let Outcome::Partial(verdicts) = wait(out.deliver(&delivery)) else { panic!() };
    assert!(matches!(&verdicts[..], [(1, Verdict::Refused { reason: Reason::NOT_ALLOWED, .. })]), "{verdicts:?}");
    feed.settle(delivery);
}

/// A pipe that nobody reads, above all: to open it would wait for ever.
#[test]
fn what_is_no_file_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap();
    assert!(made.success());
    let feed = Feed::new();
    for path in ["/dev/full".as_ref(), folder.path().join("pipe").as_path()] {
        let out = output(folder.path(), &format!("path = '{}'", path.display()));
        let delivery = feed.delivery("a\n");
        let Outcome::Retry { why, degraded: true, .. } = wait(out.deliver(&delivery)) else { panic!() };
        assert!(why.contains(path.to_str().unwrap()) && why.contains("not a regular file"), "{why}");
        feed.settle(delivery);
    }
}

#[test]
fn open_files_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let out = output(folder.path(), "path = '{}/by-{log}.log'\nformat = 'raw'");
    let feed = Feed::new();
    let lines: String = (0..MAX_OPEN + 20).map(|i| format!("{i}\n")).collect();
    let delivery = feed.delivery(&lines);
    assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered);
    assert_eq!(out.open.borrow().files.len(), MAX_OPEN);
    assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered);
    assert_eq!(text(folder.path().join("by-0.log")), "0\n");
    feed.settle(delivery);
}

#[test]
fn the_sidecar_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let out = output(folder.path(), "path = '{}/app.log'\nformat = 'raw'");
    let feed = Feed::of(7);
    // Every other record goes elsewhere, so nothing makes one range, but all of it settles.
    let mut at = 0;
    for _ in 0..300 {
        let text = "0123456\n".repeat(200);
        let mut batch = feed.batch_at(&text, at);
        at += text.len() as u64;
        let mut n = 0;
        batch.rows.retain(|_| {
            n += 1;
            n % 2 == 0
        });
        let delivery = feed.delivery_of(batch);
        assert_eq!(wait(out.deliver(&delivery)), Outcome::Delivered);
        feed.settle(delivery);
    }
    let size = fs::metadata(folder.path().join(".app.log.suiro")).unwrap().len();
    assert!(size < 1100 << 10, "{size}");
    let pieces = out.open.borrow().files.values().count();
    assert_eq!(pieces, 1);
    let again = Feed::of(7);
    let delivery = again.delivery_of(again.batch_at("0123456\n0123456\n", 0));
    assert_eq!(
        wait(output(folder.path(), "path = '{}/app.log'\nformat = 'raw'").deliver(&delivery)),
        Outcome::Delivered
    );
    assert_eq!(text(folder.path().join("app.log")).lines().count(), 300 * 100);
    again.settle(delivery);
}

#[test]
fn a_damaged_sidecar_panics_nothing_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "path = '{}/app.log'\nformat = 'raw'";
    let feed = Feed::of(7);
    let first = feed.delivery("one\ntwo\n");
    assert_eq!(wait(output(folder.path(), settings).deliver(&first)), Outcome::Delivered);
    feed.settle(first);
    let (sidecar, data) = (folder.path().join(".app.log.suiro"), folder.path().join("app.log"));
    let whole = fs::read(&sidecar).unwrap();
    for at in (0..whole.len()).step_by(3) {
        for cut in [false, true] {
            let mut bytes = whole.clone();
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 0x11;
            }
            fs::write(&sidecar, bytes).unwrap();
            // The replay is complete: cut off or not, every line is there in the end.
            let key = fs::metadata(&data).unwrap();
            let again = Feed::of(7);
            let delivery = again.delivery_of(again.batch_at("one\ntwo\n", 0));
            assert_eq!(wait(output(folder.path(), settings).deliver(&delivery)), Outcome::Delivered);
            let found = text(&data);
            assert!(found.contains("one\n") && found.contains("two\n"));
            again.settle(delivery);
            assert_eq!(
                std::os::unix::fs::MetadataExt::ino(&key),
                std::os::unix::fs::MetadataExt::ino(&fs::metadata(&data).unwrap())
            );
            fs::write(&data, "one\ntwo\n").unwrap();
        }
    }
}

#[test]
fn mistakes() {
    for (settings, says) in [
        ("", "missing setting `path`"),
        ("path = '{log}'", "choose the destination freely"),
        ("path = '/a/../b'", "climbs"),
        ("path = '/a/.b.suiro'", "its own notes"),
        ("path = '/a'\nformat = 'csv'", "`json`, `raw` or `full`"),
        ("path = '/a'\nrotate = { keep = 3 }", "max_size"),
        ("path = '/a'\nfsync = 'always'", "`batch`"),
        ("path = '/a'\ncompress = 'gzip'", "compress"),
    ] {
        let (section, diagnostics) = Section::from_text("[[output]] file", settings);
        assert!(FileOutput::read(&section).is_err(), "{settings}");
        assert!(diagnostics.render(false).contains(says), "{settings}: {}", diagnostics.render(false));
    }
}
