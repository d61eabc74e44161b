//! Fluentd's logger for Python as a client of the `forward` input.

use std::fs;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::agent::{self, Agent};
use super::otlp::assert_same;
use super::{aws, server};

/// Scenario: the logger sends records with times in whole seconds, then in nanoseconds.
/// Guarantees: tag, time and record are what the logger sent, in its order.
#[test]
fn records_of_fluentds_logger_arrive_as_they_were_sent() {
    let Some(python) = server::python() else { return };
    let port = agent::free_port();
    let mut path = None;
    let agent = Agent::new(|folder| {
        let out = folder.join("out.jsonl");
        let config = format!(
            "[[input]]\ntype = 'forward'\nname = 'in'\nlisten = '127.0.0.1:{port}'\n\n\
             [[output]]\ntype = 'file'\nname = 'out'\npath = '{}'\nformat = 'full'\n",
            out.display()
        );
        path = Some(out);
        config
    });
    let out = path.expect("a path");
    let lines = || fs::read_to_string(&out).map_or(0, |text| text.lines().count());
    let (run, sent) = agent.serve(port, || {
        let sent = aws::client(python, &["fluent", &port.to_string(), "app"]);
        // The logger asks for no acknowledgement: what it wrote is there when it has gone on.
        agent::wait_for("the records of Fluentd's logger", lines, |there| *there >= sent.len());
        sent
    });
    run.ledger.assert_settled();
    assert!(run.status.success(), "{}\n{}", run.status, run.stderr);
    assert_eq!(run.ledger.output("out").delivered, u64::try_from(sent.len()).expect("not many"));
    let text = fs::read_to_string(&out).expect("the agent wrote it");
    let arrived: Vec<Value> = text.lines().map(arrived).collect();
    assert_same(&arrived, &sent);
}

/// A line of the file as the client has it: tag, seconds, nanoseconds, record.
fn arrived(line: &str) -> Value {
    let Ok(Value::Object(mut record)) = serde_json::from_str(line) else { panic!("no map: {line}") };
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned)).expect("a text");
    let time: Timestamp = text(record.remove("@time")).parse().expect("a time");
    let tag = text(record.remove("@tag"));
    record.retain(|name, _| !name.starts_with('@'));
    json!([tag, time.as_second(), time.subsec_nanosecond(), record])
}
