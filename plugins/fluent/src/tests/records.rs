//! The four kinds of messages, times, values that are unusual, and what is refused.

use suiro_record::Value;

use super::kit::{LIMIT, Read, event, event_time, gzip, list, map, message, packed, put, read};

fn log(text: &str) -> Value {
    map(&[("log", text.into())])
}

fn of(tag: &str, body: Value, time: Option<i64>) -> Read {
    Read { tag: tag.into(), body, time, attributes: None, resource: Vec::new() }
}

/// The only record of a message, which is in order.
fn only(bytes: &[u8]) -> Read {
    let outcome = read(bytes);
    assert!(outcome.error.is_none() && outcome.refused.why.is_none(), "{outcome:?}");
    assert_eq!(outcome.records.len(), 1);
    outcome.records[0].clone()
}

fn body(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, value);
    out
}

#[test]
fn all_modes_say_the_same() {
    let time = event_time(1_700_000_000, 123_456_789);
    let events = [event(&time, &log("a")), event(&time, &log("b"))];
    let stream = events.concat();
    let chunk = [("chunk", Value::from("p8n9gmxTQVC8/nh2wlKKeQ=="))];
    let compressed = |how: &'static str| [("compressed", Value::from(how)), chunk[0].clone()];
    let mut as_text = Vec::new();
    // What clients of the first days sent: `raw`, which is `str` now, though it is no text.
    rmp::encode::write_str_len(&mut as_text, stream.len() as u32).unwrap();
    as_text.extend_from_slice(&stream);
    let members = [gzip(&events[0]), gzip(&events[1])].concat();
    let zstd = zstd::encode_all(&stream[..], 1).unwrap();
    for bytes in [
        message("app.web", &[&list(&events)], &chunk),
        message("app.web", &[&packed(&stream)], &chunk),
        message("app.web", &[&as_text], &chunk),
        message("app.web", &[&packed(&gzip(&stream))], &compressed("gzip")),
        message("app.web", &[&packed(&members)], &compressed("gzip")),
        message("app.web", &[&packed(&zstd)], &compressed("zstd")),
        message("app.web", &[&packed(&stream)], &compressed("text")),
    ] {
        let outcome = read(&bytes);
        let time = Some(1_700_000_000_123_456_789);
        assert_eq!(outcome.records, [of("app.web", log("a"), time), of("app.web", log("b"), time)], "{outcome:?}");
        assert!(outcome.error.is_none() && outcome.refused.why.is_none() && outcome.batches == 1);
        assert_eq!(outcome.acks, body(&map(&[("ack", "p8n9gmxTQVC8/nh2wlKKeQ==".into())])));
    }
    let bytes = message("app.web", &[&time, &body(&log("a"))], &[]);
    assert_eq!(only(&bytes), of("app.web", log("a"), Some(1_700_000_000_123_456_789)));
    assert!(read(&bytes).acks.is_empty());
}

#[test]
fn a_chunk_comes_back_as_it_was() {
    let chunk = Value::Bytes(vec![0, 255, 7]);
    let bytes = message("t", &[&packed(&[])], &[("size", Value::Int(0)), ("chunk", chunk.clone())]);
    let outcome = read(&bytes);
    assert!(outcome.records.is_empty() && outcome.error.is_none());
    assert_eq!(outcome.acks, body(&map(&[("ack", chunk)])));
}

#[test]
fn times() {
    let of_seconds = |time: &Value| only(&message("t", &[&body(time), &body(&log("x"))], &[])).time;
    assert_eq!(of_seconds(&Value::Int(1_700_000_000)), Some(1_700_000_000_000_000_000));
    assert_eq!(of_seconds(&Value::Int(-1)), Some(-1_000_000_000));
    assert_eq!(of_seconds(&Value::Float(1.5)), Some(1_500_000_000));
    for unknown in [Value::Int(0), Value::Null, Value::Float(f64::NAN), Value::Float(1e300), Value::Uint(u64::MAX)] {
        assert_eq!(of_seconds(&unknown), None, "{unknown:?}");
    }
    // As an `ext 8` with its length, too.
    let long = [&[0xc7, 8, 0][..], &event_time(3, 4)[2..]].concat();
    assert_eq!(only(&message("t", &[&long, &body(&log("x"))], &[])).time, Some(3_000_000_004));
    // No mark of a group without metadata: the year 2106.
    let late = only(&message("t", &[&event_time(u32::MAX, 0), &body(&log("x"))], &[]));
    assert_eq!(late.time, Some(4_294_967_295_000_000_000));
    for wrong in [Value::from("now"), map(&[]), Value::Bool(true)] {
        let outcome = read(&message("t", &[&list(&[event(&body(&wrong), &log("x"))])], &[]));
        assert_eq!((outcome.records.len(), outcome.refused.malformed), (0, 1), "{wrong:?}");
    }
}

