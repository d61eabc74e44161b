//! The SDK straight to Jaeger and Zipkin, twice: that two services which send the same look the same is what the tests
//! through the agent lean on.

use super::otlp::{self, Signal};
use super::{sdk, server, spans};

#[test]
fn the_same_spans_look_the_same_in_jaeger() {
    let (Some(python), Some(to)) = (server::python(), server::jaeger()) else { return };
    for (exporter, endpoint) in [("otlp-grpc", to.word("grpc")), ("jaeger-http", to.word("thrift"))] {
        let [one, two] = ["one", "two"].map(|name| {
            let service = format!("fact-{exporter}-{name}");
            let sent = sdk::send(python, exporter, Signal::Traces, endpoint, &service);
            spans::jaeger(&to.url, &service, sent.len())
        });
        otlp::assert_same(&one, &two);
    }
}

#[test]
fn the_same_spans_look_the_same_in_zipkin() {
    let (Some(python), Some(to)) = (server::python(), server::zipkin()) else { return };
    let [one, two] = ["one", "two"].map(|name| {
        let service = format!("fact-{name}");
        let sent = sdk::send(python, "zipkin", Signal::Traces, &to.url, &service);
        spans::zipkin(&to.url, &service, sent.len())
    });
    otlp::assert_same(&one, &two);
}
