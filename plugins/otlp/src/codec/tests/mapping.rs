//! What records look like, by example: the pages of `docs/signals.md`.

use suiro_record::{Batch, NewValue, Path, Row, Scope, Signal, Source, TimeKind};

use super::{READ_AT, batches, json, rewritten, written};

fn decoded(signal: Signal, text: &str) -> Batch {
    let request = json::to_protobuf(signal, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let mut batches = batches(signal, &request).unwrap();
    assert_eq!(batches.len(), 1);
    batches.remove(0)
}

fn body(batch: &Batch, row: usize) -> String {
    let mut out = Vec::new();
    batch.write_json(&batch.rows[row], &mut out);
    String::from_utf8(out).unwrap()
}

fn header(batch: &Batch, row: usize) -> String {
    let mut out = Vec::new();
    batch.header(&batch.rows[row]).unwrap().write_json(&mut out);
    String::from_utf8(out).unwrap()
}

fn encoded(batch: &Batch) -> serde_json::Value {
    let bytes = written(batch.signal, std::slice::from_ref(batch));
    let mut text = Vec::new();
    json::from_protobuf(batch.signal, &bytes, &mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn logs() {
    let batch = decoded(
        Signal::Logs,
        r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}],
           "droppedAttributesCount":2,"entityRefs":[{"type":"service","idKeys":["service.name"]}]},"schemaUrl":"u",
           "scopeLogs":[{"scope":{"name":"lib","version":"1"},"logRecords":[
           {"timeUnixNano":"1544712660300000000","observedTimeUnixNano":1544712660300000001,"severityNumber":10,
            "severityText":"Information","traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174",
            "body":{"stringValue":"Example \"log\""},"flags":1,"eventName":"e","droppedAttributesCount":3,"unknown":[{}],
            "attributes":[{"key":"a","value":{"arrayValue":{"values":[{"boolValue":true},{"bytesValue":"AQI="},{}]}}},
                          {"key":"n","value":null}]},
           {"body":{"kvlistValue":{"values":[{"key":"log","value":{"intValue":"7"}}]}}},
           {"body":{"kvlistValue":{"values":[{"key":"log","value":{"intValue":7}},{"key":"x","value":{"doubleValue":"NaN"}}]}}},
           {"body":{"kvlistValue":{}}},
           {}]}]}]}"#,
    );
    assert_eq!(body(&batch, 0), r#"{"log":"Example \"log\""}"#);
    assert_eq!(
        header(&batch, 0),
        concat!(
            r#"{"observed_time":1544712660300000001,"severity":"Information","severity_number":10,"#,
            r#""trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174","flags":1,"event_name":"e","#,
            r#""attributes":{"a":[true,"AQI=",null],"n":null},"dropped_attributes_count":3}"#
        )
    );
    assert_eq!((batch.rows[0].time, batch.rows[0].time_kind), (1_544_712_660_300_000_000, TimeKind::Own));
    assert_eq!(body(&batch, 1), r#"{"log":{"log":7}}"#);
    assert_eq!(body(&batch, 2), r#"{"log":7,"x":null}"#);
    assert_eq!(body(&batch, 3), r#"{"log":{}}"#);
    assert_eq!(body(&batch, 4), "{}");
    // A nanosecond later for each byte, so that equal ones stay apart.
    let Row { time, time_kind, start, .. } = batch.rows[4];
    assert_eq!((time, time_kind), (READ_AT + start as i64, TimeKind::Read));
    let get = |path: &str| batch.get(&batch.rows[0], &batch.resolve(&Path::parse(path).unwrap())).unwrap().to_value();
    assert_eq!(get("@service.name"), "shop".into());
    assert_eq!(get("@scope.name"), "lib".into());
}

#[test]
fn a_log_that_was_changed_is_written_anew_and_its_neighbours_are_not() {
    let mut batch = decoded(
        Signal::Logs,
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
           {"timeUnixNano":"5","body":{"stringValue":"a"},"attributes":[{"key":"old","value":{"intValue":"1"}}]},
           {"timeUnixNano":"6","body":{"stringValue":"b"}}]}]}]}"#,
    );
    batch.rename(0, &Path::parse("@attributes.old").unwrap(), &Path::parse("@attributes.new").unwrap()).unwrap();
    batch.set(0, &Path::parse("@time").unwrap(), NewValue::Int(9)).unwrap();
    let records = &encoded(&batch)["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    assert_eq!(records[0]["attributes"][0]["key"], "new");
    assert_eq!(records[0]["timeUnixNano"], "9");
    assert_eq!(records[0]["observedTimeUnixNano"], READ_AT.to_string());
    // As it came: nobody added when it was observed.
    assert_eq!(records[1], serde_json::json!({ "timeUnixNano": "6", "body": { "stringValue": "b" } }));
}

