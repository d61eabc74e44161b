//! Whatever a span is, its documents are such that X-Ray takes them.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{ID, PARENT, batch, documents, rules, span, validator, written};

fn sizes(documents: &[Value]) -> Vec<usize> {
    documents.iter().map(|document| document.to_string().len()).collect()
}

fn exception(stack: &str) -> Value {
    json!({ "name": "exception", "attributes": { "exception.message": "m", "exception.stacktrace": stack } })
}

fn java(frames: usize) -> String {
    let frames: String = (0..frames).map(|n| format!("\tat shop.checkout.Cart.add{n}(Cart.java:{n})\n")).collect();
    format!("x\n{frames}")
}

#[test]
fn metadata_goes_first() {
    let attributes = json!({ "small": 1, "large": "x".repeat(100_000), "http.method": "GET", "last": "y" });
    let all = documents("", &json!({ "r": 1 }), &span("server", attributes, json!({ "events": [exception("")] })));
    assert_eq!(all.len(), 1);
    assert_eq!(
        all[0]["metadata"]["default"],
        json!({ "suiro.trimmed": 1, "small": 1, "last": "y", "otel.resource.r": 1 })
    );
    assert_eq!(all[0]["cause"]["exceptions"][0]["message"], "m");
    // Of many, as many as fit.
    let many: Map<String, Value> = (0..2000).map(|n| (format!("key{n}"), json!("x".repeat(100)))).collect();
    let all = documents("", &json!({}), &span("server", many.into(), json!({})));
    let default = all[0]["metadata"]["default"].as_object().unwrap();
    assert_eq!(default["suiro.trimmed"], 2000 - (default.len() as u64 - 1));
    assert!(sizes(&all)[0] > 63_500, "{:?}", sizes(&all));
    // A whole namespace that is too large, and nothing else.
    let space = json!({ "aws.xray.metadata.big": json!({ "x": "y".repeat(70_000) }).to_string() });
    let all = documents("", &json!({}), &span("server", space, json!({})));
    assert_eq!(all[0]["metadata"], json!({ "default": { "suiro.trimmed": 1 } }));
}

#[test]
fn a_large_resource_is_cut_by_its_attributes() {
    let mut resource: Map<String, Value> = (0..100).map(|n| (format!("r{n}"), json!("x".repeat(1000)))).collect();
    resource.insert("small".to_owned(), json!(1));
    let all = documents("", &resource.into(), &span("server", json!({ "own": 1 }), json!({})));
    let default = all[0]["metadata"]["default"].as_object().unwrap();
    assert_eq!((&default["own"], &default["otel.resource.small"]), (&json!(1), &json!(1)));
    assert!(default["suiro.trimmed"].as_u64().unwrap() > 30);
}

#[test]
fn stacks_go_next() {
    let resource = json!({ "telemetry.sdk.language": "java" });
    let events = json!({ "events": [exception(&java(1000)), exception(&java(3)), exception(&java(2000))] });
    let all = documents("", &resource, &span("server", json!({ "a": 1 }), events));
    assert_eq!(all.len(), 1);
    let list = all[0]["cause"]["exceptions"].as_array().unwrap();
    let kept = |n: usize| list[n]["stack"].as_array().unwrap().len() as u64;
    // Each has its share, and what one does not need is the others'.
    assert_eq!((kept(1), &list[1]["truncated"]), (3, &Value::Null));
    assert_eq!(list[0]["truncated"].as_u64().unwrap() + kept(0), 1000);
    assert_eq!(list[2]["truncated"].as_u64().unwrap() + kept(2), 2000);
    assert!(kept(0) > 200 && kept(2) > kept(0), "{} {}", kept(0), kept(2));
    assert_eq!(list[0]["stack"][0]["label"], "shop.checkout.Cart.add0");
    assert!(sizes(&all)[0] > 63_500, "{:?}", sizes(&all));
    assert!(all[0]["metadata"]["default"]["suiro.trimmed"].as_u64() >= Some(1), "{}", all[0]["metadata"]);
}

