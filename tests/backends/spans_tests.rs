//! From the SDK through the agent to Jaeger and Zipkin: what they show of a service that sends through the agent is what
//! they show of one that sends the same straight to them.

use serde_json::{Value, json};

use super::agent::{self, Agent, Outcome};
use super::otlp::{self, Signal};
use super::otlp_tests::door;
use super::{collector, sdk, server, spans};

/// What the thrift exporter of the SDK makes of an attribute with several values.
fn python(value: &Value) -> String {
    let parts: Vec<String> = otlp::list(value, "values").iter().map(python_one).collect();
    if let [one] = &parts[..] { format!("({one},)") } else { format!("({})", parts.join(", ")) }
}

fn python_one(value: &Value) -> String {
    match value.as_object().and_then(|value| value.iter().next()) {
        Some((kind, value)) if kind == "stringValue" => format!("'{}'", value.as_str().expect("a text")),
        Some((kind, value)) if kind == "boolValue" => if value == true { "True" } else { "False" }.to_owned(),
        Some((kind, value)) if kind == "intValue" => value.as_str().expect("a text").to_owned(),
        Some((_, value)) if value.as_f64() == Some(-1e300) => "-1e+300".to_owned(),
        Some((_, value)) => value.to_string(),
        None => "None".to_owned(),
    }
}

fn settled(run: &Outcome, sent: usize) {
    run.ledger.assert_settled();
    assert!(run.status.success(), "{}\n{}", run.status, run.stderr);
    let sent = u64::try_from(sent).expect("not many");
    assert_eq!(run.ledger.input("in").received, sent, "{}", run.stderr);
    assert_eq!(run.ledger.output("out").delivered, sent, "{}", run.stderr);
}

/// Scenario: spans over OTLP/gRPC, once straight to Jaeger and once through the agent.
/// Guarantees: Jaeger shows no difference.
#[test]
fn jaeger_shows_no_difference_to_straight_otlp() {
    let (Some(python), Some(to)) = (server::python(), server::jaeger()) else { return };
    let straight = sdk::send(python, "otlp-grpc", Signal::Traces, to.word("grpc"), "otlp-straight");
    let door = door();
    let agent = Agent::new(|_| {
        format!(
            "{}[[output]]\ntype = 'otlp'\nname = 'out'\nurl = '{}'\nprotocol = 'grpc'\n",
            door.input,
            to.word("grpc")
        )
    });
    let (run, sent) =
        agent.serve(door.port, || sdk::send(python, "otlp-grpc", Signal::Traces, &door.grpc, "otlp-through"));
    settled(&run, sent.len());
    let straight = spans::jaeger(&to.url, "otlp-straight", straight.len());
    otlp::assert_same(&spans::jaeger(&to.url, "otlp-through", sent.len()), &straight);
}

/// Scenario: spans from the SDK's Zipkin exporter, once straight to Zipkin and once through the agent's `zipkin` input and
/// output.
/// Guarantees: Zipkin shows no difference but two. A scope, which the exporter names twice, is told under its newer name; and
/// whom a client called, a tag of the exporter's, is where Zipkin has a place for it.
#[test]
fn zipkin_shows_no_difference_to_straight_zipkin() {
    let (Some(python), Some(to)) = (server::python(), server::zipkin()) else { return };
    let straight = sdk::send(python, "zipkin", Signal::Traces, &to.url, "zipkin-straight");
    let port = agent::free_port();
    let agent = Agent::new(|_| {
        format!(
            "[[input]]\ntype = 'zipkin'\nname = 'in'\ntag = 'sdk'\nlisten = '127.0.0.1:{port}'\n\n\
             [[output]]\ntype = 'zipkin'\nname = 'out'\nurl = '{}'\n",
            to.url
        )
    });
    let (run, sent) = agent.serve(port, || {
        sdk::send(python, "zipkin", Signal::Traces, &format!("http://127.0.0.1:{port}"), "zipkin-through")
    });
    settled(&run, sent.len());
    let mut straight = spans::zipkin(&to.url, "zipkin-straight", straight.len());
    for span in &mut straight {
        let tags = span["tags"].as_object_mut().expect("every span has tags");
        assert_eq!(tags.remove("otel.library.name").as_ref(), tags.get("otel.scope.name"));
        // A scope without a version stays as it was told.
        assert_eq!(tags.get("otel.library.version"), tags.get("otel.scope.version"));
        if tags["otel.scope.version"] != "" {
            tags.remove("otel.library.version");
        }
        if let Some(peer) = tags.remove("peer.service") {
            span["remoteEndpoint"] = json!({ "serviceName": peer });
        }
    }
    otlp::assert_same_set(spans::zipkin(&to.url, "zipkin-through", sent.len()), straight);
}