/// Lines of a file: no time of their own, no header.
#[test]
fn a_record_of_another_input_is_a_log_record() {
    let source = std::sync::Arc::new(Source::new("tail".into(), 1));
    let scope = std::sync::Arc::new(Scope::new(source).with("file.path", "/a"));
    let mut batch = Batch::new("t".into(), scope, 40);
    let json = r#"{"level":"warn","n":1,"f":1.5,"big":18446744073709551615,"e":"\u00e9","l":[{}]}"#;
    batch.heap_mut().extend_from_slice(json.as_bytes());
    let root = batch.parse_json(0..json.len()).unwrap();
    batch.rows.push(Row::new(root, 41, 0, json.len() as u64));
    let text = batch.text_body(2..7);
    let mut row = Row::new(text, 42, 90, 95);
    row.time_kind = TimeKind::Own;
    batch.rows.push(row);
    batch.set_header(1, suiro_record::Header::TraceId, NewValue::Str("not an id")).unwrap();
    let request = encoded(&batch);
    let group = &request["resourceLogs"][0];
    assert_eq!(group["resource"]["attributes"][0]["value"]["stringValue"], "/a");
    let records = &group["scopeLogs"][0]["logRecords"];
    assert_eq!(records[0].get("timeUnixNano"), None);
    assert_eq!(records[0]["observedTimeUnixNano"], "41");
    let members = records[0]["body"]["kvlistValue"]["values"].as_array().unwrap();
    let values: Vec<String> = members.iter().map(|member| member["value"].to_string()).collect();
    assert_eq!(
        values,
        [
            r#"{"stringValue":"warn"}"#,
            r#"{"intValue":"1"}"#,
            r#"{"doubleValue":1.5}"#,
            r#"{"doubleValue":1.8446744073709552e+19}"#,
            "{\"stringValue\":\"\u{e9}\"}",
            r#"{"arrayValue":{"values":[{"kvlistValue":{}}]}}"#,
        ]
    );
    assert_eq!(records[1]["body"]["stringValue"], "level");
    assert_eq!((&records[1]["timeUnixNano"], &records[1]["observedTimeUnixNano"]), (&"42".into(), &"40".into()));
    assert_eq!(records[1]["attributes"][0]["value"]["stringValue"], "not an id");
}

