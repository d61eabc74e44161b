//! Documents as spans, member by member.

use serde_json::{Value, json};

use super::*;

/// As AWS's developer guide has one, with what SDKs add.
const SHOP: &str = r#"{
  "id": "6B55DCC497934F1A", "start_time": 1484789387.126, "end_time": 1.484789387535E9,
  "trace_id": "1-5880168b-fd5158284b67678a3bb5a78c", "name": "www.example.com", "origin": "AWS::ECS::Fargate",
  "parent_id": "00000000000000aa",
  "aws": {
    "account_id": "123456789012",
    "ecs": { "container": "shop-1", "container_id": "c1", "task_arn": "arn:t", "cpu": 5 },
    "cloudwatch_logs": [ { "log_group": "/shop", "arn": "arn:g" }, { "log_group": "/two" } ],
    "xray": { "sdk": "X-Ray for Python", "sdk_version": "2.14.0", "sampling_rule_name": "moves" }
  },
  "service": { "version": "1.2", "runtime": "CPython", "runtime_version": "3.12", "compiler": "none" },
  "http": {
    "request": { "method": "POST", "client_ip": "78.255.233.48", "url": "http://www.example.com/api/user",
      "user_agent": "Mozilla/5.0 \u00e9", "x_forwarded_for": true },
    "response": { "status": 200, "content_length": 86 }
  },
  "user": "u-1",
  "annotations": { "zone": 4, "ratio": 0.5, "paid": true, "tier": "gold" },
  "metadata": { "default": { "a": [1, {"b": 1e30}] }, "debug": "x" },
  "precursor_ids": [ "00000000000000bb" ],
  "subsegments": [
    { "id": "59a6a7d4b4a1e0f5", "start_time": 1484789387.2, "end_time": 1484789387.3, "name": "DynamoDB", "namespace": "aws",
      "aws": { "operation": "UpdateItem", "request_id": "3AI", "table_name": "users", "region": "eu-west-1",
               "retries": 2, "attributes_to_get": ["a"] },
      "http": { "response": { "status": 400, "content_length": "60" } }, "error": true,
      "subsegments": [
        { "id": "59a6a7d4b4a1e0f6", "start_time": 1484789387.21, "in_progress": true, "name": "inner",
          "trace_id": "1-00000000-000000000000000000000001", "parent_id": "0000000000000001" } ] },
    { "id": "59a6a7d4b4a1e0f7", "start_time": 1484789387.2, "end_time": 1484789387.3, "name": "users@db", "namespace": "remote",
      "sql": { "url": "jdbc:postgresql://db.example.com:5432/users", "preparation": "statement", "database_type": "PostgreSQL",
               "database_version": "9.5", "user": "dbuser", "sanitized_query": "SELECT ?" } }
  ]
}"#;

