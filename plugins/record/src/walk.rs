//! A walk over every value of a record, which outlives changes made through it.
//!
//! A walk holds no borrow of the batch: it knows the containers it is in, and which of their children it is at. Between two
//! steps the value it is at may be replaced or removed *through the walk*; any other change of that record, and cutting the
//! batch, ends its use.

use smallvec::SmallVec;

use crate::batch::{Batch, RootId};
use crate::build::Source;
use crate::edit::{EditError, NewValue};
use crate::node::{DUPLICATES, NO_KEY, NodeId, Tag};
use crate::node_ref::NodeRef;
use crate::parse::MAX_DEPTH;

/// A walk over the values in a map or list, depth first, containers before what is in them.
#[derive(Clone, Debug)]
pub struct Walk {
    root: NodeId,
    /// From the root's children down to the value the walk is at. Empty before the first.
    steps: SmallVec<[Step; 8]>,
    state: At,
}

/// A child of the container above.
#[derive(Clone, Copy, Debug)]
struct Step {
    id: NodeId,
    /// How many siblings stand before it.
    index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first value.
    Start,
    /// At a value as it was found: what is in it comes next.
    Value,
    /// At a value that was set: what is in it is not walked.
    Set,
    /// At a value that was removed.
    Removed,
    /// Behind the last.
    End,
}

// === impl Walk ===

impl Walk {
    /// A walk over what is in `root`.
    pub fn new(root: RootId) -> Walk {
        Walk { root: root.0, steps: SmallVec::new(), state: At::Start }
    }

    /// Goes to the next value.
    pub fn next<'b>(&mut self, batch: &'b Batch) -> Option<NodeRef<'b>> {
        let into = match (self.state, self.steps.last()) {
            (At::End, _) => return None,
            (At::Start, _) => Some(self.root),
            (At::Value, Some(step)) => Some(step.id),
            _ => None,
        };
        let first = into.filter(|&id| batch.node(id).is_container()).map_or(0, |id| batch.node(id).first_child(id));
        if first != 0 {
            self.steps.push(Step { id: first, index: 0 });
        } else {
            let mut removed = self.state == At::Removed;
            loop {
                let Some(step) = self.steps.last_mut() else {
                    self.state = At::End;
                    return None;
                };
                let next = batch.node(step.id).next;
                if next != 0 {
                    // Where one was removed, the next has taken its place.
                    *step = Step { id: next, index: step.index + u32::from(!removed) };
                    break;
                }
                removed = false;
                self.steps.pop();
            }
        }
        self.state = At::Value;
        self.at(batch)
    }

    /// The value it is at, unless there is none, or it was removed.
    pub fn at<'b>(&self, batch: &'b Batch) -> Option<NodeRef<'b>> {
        match self.state {
            At::Value | At::Set => self.steps.last().map(|step| NodeRef { batch, id: step.id }),
            At::Start | At::Removed | At::End => None,
        }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.state == At::End
    }

    /// Writes the path of the value it is at, as [`Path::parse`](crate::Path::parse) takes it.
    pub fn write_path(&self, batch: &Batch, out: &mut String) {
        use std::fmt::Write as _;
        for (i, step) in self.steps.iter().enumerate() {
            let node = NodeRef { batch, id: step.id };
            match node.key() {
                None => {
                    let _ = write!(out, "[{}]", step.index);
                }
                Some(key) => {
                    if i > 0 {
                        out.push('.');
                    }
                    write_part(key, out);
                }
            }
        }
    }

    /// The record was copied ([`Batch::copy_row`]) and not changed since: goes on in the copy.
    pub fn transfer(&mut self, batch: &Batch, root: RootId) {
        self.root = root.0;
        let mut id = root.0;
        for step in &mut self.steps {
            let Some(child) = batch.child_ids(id).nth(step.index as usize) else {
                self.state = At::End;
                return;
            };
            step.id = child;
            id = child;
        }
    }
}

impl Batch {
    /// Replaces the value `walk` is at, in its place; other copies of its key are removed.
    pub fn set_at(&mut self, walk: &mut Walk, value: NewValue<'_>) -> Result<(), EditError> {
        let Some((container, step)) = self.place_of(walk) else { return Err(EditError::NotSettable) };
        let room = MAX_DEPTH.saturating_sub(walk.steps.len());
        let new = self.build(&Source::New(value), room)?;
        self.dirty_along(walk);
        // Removing other copies of the key may change how many stand before it.
        let moves = self.node(container).is(DUPLICATES);
        self.replace(container, step.id, new);
        if moves && let Some(last) = walk.steps.last_mut() {
            last.index = self.child_ids(container).position(|id| id == step.id).unwrap_or(0) as u32;
        }
        walk.state = At::Set;
        Ok(())
    }

