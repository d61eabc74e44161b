//! What is sent.

use proptest::prelude::*;
use serde_json::{Value, json};
use suiro_record::{Batch, TimeKind};
use suiro_sdk::http::Buffers;
use suiro_sdk::http::test_kit::{batch, delivery};
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Rows};

use super::{TIME, requests, settings};
use crate::output::Encoding;
use crate::settings::{Format, Settings};

fn one(lines: &[&str]) -> Delivery {
    delivery(vec![batch(lines, TIME)])
}

#[test]
fn one_label_set_is_one_stream() {
    let parts = vec![batch(&["plain", "{\"a\": 1}"], TIME), batch(&["{\"log\":\"tab\\there\"}", ""], TIME + 7)];
    let requests = requests("labels = { job = 'app', b = 'x\"y\\\n' }".replace('\n', "").as_str(), &delivery(parts));
    assert_eq!(requests.len(), 1);
    let [stream] = &requests[0][..] else { panic!("{requests:?}") };
    assert_eq!(stream.labels, "{b=\"x\\\"y\\\\\", job=\"app\"}");
    assert_eq!(stream.lines(), ["plain", "{\"a\": 1}", "tab\there", ""]);
    assert_eq!(stream.times(), [TIME, TIME + 100, TIME + 7, TIME + 107]);
}

