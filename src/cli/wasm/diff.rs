//! Records that came, against those that were expected.
//!
//! Two records are the same where they are the same JSON: spaces and the order of a map's fields do not matter, the
//! digits of numbers do. A record that is missing, or one that is too many, is told as that and does not make those
//! behind it differ.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::value::RawValue;

use super::Stop;
use crate::cli::screen::count;

/// Largest file of expected records.
const MAX_FILE: u64 = 256 << 20;
/// How far ahead a record is looked for, before it counts as another one.
const AHEAD: usize = 50;
/// Levels of a record that are looked into.
const MAX_DEPTH: usize = 100;
/// Differences that are shown.
const SHOWN: u64 = 20;
/// Characters of a text that are shown.
const WIDTH: usize = 300;

/// A record that came.
pub(super) struct Came {
    /// The line of the input it was, or was made of.
    pub(super) number: usize,
    pub(super) json: String,
}

/// A record that is expected.
pub(super) struct Expected {
    number: usize,
    json: String,
}

/// How they differ.
pub(super) struct Report {
    pub(super) differences: u64,
    pub(super) text: String,
}

/// A JSON value in its one form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// `null`, a boolean, or a number, as it is written.
    Word(String),
    Text(String),
    List(Vec<Form>),
    Map(BTreeMap<String, Form>),
}

