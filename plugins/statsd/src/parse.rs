//! One line of StatsD, in its place.
//!
//! ```text
//! metric: name:value[:value...]|type[|@rate][|#tag,tag...][|c:container][|Ttimestamp]
//! event:  _e{title length,text length}:title|text[|d:time][|h:host][|k:key][|p:priority][|s:source][|t:type][|#tags][|c:..]
//! check:  _sc|name|status[|d:time][|h:host][|#tags][|m:message][|c:..]
//! ```
//!
//! Types are `c` (count), `g` (gauge), `ms` (timer), `h` (histogram), `d` (distribution) and `s` (set). Fields this version
//! does not know are left out, as newer clients expect of older servers. The specification is that of
//! [DogStatsD](https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/), 1.0 to 1.3, of which plain StatsD is a part.

use std::str::from_utf8;

/// A line longer than this is refused. Bytes.
pub const MAX_LINE: usize = 64 << 10;
/// Longest name of a metric or check. Bytes.
const MAX_NAME: usize = 1024;
/// Tags of one line.
const MAX_TAGS: usize = 256;

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    /// Values of a metric.
    Metric(Metric<'a>),
    /// Something that happened.
    Event(Event<'a>),
    /// How something is.
    Check(Check<'a>),
}

/// What kind of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `c`
    Count,
    /// `g`
    Gauge,
    /// `ms`
    Timer,
    /// `h`
    Histogram,
    /// `d`
    Distribution,
    /// `s`
    Set,
}

/// Values of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its kind.
    pub kind: Kind,
    /// The values as they stand in the line: numbers between colons, or the member of a set. See [`Metric::numbers`].
    pub values: &'a str,
    /// The share of samples that were sent, above 0 and at most 1.
    pub rate: f64,
    /// What else is known.
    pub tags: Tags<'a>,
    /// The time it speaks of, seconds since 1970.
    pub timestamp: Option<i64>,
}

/// Tags, and the container they were sent from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags<'a> {
    /// As they stand in the line: `a:1,b`.
    pub text: &'a str,
    /// `c:`, without what says of which kind it is.
    pub container: Option<&'a str>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    /// In a few words. Line ends are written `\n` in this and in `text`.
    pub title: &'a str,
    /// At length.
    pub text: &'a str,
    /// Seconds since 1970.
    pub timestamp: Option<i64>,
    /// Host.
    pub host: Option<&'a str>,
    /// Events of one key belong together.
    pub key: Option<&'a str>,
    /// `normal` or `low`.
    pub priority: Option<&'a str>,
    /// What kind of thing it happened to.
    pub source: Option<&'a str>,
    /// `error`, `warning`, `info` or `success`.
    pub alert: Option<&'a str>,
    /// What else is known.
    pub tags: Tags<'a>,
}

/// How something is.
#[derive(Clone, Debug, PartialEq)]
pub struct Check<'a> {
    /// Its name.
    pub name: &'a str,
    /// 0 ok, 1 warning, 2 critical, 3 unknown.
    pub status: u8,
    /// Seconds since 1970.
    pub timestamp: Option<i64>,
    /// Host.
    pub host: Option<&'a str>,
    /// Why. Line ends are written `\n`.
    pub message: Option<&'a str>,
    /// What else is known.
    pub tags: Tags<'a>,
}

/// Why a line is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ParseError {
    #[error("it is longer than {MAX_LINE} bytes")]
    TooLong,
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("it has no name before the first colon")]
    NoName,
    #[error("its name is longer than {MAX_NAME} bytes")]
    LongName,
    #[error("it has no `:value`")]
    NoValue,
    #[error("it has no `|type`")]
    NoType,
    #[error("its type is none of c, g, ms, h, d, s")]
    UnknownType,
    #[error("its value is no finite number")]
    BadNumber,
    #[error("its rate is not above 0 and at most 1")]
    BadRate,
    #[error("its timestamp is no number of seconds")]
    BadTime,
    #[error("it has more than {MAX_TAGS} tags")]
    ManyTags,
    #[error("its lengths `_e{{title,text}}` do not fit its text")]
    BadLengths,
    #[error("its status is not 0 to 3")]
    BadStatus,
}

/// Parses a line without its end.
pub fn parse(line: &[u8]) -> Result<Line<'_>, ParseError> {
    if line.len() > MAX_LINE {
        return Err(ParseError::TooLong);
    }
    let line = from_utf8(line).map_err(|_| ParseError::NotUtf8)?;
    if let Some(rest) = line.strip_prefix("_e{") {
        return event(rest).map(Line::Event);
    }
    if let Some(rest) = line.strip_prefix("_sc|") {
        return check(rest).map(Line::Check);
    }
    metric(line).map(Line::Metric)
}

fn metric(line: &str) -> Result<Metric<'_>, ParseError> {
    let (name, rest) = line.split_once(':').ok_or(ParseError::NoValue)?;
    let name = sound_name(name)?;
    // A set's member may hold anything but the bar.
    let (values, rest) = rest.split_once('|').ok_or(ParseError::NoType)?;
    let (kind, rest) = rest.split_once('|').unwrap_or((rest, ""));
    let kind = match kind {
        "c" => Kind::Count,
        "g" => Kind::Gauge,
        "ms" => Kind::Timer,
        "h" => Kind::Histogram,
        "d" => Kind::Distribution,
        "s" => Kind::Set,
        _ => return Err(ParseError::UnknownType),
    };
    let mut metric = Metric { name, kind, values, rate: 1.0, tags: Tags::default(), timestamp: None };
    for field in fields(rest) {
        match field.as_bytes()[0] {
            b'@' => {
                let rate = number(&field[1..]).filter(|rate| *rate > 0.0 && *rate <= 1.0);
                metric.rate = rate.ok_or(ParseError::BadRate)?;
            }
            b'T' => metric.timestamp = Some(seconds(&field[1..])?),
            _ => metric.tags.take(field)?,
        }
    }
    match kind {
        Kind::Set if values.is_empty() => return Err(ParseError::NoValue),
        Kind::Set => {}
        _ if values.split(':').any(|value| number(value).is_none()) => return Err(ParseError::BadNumber),
        _ => {}
    }
    Ok(metric)
}

