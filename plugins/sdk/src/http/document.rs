//! A record as one JSON document on one line. The batch writes no line breaks, whatever its source looked like.

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use suiro_record::{RootId, Scope, Source};

    use super::*;

    fn document(text: &str, parse: impl Fn(&mut Batch, std::ops::Range<usize>) -> RootId) -> String {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("test".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.heap_mut().extend_from_slice(text.as_bytes());
        let root = parse(&mut batch, 0..text.len());
        let row = Row::new(root, 0, 0, 1);
        let mut out = b"before ".to_vec();
        write_line(&batch, &row, &mut out);
        String::from_utf8(out).unwrap()
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
