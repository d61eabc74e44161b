//! The input `generate`: made-up records, for demonstrations and tests.
//!
//! | setting | what it does |
//! | --- | --- |
//! | `format` | `"text"` (default), `"json"` or `"apache"`: what the made-up lines look like |
//! | `lines` | lines of your own instead, again and again; `{n}` is the record's number |
//! | `count` | how many; without end by default, and then not with `run --once` |
//! | `rate` | how many a second; as many as can be taken by default |
//! | `seed` | the same seed makes the same lines, their times included; without it times are those of the making |
//!
//! Positions are record numbers. Nothing is kept over a restart: it begins again, as a new incarnation.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::{Scope, Source as Origin};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Custody, Flow, Input, Line, Polled, Progress, Source, SourceSetup, StartError, Tracker, time};

/// What `suiro list` says.
pub(crate) const ABOUT: &str = "makes up records, for demonstrations and tests";

/// Records in a batch, and bytes, at most.
const MAX_RECORDS: u64 = 1000;
const MAX_BYTES: usize = 256 << 10;
/// Receipts that are not settled, at most.
const MAX_OPEN_RECEIPTS: usize = 4096;
/// When the times of seeded lines begin: 2026-01-01T00:00:00Z; each record is a millisecond later.
const SEEDED_START: i64 = 1_767_225_600_000_000_000;
/// How often a source that waits looks again.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Demo {
    #[default]
    Text,
    Json,
    Apache,
}

#[derive(Clone, Debug)]
struct Generate {
    demo: Demo,
    lines: Vec<String>,
    count: Option<u64>,
    rate: Option<f64>,
    seed: Option<u64>,
}

struct Generator {
    settings: Generate,
    setup: SourceSetup,
    tracker: Arc<Tracker>,
    scope: Arc<Scope>,
    tag: Arc<str>,
    made: u64,
    begun: Option<Instant>,
    lines: Vec<Line>,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    Ok(Box::new(Generate::read(section)?))
}

// === impl Generate ===

impl Generate {
    fn read(section: &Section) -> Result<Self, Reported> {
        let lines: Vec<String> = section.list("lines");
        let demo = section.choice("format", &[("text", Demo::Text), ("json", Demo::Json), ("apache", Demo::Apache)]);
        if demo.is_some() && !lines.is_empty() {
            section.error_at("format", "`format` and `lines` exclude each other", "remove one of the two");
        }
        if section.has("lines") && lines.is_empty() {
            section.error_at("lines", "`lines` is empty", "for example: lines = [\"hello {n}\"]");
        }
        if lines.iter().any(|line| line.contains('\n')) {
            section.error_at("lines", "a line of `lines` holds a line end", "write two lines");
        }
        let count = section.get("count");
        let rate = section.within("rate", 0.001..=1e9);
        let seed = section.get("seed");
        section.finish()?;
        Ok(Generate { demo: demo.unwrap_or_default(), lines, count, rate, seed })
    }

    /// Line number `n`.
    fn write_line(&self, n: u64, out: &mut Vec<u8>) {
        if let Some(line) = self.lines.get((n % self.lines.len().max(1) as u64) as usize) {
            for (i, piece) in line.split("{n}").enumerate() {
                if i > 0 {
                    write_fmt(out, format_args!("{n}"));
                }
                out.extend_from_slice(piece.as_bytes());
            }
            return;
        }
        let dice = Dice::new(self.seed.unwrap_or(0), n);
        let at = match self.seed {
            Some(_) => SEEDED_START.saturating_add_unsigned(n.saturating_mul(1_000_000)),
            None => time::now(),
        };
        match self.demo {
            Demo::Text => text_line(n, at, dice, out),
            Demo::Json => json_line(n, at, dice, out),
            Demo::Apache => apache_line(at, dice, out),
        }
    }
}

impl Input for Generate {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        if setup.shard > 0 {
            return Ok(None);
        }
        if setup.once && self.count.is_none() {
            return Err(StartError(
                "`generate` without `count` never ends, so `run --once` would not: set `count`".to_owned(),
            ));
        }
        Ok(Some(Box::new(Generator::new(self.clone(), setup)?)))
    }
}

// === impl Generator ===

impl Generator {
    fn new(settings: Generate, setup: SourceSetup) -> Result<Self, StartError> {
        let origin = Arc::new(Origin::new(setup.name.clone(), rand::random()));
        let scope = Arc::new(Scope::new(origin.clone()));
        let tag = suiro_sdk::tag::render(&setup.tag, &scope)?;
        let tracker = Tracker::new(origin, 0, setup.ledger.clone(), None);
        Ok(Generator { settings, setup, tracker, scope, tag, made: 0, begun: None, lines: Vec::new() })
    }

    /// How many may have been made at `now`, and when the next is due if that is all of them.
    fn due(&self, now: Instant) -> (u64, Option<Instant>) {
        let all = self.settings.count.unwrap_or(u64::MAX);
        let (Some(rate), Some(begun)) = (self.settings.rate, self.begun) else { return (all, None) };
        let elapsed = now.saturating_duration_since(begun).as_secs_f64();
        // The first is due at once. As a float a number of records is exact up to 2^53: 285 years at a million a second.
        let due = ((elapsed * rate) as u64).saturating_add(1).min(all);
        let next = Duration::try_from_secs_f64(due as f64 / rate).unwrap_or(Duration::from_secs(3600));
        (due, begun.checked_add(next))
    }

