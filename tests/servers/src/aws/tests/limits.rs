//! Limits of the services that take records.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Client, now, put, with_stream};
use crate::{Aws, AwsOptions, Fault};

/// Values of a member of each entry of a list.
fn each<'a>(answer: &'a Value, list: &str, member: &str) -> Vec<Option<&'a str>> {
    answer[list].as_array().unwrap().iter().map(|one| one[member].as_str()).collect()
}

/// Scenario: batches with events that are too old, expired, too new, out of order, too many, empty.
/// Guarantees: what the service takes is taken, and the rest is told by the right index or refuses the whole.
#[test]
fn log_events_are_taken_as_the_service_does() {
    let aws = Aws::start().unwrap();
    let logs = Client::of(&aws, "logs");
    assert_eq!(put(&logs, &[(now(), "a")]).code(), "ResourceNotFoundException");
    with_stream(&logs);
    assert_eq!(
        logs.json("Logs_20140328.CreateLogGroup", &json!({ "logGroupName": "g" })).code(),
        "ResourceAlreadyExistsException"
    );
    let day = 86_400_000;
    let said = put(&logs, &[(0, "1970"), (now() - 15 * day, "old"), (now(), "good"), (now() + day, "new")]);
    let info = json!({ "tooOldLogEventEndIndex": 2, "tooNewLogEventStartIndex": 3 });
    assert_eq!((said.status, &said.value()["rejectedLogEventsInfo"]), (200, &info));
    let retention = json!({ "logGroupName": "g", "retentionInDays": 2 });
    assert_eq!(logs.json("Logs_20140328.PutRetentionPolicy", &retention).code(), "InvalidParameterException");
    let retention = json!({ "logGroupName": "g", "retentionInDays": 1 });
    assert_eq!(logs.json("Logs_20140328.PutRetentionPolicy", &retention).status, 200);
    let said = put(&logs, &[(now() - 2 * day, "expired"), (now(), "good")]);
    assert_eq!(said.value()["rejectedLogEventsInfo"], json!({ "expiredLogEventEndIndex": 1 }));

    let many = vec![(now(), "x"); 10_001];
    for (events, words) in [
        (&[(now(), "a"), (now() - 1000, "b")][..], "chronological order"),
        (&[(now(), "")], "length greater than or equal to 1"),
        (&[], "length greater than or equal to 1"),
        (&many, "length less than or equal to 10000"),
        (&[(now() - day + 60_000, "a"), (now() + 120_000, "b")], "span more than 24 hours"),
    ] {
        let said = put(&logs, events);
        assert!(said.status == 400 && said.body.contains(words), "{words}: {}", said.body);
        assert_eq!(said.code(), "InvalidParameterException");
    }
    let taken = aws.taken();
    let messages: Vec<&str> = taken.log_events("g", "s").iter().map(|event| event.message.as_str()).collect();
    assert_eq!(messages, ["good", "good"]);
    assert_eq!(taken.log_groups["g"].retention, Some(1));
}

