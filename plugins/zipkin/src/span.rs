//! A span of Zipkin's, version 2, whatever it was written in.

use std::borrow::Cow;
use std::collections::HashSet;

/// A span, checked.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Span<'a> {
    pub(crate) trace: u128,
    pub(crate) id: u64,
    /// 0: none.
    pub(crate) parent: u64,
    pub(crate) kind: Option<Kind>,
    pub(crate) name: Cow<'a, str>,
    /// Microseconds since 1970; 0: not known.
    pub(crate) timestamp: i64,
    /// Microseconds; 0: not known.
    pub(crate) duration: i64,
    pub(crate) local: Endpoint<'a>,
    pub(crate) remote: Endpoint<'a>,
    pub(crate) annotations: Vec<Annotation<'a>>,
    /// No key twice.
    pub(crate) tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(crate) debug: bool,
    pub(crate) shared: bool,
}

/// One side of a call. Addresses are as they were written.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Endpoint<'a> {
    pub(crate) service: Cow<'a, str>,
    pub(crate) ipv4: Cow<'a, str>,
    pub(crate) ipv6: Cow<'a, str>,
    pub(crate) port: u16,
}

/// Something that happened at a time.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Annotation<'a> {
    /// Microseconds since 1970.
    pub(crate) timestamp: i64,
    pub(crate) value: Cow<'a, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Client,
    Server,
    Producer,
    Consumer,
}

/// The latest time a record can have, microseconds.
const MAX_TIME: u64 = i64::MAX as u64 / 1000;

// === impl Kind ===

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Client, Kind::Server, Kind::Producer, Kind::Consumer];

    /// As Zipkin calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Client => "CLIENT",
            Kind::Server => "SERVER",
            Kind::Producer => "PRODUCER",
            Kind::Consumer => "CONSUMER",
        }
    }

    /// As a record calls it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Client => "client",
            Kind::Server => "server",
            Kind::Producer => "producer",
            Kind::Consumer => "consumer",
        }
    }
}

// === impl Span ===

impl Span<'_> {
    /// What can only be checked of the whole.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        if self.trace == 0 {
            return Err("`traceId` is 0".to_owned());
        }
        if self.id == 0 {
            return Err("`id` is 0".to_owned());
        }
        if self.parent == self.id {
            // Some old tracers wrote it so for roots.
            self.parent = 0;
        }
        if self.timestamp.checked_add(self.duration).is_none_or(|end| end.cast_unsigned() > MAX_TIME) {
            return Err("`timestamp` and `duration` add up to a time out of range".to_owned());
        }
        if self.annotations.iter().any(|annotation| annotation.timestamp == 0) {
            return Err("an annotation has no `timestamp`".to_owned());
        }
        if self.tags.len() > 1 {
            let mut seen = HashSet::new();
            let last: Vec<bool> = self.tags.iter().rev().map(|(key, _)| seen.insert(key.clone())).collect();
            if last.contains(&false) {
                let mut last = last.into_iter().rev();
                self.tags.retain(|_| last.next().unwrap_or(true));
            }
        }
        Ok(())
    }

    /// The value of a tag.
    pub(crate) fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(own, _)| own == key).map(|(_, value)| &**value)
    }
}

// === impl Endpoint ===

impl Endpoint<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Endpoint::default()
    }
}

/// An id of at most `digits` hexadecimal digits.
pub(crate) fn read_id(text: &str, digits: usize) -> Result<u128, String> {
    let sound = !text.is_empty() && text.len() <= digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    match u128::from_str_radix(text, 16) {
        Ok(id) if sound => Ok(id),
        _ => {
            let shown: String = text.chars().take(40).collect();
            Err(format!("{shown:?} is no id of up to {digits} hexadecimal digits"))
        }
    }
}

/// A time or a duration in microseconds.
pub(crate) fn read_time(microseconds: u64) -> Result<i64, String> {
    match i64::try_from(microseconds) {
        Ok(time) if microseconds <= MAX_TIME => Ok(time),
        _ => Err(format!("{microseconds} microseconds are out of range")),
    }
}
