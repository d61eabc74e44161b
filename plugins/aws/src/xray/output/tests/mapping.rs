//! Each rule of the mapping, by a span and its document.

use serde_json::{Value, json};

use super::{ID, PARENT, TRACE, XRAY_TRACE, batch, batch_of, document, documents, rules, span, written};

fn none() -> Value {
    json!({})
}

/// A span of that kind with these attributes, of no resource.
fn of(kind: &str, attributes: Value) -> Value {
    document(&none(), &span(kind, attributes, none()))
}

/// The same, with a parent.
fn within(kind: &str, attributes: Value) -> Value {
    document(&none(), &span(kind, attributes, json!({ "parent_span_id": PARENT })))
}

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

fn url(kind: &str, attributes: Value) -> Option<String> {
    of(kind, attributes)["http"]["request"]["url"].as_str().map(str::to_owned)
}

#[test]
fn urls_of_servers() {
    for (attributes, expected) in [
        (json!({ "http.url": "https://a/b" }), Some("https://a/b")),
        (json!({ "url.full": "https://a/b" }), Some("https://a/b")),
        (json!({ "http.host": "a:81", "net.host.port": 9, "http.target": "/x?y" }), Some("http://a:81/x?y")),
        (json!({ "http.server_name": "a", "net.host.port": 8080, "http.scheme": "https" }), Some("https://a:8080/")),
        (
            json!({ "net.host.name": "a", "net.host.port": "443", "url.scheme": "https", "host.name": "h" }),
            Some("https://a/"),
        ),
        (json!({ "host.name": "h", "http.method": "GET" }), Some("http://h/")),
        (
            json!({ "server.address": "a", "server.port": 80, "url.path": "/p", "url.query": "q=1" }),
            Some("http://a/p?q=1"),
        ),
        (
            json!({ "server.address": "::1", "server.port": 81, "url.path": "/p", "url.query": "?q" }),
            Some("http://[::1]:81/p?q"),
        ),
        (json!({ "server.address": "a", "http.target": "/t", "url.path": "/p", "url.query": "q" }), Some("http://a/t")),
        (json!({ "http.method": "GET", "http.target": "/" }), None),
        (json!({ "server.address": "a", "net.host.port": 1 }), None),
    ] {
        assert_eq!(url("server", attributes.clone()).as_deref(), expected, "{attributes}");
    }
}

#[test]
fn urls_of_clients() {
    for (attributes, expected) in [
        (json!({ "http.url": "https://a/b", "http.host": "c" }), Some("https://a/b")),
        (json!({ "http.host": "a", "net.peer.name": "b", "net.peer.port": 9 }), Some("http://a/")),
        (json!({ "http.method": "GET", "net.peer.name": "b", "net.peer.port": "9" }), Some("http://b:9/")),
        (json!({ "http.method": "GET", "net.peer.ip": "10.0.0.1" }), Some("http://10.0.0.1/")),
        (
            json!({ "http.method": "GET", "server.address": "s", "server.port": 8080, "url.scheme": "https", "url.path": "/p" }),
            Some("https://s:8080/p"),
        ),
        (
            json!({ "http.method": "GET", "network.peer.address": "fe80::1", "network.peer.port": 81 }),
            Some("http://[fe80::1]:81/"),
        ),
        (json!({ "http.method": "GET" }), None),
    ] {
        assert_eq!(url("client", attributes.clone()).as_deref(), expected, "{attributes}");
    }
}