/// Scenario: entities, good and bad, and detectors of groups' anomalies.
/// Guarantees: events are taken whatever becomes of the entity; a detector watches one group of the class STANDARD.
#[test]
fn groups_have_classes_tags_and_detectors() {
    let aws = Aws::start().unwrap();
    let logs = Client::of(&aws, "logs");
    let group = json!({ "logGroupName": "g", "logGroupClass": "INFREQUENT_ACCESS", "tags": { "team": "a b" } });
    assert_eq!(logs.json("Logs_20140328.CreateLogGroup", &group).status, 200);
    for bad in [json!({ "logGroupName": "a b" }), json!({ "logGroupName": "x", "logGroupClass": "COLD" })] {
        assert_eq!(logs.json("Logs_20140328.CreateLogGroup", &bad).code(), "InvalidParameterException");
    }
    logs.json("Logs_20140328.CreateLogGroup", &json!({ "logGroupName": "h" }));
    let detector =
        |arns: &Value| logs.json("Logs_20140328.CreateLogAnomalyDetector", &json!({ "logGroupArnList": arns }));
    let arn = |name: &str| format!("arn:aws:logs:eu-central-1:123456789012:log-group:{name}");
    assert_eq!(detector(&json!([arn("g")])).code(), "OperationAbortedException");
    assert_eq!(detector(&json!([arn("h"), arn("g")])).code(), "InvalidParameterException");
    assert_eq!(detector(&json!([arn("none")])).code(), "ResourceNotFoundException");
    assert_eq!(detector(&json!([arn("h")])).status, 200);
    assert_eq!(detector(&json!([arn("h")])).code(), "LimitExceededException");
    let tags = json!({ "resourceArn": arn("g"), "tags": { "env": "test" } });
    assert_eq!(logs.json("Logs_20140328.TagResource", &tags).status, 200);
    let said = logs.json("Logs_20140328.DescribeLogGroups", &json!({ "logGroupNamePrefix": "g" })).value();
    assert_eq!(said["logGroups"][0]["logGroupArn"], arn("g"));
    logs.json("Logs_20140328.CreateLogStream", &json!({ "logGroupName": "g", "logStreamName": "s" }));
    for (keys, told) in [
        (json!({ "Type": "Service", "Name": "shop", "Environment": "ec2:default" }), Value::Null),
        (json!({ "Name": "shop", "Environment": "x" }), json!("MissingRequiredFields")),
        (json!({ "Type": "Thing", "Name": "shop" }), json!("InvalidTypeValue")),
        (json!({ "Type": "Service" }), json!("InvalidKeyAttributes")),
    ] {
        let body = json!({
            "logGroupName": "g", "logStreamName": "s", "logEvents": [{ "timestamp": now(), "message": "x" }],
            "entity": { "keyAttributes": keys },
        });
        assert_eq!(logs.json("Logs_20140328.PutLogEvents", &body).value()["rejectedEntityInfo"]["errorType"], told);
    }
    let taken = aws.taken();
    assert_eq!(
        (taken.log_event_count(), taken.log_groups["g"].entities.len(), taken.log_groups["g"].tags.len()),
        (4, 1, 2)
    );
}

/// Scenario: segments of which some are not, a fault that refuses every other, and too many documents.
/// Guarantees: each is judged alone, with its id where it has one.
#[test]
fn segments_are_judged_one_by_one() {
    let aws = Aws::start().unwrap();
    let xray = Client::of(&aws, "xray");
    let segment = |n: usize| {
        let document = json!({
            "id": format!("{n:016x}"), "trace_id": "1-58406520-a006649127e371903a2de979", "name": "a", "start_time": 1.0,
            "in_progress": true,
        });
        document.to_string()
    };
    let send = |documents: &[String]| {
        let body = json!({ "TraceSegmentDocuments": documents }).to_string();
        xray.ask("POST", "/TraceSegments", &[("content-type", "application/json")], body.as_bytes())
    };
    let answer = send(&[segment(1), "{}".to_owned(), "no".to_owned(), segment(2).replace("\"a\"", "\"?\"")]).value();
    let list = "UnprocessedTraceSegments";
    assert_eq!(each(&answer, list, "ErrorCode"), [Some("MissingId"), Some("ParseError"), Some("InvalidName")]);
    assert_eq!(each(&answer, list, "Id"), [None, None, Some("0000000000000002")]);
    aws.faults().script([Fault::RefuseSome(2), Fault::RefuseSomeWith(3, "InternalFailure".to_owned())]);
    let four: Vec<String> = (10..14).map(segment).collect();
    assert_eq!(each(&send(&four).value(), list, "Id"), [Some("000000000000000a"), Some("000000000000000c")]);
    assert_eq!(each(&send(&four).value(), list, "ErrorCode"), [Some("InternalFailure"); 2]);
    assert_eq!(send(&vec![segment(1); 51]).code(), "invalidrequestexception");
    assert_eq!(send(&vec![segment(1); 50]).status, 200);
    assert_eq!(aws.taken().segment_count, 1 + 2 + 2 + 50);
}