/// An event of Fluent Bit's, with metadata.
fn marked(seconds: u32, metadata: &Value, record: &Value) -> Vec<u8> {
    let mut out = vec![0x92, 0x92];
    out.extend(event_time(seconds, 9));
    put(&mut out, metadata);
    put(&mut out, record);
    out
}

/// A group begins, of a resource with that attribute.
fn group_of(name: &str, value: Value) -> Vec<u8> {
    let resource = map(&[("attributes", map(&[(name, value)]))]);
    marked(u32::MAX, &map(&[]), &map(&[("resource", resource)]))
}

#[test]
fn metadata_and_groups_of_fluent_bit() {
    let metadata = map(&[("otlp", map(&[("severity_text", "WARN".into())]))]);
    let group = map(&[
        ("resource", map(&[("attributes", map(&[("service.name", "shop".into())]))])),
        ("scope", map(&[("name", "lib".into()), ("other", Value::Int(1))])),
    ]);
    let events = [
        marked(5, &metadata, &log("before")),
        marked(u32::MAX, &map(&[]), &group),
        marked(6, &map(&[]), &log("within")),
        marked(u32::MAX - 1, &map(&[]), &map(&[])),
        marked(7, &map(&[]), &log("behind")),
    ];
    let outcome = read(&message("t", &[&packed(&events.concat())], &[]));
    assert!(outcome.refused.why.is_none(), "{outcome:?}");
    let [before, within, behind] = &outcome.records[..] else { panic!("{outcome:?}") };
    assert_eq!((before.time, &before.attributes), (Some(5_000_000_009), &Some(metadata)));
    assert_eq!(within.resource, [("service.name".to_owned(), Value::from("shop"))]);
    assert_eq!((within.time, &within.attributes), (Some(6_000_000_009), &None));
    assert!(before.resource.is_empty() && behind.resource.is_empty());
}

#[test]
fn a_group_that_can_not_be_read_leaves_its_records() {
    let record = |text: &str| marked(5, &map(&[]), &log(text));
    let list_as_key = [&marked(u32::MAX, &map(&[]), &Value::Null)[..13], &[0x81, 0x90, 0x01]].concat();
    for (bad, malformed, too_large) in [
        (group_of("wide", Value::Array(vec![Value::Null; 5000])), 0, 1),
        (group_of("long", "x".repeat(70_000).as_str().into()), 0, 1),
        (group_of(&"k".repeat(40_000), "x".repeat(40_000).as_str().into()), 0, 1),
        (list_as_key, 1, 0),
    ] {
        // The group before it was not ended.
        let events =
            [group_of("a", 1.into()), record("one"), bad, record("two"), group_of("b", 2.into()), record("three")];
        let outcome = read(&message("t", &[&packed(&events.concat())], &[("chunk", "c".into())]));
        let resources: Vec<_> = outcome.records.iter().map(|record| record.resource.clone()).collect();
        assert_eq!(resources, [vec![("a".to_owned(), 1.into())], vec![], vec![("b".to_owned(), 2.into())]]);
        assert_eq!((outcome.refused.malformed, outcome.refused.too_large), (malformed, too_large));
        assert!(outcome.error.is_none() && !outcome.acks.is_empty());
    }
}

#[test]
fn groups_count_as_memory_of_their_batch() {
    // A thousand times as much in memory as on the wire, all together: more than a piece may have.
    let one = [group_of("a", Value::Array(vec![Value::Null; 4000])), marked(5, &map(&[]), &log("x"))].concat();
    let events = gzip(&one.repeat(200));
    let outcome = read(&message("t", &[&packed(&events)], &[("compressed", "gzip".into())]));
    assert!(outcome.refused.why.is_none() && outcome.records.len() == 200);
    assert!(outcome.batches >= 200 * 4000 * size_of::<Value>() / (3 << 20), "{}", outcome.batches);
    assert!(outcome.largest < 3 << 20, "{}", outcome.largest);
}

