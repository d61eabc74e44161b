//! A record as a document, as outputs write it: as JSON on one line (the batch writes no line breaks, whatever its source
//! looked like), or as the text it was read from.

use suiro_record::{Batch, Kind, LOG_KEY, Row, Value, write_json_str};

use crate::time;

/// Appends the body of a record as a JSON map. A body that is not a map is `{"log":it}`.
#[inline]
pub fn write_document(batch: &Batch, row: &Row, out: &mut Vec<u8>) {
    let body = batch.body(row.root());
    if body.kind() == Kind::Object {
        batch.write_json(row, out);
    } else {
        out.push(b'{');
        write_json_str(LOG_KEY, out);
        out.push(b':');
        body.write_json(out);
        out.push(b'}');
    }
}

/// The same, with a line break behind it.
#[inline]
pub fn write_line(batch: &Batch, row: &Row, out: &mut Vec<u8>) {
    write_document(batch, row, out);
    out.push(b'\n');
}

/// Appends a body that is nothing but a text under `log` as that text, any other as JSON.
#[inline]
pub fn write_text(batch: &Batch, row: &Row, out: &mut Vec<u8>) {
    if let Some(text) = batch.sole_text(row.root()) {
        out.extend_from_slice(text);
        return;
    }
    // The text may be there with JSON's escapes in it.
    let body = batch.body(row.root());
    let mut members = body.children();
    let sole = members.next().filter(|_| members.next().is_none() && body.kind() == Kind::Object);
    match sole.filter(|member| member.key() == Some(LOG_KEY)).and_then(|member| member.as_str()) {
        Some(text) => out.extend_from_slice(text.as_bytes()),
        None => batch.write_json(row, out),
    }
}

/// Appends everything as one JSON map: what stands beside the record, under its paths (`@time`, `@resource`, ...), then the body.
pub fn write_full(batch: &Batch, row: &Row, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"@time\":\"");
    time::write_rfc3339(row.time, out);
    out.push(b'"');
    let scope = batch.scope(row);
    for (key, text) in [("@tag", &*batch.tag), ("@input", scope.source.input()), ("@signal", batch.signal.name())] {
        next_key(key, out);
        write_json_str(text, out);
    }
    for (key, attributes) in [("@resource", &scope.resource), ("@scope", &scope.scope)] {
        if !attributes.is_empty() {
            next_key(key, out);
            Value::Object(attributes.clone()).write_json(out);
        }
    }
    for child in batch.header(row).into_iter().flat_map(|header| header.children()) {
        next_key(&format!("@{}", child.key().unwrap_or_default()), out);
        child.write_json(out);
    }
    let body = batch.body(row.root());
    if body.kind() != Kind::Object {
        next_key(LOG_KEY, out);
        body.write_json(out);
    } else if body.children().next().is_some() {
        out.push(b',');
        batch.write_members(row.root(), out);
    }
    out.push(b'}');
}

fn next_key(key: &str, out: &mut Vec<u8>) {
    out.push(b',');
    write_json_str(key, out);
    out.push(b':');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use suiro_record::{RootId, Scope, Source};

    use super::*;

    fn written(
        text: &str,
        parse: impl Fn(&mut Batch, std::ops::Range<usize>) -> RootId,
        write: fn(&Batch, &Row, &mut Vec<u8>),
    ) -> String {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("test".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.heap_mut().extend_from_slice(text.as_bytes());
        let root = parse(&mut batch, 0..text.len());
        let row = Row::new(root, 0, 0, 1);
        let mut out = b"before ".to_vec();
        write(&batch, &row, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn document(text: &str, parse: impl Fn(&mut Batch, std::ops::Range<usize>) -> RootId) -> String {
        written(text, parse, write_line)
    }

    #[test]
    fn a_text_is_what_was_read() {
        let json = |batch: &mut Batch, span| batch.parse_json(span).unwrap();
        for (body, text) in [
            (r#"{"log":"a\tb"}"#, "a\tb"),
            (r#"{"log":"plain"}"#, "plain"),
            (r#"{"log":5}"#, r#"{"log":5}"#),
            (r#"{"log":"x","b":1}"#, r#"{"log":"x","b":1}"#),
            (r#"{"text":"x"}"#, r#"{"text":"x"}"#),
            ("{}", "{}"),
        ] {
            assert_eq!(written(body, json, write_text), format!("before {}", text.replace("\\t", "\t")));
        }
        assert_eq!(written("a\nb", |batch, span| batch.text_body(span), write_text), "before a\nb");
    }

    #[test]
    fn one_line_whatever_the_source_looked_like() {
        let json = |batch: &mut Batch, span| batch.parse_json(span).unwrap();
        assert_eq!(document("{\"a\": \"x\\ny\"}", json), "before {\"a\": \"x\\ny\"}\n");
        assert_eq!(document("{\r\n  \"a\": [1,\n2]\n}", json), "before {\"a\":[1,2]}\n");
        assert_eq!(document("{}", json), "before {}\n");
        let text = |batch: &mut Batch, span| batch.text_body(span);
        assert_eq!(document("a\n\"b\"", text), "before {\"log\":\"a\\n\\\"b\\\"\"}\n");
    }

    #[test]
    fn full_holds_what_stands_beside_a_record() {
        let mut scope = Scope::new(Arc::new(Source::new("in".into(), 1))).with("service.name", "shop");
        scope.scope.push(("name".to_owned(), Value::from("lib")));
        let mut batch = Batch::new("app".into(), Arc::new(scope), 0);
        for text in [r#"{"a": 1}"#, "{}", "[1]"] {
            let start = batch.heap_mut().len();
            batch.heap_mut().extend_from_slice(text.as_bytes());
            let root = batch.parse_json(start..start + text.len()).unwrap();
            batch.rows.push(Row::new(root, 1_000_000_000, 0, 1));
        }
        batch.set_header(0, suiro_record::Header::TraceId, suiro_record::NewValue::Str("ab")).unwrap();
        let mut out = Vec::new();
        batch.rows.iter().for_each(|row| write_full(&batch, row, &mut out));
        let head = r#"{"@time":"1970-01-01T00:00:01Z","@tag":"app","@input":"in","@signal":"logs","@resource":{"service.name":"shop"},"@scope":{"name":"lib"}"#;
        let expected = format!("{head},\"@trace_id\":\"ab\",\"a\": 1}}{head}}}{head},\"log\":[1]}}");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
