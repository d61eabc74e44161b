//! A parser's `time_format` and `time_zone`.
//!
//! | `time_format` | reads |
//! | --- | --- |
//! | `auto` (default) | RFC 3339, or an epoch of 1973 or later: a bare number below 100,000,000 is a duration more often than a time |
//! | `rfc3339` | RFC 3339 |
//! | `epoch` | a number, or a text of digits, since the epoch; the unit by its size ([`epoch_int`]) |
//! | a format with `%` | what `strptime` would: the directives of `jiff`, and `%L` as another name of `%f` |
//!
//! `time_zone` holds where a text has no offset: a name (`Asia/Tokyo`), `local`, `+09:00`; default UTC. With a zone of its
//! own, `auto` and `rfc3339` also take times without an offset. A local time that a change of clocks skips is moved
//! forward by the gap; of one that comes twice, the first is meant.
//!
//! A format without a year (`%b %d %H:%M:%S`, syslog's) takes the latest year that puts the time no more than a day after
//! it was read: logs are of the past, and clocks differ.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone};
use suiro_record::{Field, Value};

use super::civil::{date_of, offset};
use super::clf::parse_clf;
use super::epoch::{epoch_float, epoch_int, parse_epoch};
use super::rfc3339::{Stamp, parse_stamp};
use super::{SECOND, join};
use crate::settings::{Section, nearest};

/// The longest text taken for a time, and the longest format, bytes.
const MAX_TEXT: usize = 256;
/// The common log format.
const CLF: &str = "%d/%b/%Y:%H:%M:%S %z";
/// How far a time without a year may lie in the future.
const AHEAD: i64 = 86_400 * SECOND;
/// Years in which each day comes, the 29th of February too.
const YEARS: i64 = 8;
/// Seconds below which `auto` doesn't take a number for an epoch.
const FIRST_EPOCH: i64 = 100_000_000;

/// How a text or number is read as a time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TimeFormat {
    kind: Kind,
    zone: Option<TimeZone>,
}

/// What is wrong with a format or a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TimeFormatError {
    /// The setting: `time_format` or `time_zone`.
    pub setting: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: String,
}

#[derive(Clone, Debug)]
enum Kind {
    Auto,
    Rfc3339,
    Epoch,
    Clf,
    Strptime { format: String, simple: Option<Simple> },
}

/// A format that is RFC 3339 but for a detail, and is read by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Simple {
    separator: u8,
    offset: bool,
}

// === impl TimeFormat ===

impl TimeFormat {
    /// RFC 3339 or epoch.
    pub fn auto() -> Self {
        TimeFormat { kind: Kind::Auto, zone: None }
    }

    /// The format `format` and the zone `zone`, as their settings have them.
    pub fn parse(format: &str, zone: Option<&str>) -> Result<TimeFormat, TimeFormatError> {
        let zone = zone.map(parse_zone).transpose()?;
        let kind = match format {
            "auto" => Kind::Auto,
            "rfc3339" => Kind::Rfc3339,
            "epoch" => Kind::Epoch,
            CLF => Kind::Clf,
            _ => return TimeFormat::strptime(format, zone),
        };
        Ok(TimeFormat { kind, zone })
    }

    /// Reads the settings `time_format` and `time_zone` of `section`. Mistakes are reported.
    pub fn from_section(section: &Section) -> TimeFormat {
        let format = section.get::<String>("time_format");
        let zone = section.get::<String>("time_zone");
        TimeFormat::parse(format.as_deref().unwrap_or("auto"), zone.as_deref()).unwrap_or_else(|error| {
            section.error_at(error.setting, error.message, error.help);
            TimeFormat::auto()
        })
    }

