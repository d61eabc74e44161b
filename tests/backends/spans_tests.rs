//! From the SDK through the agent to Jaeger and Zipkin: what they show of a service that sends through the agent is what
//! they show of one that sends the same straight to them.

use serde_json::Value;

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
        format!("{}[[output]]\ntype = 'otlp'\nname = 'out'\nurl = '{}'\nprotocol = 'grpc'\n", door.input, to.word("grpc"))
    });
    let (run, sent) = agent.serve(door.port, || sdk::send(python, "otlp-grpc", Signal::Traces, &door.grpc, "otlp-through"));
    settled(&run, sent.len());
    let straight = spans::jaeger(&to.url, "otlp-straight", straight.len());
    otlp::assert_same(&spans::jaeger(&to.url, "otlp-through", sent.len()), &straight);
}

/// Scenario: spans from the SDK's Zipkin exporter, once straight to Zipkin and once through the agent's `zipkin` input and
/// output.
/// Guarantees: Zipkin shows no difference.
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
    let straight = spans::zipkin(&to.url, "zipkin-straight", straight.len());
    otlp::assert_same(&spans::zipkin(&to.url, "zipkin-through", sent.len()), &straight);
}