#[test]
fn attributes_of_links_go_with_metadata() {
    let link = json!({ "trace_id": super::TRACE, "span_id": PARENT, "attributes": { "a": "x".repeat(70_000) } });
    let all = documents("", &json!({}), &span("server", json!({}), json!({ "links": [link] })));
    assert_eq!(all[0]["links"], json!([{ "trace_id": super::XRAY_TRACE, "id": PARENT }]));
}

#[test]
fn what_is_still_too_long_is_split() {
    let events: Vec<Value> = (0..150)
        .map(|n| {
            let message = format!("{n} {}", "x".repeat(2000));
            json!({ "name": "exception", "attributes": { "exception.message": message, "exception.type": "a.B" } })
        })
        .collect();
    let mut attributes: Map<String, Value> =
        (0..50).map(|n| (format!("key{n}"), json!(format!("{n}{}", "\u{1}".repeat(990))))).collect();
    attributes.insert("http.url".to_owned(), json!("http://a/".to_owned() + &"b".repeat(100_000)));
    let all = documents(
        "annotations = 'all'",
        &json!({}),
        &span("client", attributes.into(), json!({ "events": events, "parent_span_id": PARENT })),
    );
    assert!((5..=12).contains(&all.len()), "{}", all.len());
    let (main, rest) = all.split_first().unwrap();
    assert_eq!((&main["id"], &main["parent_id"]), (&json!(ID), &json!(PARENT)));
    let url = main["http"]["request"]["url"].as_str().unwrap();
    assert!(url.len() < 520 && url.ends_with("bb…"), "{url}");
    let mut ids = vec![ID.to_owned()];
    for part in rest {
        assert_eq!((&part["type"], &part["parent_id"]), (&json!("subsegment"), &json!(ID)));
        for key in ["name", "trace_id", "start_time", "end_time"] {
            assert_eq!(part[key], main[key]);
        }
        ids.push(part["id"].as_str().unwrap().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all.len());
    // Everything is somewhere, once.
    let annotations: Vec<&String> =
        all.iter().filter_map(|document| document["annotations"].as_object()).flat_map(Map::keys).collect();
    assert_eq!(annotations.len(), 50);
    let exceptions: Vec<&Value> =
        all.iter().filter_map(|document| document["cause"]["exceptions"].as_array()).flatten().collect();
    assert_eq!(exceptions.len(), 150);
    assert!(
        exceptions
            .iter()
            .enumerate()
            .all(|(n, one)| { one["message"].as_str().unwrap().starts_with(&format!("{n} x")) })
    );
}

#[test]
fn of_endless_exceptions_the_last_counts_the_others() {
    let events: Vec<Value> = (0..5000).map(|_| exception("")).collect();
    let all = documents("", &json!({}), &span("server", json!({}), json!({ "events": events })));
    let list = all[0]["cause"]["exceptions"].as_array().unwrap();
    assert_eq!((list.len(), list.last().unwrap()["skipped"].as_u64()), (200, Some(4800)));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~]{0,20}",
        2 => "\\PC{0,20}",
        1 => Just("\u{0}\"\\\u{7f}\n\u{1F600}é".to_owned()),
        1 => (1..4000_usize).prop_map(|n| "\u{1}é\"x".repeat(n)),
        1 => (1..60_000_usize).prop_map(|n| "y".repeat(n)),
        1 => (1..1200_usize).prop_map(java),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => text().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => prop_oneof![Just(200), Just(404), Just(429), Just(503), Just(80)].prop_map(Value::from),
        1 => any::<f64>().prop_map(|n| serde_json::Number::from_f64(n).map_or(Value::Null, Value::Number)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => scalar(),
        1 => prop::collection::vec(text().prop_map(Value::from), 0..5).prop_map(Value::from),
        1 => prop::collection::btree_map("[a-z.]{0,5}", scalar(), 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect())),
    ]
}