    fn step(&mut self, now: Instant) -> Polled {
        self.begun.get_or_insert(now);
        if self.settings.count.is_some_and(|count| self.made >= count) {
            self.tracker.note_quiet(now);
            return Polled::Done;
        }
        let (due, next) = self.due(now);
        if self.made >= due {
            self.tracker.note_quiet(now);
            return Polled::Idle { until: next };
        }
        if self.tracker.open_receipts() >= MAX_OPEN_RECEIPTS {
            return Polled::Idle { until: Some(now + LOOK) };
        }
        let mut batch = self.setup.pool.batch(self.tag.clone(), self.scope.clone(), time::now());
        self.lines.clear();
        let heap = batch.heap_mut();
        for n in self.made..due.min(self.made + MAX_RECORDS) {
            let start = heap.len();
            self.settings.write_line(n, heap);
            self.lines.push(Line { span: start..heap.len(), start: n, end: n + 1 });
            if heap.len() >= MAX_BYTES {
                break;
            }
        }
        let bytes = heap.len();
        let taken = self.setup.decoder.decode(&mut batch, 0, &self.lines);
        let begin = self.made;
        self.made += taken as u64;
        self.setup.ledger.add_bytes(bytes as u64);
        if batch.rows.is_empty() {
            self.tracker.advance(self.made);
            self.setup.pool.recycle(batch);
            return Polled::Idle { until: Some(now) };
        }
        let receipt = self.tracker.open(begin..self.made, batch.rows.len() as u64);
        Polled::Batch(Flow::new(batch, Custody::from(receipt)))
    }
}

impl Source for Generator {
    fn poll(&mut self) -> Polled {
        self.step(Instant::now())
    }

    fn progress(&self) -> Progress {
        Progress { read: self.made, total: self.settings.count.unwrap_or(0) }
    }
}

// === made-up lines ===

/// Random numbers that depend on the seed and the record alone (splitmix64).
struct Dice(u64);

impl Dice {
    fn new(seed: u64, n: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

const LEVELS: [&str; 8] = ["debug", "info", "info", "info", "info", "info", "warn", "error"];
const SERVICES: [&str; 4] = ["cart", "checkout", "search", "users"];
const PATHS: [&str; 6] = ["/", "/healthz", "/cart", "/cart/items/17", "/search?q=tea", "/login"];
const MESSAGES: [&str; 5] =
    ["request served", "cache miss", "user logged in", "payment accepted", "connection to the database was lost"];

fn write_fmt(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // A vector takes everything.
    let _ = out.write_fmt(arguments);
}

fn text_line(n: u64, at: i64, mut dice: Dice, out: &mut Vec<u8>) {
    time::write_rfc3339(at, out);
    let (level, service, message) = (dice.of(&LEVELS), dice.of(&SERVICES), dice.of(&MESSAGES));
    write_fmt(out, format_args!(" {level} {service}: {message} (request {n}, {} ms)", dice.below(500)));
}

fn json_line(n: u64, at: i64, mut dice: Dice, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    time::write_rfc3339(at, out);
    let (level, service, message) = (dice.of(&LEVELS), dice.of(&SERVICES), dice.of(&MESSAGES));
    let path = dice.of(&PATHS);
    let status = [200, 200, 200, 200, 304, 404, 500][dice.below(7) as usize];
    write_fmt(
        out,
        format_args!(
            "\",\"level\":\"{level}\",\"service\":\"{service}\",\"message\":\"{message}\",\"request\":{n},\
             \"http\":{{\"path\":\"{path}\",\"status\":{status}}},\"duration_ms\":{}.{}}}",
            dice.below(500),
            dice.below(10),
        ),
    );
}

fn apache_line(at: i64, mut dice: Dice, out: &mut Vec<u8>) {
    write_fmt(out, format_args!("192.0.2.{} - - [", dice.below(254) + 1));
    write_clf_time(at, out);
    let method = dice.of(&["GET", "GET", "GET", "POST"]);
    let path = dice.of(&PATHS);
    let status = [200, 200, 200, 200, 304, 404, 500][dice.below(7) as usize];
    let agent = dice.of(&["curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)", "kube-probe/1.33"]);
    let size = dice.below(20_000);
    write_fmt(out, format_args!("] \"{method} {path} HTTP/1.1\" {status} {size} \"-\" \"{agent}\""));
}

/// `10/Oct/2000:13:55:36 +0000`, out of the RFC 3339 form of the same time.
fn write_clf_time(at: i64, out: &mut Vec<u8>) {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut text = Vec::new();
    time::write_rfc3339(at - at.rem_euclid(1_000_000_000), &mut text);
    let text = String::from_utf8_lossy(&text);
    let month = text.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let name = MONTHS.get(month.wrapping_sub(1)).unwrap_or(&MONTHS[0]);
    write_fmt(out, format_args!("{}/{name}/{}:{} +0000", part(8..10), part(0..4), part(11..19)));
}

#[cfg(test)]
mod tests {
    use suiro_sdk::lang::Template;
    use suiro_sdk::ledger::InputLedger;
    use suiro_sdk::{Decoder, OnParseError, Pool, Waker};

    use super::*;

    fn setup(once: bool) -> (SourceSetup, Arc<InputLedger>) {
        let ledger = Arc::new(InputLedger::default());
        let setup = SourceSetup {
            name: "demo".into(),
            shard: 0,
            shards: 1,
            data_dir: "/nowhere".into(),
            ledger: ledger.clone(),
            decoder: Arc::new(Decoder::new(None, OnParseError::Keep, false, ledger.clone())),
            tag: Arc::new(Template::parse("demo").unwrap()),
            pool: Arc::new(Pool::default()),
            waker: Waker::new(|| {}),
            once,
        };
        (setup, ledger)
    }

    fn read(text: &str) -> Generate {
        let (section, diagnostics) = Section::from_text("[[input]] generate", text);
        Generate::read(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false)))
    }

