//! The SDK straight to the Collector, without the agent: that what the SDK says it sent can be told from what the
//! Collector says it got is what every other test leans on.

use super::otlp::{self, Signal};
use super::{collector, sdk, server};

#[test]
fn what_the_sdk_sent_is_what_the_collector_wrote() {
    let (Some(python), Some(to)) = (server::python(), server::collector()) else { return };
    for signal in [Signal::Logs, Signal::Traces, Signal::Metrics] {
        for (exporter, endpoint) in [("otlp-grpc", to.word("grpc")), ("otlp-http", &to.url)] {
            let service = format!("facts-{exporter}-{}", signal.name());
            let sent = sdk::send(python, exporter, signal, endpoint, &service);
            otlp::assert_same(&collector::wait(to, signal, &service, sent.len()), &sent);
        }
    }
}