/// Names that mean something, and others.
fn key() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "http.method",
        "http.request.method",
        "http.client_ip",
        "client.address",
        "http.user_agent",
        "http.status_code",
        "http.response.status_code",
        "http.url",
        "url.full",
        "http.scheme",
        "http.host",
        "http.target",
        "url.path",
        "url.query",
        "host.name",
        "net.peer.name",
        "net.peer.port",
        "net.peer.ip",
        "server.address",
        "server.port",
        "aws.operation",
        "aws.region",
        "aws.table_name",
        "aws.dynamodb.table_names",
        "messaging.url",
        "db.system",
        "db.name",
        "db.statement",
        "db.connection_string",
        "enduser.id",
        "aws.xray.annotations",
        "aws.xray.metadata.a",
        "aws.xray.metadata.default",
        "peer.service",
        "aws.service",
        "rpc.system",
        "rpc.service",
        "aws.local.service",
        "aws.remote.service",
        "aws.span.kind",
        "http.status_text",
        "cloud.provider",
        "cloud.platform",
        "service.name",
        "service.version",
        "host.id",
        "telemetry.sdk.name",
        "telemetry.sdk.language",
        "aws.log.group.names",
        "k8s.cluster.name",
        "aws.ecs.launchtype",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 2 => "[a-zA-Z0-9._-]{0,8}", 1 => text()]
}

fn map(size: std::ops::Range<usize>) -> impl Strategy<Value = Map<String, Value>> {
    let special = prop_oneof![
        Just(("aws.span.kind", json!("LOCAL_ROOT"))),
        Just(("rpc.system", json!("aws-api"))),
        Just(("db.system", json!("mysql"))),
        Just(("telemetry.sdk.language", json!("java"))),
        Just(("cloud.platform", json!("aws_ecs"))),
        Just(("aws.xray.metadata.b", json!("{\"x\":[{\"y\":null}]}"))),
        Just(("aws.xray.annotations", json!(["a", "b.c", "http.method"]))),
    ];
    (prop::collection::vec((key(), value()), size), prop::collection::vec(special, 0..3)).prop_map(|(all, special)| {
        all.into_iter().chain(special.into_iter().map(|(key, value)| (key.to_owned(), value))).collect()
    })
}

fn any_span() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec!["server", "client", "internal", "producer", "consumer", "x"]);
    let id = prop_oneof![Just(json!(PARENT)), Just(json!("")), Just(Value::Null)];
    let name = prop_oneof![Just("exception".to_owned()), Just("HTTP request failure".to_owned()), text()];
    let event = (name, map(0..3), text(), text(), prop_oneof![text(), (0..3000_usize).prop_map(java)]).prop_map(
        |(name, mut attributes, kind, message, stack)| {
            attributes.insert("exception.type".to_owned(), kind.into());
            attributes.insert("exception.message".to_owned(), message.into());
            attributes.insert("exception.stacktrace".to_owned(), stack.into());
            json!({ "time": 1, "name": name, "attributes": attributes })
        },
    );
    let link = (map(0..2), prop_oneof![Just(ID), Just("x")])
        .prop_map(|(attributes, id)| json!({ "trace_id": super::TRACE, "span_id": id, "attributes": attributes }));
    let lists = (prop::collection::vec(event, 0..5), prop::collection::vec(link, 0..4));
    let times = (any::<i64>(), any::<i64>());
    let status = (prop::sample::select(vec!["error", "ok", ""]), text());
    (kind, id, text(), times, map(0..60), lists, status).prop_map(
        |(kind, parent, name, (start, end), attributes, (events, links), (code, message))| {
            json!({
                "name": name, "kind": kind, "parent_span_id": parent, "start": start, "end": end,
                "attributes": attributes, "events": events, "links": links,
                "status": { "code": code, "message": message },
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Any span gives documents that X-Ray takes, the same each time, with ids of their own.
    #[test]
    fn any_span_is_taken(
        span in any_span(),
        resource in map(0..20),
        settings in prop::sample::select(vec!["", "annotations = 'all'", "annotations = ['a', 'http.url', 'otel.resource.a']\nlog_groups = ['g']"]),
    ) {
        let rules = rules(settings);
        let batch = batch(&resource.into(), &span);
        let texts = written(&batch, &rules).unwrap();
        let mut ids = Vec::new();
        for text in &texts {
            if let Err(why) = validator::check(text) {
                prop_assert!(false, "{}: {}", why, text.chars().take(2000).collect::<String>());
            }
            let document: Value = serde_json::from_str(text).unwrap();
            ids.push(document["id"].as_str().unwrap().to_owned());
        }
        prop_assert!(texts.len() <= 50);
        prop_assert_eq!(&texts, &written(&batch, &rules).unwrap());
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), texts.len());
    }
}
