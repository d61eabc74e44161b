//! Filters for metrics and traces, through the built agent: logs become spans, spans metrics, and few of them stay.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::agent::{Outcome, Site};
use crate::records::TAIL_JSON;

/// Logs that say all of a span.
const TO_SPANS: &str = "[[filter]]\nname = 'spans'\ntype = 'log_to_span'\nspan_name = '{op}'\ntrace_id = 'trace'\n\
     span_id = 'span'\nparent_span_id = 'parent'\nstart = 'start'\nduration = 'ms'\nkind = '{kind}'\nstatus = 'failed'\n";

const STDOUT: &str = "[[output]]\nname = 'out'\ntype = 'stdout'\n";

/// That many traces of four spans each, as logs: one trace in ten has an error. And a line that is no span.
fn traces(count: u64) -> String {
    let mut lines = String::new();
    for nth in 0..4_u64 {
        for trace in 1..=count {
            let parent = if nth == 0 { String::new() } else { format!("{:016x}", trace * 4) };
            let line = json!({
                "trace": format!("{:032x}", u128::from(trace) * 0x0123_4567_89ab_cdef_0123),
                "span": format!("{:016x}", trace * 4 + nth),
                "parent": parent,
                "op": if nth == 0 { "GET /cart".to_owned() } else { format!("step {nth}") },
                "kind": if nth == 0 { "server" } else { "internal" },
                "start": 1_700_000_000_000_000_000_u64 + trace * 1000,
                "ms": 5 * (nth + 1),
                "failed": trace % 10 == 0 && nth == 2,
                "n": trace * 4 + nth,
                "tenant": format!("t{}", trace % 3),
            });
            lines.push_str(&format!("{line}\n"));
        }
    }
    lines + "{\"text\":\"no span\"}\n"
}

fn records(outcome: &Outcome) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    outcome.stdout.lines().map(parse).collect()
}

#[test]
fn logs_become_spans_that_are_counted_and_sampled() {
    let site = Site::new(&format!(
        "{TAIL_JSON}{TO_SPANS}\
         [[filter]]\nname = 'red'\ntype = 'span_metrics'\ndimensions = ['tenant']\ntemporality = 'delta'\nexemplars = 0\n\
         [[filter]]\nname = 'fewer'\ntype = 'aggregate'\nmatch = 'span_metrics'\nkeep = ['service.name', 'span.name', 'status.code']\n\
         [[filter]]\nname = 'total'\ntype = 'delta_to_cumulative'\n\
         [[filter]]\nname = 'sample'\ntype = 'tail_sample'\nwait = '1h'\npolicy = [{{ type = 'error' }}]\n{STDOUT}"
    ));
    site.write("app.log", traces(300));
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!((ledger.input("in", "received"), ledger.filter("spans", "failed")), (1201, 1));
    assert_eq!((ledger.filter("sample", "in"), ledger.filter("sample", "dropped")), (1200 + 1 + 10, 1080));
    // Four names, the errors of one apart, three tenants: calls and durations.
    let made = ledger.filter("red", "created");
    assert_eq!((made, ledger.filter("fewer", "absorbed"), ledger.filter("fewer", "created")), (30, 30, 10));
    assert_eq!(ledger.output("out", "delivered"), 120 + 1 + 10);
    let mut kept = BTreeSet::new();
    let mut calls = BTreeMap::new();
    for record in records(&outcome) {
        let name = record["name"].as_str().unwrap_or_default().to_owned();
        match record["kind"].as_str() {
            Some("sum") => {
                assert_eq!((&record["temporality"], &record["monotonic"]), (&json!("cumulative"), &json!(true)));
                let attributes = &record["attributes"];
                assert!(attributes.get("tenant").is_none() && attributes.get("span.kind").is_none(), "{record}");
                let key = (attributes["span.name"].to_string(), attributes["status.code"].to_string());
                calls.insert(key, record["value"].as_u64());
            }
            Some("histogram") => assert_eq!(name, "traces.span.metrics.duration"),
            Some(_) => {
                let n = record["attributes"]["n"].as_u64().expect("a number");
                assert_eq!(
                    record["end"].as_u64().unwrap() - record["start"].as_u64().unwrap(),
                    (n % 4 + 1) * 5_000_000
                );
                assert_eq!(record.get("parent_span_id").is_some(), n % 4 > 0, "{record}");
                assert!(kept.insert(n), "{n} is there twice");
            }
            None => assert_eq!(record, json!({ "text": "no span" })),
        }
    }
    let want: BTreeSet<u64> = (1..=300).filter(|n| n % 10 == 0).flat_map(|n| n * 4..n * 4 + 4).collect();
    assert_eq!(kept, want);
    let call = |name: &str, status: &str, n| ((format!("\"{name}\""), format!("\"STATUS_CODE_{status}\"")), Some(n));
    let want = [
        call("GET /cart", "UNSET", 300),
        call("step 1", "UNSET", 300),
        call("step 2", "UNSET", 270),
        call("step 2", "ERROR", 30),
        call("step 3", "UNSET", 300),
    ];
    assert_eq!(calls, want.into());
}

