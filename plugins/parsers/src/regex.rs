//! Named groups of a regular expression.
//!
//! ```toml
//! parser = { type = "regex", pattern = '^(?<level>\w+) (?<ms>\d+) (?<log>.*)$', types = { ms = "integer" } }
//! ```
//!
//! A group that did not take part in the match is absent. The groups of `types` are converted: `integer`, `float`,
//! `bool`; a text that is no such value stays text. Numbers keep the digits of their source. The expressions are those of
//! the `regex` crate: matching takes time linear in the line, whoever wrote it.
//!
//! The time of the record is taken only from what `time_key` names.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use regex::CaptureLocations;
use suiro_record::{Batch, Building, RootId, Shape, is_number};
use suiro_sdk::settings::{Reported, Section, Setting, Value};
use suiro_sdk::{ParseError, Parser, TimeRule};

use crate::time::time_rule;

/// Groups a pattern may name.
const MAX_GROUPS: usize = 256;

/// The parser `regex`.
#[derive(Debug)]
pub struct Regex {
    regex: regex::Regex,
    shape: Shape,
    /// The named groups, in the order of the shape.
    groups: Box<[Group]>,
    time: TimeRule,
    /// Tells the parsers of a process apart.
    id: u64,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    index: usize,
    kind: Type,
}

/// What a group's text is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    String,
    Integer,
    Float,
    Bool,
}