#[test]
fn values_that_are_unusual() {
    let raw: Vec<u8> = [
        &[0x89][..],
        &[0xa1, b'b', 0xc4, 2, 0xc3, 0xa9], // bin that is text
        &[0xa1, b's', 0xa2, 0xff, 0xfe],    // str that is none
        &[0xa1, b'x', 0xd4, 5, 0xab],       // ext
        &[0xa1, b'u', 0xcf],
        &u64::MAX.to_be_bytes(),
        &[0x07, 0xc0],                // a number as a key
        &[0xc0, 0xc3],                // nil as a key
        &[0xc4, 1, b'k', 0xd0, 0x80], // a key that is bin
        &[0xa1, 0xff, 0x01],          // a key that is no text
        &[0xca],
        &1.5_f32.to_be_bytes()[..],
        &[0xca],
        &0.5_f32.to_be_bytes()[..],
    ]
    .concat();
    let record = only(&message("t", &[&[0x01], &raw], &[]));
    let expected = map(&[
        ("b", "é".into()),
        ("s", Value::Bytes(vec![0xff, 0xfe])),
        ("x", Value::Bytes(vec![0xab])),
        ("u", Value::Uint(u64::MAX)),
        ("7", Value::Null),
        ("nil", Value::Bool(true)),
        ("k", Value::Int(-128)),
        ("\u{fffd}", Value::Int(1)),
        ("1.5", Value::Float(0.5)),
    ]);
    assert_eq!(record.body, expected);
    // A record that is no map.
    assert_eq!(only(&message("t", &[&[0x01], &body(&"text".into())], &[])).body, log("text"));
    assert_eq!(
        only(&message("t", &[&[0x01], &body(&Value::Array(vec![]))], &[])).body,
        map(&[("log", Value::Array(vec![]))])
    );
}

#[test]
fn messages_behind_each_other() {
    let one =
        |tag: &str, text: &str, chunk: &str| message(tag, &[&[0x01], &body(&log(text))], &[("chunk", chunk.into())]);
    let heartbeat = vec![0xc0];
    let events = gzip(&event(&[0x01], &log("c")));
    let compressed = message("b", &[&packed(&events)], &[("compressed", "gzip".into())]);
    let stream = [
        one("a", "1", "x"),
        heartbeat.clone(),
        one("a", "2", "y"),
        one("b", "3", "z"),
        compressed,
        one("b", "4", "w"),
        heartbeat,
    ];
    let outcome = read(&stream.concat());
    let texts: Vec<_> =
        outcome.records.iter().map(|r| (r.tag.as_str(), r.body.get("log").unwrap().as_str().unwrap())).collect();
    assert_eq!(texts, [("a", "1"), ("a", "2"), ("b", "3"), ("b", "c"), ("b", "4")]);
    assert_eq!(outcome.batches, 4);
    let acks: Vec<u8> = ["x", "y", "z", "w"].iter().flat_map(|chunk| body(&map(&[("ack", (*chunk).into())]))).collect();
    assert_eq!(outcome.acks, acks);
}

#[test]
fn an_event_that_is_none_goes_alone() {
    let good = || event(&[0x01], &log("x"));
    let mut deep = Value::Null;
    for _ in 0..200 {
        deep = Value::Array(vec![deep]);
    }
    let wide = Value::Array(vec![Value::Null; (1 << 18) + 1]);
    let long_key = map(&[(&"k".repeat(70_000), Value::Null)]);
    for (bad, malformed, too_large) in [
        (event(&[0x01], &Value::Null), 1, 0),
        (body(&"no list".into()), 1, 0),
        (vec![0x91, 0x01], 1, 0),
        (vec![0x92, 0x01, 0x81, 0x90, 0x01], 1, 0), // a list as a key
        (event(&[0x01], &map(&[("deep", deep)])), 0, 1),
        (event(&[0x01], &map(&[("wide", wide)])), 0, 1),
        (event(&[0x01], &long_key), 0, 1),
    ] {
        for bytes in [
            message("t", &[&packed(&[good(), bad.clone(), good()].concat())], &[("chunk", "c".into())]),
            message("t", &[&list(&[good(), bad.clone(), good()])], &[("chunk", "c".into())]),
        ] {
            let outcome = read(&bytes);
            assert_eq!((outcome.refused.malformed, outcome.refused.too_large), (malformed, too_large), "{outcome:?}");
            assert_eq!(
                outcome.records,
                [of("t", log("x"), Some(1_000_000_000)), of("t", log("x"), Some(1_000_000_000))]
            );
            // Sending it again would mend nothing.
            assert!(outcome.error.is_none() && !outcome.acks.is_empty());
        }
    }
}