    fn strptime(format: &str, zone: Option<TimeZone>) -> Result<TimeFormat, TimeFormatError> {
        let error =
            |message: String, help: &str| TimeFormatError { setting: "time_format", message, help: help.to_owned() };
        if !format.contains('%') {
            let meant = nearest(format, ["auto", "rfc3339", "epoch"]);
            return Err(error(
                format!("`{}` is no time format", shortened(format)),
                &meant.map_or_else(
                    || "`auto`, `rfc3339`, `epoch`, or a format such as \"%Y-%m-%d %H:%M:%S\"".to_owned(),
                    |name| format!("did you mean `{name}`?"),
                ),
            ));
        }
        if format.len() > MAX_TEXT {
            return Err(error(format!("a time format has at most {MAX_TEXT} bytes"), ""));
        }
        let simple = Simple::of(format);
        let format = percent_l_to_f(format);
        // What a format can't read of its own writing, it can't read at all.
        let sample = BrokenDownTime::from(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC));
        let read = sample.to_string(&format).and_then(|text| BrokenDownTime::parse(&format, &text));
        let mut read = read.map_err(|why| error(format!("this time format can't be read: {why}"), ""))?;
        if has_no_year(&read) {
            // The sample's own; otherwise every date lacks one.
            let _ = read.set_year(Some(1970));
        }
        if read.timestamp().is_none() && read.to_datetime().is_err() {
            return Err(error(
                "this time format gives no day, or minutes without hours".to_owned(),
                "month and day are needed: \"%b %d %H:%M:%S\"",
            ));
        }
        Ok(TimeFormat { kind: Kind::Strptime { format, simple }, zone })
    }

    /// The time `text` says. `near` is when it was read; it supplies the year where the format has none.
    pub fn read_text(&self, text: &[u8], near: i64) -> Option<i64> {
        if text.len() > MAX_TEXT {
            return None;
        }
        match &self.kind {
            Kind::Auto => self.read_stamp(text).or_else(|| plausible(parse_epoch(text)?)),
            Kind::Rfc3339 => self.read_stamp(text),
            Kind::Epoch => parse_epoch(text),
            Kind::Clf => parse_clf(text),
            Kind::Strptime { format, simple } => {
                let fast = simple.and_then(|simple| self.read_simple(simple, text));
                fast.or_else(|| self.read_strptime(format, text, near))
            }
        }
    }

    /// The time a field says; a `@time` says itself.
    pub fn read(&self, field: Field<'_>, near: i64) -> Option<i64> {
        if let Field::Time(ns) = field {
            return Some(ns);
        }
        if let Some(text) = field.as_str() {
            return self.read_text(text.as_bytes(), near);
        }
        let epoch = match field.as_i64() {
            Some(number) => epoch_int(number),
            None => read_other_number(field),
        };
        match &self.kind {
            Kind::Auto => epoch.and_then(plausible),
            Kind::Epoch => epoch,
            Kind::Rfc3339 | Kind::Clf => None,
            Kind::Strptime { .. } => {
                field.as_f64()?;
                let mut text = Vec::new();
                field.write_text(&mut text);
                self.read_text(&text, near)
            }
        }
    }

    fn read_stamp(&self, text: &[u8]) -> Option<i64> {
        let stamp = parse_stamp(text)?;
        match (&self.zone, stamp.has_offset) {
            (_, true) => join(stamp.seconds, stamp.nanos),
            (Some(zone), false) => local(stamp, zone),
            (None, false) => None,
        }
    }

    fn read_simple(&self, simple: Simple, text: &[u8]) -> Option<i64> {
        let stamp = parse_stamp(text)?;
        if text[10] != simple.separator || stamp.has_offset != simple.offset {
            return None;
        }
        match &self.zone {
            Some(zone) if !stamp.has_offset => local(stamp, zone),
            _ => join(stamp.seconds, stamp.nanos),
        }
    }

    fn read_strptime(&self, format: &str, text: &[u8], near: i64) -> Option<i64> {
        let mut read = BrokenDownTime::parse(format, text).ok()?;
        if !has_no_year(&read) {
            return self.settle(&read);
        }
        let (year, ..) = date_of(near.div_euclid(86_400 * SECOND));
        let mut candidates = (year - YEARS..=year + 1).rev().filter_map(|year| {
            read.set_year(i16::try_from(year).ok()).ok()?;
            self.settle(&read)
        });
        candidates.find(|&time| time <= near.saturating_add(AHEAD))
    }

    fn settle(&self, read: &BrokenDownTime) -> Option<i64> {
        let time = if read.iana_time_zone().is_some() {
            read.to_zoned().ok()?.timestamp()
        } else if read.offset().is_some() || read.timestamp().is_some() {
            read.to_timestamp().ok()?
        } else {
            let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
            zone.to_ambiguous_timestamp(read.to_datetime().ok()?).compatible().ok()?
        };
        i64::try_from(time.as_nanosecond()).ok()
    }
}

