//! The counts as Prometheus text (exposition format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use suiro_sdk::metrics::escape_label;

use crate::pipeline::{Health, Ledger};

/// A metric's samples: labels and value.
type Samples<'a> = Vec<(Vec<(&'a str, &'a str)>, u64)>;

/// Renders all counts.
pub(super) fn render(ledger: &Ledger, health: &Health) -> String {
    let mut out = String::new();
    let mut counter = |name: &str, help: &str, samples: Samples<'_>| write(&mut out, name, help, "counter", &samples);

    macro_rules! by_block {
        ($blocks:expr, $label:literal, $field:ident) => {
            $blocks.iter().map(|block| (vec![($label, block.name.as_str())], block.$field)).collect()
        };
    }
    counter("suiro_input_records_total", "Records received", by_block!(ledger.inputs, "input", received));
    counter("suiro_input_settled_records_total", "Records answered for", by_block!(ledger.inputs, "input", settled));
    counter("suiro_input_bytes_total", "Source bytes read", by_block!(ledger.inputs, "input", bytes));
    counter("suiro_input_parse_errors_total", "Lines kept as text", by_block!(ledger.inputs, "input", parse_errors));
    counter("suiro_input_invalid_utf8_total", "Lines repaired", by_block!(ledger.inputs, "input", invalid_utf8));
    counter("suiro_input_long_lines_total", "Lines cut at max_line", by_block!(ledger.inputs, "input", long_lines));
    counter(
        "suiro_input_abandoned_bytes_total",
        "Bytes given up on",
        by_block!(ledger.inputs, "input", abandoned_bytes),
    );
    let away = ledger.inputs.iter().flat_map(|i| by_reason("input", &i.name, &i.turned_away)).collect();
    counter("suiro_input_turned_away_total", "Records or datagrams that did not come in", away);
    counter("suiro_filter_in_records_total", "Records taken", by_block!(ledger.filters, "filter", taken));
    counter("suiro_filter_out_records_total", "Records passed on", by_block!(ledger.filters, "filter", out));
    counter("suiro_filter_created_records_total", "Records made", by_block!(ledger.filters, "filter", created));
    counter("suiro_filter_absorbed_records_total", "Records joined", by_block!(ledger.filters, "filter", absorbed));
    counter("suiro_filter_failed_records_total", "Records not changed", by_block!(ledger.filters, "filter", failed));
    let dropped = ledger.filters.iter().flat_map(|f| by_reason("filter", &f.name, &f.dropped)).collect();
    counter("suiro_filter_dropped_records_total", "Records dropped", dropped);
    let dead = ledger.filters.iter().flat_map(|f| by_reason("filter", &f.name, &f.dead_lettered)).collect();
    counter("suiro_filter_dead_lettered_records_total", "Records set aside", dead);
    let router = by_reason("router", "router", &ledger.router.dropped).collect();
    counter("suiro_router_dropped_records_total", "Records no output takes", router);
    counter("suiro_output_routed_records_total", "Records routed here", by_block!(ledger.outputs, "output", routed));
    counter(
        "suiro_output_recovered_records_total",
        "Records found in the disk queue",
        by_block!(ledger.outputs, "output", recovered),
    );
    counter(
        "suiro_output_delivered_records_total",
        "Records delivered",
        by_block!(ledger.outputs, "output", delivered),
    );
    let dropped = ledger.outputs.iter().flat_map(|o| by_reason("output", &o.name, &o.dropped)).collect();
    counter("suiro_output_dropped_records_total", "Records dropped", dropped);
    let dead = ledger.outputs.iter().flat_map(|o| by_reason("output", &o.name, &o.dead_lettered)).collect();
    counter("suiro_output_dead_lettered_records_total", "Records set aside", dead);
    let altered = ledger.outputs.iter().flat_map(|o| by_reason("output", &o.name, &o.altered)).collect();
    counter("suiro_output_altered_records_total", "Records delivered with less than was asked for", altered);
    counter("suiro_output_requests_total", "Requests made", by_block!(ledger.outputs, "output", requests));
    counter("suiro_output_retries_total", "Requests to repeat", by_block!(ledger.outputs, "output", retries));
    counter("suiro_output_bytes_total", "Request body bytes", by_block!(ledger.outputs, "output", bytes));
    let panics = health.panics();
    let panics = panics.iter().map(|(block, n)| (vec![("block", block.as_str())], *n)).collect();
    counter("suiro_panics_total", "Panics of plugins", panics);

    let mut gauge = |name: &str, help: &str, samples: Samples<'_>| write(&mut out, name, help, "gauge", &samples);
    gauge("suiro_input_in_flight_records", "Records not settled", by_block!(ledger.inputs, "input", in_flight));
    gauge("suiro_filter_held_records", "Records held", by_block!(ledger.filters, "filter", held));
    gauge("suiro_output_in_flight_records", "Records queued", by_block!(ledger.outputs, "output", in_flight));
    gauge("suiro_output_queued_bytes", "Memory of the queue", by_block!(ledger.outputs, "output", queued_bytes));
    let troubles = health.troubles();
    let troubles = troubles.keys().map(|block| (vec![("block", block.as_str())], 1)).collect();
    gauge("suiro_degraded", "1 for blocks that do not work", troubles);
    out
}

fn by_reason<'a>(
    label: &'a str,
    name: &'a str,
    reasons: &'a BTreeMap<&'static str, u64>,
) -> impl Iterator<Item = (Vec<(&'a str, &'a str)>, u64)> {
    reasons.iter().map(move |(reason, n)| (vec![(label, name), ("reason", *reason)], *n))
}

fn write(out: &mut String, name: &str, help: &str, kind: &str, samples: &Samples<'_>) {
    if samples.is_empty() {
        return;
    }
    // Writing to a `String` does not fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in samples {
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape_label(value))).collect();
        let _ = writeln!(out, "{name}{{{}}} {value}", labels.join(","));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut out = String::new();
        write(&mut out, "m", "help", "counter", &vec![(vec![("block", "a\"b\\c\nd")], 7)]);
        assert_eq!(out, "# HELP m help\n# TYPE m counter\nm{block=\"a\\\"b\\\\c\\nd\"} 7\n");
    }
}
