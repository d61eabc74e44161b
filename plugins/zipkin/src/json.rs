//! Spans in JSON, version 2: a list of maps.
//!
//! As Zipkin's own reader does, this one passes over fields it does not know, takes `null` for "not there", and reads tags
//! that are numbers or booleans as texts. What it needs and does not find, and what can't be (ids that are no hexadecimal
//! digits, times that are no whole numbers), is refused with its place.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::span::{Annotation, Endpoint, Kind, Span, read_id, read_time};

/// Why a list is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Calls `each` with every span of the list, and where it stands in the text.
pub(crate) fn read(
    text: &[u8],
    each: impl FnMut(Span<'_>, std::ops::Range<usize>) -> Result<(), String>,
) -> Result<(), JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let list = List { text, each };
    let read = reader.deserialize_any(list).and_then(|()| reader.end());
    read.map_err(|error| JsonError(error.to_string()))
}

struct List<'t, F> {
    text: &'t [u8],
    each: F,
}

impl<'de, F: FnMut(Span<'_>, std::ops::Range<usize>) -> Result<(), String>> Visitor<'de> for List<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of spans of Zipkin's version 2")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let mut number = 0_usize;
        while let Some(raw) = seq.next_element::<&'de RawValue>()? {
            let raw = raw.get();
            // A span is a part of the text: the one the list is read from.
            let from = (raw.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
            let read = match raw.as_bytes() {
                // serde would take the members in their order, too.
                [b'{', ..] => serde_json::from_str::<JsonSpan<'_>>(raw).map_err(|error| error.to_string()),
                _ => Err("a span is a map".to_owned()),
            };
            let done = read.and_then(|span| span.checked()).and_then(|span| (self.each)(span, from..from + raw.len()));
            done.map_err(|why| de::Error::custom(format_args!("span {number} of the list (byte {from}): {why}")))?;
            number += 1;
        }
        Ok(())
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonSpan<'a> {
    #[serde(borrow)]
    trace_id: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow, default)]
    parent_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(default)]
    timestamp: Option<Whole>,
    #[serde(default)]
    duration: Option<Whole>,
    #[serde(borrow, default)]
    local_endpoint: Option<JsonEndpoint<'a>>,
    #[serde(borrow, default)]
    remote_endpoint: Option<JsonEndpoint<'a>>,
    #[serde(borrow, default)]
    annotations: Option<Vec<JsonAnnotation<'a>>>,
    #[serde(borrow, default)]
    tags: Option<Tags<'a>>,
    #[serde(default)]
    debug: Option<bool>,
    #[serde(default)]
    shared: Option<bool>,
    /// Of version 1.
    #[serde(default)]
    binary_annotations: Option<IgnoredAny>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonEndpoint<'a> {
    #[serde(borrow, default)]
    service_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    ipv4: Option<Text<'a>>,
    #[serde(borrow, default)]
    ipv6: Option<Text<'a>>,
    #[serde(default)]
    port: Option<Whole>,
}

#[derive(serde::Deserialize)]
struct JsonAnnotation<'a> {
    timestamp: Whole,
    #[serde(borrow)]
    value: Text<'a>,
}

/// A text, borrowed where it holds no escapes.
struct Text<'a>(Cow<'a, str>);

/// As [`Text`], and numbers and booleans in their own words.
struct AnyText<'a>(Cow<'a, str>);

/// Members in the order of the text.
struct Tags<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// A number that is whole and not negative, perhaps written as a float.
#[derive(Clone, Copy)]
struct Whole(u64);

// === impl JsonSpan ===

