//! What stands in a document's blocks: `http`, `cause`, `aws`, `service`, `sql`.

use serde_json::{Value, json};

use super::{PARENT, document, documents, none, of, span, within};

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
