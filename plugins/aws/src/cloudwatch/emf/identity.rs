//! What a point's metric is called: its name and its dimensions, in characters that CloudWatch takes.
//!
//! It takes printable ASCII. A character it does not take is written as `\u00e9`, so that what is told apart stays so; a
//! dimension's value is cut at 1,024 bytes. A dimension without a value is left out: CloudWatch has no empty ones.

use std::borrow::Cow;
use std::fmt::Write as _;

use suiro_record::{Kind, NodeRef, Value};
use suiro_sdk::lang::Glob;
use suiro_sdk::{Reason, Verdict};

use super::Settings;
use crate::cloudwatch::point::Point;

/// Of a name, of a metric or a dimension, bytes.
const MAX_NAME: usize = 255;
/// Of a dimension's value, bytes.
const MAX_VALUE: usize = 1024;
/// Dimensions of a metric.
pub(super) const MAX_DIMENSIONS: usize = 30;

/// More than thirty.
pub(super) const TOO_MANY_DIMENSIONS: Reason = Reason("too_many_dimensions");

/// A metric's name and dimensions.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    /// By name, each once.
    pub(super) dimensions: Vec<(String, String)>,
    /// A text was escaped or cut.
    pub(super) altered: bool,
}

// === impl Identity ===

impl Identity {
    /// Of a point and the attributes of its resource.
    pub(super) fn of(
        settings: &Settings,
        point: &Point<'_>,
        resource: &[(String, Value)],
    ) -> Result<Identity, Box<Verdict>> {
        let (name, altered) = legal(&point.name);
        if name.trim_ascii().is_empty() {
            return Err(malformed("the point has no name"));
        }
        if name.len() > MAX_NAME {
            return Err(malformed(&format!("the name is longer than {MAX_NAME} bytes")));
        }
        let mut identity = Identity { name: name.into_owned(), dimensions: Vec::new(), altered };
        let mut text = Vec::new();
        for node in point.attributes.into_iter().flat_map(NodeRef::children) {
            let key = node.key().unwrap_or_default();
            if node.kind() != Kind::Null && is_chosen(&settings.dimensions, key) {
                text.clear();
                node.write_text(&mut text);
                identity.add(key, &String::from_utf8_lossy(&text), true)?;
            }
        }
        for (key, value) in resource {
            if *value != Value::Null && is_chosen(&settings.resource_dimensions, key) {
                identity.add(key, &value.to_text(), false)?;
            }
        }
        if identity.dimensions.len() > MAX_DIMENSIONS {
            let detail = format!(
                "it would have {} dimensions, CloudWatch takes {MAX_DIMENSIONS}: name fewer in `dimensions` and \
                 `resource_dimensions`",
                identity.dimensions.len()
            );
            return Err(refused(TOO_MANY_DIMENSIONS, &detail));
        }
        // In whatever order attributes come, they are of the same metric.
        identity.dimensions.sort_unstable();
        Ok(identity)
    }

    /// Adds a dimension; `replace`s one of the same name, or leaves it.
    fn add(&mut self, key: &str, value: &str, replace: bool) -> Result<(), Box<Verdict>> {
        let (key, key_altered) = legal(key);
        let (value, value_altered) = legal(value);
        let is_cut = value.len() > MAX_VALUE || key.starts_with(':');
        let (key, value) = (key.trim_start_matches(':'), &value[..value.len().min(MAX_VALUE)]);
        if value.trim_ascii().is_empty() || key.trim_ascii().is_empty() {
            return Ok(());
        }
        if key.len() > MAX_NAME {
            return Err(malformed(&format!("the name of an attribute is longer than {MAX_NAME} bytes: {key}")));
        }
        self.altered |= key_altered || value_altered || is_cut;
        match self.dimensions.iter_mut().find(|(known, _)| *known == key) {
            Some(known) if replace => value.clone_into(&mut known.1),
            Some(_) => {}
            None => self.dimensions.push((key.to_owned(), value.to_owned())),
        }
        Ok(())
    }
}

fn is_chosen(patterns: &[Glob], key: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(key))
}

/// A text in printable ASCII, and whether that is another one.
fn legal(text: &str) -> (Cow<'_, str>, bool) {
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

/// Whether a text may name a namespace.
pub(super) fn check_namespace(text: &str) -> Result<(), &'static str> {
    if text.trim_ascii().is_empty() {
        return Err("is empty");
    }
    if text.len() > 255 {
        return Err("is longer than 255 bytes");
    }
    if text.starts_with(':') {
        return Err("begins with `:`");
    }
    if text.starts_with("AWS/") {
        return Err("begins with `AWS/`, which is for AWS's own");
    }
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_/#: ".contains(&byte)) {
        Ok(())
    } else {
        Err("holds a character a namespace can't: letters, digits and . - _ / # : and the space")
    }
}

pub(super) fn refused(reason: Reason, detail: &str) -> Box<Verdict> {
    Box::new(Verdict::Refused { reason, detail: detail.to_owned() })
}

pub(super) fn malformed(why: &str) -> Box<Verdict> {
    refused(Reason::MALFORMED, why)
}
