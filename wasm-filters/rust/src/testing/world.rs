//! What there is while a filter runs in a test.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::{self, Path, Step};
use crate::log::Level;

pub(super) const ABSENT: i32 = -1;
pub(super) const WRONG_TYPE: i32 = -2;
pub(super) const INVALID: i32 = -3;
pub(super) const DENIED: i32 = -4;
pub(super) const FULL: i32 = -5;
pub(super) const BAD_TEXT: i32 = -6;

/// A record.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) value: Map<String, Value>,
    header: Map<String, Value>,
    resource: Map<String, Value>,
    pub(super) tag: String,
    pub(super) timestamp: i64,
    state: State,
    /// The record it was emitted from.
    parent: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Kept,
    Dropped,
    Failed(String),
}

/// A walk: the places that are still to be visited, last first.
struct Walk {
    row: usize,
    places: Vec<Vec<Step>>,
    current: Option<Vec<Step>>,
}

pub(super) struct World {
    config: Value,
    rows: Vec<Row>,
    /// Rows as they follow one another.
    order: Vec<usize>,
    walk: Option<Walk>,
    log: Vec<(Level, String)>,
    counters: BTreeMap<String, u64>,
    gauges: BTreeMap<String, f64>,
}

/// Where a field is, in one record.
enum Place {
    Body(Vec<Step>),
    Header(Vec<Step>),
    Resource(Vec<Step>),
    Tag,
    Time,
}

// === impl Row ===

impl Row {
    pub(super) fn new(
        value: Map<String, Value>,
        header: Map<String, Value>,
        resource: Map<String, Value>,
        tag: String,
        timestamp: i64,
    ) -> Row {
        Row { value, header, resource, tag, timestamp, state: State::Kept, parent: None }
    }

    pub(super) fn goes_on(&self) -> bool {
        self.state == State::Kept
    }

    pub(super) fn is_dropped(&self) -> bool {
        self.state == State::Dropped
    }

    pub(super) fn failure(&self) -> Option<&str> {
        if let State::Failed(why) = &self.state { Some(why) } else { None }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(&self.value).expect("maps can be written")
    }

    fn find(&self, path: &Path) -> Option<Place> {
        if !path.special {
            return path.find(&self.value).map(Place::Body);
        }
        match path.parts.first()? {
            path::Part::Key(word) if word == "tag" => Some(Place::Tag),
            path::Part::Key(word) if word == "time" => Some(Place::Time),
            path::Part::Key(word) if word == "resource" => tail(path).find(&self.resource).map(Place::Resource),
            path::Part::Key(word) if is_header(word) => path.find(&self.header).map(Place::Header),
            _ => path.find(&self.resource).map(Place::Resource),
        }
    }

    fn value(&self, place: &Place) -> Option<Value> {
        match place {
            Place::Body(steps) => path::at(&self.value, steps).cloned(),
            Place::Header(steps) => path::at(&self.header, steps).cloned(),
            Place::Resource(steps) => path::at(&self.resource, steps).cloned(),
            Place::Tag => Some(Value::String(self.tag.clone())),
            Place::Time => Some(Value::String(rfc3339(self.timestamp))),
        }
    }
}

// === impl World ===

impl World {
    pub(super) fn new(config: Value, rows: Vec<Row>) -> World {
        let order = (0..rows.len()).collect();
        let (counters, gauges) = (BTreeMap::new(), BTreeMap::new());
        World { config, rows, order, walk: None, log: Vec::new(), counters, gauges }
    }

    #[expect(clippy::type_complexity, reason = "it is taken apart at once")]
    pub(super) fn end(mut self) -> (Vec<Row>, Vec<(Level, String)>, BTreeMap<String, u64>, BTreeMap<String, f64>) {
        let rows = self.order.iter().map(|&row| self.rows[row].clone()).collect();
        (rows, std::mem::take(&mut self.log), self.counters, self.gauges)
    }

    fn row(&self, rec: i32) -> Result<(usize, &Row), i32> {
        let index = usize::try_from(rec).map_err(|_| INVALID)?;
        let row = self.rows.get(index).ok_or(INVALID)?;
        if row.goes_on() { Ok((index, row)) } else { Err(DENIED) }
    }

    /// The value of a field.
    pub(super) fn value(&self, rec: i32, field: i32) -> Result<Value, i32> {
        let (index, row) = self.row(rec)?;
        if field == crate::sys::AT {
            let walk = self.walk.as_ref().filter(|walk| walk.row == index).ok_or(ABSENT)?;
            let current = walk.current.as_ref().ok_or(ABSENT)?;
            return path::at(&row.value, current).cloned().ok_or(ABSENT);
        }
        let path = super::functions::path_of(field)?;
        row.find(&path).and_then(|place| row.value(&place)).ok_or(ABSENT)
    }

    pub(super) fn set(&mut self, rec: i32, field: i32, value: Value) -> i32 {
        self.try_set(rec, field, value).err().unwrap_or(0)
    }