#[test]
fn records_are_grouped_by_what_their_labels_say() {
    let lines = [
        "{\"l\":\"a\",\"n\":0}",
        "{\"l\":\"b\",\"n\":1}",
        "{\"n\":2}",
        "{\"l\":\"a\",\"n\":3}",
        "{\"l\":\"\",\"n\":4}",
    ];
    let text = "labels = { job = 'app', level = '{l}' }\nline = '{n}'";
    let alone = requests(text, &one(&lines));
    let streams: Vec<(&str, Vec<&str>)> =
        alone.iter().map(|request| (request[0].labels.as_str(), request[0].lines())).collect();
    assert_eq!(
        streams,
        [
            ("{job=\"app\", level=\"a\"}", vec!["0", "3"]),
            ("{job=\"app\", level=\"b\"}", vec!["1"]),
            ("{job=\"app\"}", vec!["2"]),
            ("{job=\"app\"}", vec!["4"]),
        ]
    );
    assert!(alone.iter().all(|request| request.len() == 1));
    let together = requests(&format!("{text}\nstreams_per_request = 3"), &one(&lines));
    assert_eq!(together.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(together.concat(), alone.concat());
}

#[test]
fn a_record_without_any_label_has_one() {
    let requests = requests("labels = { level = '{l}' }", &one(&["x"]));
    assert_eq!(requests[0][0].labels, "{agent=\"suiro\"}");
}

#[test]
fn lines_and_metadata() {
    let lines = ["{\"m\":\"hi\",\"t\":\"é\"}", "{\"t\":1,\"e\":\"\"}", "{\"m\":\"last\"}"];
    let text = "labels = { job = 'a' }\nline = '> {m}'\nstructured_metadata = { trace_id = '{t}', e = '{e}' }";
    let requests = requests(text, &one(&lines));
    let stream = &requests[0][0];
    // A line's field that is missing makes it the default one.
    assert_eq!(stream.lines(), ["> hi", lines[1], "> last"]);
    let metadata: Vec<_> = stream.entries.iter().map(|entry| entry.metadata.clone()).collect();
    let trace = |value: &str| vec![("trace_id".to_owned(), value.to_owned())];
    assert_eq!(metadata, [trace("é"), trace("1"), vec![]]);
}

#[test]
fn a_time_of_ones_own_is_kept() {
    let mut read = batch(&["x", "x"], TIME);
    for (row, time) in read.rows.iter_mut().zip([-1, 5_000_000_001]) {
        row.time = time;
        row.time_kind = TimeKind::Own;
    }
    assert_eq!(requests("labels = { job = 'a' }", &delivery(vec![read]))[0][0].times(), [-1, 5_000_000_001]);
}

#[test]
fn json_says_the_same() {
    let mut said = Vec::new();
    let text = "labels = { job = 'a', l = '{l}' }\nstructured_metadata = { k = '{k}' }\nformat = 'json'\nstreams_per_request = 9";
    Encoding::new(settings(text)).encode(
        &one(&["{\"l\":\"1\",\"k\":\"é\"}", "plain \"x\"", "{\"l\":\"1\"}"]),
        &Buffers::default(),
        |body| said.push(serde_json::from_slice::<Value>(body).unwrap()),
    );
    let at = |n: i64| (TIME + n).to_string();
    assert_eq!(
        said,
        [json!({ "streams": [
            { "stream": { "job": "a", "l": "1" }, "values": [
                [at(0), "{\"l\":\"1\",\"k\":\"é\"}", { "k": "é" }],
                [at(200), "{\"l\":\"1\"}"],
            ] },
            { "stream": { "job": "a" }, "values": [[at(100), "plain \"x\""]] },
        ] })]
    );
}

#[test]
fn a_request_stays_below_what_loki_takes() {
    let long = "x".repeat(1 << 20);
    let lines: Vec<String> = (0..9).map(|n| format!("{n}{long}")).collect();
    let giant = "y".repeat(5 << 20);
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.insert(4, &giant);
    for format in ["protobuf", "json"] {
        let mut sizes = Vec::new();
        let mut seen = Vec::new();
        let text = format!("labels = {{ job = 'a' }}\nformat = '{format}'");
        Encoding::new(settings(&text)).encode(&one(&lines), &Buffers::default(), |body| {
            let plain = if format == "json" {
                body.to_vec()
            } else {
                let streams = super::decode(body);
                seen.extend(streams[0].lines().iter().map(|line| line[..1].to_owned()));
                snap::raw::Decoder::new().decompress_vec(body).unwrap()
            };
            sizes.push(plain.len());
        });
        // Three fit, one is left before the giant, which goes alone; then three, and two.
        assert_eq!(sizes.iter().map(|size| size >> 20).collect::<Vec<_>>(), [3, 1, 5, 3, 2]);
        if format == "protobuf" {
            assert_eq!(seen.concat(), "0123y45678");
        }
    }
}

#[test]
fn labels_are_bounded() {
    let lines: Vec<String> = (0..20).map(|n| format!("{{\"l\":\"{n}\"}}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let encoding = Encoding::new(settings("labels = { job = 'a', l = '{l}' }\nmax_streams = 5"));
    for _ in 0..2 {
        let mut labels = Vec::new();
        let mut entries = 0;
        encoding.encode(&one(&lines), &Buffers::default(), |body| {
            for stream in super::decode(body) {
                entries += stream.entries.len();
                labels.push(stream.labels);
            }
        });
        assert_eq!(entries, 20);
        assert_eq!(labels.len(), 6);
        assert_eq!(labels[5], "{job=\"a\"}");
        assert_eq!(labels[4], "{job=\"a\", l=\"4\"}");
    }
}

#[test]
fn settings_are_checked() {
    let labels = |n: usize| (0..n).map(|i| format!("l{i} = 'x'")).collect::<Vec<_>>().join(", ");
    let too_many = format!("labels = {{ {} }}", labels(16));
    for (text, message) in [
        ("", "labels"),
        ("labels = {}", "at least one label"),
        (&too_many, "at most 15 labels"),
        ("labels = { 'a-b' = 'x' }", "write `a_b`"),
        ("labels = { '1a' = 'x' }", "write `_1a`"),
        ("labels = { a = '' }", "is empty"),
        ("labels = { a = '{' }", "labels"),
        ("labels = { a = 'x' }\nstructured_metadata = { 'b.c' = 'x' }", "structured_metadata"),
        ("labels = { a = 'x' }\ntenant = '{t}'", "tenant"),
        ("labels = { a = 'x' }\ntenant = 'a b'", "tenant"),
        ("labels = { a = 'x' }\ncompression = 'gzip'", "snappy"),
        ("labels = { a = 'x' }\nformat = 'json'\ncompression = 'snappy'", "gzip"),
        ("labels = { a = 'x' }\nmax_streams = 0", "max_streams"),
        ("lables = { a = 'x' }", "labels"),
    ] {
        let (section, diagnostics) = Section::from_text("[[output]] loki", &format!("url = 'http://h'\n{text}"));
        assert!(Settings::read(&section).is_err(), "{text}");
        assert!(diagnostics.render(false).contains(message), "{text}: {}", diagnostics.render(false));
    }
    let settings = settings(&format!("labels = {{ {} }}", labels(15)));
    assert_eq!(settings.client.endpoints[0].url().as_str(), "http://h/loki/api/v1/push");
    assert_eq!(settings.format, Format::Protobuf);
}

proptest! {
    /// Every record of a delivery stands in one request exactly once, each stream in order, with a time of its own.
    #[test]
    fn each_record_once(records in prop::collection::vec((0_u8..5, any::<bool>()), 1..60), cuts in 1_usize..4, per_request in 1_usize..4, max in 1_usize..6) {
        let mut expected = Vec::new();
        let mut rows = Vec::new();
        let mut number = 0;
        let batches: Vec<Batch> = records
            .chunks(records.len().div_ceil(cuts))
            .enumerate()
            .map(|(at, chunk)| {
                let lines: Vec<String> = (number..).zip(chunk).map(|(n, (l, _))| format!("{{\"l\":\"{l}\",\"n\":{n}}}")).collect();
                let kept: Vec<usize> = (0..chunk.len()).filter(|&i| chunk[i].1).collect();
                expected.extend(kept.iter().map(|i| number + i));
                rows.push(Rows::Some(kept.iter().map(|&i| i as u32).collect()));
                number += chunk.len();
                batch(&lines, TIME + at as i64 * 1_000_000)
            })
            .collect();
        let mut delivery = delivery(batches);
        for (part, rows) in delivery.parts.iter_mut().zip(rows) {
            part.rows = rows;
        }
        let text = format!("labels = {{ job = 'a', l = '{{l}}' }}\nline = '{{n}}'\nmax_streams = {max}\nstreams_per_request = {per_request}");
        let requests = requests(&text, &delivery);
        let mut got = Vec::new();
        for request in &requests {
            prop_assert!((1..=per_request).contains(&request.len()));
            for stream in request {
                let numbers: Vec<usize> = stream.lines().iter().map(|line| line.parse().unwrap()).collect();
                prop_assert!(numbers.is_sorted());
                prop_assert!(stream.times().is_sorted_by(|a, b| a < b));
                got.extend(numbers);
            }
        }
        got.sort_unstable();
        prop_assert_eq!(got, expected);
    }
}
