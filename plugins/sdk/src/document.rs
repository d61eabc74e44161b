//! A record as a document, as outputs write it: as JSON on one line (the batch writes no line breaks, whatever its source
//! looked like), or as the text it was read from.

use suiro_record::{Batch, Kind, LOG_KEY, Row};

/// Appends the body of a record as a JSON map. A body that is not a map is `{"log":it}`.
#[inline]
pub fn write_document(batch: &Batch, row: &Row, out: &mut Vec<u8>) {
    let body = batch.body(row.root());
    if body.kind() == Kind::Object {
        batch.write_json(row, out);
    } else {
        out.push(b'{');
        suiro_record::write_json_str(LOG_KEY, out);
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
}
