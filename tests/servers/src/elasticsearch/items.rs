//! The answer to `_bulk`, item by item, as `filter_path` wants it.
//!
//! A filter takes away members that no pattern names, then what is empty: an item without a member that is named is gone, and
//! positions with it. `items.*.status` keeps one of each.

use serde_json::json;

/// What became of one document.
pub(super) struct Item {
    index: String,
    pub(super) id: Option<String>,
    pub(super) status: u16,
    error: Option<String>,
    number: u64,
}

/// Members of the answer that are wanted.
pub(super) struct Filter {
    all: bool,
    errors: bool,
    took: bool,
    status: bool,
    error: bool,
    rest: bool,
}

/// The answer as it is written.
pub(super) struct Items {
    filter: Filter,
    body: Vec<u8>,
    count: usize,
    errors: bool,
}

// === impl Item ===

impl Item {
    pub(super) fn stored(index: &str, id: &str, status: u16, number: u64) -> Self {
        Item { index: index.to_owned(), id: Some(id.to_owned()), status, error: None, number }
    }

    pub(super) fn refused(
        index: &str,
        id: Option<String>,
        status: u16,
        kind: &str,
        reason: String,
        cause: Option<(&str, String)>,
    ) -> Self {
        let mut error = json!({ "type": kind, "reason": reason });
        match cause {
            Some((kind, reason)) => error["caused_by"] = json!({ "type": kind, "reason": reason }),
            None if status == 409 => {
                error["index_uuid"] = "aAsFqTI0Tc2W0LCWgPNrOA".into();
                error["shard"] = "0".into();
                error["index"] = index.into();
            }
            None => {}
        }
        Item { index: index.to_owned(), id, status, error: Some(error.to_string()), number: 0 }
    }
}

// === impl Filter ===

impl Filter {
    pub(super) fn parse(filter: Option<&str>) -> Self {
        let mut wanted =
            Filter { all: filter.is_none(), errors: false, took: false, status: false, error: false, rest: false };
        for pattern in filter.unwrap_or_default().split(',') {
            match pattern {
                "*" | "**" => wanted.all = true,
                "errors" => wanted.errors = true,
                "took" => wanted.took = true,
                "items" | "items.*" | "items.*.*" => {
                    (wanted.status, wanted.error, wanted.rest) = (true, true, true);
                }
                "items.*.status" => wanted.status = true,
                pattern if pattern.starts_with("items.*.error") => wanted.error = true,
                _ => {}
            }
        }
        if wanted.all {
            Filter { all: true, errors: true, took: true, status: true, error: true, rest: true }
        } else {
            wanted
        }
    }
}

// === impl Items ===

impl Items {
    pub(super) fn new(filter: Filter) -> Self {
        Items { filter, body: Vec::new(), count: 0, errors: false }
    }

    pub(super) fn push(&mut self, action: &str, item: &Item) {
        self.errors |= item.error.is_some();
        let filter = &self.filter;
        let mut members = Vec::with_capacity(8);
        if filter.rest {
            members.push(format!("\"_index\":{}", json!(item.index)));
            members.push(format!("\"_id\":{}", json!(item.id)));
            if item.error.is_none() {
                let result = if item.status == 201 { "created" } else { "updated" };
                members.push(format!(
                    "\"_version\":1,\"result\":\"{result}\",\"_shards\":{{\"total\":1,\"successful\":1,\"failed\":0}},\
                     \"_seq_no\":{},\"_primary_term\":1",
                    item.number
                ));
            }
        }
        if filter.status {
            members.push(format!("\"status\":{}", item.status));
        }
        if let Some(error) = item.error.as_ref().filter(|_| filter.error) {
            members.push(format!("\"error\":{error}"));
        }
        if members.is_empty() {
            return;
        }
        if self.count > 0 {
            self.body.push(b',');
        }
        self.count += 1;
        self.body.extend_from_slice(format!("{{\"{action}\":{{{}}}}}", members.join(",")).as_bytes());
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut members = Vec::new();
        if self.filter.took {
            members.push(b"\"took\":3".to_vec());
        }
        if self.filter.errors {
            members.push(format!("\"errors\":{}", self.errors).into_bytes());
        }
        if self.count > 0 {
            members.push([b"\"items\":[".as_slice(), &self.body, b"]"].concat());
        }
        [b"{".as_slice(), &members.join(&b','), b"}"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(filter: Option<&str>, items: &[Item]) -> String {
        let mut out = Items::new(Filter::parse(filter));
        items.iter().for_each(|item| out.push("create", item));
        String::from_utf8(out.finish()).unwrap()
    }

    #[test]
    fn filters_keep_positions_only_with_the_status() {
        let items = || {
            [Item::stored("i", "a", 201, 1), Item::refused("i", Some("b".to_owned()), 429, "t", "r".to_owned(), None)]
        };
        assert_eq!(
            answer(Some("errors,items.*.status,items.*.error"), &items()),
            r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":429,"error":{"reason":"r","type":"t"}}}]}"#
        );
        assert_eq!(
            answer(Some("errors,items.*.error"), &items()),
            r#"{"errors":true,"items":[{"create":{"error":{"reason":"r","type":"t"}}}]}"#
        );
        assert_eq!(answer(Some("errors,items.*.error"), &items()[..1]), r#"{"errors":false}"#);
        assert!(
            answer(None, &items())
                .starts_with(r#"{"took":3,"errors":true,"items":[{"create":{"_index":"i","_id":"a","#)
        );
    }
}
