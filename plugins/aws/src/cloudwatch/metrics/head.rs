//! The head of a datum: its metric's name, its dimensions, unit, time and resolution, encoded. Name and dimensions are the
//! same in the embedded metric format.
//!
//! CloudWatch takes printable ASCII. A character it does not take is written as `\u00e9`, so that what is told apart stays
//! so; a colon at the beginning of a dimension's name becomes `_`; a dimension's value is cut at 1,024 bytes. All of it is
//! counted. A dimension without a value is left out: CloudWatch has no empty ones.

use std::borrow::Cow;
use std::fmt::Write as _;

use suiro_record::{Kind, NodeRef, Value};
use suiro_sdk::Verdict;
use suiro_sdk::lang::Glob;
use suiro_sdk::point::Point;
use suiro_sdk::time::{SECOND, write_rfc3339};

use super::datum::MARK;
use super::query;
use super::verdict::{TOO_MANY_DIMENSIONS, malformed, refused};
use crate::cloudwatch::unit::Unit;

/// Of a name, of a metric or a dimension, bytes.
pub(super) const MAX_NAME: usize = 255;
/// Of a dimension's value, bytes.
const MAX_VALUE: usize = 1024;
/// Dimensions of a metric.
pub(in crate::cloudwatch) const MAX_DIMENSIONS: usize = 30;

/// A metric's dimensions, by name, each once.
pub(in crate::cloudwatch) type Dimensions = Vec<(String, String)>;

/// What becomes the head of a point's data, as CloudWatch takes it.
#[derive(Debug)]
pub(in crate::cloudwatch) struct Head {
    pub(in crate::cloudwatch) name: String,
    pub(in crate::cloudwatch) dimensions: Dimensions,
    /// A text was escaped or cut.
    pub(in crate::cloudwatch) altered: bool,
}

// === impl Head ===

impl Head {
    /// Of a point and the attributes of its resource; which of both are dimensions, the patterns say.
    pub(in crate::cloudwatch) fn new(
        (point, of_point): (&Point<'_>, &[Glob]),
        (resource, of_resource): (&[(String, Value)], &[Glob]),
    ) -> Result<Head, Box<Verdict>> {
        let (name, mut altered) = legal(&point.name);
        if name.trim_ascii().is_empty() {
            return Err(malformed("the point has no name"));
        }
        if name.len() > MAX_NAME {
            return Err(malformed(&format!("the name is longer than {MAX_NAME} bytes")));
        }
        let mut head = Head { name: name.into_owned(), dimensions: Vec::new(), altered: false };
        let mut text = Vec::new();
        for node in point.attributes.into_iter().flat_map(NodeRef::children) {
            let key = node.key().unwrap_or_default();
            if node.kind() != Kind::Null && chosen(of_point, key) {
                text.clear();
                node.write_text(&mut text);
                altered |= head.add(key, &String::from_utf8_lossy(&text), true)?;
            }
        }
        for (key, value) in resource {
            if *value != Value::Null && chosen(of_resource, key) {
                altered |= head.add(key, &value.to_text(), false)?;
            }
        }
        if head.dimensions.len() > MAX_DIMENSIONS {
            let detail = format!(
                "it would have {} dimensions, CloudWatch takes {MAX_DIMENSIONS}: name fewer in `dimensions` and \
                 `resource_dimensions`",
                head.dimensions.len()
            );
            return Err(refused(TOO_MANY_DIMENSIONS, &detail));
        }
        // In whatever order attributes come, they are of the same metric.
        head.dimensions.sort_unstable();
        head.altered = altered;
        Ok(head)
    }

    /// Adds a dimension; `replace`s one of the same name, or leaves it. Whether its text was altered.
    fn add(&mut self, key: &str, value: &str, replace: bool) -> Result<bool, Box<Verdict>> {
        let (mut key, mut altered) = legal(key);
        let (mut value, cut) = legal(value);
        altered |= cut;
        if value.trim_ascii().is_empty() || key.trim_ascii().is_empty() {
            return Ok(false);
        }
        if let Some(rest) = key.strip_prefix(':') {
            key = format!("_{rest}").into();
            altered = true;
        }
        if key.len() > MAX_NAME {
            return Err(malformed(&format!("the name of an attribute is longer than {MAX_NAME} bytes: {key}")));
        }
        if value.len() > MAX_VALUE {
            value = value[..MAX_VALUE].to_owned().into();
            altered = true;
            if value.trim_ascii().is_empty() {
                return Ok(false);
            }
        }
        match self.dimensions.iter_mut().find(|(known, _)| *known == key) {
            Some(known) if replace => known.1 = value.into_owned(),
            Some(_) => return Ok(false),
            None => self.dimensions.push((key.into_owned(), value.into_owned())),
        }
        Ok(altered)
    }

    /// Appends it, as the metric `which` of a point. `time` is cut to the resolution: CloudWatch keeps no more of it, and what
    /// it keeps together can be sent together.
    pub(super) fn write(&self, which: Which<'_>, unit: Unit, time: i64, resolution: Resolution, out: &mut Vec<u8>) {
        let mut put = |name: std::fmt::Arguments<'_>, text: &[u8]| {
            use std::io::Write as _;
            out.push(MARK);
            // Writing to a `Vec` has no way to fail.
            let _ = write!(out, "{name}=");
            query::encode(text, out);
        };
        match which {
            Which::Part(suffix) => put(format_args!("MetricName"), format!("{}.{suffix}", self.name).as_bytes()),
            _ => put(format_args!("MetricName"), self.name.as_bytes()),
        }
        let more = match which {
            Which::Quantile(quantile) => Some((QUANTILE, quantile)),
            _ => None,
        };
        let own = self.dimensions.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let own = own.filter(|(name, _)| more.is_none() || *name != QUANTILE);
        for (at, (name, value)) in own.chain(more).enumerate() {
            put(format_args!("Dimensions.member.{}.Name", at + 1), name.as_bytes());
            put(format_args!("Dimensions.member.{}.Value", at + 1), value.as_bytes());
        }
        let mut text = Vec::with_capacity(20);
        write_rfc3339(resolution.floor(time), &mut text);
        put(format_args!("Timestamp"), &text);
        if let Some(unit) = unit.name {
            put(format_args!("Unit"), unit.as_bytes());
        }
        if resolution == Resolution::Second {
            put(format_args!("StorageResolution"), b"1");
        }
    }
}

