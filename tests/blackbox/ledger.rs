//! The ledger as the agent tells it, and its equations.

use serde_json::Value;

/// Counts are records.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(Value);

// === impl Ledger ===

impl Ledger {
    pub(crate) fn parse(json: &[u8]) -> Ledger {
        Ledger(
            serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(json))),
        )
    }

    fn blocks(&self, kind: &str) -> &[Value] {
        self.0[kind].as_array().unwrap_or_else(|| panic!("no {kind} in {}", self.0))
    }

    fn block(&self, kind: &str, name: &str) -> &Value {
        let found = self.blocks(kind).iter().find(|block| block["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} among {kind} of {}", self.0))
    }

    /// A count of an input.
    pub(crate) fn input(&self, name: &str, count: &str) -> u64 {
        number(self.block("inputs", name), count)
    }

    /// A count of a filter; reasons are added up.
    pub(crate) fn filter(&self, name: &str, count: &str) -> u64 {
        number(self.block("filters", name), count)
    }

    /// A count of an output; reasons are added up.
    pub(crate) fn output(&self, name: &str, count: &str) -> u64 {
        number(self.block("outputs", name), count)
    }

    /// How many of an output's records left it for a reason.
    pub(crate) fn reason(&self, output: &str, count: &str, reason: &str) -> u64 {
        self.block("outputs", output)[count][reason].as_u64().unwrap_or(0)
    }

    /// Records that no output took.
    pub(crate) fn unrouted(&self) -> u64 {
        number(&self.0["router"], "dropped")
    }

    /// Nothing is under way.
    pub(crate) fn is_settled(&self) -> bool {
        let under_way =
            |kind: &str, count: &str| self.blocks(kind).iter().map(|block| number(block, count)).sum::<u64>();
        under_way("inputs", "in_flight") + under_way("filters", "held") + under_way("outputs", "in_flight") == 0
    }

    /// Every equation holds.
    pub(crate) fn assert_balanced(&self) {
        for i in self.blocks("inputs") {
            assert_eq!(number(i, "received"), number(i, "settled") + number(i, "in_flight"), "{i}");
        }
        for f in self.blocks("filters") {
            let left = ["out", "dropped", "dead_lettered", "absorbed", "held"]
                .map(|count| number(f, count))
                .iter()
                .sum::<u64>();
            assert_eq!(number(f, "in") + number(f, "created"), left, "{f}");
        }
        let router = &self.0["router"];
        assert_eq!(number(router, "in"), number(router, "routed") + number(router, "dropped"), "{router}");
        for o in self.blocks("outputs") {
            let left = ["delivered", "dropped", "dead_lettered", "in_flight"]
                .map(|count| number(o, count))
                .iter()
                .sum::<u64>();
            assert_eq!(number(o, "routed") + number(o, "recovered"), left, "{o}");
        }
        assert_eq!(self.0["balanced"], true, "{}", self.0);
    }

    /// Every equation holds, and nothing is under way.
    pub(crate) fn assert_settled(&self) {
        self.assert_balanced();
        assert!(self.is_settled(), "{}", self.0);
    }
}

/// A number, or the sum of a map of them.
fn number(block: &Value, count: &str) -> u64 {
    match &block[count] {
        Value::Number(number) => number.as_u64().unwrap_or_else(|| panic!("{count} of {block}")),
        Value::Object(reasons) => reasons.values().filter_map(Value::as_u64).sum(),
        _ => panic!("no {count} in {block}"),
    }
}
