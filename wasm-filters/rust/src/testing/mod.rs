//! The agent, as far as filters see it, for tests: records in memory behind the same functions.
//!
//! ```
//! use suiro_filter::testing::Host;
//! use suiro_filter::{Record, Verdict, field};
//!
//! fn no_debug(record: &mut Record) -> Verdict {
//!     if record.str(field!("level")) == Some("debug") { Verdict::Drop } else { Verdict::Keep }
//! }
//!
//! let outcome = Host::new().run(no_debug, &[r#"{"level":"debug"}"#, r#"{"level":"info"}"#]).unwrap();
//! assert_eq!(outcome.lines(), [r#"{"level":"info"}"#]);
//! ```
//!
//! It is as strict as the agent, and poorer in these: a repeated key counts once, numbers are kept as 64 bits, there are no
//! bytes, and no limits but that of fields and counters.

pub(crate) mod functions;
mod path;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::log::Level;
use crate::run::{IntoVerdict, Setup, run, set_up};
use crate::{Record, config::Config};
use world::{Row, World};

/// A filter, with state or without: what `#[filter]` stands above.
pub trait Filter<Kind> {
    /// Its state, `()` for none.
    type State: Setup;

    /// What it returns.
    type Verdict: IntoVerdict;

    /// Calls it for one record.
    fn call(&mut self, record: &mut Record, state: &mut Self::State) -> Self::Verdict;
}

impl<F: FnMut(&mut Record) -> V, V: IntoVerdict> Filter<(V,)> for F {
    type State = ();
    type Verdict = V;

    fn call(&mut self, record: &mut Record, (): &mut ()) -> V {
        self(record)
    }
}

impl<F: FnMut(&mut Record, &mut S) -> V, S: Setup, V: IntoVerdict> Filter<(S, V)> for F {
    type State = S;
    type Verdict = V;

    fn call(&mut self, record: &mut Record, state: &mut S) -> V {
        self(record, state)
    }
}

/// The agent in a test: what a filter finds there.
#[derive(Clone, Debug)]
pub struct Host {
    config: Value,
    tag: String,
    timestamp: i64,
    header: Map<String, Value>,
    resource: Map<String, Value>,
}

/// What a filter did.
#[derive(Clone, Debug)]
pub struct Outcome {
    rows: Vec<Row>,
    /// The log: level and line.
    pub log: Vec<(Level, String)>,
    /// Counters by name.
    pub counters: BTreeMap<String, u64>,
    /// Gauges by name.
    pub gauges: BTreeMap<String, f64>,
}

// === impl Host ===

impl Default for Host {
    fn default() -> Self {
        Host::new()
    }
}

impl Host {
    /// Without settings, the tag `test`, and records of 2026-01-01T00:00:00Z.
    pub fn new() -> Host {
        Host {
            config: Value::Object(Map::new()),
            tag: "test".to_owned(),
            timestamp: 1_767_225_600_000_000_000,
            header: Map::new(),
            resource: Map::new(),
        }
    }

    /// The filter's settings, as JSON.
    ///
    /// # Panics
    /// Where it is no JSON map.
    #[must_use]
    pub fn config(mut self, json: &str) -> Host {
        self.config = Value::Object(map(json));
        self
    }

    /// The filter's settings, as TOML: what stands under `[filter.config]`.
    ///
    /// # Panics
    /// Where it is no TOML.
    #[must_use]
    pub fn config_toml(mut self, toml: &str) -> Host {
        let table: toml::Table = toml.parse().unwrap_or_else(|error| panic!("config: {error}"));
        self.config = serde_json::to_value(table).expect("a table is a map");
        self
    }

