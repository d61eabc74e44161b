//! Which attributes are `annotations`, which are `metadata`, and which have a place of their own.
//!
//! - An attribute with a place of its own (`http`, `aws`, `sql`, `user`) stands there, if there is such a block.
//! - Annotations, which X-Ray indexes, are those named by the setting, those that `aws.xray.annotations` of the span names,
//!   or all that have no other place. They are texts, numbers and booleans; what is none, is too long for X-Ray, has the key
//!   of another, or is beyond the 50 of a trace, is metadata instead.
//! - `aws.xray.metadata.NAMESPACE`, a text that is a JSON map, is the metadata of that namespace. All the rest is that of
//!   `default`; attributes of the resource are there as `otel.resource.KEY`, in segments only.

use smallvec::SmallVec;
use suiro_sdk::record::{Field, Kind, NodeRef};

use super::attributes::{Known, Place};
use super::cloud::{RESOURCE, Resource};
use super::document::Role;
use super::http;
use super::json::Members;
use super::settings::Rules;
use super::span::Span;
use super::sql;

/// Before the namespace that an attribute is the metadata of.
pub(super) const NAMESPACE: &str = "aws.xray.metadata.";

/// Annotations X-Ray indexes of a trace.
const MAX_ANNOTATIONS: usize = 50;
/// Characters of an annotation's key.
const MAX_KEY: usize = 500;
/// Characters of an annotation's text.
const MAX_VALUE: usize = 1000;

/// What a call says of the other side: nothing of the service that calls.
const REMOTE: [Known; 4] = [Known::RemoteService, Known::RemoteOperation, Known::RemoteTarget, Known::RemoteNamespace];

/// The attributes of a document, sorted.
pub(super) struct Labels<'a> {
    pub(super) annotations: SmallVec<[Annotation<'a>; 8]>,
    /// Attributes of the span.
    pub(super) metadata: SmallVec<[NodeRef<'a>; 24]>,
    /// Attributes of the resource, by number, that could not be annotations.
    pub(super) resource: SmallVec<[usize; 8]>,
}

/// An annotation.
#[derive(Clone, Copy)]
pub(super) struct Annotation<'a> {
    of_resource: bool,
    key: &'a str,
    value: Field<'a>,
}

// === impl Labels ===

impl<'a> Labels<'a> {
    pub(super) fn new(span: &Span<'a>, resource: &Resource<'a>, rules: &Rules, role: Role) -> Self {
        let mut labels = Labels { annotations: SmallVec::new(), metadata: SmallVec::new(), resource: SmallVec::new() };
        let wishes = span.attributes.get(Known::Annotations);
        let wished =
            |key: &str| wishes.is_some_and(|list| list.children().take(MAX_ANNOTATIONS).any(|wish| wish.str_eq(key)));
        let blocks =
            Blocks { http: !role.is_service() && http::applies(span), aws: resource.in_aws, sql: sql::applies(span) };
        for &(node, known) in &span.attributes.entries {
            if role.is_service() && known.is_some_and(|known| REMOTE.contains(&known)) {
                continue;
            }
            let key = node.key().unwrap_or_default();
            let placed = known.is_some_and(|known| blocks.include(span, known));
            let named = rules.annotates(key) || wished(key);
            let wanted = named || rules.annotates_all() && !placed && !key.starts_with(NAMESPACE);
            let annotated = wanted && labels.annotate(Annotation { of_resource: false, key, value: Field::Node(node) });
            if !annotated && !placed && !role.is_service() {
                labels.metadata.push(node);
            }
        }
        if !role.is_subsegment() {
            for (number, attribute) in resource.attributes.iter().enumerate() {
                let wished =
                    || wishes.is_some_and(|list| list.children().take(MAX_ANNOTATIONS).any(|wish| attribute.is(wish)));
                if !attribute.annotated && !wished() {
                    continue;
                }
                let (key, value) = (attribute.key, Field::Value(attribute.value));
                let done = labels.annotate(Annotation { of_resource: true, key, value });
                if attribute.annotated && !done {
                    labels.resource.push(number);
                }
            }
        }
        labels
    }

    /// Whether it can be one.
    fn annotate(&mut self, annotation: Annotation<'a>) -> bool {
        let fits = self.annotations.len() < MAX_ANNOTATIONS
            && annotation.is_sound()
            && !self.annotations.iter().any(|other| other.letters().eq(annotation.letters()));
        if fits {
            self.annotations.push(annotation);
        }
        fits
    }
}

impl super::cloud::ResourceAttribute<'_> {
    /// Whether a text of a span names it.
    fn is(&self, name: NodeRef<'_>) -> bool {
        name.as_str().and_then(|name| name.strip_prefix(RESOURCE).map(|key| key == self.key)).unwrap_or(false)
    }
}

/// The blocks a document has.
struct Blocks {
    http: bool,
    aws: bool,
    sql: bool,
}

// === impl Blocks ===

impl Blocks {
    fn include(&self, span: &Span<'_>, known: Known) -> bool {
        match known.place() {
            Place::Http => self.http && http::includes(span, known),
            Place::Aws => self.aws,
            Place::Sql => self.sql,
            Place::User | Place::Annotations | Place::Flag => true,
            Place::Metadata => false,
        }
    }
}

// === impl Annotation ===

impl Annotation<'_> {
    /// The bytes of its key, as X-Ray takes them.
    fn letters(&self) -> impl Iterator<Item = u8> + '_ {
        let prefix = if self.of_resource { RESOURCE } else { "" };
        let letter = |c: char| match c {
            '0'..='9' | 'A'..='Z' | 'a'..='z' | '.' => c as u8,
            _ => b'_',
        };
        prefix.chars().chain(self.key.chars()).map(letter)
    }

    fn is_sound(&self) -> bool {
        let value = match self.value.kind() {
            // Bytes are at least as many as characters, and quickly counted.
            Kind::String => self
                .value
                .as_str()
                .is_some_and(|text| text.len() <= MAX_VALUE || text.chars().take(MAX_VALUE + 1).count() <= MAX_VALUE),
            Kind::Number => self.value.as_f64().is_some_and(f64::is_finite),
            Kind::Bool => true,
            Kind::Null | Kind::Bytes | Kind::Array | Kind::Object => false,
        };
        value && !self.key.is_empty() && self.letters().take(MAX_KEY + 1).count() <= MAX_KEY
    }
}

/// Appends `annotations` with these, as many as end before byte `end`; how many that were.
pub(super) fn write(annotations: &[Annotation<'_>], end: usize, out: &mut Members<'_>) -> usize {
    let mut written = 0;
    if annotations.is_empty() {
        return 0;
    }
    out.map("annotations", |map| {
        for annotation in annotations {
            let from = map.out.len();
            if written > 0 {
                map.out.push(b',');
            }
            map.out.push(b'"');
            map.out.extend(annotation.letters());
            map.out.extend_from_slice(b"\":");
            annotation.value.write_json(map.out);
            if map.out.len() >= end {
                map.out.truncate(from);
                break;
            }
            written += 1;
        }
        map.wrote(written > 0);
    });
    written
}