    fn try_set(&mut self, rec: i32, field: i32, value: Value) -> Result<(), i32> {
        let (index, row) = self.row(rec)?;
        if field == crate::sys::AT {
            let walk = self.walk.as_mut().filter(|walk| walk.row == index).ok_or(ABSENT)?;
            let current = walk.current.clone().ok_or(ABSENT)?;
            // What was in it is not there any more, whatever is there now.
            walk.places.retain(|place| !place.starts_with(&current));
            *place_mut(&mut self.rows[index].value, &current).ok_or(ABSENT)? = value;
            return Ok(());
        }
        let path = super::functions::path_of(field)?;
        if path.special {
            match path.parts.first() {
                Some(path::Part::Key(word)) if is_header(word) => {
                    put(&mut self.rows[index].header, &path, value).ok_or(DENIED)?;
                    return Ok(());
                }
                _ => return Err(DENIED),
            }
        }
        path.place(&row.value).ok_or(DENIED)?;
        self.end_walk(index);
        put(&mut self.rows[index].value, &path, value).ok_or(DENIED)
    }

    pub(super) fn remove(&mut self, rec: i32, field: i32) -> Result<bool, i32> {
        let (index, row) = self.row(rec)?;
        let steps = if field == crate::sys::AT {
            let walk = self.walk.as_mut().filter(|walk| walk.row == index).ok_or(ABSENT)?;
            let Some(current) = walk.current.take() else { return Ok(false) };
            walk.places.retain(|place| !place.starts_with(&current));
            // Items of a list move up.
            if let Some((Step::Index(gone), list)) = current.split_last() {
                for place in walk.places.iter_mut().filter(|place| place.starts_with(list)) {
                    if let Step::Index(index) = &mut place[list.len()]
                        && *index > *gone
                    {
                        *index -= 1;
                    }
                }
            }
            current
        } else {
            let path = super::functions::path_of(field)?;
            let steps = match row.find(&path) {
                None => return Ok(false),
                Some(Place::Body(steps)) => steps,
                Some(Place::Header(steps)) => return Ok(take(&mut self.rows[index].header, &steps)),
                Some(_) => return Err(DENIED),
            };
            self.end_walk(index);
            steps
        };
        Ok(take(&mut self.rows[index].value, &steps))
    }

    fn end_walk(&mut self, row: usize) {
        if self.walk.as_ref().is_some_and(|walk| walk.row == row) {
            self.walk = None;
        }
    }

    pub(super) fn each(&mut self, rec: i32, kinds: i32) -> i32 {
        let (index, row) = match self.row(rec) {
            Ok(found) => found,
            Err(code) => return code,
        };
        let mut places = Vec::new();
        for (key, value) in &row.value {
            list_places(value, vec![Step::Key(key.clone())], kinds, &mut places);
        }
        places.reverse();
        self.walk = Some(Walk { row: index, places, current: None });
        0
    }

    /// The next value of the walk.
    pub(super) fn next(&mut self) -> Result<Value, i32> {
        let walk = self.walk.as_mut().ok_or(ABSENT)?;
        let row = &self.rows[walk.row];
        walk.current = walk.places.pop();
        let current = walk.current.as_ref().ok_or(ABSENT)?;
        path::at(&row.value, current).cloned().ok_or(ABSENT)
    }

    pub(super) fn path(&self) -> Result<String, i32> {
        let walk = self.walk.as_ref().ok_or(ABSENT)?;
        walk.current.as_ref().map(|steps| path::write(steps)).ok_or(ABSENT)
    }

    pub(super) fn row_mut(&mut self, rec: i32) -> Result<&mut Row, i32> {
        let (index, _) = self.row(rec)?;
        Ok(&mut self.rows[index])
    }

    pub(super) fn get_row(&self, rec: i32) -> Result<&Row, i32> {
        self.row(rec).map(|(_, row)| row)
    }

    pub(super) fn drop(&mut self, rec: i32) -> i32 {
        self.row_mut(rec).map(|row| row.state = State::Dropped).err().unwrap_or(0)
    }

    pub(super) fn fail(&mut self, rec: i32, why: &str) -> i32 {
        self.row_mut(rec).map(|row| row.state = State::Failed(why.to_owned())).err().unwrap_or(0)
    }

    pub(super) fn replace(&mut self, rec: i32, value: Map<String, Value>) -> i32 {
        let Ok((index, _)) = self.row(rec) else { return self.row(rec).err().unwrap_or(INVALID) };
        self.end_walk(index);
        self.rows[index].value = value;
        0
    }

    pub(super) fn emit(&mut self, rec: i32, value: Map<String, Value>) -> i32 {
        // From a dropped record too.
        let Some(parent) = usize::try_from(rec).ok().filter(|&index| index < self.rows.len()) else { return INVALID };
        let from = &self.rows[parent];
        let mut row = Row::new(value, from.header.clone(), from.resource.clone(), from.tag.clone(), from.timestamp);
        row.parent = Some(parent);
        let index = self.rows.len();
        let from = self.order.iter().position(|&at| at == parent).expect("every row is in the order");
        let mine = self.order[from + 1..].iter().take_while(|&&at| self.descends(at, parent)).count();
        self.order.insert(from + 1 + mine, index);
        self.rows.push(row);
        i32::try_from(index).unwrap_or(FULL)
    }

