//! The sampler beside one that is written as simply as can be.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::test_kit::Rig;

const WAIT: u64 = 10;

const POLICIES: [&str; 5] = [
    "{ type = 'error' }, { type = 'latency', over = '40ms' }",
    "{ type = 'drop', when = 'a == 1' }, { type = 'error' }, { type = 'rate', traces = 0.5 }",
    "{ type = 'latency', over = '20ms', of = 'span' }, { type = 'probabilistic', percent = 30 }",
    "{ type = 'probabilistic', percent = 60, when = 'a == 2' }, { type = 'drop', when = 'a == 0' }, { type = 'always' }",
    "{ type = 'rate', traces = 2, when = 'a == 1' }, { type = 'attribute', when = 'a == 3' }",
];

#[derive(Clone, Debug)]
struct Span {
    trace: u8,
    a: u8,
    error: bool,
    start: u8,
    millis: u8,
    selected: bool,
}

#[derive(Clone, Debug)]
enum Do {
    Feed(Vec<Span>),
    Wait(u64),
    Flush,
}

/// Spans of a trace, by number.
struct Open {
    trace: u8,
    due: u64,
    spans: Vec<(usize, Span)>,
}

#[derive(Default)]
struct Model {
    policies: usize,
    now: u64,
    open: Vec<Open>,
    decided: BTreeMap<u8, bool>,
    /// Milliseconds of credit, and since when.
    credit: Option<(u64, u64)>,
    out: BTreeSet<usize>,
    dropped: usize,
    early: usize,
}

fn id_of(trace: u8) -> u128 {
    (u128::from(trace) + 1) * 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978
}

// === impl Model ===

impl Model {
    fn span(&mut self, n: usize, span: Span) {
        match self.decided.get(&span.trace) {
            _ if !span.selected => drop(self.out.insert(n)),
            Some(true) => drop(self.out.insert(n)),
            Some(false) => self.dropped += 1,
            None => {
                let trace = span.trace;
                if !self.open.iter().any(|open| open.trace == trace) {
                    self.open.push(Open { trace, due: self.now + WAIT, spans: Vec::new() });
                }
                let open = self.open.iter_mut().find(|open| open.trace == trace);
                open.expect("it is there").spans.push((n, span));
            }
        }
    }

    fn decide(&mut self) {
        let Open { trace, spans, .. } = self.open.remove(0);
        let any = |test: &dyn Fn(&Span) -> bool| spans.iter().any(|(_, span)| test(span));
        let error = any(&|span| span.error);
        let first = spans.iter().map(|(_, span)| u32::from(span.start)).min().unwrap_or(0);
        let last = spans.iter().map(|(_, span)| u32::from(span.start) + u32::from(span.millis)).max().unwrap_or(0);
        let part =
            |percent: f64| (id_of(trace) & ((1 << 56) - 1)) as f64 / (1u64 << 56) as f64 >= 1.0 - percent / 100.0;
        let now = self.now;
        let credit = &mut self.credit;
        let mut pay = |cost: u64| {
            let most = cost.max(1000);
            let had = credit.map_or(most, |(had, since)| (had + (now - since) * 1000).min(most));
            *credit = Some((if had >= cost { had - cost } else { had }, now));
            had >= cost
        };
        let keep = match self.policies {
            0 => error || last - first >= 40,
            1 => !any(&|span| span.a == 1) && (error || pay(2000)),
            2 => any(&|span| span.millis >= 20) || part(30.0),
            3 => (any(&|span| span.a == 2) && part(60.0)) || !any(&|span| span.a == 0),
            _ => (any(&|span| span.a == 1) && pay(500)) || any(&|span| span.a == 3),
        };
        self.decided.insert(trace, keep);
        if keep {
            self.out.extend(spans.iter().map(|(n, _)| *n));
        } else {
            self.dropped += spans.len();
        }
    }
}

fn spans() -> impl Strategy<Value = Span> {
    (0u8..12, 0u8..4, proptest::bool::weighted(0.1), 0u8..40, 0u8..30, proptest::bool::weighted(0.95))
        .prop_map(|(trace, a, error, start, millis, selected)| Span { trace, a, error, start, millis, selected })
}

fn actions() -> impl Strategy<Value = Vec<Do>> {
    let one = prop_oneof![
        8 => proptest::collection::vec(spans(), 1..10).prop_map(Do::Feed),
        4 => (0u64..9).prop_map(Do::Wait),
        1 => Just(Do::Flush),
    ];
    proptest::collection::vec(one, 1..30)
}