/// Scenario: records at and beyond the limits of Kinesis and Firehose, and faults of single records.
/// Guarantees: the limits hold for the whole request; a failed record is told at its place.
#[test]
fn streams_have_limits_and_answers_for_each_record() {
    let aws = Aws::start().unwrap();
    let (kinesis, firehose) = (Client::of(&aws, "kinesis"), Client::of(&aws, "firehose"));
    let put = |records: &[(String, usize)]| {
        let records: Vec<Value> = records
            .iter()
            .map(|(key, size)| json!({ "PartitionKey": key, "Data": STANDARD.encode(vec![b'x'; *size]) }))
            .collect();
        kinesis.json("Kinesis_20131202.PutRecords", &json!({ "StreamName": "suiro", "Records": records }))
    };
    let key = |n: usize| n.to_string();
    assert_eq!(put(&[(key(1), (1 << 20) - 1)]).status, 200);
    assert_eq!(put(&[(key(1), 1 << 20)]).code(), "ValidationException");
    assert_eq!(put(&[(String::new(), 1)]).code(), "ValidationException");
    assert_eq!(put(&vec![(key(1), 1); 501]).code(), "ValidationException");
    assert_eq!(put(&vec![(key(1), (1 << 20) - 1); 5]).status, 200);
    let beyond = [vec![(key(1), (1 << 20) - 1); 5], vec![(key(1), 0)]].concat();
    assert_eq!(put(&beyond).code(), "InvalidArgumentException");
    aws.faults().script([Fault::RefuseSome(2)]);
    let answer = put(&[(key(1), 1), (key(2), 1), (key(3), 1)]).value();
    let later = Some("ProvisionedThroughputExceededException");
    assert_eq!(each(&answer, "Records", "ErrorCode"), [later, None, later]);
    assert_eq!(answer["FailedRecordCount"], 2);

    let put = |sizes: &[usize]| {
        let records: Vec<Value> =
            sizes.iter().map(|size| json!({ "Data": STANDARD.encode(vec![b'x'; *size]) })).collect();
        firehose.json("Firehose_20150804.PutRecordBatch", &json!({ "DeliveryStreamName": "suiro", "Records": records }))
    };
    assert_eq!(put(&[1_024_000, 1_024_000, 1_024_000, 1_024_000, 98_304]).status, 200);
    assert_eq!(put(&[1_024_000, 1_024_000, 1_024_000, 1_024_000, 98_305]).code(), "InvalidArgumentException");
    assert_eq!(put(&[1_024_001]).code(), "ValidationException");
    assert_eq!(put(&[1; 501]).code(), "ValidationException");
    aws.faults().script([Fault::RefuseSome(2)]);
    let answer = put(&[1, 2, 3]).value();
    assert_eq!(
        each(&answer, "RequestResponses", "ErrorCode"),
        [Some("ServiceUnavailableException"), None, Some("ServiceUnavailableException")]
    );
    let none = json!({ "DeliveryStreamName": "none", "Records": [{ "Data": "" }] });
    assert_eq!(firehose.json("Firehose_20150804.PutRecordBatch", &none).code(), "ResourceNotFoundException");
    let taken = aws.taken();
    assert_eq!((taken.kinesis["suiro"].len(), taken.firehose["suiro"].len(), taken.record_count), (7, 6, 13));
}