    /// The records' tag.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Host {
        tag.clone_into(&mut self.tag);
        self
    }

    /// The records' time, nanoseconds since 1970.
    #[must_use]
    pub fn timestamp(mut self, ns: i64) -> Host {
        self.timestamp = ns;
        self
    }

    /// Header fields, as a JSON map: `severity` is read as `@severity`.
    ///
    /// # Panics
    /// Where it is no JSON map.
    #[must_use]
    pub fn header(mut self, json: &str) -> Host {
        self.header = map(json);
        self
    }

    /// What is known of where the records come from, as a JSON map: `k8s.pod.name` is read as `@k8s.pod.name`.
    ///
    /// # Panics
    /// Where it is no JSON map.
    #[must_use]
    pub fn resource(mut self, json: &str) -> Host {
        self.resource = map(json);
        self
    }

    /// Sets the filter up and hands it these records, JSON maps, as one batch. The error is what it logged where it could
    /// not be set up.
    ///
    /// # Panics
    /// Where a record is no JSON map, or the filter panics.
    pub fn run<K, F: Filter<K>>(&self, mut filter: F, records: &[&str]) -> Result<Outcome, String> {
        let rows: Vec<Row> = records.iter().map(|record| self.row(map(record))).collect();
        let count = i32::try_from(rows.len()).expect("a test's batch is small");
        let (state, world) = functions::within(World::new(self.config.clone(), rows), || {
            let mut state = set_up::<F::State>()?;
            let mut record = Record::new(0);
            run(count, &mut record, |record| filter.call(record, &mut state));
            state.flush();
            Some(())
        });
        let outcome = Outcome::of(world);
        match state {
            Some(()) => Ok(outcome),
            None => Err(outcome.log.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")),
        }
    }

    /// Runs the filter over `sample.jsonl` of a folder, with the settings in its `config.toml` if there is one, and
    /// compares what comes out with `expected.jsonl`, line by line. `env!("CARGO_MANIFEST_DIR")` is the crate's folder.
    ///
    /// # Panics
    /// Where they differ, with each line that does.
    pub fn check_sample<K, F: Filter<K>>(&self, filter: F, folder: impl AsRef<Path>) -> Outcome {
        let read = |name: &str| {
            let path = folder.as_ref().join(name);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let mut host = self.clone();
        if folder.as_ref().join("config.toml").exists() {
            host = host.config_toml(&read("config.toml"));
        }
        let sample = read("sample.jsonl");
        let outcome = host.run(filter, &sample.lines().collect::<Vec<_>>()).expect("it can be set up");
        let (expected, lines) = (read("expected.jsonl"), outcome.lines());
        let expected: Vec<&str> = expected.lines().collect();
        let mut different = String::new();
        for i in 0..expected.len().max(lines.len()) {
            let (want, have) = (expected.get(i).copied(), lines.get(i).map(String::as_str));
            if want != have {
                let line = |side: Option<&str>| side.unwrap_or("nothing").to_owned();
                let _ = writeln!(different, "line {}\n  expected {}\n  came     {}", i + 1, line(want), line(have));
            }
        }
        assert!(different.is_empty(), "\n{different}");
        outcome
    }

    fn row(&self, value: Map<String, Value>) -> Row {
        let (header, resource) = (self.header.clone(), self.resource.clone());
        Row::new(value, header, resource, self.tag.clone(), self.timestamp)
    }
}

// === impl Outcome ===

impl Outcome {
    fn of(world: World) -> Outcome {
        let (rows, log, counters, gauges) = world.end();
        Outcome { rows, log, counters, gauges }
    }

    fn kept(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.goes_on())
    }

    /// The records that go on, in their order, as JSON.
    pub fn lines(&self) -> Vec<String> {
        self.kept().map(Row::json).collect()
    }

    /// Their tags.
    pub fn tags(&self) -> Vec<&str> {
        self.kept().map(|row| row.tag.as_str()).collect()
    }

    /// Their times, nanoseconds since 1970.
    pub fn timestamps(&self) -> Vec<i64> {
        self.kept().map(|row| row.timestamp).collect()
    }

    /// How many were dropped.
    pub fn dropped(&self) -> usize {
        self.rows.iter().filter(|row| row.is_dropped()).count()
    }

    /// Why records failed, in their order.
    pub fn failures(&self) -> Vec<&str> {
        self.rows.iter().filter_map(|row| row.failure()).collect()
    }

    /// What a counter counted.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }
}

fn map(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {json}"))
}