#[test]
fn the_rest_of_http() {
    let old = of(
        "server",
        json!({ "http.method": "GET", "http.user_agent": "curl", "http.client_ip": "1.2.3.4", "http.status_code": 200 }),
    );
    let new = of(
        "server",
        json!({
            "http.request.method": "GET", "user_agent.original": "curl", "client.address": "1.2.3.4",
            "http.response.status_code": "200",
        }),
    );
    assert_eq!(
        old["http"],
        json!({
            "request": { "method": "GET", "user_agent": "curl", "client_ip": "1.2.3.4", "x_forwarded_for": true },
            "response": { "status": 200 },
        })
    );
    assert_eq!(old["http"], new["http"]);
    assert_eq!(old["metadata"], Value::Null);
    assert_eq!(new["metadata"], Value::Null);
    let ip = |kind: &str, mut attributes: Value| {
        attributes["http.method"] = json!("GET");
        let document = of(kind, attributes);
        let request = &document["http"]["request"];
        (request["client_ip"].as_str().unwrap_or("").to_owned(), !request["x_forwarded_for"].is_null())
    };
    assert_eq!(ip("server", json!({ "net.peer.ip": "9.9.9.9" })), ("9.9.9.9".into(), false));
    assert_eq!(
        ip("server", json!({ "net.peer.ip": "9.9.9.9", "http.client_ip": "1.1.1.1" })),
        ("1.1.1.1".into(), false)
    );
    assert_eq!(ip("server", json!({ "network.peer.address": "::1" })), ("::1".into(), false));
    assert_eq!(ip("server", json!({ "network.peer.address": "/tmp/socket" })), (String::new(), false));
    assert_eq!(ip("server", json!({ "client.address": "host" })), (String::new(), false));
    // Of a client, the peer is not who asked.
    assert_eq!(ip("client", json!({ "net.peer.ip": "9.9.9.9" })), (String::new(), false));
    // What is not in `http` is metadata.
    let document = of("server", json!({ "http.method": "GET", "client.address": "host", "net.peer.name": "x" }));
    assert_eq!(document["metadata"]["default"]["client.address"], "host");
    let document = of("server", json!({ "net.peer.name": "x", "server.address": "y" }));
    assert_eq!((&document["http"], &document["metadata"]["default"]["server.address"]), (&Value::Null, &json!("y")));

    let size = |attributes: Value, events: Value| {
        document_of_events(attributes, events)["http"]["response"]["content_length"].as_i64()
    };
    let received = json!([
        { "name": "message", "attributes": { "message.type": "SENT", "messaging.message_payload_size_bytes": 1 } },
        { "name": "message", "attributes": { "message.type": "RECEIVED", "messaging.message_payload_size_bytes": 7 } },
    ]);
    assert_eq!(size(json!({ "http.method": "GET" }), received.clone()), Some(7));
    assert_eq!(size(json!({ "http.method": "GET", "http.response.body.size": 9 }), received), Some(9));
    let own = json!({ "http.method": "GET", "message.type": "RECEIVED", "messaging.message.body.size": 8 });
    assert_eq!(size(own, json!([])), Some(8));
    assert_eq!(size(json!({ "http.method": "GET" }), json!([])), None);
}

fn document_of_events(attributes: Value, events: Value) -> Value {
    document(&none(), &span("server", attributes, json!({ "events": events })))
}

#[test]
fn what_failed() {
    let flags = |attributes: Value, status: Value| {
        let document = document(&none(), &span("server", attributes, json!({ "status": status })));
        ["error", "fault", "throttle"].map(|key| !document[key].is_null())
    };
    for (code, expected) in [
        (200, [false, false, false]),
        (404, [true, false, false]),
        (429, [true, false, true]),
        (500, [false, true, false]),
        (599, [false, true, false]),
        (600, [false, false, false]),
    ] {
        assert_eq!(flags(json!({ "http.status_code": code }), none()), expected, "{code}");
        assert_eq!(flags(json!({ "http.response.status_code": code }), none()), expected, "{code}");
    }
    let error = json!({ "code": "error" });
    assert_eq!(flags(none(), error.clone()), [false, true, false]);
    assert_eq!(flags(json!({ "http.status_code": 200 }), error.clone()), [false, true, false]);
    assert_eq!(flags(json!({ "http.status_code": 404 }), error), [true, false, false]);
    assert_eq!(flags(none(), json!({ "code": "ok" })), [false, false, false]);
}

#[test]
fn exceptions_are_causes() {
    let events = json!([
        { "time": 1, "name": "retry", "attributes": { "n": 1 } },
        {
            "time": 2, "name": "exception",
            "attributes": {
                "exception.type": "a.B", "exception.message": "bad",
                "exception.stacktrace": "a.B: bad\n\tat a.C.d(C.java:5)\nCaused by: e.F: worse\n\tat e.G.h(G.java)\n",
            },
        },
        { "time": 3, "name": "exception", "attributes": { "exception.message": "again" } },
    ]);
    let resource = json!({ "telemetry.sdk.language": "java" });
    let failed = json!({ "events": events, "status": { "code": "error", "message": "not told again" } });
    let document = document(&resource, &span("client", none(), failed));
    let list = document["cause"]["exceptions"].as_array().unwrap();
    let ids: Vec<&str> = list.iter().map(|exception| exception["id"].as_str().unwrap()).collect();
    assert_eq!(
        document["cause"],
        json!({ "exceptions": [
            {
                "id": ids[0], "type": "a.B", "message": "bad", "remote": true, "cause": ids[1],
                "stack": [{ "path": "C.java", "line": 5, "label": "a.C.d" }],
            },
            { "id": ids[1], "type": "e.F", "message": "worse", "remote": true, "stack": [{ "path": "G.java", "label": "e.G.h" }] },
            { "id": ids[2], "message": "again", "remote": true },
        ]})
    );
    assert_eq!(document["fault"], true);
    // Other events are metadata.
    assert_eq!(
        document["metadata"]["default"]["otel.events"],
        json!([{ "time": 1, "name": "retry", "attributes": { "n": 1 } }])
    );
    let server = super::document(&none(), &span("server", none(), json!({ "events": [{ "name": "exception" }] })));
    assert_eq!(server["cause"]["exceptions"][0].as_object().unwrap().len(), 1);
}

