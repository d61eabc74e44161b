//! Records that get another tag.
//!
//! A batch has one tag, so records of several tags leave in batches of their own, which go on behind the filter, never
//! before it: a tag can't send a record in a circle.

use std::collections::HashMap;
use std::sync::Arc;

use suiro_record::{Batch, Row};

use crate::filter::FilterContext;
use crate::flow::Flow;

/// Longest tag, bytes.
pub const MAX_TAG: usize = 256;
/// Tags that the records of one batch may get.
pub const MAX_TAGS: usize = 256;

/// The records of one batch that leave it, by tag.
#[derive(Debug, Default)]
pub struct Reroute {
    by_tag: HashMap<Arc<str>, usize>,
    groups: Vec<Group>,
    /// The group of the last record: the next one's is often the same.
    last: usize,
}

/// Records of one tag.
#[derive(Debug)]
struct Group {
    tag: Arc<str>,
    rows: Vec<Row>,
}

// === impl Reroute ===

impl Reroute {
    /// Whether no record leaves.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Adds a record; whether there is room for its tag.
    pub fn add(&mut self, tag: &str, row: &Row) -> bool {
        if let Some(last) = self.groups.get_mut(self.last)
            && *last.tag == *tag
        {
            last.rows.push(*row);
            return true;
        }
        self.last = match self.by_tag.get(tag) {
            Some(&at) => at,
            None if self.groups.len() == MAX_TAGS => return false,
            None => {
                let tag: Arc<str> = tag.into();
                self.by_tag.insert(tag.clone(), self.groups.len());
                self.groups.push(Group { tag, rows: Vec::new() });
                self.groups.len() - 1
            }
        };
        self.groups[self.last].rows.push(*row);
        true
    }

    /// Sends each group on in a batch of its own; `staying` is what the batch keeps.
    pub fn leave(mut self, flow: &mut Flow, mut staying: Vec<Row>, cx: &mut FilterContext) {
        if self.groups.len() <= 1 && staying.is_empty() {
            if let Some(group) = self.groups.pop() {
                flow.batch.tag = group.tag;
                staying = group.rows;
            }
            flow.batch.rows = staying;
            return;
        }
        let mut out: Vec<Flow> = Vec::new();
        for Group { tag, rows } in self.groups {
            let mut batch = flow.batch.sibling(tag);
            if batch.import_all(&flow.batch, &rows).is_err() {
                cx.failed += rows.len();
                staying.extend(rows);
                continue;
            }
            out.push(leaving(flow, batch));
        }
        flow.batch.rows = staying;
        if out.is_empty() {
            return;
        }
        // What stays answers for itself alone: what left may be settled sooner, or later.
        let Flow { batch, custody } = flow;
        custody.narrow(batch, batch.rows.iter());
        out.into_iter().for_each(|flow| cx.emit(flow));
    }
}

/// Whether a text can be a tag: from 1 to [`MAX_TAG`] bytes, without control characters.
pub fn is_tag(text: &str) -> bool {
    (1..=MAX_TAG).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Records that leave, and who waits for them.
fn leaving(flow: &Flow, batch: Batch) -> Flow {
    let mut custody = flow.custody.fork();
    custody.narrow(&batch, batch.rows.iter());
    Flow { batch, custody }
}