#[test]
fn a_whole_document() {
    let records = records(SHOP, Format::Spans);
    let resource = json!({
        "service.name": "www.example.com", "service.version": "1.2", "process.runtime.name": "CPython",
        "process.runtime.version": "3.12", "aws.xray.service.compiler": "none",
        "cloud.provider": "aws", "cloud.platform": "aws_ecs", "aws.ecs.launchtype": "fargate",
        "cloud.account.id": "123456789012", "container.name": "shop-1", "container.id": "c1", "aws.ecs.task.arn": "arn:t",
        "aws.xray.ecs.cpu": 5, "aws.log.group.names": ["/shop", "/two"], "aws.log.group.arns": ["arn:g"],
        "telemetry.sdk.name": "X-Ray", "telemetry.sdk.language": "python", "telemetry.sdk.version": "2.14.0",
    });
    let trace = "5880168bfd5158284b67678a3bb5a78c";
    let bodies = [
        json!({
            "name": "www.example.com", "start": 1_484_789_387_126_000_000_i64, "end": 1_484_789_387_535_000_000_i64,
            "kind": "server", "parent_span_id": "00000000000000aa",
            "attributes": {
                "http.request.method": "POST", "client.address": "78.255.233.48",
                "url.full": "http://www.example.com/api/user", "user_agent.original": "Mozilla/5.0 é",
                "http.response.status_code": 200, "http.response.body.size": 86,
                "aws.xray.sampling_rule_name": "moves", "enduser.id": "u-1",
                "aws.xray.precursor_ids": ["00000000000000bb"],
                "zone": 4, "ratio": 0.5, "paid": true, "tier": "gold",
                "aws.xray.annotations": ["zone", "ratio", "paid", "tier"],
                "aws.xray.metadata.default": r#"{"a":[1,{"b": 1e30}]}"#, "aws.xray.metadata.debug": r#""x""#,
            },
        }),
        json!({
            "name": "DynamoDB", "start": 1_484_789_387_200_000_000_i64, "end": 1_484_789_387_300_000_000_i64,
            "kind": "client", "parent_span_id": "6b55dcc497934f1a", "status": { "code": "error" },
            "attributes": {
                "rpc.system": "aws-api", "rpc.service": "DynamoDB", "http.response.status_code": 400,
                "http.response.body.size": 60, "rpc.method": "UpdateItem", "aws.request_id": "3AI",
                "aws.table_name": "users", "aws.region": "eu-west-1", "aws.xray.retries": 2,
                "aws.attributes_to_get": r#"["a"]"#,
            },
        }),
        json!({
            "name": "inner", "start": 1_484_789_387_210_000_000_i64, "kind": "internal",
            "parent_span_id": "59a6a7d4b4a1e0f5", "attributes": { "aws.xray.inprogress": true },
        }),
        json!({
            "name": "users@db", "start": 1_484_789_387_200_000_000_i64, "end": 1_484_789_387_300_000_000_i64,
            "kind": "client", "parent_span_id": "6b55dcc497934f1a",
            "attributes": {
                "peer.service": "users@db", "db.connection_string": "jdbc:postgresql://db.example.com:5432",
                "db.name": "users", "aws.xray.sql.preparation": "statement", "db.system": "postgresql",
                "aws.xray.sql.database_version": "9.5", "db.user": "dbuser", "db.statement": "SELECT ?",
            },
        }),
    ];
    let ids = ["6b55dcc497934f1a", "59a6a7d4b4a1e0f5", "59a6a7d4b4a1e0f6", "59a6a7d4b4a1e0f7"];
    assert_eq!(records.len(), 4);
    for ((record, body), id) in records.iter().zip(bodies).zip(ids) {
        assert_eq!(record.body, body);
        assert_eq!(record.header, json!({ "trace_id": trace, "span_id": id }));
        assert_eq!(record.resource, resource);
        let time = body.get("end").or(body.get("start")).and_then(Value::as_i64);
        assert_eq!((Some(record.time), record.own_time), (time, true));
    }
    // Each has a place of its own, all within the datagram.
    let places: Vec<_> = records.iter().map(|record| record.place.clone()).collect();
    assert_eq!(places, [0..1, 1..2, 2..3, 3..4]);
}

