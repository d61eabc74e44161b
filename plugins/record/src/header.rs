//! A record's header beyond its time: a small map beside the body, so that most records, which have none, pay nothing.

use crate::batch::{Batch, RootId, Row};
use crate::field::Kind;

/// The fields of the header that are kept as a map. `@time` is in the row, `@tag` and `@signal` belong to the batch,
/// `@input` to the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `@observed_time`, nanoseconds since the epoch; absent: when the batch was read.
    ObservedTime,
    /// `@severity`, a text.
    Severity,
    /// `@severity_number`, 1 to 24.
    SeverityNumber,
    /// `@trace_id`, 32 hex digits.
    TraceId,
    /// `@span_id`, 16 hex digits.
    SpanId,
    /// `@attributes`, a map.
    Attributes,
    /// `@event_name`, a text.
    EventName,
    /// `@flags`, an integer.
    Flags,
    /// `@dropped_attributes_count`, an integer.
    DroppedAttributesCount,
}

// === impl Header ===

impl Header {
    pub(crate) const ALL: [Header; 9] = [
        Header::ObservedTime,
        Header::Severity,
        Header::SeverityNumber,
        Header::TraceId,
        Header::SpanId,
        Header::Attributes,
        Header::EventName,
        Header::Flags,
        Header::DroppedAttributesCount,
    ];

    /// Whether the field may be a value of that kind.
    pub(crate) fn takes(self, kind: Kind) -> bool {
        match self {
            Header::ObservedTime | Header::SeverityNumber | Header::Flags | Header::DroppedAttributesCount => {
                kind == Kind::Number
            }
            Header::Severity | Header::TraceId | Header::SpanId | Header::EventName => kind == Kind::String,
            Header::Attributes => kind == Kind::Object,
        }
    }

    /// The word behind the `@`.
    pub fn name(self) -> &'static str {
        match self {
            Header::ObservedTime => "observed_time",
            Header::Severity => "severity",
            Header::SeverityNumber => "severity_number",
            Header::TraceId => "trace_id",
            Header::SpanId => "span_id",
            Header::Attributes => "attributes",
            Header::EventName => "event_name",
            Header::Flags => "flags",
            Header::DroppedAttributesCount => "dropped_attributes_count",
        }
    }
}

impl Batch {
    /// Gives `row` a header that stands in this batch as a map already, such as one that was written as JSON and parsed
    /// again. Says whether that is what the map is; otherwise the row stays as it was.
    pub fn set_header_map(&self, row: &mut Row, map: RootId) -> bool {
        let known = |key: Option<&str>| Header::ALL.into_iter().find(|header| Some(header.name()) == key);
        let body = self.body(map);
        let sound = body.kind() == Kind::Object
            && body.children().all(|child| known(child.key()).is_some_and(|header| header.takes(child.kind())));
        if sound {
            row.header = map.0;
        }
        sound
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Scope, Source};

    #[test]
    fn a_header_comes_back_from_its_text() {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        let mut parse = |text: &str| {
            let from = batch.heap().len();
            batch.heap_mut().extend_from_slice(text.as_bytes());
            let root = batch.parse_json(from..from + text.len()).expect("JSON");
            let mut row = Row::new(root, 0, 0, 0);
            batch.set_header_map(&mut row, root).then(|| {
                let mut json = Vec::new();
                batch.header(&row).expect("a header").write_json(&mut json);
                String::from_utf8(json).expect("UTF-8")
            })
        };
        let header = r#"{"severity":"WARN","severity_number":13,"attributes":{"a":[1]}}"#;
        assert_eq!(parse(header).as_deref(), Some(header));
        for other in [r#"{"severity":13}"#, r#"{"tag":"x"}"#, r#"{"attributes":1}"#, "[]"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
