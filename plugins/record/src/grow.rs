//! Building a record piece by piece, as decoders of binary formats do: maps and lists are filled where they stand, nothing
//! is copied and no tree is made in between. Whoever builds bounds the depth ([`MAX_DEPTH`](crate::MAX_DEPTH)).

use crate::batch::{Batch, RootId};
use crate::build::Source;
use crate::edit::{EditError, NewValue};
use crate::node::{NO_KEY, Tag};
use crate::parse::MAX_DEPTH;

impl Batch {
    /// Appends `key` to a map that is being built, as [`Batch::append`] does, and gives the value: an empty map or list is
    /// to be filled.
    pub fn add_member(&mut self, map: RootId, key: &str, value: NewValue<'_>) -> Result<RootId, EditError> {
        let key = self.keys.intern(key).ok_or(EditError::Full)?;
        let node = self.build(&Source::New(value), MAX_DEPTH - 1)?;
        self.append_node(map, key, node)?;
        Ok(RootId(node))
    }

    /// Appends an item to a list that is being built, and gives it: an empty map or list is to be filled.
    pub fn add_item(&mut self, list: RootId, value: NewValue<'_>) -> Result<RootId, EditError> {
        if self.node(list.0).tag != Tag::Array {
            return Err(EditError::NotSettable);
        }
        let node = self.build(&Source::New(value), MAX_DEPTH - 1)?;
        self.make_dirty(list.0);
        self.link_member(list.0, NO_KEY, node);
        Ok(RootId(node))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Path, Row, Scope, Source};

    #[test]
    fn maps_and_lists_are_filled_where_they_stand() {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        let root = batch.new_object();
        let attributes = batch.add_member(root, "attributes", NewValue::EmptyObject).unwrap();
        let events = batch.add_member(root, "events", NewValue::EmptyArray).unwrap();
        for n in 0..2 {
            let event = batch.add_item(events, NewValue::EmptyObject).unwrap();
            batch.add_member(event, "n", NewValue::Int(n)).unwrap();
        }
        batch.add_member(attributes, "a", NewValue::Str("x")).unwrap();
        batch.add_member(root, "end", NewValue::Bool(true)).unwrap();
        batch.rows.push(Row::new(root, 0, 0, 1));
        let written = |batch: &Batch| {
            let mut out = Vec::new();
            batch.write_json(&batch.rows[0], &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(&batch), r#"{"attributes":{"a":"x"},"events":[{"n":0},{"n":1}],"end":true}"#);
        batch.set(0, &Path::parse("events[1].n").unwrap(), NewValue::Int(7)).unwrap();
        assert!(written(&batch).contains(r#"[{"n":0},{"n":7}]"#));
        assert_eq!(batch.add_item(attributes, NewValue::Null), Err(EditError::NotSettable));
        assert_eq!(batch.add_member(events, "a", NewValue::Null), Err(EditError::NotSettable));
    }
}
