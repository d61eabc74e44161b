//! The output against a server that checks signatures and enforces the service's limits.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use suiro_record::Batch;
use suiro_sdk::http::test_kit::{self, batch, delivery};
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Outcome, Output, Verdict};
use suiro_test_servers::{Aws, AwsOptions};

use super::super::output;

const KEY: &str = "credentials = { access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }\n";
const REGION: &str = "region = 'eu-central-1'\n";
const NAMES: &str = "log_group = '/app'\nlog_stream = 'web'\ncreate_group = true\n";
const HOUR: i64 = 3_600_000_000_000;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as i64
}

fn start(aws: &Aws, settings: &str) -> Box<dyn Output> {
    let text = format!("endpoint = '{}'\n{settings}", aws.url());
    let (section, diagnostics) = Section::from_text("[[output]] cloudwatch_logs", &text);
    let Ok(mut output) = output::build(&section) else { panic!("{}", diagnostics.render(false)) };
    output.start(&test_kit::setup()).expect("it starts");
    output
}

fn usual(aws: &Aws, more: &str) -> Box<dyn Output> {
    start(aws, &format!("{KEY}{REGION}{NAMES}{more}"))
}

/// Records that are read now.
fn records<L: AsRef<str>>(lines: &[L]) -> Batch {
    batch(lines, now())
}

fn one() -> Delivery {
    delivery(vec![records(&["a"])])
}

/// Why all of it waits.
fn why(outcome: Outcome) -> String {
    match outcome {
        Outcome::Retry { why, degraded: true, .. } => why,
        other => panic!("{other:?}"),
    }
}

fn reasons(outcome: &Outcome) -> Vec<(usize, &'static str)> {
    let Outcome::Partial(verdicts) = outcome else { panic!("{outcome:?}") };
    let reason = |(number, verdict): &(usize, Verdict)| match verdict {
        Verdict::Refused { reason, .. } => (*number, reason.0),
        other => panic!("{other:?}"),
    };
    verdicts.iter().map(reason).collect()
}

#[tokio::test]
async fn everything_is_made_and_arrives_in_order() {
    let aws = Aws::start().expect("a server");
    let more = "retention_days = 30\nlog_class = 'standard'\nkms_key = 'arn:aws:kms:eu-central-1:1:key/x'\ntags = { team = 'shop' }\n\
         anomaly_detector = { frequency = '15m', visibility_days = 7 }\n\
         entity = { key_attributes = { Type = 'Service', Name = 'shop', Environment = 'prod' } }\n";
    let output = usual(&aws, more);
    let lines: Vec<String> = (0..12_000).map(|n| format!("line {n} \"quoted\" \\ é")).collect();
    assert_eq!(output.deliver(&delivery(vec![records(&lines)])).await, Outcome::Delivered);
    let taken = aws.taken();
    let group = &taken.log_groups["/app"];
    let messages: Vec<&str> = group.streams["web"].iter().map(|event| event.message.as_str()).collect();
    assert_eq!(messages, lines);
    assert_eq!(
        (group.retention, group.class.as_str(), &group.tags["team"]),
        (Some(30), "STANDARD", &"shop".to_owned())
    );
    assert_eq!(group.kms_key.as_deref(), Some("arn:aws:kms:eu-central-1:1:key/x"));
    assert_eq!(group.entities.len(), 1);
    let detectors: Vec<_> = taken.log_anomaly_detectors.iter().map(|detector| detector.group_arn.as_str()).collect();
    assert_eq!(detectors, ["arn:aws:logs:eu-central-1:123456789012:log-group:/app"]);
    // Another agent finds all of it there.
    let again = usual(&aws, more);
    assert_eq!(again.deliver(&one()).await, Outcome::Delivered);
    assert_eq!((aws.calls_of("CreateLogGroup"), aws.calls_of("CreateLogAnomalyDetector")), (1, 1));
}

#[tokio::test]
async fn records_from_1970_and_from_next_week_are_told_apart() {
    let aws = Aws::start().expect("a server");
    let output = usual(&aws, "retention_days = 3");
    let mut batch = records(&["1969", "1970", "old", "expired", "fine", "soon", "next week"]);
    let ages =
        [-1, 0, now() - 15 * 24 * HOUR, now() - 4 * 24 * HOUR, now() - HOUR, now() + HOUR, now() + 7 * 24 * HOUR];
    batch.rows.iter_mut().zip(ages).for_each(|(row, time)| row.time = time);
    // The group is there, with its retention, from the first delivery on.
    assert_eq!(output.deliver(&one()).await, Outcome::Delivered);
    let outcome = output.deliver(&delivery(vec![batch])).await;
    let want = [(0, "too_old"), (1, "too_old"), (2, "too_old"), (3, "expired"), (6, "too_new")];
    assert_eq!(reasons(&outcome), want);
    let stored = aws.look(|taken| taken.log_groups["/app"].streams["web"].len());
    assert_eq!(stored, 3);
}

