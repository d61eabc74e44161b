use std::collections::BTreeMap;

use super::*;
use crate::test_kit::{Rig, fails, json_of, metric, names_of};

const SECOND: Duration = Duration::from_secs(1);

fn policies(list: &str) -> String {
    format!("wait = '10s'\npolicy = [{list}]")
}

/// The names of the spans that are kept of one batch.
fn kept(list: &str, spans: &[&str]) -> Vec<String> {
    let mut rig = Rig::new(build, &policies(list));
    let out = rig.feed_spans(spans);
    rig.take(out);
    let out = rig.wait(11 * SECOND);
    let mut names = names_of(&out);
    names.sort();
    rig.take(out);
    rig.assert_settled();
    names
}

#[test]
fn each_policy_keeps_its_traces() {
    let spans = [
        r#"{"@":"1","name":"a","start":0,"end":100000000,"status":{"code":"error"}}"#,
        r#"{"@":"1","name":"b","start":0,"end":1}"#,
        r#"{"@":"2","name":"c","start":0,"end":300000000}"#,
        r#"{"@":"2","name":"d","start":400000000,"end":600000000,"status":{"code":"ok"}}"#,
        r#"{"@":"3","name":"e","start":0,"end":1,"attributes":{"user":"x"}}"#,
        r#"{"@":"4","name":"f"}"#,
    ];
    assert_eq!(kept("{ type = 'error' }", &spans), ["a", "b"]);
    assert_eq!(kept("{ type = 'latency', over = '500ms' }", &spans), ["c", "d"]);
    assert_eq!(kept("{ type = 'latency', over = '300ms', of = 'span' }", &spans), ["c", "d"]);
    assert!(kept("{ type = 'latency', over = '301ms', of = 'span' }", &spans).is_empty());
    assert_eq!(kept("{ type = 'attribute', when = 'attributes.user == \"x\"' }", &spans), ["e"]);
    assert_eq!(kept("{ type = 'always' }", &spans), ["a", "b", "c", "d", "e", "f"]);
    let drop = "{ type = 'drop', when = 'name == \"b\"' }, { type = 'always' }";
    assert_eq!(kept(drop, &spans), ["c", "d", "e", "f"]);
    // The first that says something decides.
    let keep = "{ type = 'error' }, { type = 'drop', when = 'exists(start)' }, { type = 'always' }";
    assert_eq!(kept(keep, &spans), ["a", "b", "f"]);
    // Any policy can be for some traces only.
    assert_eq!(kept("{ type = 'always', when = 'name in [\"d\", \"f\"]' }", &spans), ["c", "d", "f"]);
    assert_eq!(kept("{ type = 'rate', traces = 2 }", &spans), ["a", "b", "c", "d"]);
}

