//! Whatever is encoded comes back; whatever comes, however it is cut, is read or refused.

use proptest::collection::vec;
use proptest::prelude::*;
use suiro_record::Value;

use super::kit::{ends, event, event_time, gzip, list, message, packed, read};
use crate::frame::{Next, Scanner};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (i64::MAX as u64 + 1..).prop_map(Value::Uint),
        any::<i32>().prop_map(|n| Value::Float(f64::from(n) / 8.0)),
        ".{0,40}".prop_map(Value::Str),
        // No text, whatever comes behind.
        vec(any::<u8>(), 0..60).prop_map(|mut bytes| {
            bytes.push(0xff);
            Value::Bytes(bytes)
        }),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![vec(inner.clone(), 0..8).prop_map(Value::Array), members(inner).prop_map(Value::Object)]
    })
}

/// Different keys, as in a map.
fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<(String, Value)>> {
    proptest::collection::btree_map(".{0,12}", value, 0..8).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_encoded_comes_back(
        records in vec((1_u32..=4_000_000_000, 0_u32..1_000_000_000, members(value())), 1..8),
        tag in "[a-z.é]{0,20}",
        mode in 0..4,
    ) {
        let events: Vec<Vec<u8>> = records
            .iter()
            .map(|(seconds, nanos, members)| event(&event_time(*seconds, *nanos), &Value::Object(members.clone())))
            .collect();
        let bytes = match mode {
            // The event without its list.
            0 => events.iter().flat_map(|event| message_of(&tag, event)).collect(),
            1 => message(&tag, &[&list(&events)], &[]),
            2 => message(&tag, &[&packed(&events.concat())], &[]),
            _ => message(&tag, &[&packed(&gzip(&events.concat()))], &[("compressed", "gzip".into())]),
        };
        let outcome = read(&bytes);
        prop_assert!(outcome.error.is_none() && outcome.refused.why.is_none(), "{:?}", outcome);
        prop_assert_eq!(outcome.records.len(), records.len());
        for (read, (seconds, nanos, members)) in outcome.records.iter().zip(&records) {
            prop_assert_eq!(&read.tag, &tag);
            prop_assert_eq!(read.time, Some(i64::from(*seconds) * 1_000_000_000 + i64::from(*nanos)));
            prop_assert_eq!(&read.body, &Value::Object(members.clone()));
        }
    }

    #[test]
    fn a_stream_is_cut_where_messages_end(records in vec(members(value()), 1..6), cuts in vec(1_usize..50, 1..200)) {
        let messages: Vec<Vec<u8>> =
            records.iter().map(|members| message("t", &[&list(&[event(&[1], &Value::Object(members.clone()))])], &[])).collect();
        let stream = messages.concat();
        let (mut scanner, mut buffer, mut found) = (Scanner::default(), Vec::new(), Vec::new());
        let (mut at, mut gone) = (0, 0);
        for cut in cuts.iter().copied().cycle() {
            let to = (at + cut).min(stream.len());
            buffer.extend_from_slice(&stream[at..to]);
            at = to;
            let least = loop {
                match scanner.next(&buffer).unwrap() {
                    Next::Complete(end) => found.push(gone + end),
                    Next::Partial { least, .. } => break least,
                }
            };
            let start = scanner.start();
            gone += start;
            buffer.drain(..start);
            scanner.rebase();
            // It never promises more than comes.
            let end = ends(&stream).into_iter().find(|end| *end > gone);
            prop_assert!(end.is_none_or(|end| gone + least <= end), "{} {} {:?}", gone, least, end);
            if at == stream.len() {
                break;
            }
        }
        prop_assert_eq!(found, ends(&stream));
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn whatever_comes_is_read_or_refused(
        members in members(value()),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        mode in 0..3,
    ) {
        let events = event(&event_time(1, 2), &Value::Object(members));
        let mut bytes = match mode {
            0 => message_of("t", &events),
            1 => message("t", &[&list(&[events])], &[("chunk", "c".into())]),
            _ => message("t", &[&packed(&events)], &[("chunk", "c".into())]),
        };
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read(&bytes);
    }

    #[test]
    fn noise_is_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        read(&bytes);
        read(&message("t", &[&packed(&bytes)], &[]));
    }
}

/// Message mode: `[tag, time, record]` of `[time, record]`.
fn message_of(tag: &str, event: &[u8]) -> Vec<u8> {
    message(tag, &[&event[1..11], &event[11..]], &[])
}