/// Scenario: metrics by both protocols, good and bad.
/// Guarantees: a bad one refuses the request; what is taken has its values, counts and dimensions.
#[test]
fn metrics_are_taken_by_both_protocols() {
    let aws = Aws::with(AwsOptions { max_metric_body: 5000, ..AwsOptions::default() }).unwrap();
    let cloudwatch = Client::of(&aws, "monitoring");
    let start = "Action=PutMetricData&Version=2010-08-01&Namespace=Shop&MetricData.member.1.";
    let good = "MetricName=wait&MetricData.member.1.Values.member.1=1.5&MetricData.member.1.Values.member.2=2&\
                MetricData.member.1.Counts.member.1=3&MetricData.member.1.Counts.member.2=1&MetricData.member.1.Unit=Seconds&\
                MetricData.member.1.Dimensions.member.1.Name=zone&MetricData.member.1.Dimensions.member.1.Value=a%20b";
    assert_eq!(cloudwatch.form(&format!("{start}{good}")).status, 200);
    let again = "&MetricData.member.1.Dimensions.member.2.Name=zone&MetricData.member.1.Dimensions.member.2.Value=c";
    let long = "x".repeat(5000);
    for (body, code) in [
        (format!("{start}{good}&MetricData.member.1.Value=1"), "InvalidParameterCombination"),
        (format!("{start}{good}{again}"), "InvalidParameterValue"),
        (format!("{start}MetricName=a&MetricData.member.1.Value=NaN"), "InvalidParameterValue"),
        (format!("{start}MetricName=a"), "MissingParameter"),
        (
            format!("{start}MetricName=a&MetricData.member.1.Value=1&MetricData.member.1.Unit=parsec"),
            "InvalidParameterValue",
        ),
        (
            format!(
                "{start}MetricName=a&MetricData.member.1.Value=1&MetricData.member.1.Timestamp=2020-01-01T00%3A00%3A00Z"
            ),
            "InvalidParameterValue",
        ),
        (format!("{start}MetricName={long}&MetricData.member.1.Value=1"), "RequestEntityTooLarge"),
        (start.replace("Shop", "AWS%2FEC2") + "MetricName=a&MetricData.member.1.Value=1", "InvalidParameterValue"),
    ] {
        assert_eq!(cloudwatch.form(&body).code(), code, "{body}");
    }
    let json = |action: &str, body: Value| {
        let target = format!("GraniteServiceVersion20100801.{action}");
        let headers = [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.0")];
        cloudwatch.ask("POST", "/", &headers, body.to_string().as_bytes())
    };
    let metric = json!({ "MetricName": "n", "Value": 7, "Timestamp": now() as f64 / 1000.0, "StorageResolution": 1 });
    assert_eq!(json("PutMetricData", json!({ "Namespace": "Shop", "MetricData": [metric] })).status, 200);
    let too_many = json("PutMetricData", json!({ "Namespace": "Shop", "MetricData": vec![json!(1); 1001] }));
    assert_eq!(too_many.code(), "com.amazonaws.cloudwatch#InvalidParameterValueException");
    assert!(too_many.head.contains("x-amzn-query-error: invalidparametervalue;sender"), "{too_many:?}");
    let detector = json!({
        "SingleMetricAnomalyDetector": { "Namespace": "Shop", "MetricName": "n", "Stat": "p99.9" },
        "Configuration": { "ExcludedTimeRanges": [{ "StartTime": "2026-12-24T00:00:00", "EndTime": "2026-12-27T00:00:00" }], "MetricTimezone": "Europe/Berlin" },
    });
    assert_eq!(json("PutAnomalyDetector", detector.clone()).status, 200);
    assert_eq!(json("PutAnomalyDetector", detector).status, 200);
    let taken = aws.taken();
    assert_eq!(taken.metrics.len(), 2);
    assert_eq!(taken.metrics[0].values, [(1.5, 3.0), (2.0, 1.0)]);
    assert_eq!(taken.metrics[0].dimensions, [("zone".to_owned(), "a b".to_owned())]);
    assert_eq!((taken.metrics[1].resolution, taken.metric_anomaly_detectors.len()), (1, 1));
    assert_eq!(taken.metric_anomaly_detectors[0].excluded, [(1_798_070_400_000, 1_798_329_600_000)]);
}