fn event(rest: &str) -> Result<Event<'_>, ParseError> {
    let (lengths, rest) = rest.split_once("}:").ok_or(ParseError::BadLengths)?;
    let (title, text) = lengths.split_once(',').ok_or(ParseError::BadLengths)?;
    let length = |digits: &str| digits.parse::<usize>().map_err(|_| ParseError::BadLengths);
    let (title, text) = (length(title)?, length(text)?);
    let cut = |text: &str, at: usize| -> Option<(usize, usize)> {
        (text.is_char_boundary(at) && at <= text.len()).then_some((at, text.len()))
    };
    cut(rest, title).ok_or(ParseError::BadLengths)?;
    let (title, rest) = rest.split_at(title);
    let rest = rest.strip_prefix('|').ok_or(ParseError::BadLengths)?;
    cut(rest, text).ok_or(ParseError::BadLengths)?;
    let (text, rest) = rest.split_at(text);
    if title.is_empty() {
        return Err(ParseError::NoName);
    }
    let rest = match rest.strip_prefix('|') {
        Some(rest) => rest,
        None if rest.is_empty() => "",
        None => return Err(ParseError::BadLengths),
    };
    let mut event = Event {
        title,
        text,
        timestamp: None,
        host: None,
        key: None,
        priority: None,
        source: None,
        alert: None,
        tags: Tags::default(),
    };
    for field in fields(rest) {
        match field.split_once(':') {
            _ if field.starts_with('#') => event.tags.take(field)?,
            Some(("d", time)) => event.timestamp = Some(seconds(time)?),
            Some(("h", host)) => event.host = Some(host),
            Some(("k", key)) => event.key = Some(key),
            Some(("p", priority)) => event.priority = Some(priority),
            Some(("s", source)) => event.source = Some(source),
            Some(("t", alert)) => event.alert = Some(alert),
            _ => event.tags.take(field)?,
        }
    }
    Ok(event)
}

fn check(rest: &str) -> Result<Check<'_>, ParseError> {
    let (name, rest) = rest.split_once('|').ok_or(ParseError::BadStatus)?;
    let name = sound_name(name)?;
    let (status, rest) = rest.split_once('|').unwrap_or((rest, ""));
    let status = match status.as_bytes() {
        [digit @ b'0'..=b'3'] => digit - b'0',
        _ => return Err(ParseError::BadStatus),
    };
    let mut check = Check { name, status, timestamp: None, host: None, message: None, tags: Tags::default() };
    for field in fields(rest) {
        match field.split_once(':') {
            _ if field.starts_with('#') => check.tags.take(field)?,
            Some(("d", time)) => check.timestamp = Some(seconds(time)?),
            Some(("h", host)) => check.host = Some(host),
            Some(("m", message)) => check.message = Some(message),
            _ => check.tags.take(field)?,
        }
    }
    Ok(check)
}

fn sound_name(name: &str) -> Result<&str, ParseError> {
    match name.len() {
        0 => Err(ParseError::NoName),
        1..=MAX_NAME => Ok(name),
        _ => Err(ParseError::LongName),
    }
}

/// What stands between bars, empty ones left out.
fn fields(rest: &str) -> impl Iterator<Item = &str> {
    rest.split('|').filter(|field| !field.is_empty())
}

fn number(text: &str) -> Option<f64> {
    // "inf", "nan" are floats to Rust, too.
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

fn seconds(text: &str) -> Result<i64, ParseError> {
    text.parse().ok().filter(|seconds| (0..=i64::MAX / 1_000_000_000).contains(seconds)).ok_or(ParseError::BadTime)
}

// === impl Metric ===

impl<'a> Metric<'a> {
    /// The values, with whether each has a sign. Not of sets.
    pub fn numbers(&self) -> impl Iterator<Item = (f64, bool)> + 'a {
        let signed = |text: &str| matches!(text.as_bytes().first(), Some(b'+' | b'-'));
        self.values.split(':').filter_map(move |text| Some((number(text)?, signed(text))))
    }
}

// === impl Tags ===

impl<'a> Tags<'a> {
    /// Each tag: its key, and its value if it has one.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        self.text.split(',').filter(|tag| !tag.is_empty()).map(|tag| match tag.split_once(':') {
            Some((key, value)) if !key.is_empty() => (key, Some(value)),
            _ => (tag, None),
        })
    }

    fn take(&mut self, field: &'a str) -> Result<(), ParseError> {
        if let Some(tags) = field.strip_prefix('#') {
            if tags.bytes().filter(|byte| *byte == b',').count() >= MAX_TAGS {
                return Err(ParseError::ManyTags);
            }
            self.text = tags;
        } else if let Some(container) = field.strip_prefix("c:") {
            self.container = Some(container.strip_prefix("ci-").unwrap_or(container)).filter(|id| !id.is_empty());
        }
        Ok(())
    }
}
