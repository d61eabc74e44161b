//! The `otlp` output: what servers may answer, and the configurations for vendors.

use std::path::Path;

use serde_json::Value;
use suiro_test_servers::{Fault, Sink};

use crate::agent::Site;
use crate::records::TAIL_TEXT;

fn site(sink: &Sink, more: &str) -> Site {
    Site::new(&format!(
        "{TAIL_TEXT}[[output]]\nname = 'otlp'\ntype = 'otlp'\nurl = '{}'\nencoding = 'json'\n\
         retry = {{ initial = '10ms', max = '50ms' }}\nbatch = {{ max_records = 100 }}\n{more}\n",
        sink.url()
    ))
}

fn lines(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("line {n}")).collect()
}

/// The bodies of all log records that were taken.
fn taken(sink: &Sink) -> Vec<String> {
    let mut taken = Vec::new();
    for body in sink.bodies() {
        assert_eq!(body.path, "/v1/logs");
        let request: Value = serde_json::from_slice(&body.bytes).expect("JSON");
        let groups = request["resourceLogs"].as_array().expect("groups").iter();
        for scope in groups.flat_map(|group| group["scopeLogs"].as_array().expect("scopes")) {
            for record in scope["logRecords"].as_array().expect("records") {
                assert!(record["observedTimeUnixNano"].as_str().is_some_and(|time| time.len() == 19), "{record}");
                taken.push(record["body"]["stringValue"].as_str().expect("a text").to_owned());
            }
        }
    }
    taken.sort();
    taken
}

#[test]
fn everything_arrives_whatever_goes_wrong_for_a_while() {
    let sink = Sink::start().unwrap();
    sink.faults().script([
        Fault::Busy(None),
        Fault::Unavailable(None),
        Fault::Status(413, "too much".to_owned()),
        Fault::ResetMidBody,
        Fault::Status(401, "who".to_owned()),
        Fault::Html(502),
    ]);
    let site = site(&sink, "queue = { type = 'disk' }");
    let mut want = lines(1000);
    site.write("app.log", want.join("\n") + "\n");
    assert_eq!(site.once().all_well().output("otlp", "delivered"), 1000);
    want.sort();
    assert_eq!(taken(&sink), want);
}

/// Of 50 records 3 were refused, and nobody says which: so many count as refused, all of them are kept, none is sent again.
#[test]
fn a_partial_success_is_kept_and_not_sent_twice() {
    let sink = Sink::start().unwrap();
    let partial = r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too old"}}"#;
    sink.faults().script([Fault::Status(200, partial.to_owned())]);
    let site = site(&sink, "");
    site.write("app.log", lines(50).join("\n") + "\n");
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!(ledger.reason("otlp", "dead_lettered", "rejected_unidentified"), 3);
    assert_eq!(ledger.output("otlp", "delivered"), 47);
    assert_eq!(sink.requests(), 1);
    let letters = site.dead_letters("otlp");
    assert_eq!(letters.len(), 50);
    assert!(
        letters.iter().all(|letter| letter["ambiguous"] == true && letter["detail"] == "too old"),
        "{}",
        letters[0]
    );
}

#[test]
fn what_is_refused_for_good_is_kept() {
    let sink = Sink::start().unwrap();
    sink.faults().script([Fault::Status(400, r#"{"code":3,"message":"no such tenant"}"#.to_owned())]);
    let site = site(&sink, "");
    site.write("app.log", lines(10).join("\n") + "\n");
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!(ledger.reason("otlp", "dead_lettered", "rejected"), 10);
    let letters = site.dead_letters("otlp");
    assert!(letters[0]["detail"].as_str().unwrap().contains("no such tenant"), "{}", letters[0]);
}

/// Each configuration under `conf/otlp` is sound, whatever its secrets are.
#[test]
fn the_configurations_for_vendors_pass_the_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/otlp");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 12, "{names:?}");
    if !cfg!(feature = "aws") {
        names.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("aws-")));
    }
    for path in names {
        let site = Site::new(&std::fs::read_to_string(&path).unwrap());
        let outcome = site.command(&["check", "-c", "suiro.toml"]);
        assert_eq!(outcome.code(), 0, "{}:\n{}", path.display(), outcome.stderr);
    }
}
