//! The rules of the mapping that concern a document as a whole and its labels, each by a span and its document. Its blocks are in
//! `blocks.rs`.

use serde_json::{Value, json};

use super::{
    ID, PARENT, TRACE, XRAY_TRACE, batch, batch_of, document, documents, none, of, rules, span, within, written,
};

#[test]
fn a_span_of_nothing_is_a_segment() {
    assert_eq!(
        of("server", none()),
        json!({
            "name": "GET /items",
            "id": ID,
            "trace_id": XRAY_TRACE,
            "start_time": 1_480_615_200.01,
            "end_time": 1_480_615_200.09,
        })
    );
    // To the nanosecond, which no float of JSON readers holds.
    let late = span("server", none(), json!({ "end": 1_480_615_200_090_000_001_i64 }));
    let text = &written(&batch(&none(), &late), &rules("")).unwrap()[0];
    assert!(text.contains("\"end_time\":1480615200.090000001}"), "{text}");
}

#[test]
fn what_has_a_parent_is_a_subsegment_unless_it_serves() {
    for (kind, kind_of) in [
        ("server", None),
        ("internal", Some("subsegment")),
        ("client", Some("subsegment")),
        ("producer", Some("subsegment")),
        ("consumer", Some("subsegment")),
        ("7", Some("subsegment")),
    ] {
        let document = within(kind, none());
        assert_eq!(document["type"].as_str(), kind_of, "{kind}");
        assert_eq!(document["parent_id"], PARENT);
        assert_eq!(of(kind, none())["type"], Value::Null);
        // Only segments tell of the resource.
        let resource = json!({ "region": "eu", "n": 1 });
        let document = super::document(&resource, &span(kind, none(), json!({ "parent_span_id": PARENT })));
        let expected = if kind_of.is_none() { json!("eu") } else { Value::Null };
        assert_eq!(document["metadata"]["default"]["otel.resource.region"], expected, "{kind}");
    }
}

