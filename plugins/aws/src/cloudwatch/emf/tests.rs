//! Points as documents.

use proptest::prelude::*;
use serde_json::{Value, json};
use suiro_record::{Scope, Signal, Source};
use suiro_sdk::http::test_kit::{batch, delivery};
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Verdict};

use super::*;

const TIME: i64 = 1_795_364_943_000_000_000;
/// Bytes of a document.
const MOST: usize = 100_000;

fn settings(more: &str) -> Settings {
    let (section, diagnostics) =
        Section::from_text("[[output]] cloudwatch_logs", &format!("namespace = 'Shop'\n{more}"));
    match Settings::read(&section, true) {
        Ok(Some(settings)) if section.finish().is_ok() => settings,
        _ => panic!("{}", diagnostics.render(false)),
    }
}

/// A delivery of these points, all of one time.
fn points<L: AsRef<str>>(lines: &[L]) -> Delivery {
    let mut batch = batch(lines, TIME);
    batch.signal = Signal::Metrics;
    batch.rows.iter_mut().for_each(|row| row.time = TIME);
    let scope = Scope::new(std::sync::Arc::new(Source::new("test".into(), 7))).with("service.name", "cart");
    batch.replace_scope(0, std::sync::Arc::new(scope));
    delivery(vec![batch])
}

fn written(settings: &Settings, delivery: &Delivery) -> Written {
    written_with(settings, delivery, MOST)
}

fn written_with(settings: &Settings, delivery: &Delivery, most: usize) -> Written {
    let places = |(at, part): (usize, &suiro_sdk::Part)| {
        (0..part.len() as u32).map(move |row| Place { number: row, part: at as u32, row }).collect::<Vec<_>>()
    };
    let places: Vec<Place> = delivery.parts.iter().enumerate().flat_map(places).collect();
    write(settings, delivery, &places, most)
}