/// Scenario: spans from the SDK's Jaeger exporter, over HTTP and in datagrams, to the agent's `jaeger` input and on to the
/// Collector.
/// Guarantees: all that Thrift has a place for arrives in the place OTLP has for it.
#[test]
fn spans_of_jaegers_clients_arrive_as_otlp() {
    let (Some(python), Some(to)) = (server::python(), server::collector()) else { return };
    for exporter in ["jaeger-http", "jaeger-udp"] {
        let (http, udp) = (agent::free_port(), agent::free_port());
        let agent = Agent::new(|_| {
            format!(
                "[[input]]\ntype = 'jaeger'\nname = 'in'\ntag = 'sdk'\nlisten = '127.0.0.1:{http}'\n\
                 udp_compact = '127.0.0.1:{udp}'\nudp_binary = false\n\n\
                 [[output]]\ntype = 'otlp'\nname = 'out'\nurl = '{}'\nprotocol = 'grpc'\n",
                to.word("grpc")
            )
        });
        let service = format!("through-{exporter}");
        let endpoint =
            if exporter == "jaeger-http" { format!("http://127.0.0.1:{http}") } else { format!("127.0.0.1:{udp}") };
        let (run, (sent, arrived)) = agent.serve(http, || {
            let sent = sdk::send(python, exporter, Signal::Traces, &endpoint, &service);
            // Datagrams have no answer: they are there when they have gone on.
            let arrived = collector::wait(to, Signal::Traces, &service, sent.len());
            (sent, arrived)
        });
        settled(&run, sent.len());
        let sent: Vec<Value> = sent.iter().map(through_thrift).collect();
        let mut arrived = arrived;
        arrived.iter_mut().for_each(otlp::sort_attributes);
        otlp::assert_same_set(arrived, sent);
    }
}

/// What arrives of a span that went through the SDK's Thrift exporter: times are rounded to microseconds; attributes of the
/// resource are among the span's, too, and the resource has its name only; values that are lists are texts, as Python writes
/// tuples; the name of an event is an attribute of it; a link says how it was meant, and nothing else. Schemas are gone.
fn through_thrift(sent: &Value) -> Value {
    let record = &sent["record"];
    let nanoseconds = |value: &Value| value.as_str().expect("a time").parse::<u64>().expect("a time");
    let rounded = |time: u64| (time + 500) / 1000 * 1000;
    let (start, end) = (nanoseconds(&record["startTimeUnixNano"]), nanoseconds(&record["endTimeUnixNano"]));
    let events = otlp::list(record, "events").iter().map(|event| {
        let mut attributes = pairs(otlp::list(event, "attributes"));
        attributes.push(json!({ "key": "message", "value": { "stringValue": event["name"] } }));
        json!({ "timeUnixNano": rounded(nanoseconds(&event["timeUnixNano"])).to_string(), "attributes": attributes })
    });
    let links = otlp::list(record, "links").iter().map(|link| {
        let kind = json!([{ "key": "opentracing.ref_type", "value": { "stringValue": "follows_from" } }]);
        json!({ "traceId": link["traceId"], "spanId": link["spanId"], "attributes": kind })
    });
    let attributes = [otlp::list(record, "attributes"), otlp::list(&sent["resource"], "attributes")].concat();
    let mut arrived = json!({
        "startTimeUnixNano": rounded(start).to_string(),
        "endTimeUnixNano": (rounded(start) + rounded(end - start)).to_string(),
        "flags": 1, "attributes": pairs(&attributes),
        "events": events.collect::<Vec<_>>(), "links": links.collect::<Vec<_>>(),
    });
    let same = ["traceId", "spanId", "parentSpanId", "name", "kind", "status"];
    let counts = ["droppedAttributesCount", "droppedEventsCount", "droppedLinksCount"];
    for name in same.into_iter().chain(counts) {
        arrived[name] = record.get(name).cloned().unwrap_or_default();
    }
    let service = otlp::attribute(&sent["resource"], "service.name");
    let mut item = json!({
        "resource": { "attributes": [{ "key": "service.name", "value": service }] },
        "scope": { "name": sent["scope"]["name"], "version": sent["scope"].get("version") },
        "record": arrived,
    });
    otlp::tidy(&mut item);
    otlp::sort_attributes(&mut item);
    item
}

fn pairs(attributes: &[Value]) -> Vec<Value> {
    let one = |pair: &Value| match pair["value"].get("arrayValue") {
        Some(list) => json!({ "key": pair["key"], "value": { "stringValue": python(list) } }),
        None => pair.clone(),
    };
    attributes.iter().map(one).collect()
}