#[test]
fn a_segment_has_the_kind_of_what_it_did() {
    let kind = |members: &str| span(members).body["kind"].as_str().unwrap().to_owned();
    assert_eq!(kind(""), "internal");
    assert_eq!(kind(r#","http":{"request":{"method":"GET"}}"#), "server");
    assert_eq!(kind(r#","http":{"response":{"status":200}}"#), "internal");
    assert_eq!(kind(r#","parent_id":"00000000000000aa""#), "server");
    let sub = r#","type":"subsegment","parent_id":"00000000000000aa""#;
    assert_eq!(kind(sub), "internal");
    for namespace in ["remote", "aws"] {
        assert_eq!(kind(&format!(r#"{sub},"namespace":"{namespace}""#)), "client");
    }
}

#[test]
fn a_subsegment_that_comes_alone_knows_no_service() {
    let alone = r#","type":"subsegment","parent_id":"00000000000000aa","origin":"x","namespace":"odd","aws":{"account_id":"1"}"#;
    let record = span(alone);
    assert_eq!((record.resource, &record.body["parent_span_id"]), (json!({}), &json!("00000000000000aa")));
    assert_eq!(
        record.body["attributes"],
        json!({ "aws.xray.namespace": "odd", "aws.account_id": "1", "aws.xray.origin": "x" })
    );
}

#[test]
fn where_a_service_runs() {
    let resource = |members: &str| {
        let mut resource = span(members).resource;
        assert_eq!(resource.as_object_mut().unwrap().remove("service.name"), Some(json!("shop")));
        resource
    };
    for (origin, platform) in [
        ("AWS::EC2::Instance", json!({ "cloud.platform": "aws_ec2" })),
        ("AWS::ECS::Container", json!({ "cloud.platform": "aws_ecs" })),
        ("AWS::ECS::EC2", json!({ "cloud.platform": "aws_ecs", "aws.ecs.launchtype": "ec2" })),
        ("AWS::EKS::Container", json!({ "cloud.platform": "aws_eks" })),
        ("AWS::ElasticBeanstalk::Environment", json!({ "cloud.platform": "aws_elastic_beanstalk" })),
        ("AWS::AppRunner::Service", json!({ "cloud.platform": "aws_app_runner" })),
        ("AWS::Lambda::Function", json!({ "cloud.platform": "aws_lambda" })),
        ("AWS::New::Thing", json!({ "aws.xray.origin": "AWS::New::Thing" })),
    ] {
        let mut expected = platform;
        expected["cloud.provider"] = json!("aws");
        assert_eq!(resource(&format!(r#","origin":"{origin}""#)), expected, "{origin}");
    }
    assert_eq!(resource(r#","origin":"elsewhere""#), json!({ "aws.xray.origin": "elsewhere" }));
    let aws = r#","aws":{"ec2":{"availability_zone":"eu-west-1a","instance_id":"i-1","instance_size":"m5","ami_id":"ami-1"},"request_id":"r",
        "eks":{"cluster_name":"c","pod":"p","container_id":"x"},
        "elastic_beanstalk":{"environment_name":"e","version_label":"v","deployment_id":32},
        "xray":{"sdk":"opentelemetry for java","auto_instrumentation":false}}"#;
    assert_eq!(
        resource(aws),
        json!({
            "cloud.provider": "aws", "cloud.availability_zone": "eu-west-1a", "host.id": "i-1", "host.type": "m5",
            "host.image.id": "ami-1", "k8s.cluster.name": "c", "k8s.pod.name": "p", "container.id": "x",
            "service.namespace": "e", "service.version": "v", "service.instance.id": "32",
            "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "java", "aws.xray.auto_instrumentation": false,
        })
    );
    assert_eq!(attributes(aws), json!({ "aws.request_id": "r" }));
    assert_eq!(resource(r#","aws":{"xray":{"sdk":"Mine for Fun"}}"#), json!({ "telemetry.sdk.name": "Mine for Fun" }));
}

#[test]
fn what_went_wrong() {
    let failed = |members: &str| {
        let body = span(members).body;
        (body["status"]["code"].clone(), body["attributes"].clone())
    };
    let error = json!("error");
    assert_eq!(failed(""), (Value::Null, Value::Null));
    assert_eq!(failed(r#","fault":false,"error":null"#), (Value::Null, Value::Null));
    // A fault is what an error is taken for, unless HTTP's status says something else.
    assert_eq!(failed(r#","fault":true"#), (error.clone(), Value::Null));
    assert_eq!(failed(r#","error":true"#), (error.clone(), json!({ "aws.xray.error": true })));
    let http = |status: u16| format!(r#","http":{{"response":{{"status":{status}}}}}"#);
    let status = |status: u16| json!({ "http.response.status_code": status });
    assert_eq!(failed(&format!(r#"{},"error":true"#, http(404))), (error.clone(), status(404)));
    assert_eq!(failed(&format!(r#"{},"error":true,"throttle":true"#, http(429))), (error.clone(), status(429)));
    assert_eq!(failed(&format!(r#"{},"fault":true"#, http(503))), (error.clone(), status(503)));
    let odd = json!({ "http.response.status_code": 404, "aws.xray.fault": true });
    assert_eq!(failed(&format!(r#"{},"fault":true"#, http(404))), (error.clone(), odd));
    let fine = json!({ "http.response.status_code": 404, "aws.xray.error": false });
    assert_eq!(failed(&http(404)), (Value::Null, fine));
    let no_fault = json!({ "aws.xray.cause": "00000000000000cc", "aws.xray.fault": false });
    assert_eq!(failed(r#","cause":"00000000000000cc""#), (error, no_fault));
}

const CAUSE: &str = r#","cause":{"working_directory":"/srv","paths":["a","b"],"exceptions":[
    {"id":"00000000000000dd","type":"ValueError","message":"bad\nworse","remote":true,"truncated":1,"skipped":2,"cause":"00000000000000ee",
     "stack":[{"path":"/srv/a.x","line":7,"label":"inner"},{"path":"/srv/b.x","line":9,"label":"outer"}]},
    {"message":"second"}]}"#;

#[test]
fn exceptions_are_events() {
    let record = span(CAUSE);
    assert_eq!(record.body["status"], json!({ "code": "error", "message": "bad\nworse" }));
    assert_eq!(
        record.body["attributes"],
        json!({ "aws.xray.cause.working_directory": "/srv", "aws.xray.cause.paths": ["a", "b"], "aws.xray.fault": false })
    );
    let end = 1_478_293_362_000_000_000_i64;
    assert_eq!(
        record.body["events"],
        json!([
            { "time": end, "name": "exception", "attributes": {
                "aws.xray.exception.id": "00000000000000dd", "aws.xray.exception.remote": true,
                "aws.xray.exception.truncated": 1, "aws.xray.exception.skipped": 2,
                "aws.xray.exception.cause": "00000000000000ee",
                "exception.type": "ValueError", "exception.message": "bad\nworse",
                "exception.stacktrace": "ValueError: bad\nworse\n\tat inner(/srv/a.x:7)\n\tat outer(/srv/b.x:9)",
            } },
            { "time": end, "name": "exception", "attributes": { "exception.message": "second" } },
        ])
    );
}

#[test]
fn a_stack_reads_as_its_language_prints_it() {
    for (sdk, language, stack) in [
        ("X-Ray for Java", "java", "ValueError: bad\nworse\n\tat inner(/srv/a.x:7)\n\tat outer(/srv/b.x:9)"),
        (
            "X-Ray for Python",
            "python",
            "Traceback (most recent call last):\n  File \"/srv/b.x\", line 9, in outer\n  File \"/srv/a.x\", line 7, in inner\nValueError: bad\nworse",
        ),
        (
            "X-Ray for Node.js",
            "nodejs",
            "ValueError: bad\nworse\n    at inner (/srv/a.x:7:0)\n    at outer (/srv/b.x:9:0)",
        ),
        (
            "X-Ray for .NET Core",
            "dotnet",
            "ValueError: bad\nworse\n   at inner in /srv/a.x:line 7\n   at outer in /srv/b.x:line 9",
        ),
        ("X-Ray for Go", "go", "ValueError: bad\nworse\ninner\n\t/srv/a.x:7\nouter\n\t/srv/b.x:9"),
        (
            "X-Ray for Ruby",
            "ruby",
            "ValueError: bad\nworse\n\tfrom /srv/a.x:7:in `inner'\n\tfrom /srv/b.x:9:in `outer'",
        ),
    ] {
        let record = span(&format!(r#"{CAUSE},"aws":{{"xray":{{"sdk":"{sdk}"}}}}"#));
        assert_eq!(record.resource["telemetry.sdk.language"], language);
        assert_eq!(record.body["events"][0]["attributes"]["exception.stacktrace"], stack, "{sdk}");
    }
}

#[test]
fn http_and_who_asked() {
    assert_eq!(
        attributes(
            r#","http":{"request":{"client_ip":"10.0.0.1","traced":true,"host":"h"},"response":{"status":"200","x":1},"y":2}"#
        ),
        json!({
            "client.address": "10.0.0.1", "network.peer.address": "10.0.0.1", "aws.xray.traced": true,
            "aws.xray.http.request.host": "h", "http.response.status_code": 200, "aws.xray.http.response.x": 1,
            "aws.xray.http.y": 2,
        })
    );
    let odd = json!({ "http.response.status_code": 200.5, "http.response.body.size": "[1]" });
    assert_eq!(attributes(r#","http":{"response":{"status":200.5,"content_length":[1]}}"#), odd);
    assert_eq!(attributes(r#","http":{"request":"GET"}"#), json!({ "aws.xray.http.request": "GET" }));
}

#[test]
fn connections_and_databases() {
    let sql = |members: &str| attributes(&format!(r#","sql":{{{members}}}"#));
    for (connection, server, name) in [
        ("jdbc:mysql://h:3306/db", "jdbc:mysql://h:3306", Some("db")),
        ("localhost/db", "localhost", Some("db")),
        ("postgresql://h", "postgresql://h", None),
        ("h/", "h/", None),
        ("/db", "/db", None),
        ("Server=h;Database=x", "Server=h;Database=x", None),
    ] {
        let mut expected = json!({ "db.connection_string": server });
        if let Some(name) = name {
            expected["db.name"] = json!(name);
        }
        assert_eq!(sql(&format!(r#""url":"{connection}""#)), expected);
    }
    // As a span that was made a segment has it: `url` is the span's name.
    let made = r#""url":"shop","connection_string":"localhost/db","database_type":"Microsoft SQL Server""#;
    assert_eq!(sql(made), json!({ "db.connection_string": "localhost", "db.name": "db", "db.system": "mssql" }));
    let both = sql(r#""url":"x://y/z","connection_string":"a/b""#);
    assert_eq!(both, json!({ "aws.xray.sql.url": "x://y/z", "db.connection_string": "a", "db.name": "b" }));
}

#[test]
fn links_and_what_has_no_place() {
    let record = span(
        r#","links":[{"trace_id":"1-581cf771-a006649127e371903a2de970","id":"00000000000000ff","attributes":{"a":1}},
            {"trace_id":"?","id":"00000000000000ff"},
            {"trace_id":"581cf771a006649127e371903a2de971","id":"00000000000000fe"}],
           "resource_arn":"arn:x","new":{"a":[1, 2]},"big":1e999,"none":null"#,
    );
    assert_eq!(
        record.body["links"],
        json!([
            { "trace_id": "581cf771a006649127e371903a2de970", "span_id": "00000000000000ff", "attributes": { "a": 1 } },
            { "trace_id": "581cf771a006649127e371903a2de971", "span_id": "00000000000000fe" },
        ])
    );
    assert_eq!(
        record.body["attributes"],
        json!({ "aws.xray.resource_arn": "arn:x", "aws.xray.new": r#"{"a":[1,2]}"#, "aws.xray.big": "1e999" })
    );
    // Of what comes twice the last counts; what is of another type than it should be is kept.
    assert_eq!(span(r#","name":"again""#).body["name"], "again");
    assert_eq!(
        attributes(r#","annotations":[1],"metadata":"m","user":7,"precursor_ids":"p""#),
        json!({
            "aws.xray.annotations": "[1]", "aws.xray.metadata": "m", "enduser.id": 7, "aws.xray.precursor_ids": "p",
        })
    );
}

#[test]
fn segments_of_one_service_share_a_scope() {
    let segment = |name: &str, more: &str| {
        format!(
            r#"{HEADER}{{"id":"53995c3f42cd8ad8","trace_id":"1-581cf771-a006649127e371903a2de979","name":"{name}","start_time":1,"end_time":2{more}}}"#
        )
    };
    let all = [
        segment("a", r#","aws":{"request_id":"1"}"#),
        segment("a", r#","aws":{"request_id":"2"}"#),
        segment("b", ""),
        segment("a", r#","origin":"x""#),
        segment("a", r#","service":"x""#),
    ];
    let all: Vec<&[u8]> = all.iter().map(String::as_bytes).collect();
    let batches = batches(&all, Format::Spans).unwrap();
    let scopes: Vec<u16> = batches[0].rows.iter().map(|row| row.scope).collect();
    assert_eq!(scopes, [0, 0, 1, 2, 3]);
}