#[tokio::test]
async fn what_a_region_takes_no_more_of_is_found_and_set_aside() {
    let options = AwsOptions { max_log_event: 262_144, ..AwsOptions::default() };
    let aws = Aws::with(options.clone()).expect("a server");
    let mut lines = vec!["fine".to_owned(); 20];
    lines[7] = "x".repeat(300_000);
    let outcome = usual(&aws, "").deliver(&delivery(vec![records(&lines)])).await;
    assert_eq!(reasons(&outcome), [(7, "rejected")]);
    assert_eq!(aws.look(|taken| taken.log_groups["/app"].count), 19);
    // Who says so beforehand gets its beginning.
    let aws = Aws::with(options).expect("a server");
    let output = usual(&aws, "max_event = '256KiB'");
    assert_eq!(output.deliver(&delivery(vec![records(&lines)])).await, Outcome::Delivered);
    let message = aws.look(|taken| taken.log_groups["/app"].streams["web"][7].message.clone());
    assert!(message.len() == 262_118 && message.ends_with(" …[cut by suiro]"));
}

#[tokio::test]
async fn empty_messages_are_set_aside() {
    let aws = Aws::start().expect("a server");
    let output = usual(&aws, "log_key = 'm'");
    let lines = [r#"{"m":""}"#, r#"{"m":"x"}"#, r#"{"m":" "}"#];
    let outcome = output.deliver(&delivery(vec![records(&lines)])).await;
    assert_eq!(reasons(&outcome), [(0, "empty_message")]);
}

#[tokio::test]
async fn a_wrong_region_or_key_says_what_to_mend() {
    let aws = Aws::start().expect("a server");
    let output = start(&aws, &format!("{KEY}region = 'us-east-1'\n{NAMES}"));
    let said = why(output.deliver(&one()).await);
    assert!(said.contains("region"), "{said}");
    let wrong = KEY.replace("suiro-secret", "wrong");
    let said = why(start(&aws, &format!("{wrong}{REGION}{NAMES}")).deliver(&one()).await);
    assert!(said.contains("credentials"), "{said}");
    let unknown = KEY.replace("AKIDSUIROTEST", "AKIDNOBODY");
    let said = why(start(&aws, &format!("{unknown}{REGION}{NAMES}")).deliver(&one()).await);
    assert!(said.contains("credentials"), "{said}");
    let said = why(start(&aws, &format!("profile = 'nobody'\n{REGION}{NAMES}")).deliver(&one()).await);
    assert!(said.contains("nobody") || said.contains("profile"), "{said}");
    assert_eq!(aws.look(|taken| taken.log_groups.len()), 0);
}

#[tokio::test]
async fn a_clock_that_is_off_is_put_right() {
    let aws = Aws::start().expect("a server");
    let output = usual(&aws, "");
    assert_eq!(output.deliver(&one()).await, Outcome::Delivered);
    for ahead in [3600, -3600] {
        aws.set_clock(ahead);
        let first = output.deliver(&one()).await;
        assert!(matches!(first, Outcome::Retry { degraded: false, .. }), "{first:?}");
        assert_eq!(output.deliver(&one()).await, Outcome::Delivered);
    }
}

#[tokio::test]
async fn metrics_arrive_as_documents_and_documents_untouched() {
    let aws = Aws::start().expect("a server");
    let output = usual(&aws, "format = 'emf'\nnamespace = 'Shop'\nresource_dimensions = []");
    let emf = r#"{"_aws": {"Timestamp": 1, "CloudWatchMetrics": []}, "x": 1.50}"#;
    let mut points = records(&[
        r#"{"name":"a","kind":"gauge","value":1}"#,
        r#"{"name":"c","kind":"sum","temporality":"cumulative","monotonic":true,"value":1}"#,
        r#"{"name":"b","kind":"gauge","value":2}"#,
    ]);
    points.signal = suiro_record::Signal::Metrics;
    let time = now();
    points.rows.iter_mut().for_each(|row| row.time = time);
    let outcome = output.deliver(&delivery(vec![records(&[emf]), points])).await;
    assert_eq!(reasons(&outcome), [(2, "cumulative")]);
    let messages: Vec<String> =
        aws.look(|taken| taken.log_groups["/app"].streams["web"].iter().map(|event| event.message.clone()).collect());
    assert_eq!(messages.len(), 2);
    assert!(messages.contains(&emf.to_owned()));
    let document = messages.iter().find(|message| *message != emf).expect("one of metrics");
    let document: serde_json::Value = serde_json::from_str(document).expect("JSON");
    assert_eq!((&document["a"], &document["b"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn hundreds_of_streams_at_once() {
    let aws = Aws::start().expect("a server");
    let output = start(
        &aws,
        &format!("{KEY}{REGION}log_group = '/app'\nlog_stream = 's-{{s}}'\ncreate_group = true\nmax_streams = 50"),
    );
    let lines: Vec<String> = (0..1000).map(|n| format!(r#"{{"s":{},"n":{n}}}"#, n % 200)).collect();
    for _ in 0..2 {
        assert_eq!(output.deliver(&delivery(vec![records(&lines)])).await, Outcome::Delivered);
    }
    let streams: Vec<usize> = aws.look(|taken| taken.log_groups["/app"].streams.values().map(Vec::len).collect());
    assert_eq!(streams, vec![10; 200]);
    assert_eq!((aws.calls_of("CreateLogGroup"), aws.calls_of("PutRetentionPolicy")), (1, 0));
}
