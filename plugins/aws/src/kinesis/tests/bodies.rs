//! What is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use suiro_sdk::http::test_kit::{batch, delivery};
use suiro_sdk::{Delivery, Reason, Verdict};

use super::settings;
use crate::kinesis::encode::{Encoder, Records};
use crate::kinesis::service::{Bounds, Service};
use crate::kinesis::settings::Settings;

/// A request, decoded: its head, and the data and partition key of each record.
struct Request {
    body: Value,
    sent: Vec<usize>,
    records: Vec<(Vec<u8>, String)>,
}

/// The requests for a delivery, and the records that are in none.
fn requests(settings: &Settings, delivery: &Delivery) -> (Vec<Request>, Vec<(usize, Verdict)>) {
    let records = Records::new(settings, delivery);
    let mut encoder = Encoder::default();
    let mut apart = Vec::new();
    let mut numbers: Vec<usize> = (0..records.len()).collect();
    let mut requests = Vec::new();
    while !numbers.is_empty() {
        let mut body = Vec::new();
        let request = encoder.write(&records, &numbers, &mut apart, &mut body);
        assert!(request.looked_at > 0);
        numbers.drain(..request.looked_at);
        let body: Value = serde_json::from_slice(&body).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let records = body["Records"].as_array().unwrap().iter();
        let records =
            records.map(|record| (STANDARD.decode(text(&record["Data"])).unwrap(), text(&record["PartitionKey"])));
        requests.push(Request { records: records.collect(), sent: request.sent, body });
    }
    (requests, apart)
}

/// The data of all records, as text, and their keys.
fn sent(settings: &Settings, delivery: &Delivery) -> Vec<(String, String)> {
    let (requests, apart) = requests(settings, delivery);
    assert!(apart.is_empty(), "{apart:?}");
    let records = requests.into_iter().flat_map(|request| request.records);
    records.map(|(data, key)| (String::from_utf8(data).unwrap(), key)).collect()
}

#[test]
fn each_service_has_its_names() {
    let one = delivery(vec![batch(&["{\"a\":1}"], 0)]);
    for (settings, expected) in [
        (
            settings(Service::Streams, "stream = 'app'\npartition_key = '{a}'"),
            json!({ "StreamName": "app", "Records": [{ "Data": "eyJhIjoxfQ==", "PartitionKey": "1" }] }),
        ),
        (
            settings(Service::Streams, "stream_arn = 'arn:aws:kinesis:r:1:stream/app'\npartition_key = 'k\"'"),
            json!({ "StreamARN": "arn:aws:kinesis:r:1:stream/app", "Records": [{ "Data": "eyJhIjoxfQ==", "PartitionKey": "k\"" }] }),
        ),
        (
            settings(Service::Firehose, "stream = 'app'"),
            json!({ "DeliveryStreamName": "app", "Records": [{ "Data": "eyJhIjoxfQo=" }] }),
        ),
    ] {
        let (requests, _) = requests(&settings, &one);
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].body, expected);
    }
}

#[test]
fn formats_and_line_ends() {
    let records = delivery(vec![batch(&["{\"a\": 1}", "plain \"text\""], 0)]);
    let data = |text: &str| -> Vec<String> {
        let settings = settings(Service::Streams, &format!("stream = 'app'\n{text}"));
        sent(&settings, &records).into_iter().map(|(data, _)| data).collect()
    };
    assert_eq!(data(""), ["{\"a\": 1}", "{\"log\":\"plain \\\"text\\\"\"}"]);
    assert_eq!(data("format = 'raw'\nnewline = true"), ["{\"a\": 1}\n", "plain \"text\"\n"]);
    assert!(
        data("format = 'full'")[1].starts_with("{\"@time\":\"1970-01-01T00:00:00.000000100Z\",\"@tag\":\"app.test\"")
    );
}

#[test]
fn a_partition_key_is_there_whatever_the_record_lacks() {
    let long = "é".repeat(300);
    let lines =
        ["{\"k\":\"a\"}".to_owned(), "{}".to_owned(), "{\"k\":\"\"}".to_owned(), format!("{{\"k\":\"{long}\"}}")];
    let records = delivery(vec![batch(&lines, 0)]);
    let keys = |text: &str| -> Vec<String> {
        let settings = settings(Service::Streams, &format!("stream = 'app'\n{text}"));
        sent(&settings, &records).into_iter().map(|(_, key)| key).collect()
    };
    let ids = keys("");
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{ids:?}");
    assert_eq!(keys("partition_key = '{k}'"), ["a", &ids[1], &ids[2], &"é".repeat(256)]);
}

