//! Documents that the input made spans of, as documents again: what X-Ray shows of them is what it was.

use std::collections::BTreeMap;

use proptest::prelude::*;
use suiro_sdk::datagrams::Decode as _;
use suiro_sdk::spans::Spans;

use super::*;
use crate::xray::input::{Decoder, Format};

/// What documents become, by their ids.
fn through(document: &Value) -> BTreeMap<String, Value> {
    let mut open = |scope: Arc<Scope>| {
        let mut batch = Batch::new("t".into(), scope, 0);
        batch.signal = Signal::Traces;
        batch
    };
    let mut spans = Spans::new(&mut open);
    let mut decoder = Decoder::new(Format::Spans);
    decoder.begin(Arc::new(Source::new("in".into(), 1)));
    let datagram = format!("{{\"format\":\"json\",\"version\":1}}\n{document}");
    decoder.decode(datagram.as_bytes(), 0, &mut spans).unwrap_or_else(|error| panic!("{error}: {document}"));
    let batches = spans.finish();
    let texts = batches.iter().flat_map(|batch| written(batch, &rules("")).unwrap());
    let documents = texts.map(|text| {
        validator::check(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
        let document: Value = serde_json::from_str(&text).unwrap();
        (document["id"].as_str().unwrap().to_owned(), document)
    });
    documents.collect()
}

/// Nanoseconds; JSON's numbers are floats here, so they are compared to the microsecond.
fn time(value: &Value) -> i64 {
    (value.as_f64().unwrap() * 1e6).round() as i64
}

/// That `got` says of a segment what `sent` said, `parent` being the one it was embedded in.
fn assert_same(sent: &Value, got: &BTreeMap<String, Value>, trace: &str, parent: Option<&str>) {
    let id = sent["id"].as_str().unwrap();
    let found = &got[id];
    for key in ["name", "namespace", "user", "http", "annotations", "fault", "error", "throttle", "in_progress"] {
        // `false` and nothing are the same.
        let said = |value: &Value| value.get(key).filter(|value| **value != json!(false)).cloned();
        assert_eq!(said(found), said(sent), "{key} of {found}, which was {sent}");
    }
    assert_eq!(found["trace_id"], trace);
    assert_eq!(found.get("parent_id").and_then(Value::as_str), parent.or(sent["parent_id"].as_str()));
    assert_eq!(found["type"] == "subsegment", parent.is_some(), "{found}");
    for key in ["start_time", "end_time"] {
        assert_eq!(found.get(key).map(time), sent.get(key).map(time), "{key}");
    }
    for key in ["operation", "region", "request_id", "queue_url", "table_name"] {
        assert_eq!(found["aws"][key], sent["aws"][key], "{key} of {found}");
    }
    for (namespace, metadata) in sent["metadata"].as_object().into_iter().flatten() {
        assert_eq!(&found["metadata"][namespace], metadata, "{found}");
    }
    let exceptions = |value: &Value| -> Vec<Value> {
        let all = value["cause"]["exceptions"].as_array().cloned().unwrap_or_default();
        all.iter().map(|one| json!([one["type"], one["message"], one["stack"]])).collect()
    };
    assert_eq!(exceptions(found), exceptions(sent), "{found}");
    for subsegment in sent["subsegments"].as_array().into_iter().flatten() {
        assert_same(subsegment, got, trace, Some(id));
    }
}

fn member(
    key: &'static str,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Option<(&'static str, Value)>> {
    prop::option::of(value.prop_map(move |value| (key, value))).boxed()
}

fn map(members: Vec<BoxedStrategy<Option<(&'static str, Value)>>>) -> impl Strategy<Value = Value> {
    members.prop_map(|members| members.into_iter().flatten().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn text(pattern: &'static str) -> impl Strategy<Value = Value> {
    pattern.prop_map(Value::from)
}

fn http() -> impl Strategy<Value = Value> {
    let request = map(vec![
        member("method", text("GET|POST")),
        member("url", text("https?://[a-z]{1,8}/[a-z/]{0,9}")),
        member("user_agent", text("[ -~é]{1,20}")),
        member("client_ip", text("10\\.0\\.0\\.[1-9]")),
    ]);
    let forwarded = (request, any::<bool>()).prop_map(|(mut request, forwarded)| {
        if forwarded && request.get("client_ip").is_some() {
            request["x_forwarded_for"] = json!(true);
        }
        request
    });
    let forwarded = forwarded.prop_filter("an empty one says nothing", |request| request != &json!({}));
    let response = (200..600_i64, prop::option::of(0..10_000_i64)).prop_map(|(status, length)| {
        let mut response = json!({ "status": status });
        if let Some(length) = length {
            response["content_length"] = json!(length);
        }
        response
    });
    (forwarded, response).prop_map(|(request, response)| json!({ "request": request, "response": response }))
}

fn exceptions() -> impl Strategy<Value = Value> {
    let frame = ("[a-z/]{1,9}\\.[a-z]{2}", 1..9999_i64, "[a-zA-Z_]{1,12}")
        .prop_map(|(path, line, label)| json!({ "path": path, "line": line, "label": label }));
    let exception = ("[A-Z][a-z]{1,9}", "[a-z]{1,20}", prop::collection::vec(frame, 1..5))
        .prop_map(|(kind, message, stack)| json!({ "type": kind, "message": message, "stack": stack }));
    prop::collection::vec(exception, 1..4).prop_map(|all| json!({ "exceptions": all }))
}

fn plain_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text("[ -~é\\n]{0,12}"),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z.]{1,6}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

/// What a segment and a subsegment have, whose number is the last of `ids`.
fn own(is_subsegment: bool) -> impl Strategy<Value = Value> {
    let annotation = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-1000..1000_i64).prop_map(Value::from),
        text("[ -~é]{1,12}"),
    ];
    // Of each namespace a map: what else it may hold, X-Ray does not say.
    let space = prop::collection::btree_map("[a-z]{1,4}", plain_json(), 0..3);
    let metadata = prop::collection::btree_map("[a-z]{1,6}", space, 1..4);
    let members = map(vec![
        member("user", text("[a-z0-9]{1,9}")),
        member("annotations", prop::collection::btree_map("[a-z_]{1,8}", annotation, 1..5).prop_map(|map| json!(map))),
        // Of the namespace `default` the output has more to say.
        member(
            "metadata",
            metadata.prop_map(|metadata| {
                json!(metadata.into_iter().filter(|(key, _)| key != "default").collect::<BTreeMap<_, _>>())
            }),
        ),
        member("cause", exceptions()),
        member("http", http()),
        member(
            "aws",
            map(vec![
                member("operation", text("[A-Z][a-z]{1,9}")),
                member("region", text("eu-west-[1-3]")),
                member("request_id", text("[a-z0-9]{8}")),
                member("queue_url", text("https://sqs/[a-z]{1,9}")),
                member("table_name", text("[a-z]{1,9}")),
            ]),
        ),
        member("namespace", if is_subsegment { text("aws|remote").boxed() } else { Just(Value::Null).boxed() }),
    ]);
    let times = (1_000_000_000..2_000_000_000_i64, 0..1_000_000_i64, 0..1000_i64, prop::bool::weighted(0.9));
    (members, "[A-Za-z][A-Za-z0-9 ._@]{0,19}[a-z]", times, prop::array::uniform3(prop::bool::weighted(0.3))).prop_map(
        move |(mut members, name, (seconds, micros, more, over), flags)| {
            members["name"] = json!(name);
            members["start_time"] = serde_json::from_str(&format!("{seconds}.{micros:06}")).unwrap();
            if over {
                members["end_time"] = serde_json::from_str(&format!("{}.{micros:06}", seconds + more)).unwrap();
            } else {
                members["in_progress"] = json!(true);
            }
            // Whatever the status of HTTP says.
            for (key, _) in ["error", "fault", "throttle"].into_iter().zip(flags).filter(|(_, is_set)| *is_set) {
                members[key] = json!(true);
            }
            // A call of somebody's is of no namespace, and AWS's operations are of calls to it.
            let is_call = members["namespace"].is_string();
            let members = members.as_object_mut().unwrap();
            members.retain(|_, value| !value.is_null());
            if !is_call {
                members.remove("aws");
                if is_subsegment {
                    members.remove("http");
                }
            }
            if is_call {
                // Who asked is not of a call.
                if let Some(http) = members.get_mut("http").and_then(Value::as_object_mut) {
                    for key in ["client_ip", "x_forwarded_for"] {
                        http["request"].as_object_mut().unwrap().remove(key);
                    }
                    http.retain(|_, part| *part != json!({}));
                }
                if members["namespace"] != "aws" {
                    members.remove("aws");
                }
            }
            json!(members)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_x_ray_shows_is_what_it_was(
        mut segment in own(false),
        subsegments in prop::collection::vec((own(true), prop::option::of(own(true))), 0..3),
        called in any::<bool>(),
    ) {
        let trace = "1-5759e988-bd862e3fe1be46a994272793";
        segment["trace_id"] = json!(trace);
        segment["id"] = json!("00000000000000aa");
        // It says how stacks are printed.
        segment["aws"] = json!({ "xray": { "sdk": "X-Ray for Python" } });
        if called {
            segment["parent_id"] = json!("00000000000000bb");
        }
        let mut all = Vec::new();
        for (n, (mut subsegment, within)) in subsegments.into_iter().enumerate() {
            subsegment["id"] = json!(format!("0000000000000{n:x}cc"));
            if let Some(mut within) = within {
                within["id"] = json!(format!("0000000000000{n:x}dd"));
                subsegment["subsegments"] = json!([within]);
            }
            all.push(subsegment);
        }
        segment["subsegments"] = json!(all);
        let got = through(&segment);
        assert_same(&segment, &got, trace, None);
    }
}
