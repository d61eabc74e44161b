//! Rows made of other rows: copies, the items of a list, the text of a line.

use std::ops::Range;

use crate::batch::{Batch, RootId, Row};
use crate::keys::LOG_ID;
use crate::node::{ESCAPED, Tag};
use crate::path::Resolved;

impl Batch {
    /// A row like `row` with a body and a header of its own: what is changed in one is not changed in the other. The texts
    /// are shared.
    pub fn copy_row(&mut self, row: &Row) -> Row {
        let root = self.relocate(row.root);
        Row { root, ..self.copy_header(row) }
    }

    /// A row like `row` with a header of its own, and the same body: for one that gets another body.
    pub fn copy_header(&mut self, row: &Row) -> Row {
        let header = if row.header == 0 { 0 } else { self.relocate(row.header) };
        Row { header, ..*row }
    }

    /// A copy of a value, linked nowhere.
    pub fn copy_value(&mut self, value: RootId) -> RootId {
        RootId(self.relocate(value.0))
    }

    /// Whether a value is a map.
    pub fn is_map(&self, value: RootId) -> bool {
        self.node(value.0).tag == Tag::Object
    }

    /// The items of the list that `path` names in `row`, to be copied from; `None` if it is no list of the body's.
    pub fn items(&self, row: &Row, path: &Resolved<'_>) -> Option<Vec<RootId>> {
        match self.get(row, path)? {
            crate::Field::Node(node) if self.node(node.id).tag == Tag::Array => {
                Some(self.child_ids(node.id).map(RootId).collect())
            }
            _ => None,
        }
    }

    /// Where the text of a body that is nothing but `{ "log": text }` stands in the heap, unless it holds JSON escapes.
    pub fn sole_span(&self, root: RootId) -> Option<Range<usize>> {
        let node = self.node(root.0);
        if node.tag != Tag::Object {
            return None;
        }
        let child = node.first_child(root.0);
        let value = self.node(child);
        let sole = child != 0 && value.next == 0 && value.tag == Tag::Str && !value.is(ESCAPED) && value.key == LOG_ID;
        sole.then(|| value.span())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{Batch, Header, NewValue, Path, Row, Scope, Source};

    fn batch(json: &str) -> Batch {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.heap_mut().extend_from_slice(json.as_bytes());
        let root = batch.parse_json(0..json.len()).unwrap();
        batch.rows.push(Row::new(root, 0, 0, json.len() as u64));
        batch
    }

    #[test]
    fn a_copy_is_apart_in_body_and_header() {
        let mut b = batch(r#"{"a":{"b":[1,{"c":2}]},"d":"x"}"#);
        b.set_header(0, Header::Severity, NewValue::Str("info")).unwrap();
        let row = b.rows[0];
        let copy = b.copy_row(&row);
        b.rows.push(copy);
        b.set(1, &Path::parse("a.b[1].c").unwrap(), NewValue::Int(9)).unwrap();
        b.set(1, &Path::parse("@severity").unwrap(), NewValue::Str("warn")).unwrap();
        let text = |row: usize| {
            let mut out = Vec::new();
            b.write_json(&b.rows[row], &mut out);
            b.header(&b.rows[row]).unwrap().write_json(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0), r#"{"a":{"b":[1,{"c":2}]},"d":"x"}{"severity":"info"}"#);
        assert_eq!(text(1), r#"{"a":{"b":[1,{"c":9}]},"d":"x"}{"severity":"warn"}"#);
    }

    #[test]
    fn items_can_be_put_elsewhere() {
        let mut b = batch(r#"{"a":[{"x":1},2,[3]],"n":5}"#);
        let path = Path::key("a");
        let items = b.items(&b.rows[0], &b.resolve(&path)).unwrap();
        assert_eq!(items.len(), 3);
        assert!(b.items(&b.rows[0], &b.resolve(&Path::key("n"))).is_none());
        b.set(0, &path, NewValue::Copy(items[0])).unwrap();
        b.set(0, &Path::parse("m.k").unwrap(), NewValue::Copy(items[2])).unwrap();
        let mut out = Vec::new();
        b.write_json(&b.rows[0], &mut out);
        assert_eq!(out, br#"{"a":{"x":1},"n":5,"m":{"k":[3]}}"#);
    }

    #[test]
    fn the_span_of_a_line() {
        let mut b = batch(r#"{"log":"x"}"#);
        assert_eq!(b.sole_span(b.rows[0].root()), Some(8..9));
        let root = b.text_body(2..5);
        assert_eq!(b.sole_span(root), Some(2..5));
        let empty = b.new_object();
        assert_eq!(b.sole_span(empty), None);
    }
}