#[test]
fn ids_of_all_kinds() {
    let shown = |header: Value, body: Value| {
        written(&batch_of(&none(), &[body], &header), &rules("")).map(|all| {
            let value: Value = serde_json::from_str(&all[0]).unwrap();
            (value["trace_id"].as_str().unwrap().to_owned(), value["parent_id"].as_str().unwrap_or("").to_owned())
        })
    };
    let plain = || span("server", none(), none());
    let header = |trace: &str| json!({ "trace_id": trace, "span_id": ID });
    assert_eq!(shown(header(TRACE), plain()).unwrap().0, XRAY_TRACE);
    assert_eq!(shown(header(XRAY_TRACE), plain()).unwrap().0, XRAY_TRACE);
    // B3 of 64 bits.
    assert_eq!(shown(header(ID), plain()).unwrap().0, format!("1-00000000-00000000{ID}"));
    let orphan = span("client", none(), json!({ "parent_span_id": "" }));
    assert_eq!(shown(header(TRACE), orphan).unwrap().1, "");
    for (header, body, why) in [
        (none(), plain(), "it has no `@trace_id`"),
        (json!({ "trace_id": TRACE }), plain(), "it has no `@span_id`"),
        (header("12"), plain(), "`@trace_id` is \"12\", which is no id"),
        (json!({ "trace_id": TRACE, "span_id": "0000000000000000" }), plain(), "`@span_id` is \"0000000000000000\""),
        (header(TRACE), span("client", none(), json!({ "parent_span_id": 5 })), "`parent_span_id` is \"5\""),
    ] {
        let error = shown(header, body).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn times_that_are_not_there() {
    let document = of("server", none());
    assert_eq!(document["in_progress"], Value::Null);
    let shown = |more: Value| {
        let mut span = span("server", none(), none());
        for (key, value) in more.as_object().unwrap() {
            span[key] = value.clone();
        }
        let document = super::document(&none(), &span);
        [document["start_time"].clone(), document["end_time"].clone(), document["in_progress"].clone()]
    };
    assert_eq!(shown(json!({ "end": 0 })), [json!(1_480_615_200.01), Value::Null, json!(true)]);
    assert_eq!(shown(json!({ "end": null })), [json!(1_480_615_200.01), Value::Null, json!(true)]);
    // Only an end: it is the start, too. Neither: the record's time is.
    assert_eq!(shown(json!({ "start": 0, "end": 5_000_000_000_i64 })), [json!(5.0), json!(5.0), Value::Null]);
    assert_eq!(shown(json!({ "start": 0, "end": 0 })), [json!(1_700_000_000.0), Value::Null, json!(true)]);
    // A clock that was set back.
    assert_eq!(shown(json!({ "end": 1 })), [json!(1_480_615_200.01), json!(1_480_615_200.01), Value::Null]);
}

#[test]
fn names_by_rank() {
    let all = json!({
        "aws.local.service": "local", "aws.remote.service": "remote", "peer.service": "peer", "aws.service": "S3",
        "db.name": "orders", "db.connection_string": "mysql://u@db.local:3306", "rpc.service": "rpc",
        "http.host": "host:80", "net.peer.name": "peer.local",
    });
    let resource = json!({ "service.name": "shop" });
    let ranks = |kind: &str, keys: &[(&str, &str)]| {
        let mut left = all.clone();
        for (key, name) in keys {
            let document = super::document(&resource, &span(kind, left.clone(), none()));
            assert_eq!(document["name"], *name, "{kind} {key}");
            left.as_object_mut().unwrap().remove(*key);
        }
    };
    ranks(
        "server",
        &[
            ("aws.local.service", "local"),
            ("peer.service", "peer"),
            ("aws.service", "S3"),
            ("db.name", "orders@db.local"),
            ("", "shop"),
        ],
    );
    ranks(
        "client",
        &[
            ("aws.remote.service", "remote"),
            ("peer.service", "peer"),
            ("aws.service", "S3"),
            ("db.name", "orders@db.local"),
            ("rpc.service", "rpc"),
            ("http.host", "host:80"),
            ("net.peer.name", "peer.local"),
            ("", "GET /items"),
        ],
    );
    ranks("internal", &[("peer.service", "peer")]);
    assert_eq!(of("client", json!({ "db.namespace": "orders" }))["name"], "orders");
    assert_eq!(of("client", json!({ "peer.service": "{}", "rpc.service": "a{b}" }))["name"], "ab");
    let nameless = document(&none(), &json!({ "kind": "client", "start": 1, "name": "{}" }));
    assert_eq!(nameless["name"], "span");
    // What the operation is called is not lost.
    let renamed = of("client", json!({ "peer.service": "peer" }));
    assert_eq!(renamed["metadata"], json!({ "default": { "otel.span.name": "GET /items", "peer.service": "peer" } }));
}

#[test]
fn calls_of_aws() {
    let call = json!({ "rpc.system": "aws-api", "rpc.service": "S3", "rpc.method": "GetObject" });
    let document = within("client", call.clone());
    assert_eq!((&document["name"], &document["namespace"]), (&json!("S3"), &json!("aws")));
    assert_eq!(document["aws"], json!({ "operation": "GetObject" }));
    for prefixed in ["AWS.SDK.S3", "AWS::S3", "S3"] {
        let mut call = call.clone();
        call["aws.remote.service"] = json!(prefixed);
        assert_eq!(within("client", call)["name"], "S3");
    }
    assert_eq!(within("client", json!({ "aws.remote.service": "AWS::S3" }))["name"], "AWS::S3");
    let document = within("internal", json!({ "aws.service": "DynamoDB", "aws.operation": "Query" }));
    assert_eq!((&document["name"], &document["namespace"]), (&json!("DynamoDB"), &json!("aws")));
    let document = within(
        "client",
        json!({
            "rpc.system": "aws-api", "aws.account_id": 123_456_789_012_i64, "aws.region": "eu-central-1",
            "aws.requestId": "r", "aws.queue.url": "old", "messaging.url": "https://sqs/q", "aws.table.name": "t",
            "aws.operation": "Send", "rpc.method": "other",
        }),
    );
    assert_eq!(
        document["aws"],
        json!({
            "account_id": "123456789012", "operation": "Send", "region": "eu-central-1", "request_id": "r",
            "queue_url": "https://sqs/q", "table_name": "t",
        })
    );
    let tables = |tables: Value| within("client", json!({ "aws.table_name": "a", "aws.dynamodb.table_names": tables }));
    assert_eq!(tables(json!(["b"]))["aws"], json!({ "table_name": "b" }));
    assert_eq!(tables(json!(["b", "c"]))["aws"], json!({ "table_names": ["b", "c"] }));
    assert_eq!(tables(json!([]))["aws"], json!({ "table_name": "a" }));
}

#[test]
fn namespaces() {
    let remote = json!({ "aws.remote.service": "x" });
    for (kind, attributes, alone, inside) in [
        ("client", none(), Some("remote"), Some("remote")),
        ("server", none(), None, None),
        ("internal", remote.clone(), None, None),
        ("producer", none(), None, None),
        ("producer", remote.clone(), None, Some("remote")),
        ("consumer", remote, None, Some("remote")),
        ("consumer", json!({ "rpc.system": "aws-api" }), Some("aws"), Some("aws")),
    ] {
        assert_eq!(of(kind, attributes.clone())["namespace"].as_str(), alone, "{kind}");
        assert_eq!(within(kind, attributes)["namespace"].as_str(), inside, "{kind}");
    }
}

#[test]
fn annotations_that_are_listed() {
    let settings = "annotations = ['order-id', 'n', 'list', 'http.method', 'otel.resource.team', 'empty']";
    let attributes = json!({
        "order-id": "7", "n": 1.5, "list": [1], "http.method": "GET", "other": true, "ünï": 1,
        "aws.xray.annotations": ["other", "ünï", "otel.resource.zone", 5, "missing"],
    });
    let resource = json!({ "team": "shop", "zone": 3, "rest": "x" });
    let document = &documents(settings, &resource, &span("server", attributes, none()))[0];
    assert_eq!(
        document["annotations"],
        json!({
            "order_id": "7", "n": 1.5, "http.method": "GET", "other": true, "_n_": 1, "otel.resource.team": "shop",
            "otel.resource.zone": 3,
        })
    );
    assert_eq!(document["http"]["request"]["method"], "GET");
    let default = document["metadata"]["default"].as_object().unwrap();
    assert_eq!((&default["list"], &default["otel.resource.rest"]), (&json!([1]), &json!("x")));
    for gone in ["order-id", "aws.xray.annotations", "otel.resource.team", "http.method"] {
        assert!(!default.contains_key(gone), "{gone}");
    }
}

#[test]
fn all_are_annotations() {
    let attributes = json!({
        "a": 1, "b-c": "x", "b_c": "y", "list": [1], "http.method": "GET", "aws.xray.metadata.debug": "{\"x\":1}",
        "null": null, "long": "é".repeat(1001), "edge": "é".repeat(1000),
    });
    let resource = json!({ "team": "shop", "ips": ["1"] });
    let document = &documents("annotations = 'all'", &resource, &span("server", attributes, none()))[0];
    assert_eq!(
        document["annotations"],
        json!({ "a": 1, "b_c": "x", "edge": "é".repeat(1000), "otel.resource.team": "shop" })
    );
    assert_eq!(
        document["metadata"],
        json!({
            "default": {
                "b_c": "y", "list": [1], "null": null, "long": "é".repeat(1001), "otel.resource.ips": ["1"],
            },
            "debug": { "x": 1 },
        })
    );
    // Of more than 50, the rest is metadata.
    let many: serde_json::Map<String, Value> = (0..60).map(|n| (format!("k{n}"), json!(n))).collect();
    let document = &documents("annotations = 'all'", &resource, &span("server", many.into(), none()))[0];
    assert_eq!(document["annotations"].as_object().unwrap().len(), 50);
    let default = document["metadata"]["default"].as_object().unwrap();
    assert_eq!((default.len(), &default["otel.resource.team"]), (12, &json!("shop")));
}

#[test]
fn metadata_of_namespaces() {
    let document = within(
        "internal",
        json!({
            "a": 1,
            "aws.xray.metadata.debug": " {\"x\": {\"y\": [1, \"2\"]}}",
            "aws.xray.metadata.Default": "{\"a\": 2, \"b\": 3}",
            "aws.xray.metadata.list": "[1]",
            "aws.xray.metadata.bad": "{x}",
            "aws.xray.metadata.number": 5,
            "aws.xray.metadata.": "{}",
        }),
    );
    assert_eq!(
        document["metadata"],
        json!({
            "default": {
                "a": 1, "b": 3, "aws.xray.metadata.list": "[1]", "aws.xray.metadata.bad": "{x}",
                "aws.xray.metadata.number": 5, "aws.xray.metadata.": "{}",
            },
            "debug": { "x": { "y": [1, "2"] } },
        })
    );
    let only = within("internal", json!({ "aws.xray.metadata.debug": "{}" }));
    assert_eq!(only["metadata"], json!({ "debug": {} }));
}

#[test]
fn links() {
    let links = json!([
        { "trace_id": TRACE, "span_id": PARENT, "attributes": { "a": [1] } },
        { "trace_id": TRACE, "span_id": PARENT, "attributes": {} },
        { "trace_id": "bad", "span_id": PARENT },
    ]);
    let document = document(&none(), &span("consumer", none(), json!({ "links": links })));
    assert_eq!(
        document["links"],
        json!([{ "trace_id": XRAY_TRACE, "id": PARENT, "attributes": { "a": [1] } }, { "trace_id": XRAY_TRACE, "id": PARENT }])
    );
}

#[test]
fn local_roots_that_serve_are_segments() {
    for kind in ["server", "internal"] {
        let attributes = json!({ "aws.span.kind": "LOCAL_ROOT", "aws.local.service": "shop", "rpc.system": "aws-api" });
        let more = json!({ "parent_span_id": PARENT });
        let document = document(&json!({ "r": 1 }), &span(kind, attributes, more));
        assert_eq!((&document["name"], &document["parent_id"]), (&json!("shop"), &json!(PARENT)));
        assert_eq!((&document["type"], &document["namespace"]), (&Value::Null, &Value::Null));
        assert_eq!(document["metadata"]["default"]["otel.resource.r"], 1);
        assert_eq!(document["metadata"]["default"]["aws.span.kind"], "LOCAL_ROOT");
    }
}

#[test]
fn local_roots_that_call_are_two() {
    let attributes = json!({
        "aws.span.kind": "LOCAL_ROOT", "aws.local.service": "shop", "aws.remote.service": "bank",
        "aws.remote.operation": "pay", "remoteTarget": "t", "K8s.RemoteNamespace": "n", "http.method": "POST",
        "aws.region": "eu", "own": 1, "indexed": 2,
    });
    let links = json!([{ "trace_id": TRACE, "span_id": PARENT }]);
    let more = json!({ "parent_span_id": PARENT, "links": links, "status": { "code": "error", "message": "no" } });
    let resource = json!({ "cloud.account.id": "1", "telemetry.sdk.name": "otel" });
    let settings = "annotations = ['indexed', 'aws.remote.service']";
    for kind in ["client", "producer", "consumer"] {
        let all = documents(settings, &resource, &span(kind, attributes.clone(), more.clone()));
        let [service, call] = &all[..] else { panic!("{all:?}") };
        assert_eq!(all, documents(settings, &resource, &span(kind, attributes.clone(), more.clone())), "ids repeat");
        assert_eq!((&service["name"], &call["name"]), (&json!("shop"), &json!("bank")));
        assert_eq!((&call["id"], &call["parent_id"]), (&json!(ID), &service["id"]));
        assert_eq!((&call["type"], &call["namespace"]), (&json!("subsegment"), &json!("remote")));
        assert_ne!(service["id"], json!(ID));
        assert_eq!(service["parent_id"], PARENT);
        assert_eq!((&service["type"], &service["namespace"]), (&Value::Null, &Value::Null));
        assert_eq!((&service["http"], &call["http"]["request"]["method"]), (&Value::Null, &json!("POST")));
        assert_eq!(service["aws"], json!({ "xray": { "sdk": "otel" } }));
        assert_eq!(call["aws"], json!({ "xray": { "sdk": "otel" }, "account_id": "1", "region": "eu" }));
        assert_eq!((&service["fault"], &call["fault"]), (&json!(true), &json!(true)));
        assert_eq!(service["annotations"], json!({ "indexed": 2 }));
        assert_eq!(call["annotations"], json!({ "indexed": 2, "aws.remote.service": "bank" }));
        assert_eq!(
            service["metadata"]["default"],
            json!({ "otel.resource.cloud.account.id": "1", "otel.resource.telemetry.sdk.name": "otel" })
        );
        assert_eq!(call["metadata"]["default"]["own"], 1);
        assert_eq!(call["metadata"]["default"]["otel.resource.cloud.account.id"], Value::Null);
        let (linked, not) = if kind == "consumer" { (service, call) } else { (call, service) };
        assert_eq!((linked["links"].as_array().unwrap().len(), &not["links"]), (1, &Value::Null));
    }
}

#[test]
fn of_a_key_that_is_there_twice_the_last_counts() {
    let mut scope = suiro_sdk::record::Scope::new(std::sync::Arc::new(suiro_sdk::record::Source::new("in".into(), 1)));
    for value in ["old", "new"] {
        scope = scope.with("service.name", value);
    }
    let mut batch = suiro_sdk::record::Batch::new("t".into(), std::sync::Arc::new(scope), 1);
    let mut parse = |text: &str| {
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(text.as_bytes());
        batch.parse_json(from..from + text.len()).unwrap()
    };
    let many: String = (0..100).map(|n| format!("\"k{n}\":1,")).collect();
    let body = |more: &str| {
        format!(
            r#"{{"kind":"server","start":1,"attributes":{{{more}"a":1,"http.method":"GET","a":2,"http.method":"PUT"}}}}"#
        )
    };
    let roots = [parse(&body("")), parse(&body(&many))];
    let header = parse(&format!(r#"{{"trace_id":"{TRACE}","span_id":"{ID}"}}"#));
    for root in roots {
        let mut row = suiro_sdk::record::Row::new(root, 1, 0, 1);
        batch.set_header_map(&mut row, header);
        batch.rows.push(row);
    }
    for text in written(&batch, &rules("")).unwrap() {
        super::validator::check(&text).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["name"], "new");
        assert_eq!(document["http"]["request"]["method"], "PUT");
        assert_eq!(document["metadata"]["default"]["a"], 2);
        assert_eq!(document["metadata"]["default"]["otel.resource.service.name"], "new");
    }
}