#[test]
fn a_status_is_a_cause_where_no_exception_is() {
    let cause = |attributes: Value, status: Value| {
        document(&none(), &span("server", attributes, json!({ "status": status })))["cause"]["exceptions"][0]["message"]
            .as_str()
            .map(str::to_owned)
    };
    let error = |message: &str| json!({ "code": "error", "message": message });
    assert_eq!(cause(none(), error("boom")).as_deref(), Some("boom"));
    assert_eq!(cause(json!({ "http.status_text": "Gone" }), error("")).as_deref(), Some("Gone"));
    assert_eq!(cause(none(), error("")), None);
    assert_eq!(cause(none(), json!({ "code": "ok", "message": "fine" })), None);
}

#[test]
fn tries_of_an_aws_call_that_failed() {
    let events = json!([{
        "time": 1_480_615_200_010_000_000_i64, "name": "HTTP request failure",
        "attributes": { "http.response.status_code": 503, "aws.http.error_message": "slow down" },
    }]);
    let call = document(&none(), &span("client", json!({ "rpc.system": "aws-api" }), json!({ "events": events })));
    let exception = &call["cause"]["exceptions"][0];
    assert_eq!(exception["type"], "aws.http.error.event");
    assert_eq!(exception["message"], "503@1480615200.010000@slow down");
    assert_eq!(exception["remote"], true);
    let other = document(&none(), &span("client", none(), json!({ "events": events })));
    assert_eq!(other["cause"], Value::Null);
    assert_eq!(other["metadata"]["default"]["otel.events"], events);
}

#[test]
fn origins() {
    let origin =
        |resource: Value| document(&resource, &span("server", none(), none()))["origin"].as_str().map(str::to_owned);
    for (platform, expected) in [
        ("aws_ec2", Some("AWS::EC2::Instance")),
        ("aws_ecs", Some("AWS::ECS::Container")),
        ("aws_eks", Some("AWS::EKS::Container")),
        ("aws_elastic_beanstalk", Some("AWS::ElasticBeanstalk::Environment")),
        ("aws_app_runner", Some("AWS::AppRunner::Service")),
        ("aws_lambda", None),
    ] {
        assert_eq!(origin(json!({ "cloud.platform": platform })).as_deref(), expected);
        assert_eq!(origin(json!({ "cloud.platform": platform, "cloud.provider": "gcp" })), None);
    }
    for (kind, expected) in [("ec2", "AWS::ECS::EC2"), ("fargate", "AWS::ECS::Fargate"), ("x", "AWS::ECS::Container")] {
        let resource = json!({ "cloud.provider": "aws", "cloud.platform": "aws_ecs", "aws.ecs.launchtype": kind });
        assert_eq!(origin(resource).as_deref(), Some(expected));
    }
}