impl<'a> JsonSpan<'a> {
    fn checked(self) -> Result<Span<'a>, String> {
        if self.binary_annotations.is_some() {
            return Err("`binaryAnnotations` is of Zipkin's version 1; only version 2 is taken".to_owned());
        }
        let field = |name: &str| {
            let name = name.to_owned();
            move |why: String| format!("`{name}`: {why}")
        };
        let id = |text: &Text<'_>| read_id(&text.0, 16).map(|id| id as u64);
        let annotation = |annotation: JsonAnnotation<'a>| {
            Ok(Annotation { timestamp: read_time(annotation.timestamp.0)?, value: annotation.value.0 })
        };
        let annotations = self.annotations.unwrap_or_default();
        let annotations: Result<Vec<_>, String> = annotations.into_iter().map(annotation).collect();
        let time = |time: Option<Whole>| read_time(time.map_or(0, |time| time.0));
        let endpoint =
            |endpoint: Option<JsonEndpoint<'a>>| endpoint.map_or(Ok(Endpoint::default()), JsonEndpoint::checked);
        let mut span = Span {
            trace: read_id(&self.trace_id.0, 32).map_err(field("traceId"))?,
            id: id(&self.id).map_err(field("id"))?,
            parent: self.parent_id.as_ref().map_or(Ok(0), id).map_err(field("parentId"))?,
            kind: self.kind.as_ref().map(read_kind).transpose()?,
            name: self.name.map(|name| name.0).unwrap_or_default(),
            timestamp: time(self.timestamp).map_err(field("timestamp"))?,
            duration: time(self.duration).map_err(field("duration"))?,
            local: endpoint(self.local_endpoint).map_err(field("localEndpoint"))?,
            remote: endpoint(self.remote_endpoint).map_err(field("remoteEndpoint"))?,
            annotations: annotations.map_err(field("annotations"))?,
            tags: self.tags.map(|tags| tags.0).unwrap_or_default(),
            debug: self.debug.unwrap_or(false),
            shared: self.shared.unwrap_or(false),
        };
        span.check()?;
        Ok(span)
    }
}

fn read_kind(text: &Text<'_>) -> Result<Kind, String> {
    Kind::ALL.into_iter().find(|kind| kind.name() == text.0).ok_or_else(|| {
        let shown: String = text.0.chars().take(40).collect();
        format!("`kind`: {shown:?} is none of CLIENT, SERVER, PRODUCER and CONSUMER")
    })
}

// === impl JsonEndpoint ===

impl<'a> JsonEndpoint<'a> {
    fn checked(self) -> Result<Endpoint<'a>, String> {
        let port = self.port.map_or(0, |port| port.0);
        let text = |text: Option<Text<'a>>| text.map(|text| text.0).unwrap_or_default();
        Ok(Endpoint {
            service: text(self.service_name),
            ipv4: text(self.ipv4),
            ipv6: text(self.ipv6),
            port: u16::try_from(port).map_err(|_| format!("{port} is no port"))?,
        })
    }
}

// === impl Text ===

struct TextVisitor {
    /// Numbers and booleans too.
    any: bool,
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, b: bool) -> Result<Self::Value, E> {
        if self.any { Ok(b.to_string().into()) } else { Err(E::invalid_type(de::Unexpected::Bool(b), &self)) }
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Self::Value, E> {
        if self.any { Ok(n.to_string().into()) } else { Err(E::invalid_type(de::Unexpected::Unsigned(n), &self)) }
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Self::Value, E> {
        if self.any { Ok(n.to_string().into()) } else { Err(E::invalid_type(de::Unexpected::Signed(n), &self)) }
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<Self::Value, E> {
        if self.any { Ok(n.to_string().into()) } else { Err(E::invalid_type(de::Unexpected::Float(n), &self)) }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor { any: false }).map(Text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for AnyText<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor { any: true }).map(AnyText)
    }
}

// === impl Tags ===

impl<'de: 'a, 'a> Deserialize<'de> for Tags<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members<'a>(PhantomData<&'a ()>);
        impl<'de> Visitor<'de> for Members<'de> {
            type Value = Tags<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut tags = Vec::new();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    tags.push((key.0, map.next_value::<AnyText<'de>>()?.0));
                }
                Ok(Tags(tags))
            }
        }
        from.deserialize_map(Members(PhantomData))
    }
}

// === impl Whole ===

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number that is not negative")
            }

            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Whole, E> {
                Ok(Whole(n))
            }

            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Whole, E> {
                /// Up to here a float knows every whole number.
                const EXACT: f64 = 9_007_199_254_740_992.0;
                if (0.0..=EXACT).contains(&n) && n.fract() == 0.0 {
                    return Ok(Whole(n as u64));
                }
                Err(E::invalid_value(de::Unexpected::Float(n), &self))
            }
        }
        from.deserialize_any(Number)
    }
}
