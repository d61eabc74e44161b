//! Pipelines into OpenSearch.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::agent::{self, Agent};
use super::input::{self, JsonLine};
use super::ledger::sum;
use super::opensearch::{Hit, Index};
use super::server;

const COUNT: u64 = 5000;
/// What `edit` below does, in the words of a configuration.
const CHAIN: &str = r#"
[[filter]]
type = "drop"
name = "quiet"
match = "edited"
when = 'level == "debug"'

[[filter]]
type = "modify"
name = "edit"
match = "edited"
rename = { old = "renamed" }
set = { env = "test Ω", "nest.added" = "{level}/{seq}" }
remove = ["nest.gone"]

"#;

#[derive(Deserialize)]
struct Big {
    big: Box<RawValue>,
}

/// Scenario: text, JSON, JSON through a chain, and an access log, each into its own index; some JSON records are ones
/// that the server refuses.
/// Guarantees: what the server has is what was written, field by field, numbers to the last digit; refused records,
/// and only those, are in the dead letter; the ledger says so.
#[test]
fn every_record_arrives_as_it_was_written() {
    let Some(server) = server::opensearch() else { return };
    let base = input::base(COUNT);
    let (text, json, apache) = (input::text(COUNT), input::json(COUNT, base, true), input::apache(COUNT, base));
    let edited = input::json(COUNT, base, false);

    let day = json!({ "type": "date" });
    let text_index = Index::create(&server.url, "suiro-text", json!({ "@timestamp": day }));
    let json_index = Index::create(&server.url, "suiro-json", mapping());
    let edited_index = Index::create(&server.url, "suiro-edited", mapping());
    let apache_index = Index::create(&server.url, "suiro-apache", json!({ "@timestamp": day }));

    let output = |name: &str| {
        format!(
            "[[output]]\ntype = 'elasticsearch'\nname = 'to-{name}'\nmatch = '{name}'\nurl = '{}'\n\
             index = 'suiro-{name}'\nid = 'origin'\n\n",
            server.url
        )
    };
    let agent = Agent::new(|folder| {
        [
            agent::tail(folder, "text", "", text.iter().map(String::as_str)),
            agent::tail(folder, "json", "json", json.iter().map(|line| &*line.text)),
            agent::tail(folder, "edited", "json", edited.iter().map(|line| &*line.text)),
            agent::tail(folder, "apache", "apache_combined", apache.iter().map(|line| &*line.text)),
            CHAIN.to_owned(),
            ["text", "json", "edited", "apache"].map(output).concat(),
        ]
        .concat()
    });
    let run = agent.run();
    run.ledger.assert_settled();

    // Text: identical lines are many records, so the two are compared as sorted lists.
    let mut arrived: Vec<String> = text_index.all().iter().map(|hit| field(hit, "log")).collect();
    arrived.sort();
    let mut sent = text;
    sent.sort();
    assert_same(&arrived, &sent);

    let refused = json.iter().filter(|line| line.refused).count();
    assert_eq!(refused, 16, "10 of a wrong type and 7 with a duplicate key, one of them both");
    let by_seq = by_seq(json_index.all());
    assert_eq!(by_seq.len(), json.len() - refused);
    for line in &json {
        match by_seq.get(&line.seq) {
            Some(hit) => assert_json(hit, line, serde_json::from_str(&line.text).expect("valid JSON")),
            None => assert!(line.refused, "record {} is not there\n{}", line.seq, run.stderr),
        }
    }
    let dead = String::from_utf8_lossy(&agent.dead_letters()).into_owned();
    for line in json.iter().filter(|line| line.refused) {
        assert!(dead.contains(&format!("was old {}", line.seq)), "record {} is not in the dead letter", line.seq);
    }

    let kept: Vec<&JsonLine> = edited.iter().filter(|line| line.level != "debug").collect();
    let by_seq = self::by_seq(edited_index.all());
    assert_eq!(by_seq.len(), kept.len());
    for line in &kept {
        assert_json(&by_seq[&line.seq], line, edit(line));
    }

    let mut by_host: HashMap<String, Hit> =
        apache_index.all().into_iter().map(|hit| (field(&hit, "host"), hit)).collect();
    for line in &apache {
        let host = line.fields["host"].as_str().expect("every line has one");
        let mut hit = by_host.remove(host).unwrap_or_else(|| panic!("{host} is not there\n{}", run.stderr));
        assert_eq!(timestamp(&mut hit.source), line.time, "{}", line.text);
        assert_eq!(hit.source, line.fields, "{}", line.text);
    }
    assert!(by_host.is_empty());

    for name in ["text", "json", "edited", "apache"] {
        assert_eq!(run.ledger.input(name).received, COUNT);
    }
    let quiet = run.ledger.filter("quiet");
    assert_eq!((quiet.taken, sum(&quiet.dropped)), (COUNT, COUNT / 4));
    assert_eq!(run.ledger.filter("edit").out, COUNT - COUNT / 4);
    let refused = refused as u64;
    for (name, delivered, dead) in
        [("text", COUNT, 0), ("json", COUNT - refused, refused), ("edited", COUNT - COUNT / 4, 0), ("apache", COUNT, 0)]
    {
        let output = run.ledger.output(&format!("to-{name}"));
        assert_eq!((output.delivered, sum(&output.dead_lettered)), (delivered, dead), "{output:?}");
    }
    assert!(!run.status.success(), "a run that could not deliver every record does not end with 0");
}