impl Default for TimeFormat {
    fn default() -> Self {
        TimeFormat::auto()
    }
}

// === impl Simple ===

impl Simple {
    fn of(format: &str) -> Option<Simple> {
        let rest = format.strip_prefix("%Y-%m-%d").or_else(|| format.strip_prefix("%F"))?;
        let (&separator, rest) = rest.as_bytes().split_first()?;
        let rest = rest.strip_prefix(b"%H:%M:%S").or_else(|| rest.strip_prefix(b"%T"))?;
        let fraction = [&b"%.f"[..], b".%f", b",%f", b".%L", b",%L", b".%N"];
        let rest = fraction.iter().find_map(|form| rest.strip_prefix(*form)).unwrap_or(rest);
        let offset = match rest {
            b"" => false,
            b"%z" | b"%:z" => true,
            _ => return None,
        };
        matches!(separator, b'T' | b' ').then_some(Simple { separator, offset })
    }
}

/// A number that is no `i64`: its text says more than a float could.
fn read_other_number(field: Field<'_>) -> Option<i64> {
    match field {
        Field::Node(node) => match node.number_text() {
            Some(text) => parse_epoch(text.as_bytes()),
            None => epoch_float(node.as_f64()?),
        },
        Field::Value(Value::Number(text)) => parse_epoch(text.as_bytes()),
        _ => epoch_float(field.as_f64()?),
    }
}

fn has_no_year(read: &BrokenDownTime) -> bool {
    read.year().is_none() && read.iso_week_year().is_none() && read.timestamp().is_none()
}

fn plausible(ns: i64) -> Option<i64> {
    (ns / SECOND >= FIRST_EPOCH).then_some(ns)
}

/// A date and time on the clocks of a zone.
fn local(stamp: Stamp, zone: &TimeZone) -> Option<i64> {
    let as_utc = Timestamp::new(stamp.seconds, i32::try_from(stamp.nanos).ok()?).ok()?;
    let time = zone.to_ambiguous_timestamp(Offset::UTC.to_datetime(as_utc)).compatible().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// `%L` is `%f` to jiff.
fn percent_l_to_f(format: &str) -> String {
    let mut out = String::with_capacity(format.len());
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '%' {
            match chars.next() {
                Some('L') => out.push('f'),
                Some(other) => out.push(other),
                None => {}
            }
        }
    }
    out
}

fn parse_zone(name: &str) -> Result<TimeZone, TimeFormatError> {
    if name == "local" {
        return Ok(TimeZone::system());
    }
    if let Some(seconds) = offset(name.as_bytes()) {
        let offset = i32::try_from(seconds).ok().and_then(|seconds| Offset::from_seconds(seconds).ok());
        return Ok(offset.unwrap_or(Offset::UTC).to_time_zone());
    }
    TimeZone::get(name).map_err(|_| {
        let names: Vec<String> = jiff::tz::db().available().map(|known| known.to_string()).collect();
        let meant = nearest(name, names.iter().map(String::as_str));
        TimeFormatError {
            setting: "time_zone",
            message: format!("`{}` is no time zone", shortened(name)),
            help: meant.map_or_else(
                || "a name such as \"Europe/Paris\", \"local\", or an offset such as \"+09:00\"".to_owned(),
                |name| format!("did you mean `{name}`?"),
            ),
        }
    })
}

fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(40) {
        Some((at, _)) => Cow::Owned(format!("{}...", &text[..at])),
        None => Cow::Borrowed(text),
    }
}