#[test]
fn spans() {
    let batch = decoded(
        Signal::Traces,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c",
           "spanId":"eee19b7ec3c1b174","parentSpanId":"eee19b7ec3c1b173","name":"I'm a server span","kind":2,
           "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","flags":257,
           "traceState":"a=b","attributes":[{"key":"my.span.attr","value":{"stringValue":"some value"}}],
           "events":[{"timeUnixNano":"5","name":"ev"}],"links":[{"traceId":"5b8efff798038103d269b633813fc60c",
           "spanId":"eee19b7ec3c1b174"}],"status":{"code":2,"message":"bad"}},{"kind":9}]}]}]}"#,
    );
    assert_eq!(
        body(&batch, 0),
        concat!(
            r#"{"name":"I'm a server span","kind":"server","parent_span_id":"eee19b7ec3c1b173","trace_state":"a=b","#,
            r#""flags":257,"start":1544712660000000000,"end":1544712661000000000,"status":{"code":"error","message":"bad"},"#,
            r#""attributes":{"my.span.attr":"some value"},"events":[{"time":5,"name":"ev"}],"#,
            r#""links":[{"trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174"}]}"#
        )
    );
    assert_eq!(header(&batch, 0), r#"{"trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174"}"#);
    assert_eq!(batch.rows[0].time, 1_544_712_661_000_000_000);
    assert_eq!(body(&batch, 1), r#"{"kind":9}"#);
}

#[test]
fn what_a_span_has_no_field_for_is_an_attribute() {
    let mut batch = decoded(Signal::Traces, r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"}]}]}]}"#);
    for (path, value) in [
        ("team", NewValue::Str("blue")),
        ("kind", NewValue::Str("sideways")),
        ("parent_span_id", NewValue::Str("zz")),
        ("attributes.x", NewValue::Int(1)),
        ("status.code", NewValue::Str("ok")),
    ] {
        batch.set(0, &Path::parse(path).unwrap(), value).unwrap();
    }
    let span = &encoded(&batch)["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    let keys: Vec<&str> =
        span["attributes"].as_array().unwrap().iter().map(|pair| pair["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["x", "team", "kind", "parent_span_id"]);
    assert_eq!(span["status"]["code"], 1);
}

#[test]
fn metric_points() {
    let batch = decoded(
        Signal::Metrics,
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
           {"name":"c","unit":"1","description":"d","metadata":[{"key":"k","value":{"stringValue":"v"}}],
            "sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
              {"asInt":"5","startTimeUnixNano":"1","timeUnixNano":"2","exemplars":[{"timeUnixNano":"3","asDouble":1.5,
               "spanId":"eee19b7ec3c1b174","filteredAttributes":[{"key":"a","value":{"intValue":1}}]}]},
              {"asDouble":5,"timeUnixNano":"2","flags":1}]}},
           {"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"3","sum":0,"min":1,"bucketCounts":["1","2"],
             "explicitBounds":[2.5]}]}},
           {"name":"e","exponentialHistogram":{"dataPoints":[{"count":"3","scale":-2,"zeroCount":"1","zeroThreshold":0.5,
             "positive":{"offset":-1,"bucketCounts":["1","0"]}}]}},
           {"name":"s","summary":{"dataPoints":[{"count":"3","sum":6,"quantileValues":[{"quantile":0.5,"value":2}]}]}}
           ]}]}]}"#,
    );
    let bodies: Vec<String> = (0..batch.len()).map(|row| body(&batch, row)).collect();
    assert_eq!(
        bodies,
        [
            concat!(
                r#"{"name":"c","description":"d","unit":"1","metadata":{"k":"v"},"kind":"sum","temporality":"cumulative","#,
                r#""monotonic":true,"start":1,"value":5,"exemplars":[{"time":3,"value":1.5,"span_id":"eee19b7ec3c1b174","#,
                r#""attributes":{"a":1}}]}"#
            ),
            concat!(
                r#"{"name":"c","description":"d","unit":"1","metadata":{"k":"v"},"kind":"sum","temporality":"cumulative","#,
                r#""monotonic":true,"value":5.0,"flags":1}"#
            ),
            concat!(
                r#"{"name":"h","kind":"histogram","temporality":"delta","count":3,"sum":0.0,"min":1.0,"bounds":[2.5],"#,
                r#""buckets":[1,2]}"#
            ),
            concat!(
                r#"{"name":"e","kind":"exponential_histogram","count":3,"scale":-2,"zero_count":1,"zero_threshold":0.5,"#,
                r#""positive":{"offset":-1,"buckets":[1,0]}}"#
            ),
            r#"{"name":"s","kind":"summary","count":3,"sum":6.0,"quantiles":[{"quantile":0.5,"value":2.0}]}"#,
        ]
    );
    // One metric each, its points together again.
    let metrics = encoded(&batch)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].clone();
    assert_eq!(metrics.as_array().unwrap().len(), 4);
    assert_eq!(metrics[0]["sum"]["dataPoints"].as_array().unwrap().len(), 2);
}

#[test]
fn a_metric_whose_point_was_renamed_parts_from_the_others() {
    let mut batch = decoded(
        Signal::Metrics,
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"c","gauge":{"dataPoints":[
           {"asInt":"1"},{"asInt":"2"},{"asInt":"3"}]}}]}]}]}"#,
    );
    batch.set(1, &Path::key("name"), NewValue::Str("d")).unwrap();
    let metrics = encoded(&batch)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].clone();
    let named: Vec<_> = metrics.as_array().unwrap().iter().map(|metric| metric["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["c", "d", "c"]);
    assert_eq!(metrics[1]["gauge"]["dataPoints"][0]["asInt"], "2");
    let again = rewritten(Signal::Metrics, std::slice::from_ref(&batch));
    assert_eq!(batches(Signal::Metrics, &again).unwrap()[0].len(), 3);
}

#[test]
fn json_says_where_it_is_wrong() {
    for (text, wanted) in [
        ("", "EOF"),
        ("[]", "a message"),
        (r#"{"resourceLogs":{}}"#, "a list as `resourceLogs`"),
        (
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"xy"}]}]}]}"#,
            "32 hexadecimal digits as `traceId`",
        ),
        (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":"INFO"}]}]}]}"#, "an integer that fits"),
        (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":-1}]}]}]}"#, "an integer that fits"),
        (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"bytesValue":"*"}}]}]}]}"#, "base64"),
        ("{} {}", "trailing"),
    ] {
        let error = json::to_protobuf(Signal::Logs, text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
        assert_eq!(error.matches(" at ").count(), 1, "{error}");
    }
}