/// Reads the records that are expected.
pub(super) fn read(path: &Path) -> Result<Vec<Expected>, Stop> {
    let failed = |why: String| Stop::Usage(format!("--expect {}: {why}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > MAX_FILE {
        return Err(failed("it is larger than 256 MiB".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let mut expected = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if let Err(error) = serde_json::from_str::<&RawValue>(line) {
            return Err(failed(format!("line {} is no JSON: {error}", i + 1)));
        }
        expected.push(Expected { number: i + 1, json: line.to_owned() });
    }
    Ok(expected)
}

/// Compares, in order. `file` is what the file of the expected ones is called.
pub(super) fn compare(came: &[Came], expected: &[Expected], file: &str) -> Report {
    let forms: Vec<Form> = came.iter().map(|came| form(&came.json)).collect();
    let wanted: Vec<Form> = expected.iter().map(|expected| form(&expected.json)).collect();
    let mut report = Report { differences: 0, text: String::new() };
    let (mut c, mut e) = (0, 0);
    while c < came.len() || e < expected.len() {
        if c < came.len() && e < expected.len() && forms[c] == wanted[e] {
            (c, e) = (c + 1, e + 1);
            continue;
        }
        // Where does it go on as expected? The nearest place, on either side.
        let extra = (1..=AHEAD).find(|n| e < wanted.len() && forms.get(c + n) == Some(&wanted[e]));
        let missing = (1..=AHEAD).find(|n| c < forms.len() && wanted.get(e + n) == Some(&forms[c]));
        let (extra, missing) = match (extra, missing) {
            (Some(extra), Some(missing)) if extra <= missing => (extra, 0),
            (_, Some(missing)) => (0, missing),
            (Some(extra), None) => (extra, 0),
            (None, None) if c == came.len() => (0, expected.len() - e),
            (None, None) if e == expected.len() => (came.len() - c, 0),
            (None, None) => {
                let Expected { number, .. } = expected[e];
                let head = format!("line {}: it is not what line {number} of {file} expects", came[c].number);
                report.add(&head, |text| fields(text, &wanted[e], &forms[c]));
                (c, e) = (c + 1, e + 1);
                continue;
            }
        };
        for came in &came[c..c + extra] {
            report.add(&format!("line {}: a record that is not expected", came.number), |text| {
                let _ = writeln!(text, "  + {}", cut(&came.json));
            });
        }
        for expected in &expected[e..e + missing] {
            report.add(&format!("line {} of {file} is missing", expected.number), |text| {
                let _ = writeln!(text, "  - {}", cut(&expected.json));
            });
        }
        (c, e) = (c + extra, e + missing);
    }
    if report.differences > SHOWN {
        let _ = writeln!(report.text, "and {} further differences", count(report.differences - SHOWN));
    }
    report
}

// === impl Report ===

impl Report {
    fn add(&mut self, head: &str, detail: impl FnOnce(&mut String)) {
        self.differences += 1;
        if self.differences <= SHOWN {
            // Writing to a `String` does not fail.
            let _ = writeln!(self.text, "{head}");
            detail(&mut self.text);
        }
    }
}

/// The fields in which two records differ.
fn fields(text: &mut String, expected: &Form, came: &Form) {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    leaves(expected, String::new(), &mut left);
    leaves(came, String::new(), &mut right);
    let paths: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for path in paths {
        let (was, is) = (left.get(path), right.get(path));
        if was == is {
            continue;
        }
        let name = if path.is_empty() { "it" } else { path };
        for (sign, value) in [('-', was), ('+', is)] {
            if let Some(value) = value {
                let _ = writeln!(text, "  {sign} {name}: {}", cut(value));
            }
        }
    }
}

/// Every value that holds no other, by its path.
fn leaves(form: &Form, path: String, found: &mut BTreeMap<String, String>) {
    match form {
        Form::Word(word) => drop(found.insert(path, word.clone())),
        Form::Text(text) => drop(found.insert(path, quoted(text))),
        Form::List(items) if items.is_empty() => drop(found.insert(path, "[]".to_owned())),
        Form::Map(members) if members.is_empty() => drop(found.insert(path, "{}".to_owned())),
        Form::List(items) => {
            items.iter().enumerate().for_each(|(i, item)| leaves(item, format!("{path}[{i}]"), found));
        }
        Form::Map(members) => {
            for (key, value) in members {
                let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
                let key = if plain { key.clone() } else { quoted(key) };
                leaves(value, if path.is_empty() { key } else { format!("{path}.{key}") }, found);
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// No more of a text than fits the screen.
fn cut(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{} …", &text[..at]),
        None => text.to_owned(),
    }
}

/// The one form of a JSON text. It is JSON: who wrote it is the agent, or it was looked at before.
fn form(json: &str) -> Form {
    form_within(json, MAX_DEPTH)
}

/// The same, of a value that may have so many levels; what is deeper is compared as it is written.
fn form_within(json: &str, depth: usize) -> Form {
    let json = json.trim();
    let inner = |value: &RawValue| form_within(value.get(), depth - 1);
    match json.as_bytes().first() {
        Some(b'{') if depth > 0 => serde_json::from_str::<BTreeMap<String, &RawValue>>(json)
            .map(|members| Form::Map(members.into_iter().map(|(key, value)| (key, inner(value))).collect()))
            .unwrap_or_else(|_| Form::Word(json.to_owned())),
        Some(b'[') if depth > 0 => serde_json::from_str::<Vec<&RawValue>>(json)
            .map(|items| Form::List(items.into_iter().map(inner).collect()))
            .unwrap_or_else(|_| Form::Word(json.to_owned())),
        Some(b'"') => serde_json::from_str(json).map_or_else(|_| Form::Word(json.to_owned()), Form::Text),
        _ => Form::Word(json.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(came: &[&str], expected: &[&str]) -> Report {
        let came: Vec<Came> =
            came.iter().enumerate().map(|(i, json)| Came { number: i + 1, json: (*json).to_owned() }).collect();
        let expected: Vec<Expected> =
            expected.iter().enumerate().map(|(i, json)| Expected { number: i + 1, json: (*json).to_owned() }).collect();
        compare(&came, &expected, "want")
    }

    #[test]
    fn the_same_json_is_the_same_however_it_is_written() {
        for (came, expected) in [
            (r#"{"a":1,"b":[1,{"c":"x"}]}"#, r#"{ "b": [1, {"c":"x"}], "a": 1 }"#),
            (r#"{"a":"é/"}"#, r#"{"a":"\u00e9\/"}"#),
            ("{}", " {} "),
        ] {
            assert_eq!(report(&[came], &[expected]).differences, 0, "{came}");
        }
        for (came, expected) in [
            (r#"{"a":1}"#, r#"{"a":1.0}"#),
            (r#"{"a":10000000000000000000001}"#, r#"{"a":10000000000000000000002}"#),
            (r#"{"a":"1"}"#, r#"{"a":1}"#),
            (r#"{"a":null}"#, "{}"),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
        ] {
            assert_eq!(report(&[came], &[expected]).differences, 1, "{came}");
        }
    }

    #[test]
    fn a_difference_names_the_line_and_the_fields() {
        let report = report(
            &[r#"{"n":1}"#, r#"{"n":2,"a":{"b c":"x","l":[1]}}"#],
            &[r#"{"n":1}"#, r#"{"n":2,"a":{"b c":"y","l":[1,2]},"gone":{}}"#],
        );
        let want = "line 2: it is not what line 2 of want expects\n  - a.\"b c\": \"y\"\n  + a.\"b c\": \"x\"\n  - a.l[1]: 2\n  - gone: {}\n";
        assert_eq!((report.differences, report.text.as_str()), (1, want));
    }

    #[test]
    fn one_that_is_missing_or_too_many_is_told_as_that() {
        let lines: Vec<String> = (0..10).map(|n| format!("{{\"n\":{n}}}")).collect();
        let all: Vec<&str> = lines.iter().map(String::as_str).collect();
        let less: Vec<&str> = all.iter().copied().filter(|line| !line.contains('3')).collect();
        let missing = report(&less, &all);
        assert_eq!((missing.differences, missing.text.as_str()), (1, "line 4 of want is missing\n  - {\"n\":3}\n"));
        let extra = report(&all, &less);
        assert_eq!(
            (extra.differences, extra.text.as_str()),
            (1, "line 4: a record that is not expected\n  + {\"n\":3}\n")
        );
        assert_eq!(report(&all, &[]).differences, 10);
        assert_eq!(report(&[], &all).differences, 10);
    }

    #[test]
    fn of_many_only_some_are_shown() {
        let came: Vec<String> = (0..100).map(|n| format!("{{\"n\":{n}}}")).collect();
        let came: Vec<&str> = came.iter().map(String::as_str).collect();
        let report = report(&came, &[r#"{"x":1}"#; 100]);
        assert_eq!(report.differences, 100);
        assert!(report.text.ends_with("and 80 further differences\n"), "{}", report.text);
    }
}