#[test]
fn probability_goes_by_the_id() {
    let spans: Vec<String> = (0..100_u64)
        .map(|i| format!(r#"{{"@":"ff{:014x}","name":"{i:03}"}}"#, (i << 56) / 100))
        .chain([
            r#"{"@":"1","name":"rv","trace_state":"x=y,ot=rv:ffffffffffffff"}"#.to_owned(),
            r#"{"@":"ffffffffffffffff","name":"no rv","trace_state":"ot=rv:00000000000000"}"#.to_owned(),
        ])
        .collect();
    let spans: Vec<&str> = spans.iter().map(String::as_str).collect();
    let quarter = kept("{ type = 'probabilistic', percent = 25 }", &spans);
    let want: Vec<String> = (75..100).map(|i| format!("{i:03}")).chain(["rv".to_owned()]).collect();
    assert_eq!(quarter, want);
    assert!(kept("{ type = 'probabilistic', percent = 0 }", &spans).is_empty());
    assert_eq!(kept("{ type = 'probabilistic', percent = 100 }", &spans).len(), 102);
}

#[test]
fn late_spans_follow_the_decision() {
    let (mut rig, metrics) = Rig::with_metrics(build, &policies("{ type = 'error' }"));
    let out = rig.feed_spans(&[r#"{"@":"1","name":"a","status":{"code":"error"}}"#, r#"{"@":"2","name":"b"}"#]);
    assert!(out.is_empty());
    assert!(rig.wait(9 * SECOND).is_empty());
    // They come in time.
    let out = rig.feed_spans(&[r#"{"@":"1","name":"c"}"#, r#"{"@":"2","name":"d"}"#]);
    assert!(out.is_empty());
    assert_eq!(metric(&metrics, "suiro_tail_sample_held_traces{filter=\"f\"}"), Some(2.0));
    let out = rig.wait(2 * SECOND);
    assert_eq!(names_of(&out), ["a", "c"]);
    rig.take(out);
    let out = rig.feed_spans(&[
        r#"{"@":"2","name":"e","status":{"code":"error"}}"#,
        r#"{"@":"1","name":"f"}"#,
        r#"{"name":"g"}"#,
        r#"{"@":"xyz","name":"h"}"#,
    ]);
    assert_eq!(names_of(&out), ["f", "g", "h"]);
    rig.take(out);
    assert_eq!(rig.totals.failed, 2);
    assert_eq!(rig.totals.dropped, [(SAMPLED_OUT, 2), (SAMPLED_OUT, 1)]);
    for (series, want) in [
        ("traces_total{filter=\"f\",policy=\"error\",decision=\"keep\"}", 1.0),
        ("traces_total{filter=\"f\",policy=\"\",decision=\"drop\"}", 1.0),
        ("late_spans_total{filter=\"f\",decision=\"keep\"}", 1.0),
        ("late_spans_total{filter=\"f\",decision=\"drop\"}", 1.0),
        ("early_total{filter=\"f\"}", 0.0),
        ("held_traces{filter=\"f\"}", 0.0),
        ("held_bytes{filter=\"f\"}", 0.0),
    ] {
        assert_eq!(metric(&metrics, &format!("suiro_tail_sample_{series}")), Some(want), "{series}");
    }
    rig.assert_settled();
}

#[test]
fn what_is_forgotten_begins_anew() {
    let mut rig = Rig::new(build, &format!("remember = 1\n{}", policies("{ type = 'always' }")));
    let out = rig.feed_spans(&[r#"{"@":"1","name":"a"}"#, r#"{"@":"2","name":"b"}"#]);
    assert!(out.is_empty());
    let out = rig.wait(11 * SECOND);
    assert_eq!(names_of(&out), ["a", "b"]);
    rig.take(out);
    let out = rig.feed_spans(&[r#"{"@":"1","name":"c"}"#, r#"{"@":"2","name":"d"}"#]);
    assert_eq!(names_of(&out), ["d"]);
    rig.take(out);
    let out = rig.flush();
    assert_eq!(names_of(&out), ["c"]);
    rig.take(out);
    rig.assert_settled();
}

#[test]
fn what_is_held_is_settled_and_the_rest_waits() {
    let mut rig = Rig::new(build, &policies("{ type = 'always' }"));
    let out = rig.feed_spans(&[r#"{"@":"1","name":"a"}"#]);
    assert!(out.is_empty());
    assert_eq!(rig.feed.tracker.position().mark, rig.feed.read);
    let flow = rig.feed.spans(&[r#"{"@":"2","name":"b"}"#, r#"{"@":"1","name":"c"}"#]);
    let out = rig.apply(flow, &Selection::Rows(vec![false, true]));
    assert_eq!(names_of(&out), ["b"]);
    assert!(rig.feed.tracker.position().mark < rig.feed.read);
    rig.take(out);
    let out = rig.flush();
    assert!(out.iter().all(|flow| flow.custody.is_empty()));
    assert_eq!(names_of(&out), ["a", "c"]);
    rig.take(out);
    rig.assert_settled();
}

#[test]
fn logs_and_metrics_pass() {
    let mut rig = Rig::new(build, &policies("{ type = 'error' }"));
    let out = rig.feed_json(&[r#"{"a":1}"#]);
    assert_eq!(rig.take(out), [r#"{"a":1}"#]);
    let out = rig.feed_points(&[r#"{"a":1}"#]);
    assert_eq!(rig.take(out), [r#"{"a":1}"#]);
    rig.assert_settled();
}

#[test]
fn spans_keep_what_they_are() {
    let mut rig = Rig::new(build, &policies("{ type = 'always' }"));
    let span = r#"{"name":"a","start":1,"end":18446744073709551615,"attributes":{"b\u0000":[1.0,{"c":null}]}}"#;
    let out = rig.feed_spans(&[&span.replace("{\"name\"", "{\"@\":\"7\",\"name\"")]);
    assert!(out.is_empty());
    let out = rig.flush();
    let batch = &out[0].batch;
    assert_eq!(json_of(batch, &batch.rows[0]), span);
    assert_eq!((batch.signal, &*batch.tag, batch.rows[0].start), (Signal::Traces, "t", 0));
    assert_eq!(Watch::new(&[], batch).trace_id(&batch.rows[0]), Some(7));
    rig.take(out);
    rig.assert_settled();
}

#[test]
fn too_much_is_decided_early() {
    let (mut rig, metrics) =
        Rig::with_metrics(build, &format!("memory = '256KiB'\n{}", policies("{ type = 'error' }")));
    let long = "x".repeat(2000);
    let mut out = Vec::new();
    for i in 1..=1000 {
        let code = if i % 10 == 0 { "error" } else { "ok" };
        let span =
            format!(r#"{{"@":"{i:x}","name":"{i}","attributes":{{"l":"{long}"}},"status":{{"code":"{code}"}}}}"#);
        let flows = rig.feed_spans(&[&span]);
        out.extend(names_of(&flows));
        rig.take(flows);
        assert!(metric(&metrics, "suiro_tail_sample_held_bytes{filter=\"f\"}").unwrap() <= 262_144.0);
    }
    assert!(rig.totals.held > 30, "{}", rig.totals.held);
    let early = metric(&metrics, "suiro_tail_sample_early_total{filter=\"f\"}").unwrap();
    assert_eq!(early as isize, 1000 - rig.totals.held);
    let flows = rig.flush();
    out.extend(names_of(&flows));
    rig.take(flows);
    let want: Vec<String> = (1..=100).map(|i| (i * 10).to_string()).collect();
    assert_eq!(out, want);
    rig.assert_settled();
}

#[test]
fn mistakes_in_settings_are_named() {
    for (settings, words) in [
        ("", "missing setting `policy`"),
        ("policy = []", "empty list"),
        ("policy = [{ type = 'eror' }]", "did you mean `error`"),
        ("policy = [{ typ = 'error' }]", "type"),
        ("policy = [{ type = 'latency' }]", "missing setting `over`"),
        ("policy = [{ type = 'latency', over = 5 }]", "write \"5s\""),
        ("policy = [{ type = 'attribute' }]", "missing setting `when`"),
        ("policy = [{ type = 'drop' }, { type = 'always' }]", "missing setting `when`"),
        ("policy = [{ type = 'drop', when = 'a == 1' }]", "no policy keeps anything"),
        ("policy = [{ type = 'rate' }]", "missing setting `traces`"),
        ("policy = [{ type = 'probabilistic', percent = 101 }]", "from 0 to 100"),
        ("policy = [{ type = 'error' }, { type = 'error' }]", "two policies are named `error`"),
        ("policy = { type = 'error', over = '1s' }", "unknown setting `over`"),
        ("policy = { type = 'error' }\ndurable = true", "can't be durable"),
        ("policy = { type = 'error' }\nwait = '1ms'", "must be from"),
    ] {
        let report = fails(build, settings);
        assert!(report.contains(words), "{words}: {report}");
    }
}

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of its own");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("a number") * 1024
}

/// `rate` spans a second for two windows and more: traces of ten spans that take two seconds each, one in fifty with an
/// error, one in seventy slow. What is decided must be exactly that; nothing early; memory within its setting.
fn load(rate: usize, memory: &str, bound: usize) {
    let settings = format!(
        "memory = '{memory}'\nwait = '30s'\npolicy = [{{ type = 'error' }}, {{ type = 'latency', over = '3s' }}]"
    );
    let (mut rig, metrics) = Rig::with_metrics(build, &settings);
    let per_batch = rate / 40;
    let before = resident();
    let mut kept: BTreeMap<usize, usize> = BTreeMap::new();
    let (mut most_bytes, mut most_resident) = (0.0_f64, 0);
    let mut take = |rig: &mut Rig, flows: Vec<Flow>| {
        for name in names_of(&flows) {
            *kept.entry(name.parse().expect("a number")).or_default() += 1;
        }
        for flow in flows {
            flow.custody.settle();
        }
        let held = metric(&metrics, "suiro_tail_sample_held_bytes{filter=\"f\"}").expect("a gauge");
        most_bytes = most_bytes.max(held);
        if rig.totals.taken.is_multiple_of(rate / 2) {
            most_resident = most_resident.max(resident());
        }
    };
    // The spans of a trace are `stride` apart in the stream.
    let stride = rate / 5;
    let batches = 70 * 40;
    let complete = |trace: usize| (trace / stride * 10 + 9) * stride + trace % stride < batches * per_batch;
    let mut traces = 0;
    let mut started = Duration::ZERO;
    for n in 0..batches {
        let spans: Vec<String> = (n * per_batch..(n + 1) * per_batch)
            .map(|i| {
                let (round, lane) = (i / stride, i % stride);
                let (trace, nth) = (round / 10 * stride + lane, round % 10);
                traces = traces.max(trace + 1);
                let code = if trace % 50 == 0 && nth == 5 { "error" } else { "ok" };
                let (start, last) = (n * 25_000_000, usize::from(trace % 70 == 1 && nth == 9));
                let end = start + 1_000_000 + last * 3_000_000_000;
                format!(
                    r#"{{"@":"{:x}","name":"{trace}","kind":"server","start":{start},"end":{end},"status":{{"code":"{code}"}},"attributes":{{"http.route":"/api/items/{{id}}","http.request.method":"GET","user":"{lane}"}}}}"#,
                    (trace as u128 + 1) * 0x9e37_79b9_7f4a_7c15_f39c_c060
                )
            })
            .collect();
        let flow = rig.feed.spans(&spans.iter().map(String::as_str).collect::<Vec<_>>());
        let began = Instant::now();
        let mut flows = rig.apply(flow, &Selection::All);
        flows.extend(rig.wait(Duration::from_millis(25)));
        started += began.elapsed();
        take(&mut rig, flows);
    }
    let flows = rig.flush();
    take(&mut rig, flows);
    for trace in 0..traces {
        if complete(trace) {
            let want = (trace % 50 == 0 || trace % 70 == 1).then_some(10);
            assert_eq!(kept.get(&trace).copied(), want, "trace {trace}");
        }
    }
    let early = metric(&metrics, "suiro_tail_sample_early_total{filter=\"f\"}");
    let held = 30.0 * rate as f64;
    eprintln!(
        "{} spans, {} traces: at most {:.1} MiB held for {held} spans (early at the end: {early:?}), resident + {:.1} MiB, {:.2} us a span",
        rig.totals.taken,
        traces,
        most_bytes / 1_048_576.0,
        (most_resident.saturating_sub(before)) as f64 / 1_048_576.0,
        started.as_secs_f64() * 1e6 / rig.totals.taken as f64,
    );
    assert!(most_bytes as usize <= bound);
    // Decided early are only those that were left at the end.
    assert!(early.unwrap() <= 32.0 * rate as f64 / 10.0 + stride as f64, "{early:?}");
    rig.assert_settled();
}

#[test]
fn a_steady_load_is_decided_exactly_and_stays_in_its_memory() {
    load(1_000, "32MiB", 32 << 20);
}

/// The figure of the documentation: `cargo test -p suiro-filters --lib twenty_thousand -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute and 600 MB"]
fn twenty_thousand_spans_a_second() {
    load(20_000, "512MiB", 512 << 20);
}