    /// Removes the value `walk` is at. Says whether there was one.
    pub fn remove_at(&mut self, walk: &mut Walk) -> bool {
        let Some((container, step)) = self.place_of(walk) else { return false };
        self.dirty_along(walk);
        self.unlink(container, |id, _| id == step.id);
        walk.state = At::Removed;
        true
    }

    fn place_of(&self, walk: &Walk) -> Option<(NodeId, Step)> {
        let (step, above) = walk.steps.split_last()?;
        let container = above.last().map_or(walk.root, |step| step.id);
        debug_assert!(
            self.node(container).tag != Tag::Object || self.node(step.id).key != NO_KEY,
            "the walk is of another record"
        );
        matches!(walk.state, At::Value | At::Set).then_some((container, *step))
    }

    fn dirty_along(&mut self, walk: &Walk) {
        self.make_dirty(walk.root);
        for step in &walk.steps[..walk.steps.len() - 1] {
            self.make_dirty(step.id);
        }
    }
}

/// A key as a part of a path: bare where the grammar takes it so.
fn write_part(key: &str, out: &mut String) {
    if crate::path::is_bare_part(key) {
        out.push_str(key);
        return;
    }
    out.push('"');
    for c in key.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Path, Row, Scope, Source as Origin};

    fn batch(json: &str) -> Batch {
        let scope = Arc::new(Scope::new(Arc::new(Origin::new("in".into(), 1))));
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.heap_mut().extend_from_slice(json.as_bytes());
        let root = batch.parse_json(0..json.len()).unwrap();
        batch.rows.push(Row::new(root, 0, 0, json.len() as u64));
        batch
    }

    fn json(batch: &Batch) -> String {
        let mut out = Vec::new();
        batch.write_json(&batch.rows[0], &mut out);
        String::from_utf8(out).unwrap()
    }

    const RECORD: &str = r#"{"a":{"b.c":[1,{"d":"x"},[]]},"e":{},"f \"g\"":null,"":true}"#;

    #[test]
    fn visits_everything_in_order_and_names_it() {
        let batch = batch(RECORD);
        let mut walk = Walk::new(batch.rows[0].root());
        let mut seen = Vec::new();
        while let Some(value) = walk.next(&batch) {
            let (mut path, mut text) = (String::new(), Vec::new());
            walk.write_path(&batch, &mut path);
            value.write_json(&mut text);
            let parsed = Path::parse(&path).expect(&path);
            let found = batch.get(&batch.rows[0], &batch.resolve(&parsed)).expect(&path);
            assert_eq!(found.to_value(), value.to_value(), "{path}");
            seen.push(path);
        }
        let paths = ["a", "a.\"b.c\"", "a.\"b.c\"[0]", "a.\"b.c\"[1]", "a.\"b.c\"[1].d", "a.\"b.c\"[2]", "e"];
        assert_eq!(seen[..7], paths);
        assert_eq!(seen[7..], ["\"f \\\"g\\\"\"", "\"\""]);
        assert!(walk.is_over() && walk.next(&batch).is_none());
    }

    #[test]
    fn changes_in_its_course() {
        let mut batch = batch(r#"{"a":["s1","s2",{"x":"s3","x":"s4"},"s5"],"b":"s6","c":{"d":"s7"}}"#);
        let mut walk = Walk::new(batch.rows[0].root());
        let row = batch.rows[0];
        let mut copied = false;
        let mut walked = 0;
        while let Some(text) = walk.next(&batch).map(|value| value.as_str().map(|s| s.into_owned())) {
            walked += 1;
            let Some(text) = text else { continue };
            if !copied {
                batch.rows[0] = batch.copy_row(&row);
                walk.transfer(&batch, batch.rows[0].root());
                copied = true;
            }
            match text.as_str() {
                "s1" | "s6" => {
                    assert!(batch.remove_at(&mut walk));
                    assert!(!batch.remove_at(&mut walk) && walk.at(&batch).is_none());
                    assert!(batch.set_at(&mut walk, NewValue::Null).is_err());
                }
                "s7" => {
                    let tree = crate::Value::Array(vec!["s8".into(), "s9".into()]);
                    batch.set_at(&mut walk, NewValue::Tree(&tree)).unwrap();
                }
                other => {
                    let changed = format!("<{other}>");
                    batch.set_at(&mut walk, NewValue::Str(&changed)).unwrap();
                    let mut path = String::new();
                    walk.write_path(&batch, &mut path);
                    let path = Path::parse(&path).unwrap();
                    let found = batch.get(&batch.rows[0], &batch.resolve(&path)).unwrap();
                    assert!(found.str_eq(&changed), "{path}");
                }
            }
        }
        assert_eq!(json(&batch), r#"{"a":["<s2>",{"x":"<s3>"},"<s5>"],"c":{"d":["s8","s9"]}}"#);
        assert_eq!(walked, 9);
        batch.rows[0] = row;
        assert!(json(&batch).contains("s4"), "the record that was copied is as it was");
    }
}