/// The settings alone, for tests of a [`Setup`].
///
/// # Panics
/// Where it is no JSON map.
pub fn set_up_with<S: Setup>(config_json: &str) -> Result<S, String> {
    let world = World::new(Value::Object(map(config_json)), Vec::new());
    functions::within(world, || S::setup(&Config::new())).0
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::{Error, Field, Kind, Kinds, Verdict, field};

    /// Runs `look` on one record, and gives what became of it.
    fn on(record: &str, look: impl FnMut(&mut Record)) -> Outcome {
        Host::new().header(r#"{"severity":"WARN"}"#).resource(r#"{"k8s.pod.name":"p1"}"#).run(look, &[record]).unwrap()
    }

    #[test]
    fn getters_are_typed() {
        on(r#"{"s":"x","i":-7,"f":1.5,"b":true,"n":null,"l":[1,"y"],"m":{"a.b":{"c":"deep"}}}"#, |record| {
            assert_eq!((record.str(field!("s")), record.text(field!("s"))), (Some("x"), Some("x")));
            assert_eq!((record.str(field!("i")), record.text(field!("i"))), (None, Some("-7")));
            assert_eq!((record.i64(field!("i")), record.f64(field!("i"))), (Some(-7), Some(-7.0)));
            assert_eq!((record.i64(field!("f")), record.f64(field!("f"))), (None, Some(1.5)));
            assert_eq!((record.bool(field!("b")), record.bool(field!("s"))), (Some(true), None));
            assert_eq!((record.kind(field!("n")), record.has(field!("none"))), (Some(Kind::Null), false));
            assert_eq!(record.text(field!("l")), Some(r#"[1,"y"]"#));
            assert_eq!(record.text(field!("m.a.b.c")), Some("deep"));
            assert_eq!(record.text(field!("l[-1]")), Some("y"));
            assert_eq!(record.text(field!("@severity")), Some("WARN"));
            assert_eq!(record.text(field!("@k8s.pod.name")), Some("p1"));
            assert_eq!((record.text(field!("@tag")), record.tag()), (Some("test"), "test"));
            assert_eq!(record.text(field!("@time")), Some("2026-01-01T00:00:00Z"));
        });
    }

    #[test]
    fn setters_make_what_is_missing() {
        let outcome = on(r#"{"a":1,"l":[{"x":1}]}"#, |record| {
            record.set(field!("m.n.o"), "text").unwrap();
            record.set(field!("l[0].x"), u64::MAX).unwrap();
            record.set(field!("f"), 0.5).unwrap();
            record.set(field!("z"), ()).unwrap();
            record.set_json(field!("j"), r#"{"k":[true]}"#).unwrap();
            assert_eq!(record.remove(field!("a")), Ok(true));
            assert_eq!(record.remove(field!("a")), Ok(false));
            assert_eq!(record.set(field!("f"), f64::NAN), Err(Error::Invalid));
            assert_eq!(record.set(field!("f.x"), 1), Err(Error::Denied));
            assert_eq!(record.set(field!("@tag"), "t"), Err(Error::Denied));
            assert_eq!(record.set_json(field!("j"), "{"), Err(Error::BadText));
            assert_eq!(record.set_tag(""), Err(Error::BadText));
            record.set_tag("other").unwrap();
            record.set_timestamp(5).unwrap();
        });
        let want = r#"{"l":[{"x":18446744073709551615}],"m":{"n":{"o":"text"}},"f":0.5,"z":null,"j":{"k":[true]}}"#;
        assert_eq!(outcome.lines(), [want]);
        assert_eq!((outcome.tags(), outcome.timestamps()), (vec!["other"], vec![5]));
    }

    #[test]
    fn a_walk_gives_what_was_asked_for_and_stays_on_its_way() {
        let seen = RefCell::new(Vec::new());
        let outcome = on(r#"{"a":"1","m":{"b c":"2","l":["3","4",{"d":"5"}]},"n":7,"e":"6"}"#, |record| {
            record.strings(|value| {
                seen.borrow_mut().push((value.path(), value.text().to_owned()));
                match value.text() {
                    "1" => value.set_json(r#"{"new":"not walked"}"#).unwrap(),
                    "3" => assert_eq!(value.remove(), Ok(true)),
                    "6" => value.set(9).unwrap(),
                    text => value.set(text.repeat(2)).unwrap(),
                }
            });
        });
        let want = [("a", "1"), ("m.\"b c\"", "2"), ("m.l[0]", "3"), ("m.l[0]", "4"), ("m.l[1].d", "5"), ("e", "6")];
        assert_eq!(*seen.borrow(), want.map(|(path, text)| (path.to_owned(), text.to_owned())));
        let want = r#"{"a":{"new":"not walked"},"m":{"b c":"22","l":["44",{"d":"55"}]},"n":7,"e":9}"#;
        assert_eq!(outcome.lines(), [want]);
    }

    #[test]
    fn a_walk_ends_when_the_record_changes_elsewhere() {
        let mut seen = Vec::new();
        on(r#"{"a":"1","b":"2","c":"3"}"#, |record| {
            record.walk(Kinds::STR | Kinds::INT, |value| {
                seen.push(value.text().to_owned());
                if value.text() == "2" {
                    record.set(field!("other"), true).unwrap();
                }
            });
        });
        assert_eq!(seen, ["1", "2"]);
    }

    #[test]
    fn long_texts_are_asked_for_again() {
        let long = "x".repeat(100_000);
        let outcome = on(&format!(r#"{{"a":"short","b":"{long}","c":"end"}}"#), |record| {
            let (a, b) = (record.text(field!("a")), record.text(field!("b")));
            assert_eq!((a, b), (Some("short"), Some(&*long)));
            let mut lengths = Vec::new();
            record.strings(|value| lengths.push(value.text().len()));
            assert_eq!(lengths, [5, 100_000, 3]);
        });
        assert_eq!(outcome.lines().len(), 1);
    }

    #[test]
    fn emitted_records_stand_behind_the_one_they_come_from() {
        let outcome = Host::new()
            .run(
                |record: &mut Record| {
                    let n = record.i64(field!("n")).unwrap();
                    let first = record.emit(&format!(r#"{{"from":{n},"i":0}}"#)).unwrap();
                    record.emit(&format!(r#"{{"from":{n},"i":2}}"#)).unwrap();
                    first.set(field!("seen"), true).unwrap();
                    first.emit(r#"{"i":1}"#).unwrap();
                    assert!(matches!(record.emit("[]"), Err(Error::BadText)));
                    if n == 1 { Verdict::Drop } else { Verdict::Keep }
                },
                &[r#"{"n":1}"#, r#"{"n":2}"#],
            )
            .unwrap();
        let of = |n| {
            [
                format!(r#"{{"from":{n},"i":0,"seen":true}}"#),
                r#"{"i":1}"#.to_owned(),
                format!(r#"{{"from":{n},"i":2}}"#),
            ]
        };
        let want: Vec<String> = of(1).into_iter().chain([r#"{"n":2}"#.to_owned()]).chain(of(2)).collect();
        assert_eq!(outcome.lines(), want);
        assert_eq!(outcome.dropped(), 1);
    }

    #[test]
    fn errors_fail_the_record_with_their_reason() {
        fn picky(record: &mut Record) -> crate::Result {
            let n = record.i64(field!("n")).ok_or("n is missing")?;
            if n > 1 {
                return Err(format!("{n} is too much").into());
            }
            record.set(field!("n.x"), 1)?;
            Ok(Verdict::Keep)
        }
        let outcome = Host::new().run(picky, &["{}", r#"{"n":7}"#, r#"{"n":1}"#]).unwrap();
        assert_eq!(outcome.failures(), ["n is missing", "7 is too much", "it can't be changed"]);
    }

    #[test]
    fn settings_are_read_and_mistakes_named() {
        struct Settings(Vec<String>, f64);
        impl Setup for Settings {
            fn setup(config: &Config) -> Result<Settings, String> {
                config.only(&["names", "most"])?;
                Ok(Settings(config.require("names", "[\"a\"]")?, config.get_or("most", 2.5)?))
            }
        }
        let read = |json| set_up_with::<Settings>(json).map(|s| (s.0, s.1));
        assert_eq!(read(r#"{"names":["a","b\n"]}"#), Ok((vec!["a".into(), "b\n".into()], 2.5)));
        let wrong = |json| read(json).unwrap_err();
        assert_eq!(wrong("{}"), "`names` is missing: config = { names = [\"a\"] }");
        assert_eq!(wrong(r#"{"names":"a"}"#), "`names` must be a list of texts, and is \"a\"");
        assert_eq!(wrong(r#"{"names":[],"most":"true"}"#), "`most` must be a number, and is \"true\"");
        assert_eq!(wrong(r#"{"nmaes":[]}"#), "unknown setting `nmaes`; there are: names, most");
        let none = Host::new().config(r#"{"x":1}"#).run(|_: &mut Record| {}, &[]).unwrap_err();
        assert_eq!(none, "unknown setting `x`; this filter has none");
    }

    #[test]
    fn paths_from_outside_are_checked_and_bad_ones_in_the_code_logged() {
        let outcome = on("{}", |record| {
            assert_eq!(Field::parse("a..b").unwrap_err(), Error::BadText);
            assert_eq!(Field::parse("a.b").unwrap().path(), "a.b");
            let bad = Field::new("a b");
            assert_eq!((record.text(&bad), record.set(&bad, 1)), (None, Err(Error::Invalid)));
            crate::counter!("seen").add(2);
            crate::counter!("seen").add(1);
            crate::counter!("Not A Name").add(1);
            crate::gauge("level", 0.5).unwrap();
        });
        assert_eq!(
            outcome.log[0],
            (Level::Error, "field `a b`: the text is not what is asked for: a path, JSON, a tag, a name".to_owned())
        );
        assert_eq!(outcome.log[1].0, Level::Warn);
        assert_eq!((outcome.counter("seen"), outcome.gauges["level"]), (3, 0.5));
    }
}
