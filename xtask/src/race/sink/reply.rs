//! What Elasticsearch answers to a bulk request in which every record was taken.
//!
//! One item a record, in order, with the fields a real node gives; `filter_path` cuts the answer down as a real node
//! would (patterns over dotted paths, `*` one level, `**` any number, a match includes all beneath it; what matches
//! nothing is left out, an `items` left empty too). Items are rendered once for [`BLOCK`] records and repeated, so ids
//! and sequence numbers repeat as well: the one liberty taken, and no sender looks.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// Records an answer is rendered for at once.
const BLOCK: usize = 1024;

/// Fields of an item, in a node's order, with their JSON. `{id}` and `{n}` stand for the record's own.
const ITEM: [(&str, &str); 8] = [
    ("_index", "\"race\""),
    ("_id", "\"{id}\""),
    ("_version", "1"),
    ("result", "\"created\""),
    ("_shards", "{\"total\":2,\"successful\":1,\"failed\":0}"),
    ("_seq_no", "{n}"),
    ("_primary_term", "1"),
    ("status", "201"),
];

/// Answers to bulk requests of one `filter_path` and one kind of action.
pub(super) struct BulkReply {
    /// Everything before the items, the opening `[` included if there are items.
    head: String,
    /// `BLOCK` items, each preceded by a comma; empty if `filter_path` leaves none.
    items: String,
    /// Ends of the items within `items`.
    ends: Vec<usize>,
    tail: &'static str,
}

impl BulkReply {
    /// Renders answers for actions named `action` under `filter_path` (`None`: everything).
    pub(super) fn new(filter_path: Option<&str>, action: &str) -> Self {
        let wanted = |path: &[&str]| {
            filter_path.is_none_or(|patterns| {
                patterns.split(',').any(|pattern| covers(&pattern.split('.').collect::<Vec<_>>(), path))
            })
        };
        let mut head = vec![];
        if wanted(&["took"]) {
            head.push("\"took\":1");
        }
        if wanted(&["errors"]) {
            head.push("\"errors\":false");
        }
        let fields: Vec<_> = ITEM.iter().filter(|(name, _)| wanted(&["items", action, name])).collect();
        let (mut items, mut ends) = (String::new(), vec![]);
        if !fields.is_empty() {
            for n in 0..BLOCK {
                let _ = write!(items, ",{{\"{action}\":{{");
                for (at, (name, value)) in fields.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    let value = value.replace("{id}", &format!("mQxC9Z{n:014}")).replace("{n}", &n.to_string());
                    let _ = write!(items, "{comma}\"{name}\":{value}");
                }
                items.push_str("}}");
                ends.push(items.len());
            }
            head.push("\"items\":[");
        }
        let tail = if items.is_empty() { "}" } else { "]}" };
        Self { head: format!("{{{}", head.join(",")), items, ends, tail }
    }

    /// Writes the whole HTTP answer for `records` records.
    pub(super) fn write(&self, records: u64, to: &mut impl Write, scratch: &mut Vec<u8>) -> io::Result<()> {
        let length = self.head.len() + self.items_length(records) + self.tail.len();
        scratch.clear();
        write!(
            scratch,
            "HTTP/1.1 200 OK\r\nX-elastic-product: Elasticsearch\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{}",
            self.head
        )?;
        if !self.ends.is_empty() {
            let mut left = records as usize;
            let mut from = 1; // The very first item has no comma.
            while left > 0 {
                let now = left.min(BLOCK);
                scratch.extend_from_slice(&self.items.as_bytes()[from..self.ends[now - 1]]);
                (left, from) = (left - now, 0);
            }
        }
        scratch.extend_from_slice(self.tail.as_bytes());
        to.write_all(scratch)
    }

    fn items_length(&self, records: u64) -> usize {
        let (Some(&block), true) = (self.ends.last(), records > 0) else { return 0 };
        let rest = records as usize % BLOCK;
        records as usize / BLOCK * block + if rest == 0 { 0 } else { self.ends[rest - 1] } - 1
    }
}

/// Whether `pattern` selects `path` or something above it.
fn covers(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], _) => true,
        (_, []) => false,
        (["**", rest @ ..], [_, below @ ..]) => covers(rest, path) || covers(pattern, below),
        ([first, rest @ ..], [name, below @ ..]) => (*first == "*" || first == name) && covers(rest, below),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(filter_path: Option<&str>, action: &str, records: u64) -> Value {
        let mut out = Vec::new();
        BulkReply::new(filter_path, action).write(records, &mut out, &mut Vec::new()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}\n{}", body.len());
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn a_full_answer_has_an_item_for_each_record() {
        for records in [0, 1, 2, 1023, 1024, 1025, 5000] {
            let answer = answer(None, "create", records);
            assert_eq!(answer["errors"], false);
            let items = answer["items"].as_array().unwrap();
            assert_eq!(items.len() as u64, records);
            assert!(
                items.iter().all(|item| item["create"]["status"] == 201 && item["create"]["_shards"]["total"] == 2)
            );
        }
    }

    #[test]
    fn filter_path_cuts_the_answer_down() {
        let path = Some("errors,items.*.status,items.*.error");
        assert_eq!(
            answer(path, "create", 2),
            json!({"errors": false, "items": [{"create": {"status": 201}}, {"create": {"status": 201}}]})
        );
        assert_eq!(answer(Some("errors,items.*.error"), "index", 3), json!({"errors": false}));
        assert_eq!(answer(Some("errors"), "index", 3), json!({"errors": false}));
        assert_eq!(answer(Some("items.index._id"), "index", 1)["items"][0]["index"].as_object().unwrap().len(), 1);
        assert_eq!(answer(Some("**.status"), "index", 1), json!({"items": [{"index": {"status": 201}}]}));
        assert_eq!(answer(Some("took,items"), "index", 1)["items"][0]["index"]["result"], "created");
    }
}
