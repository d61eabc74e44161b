//! Both filters, one behind the other, and beside what is simplest.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::test_kit::{READ_AT, Rig};

/// A source that counts, begins anew, says things twice, late, or not at all.
#[derive(Clone, Copy, Debug)]
enum Event {
    Count { series: u8, by: u16 },
    Restart { series: u8 },
    Again { series: u8 },
    Late { series: u8 },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = prop_oneof![
        8 => (0u8..4, 0u16..50).prop_map(|(series, by)| Event::Count { series, by }),
        1 => (0u8..4).prop_map(|series| Event::Restart { series }),
        1 => (0u8..4).prop_map(|series| Event::Again { series }),
        1 => (0u8..4).prop_map(|series| Event::Late { series }),
    ];
    proptest::collection::vec(one, 1..80)
}

#[derive(Clone, Copy, Default)]
struct Source {
    start: i64,
    time: i64,
    total: u64,
    all: u64,
}

fn field(json: &str, key: &str) -> i64 {
    let rest = json.split(&format!("\"{key}\":")).nth(1).expect(key);
    rest.split([',', '}']).next().and_then(|text| text.parse().ok()).expect(key)
}

proptest! {
    /// What deltas say adds up to all that was ever counted, each once; their times don't overlap; and made to totals again, the
    /// last one says it too.
    #[test]
    fn nothing_is_counted_twice_or_lost(events in events(), size in 1usize..7) {
        let mut to_delta = Rig::new(build_to_delta, "");
        let mut to_total = Rig::new(build_to_cumulative, "");
        let mut sources = [Source { start: 1, ..Source::default() }; 4];
        let mut now = 2;
        let mut points = Vec::new();
        let mut repeated = 0;
        let point = |series: u8, source: &Source, time: i64| {
            format!(r#"{{"@":{},"s":{series},"name":"n{series}","kind":"sum","monotonic":true,"temporality":"cumulative","start":{},"value":{}}}"#, READ_AT + time, READ_AT + source.start, source.total)
        };
        for event in events {
            now += 2;
            let (Event::Count { series, .. } | Event::Restart { series } | Event::Again { series } | Event::Late { series }) = event;
            let source = &mut sources[usize::from(series)];
            match event {
                Event::Count { by, .. } => {
                    source.total += u64::from(by);
                    source.all += u64::from(by);
                    source.time = now;
                    points.push(point(series, source, now));
                }
                Event::Restart { .. } => *source = Source { start: now, total: 0, ..*source },
                Event::Again { .. } if source.time > 0 => {
                    repeated += 1;
                    points.push(point(series, source, source.time));
                }
                Event::Late { .. } if source.time > 0 => {
                    repeated += 1;
                    points.push(point(series, source, source.time - 1));
                }
                _ => {}
            }
        }
        let mut deltas: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        let mut totals: BTreeMap<i64, i64> = BTreeMap::new();
        for some in points.chunks(size) {
            let flows = to_delta.feed_points(&some.iter().map(String::as_str).collect::<Vec<_>>());
            let mut again = Vec::new();
            for flow in &flows {
                for row in &flow.batch.rows {
                    let json = crate::test_kit::json_of(&flow.batch, row);
                    let (end, sum) = deltas.entry(field(&json, "s")).or_default();
                    let start = field(&json, "start");
                    prop_assert!(*end <= start && start <= row.time, "{} {}", end, json);
                    (*end, *sum) = (row.time, *sum + field(&json, "value"));
                    again.push(json.replacen('{', &format!("{{\"@\":{},", row.time), 1));
                }
            }
            to_delta.take(flows);
            let flows = to_total.feed_points(&again.iter().map(String::as_str).collect::<Vec<_>>());
            for json in to_total.take(flows) {
                totals.insert(field(&json, "s"), field(&json, "value"));
            }
        }
        for (series, source) in sources.iter().enumerate().filter(|(_, source)| source.time > 0) {
            // Each began after the filter did, so the first points count.
            let sum = deltas.get(&(series as i64)).map(|(_, sum)| *sum);
            prop_assert_eq!(sum, Some(source.all as i64), "series {}", series);
            prop_assert_eq!(totals.get(&(series as i64)).copied(), sum);
        }
        let dropped: usize = to_delta.totals.dropped.iter().map(|(_, n)| n).sum();
        prop_assert_eq!(dropped, repeated);
        prop_assert!(to_total.totals.dropped.is_empty());
        to_delta.assert_settled();
        to_total.assert_settled();
    }
}