    fn texts(flow: &Flow) -> Vec<String> {
        let text =
            |row: &suiro_record::Row| String::from_utf8_lossy(flow.batch.sole_text(row.root()).unwrap()).into_owned();
        flow.batch.rows.iter().map(text).collect()
    }

    fn all(settings: &str) -> Vec<String> {
        let (setup, ledger) = setup(true);
        let mut source = Generator::new(read(settings), setup).unwrap();
        let mut lines = Vec::new();
        let now = Instant::now();
        loop {
            match source.step(now) {
                Polled::Batch(flow) => {
                    lines.extend(texts(&flow));
                    flow.custody.settle();
                }
                Polled::Idle { .. } => {}
                Polled::Done => break,
            }
        }
        assert_eq!((ledger.received(), ledger.in_flight()), (ledger.settled_records(), 0));
        lines
    }

    #[test]
    fn own_lines_again_and_again() {
        assert_eq!(all("lines = ['a {n}', 'b']\ncount = 5"), ["a 0", "b", "a 2", "b", "a 4"]);
        assert_eq!(all("count = 2500").len(), 2500);
        assert!(all("count = 0").is_empty());
        assert!(all("lines = ['']\ncount = 3").is_empty(), "blank lines are no records");
    }

    #[test]
    fn a_seed_makes_the_same_lines() {
        for format in ["text", "json", "apache"] {
            let settings = format!("format = '{format}'\ncount = 50\nseed = 7");
            let lines = all(&settings);
            assert_eq!(lines, all(&settings));
            assert_ne!(lines, all(&settings.replace("7", "8")));
            if format == "json" {
                lines.iter().for_each(|line| drop(serde_json::from_str::<serde_json::Value>(line).unwrap()));
            }
        }
        let apache = &all("format = 'apache'\ncount = 1\nseed = 1")[0];
        assert!(apache.contains("[01/Jan/2026:00:00:00 +0000] \""), "{apache}");
    }

    #[test]
    fn the_rate_is_kept() {
        let (setup, ledger) = setup(false);
        let mut source = Generator::new(read("rate = 10.0\nlines = ['x']"), setup).unwrap();
        let begin = Instant::now();
        let mut made = 0;
        let mut now = begin;
        while now <= begin + Duration::from_secs(10) {
            match source.step(now) {
                Polled::Batch(flow) => {
                    made += flow.batch.len();
                    flow.custody.settle();
                }
                Polled::Idle { until } => now = until.unwrap(),
                Polled::Done => unreachable!(),
            }
        }
        assert!((100..=101).contains(&made), "{made}");
        assert_eq!(ledger.received(), ledger.settled_records() + ledger.in_flight());
    }

    #[test]
    fn it_waits_for_what_is_not_settled() {
        let (setup, ledger) = setup(false);
        let mut source = Generator::new(read("lines = ['x']"), setup).unwrap();
        let now = Instant::now();
        let mut held = Vec::new();
        while let Polled::Batch(flow) = source.step(now) {
            held.push(flow);
        }
        assert_eq!(held.len(), MAX_OPEN_RECEIPTS);
        held.into_iter().for_each(|flow| flow.custody.settle());
        assert_eq!((ledger.received(), ledger.in_flight()), (ledger.settled_records(), 0));
        assert!(matches!(source.step(now), Polled::Batch(_)));
    }

    #[test]
    fn mistakes() {
        for (text, says) in [
            ("format = 'json'\nlines = ['x']", "exclude each other"),
            ("lines = []", "`lines` is empty"),
            ("lines = [\"a\\nb\"]", "line end"),
            ("rate = 0.0", "`rate` must be from"),
            ("count = -1", "`count`"),
        ] {
            let (section, diagnostics) = Section::from_text("[[input]] generate", text);
            assert!(Generate::read(&section).is_err(), "{text}");
            assert!(diagnostics.render(false).contains(says), "{text}: {}", diagnostics.render(false));
        }
        let (setup, _) = setup(true);
        let error = read("").source(setup).err().unwrap().to_string();
        assert!(error.contains("set `count`"));
    }
}