/// The documents of these points, and why others are in none.
fn documents<L: AsRef<str>>(more: &str, lines: &[L]) -> (Vec<Value>, Vec<(usize, &'static str)>) {
    let written = written(&settings(more), &points(lines));
    let documents = written.documents.iter().map(|document| {
        assert_eq!(document.time, TIME);
        serde_json::from_slice(&document.text).expect("JSON")
    });
    let apart = written.apart.iter().map(|(number, verdict)| match verdict {
        Verdict::Refused { reason, .. } | Verdict::Drop(reason) => (*number, reason.0),
        other => panic!("{other:?}"),
    });
    (documents.collect(), apart.collect())
}

#[test]
fn points_of_one_time_and_dimensions_are_one_document() {
    let lines = [
        r#"{"name":"requests","kind":"sum","temporality":"delta","unit":"{request}","attributes":{"path":"/cart"},"value":4}"#,
        r#"{"name":"latency","kind":"histogram","temporality":"delta","unit":"ms","attributes":{"path":"/cart"},"count":4,"sum":11.5,"min":1.5,"max":7,"bounds":[5],"buckets":[3,1]}"#,
        r#"{"name":"load","kind":"gauge","attributes":{"path":"/cart","zone":1},"value":0.25}"#,
    ];
    let (documents, apart) = documents("", &lines);
    assert_eq!(apart, []);
    assert_eq!(
        documents,
        [
            json!({
                "_aws": { "Timestamp": 1_795_364_943_000_i64, "CloudWatchMetrics": [{
                    "Namespace": "Shop",
                    "Dimensions": [["path", "service.name"]],
                    "Metrics": [
                        { "Name": "requests", "Unit": "Count" },
                        { "Name": "latency", "Unit": "Milliseconds" },
                    ],
                }] },
                "path": "/cart",
                "service.name": "cart",
                "requests": 4,
                "latency": { "Values": [1.5, 7], "Counts": [3, 1], "Max": 7, "Min": 1.5, "Count": 4, "Sum": 11.5 },
            }),
            json!({
                "_aws": { "Timestamp": 1_795_364_943_000_i64, "CloudWatchMetrics": [{
                    "Namespace": "Shop",
                    "Dimensions": [["path", "service.name", "zone"]],
                    "Metrics": [{ "Name": "load" }],
                }] },
                "path": "/cart",
                "service.name": "cart",
                "zone": "1",
                "load": 0.25,
            }),
        ]
    );
}

#[test]
fn each_kind_has_its_member() {
    let lines = [
        r#"{"name":"raw","kind":"summary","values":[3,1,3],"count":3}"#,
        r#"{"name":"timer","kind":"summary","metadata":{"type":"timer"},"count":4,"sum":10,"quantiles":[{"value":1},{"quantile":1,"value":5}]}"#,
        r#"{"name":"plain","kind":"histogram","temporality":"delta","count":2,"sum":6}"#,
        r#"{"name":"exponential","kind":"exponential_histogram","temporality":"delta","scale":0,"zero_count":1,"positive":{"offset":1,"buckets":[2]},"count":3,"sum":6}"#,
    ];
    let (documents, apart) = documents("dimensions = []\nresource_dimensions = []\nstorage_resolution = '1s'", &lines);
    assert_eq!(apart, []);
    let document = &documents[0];
    assert_eq!(documents.len(), 1);
    assert_eq!(document["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
    assert_eq!(
        document["_aws"]["CloudWatchMetrics"][0]["Metrics"][0],
        json!({ "Name": "raw", "StorageResolution": 1 })
    );
    assert_eq!(
        document["raw"],
        json!({ "Values": [1, 3], "Counts": [1, 2], "Max": 3, "Min": 1, "Count": 3, "Sum": 7 })
    );
    assert_eq!(document["timer"], json!({ "Max": 5, "Min": 1, "Count": 4, "Sum": 10 }));
    assert_eq!(document["plain"], json!({ "Max": 3, "Min": 3, "Count": 2, "Sum": 6 }));
    assert_eq!(document["exponential"]["Sum"], 6);
    assert_eq!(document["exponential"]["Count"], 3);
}

#[test]
fn quantiles_are_a_dimension() {
    let line = r#"{"name":"q","kind":"summary","attributes":{"a":"b"},"count":9,"sum":99,"quantiles":[{"quantile":0.5,"value":2},{"quantile":0.99,"value":7}]}"#;
    let (documents, _) = documents("resource_dimensions = []", &[line]);
    let said: Vec<_> = documents.iter().map(|d| (d["quantile"].as_str(), d["q"].as_f64(), d["a"].as_str())).collect();
    assert_eq!(said, [(Some("0.5"), Some(2.0), Some("b")), (Some("0.99"), Some(7.0), Some("b"))]);
}

#[test]
fn what_is_more_than_a_document_holds_is_in_further_ones() {
    let many: Vec<String> = (0..250).map(|n| format!(r#"{{"name":"m{n}","kind":"gauge","value":{n}}}"#)).collect();
    let (all, _) = documents("", &many);
    let metrics = |d: &Value| d["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len();
    assert_eq!(all.iter().map(metrics).collect::<Vec<_>>(), [100, 100, 50]);
    // Of one name, each is in a document of its own.
    let twice = [r#"{"name":"m","kind":"gauge","value":1}"#, r#"{"name":"m","kind":"gauge","value":2}"#];
    assert_eq!(documents("", &twice).0.len(), 2);
    // Of one record, several.
    let values: Vec<String> = (0..230).map(|n| n.to_string()).collect();
    let line = format!(r#"{{"name":"d","kind":"summary","values":[{}]}}"#, values.join(","));
    let written = written(&settings(""), &points(&[line]));
    assert_eq!(written.documents.iter().map(|d| d.records.clone()).collect::<Vec<_>>(), [[0], [0], [0]]);
    let count: f64 = written
        .documents
        .iter()
        .map(|d| serde_json::from_slice::<Value>(&d.text).unwrap()["d"]["Count"].as_f64().unwrap())
        .sum();
    assert_eq!(count, 230.0);
}

#[test]
fn documents_are_no_larger_than_messages() {
    let values: Vec<String> = (0..90).map(|n| format!("0.{n}1234567")).collect();
    let line = |n| format!(r#"{{"name":"m\"{n}","kind":"summary","unit":"ms","values":[{}]}}"#, values.join(","));
    let lines: Vec<String> = (0..60).map(line).collect();
    let (settings, points) = (settings("storage_resolution = '1s'"), points(&lines));
    let one = written_with(&settings, &points, 0).documents[0].text.len();
    // Names of two digits are longer.
    for most in [one + 2, 2 * one, 10_000, 30_000, 1_000_000] {
        let documents = written_with(&settings, &points, most).documents;
        assert!(documents.iter().all(|document| document.text.len() <= most), "{most}");
        // And each is as full as it can be.
        let few = lines.len().div_ceil((most / one).max(1));
        assert!(documents.len() <= few, "{most}: {} documents", documents.len());
        let mut records: Vec<u32> = documents.into_iter().flat_map(|document| document.records).collect();
        records.sort_unstable();
        assert_eq!(records, (0..60).collect::<Vec<_>>());
    }
}

#[test]
fn what_can_be_no_metric_says_why() {
    let dimensions: Vec<String> = (0..31).map(|n| format!("\"a{n}\":1")).collect();
    let wide = format!(r#"{{"name":"w","kind":"gauge","attributes":{{{}}},"value":1}}"#, dimensions.join(","));
    let lines = [
        r#"{"name":"c","kind":"sum","temporality":"cumulative","monotonic":true,"value":1}"#,
        r#"{"name":"h","kind":"histogram","temporality":"cumulative","count":1,"sum":1}"#,
        r#"{"name":"n","kind":"gauge","flags":1,"value":1}"#,
        r#"{"name":"n","kind":"gauge"}"#,
        r#"{"kind":"gauge","value":1}"#,
        r#"{"name":"x","value":1}"#,
        r#"{"name":"big","kind":"gauge","value":1e200}"#,
        r#"{"name":"_aws","kind":"gauge","value":1}"#,
        r#"{"name":"same","kind":"gauge","attributes":{"same":1},"value":1}"#,
        &wide,
    ];
    let (documents_of, apart) = documents("resource_dimensions = []", &lines);
    assert_eq!(documents_of, Vec::<Value>::new());
    let reasons: Vec<&str> = apart.iter().map(|(_, reason)| *reason).collect();
    let want = [
        "cumulative",
        "cumulative",
        "no_value",
        "no_value",
        "malformed",
        "malformed",
        "out_of_range",
        "malformed",
        "malformed",
        "too_many_dimensions",
    ];
    assert_eq!(reasons, want);
    let (as_is, _) = documents("cumulative = 'as_is'", &lines[..1]);
    assert_eq!(as_is[0]["c"], 1);
}

#[test]
fn names_are_what_cloudwatch_takes() {
    let line = r#"{"name":"größe","kind":"gauge","attributes":{":a":"x","a":"y","empty":"","null":null,"é":"水"},"value":-0.5}"#;
    let written = written(&settings("resource_dimensions = []"), &points(&[line]));
    assert_eq!(written.altered, [0]);
    let document: Value = serde_json::from_slice(&written.documents[0].text).unwrap();
    assert_eq!(document["gr\\u00f6\\u00dfe"], -0.5);
    assert_eq!(document["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["\\u00e9", "_a", "a"]]));
    assert_eq!(document["\\u00e9"], "\\u6c34");
    // A colon does not make two names one.
    assert_eq!((&document["_a"], &document["a"]), (&json!("x"), &json!("y")));
}

proptest! {
    /// Whatever points there are: every document is one that CloudWatch takes, and each point is in one, or is told why not.
    #[test]
    fn every_document_is_legal(
        points_of in prop::collection::vec(
            (0..40_u32, 0..3_u32, prop_oneof![
                any::<f64>().prop_map(|value| format!(r#""kind":"gauge","value":{}"#, json!(value))),
                prop::collection::vec(-1e6..1e6_f64, 0..300)
                    .prop_map(|values| format!(r#""kind":"summary","values":{}"#, json!(values))),
                prop::collection::vec(0..5_u32, 4).prop_map(|buckets| format!(
                    r#""kind":"histogram","temporality":"delta","bounds":[1,2,3],"buckets":{},"count":1,"sum":2"#,
                    json!(buckets)
                )),
            ]),
            1..60,
        ),
    ) {
        let lines: Vec<String> = points_of
            .iter()
            .map(|(name, dimension, rest)| {
                format!(r#"{{"name":"m{name}","attributes":{{"d":"{dimension}"}},{rest}}}"#)
            })
            .collect();
        let written = written(&settings(""), &points(&lines));
        let mut known: Vec<u32> = written.apart.iter().map(|(number, _)| *number as u32).collect();
        for document in &written.documents {
            known.extend(&document.records);
            let json: Value = serde_json::from_slice(&document.text).unwrap();
            let directive = &json["_aws"]["CloudWatchMetrics"][0];
            let metrics = directive["Metrics"].as_array().unwrap();
            prop_assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                let value = &json[metric["Name"].as_str().unwrap()];
                let values = value["Values"].as_array().map_or(0, Vec::len);
                let counts = value["Counts"].as_array().map_or(0, Vec::len);
                prop_assert!(value.is_number() || value["Sum"].is_number() && values <= 100 && values == counts);
            }
            for dimension in directive["Dimensions"][0].as_array().unwrap() {
                prop_assert!(json[dimension.as_str().unwrap()].is_string());
            }
            // As many members as are named: no two have one name.
            let named = metrics.len() + directive["Dimensions"][0].as_array().unwrap().len();
            prop_assert_eq!(json.as_object().unwrap().len(), named + 1);
        }
        known.sort_unstable();
        known.dedup();
        prop_assert_eq!(known, (0..lines.len() as u32).collect::<Vec<_>>());
    }
}
