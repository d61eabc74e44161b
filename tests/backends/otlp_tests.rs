//! From the SDK through the agent to the Collector: what it wrote is what the SDK sent, in every field.

use serde_json::{Value, json};

use super::agent::{self, Agent};
use super::otlp::{self, Signal};
use super::server::{self, Server};
use super::{collector, sdk};

const SIGNALS: [Signal; 3] = [Signal::Logs, Signal::Traces, Signal::Metrics];

/// An `otlp` input at two free ports, and the URLs of both.
pub(crate) struct Door {
    pub(crate) port: u16,
    pub(crate) grpc: String,
    pub(crate) http: String,
    pub(crate) input: String,
}

pub(crate) fn door() -> Door {
    let [grpc, http] = [agent::free_port(), agent::free_port()];
    let input = format!(
        "[[input]]\ntype = 'otlp'\nname = 'in'\ntag = 'sdk'\ngrpc = '127.0.0.1:{grpc}'\nhttp = '127.0.0.1:{http}'\n\n"
    );
    Door { port: grpc, grpc: format!("http://127.0.0.1:{grpc}"), http: format!("http://127.0.0.1:{http}"), input }
}

/// Sends all three signals through an agent with `more` between its input and its output; returns what was sent and
/// what arrived.
fn through(
    python: &Server,
    to: &Server,
    name: &str,
    exporter: &str,
    (more, output): (&str, &str),
) -> Vec<(Signal, Vec<Value>, Vec<Value>)> {
    let door = door();
    let agent = Agent::new(|_| format!("{}{more}[[output]]\ntype = 'otlp'\nname = 'out'\n{output}\n", door.input));
    let service = |signal: Signal| format!("{name}-{}", signal.name());
    let endpoint = if exporter == "otlp-grpc" { &door.grpc } else { &door.http };
    let (run, sent) = agent
        .serve(door.port, || SIGNALS.map(|signal| sdk::send(python, exporter, signal, endpoint, &service(signal))));
    run.ledger.assert_settled();
    assert!(run.status.success(), "{}\n{}", run.status, run.stderr);
    let records: usize = sent.iter().map(Vec::len).sum();
    let records = u64::try_from(records).expect("not many");
    assert_eq!(run.ledger.input("in").received, records, "{}", run.stderr);
    assert_eq!(run.ledger.output("out").delivered, records, "{}", run.stderr);
    let arrived = |signal, sent: Vec<Value>| (signal, collector::wait(to, signal, &service(signal), sent.len()), sent);
    SIGNALS.into_iter().zip(sent).map(|(signal, sent)| arrived(signal, sent)).collect()
}

/// Scenario: logs, spans and metrics over gRPC in and out, over HTTP in and out, and out as JSON.
/// Guarantees: every field of every record arrives as it was sent; nothing more arrives; the ledger adds up.
#[test]
fn every_field_arrives_as_it_was_sent() {
    let (Some(python), Some(to)) = (server::python(), server::collector()) else { return };
    let grpc = format!("url = '{}'\nprotocol = 'grpc'\n", to.word("grpc"));
    let http = format!("url = '{}'\nprotocol = 'http'\ncompression = 'gzip'\n", to.url);
    let json = format!("url = '{}'\nprotocol = 'http'\nencoding = 'json'\n", to.url);
    for (name, exporter, output) in
        [("grpc", "otlp-grpc", &grpc), ("http", "otlp-http", &http), ("json", "otlp-grpc", &json)]
    {
        for (signal, arrived, sent) in through(python, to, &format!("plain-{name}"), exporter, ("", output.as_str())) {
            eprintln!("{name}, {}: {} sent", signal.name(), sent.len());
            otlp::assert_same(&arrived, &sent);
        }
    }
}

/// Scenario: a filter renames an attribute of every record that has it, and sets one of the resource.
/// Guarantees: that is changed and nothing else, of no signal.
#[test]
fn a_filter_changes_what_it_is_told_and_nothing_else() {
    let (Some(python), Some(to)) = (server::python(), server::collector()) else { return };
    let filters = "[[filter]]\ntype = 'modify'\nname = 'logs'\nsignal = 'logs'\n\
                   rename = { '@attributes.path' = '@attributes.route' }\n\n\
                   [[filter]]\ntype = 'modify'\nname = 'others'\nsignal = ['traces', 'metrics']\n\
                   rename = { 'attributes.n' = 'attributes.renamed' }\n\n";
    let output = format!("url = '{}'\nprotocol = 'grpc'\n", to.word("grpc"));
    for (signal, arrived, mut sent) in through(python, to, "edited", "otlp-grpc", (filters, output.as_str())) {
        let (from, to) = if signal == Signal::Logs { ("path", "route") } else { ("n", "renamed") };
        let mut renamed = 0;
        for item in &mut sent {
            let record = if signal == Signal::Metrics { &mut item["record"]["point"] } else { &mut item["record"] };
            let Some(attributes) = record.get_mut("attributes").and_then(Value::as_array_mut) else { continue };
            for pair in attributes.iter_mut().filter(|pair| pair["key"] == from) {
                pair["key"] = json!(to);
                renamed += 1;
            }
        }
        assert!(renamed > 0, "no {} has the attribute", signal.name());
        // A renamed attribute may stand elsewhere among the others.
        let (mut arrived, mut sent) = (arrived, sent);
        arrived.iter_mut().chain(&mut sent).for_each(otlp::sort_attributes);
        otlp::assert_same_set(arrived, sent);
    }
}
