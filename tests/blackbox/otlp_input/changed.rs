//! Attributes changed on the way from OTLP to OTLP: in the messages as they came, or of records somebody looked into before.

use super::client::{Grpc, LOGS, TRACES, logs, pair, spans};
use crate::agent::Site;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use suiro_test_servers::Sink;

/// Everything. Of when a log was observed, which is when it was read, only whether it says so.
fn shown(sink: &Sink) -> Vec<String> {
    let mut all = Vec::new();
    for body in sink.bodies() {
        if body.path == "/v1/logs" {
            let request = ExportLogsServiceRequest::decode(&*body.bytes).unwrap();
            let scopes = request.resource_logs.into_iter().flat_map(|group| group.scope_logs);
            for mut log in scopes.flat_map(|group| group.log_records) {
                log.observed_time_unix_nano = log.observed_time_unix_nano.min(1);
                all.push(format!("{log:?}"));
            }
        } else {
            let request = ExportTraceServiceRequest::decode(&*body.bytes).unwrap();
            let scopes = request.resource_spans.into_iter().flat_map(|group| group.scope_spans);
            all.extend(scopes.flat_map(|group| group.spans).map(|span| format!("{span:?}")));
        }
    }
    all.sort();
    all
}

/// What arrives of 20 logs and 20 spans through these filters.
fn through(filters: &str) -> Vec<String> {
    let sink = Sink::start().unwrap();
    let site = Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'otlp'\ngrpc = '127.0.0.1:0'\nhttp = false\n{filters}\n\
         [[output]]\nname = 'out'\ntype = 'otlp'\nurl = '{}'\nprotocol = 'http'\ncompression = 'none'\n\
         batch = {{ timeout = '10ms' }}\n",
        sink.url()
    ));
    let running = site.start();
    let mut client = Grpc::connect(&running.listens("setting=grpc ").to_string());
    let mut request = logs(0, 20);
    for (n, log) in request.resource_logs[0].scope_logs[0].log_records.iter_mut().enumerate() {
        log.attributes.push(pair("user.id", &format!("u{n}")));
        log.attributes.push(pair(if n % 2 == 0 { "level" } else { "password" }, "x"));
    }
    client.call(LOGS, &request.encode_to_vec()).message();
    let mut request = spans(0, 20);
    for span in &mut request.resource_spans[0].scope_spans[0].spans {
        span.attributes = vec![pair("db.statement", "select"), pair("peer", "a")];
    }
    client.call(TRACES, &request.encode_to_vec()).message();
    running.wait_for("all of it", |_| shown(&sink).len() == 40);
    let outcome = running.stop();
    assert_eq!(outcome.all_well().output("out", "delivered"), 40);
    assert_eq!(outcome.all_well().input("in", "received"), 40);
    shown(&sink)
}

#[test]
fn an_attribute_changes_alike_wherever_it_is_changed() {
    let filters = |when: &str| {
        format!(
            "[[filter]]\nname = 'logs'\ntype = 'modify'\n{when}signal = 'logs'\n\
             rename = {{ '@attributes.\"user.id\"' = '@attributes.\"enduser.id\"' }}\n\
             set = {{ '@attributes.env' = 'prod', '@attributes.level' = 3 }}\nremove = ['@attributes.password']\n\
             [[filter]]\nname = 'spans'\ntype = 'modify'\n{when}signal = 'traces'\n\
             rename = {{ 'attributes.\"db.statement\"' = 'attributes.\"db.query.text\"' }}\nadd = {{ 'attributes.peer' = 'b' }}\n"
        )
    };
    let in_messages = through(&filters(""));
    // A condition has to look into each record.
    let in_records = through(&filters("when = '@input == \"in\"'\n"));
    assert_eq!(in_messages, in_records);
    let text = in_messages.join("\n");
    assert_eq!(
        ["enduser.id", "user.id\"", "password", "\"env\"", "IntValue(3)", "db.query.text", "db.statement", "\"b\""]
            .map(|what| text.matches(what).count()),
        [20, 20, 0, 20, 20, 20, 0, 0],
        "{text}"
    );
}