/// Scenario: the agent is killed with SIGKILL while it writes, three times, and run to the end at last.
/// Guarantees: with `id = "origin"` every record is there once. What was written before the kill and read again meets
/// its own id: the server refuses it, and the agent counts it as delivered.
#[test]
fn a_killed_agent_leaves_no_duplicate() {
    const COUNT: u64 = 30_000;
    let Some(server) = server::opensearch() else { return };
    let lines = input::json(COUNT, input::base(COUNT), false);
    let index = Index::create(&server.url, "suiro-killed", mapping());
    let agent = Agent::new(|folder| {
        agent::tail(folder, "in", "json", lines.iter().map(|line| &*line.text))
            + &format!(
                "[[output]]\ntype = 'elasticsearch'\nname = 'out'\nmatch = 'in'\nurl = '{}'\n\
                 index = 'suiro-killed'\nid = 'origin'\nbatch = {{ max_records = 100 }}\n",
                server.url
            )
    });

    // Early ones: a fast agent must not be through before the kill.
    for eighth in 1..=3 {
        let mut running = agent.start();
        let limit = Instant::now() + Duration::from_secs(120);
        while index.taken() < COUNT / 8 * eighth {
            assert!(!running.ended(), "the agent ended before the server had {eighth} eighths of the records");
            assert!(Instant::now() < limit, "the server has {} records", index.taken());
            // The counter is the server's: there is nothing to wait on but time.
            thread::sleep(Duration::from_millis(5));
        }
        running.kill();
    }
    let run = agent.run();
    run.ledger.assert_settled();
    assert!(run.status.success(), "{}\n{}", run.status, run.stderr);

    let hits = index.all();
    let seen: HashSet<u64> = hits.iter().map(|hit| hit.source["seq"].as_u64().expect("a number")).collect();
    let (lost, doubled) = (lines.len() - seen.len(), hits.len() - seen.len());
    server::say(&format!("opensearch: kills 3, lost {lost}, doubled {doubled}, met their own id {}", index.failed()));
    assert_eq!((lost, doubled), (0, 0));
    assert_eq!(hits.iter().map(|hit| &hit.id).collect::<HashSet<_>>().len(), lines.len());

    let output = run.ledger.output("out");
    assert_eq!(output.delivered, output.routed + output.recovered);
}

/// For the JSON records.
fn mapping() -> Value {
    json!({
        "@timestamp": { "type": "date" }, "ts": { "type": "date" },
        "seq": { "type": "long" }, "n": { "type": "long" }, "f": { "type": "double" }, "big": { "type": "keyword" },
        // An object that is not looked into: keys with dots and lists of mixed types stay as they are.
        "nest": { "type": "object", "enabled": false },
    })
}

/// What `CHAIN` makes of a record it keeps.
fn edit(line: &JsonLine) -> Value {
    let mut value: Value = serde_json::from_str(&line.text).expect("valid JSON");
    let map = value.as_object_mut().expect("a map");
    let old = map.remove("old").expect("every record has it");
    map.insert("renamed".to_owned(), old);
    map.insert("env".to_owned(), json!("test Ω"));
    map["nest"]["added"] = json!(format!("{}/{}", line.level, line.seq));
    map["nest"].as_object_mut().expect("a map").remove("gone");
    value
}

/// The document is `expected`, with the record's time under `@timestamp`.
fn assert_json(hit: &Hit, line: &JsonLine, mut expected: Value) {
    let mut source = hit.source.clone();
    assert_eq!(timestamp(&mut source), line.time, "{}", hit.text);
    expected.as_object_mut().expect("a map").remove("@timestamp");
    assert_eq!(source, expected, "{}", line.text);
    // Both values above hold an integer beyond 64 bits as a float: its digits are compared in the text.
    let stored: Big = serde_json::from_str(&hit.text).expect("every record has `big`");
    assert_eq!(stored.big.get(), line.big);
}

/// Takes `@timestamp` away, in nanoseconds.
fn timestamp(source: &mut Value) -> i64 {
    let stamp = source.as_object_mut().expect("a map").remove("@timestamp");
    let stamp = stamp.as_ref().and_then(Value::as_str).expect("every document has a time");
    let time: jiff::Timestamp = stamp.parse().expect("RFC 3339");
    i64::try_from(time.as_nanosecond()).expect("a time of this century")
}

fn field(hit: &Hit, name: &str) -> String {
    hit.source[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", hit.text)).to_owned()
}

fn by_seq(hits: Vec<Hit>) -> HashMap<u64, Hit> {
    let count = hits.len();
    let map: HashMap<u64, Hit> =
        hits.into_iter().map(|hit| (hit.source["seq"].as_u64().expect("every record has `seq`"), hit)).collect();
    assert_eq!(map.len(), count, "a record is there twice");
    map
}

/// Names the first difference: two lists of 5000 are no message.
fn assert_same(arrived: &[String], sent: &[String]) {
    if let Some(at) = (0..arrived.len().max(sent.len())).find(|&at| arrived.get(at) != sent.get(at)) {
        panic!(
            "{} arrived, {} sent; first difference: {:?}, {:?}",
            arrived.len(),
            sent.len(),
            arrived.get(at),
            sent.get(at)
        );
    }
}
