//! The output against scripted servers: each road, each answer.

mod grpc;
mod http;

use suiro_record::{Batch, Signal};
use suiro_sdk::http::test_kit::{batch, delivery, setup};
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Output, OutputSetup};

use super::build;

fn built(url: &str, settings: &str) -> (Box<dyn Output>, OutputSetup) {
    let (section, diagnostics) = Section::from_text("[[output]] otlp", &format!("url = '{url}'\n{settings}"));
    let Ok(mut output) = build(&section) else { panic!("{}", diagnostics.render(false)) };
    let setup = setup();
    output.start(&setup).unwrap();
    (output, setup)
}

fn lines(count: usize) -> Batch {
    let lines: Vec<String> = (0..count).map(|n| format!("line {n}")).collect();
    batch(&lines, 5)
}

fn three() -> Delivery {
    delivery(vec![lines(3)])
}

/// Two lines, a span and another line.
fn mixed() -> Delivery {
    let mut span = batch(&[r#"{"name":"GET /"}"#], 5);
    span.signal = Signal::Traces;
    delivery(vec![lines(2), span, lines(1)])
}

/// The records of a request.
fn read(signal: Signal, request: &[u8]) -> Vec<Batch> {
    let source = std::sync::Arc::new(suiro_record::Source::new("in".into(), 1));
    let mut new_batch = |scope| Batch::new("t".into(), scope, 0);
    crate::codec::decode(signal, request.to_vec(), &source, &mut new_batch).unwrap().batches
}

/// How many records a request has.
fn count(signal: Signal, request: &[u8]) -> usize {
    read(signal, request).iter().map(Batch::len).sum()
}

#[test]
fn settings_are_checked() {
    for (text, message) in [
        ("", "url"),
        ("url = 'http://h:4317'\nencoding = 'json'", "gRPC carries protobuf"),
        ("url = 'http://h'\nprotocol = 'grpc'\nencoding = 'json'", "gRPC carries protobuf"),
        ("url = 'http://h'\nprotocol = 'udp'", "grpc"),
        ("url = 'http://h'\ncompression = 'snappy'", "zstd"),
        ("url = 'http://h'\nheadrs = {}", "headers"),
        ("url = 'http://h'\ntls = {}", "plain http"),
    ] {
        let (section, diagnostics) = Section::from_text("[[output]] otlp", text);
        assert!(build(&section).is_err(), "{text}");
        assert!(diagnostics.render(false).contains(message), "{text}: {}", diagnostics.render(false));
    }
}

#[test]
fn the_port_tells_the_protocol_and_paths_are_beside_each_other() {
    use super::settings::{Protocol, Settings};
    let read = |text: &str| {
        let (section, diagnostics) = Section::from_text("[[output]] otlp", text);
        Settings::read(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false)))
    };
    for (text, protocol) in [
        ("url = 'http://h:4317'", Protocol::Grpc),
        ("url = 'https://h:4317'", Protocol::Grpc),
        ("url = 'http://h:4318'", Protocol::Http),
        ("url = 'https://h'", Protocol::Http),
        ("url = 'http://h:4317/v1/logs'\nprotocol = 'http'", Protocol::Http),
        ("url = 'https://h'\nprotocol = 'grpc'", Protocol::Grpc),
        ("url = ['http://a:4317', 'http://b:4317']", Protocol::Grpc),
    ] {
        assert_eq!(read(text).protocol, protocol, "{text}");
    }
    for (url, wanted) in [
        ("http://h", "http://h/v1/traces"),
        ("http://h/", "http://h/v1/traces"),
        ("http://h/otlp", "http://h/otlp/v1/traces"),
        ("http://h/otlp/v1/logs", "http://h/otlp/v1/traces"),
        ("http://h/otlp/v1/traces/", "http://h/otlp/v1/traces"),
    ] {
        let endpoints = read(&format!("url = '{url}'")).endpoints(Signal::Traces);
        assert_eq!(endpoints[0].url().as_str(), wanted);
    }
}