/// Which metric of a point's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which<'a> {
    /// That of its name.
    Itself,
    /// A quantile of a summary's: a dimension more.
    Quantile(&'a str),
    /// `NAME.PART`
    Part(&'static str),
}

/// The dimension of a summary's quantile.
const QUANTILE: &str = "quantile";

/// How finely CloudWatch keeps what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    Minute,
    Second,
}

// === impl Resolution ===

impl Resolution {
    /// The last full minute or second.
    pub(super) fn floor(self, time: i64) -> i64 {
        let step = match self {
            Resolution::Minute => 60 * SECOND,
            Resolution::Second => SECOND,
        };
        // There is no full minute before the first time there is.
        time.saturating_sub(time.rem_euclid(step))
    }
}

fn chosen(patterns: &[Glob], key: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(key))
}

/// A text in printable ASCII, and whether that is another one.
pub(super) fn legal(text: &str) -> (Cow<'_, str>, bool) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return (text.into(), false);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            ' '..='~' => out.push(c),
            // Writing to a `String` has no way to fail.
            _ => drop(write!(out, "\\u{:04x}", u32::from(c))),
        }
    }
    (out.into(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_printable_ascii() {
        for (text, want) in [("a b~", "a b~"), ("café\n", "caf\\u00e9\\u000a"), ("水🙂", "\\u6c34\\u1f642"), ("", "")]
        {
            let (got, altered) = legal(text);
            assert_eq!((&*got, altered), (want, want != text));
        }
    }

    #[test]
    fn times_are_cut_to_the_resolution() {
        let time = 1_795_364_943_999_999_999;
        assert_eq!(Resolution::Second.floor(time), 1_795_364_943_000_000_000);
        assert_eq!(Resolution::Minute.floor(time), 1_795_364_940_000_000_000);
        assert_eq!(Resolution::Minute.floor(-1), -60_000_000_000);
        assert_eq!(Resolution::Minute.floor(i64::MIN), i64::MIN);
    }
}