#[test]
fn what_follows_broken_events_is_counted_and_not_asked_for_again() {
    let good = || event(&[0x01], &log("x"));
    let broken = [good(), vec![0x92, 0xc1], good(), good()].concat();
    let cut_off = [good(), vec![0x92, 0x01, 0xdf, 255, 255, 255, 255]].concat();
    // One that is too large and cut off.
    let long_key = [&[0x92, 0x01, 0x82, 0xda, 0xff, 0xff][..], &[b'k'; 0xffff], &[0x01, 0xdb, 0, 1, 0, 1]].concat();
    for (events, size, lost) in [
        (&broken, Value::Int(4), 3),
        (&broken, Value::Null, 1),
        (&broken, Value::Int(1), 1),
        // No more than there are bytes for.
        (&broken, Value::Uint(u64::MAX), (2 * good().len()).div_ceil(3)),
        (&cut_off, Value::Int(2), 1),
        (&[good(), long_key].concat(), Value::Int(2), 1),
    ] {
        for (events, how) in [(events.clone(), "text"), (gzip(events), "gzip")] {
            let option = [("chunk", "c".into()), ("size", size.clone()), ("compressed", how.into())];
            let outcome = read(&message("t", &[&packed(&events)], &option));
            assert_eq!((outcome.records.len(), outcome.refused.malformed), (1, lost), "{size:?} {outcome:?}");
            assert!(outcome.error.is_none() && outcome.refused.why.is_some_and(|why| why.contains("can't be found")));
            assert_eq!(outcome.acks, body(&map(&[("ack", "c".into())])));
        }
    }
}

#[test]
fn a_message_that_is_none_ends_it() {
    let good = message("t", &[&[0x01], &body(&log("x"))], &[("chunk", "c".into())]);
    let events = packed(&event(&[0x01], &log("x")));
    let long = "t".repeat(5000);
    for (bad, why) in [
        (body(&"GET / HTTP/1.1".into()), "no list"),
        (vec![0x90], "two to four"),
        (vec![0x92, 0x01, 0x90], "tag"),
        (message(&long, &[&events], &[]), "tag is longer"),
        (message("t", &[&[0x01]], &[]), "no record"),
        (message("t", &[&[0xc3], &body(&log("x"))], &[]), "neither"),
        (message("t", &[&events, &[0x80], &[0x80]], &[]), "more parts"),
        (message("t", &[&events, &[0x01]], &[]), "no map"),
        (message("t", &[&events], &[("chunk", Value::Int(1))]), "chunk"),
        (message("t", &[&events], &[("chunk", "c".repeat(2000).as_str().into())]), "`chunk` is longer"),
        (message("t", &[&events], &[("compressed", "lz4".into())]), "lz4"),
        (message("t", &[&events], &[("compressed", "gzip".into())]), "gzip"),
        (message("t", &[&events], &[("fluent_signal", Value::Int(1))]), "OTLP"),
        (message("t", &[&packed(&vec![0xc0; LIMIT])], &[]), "larger than"),
    ] {
        let outcome = read(&[good.clone(), bad.clone(), good.clone()].concat());
        let error = outcome.error.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(error.contains(why), "{why}: {outcome:?}");
        // What stood before it is in order.
        assert_eq!(outcome.records.len(), 1, "{why}");
        assert_eq!(outcome.acks, body(&map(&[("ack", "c".into())])), "{why}");
    }
}

#[test]
fn a_bomb_is_small() {
    let events: Vec<u8> = std::iter::repeat_n(event(&[0x01], &map(&[])), LIMIT).flatten().collect();
    let bytes = message("t", &[&packed(&gzip(&events))], &[("compressed", "gzip".into())]);
    let outcome = read(&bytes);
    assert!(outcome.error.unwrap().to_string().contains("larger than"));
    // As many records as fit into a message come in pieces.
    let events: Vec<u8> = std::iter::repeat_n(event(&[0x01], &map(&[])), LIMIT / 4).flatten().collect();
    for bytes in [
        message("t", &[&packed(&gzip(&events))], &[("compressed", "gzip".into())]),
        message("t", &[&packed(&events)], &[]),
    ] {
        let outcome = read(&bytes);
        assert_eq!(outcome.records.len(), LIMIT / 4);
        assert!(outcome.batches > 4, "{}", outcome.batches);
    }
}

#[test]
fn more_keys_than_a_batch_may_have() {
    let keys = |from: usize| {
        let members = (from..from + 40_000).map(|n| (format!("k{n}"), Value::Null)).collect();
        event(&[0x01], &Value::Object(members))
    };
    let outcome = read(&message("t", &[&packed(&[keys(0), keys(40_000), keys(0)].concat())], &[]));
    assert!(outcome.refused.why.is_none(), "{:?}", outcome.refused);
    assert_eq!(outcome.records.len(), 3);
    let all = event(&[0x01], &Value::Object((0..70_000).map(|n| (format!("k{n}"), Value::Null)).collect()));
    let outcome = read(&message("t", &[&packed(&all)], &[]));
    assert_eq!((outcome.records.len(), outcome.refused.too_large), (0, 1));
}