#[test]
fn two_agents_send_each_trace_to_one_gateway() {
    let mut gateways: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut spans = 0;
    for (to, part) in [("['gw.a', 'gw.b']", 0), ("['gw.b', 'gw.a']", 1)] {
        let site = Site::new(&format!(
            "{TAIL_JSON}{TO_SPANS}[[filter]]\nname = 'way'\ntype = 'route_by_trace'\nsignal = 'traces'\nto = {to}\n\
             [[filter]]\ntype = 'drop'\nwhen = 'exists(text)'\n\
             [[output]]\nname = 'out'\ntype = 'stdout'\nformat = 'pretty'\n"
        ));
        // Each sees the spans that run on its machine.
        let lines = traces(100);
        let own = lines.lines().enumerate().filter(|(i, _)| i / 100 % 2 == part).map(|(_, line)| format!("{line}\n"));
        site.write("app.log", own.collect::<String>());
        let outcome = site.once();
        outcome.all_well();
        for line in outcome.stdout.lines() {
            let gateway = if line.contains("gw.a") { "gw.a" } else { "gw.b" };
            let n = line.split("\"n\":").nth(1).and_then(|rest| rest.split([',', '}']).next()).expect(line);
            let trace = n.parse::<u64>().expect("a number") / 4;
            gateways.entry(gateway.to_owned()).or_default().insert(trace.to_string());
            spans += 1;
        }
    }
    assert_eq!(spans, 400);
    let (a, b) = (&gateways["gw.a"], &gateways["gw.b"]);
    assert!(a.is_disjoint(b) && a.len() + b.len() == 100, "{a:?} {b:?}");
    assert!(a.len() > 25 && b.len() > 25, "{} {}", a.len(), b.len());
}

#[test]
fn logs_become_metrics() {
    let site = Site::new(&format!(
        "{TAIL_JSON}[[filter]]\nname = 'count'\ntype = 'log_to_metrics'\nlogs = 'drop'\nresource = []\nmetric = [\
         {{ name = 'requests', labels = {{ tenant = '{{tenant}}' }}, when = 'exists(tenant)' }},\
         {{ name = 'time', kind = 'histogram', value = 'ms', unit = 'ms', bounds = [7, 12], when = 'exists(ms)' }}]\n{STDOUT}"
    ));
    site.write("app.log", traces(30));
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!((ledger.filter("count", "dropped"), ledger.filter("count", "created")), (120, 4));
    let mut found: Vec<(String, Value)> = Vec::new();
    for record in records(&outcome) {
        match record["name"].as_str() {
            Some("requests") => found.push((record["attributes"]["tenant"].to_string(), record["value"].clone())),
            Some("time") => found.push(("time".to_owned(), record["buckets"].clone())),
            _ => assert_eq!(record, json!({ "text": "no span" })),
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let want = [("\"t0\"", json!(40)), ("\"t1\"", json!(40)), ("\"t2\"", json!(40)), ("time", json!([30, 30, 60]))];
    assert_eq!(found, want.map(|(key, value)| (key.to_owned(), value)));
}

#[test]
fn what_a_sampler_holds_is_settled_and_decided_in_the_end() {
    let config = format!(
        "{TAIL_JSON}{TO_SPANS}[[filter]]\nname = 'sample'\ntype = 'tail_sample'\nwait = '1h'\npolicy = {{ type = 'always' }}\n{STDOUT}"
    );
    let site = Site::new(&config);
    site.write("app.log", traces(50));
    let running = site.start();
    running.wait_for_ledger("all spans are held", |ledger| ledger.filter("sample", "held") == 200);
    // They count as settled: their source may go on.
    running.wait_for_ledger("the input is settled", |ledger| ledger.input("in", "in_flight") == 0);
    let outcome = running.stop();
    let ledger = outcome.all_well();
    assert_eq!((ledger.filter("sample", "held"), ledger.output("out", "delivered")), (0, 201));
    assert_eq!(records(&outcome).len(), 201);
}

#[test]
fn mistakes_are_told_by_check() {
    let site = Site::new(&format!(
        "{TAIL_JSON}[[filter]]\ntype = 'tail_sample'\npolicy = [{{ type = 'latency' }}]\n\
         [[filter]]\ntype = 'log_to_span'\nspan_name = 'x'\n\
         [[filter]]\ntype = 'span_metrics'\ninterval = 5\n{STDOUT}"
    ));
    let outcome = site.command(&["check", "-c", &site.path("suiro.toml").to_string_lossy()]);
    assert_ne!(outcome.code(), 0);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    for words in ["missing setting `over`", "missing setting `duration`", "write \"5s\" for seconds"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
