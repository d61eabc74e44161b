//! Trying changes and taking them back.
//!
//! A batch only grows: texts, nodes and keys that are new stand behind those that were there. So whoever changes nothing
//! but *copies* of records ([`Batch::copy_row`]) made since a mark can forget all of it by cutting the tables where they
//! ended then. That costs a copy of the records that are changed, and nothing for those that are not.

use crate::batch::{Batch, Row};

/// How large a batch was.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    heap: usize,
    nodes: usize,
    keys: usize,
    scopes: usize,
}

impl Batch {
    /// How large the batch is now.
    pub fn mark(&self) -> Mark {
        Mark { heap: self.heap.len(), nodes: self.nodes.len(), keys: self.keys.len(), scopes: self.scopes.len() }
    }

    /// Forgets all values, texts and keys added since `mark`. Rows must name none of them by then, and values that were
    /// there at the mark must not have been changed since: changes go to copies. What was resolved since is void.
    pub fn cut(&mut self, mark: Mark) {
        self.heap.truncate(mark.heap);
        self.nodes.truncate(mark.nodes.max(1));
        self.keys.truncate(mark.keys);
        self.scopes.truncate(mark.scopes);
        debug_assert!(self.rows.iter().all(|row| self.is_below(row, mark)), "a row names what is cut off");
    }

    fn is_below(&self, row: &Row, mark: Mark) -> bool {
        (row.root as usize) < mark.nodes
            && (row.header as usize) < mark.nodes
            && usize::from(row.scope) < self.scopes.len()
    }

    /// Bytes added since `mark`, those of keys left out.
    pub fn grown_since(&self, mark: Mark) -> usize {
        self.heap.len().saturating_sub(mark.heap)
            + self.nodes.len().saturating_sub(mark.nodes) * size_of::<crate::node::Node>()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{Batch, Header, NewValue, Path, Row, Scope, Source};

    #[test]
    fn what_was_tried_is_forgotten() {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        let json = r#"{"a":{"b":1},"c":"x"}"#;
        batch.heap_mut().extend_from_slice(json.as_bytes());
        let root = batch.parse_json(0..json.len()).unwrap();
        batch.rows.push(Row::new(root, 0, 0, json.len() as u64));
        let text = |batch: &Batch| {
            let mut out = Vec::new();
            batch.write_json(&batch.rows[0], &mut out);
            String::from_utf8(out).unwrap()
        };
        for _ in 0..3 {
            let (mark, row) = (batch.mark(), batch.rows[0]);
            batch.rows[0] = batch.copy_row(&row);
            for i in 0..100 {
                batch.set(0, &Path::key(&format!("new {i}")), NewValue::Str("text")).unwrap();
            }
            batch.set(0, &Path::parse("a.b").unwrap(), NewValue::Int(2)).unwrap();
            batch.set_header(0, Header::Severity, NewValue::Str("warn")).unwrap();
            assert!(text(&batch).starts_with(r#"{"a":{"b":2},"c":"x","new 0":"text""#));
            assert!(batch.grown_since(mark) > 400);
            batch.rows[0] = row;
            batch.cut(mark);
            assert_eq!((text(&batch).as_str(), batch.grown_since(mark)), (json, 0));
            assert!(batch.header(&batch.rows[0]).is_none());
            assert!(batch.get(&batch.rows[0], &batch.resolve(&Path::key("new 7"))).is_none());
        }
        // Keys that are learned anew get the ids that became free.
        batch.set(0, &Path::key("new 7"), NewValue::Int(7)).unwrap();
        assert_eq!(text(&batch), r#"{"a":{"b":1},"c":"x","new 7":7}"#);
    }
}