thread_local! {
    /// Room for the groups of a match, of the parser that last worked on this thread.
    static LOCATIONS: RefCell<Option<(u64, CaptureLocations)>> = const { RefCell::new(None) };
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Arc<dyn Parser>, Reported> {
    let pattern = settings.require::<regex::Regex>("pattern", r"'^(?<level>\w+) (?<log>.*)$'");
    let types = settings.map::<Type>("types");
    let time = time_rule(settings, TimeRule::None);
    if let Ok(pattern) = &pattern {
        check(settings, pattern, &types);
    }
    settings.finish()?;
    Ok(Arc::new(Regex::new(pattern?, &types, time)))
}

/// Reports what can be seen to be wrong with a pattern.
fn check(settings: &Section, pattern: &regex::Regex, types: &[(String, Type)]) {
    let names: Vec<&str> = pattern.capture_names().flatten().collect();
    if names.is_empty() {
        settings.error_at("pattern", "`pattern` names no group, so it would make no field", "name one: (?<level>\\w+)");
    }
    if names.len() > MAX_GROUPS {
        settings.error_at("pattern", format!("`pattern` names more than {MAX_GROUPS} groups"), "");
    }
    for (name, _) in types {
        if !names.contains(&name.as_str()) {
            let known = suiro_sdk::settings::enumerate(names.iter().copied(), "and");
            let help = if known.is_empty() { String::new() } else { format!("its groups are {known}") };
            let message = format!("`types` names `{name}`, which is no group of `pattern`");
            settings.error_at_key("types", name, message, help);
        }
    }
}

impl Setting for Type {
    fn read(value: &Value) -> Result<Self, Reported> {
        value.choice(&[
            ("string", Type::String),
            ("integer", Type::Integer),
            ("float", Type::Float),
            ("bool", Type::Bool),
        ])
    }
}

// === impl Regex ===

impl Regex {
    fn new(regex: regex::Regex, types: &[(String, Type)], time: TimeRule) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let named = || regex.capture_names().enumerate().filter_map(|(index, name)| Some((index, name?)));
        let kind = |name: &str| types.iter().find(|(key, _)| key == name).map_or(Type::String, |(_, kind)| *kind);
        let groups = named().map(|(index, name)| Group { index, kind: kind(name) }).collect();
        let shape = Shape::new(named().map(|(_, name)| name));
        Regex { groups, shape, regex, time, id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    fn locate(
        &self,
        locations: &mut CaptureLocations,
        batch: &mut Batch,
        span: Range<usize>,
    ) -> Result<RootId, ParseError> {
        let text = std::str::from_utf8(&batch.heap()[span.clone()])
            .map_err(|error| ParseError::Mismatch(error.to_string()))?;
        if self.regex.captures_read(locations, text).is_none() {
            return Err(ParseError::Mismatch("the line doesn't match `pattern`".to_owned()));
        }
        let mut record = batch.build_record(&self.shape).map_err(|_| ParseError::KeysFull)?;
        for (field, group) in self.groups.iter().enumerate() {
            if let Some((start, end)) = locations.get(group.index) {
                group.kind.put(&mut record, field, span.start + start..span.start + end);
            }
        }
        Ok(record.finish())
    }
}

impl Parser for Regex {
    fn parse(&self, batch: &mut Batch, span: Range<usize>) -> Result<RootId, ParseError> {
        LOCATIONS.with_borrow_mut(|slot| {
            let own = match slot {
                Some((id, locations)) if *id == self.id => locations,
                other => &mut other.insert((self.id, self.regex.capture_locations())).1,
            };
            self.locate(own, batch, span)
        })
    }

    fn time(&self) -> &TimeRule {
        &self.time
    }
}

// === impl Type ===

impl Type {
    fn put(self, record: &mut Building<'_>, field: usize, span: Range<usize>) {
        // Groups of a line that is UTF-8 are UTF-8.
        let text = std::str::from_utf8(&record.heap()[span.clone()]).unwrap_or_default();
        match self {
            Type::String => {}
            // Numbers of any size keep their digits; what JSON would write otherwise (`007`, `+5`) is read.
            Type::Integer if is_integer(text) => return record.number(field, span),
            Type::Integer => {
                if let Ok(value) = text.parse() {
                    return record.int(field, value);
                }
            }
            Type::Float if is_number(text.as_bytes()) => return record.number(field, span),
            Type::Float => {
                if let Some(value) = text.parse().ok().filter(|value: &f64| value.is_finite()) {
                    return record.float(field, value);
                }
            }
            Type::Bool => match text {
                "true" | "True" | "TRUE" => return record.bool(field, true),
                "false" | "False" | "FALSE" => return record.bool(field, false),
                _ => {}
            },
        }
        record.str(field, span);
    }
}

fn is_integer(text: &str) -> bool {
    is_number(text.as_bytes()) && !text.contains(['.', 'e', 'E'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use suiro_sdk::OnParseError;

    use super::*;
    use crate::test_kit::{batch, build_with, decode, fails};

    #[test]
    fn groups_become_fields() {
        let parser = build_with(build, r"pattern = '^(?<level>\w+)(?: \[(?P<id>[^\]]*)\])? (?<log>.*)$'");
        let decoded = decode(parser, OnParseError::Keep, &["info [7] a \"b\" ü", "warn x", "nothing"]);
        assert_eq!(
            decoded.bodies,
            [r#"{"level":"info","id":"7","log":"a \"b\" ü"}"#, r#"{"level":"warn","log":"x"}"#, r#"{"log":"nothing"}"#,]
        );
        assert_eq!(decoded.parse_errors, 1);
    }

    #[test]
    fn types_are_converted() {
        let settings = "pattern = '(?<i>[^,]*),(?<f>[^,]*),(?<b>[^,]*)'\n\
                        types = { i = 'integer', f = 'float', b = 'bool' }";
        let decoded = decode(
            build_with(build, settings),
            OnParseError::Drop,
            &["12345678901234567890123,1.50,true", "007,+.5,FALSE", "1.5,inf,yes", "-0,1e3,"],
        );
        assert_eq!(
            decoded.bodies,
            [
                r#"{"i":12345678901234567890123,"f":1.50,"b":true}"#,
                r#"{"i":7,"f":0.5,"b":false}"#,
                r#"{"i":"1.5","f":"inf","b":"yes"}"#,
                r#"{"i":-0,"f":1e3,"b":""}"#,
            ]
        );
    }

    #[test]
    fn a_time_is_taken_where_it_is_named() {
        let settings = "pattern = '^(?<time>\\S+) (?<log>.*)$'\ntime_key = 'time'\ntime_format = 'epoch'";
        let decoded = decode(build_with(build, settings), OnParseError::Keep, &["60 x", "sixty x"]);
        assert_eq!(decoded.times, [Some(60_000_000_000), None]);
        let without = decode(build_with(build, "pattern = '^(?<time>\\S+)'"), OnParseError::Keep, &["1700000000 x"]);
        assert_eq!(without.times, [None]);
    }

    #[test]
    fn parsers_take_turns_on_a_thread() {
        let a = build_with(build, "pattern = '(?<a>\\d)'");
        let b = build_with(build, "pattern = '(?<b>\\w)(?<c>\\w)'");
        let mut batch = batch();
        batch.heap_mut().extend_from_slice(b"12");
        for _ in 0..3 {
            for (parser, want) in [(&a, r#"{"a":"1"}"#), (&b, r#"{"b":"1","c":"2"}"#)] {
                let root = parser.parse(&mut batch, 0..2).unwrap();
                let mut json = Vec::new();
                batch.body(root).write_json(&mut json);
                assert_eq!(String::from_utf8_lossy(&json), want);
            }
        }
    }

    #[test]
    fn mistakes_in_settings_are_named() {
        assert!(fails(build, "").contains("missing setting `pattern`"));
        assert!(fails(build, "pattern = '(\\d+)'").contains("names no group"));
        assert!(fails(build, "pattern = '(?<a'").contains("isn't a regular expression"));
        assert!(fails(build, "pattern = '(?<a>.)(?=b)'").contains("linear time"));
        assert!(fails(build, "pattern = '(?<a>.)'\ntypes = { b = 'integer' }").contains("no group of `pattern`"));
        assert!(fails(build, "pattern = '(?<a>.)'\ntypes = { a = 'int' }").contains("did you mean `integer`"));
    }

    proptest! {
        #[test]
        fn no_line_breaks_it(lines in proptest::collection::vec(any::<String>(), 1..20)) {
            let parser = build_with(build, "pattern = '(?s)^(?<a>.)(?<n>.{0,3})(?<b>.*)$'\ntypes = { n = 'float' }");
            let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
            let decoded = decode(parser, OnParseError::Keep, &lines);
            prop_assert_eq!(decoded.bodies.len(), lines.len());
            for (body, line) in decoded.bodies.iter().zip(&lines) {
                let mut batch = batch();
                batch.heap_mut().extend_from_slice(body.as_bytes());
                let root = batch.parse_json(0..body.len());
                prop_assert!(root.is_ok(), "{} of {:?}", body, line);
            }
        }
    }
}