/// Scenario: records at the very limit of their service, and a byte beyond.
/// Guarantees: the first are sent, the others set aside with a reason; a request never grows beyond its own limit.
#[test]
fn limits_are_exact() {
    for (service, limit, request) in [(Service::Streams, 1 << 20, 5 << 20), (Service::Firehose, 1_024_000, 4 << 20)] {
        let settings = settings(service, "stream = 'app'\nformat = 'raw'\nnewline = false");
        let settings = match service {
            Service::Streams => Settings { partition_key: Some("k".parse_template()), ..settings },
            Service::Firehose => settings,
        };
        let key = usize::from(service == Service::Streams);
        let lines: Vec<String> = [limit - key, limit - key + 1, limit - key, 1, limit - key, limit - key, limit - key]
            .map(|bytes| "x".repeat(bytes))
            .to_vec();
        let (requests, apart) = requests(&settings, &delivery(vec![batch(&lines, 0)]));
        let [(1, Verdict::Refused { reason: Reason::TOO_LARGE, detail })] = &apart[..] else { panic!("{apart:?}") };
        assert!(detail.contains(&(limit + 1).to_string()), "{detail}");
        let sent: Vec<Vec<usize>> = requests.iter().map(|request| request.sent.clone()).collect();
        assert_eq!(sent, [vec![0, 2, 3, 4, 5], vec![6]]);
        let size =
            |request: &Request| -> usize { request.records.iter().map(|(data, key)| data.len() + key.len()).sum() };
        assert!(requests.iter().all(|one| size(one) <= request));
    }
}

/// Scenario: a stream takes records that are larger than a request should be.
/// Guarantees: such a record goes alone, and makes no request of the others larger.
#[test]
fn a_record_beyond_a_request_goes_alone() {
    let settings =
        settings(Service::Streams, "stream = 'app'\nformat = 'raw'\nmax_record = '10MiB'\npartition_key = 'k'");
    let lines = [1, (5 << 20) - 1, 5 << 20, 10 << 20, 2 << 20, 2 << 20, 2 << 20].map(|bytes: usize| "x".repeat(bytes));
    let (requests, apart) = requests(&settings, &delivery(vec![batch(&lines, 0)]));
    assert!(matches!(&apart[..], [(3, Verdict::Refused { reason: Reason::TOO_LARGE, .. })]), "{apart:?}");
    let sent: Vec<Vec<usize>> = requests.iter().map(|request| request.sent.clone()).collect();
    assert_eq!(sent, [vec![0], vec![1], vec![2], vec![4, 5], vec![6]]);
}

trait ParseTemplate {
    fn parse_template(&self) -> suiro_sdk::lang::Template;
}

impl ParseTemplate for str {
    fn parse_template(&self) -> suiro_sdk::lang::Template {
        suiro_sdk::lang::Template::parse(self).unwrap()
    }
}

proptest! {
    /// Every record is in one request, in order, or apart; every request is legal.
    #[test]
    fn each_record_once_and_every_request_legal(
        sizes in prop::collection::vec(prop::collection::vec(0_usize..160, 1..40), 1..5),
        records in 1_usize..9,
        streams in any::<bool>(),
    ) {
        let service = if streams { Service::Streams } else { Service::Firehose };
        let bounds = Bounds { records, record: 120, request: 300 };
        let settings = Settings { bounds, ..settings(service, "stream = 'app'\nformat = 'raw'") };
        let mut number = 0;
        let mut line = |size: usize| {
            number += 1;
            format!("{:0width$}", number - 1, width = size.max(4))
        };
        let lines: Vec<Vec<String>> =
            sizes.iter().map(|part| part.iter().map(|&size| line(size)).collect()).collect();
        let delivery = delivery(lines.iter().map(|part| batch(part, 0)).collect());
        let (requests, apart) = requests(&settings, &delivery);
        let mut seen: Vec<usize> = apart.iter().map(|(number, _)| *number).collect();
        for request in &requests {
            prop_assert_eq!(request.records.len(), request.sent.len());
            prop_assert!(request.records.len() <= records);
            let size: usize = request.records.iter().map(|(data, key)| data.len() + key.len()).sum();
            prop_assert!(size <= bounds.request);
            prop_assert!(request.sent.is_sorted());
            for (number, (data, key)) in request.sent.iter().zip(&request.records) {
                prop_assert!(data.len() + key.len() <= bounds.record);
                prop_assert!(key.chars().count() <= 256 && key.is_empty() != streams);
                let data = std::str::from_utf8(data).unwrap().trim_end();
                prop_assert_eq!(data.parse::<usize>().unwrap(), *number);
            }
            seen.extend(&request.sent);
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..delivery.len()).collect::<Vec<_>>());
        for (number, _) in &apart {
            let (batch, row) = delivery.records().nth(*number).unwrap();
            let mut data = Vec::new();
            settings.format.write(batch, row, &mut data);
            let mut key = Vec::new();
            if streams { batch.origin(row).write_id(&mut key) }
            let newline = usize::from(settings.newline);
            prop_assert!(data.len() + key.len() + newline > bounds.record);
        }
    }
}