fn json(n: usize, span: &Span) -> String {
    let (start, end) =
        (u64::from(span.start) * 1_000_000, (u64::from(span.start) + u64::from(span.millis)) * 1_000_000);
    let code = if span.error { "error" } else { "ok" };
    let id = id_of(span.trace);
    let a = span.a;
    format!(r#"{{"@":"{id:032x}","n":{n},"a":{a},"start":{start},"end":{end},"status":{{"code":"{code}"}}}}"#)
}

fn number(json: &str) -> usize {
    json.strip_prefix("{\"n\":").and_then(|rest| rest.split(',').next()).and_then(|n| n.parse().ok()).expect("a number")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever comes, in whatever order, with whatever room: what goes on and what is dropped is what the model says, after
    /// each call; the books balance (the rig checks it); nothing is left in the end.
    #[test]
    fn decides_as_the_model_does(actions in actions(), policies in 0usize..5, max_traces in 1usize..14) {
        let list = POLICIES[policies];
        let settings = format!("wait = '{WAIT}s'\nmax_traces = {max_traces}\npolicy = [{list}]");
        let (mut rig, metrics) = Rig::with_metrics(build, &settings);
        let mut model = Model { policies, ..Model::default() };
        let mut out = BTreeSet::new();
        let mut fed = 0;
        for action in actions.into_iter().chain([Do::Flush]) {
            let flows = match action {
                Do::Wait(seconds) => {
                    model.now += seconds;
                    // A decision comes after its time, never at it.
                    if model.open.first().is_some_and(|open| open.due < model.now) {
                        while model.open.first().is_some_and(|open| open.due <= model.now) {
                            model.decide();
                        }
                    }
                    rig.wait(Duration::from_secs(seconds))
                }
                Do::Flush => {
                    while !model.open.is_empty() {
                        model.early += 1;
                        model.decide();
                    }
                    rig.flush()
                }
                Do::Feed(spans) => {
                    let texts: Vec<String> = spans.iter().enumerate().map(|(i, span)| json(fed + i, span)).collect();
                    let selection = Selection::Rows(spans.iter().map(|span| span.selected).collect());
                    let flow = rig.feed.spans(&texts.iter().map(String::as_str).collect::<Vec<_>>());
                    for span in spans {
                        model.span(fed, span);
                        fed += 1;
                    }
                    while model.open.len() > max_traces {
                        model.early += 1;
                        model.decide();
                    }
                    rig.apply(flow, &selection)
                }
            };
            for json in rig.take(flows) {
                prop_assert!(out.insert(number(&json)), "{} came twice", json);
            }
            prop_assert_eq!(&out, &model.out);
            let dropped: usize = rig.totals.dropped.iter().map(|(_, n)| n).sum();
            prop_assert_eq!(dropped, model.dropped);
            let held: usize = model.open.iter().map(|open| open.spans.len()).sum();
            prop_assert_eq!(rig.totals.held as usize, held);
        }
        let early = crate::test_kit::metric(&metrics, "suiro_tail_sample_early_total{filter=\"f\"}");
        prop_assert_eq!(early, Some(model.early as f64));
        rig.assert_settled();
    }

    /// With room for little: large spans, small spans, large batches. Memory is within its setting after each call, and no
    /// span is lost or doubled.
    #[test]
    fn memory_is_bounded(batches in proptest::collection::vec((1usize..40, 1usize..4000, 1u128..30), 1..40)) {
        let settings = "memory = '256KiB'\npolicy = [{ type = 'always' }]";
        let (mut rig, metrics) = Rig::with_metrics(build, settings);
        let (mut fed, mut out) = (0, BTreeSet::new());
        for (count, size, traces) in batches {
            let texts: Vec<String> = (0..count)
                .map(|i| {
                    let id = (fed + i) as u128 % traces + 1;
                    format!(r#"{{"n":{},"@":"{id:x}","x":"{}"}}"#, fed + i, "y".repeat(size))
                })
                .collect();
            fed += count;
            let flows = rig.feed_spans(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            out.extend(rig.take(flows).iter().map(|json| number(json)));
            let held = crate::test_kit::metric(&metrics, "suiro_tail_sample_held_bytes{filter=\"f\"}").unwrap_or(0.0);
            prop_assert!(held <= 262_144.0, "{}", held);
        }
        let flows = rig.flush();
        out.extend(rig.take(flows).iter().map(|json| number(json)));
        prop_assert_eq!(out.len(), fed);
        prop_assert_eq!(rig.totals.out, fed);
        rig.assert_settled();
    }
}
