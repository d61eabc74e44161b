//! Outputs that take nothing, senders that are told so, and the end.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use prost::Message as _;
use serde_json::Value;
use suiro_test_servers::{Fault, Sink};

use super::client::{Grpc, LOGS, logs, post, try_post};
use super::{addresses, site};
use crate::PATIENCE;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

/// The numbers of the records that arrived.
fn arrived(sink: &Sink) -> BTreeSet<usize> {
    let number = |line: &String| {
        let value: Value = serde_json::from_str(line).unwrap();
        value["log"].as_str().unwrap().strip_prefix("record ").unwrap().parse().unwrap()
    };
    sink.lines().iter().map(number).collect()
}

#[test]
fn queued_is_answered_while_the_output_hangs_and_delivered_is_not() {
    let sink = Sink::start().unwrap();
    sink.faults().always(Fault::Hang);
    let output = "timeout = '200ms'";
    {
        let site = site(&sink, "", output);
        let running = site.start();
        let (grpc, http) = addresses(&running);
        assert_eq!(post(&http, "/v1/logs", PROTOBUF, &[], &logs(0, 10).encode_to_vec()).status, 200);
        assert_eq!(Grpc::connect(&grpc).call(LOGS, &logs(10, 10).encode_to_vec()).code(), "0");
        sink.faults().heal();
        assert!(sink.wait_for_lines(20, PATIENCE));
        running.stop().all_well();
        assert_eq!(arrived(&sink), (0..20).collect());
    }
    let sink = Sink::start().unwrap();
    sink.faults().always(Fault::Hang);
    let site = site(&sink, "ack = 'delivered'\nack_timeout = '300ms'", output);
    let running = site.start();
    let (grpc, http) = addresses(&running);
    let answer = post(&http, "/v1/logs", JSON, &[], &serde_json::to_vec(&logs(0, 10)).unwrap());
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, answer.header("retry-after"), &said["code"]), (503, "1", &Value::from(14)), "{said}");
    let answer = Grpc::connect(&grpc).call(LOGS, &logs(10, 10).encode_to_vec());
    assert_eq!(answer.code(), "14");
    // A `RetryInfo` is in there, or the sender would not dare.
    assert!(!answer.header("grpc-status-details-bin").is_empty(), "{answer:?}");
    sink.faults().heal();
    // As a sender does that is told to: nothing is lost, what was under way arrives as well.
    for from in [0, 10] {
        assert_eq!(post(&http, "/v1/logs", PROTOBUF, &[], &logs(from, 10).encode_to_vec()).status, 200);
    }
    running.wait_for_ledger("all to be delivered", |ledger| ledger.is_settled());
    assert_eq!(arrived(&sink), (0..20).collect());
    let outcome = running.stop();
    assert_eq!(outcome.all_well().input("in", "received"), 40);
}

#[test]
fn a_full_agent_tells_senders_to_come_again_in_bounded_memory() {
    let sink = Sink::start().unwrap();
    sink.faults().always(Fault::Unavailable(None));
    let settings = "max_pending = '1MiB'\nmax_body = '1MiB'\nack_timeout = '300ms'";
    let site = site(&sink, settings, "queue = { max_size = '1MiB', when_full = 'block' }\nconcurrency = 1");
    let running = site.start();
    let (grpc, http) = addresses(&running);
    let idle = running.memory();
    // Until nothing is taken any more, on both roads.
    let mut taken = BTreeSet::new();
    let mut refused = 0;
    let mut client = Grpc::connect(&grpc);
    for request in 0..200 {
        let (from, body) = (request * 1000, logs(request * 1000, 1000).encode_to_vec());
        let full = if request % 2 == 0 {
            let answer = post(&http, "/v1/logs", PROTOBUF, &[], &body);
            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
            answer.status == 503
        } else {
            let answer = client.call(LOGS, &body);
            assert!(matches!(answer.code(), "0" | "14"), "{answer:?}");
            answer.code() == "14"
        };
        if full {
            refused += 1;
            if refused == 10 {
                break;
            }
        } else {
            taken.extend(from..from + 1000);
        }
    }
    assert_eq!(refused, 10, "{} records were taken, and nobody took them", taken.len());
    assert!(!taken.is_empty());
    let memory = running.memory();
    assert!(memory < idle + (64 << 20), "{} MiB, {} MiB before", memory >> 20, idle >> 20);
    sink.faults().heal();
    running.wait_for_ledger("all to be delivered", |ledger| ledger.is_settled());
    assert!(arrived(&sink).is_superset(&taken), "what was answered with yes arrives");
    assert_eq!(post(&http, "/v1/logs", PROTOBUF, &[], &logs(0, 1).encode_to_vec()).status, 200);
    running.stop().all_well();
}

#[test]
fn what_was_answered_before_the_end_arrives() {
    for ack in ["queued", "delivered"] {
        let sink = Sink::start().unwrap();
        let site = site(&sink, &format!("ack = '{ack}'"), "");
        let running = site.start();
        let (grpc, http) = addresses(&running);
        let (next, ended, yes) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(BTreeSet::new()));
        let send = |one: &mut dyn FnMut(&[u8]) -> bool| {
            while !ended.load(SeqCst) {
                let from = next.fetch_add(100, SeqCst);
                if one(&logs(from, 100).encode_to_vec()) {
                    yes.lock().unwrap().extend(from..from + 100);
                }
            }
        };
        let outcome = thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    send(&mut |body| {
                        let answer = try_post(&http, "/v1/logs", &[("content-type", PROTOBUF)], body);
                        answer.is_some_and(|answer| answer.status == 200)
                    });
                });
                scope.spawn(|| {
                    let mut client = Grpc::connect(&grpc);
                    send(&mut |body| {
                        let body = super::client::frame(0, body);
                        client.try_call(LOGS, &[], &body).is_ok_and(|answer| answer.header("grpc-status") == "0")
                    });
                });
            }
            running.wait_for("a thousand records to be answered", |_| yes.lock().unwrap().len() > 1000);
            let outcome = running.stop();
            ended.store(true, SeqCst);
            outcome
        });
        outcome.all_well();
        let (arrived, yes) = (arrived(&sink), yes.into_inner().unwrap());
        let lost: Vec<_> = yes.difference(&arrived).collect();
        assert!(lost.is_empty(), "{ack}: {lost:?}");
        assert!(outcome.elapsed < PATIENCE);
    }
}