    fn descends(&self, mut row: usize, from: usize) -> bool {
        while let Some(parent) = self.rows[row].parent {
            if parent == from {
                return true;
            }
            row = parent;
        }
        false
    }

    /// A setting, by its path.
    pub(super) fn config(&self, key: &str) -> Result<Value, i32> {
        if key.is_empty() {
            return Ok(self.config.clone());
        }
        let path = Path::parse(key).ok_or(BAD_TEXT)?;
        let map = self.config.as_object().ok_or(ABSENT)?;
        let steps = path.find(map).ok_or(ABSENT)?;
        path::at(map, &steps).cloned().ok_or(ABSENT)
    }

    pub(super) fn log(&mut self, level: i32, text: &str) -> i32 {
        let level = match level {
            0 => Level::Error,
            1 => Level::Warn,
            2 => Level::Info,
            3 => Level::Debug,
            _ => return INVALID,
        };
        self.log.push((level, text.to_owned()));
        0
    }

    pub(super) fn counter(&mut self, name: &str, add: i64) -> i32 {
        let Ok(add) = u64::try_from(add) else { return INVALID };
        if let Err(code) = self.check_metric(name) {
            return code;
        }
        *self.counters.entry(name.to_owned()).or_default() += add;
        0
    }

    pub(super) fn gauge(&mut self, name: &str, value: f64) -> i32 {
        if let Err(code) = self.check_metric(name) {
            return code;
        }
        self.gauges.insert(name.to_owned(), value);
        0
    }

    fn check_metric(&self, name: &str) -> Result<(), i32> {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(known) {
            return Err(BAD_TEXT);
        }
        let new = !self.counters.contains_key(name) && !self.gauges.contains_key(name);
        if new && self.counters.len() + self.gauges.len() >= 64 { Err(FULL) } else { Ok(()) }
    }
}

/// The kind's number.
pub(super) fn kind(value: &Value) -> i32 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(number) => 3 - i32::from(number.is_i64() || number.is_u64()),
        Value::String(_) => 4,
        Value::Array(_) => 6,
        Value::Object(_) => 7,
    }
}

fn is_header(word: &str) -> bool {
    matches!(word, "severity" | "severity_number" | "trace_id" | "span_id" | "observed_time" | "attributes")
}

fn tail(path: &Path) -> Path {
    Path { special: false, parts: path.parts[1..].to_vec() }
}

fn list_places(value: &Value, place: Vec<Step>, kinds: i32, out: &mut Vec<Vec<Step>>) {
    if kinds & (1 << kind(value)) != 0 {
        out.push(place.clone());
    }
    let mut step = |step: Step, value: &Value| {
        let mut place = place.clone();
        place.push(step);
        list_places(value, place, kinds, out);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| step(Step::Key(key.clone()), value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, value)| step(Step::Index(i), value)),
        _ => {}
    }
}

fn place_mut<'v>(root: &'v mut Map<String, Value>, steps: &[Step]) -> Option<&'v mut Value> {
    let (Step::Key(first), rest) = steps.split_first()? else { return None };
    rest.iter().try_fold(root.get_mut(first)?, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })
}

fn put(root: &mut Map<String, Value>, path: &Path, mut value: Value) -> Option<()> {
    let (steps, missing) = path.place(root)?;
    if missing.is_empty() {
        *place_mut(root, &steps)? = value;
        return Some(());
    }
    for key in missing[1..].iter().rev() {
        value = Value::Object(Map::from_iter([(key.clone(), value)]));
    }
    let map = if steps.is_empty() { root } else { place_mut(root, &steps)?.as_object_mut()? };
    map.insert(missing[0].clone(), value);
    Some(())
}

fn take(root: &mut Map<String, Value>, steps: &[Step]) -> bool {
    let Some((last, above)) = steps.split_last() else { return false };
    if above.is_empty() {
        return matches!(last, Step::Key(key) if root.shift_remove(key).is_some());
    }
    match (place_mut(root, above), last) {
        (Some(Value::Object(map)), Step::Key(key)) => map.shift_remove(key).is_some(),
        (Some(Value::Array(list)), Step::Index(index)) if *index < list.len() => {
            list.remove(*index);
            true
        }
        _ => false,
    }
}

/// The time as the agent writes it: without a fraction that is 0.
fn rfc3339(ns: i64) -> String {
    let (seconds, fraction) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 0000-03-01, in eras of 400 years: the leap day is a year's last.
    let since = days + 719_468;
    let (era, day) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(date.1 <= 2);
    let mut text = format!(
        "{year:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        date.1,
        date.0,
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    );
    if fraction > 0 {
        text.push_str(format!(".{fraction:09}").trim_end_matches('0'));
    }
    text + "Z"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(rfc3339(951_782_400_250_000_000), "2000-02-29T00:00:00.25Z");
        assert_eq!(rfc3339(1_767_225_599_000_000_000), "2025-12-31T23:59:59Z");
    }
}