#[test]
fn where_in_aws() {
    let aws = |resource: Value| document(&resource, &span("server", none(), none()))["aws"].clone();
    assert_eq!(
        aws(json!({
            "cloud.provider": "aws", "cloud.platform": "aws_ec2", "cloud.account.id": "1", "host.id": "i-7",
            "host.type": "m5", "host.image.id": "ami-1", "cloud.availability_zone": "eu-1a",
        })),
        json!({
            "ec2": { "instance_id": "i-7", "availability_zone": "eu-1a", "instance_size": "m5", "ami_id": "ami-1" },
            "account_id": "1",
        })
    );
    assert_eq!(aws(json!({ "host.id": "i-7" })), json!({ "ec2": { "instance_id": "i-7" } }));
    assert_eq!(aws(json!({ "host.id": "machine" })), Value::Null);
    assert_eq!(
        aws(json!({
            "cloud.platform": "aws_ecs", "container.name": "c", "container.id": "i", "aws.ecs.container.arn": "ca",
            "aws.ecs.cluster.arn": "cl", "aws.ecs.task.arn": "t", "aws.ecs.task.family": "f",
            "aws.ecs.launchtype": "fargate", "cloud.availability_zone": "z",
        })),
        json!({ "ecs": {
            "container": "c", "container_id": "i", "container_arn": "ca", "cluster_arn": "cl", "task_arn": "t",
            "task_family": "f", "launch_type": "fargate", "availability_zone": "z",
        }})
    );
    assert_eq!(
        aws(json!({
            "cloud.platform": "aws_elastic_beanstalk", "service.namespace": "e", "service.instance.id": "23",
            "service.version": "v",
        })),
        json!({ "elastic_beanstalk": { "environment_name": "e", "deployment_id": 23, "version_label": "v" } })
    );
    assert_eq!(
        aws(json!({ "k8s.cluster.name": "c", "k8s.pod.name": "p", "container.id": "i" })),
        json!({ "eks": { "cluster_name": "c", "pod": "p", "container_id": "i" } })
    );
    assert_eq!(
        aws(json!({
            "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "java", "telemetry.sdk.version": "1",
            "telemetry.auto.version": "2",
        })),
        json!({ "xray": { "sdk": "opentelemetry for java", "sdk_version": "1", "auto_instrumentation": true } })
    );
    let named = json!({ "telemetry.sdk.name": "X-Ray for Java", "telemetry.sdk.language": "java" });
    assert_eq!(aws(named), json!({ "xray": { "sdk": "X-Ray for Java" } }));
    assert_eq!(aws(json!({ "cloud.provider": "gcp", "host.id": "i-7", "telemetry.sdk.name": "x" })), Value::Null);
    // Elsewhere than in AWS, what would be in `aws` is metadata.
    let abroad = span("client", json!({ "aws.region": "r", "rpc.method": "m" }), json!({ "parent_span_id": PARENT }));
    let document = document(&json!({ "cloud.provider": "gcp" }), &abroad);
    assert_eq!(document["metadata"]["default"], json!({ "aws.region": "r", "rpc.method": "m" }));
}

#[test]
fn log_groups() {
    let groups = |settings: &str, resource: Value| {
        documents(settings, &resource, &span("server", none(), none()))[0]["aws"]["cloudwatch_logs"].clone()
    };
    let setting = "log_groups = ['/app/one', '/app/two']";
    assert_eq!(groups("", none()), Value::Null);
    assert_eq!(groups(setting, none()), json!([{ "log_group": "/app/one" }, { "log_group": "/app/two" }]));
    assert_eq!(groups(setting, json!({ "aws.log.group.names": "/a" })), json!([{ "log_group": "/a" }]));
    let arn = "arn:aws:logs:eu-central-1:1:log-group:/a:*";
    let both = json!({ "aws.log.group.arns": [arn], "aws.log.group.names": ["/b"] });
    assert_eq!(groups(setting, both), json!([{ "log_group": "/a", "arn": arn }]));
}

#[test]
fn services_and_users() {
    let document =
        document(&json!({ "service.version": "1.2" }), &span("server", json!({ "enduser.id": "ada" }), none()));
    assert_eq!((&document["service"], &document["user"]), (&json!({ "version": "1.2" }), &json!("ada")));
    assert_eq!(document["metadata"], json!({ "default": { "otel.resource.service.version": "1.2" } }));
    let image = super::document(&json!({ "container.image.tag": "t" }), &span("server", none(), none()));
    assert_eq!(image["service"]["version"], "t");
}

#[test]
fn databases() {
    let old = within(
        "client",
        json!({
            "db.system": "postgresql", "db.connection_string": "pg://db:1", "db.name": "orders",
            "db.statement": "SELECT 1", "db.user": "ada", "db.other": 1,
        }),
    );
    assert_eq!(
        old["sql"],
        json!({
            "url": "GET /items", "connection_string": "pg://db:1/orders", "database_type": "postgresql", "user": "ada",
            "sanitized_query": "SELECT 1",
        })
    );
    assert_eq!(old["metadata"]["default"], json!({ "otel.span.name": "GET /items", "db.other": 1 }));
    let new = within(
        "client",
        json!({ "db.system.name": "microsoft.sql_server", "db.namespace": "o", "db.query.text": "q" }),
    );
    assert_eq!(
        new["sql"],
        json!({ "url": "GET /items", "connection_string": "localhost/o", "database_type": "microsoft.sql_server", "sanitized_query": "q" })
    );
    let other = within("client", json!({ "db.system": "redis", "db.statement": "GET x" }));
    assert_eq!(other["sql"], Value::Null);
    assert_eq!(other["metadata"]["default"], json!({ "db.system": "redis", "db.statement": "GET x" }));
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
