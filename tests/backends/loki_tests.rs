//! Pipelines into Grafana Loki.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::agent::{self, Agent};
use super::input::{self, JsonLine};
use super::ledger::sum;
use super::loki::{self, Entry};
use super::server;

const COUNT: u64 = 5000;
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
set = { env = "test Ω" }
remove = ["nest"]

"#;
/// Names, and the settings that tell the outputs apart. No record has the field `absent`: its metadata is left out.
const OUTPUTS: [(&str, &str); 4] = [
    ("text", "labels = { job = 'suiro-text' }\n"),
    (
        "json",
        "labels = { job = 'suiro-json', level = '{level}' }\n\
         structured_metadata = { seq = '{seq}', none = '{absent}' }\n",
    ),
    ("edited", "labels = { job = 'suiro-edited' }\n"),
    ("apache", "labels = { job = 'suiro-apache' }\n"),
];

/// Scenario: text, JSON with a label and metadata from its fields, JSON through a chain, and an access log.
/// Guarantees: text arrives in the order of the file, repeats included, each at a time of its own; a JSON line that
/// nobody edited is the text that was read, byte for byte, at the time it carries; labels and metadata are right.
#[test]
fn every_record_arrives_as_it_was_written() {
    let Some(server) = server::loki() else { return };
    let base = input::base(COUNT);
    let (text, json, apache) = (input::text(COUNT), input::json(COUNT, base, false), input::apache(COUNT, base));
    let output = |(name, more): (&str, &str)| {
        format!("[[output]]\ntype = 'loki'\nname = 'to-{name}'\nmatch = '{name}'\nurl = '{}'\n{more}\n", server.url)
    };
    let agent = Agent::new(|folder| {
        [
            agent::tail(folder, "text", "", text.iter().map(String::as_str)),
            agent::tail(folder, "json", "json", json.iter().map(|line| &*line.text)),
            agent::tail(folder, "edited", "json", json.iter().map(|line| &*line.text)),
            agent::tail(folder, "apache", "apache_combined", apache.iter().map(|line| &*line.text)),
            CHAIN.to_owned(),
            OUTPUTS.map(output).concat(),
        ]
        .concat()
    });
    let run = agent.run();
    run.ledger.assert_settled();
    assert!(run.status.success(), "{}\n{}", run.status, run.stderr);

    let arrived = all(server, "suiro-text");
    let times: HashSet<i64> = arrived.iter().map(|entry| entry.time).collect();
    assert_eq!(times.len(), arrived.len(), "lines without a time of their own each get one");
    for (at, line) in text.iter().enumerate() {
        assert_eq!(arrived.get(at).map(|entry| &entry.line), Some(line), "line {at} of {}", arrived.len());
    }
    assert_eq!(arrived.len(), text.len());

    let arrived = all(server, "suiro-json");
    assert_eq!(arrived.len(), json.len());
    for (entry, line) in arrived.iter().zip(&json) {
        assert_eq!((&entry.line, entry.time), (&line.text, line.time));
        assert_eq!(label(entry, "level"), line.level);
        assert_eq!(label(entry, "seq"), line.seq.to_string());
        assert_eq!(entry.labels.len(), 3, "job, level and seq: {entry:?}");
    }

    let arrived = all(server, "suiro-edited");
    let kept: Vec<&JsonLine> = json.iter().filter(|line| line.level != "debug").collect();
    assert_eq!(arrived.len(), kept.len());
    for (entry, line) in arrived.iter().zip(kept) {
        let mut expected: Value = serde_json::from_str(&line.text).expect("valid JSON");
        expected["env"] = Value::from("test Ω");
        expected.as_object_mut().expect("a map").remove("nest");
        assert_eq!(serde_json::from_str::<Value>(&entry.line).expect("valid JSON"), expected);
        assert!(entry.line.contains(line.big), "{} has lost digits of {}", entry.line, line.big);
        assert_eq!(entry.time, line.time);
    }

    // Ten lines a second share a time: within one second their order is the server's.
    let arrived = all(server, "suiro-apache");
    assert_eq!(arrived.len(), apache.len());
    let mut fields: Vec<(i64, Value)> =
        arrived.iter().map(|entry| (entry.time, serde_json::from_str(&entry.line).expect("valid JSON"))).collect();
    fields.sort_by_key(|(_, fields)| item(fields));
    for ((time, fields), line) in fields.iter().zip(&apache) {
        assert_eq!((*time, fields), (line.time, &line.fields));
    }

    let quiet = run.ledger.filter("quiet");
    assert_eq!((quiet.taken, sum(&quiet.dropped)), (COUNT, COUNT / 4));
    for (name, delivered) in [("text", COUNT), ("json", COUNT), ("edited", COUNT - COUNT / 4), ("apache", COUNT)] {
        assert_eq!(run.ledger.input(name).received, COUNT);
        assert_eq!(run.ledger.output(&format!("to-{name}")).delivered, delivered);
    }
}

/// Scenario: the agent is killed with SIGKILL while it writes, twice, and run to the end at last.
/// Guarantees: nothing is lost. Records with a time of their own are equal when they come again, and Loki keeps one
/// of what is equal, but not if it has split the stream between the two, as it does where much comes in at once: how
/// many stay double is printed, not promised.
#[test]
fn a_killed_agent_loses_nothing() {
    // More bytes than Loki takes at once (6 MB, then 4 MiB a second): a fast agent is not through before the kills.
    const COUNT: u64 = 24_000;
    let Some(server) = server::loki() else { return };
    let lines = input::json(COUNT, input::base(COUNT), false);
    let agent = Agent::new(|folder| {
        agent::tail(folder, "in", "json", lines.iter().map(|line| &*line.text))
            + &format!(
                "[[output]]\ntype = 'loki'\nname = 'out'\nmatch = 'in'\nurl = '{}'\n\
                 labels = {{ job = 'suiro-killed' }}\nbatch = {{ max_records = 100 }}\n",
                server.url
            )
    });

    for sixth in 1..=2 {
        let mut running = agent.start();
        let limit = Instant::now() + Duration::from_secs(120);
        // The entry that ends this sixth, asked for by its time: counting them all each time would take longer than
        // the agent does.
        let mark = lines[usize::try_from(COUNT / 6 * sixth).expect("a small count")].time;
        while loki::all(&server.url, "{job=\"suiro-killed\"}", mark, mark + 1).is_empty() {
            assert!(!running.ended(), "the agent ended before the server had {sixth} sixths of the records");
            assert!(Instant::now() < limit, "the server does not have record {}", COUNT / 6 * sixth);
            // What the server has is the server's to say: there is nothing to wait on but time.
            thread::sleep(Duration::from_millis(5));
        }
        running.kill();
    }
    let run = agent.run();
    run.ledger.assert_settled();
    assert!(run.status.success(), "{}\n{}", run.status, run.stderr);

    let arrived = all(server, "suiro-killed");
    let there: HashSet<(i64, &str)> = arrived.iter().map(|entry| (entry.time, entry.line.as_str())).collect();
    let lost = lines.iter().filter(|line| !there.contains(&(line.time, line.text.as_str()))).count();
    server::say(&format!("loki: kills 2, lost {lost}, doubled {}", arrived.len() - there.len()));
    assert_eq!((lost, there.len()), (0, lines.len()));
}

/// Everything of a job, from before the first record to a minute from now.
fn all(server: &server::Server, job: &str) -> Vec<Entry> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    let now = i64::try_from(now.as_nanos()).expect("the clock is before 2262");
    let hour = 3_600_000_000_000;
    loki::all(&server.url, &format!("{{job=\"{job}\"}}"), now - 6 * hour, now + hour / 60)
}

fn label<'a>(entry: &'a Entry, name: &str) -> &'a str {
    entry.labels.get(name).unwrap_or_else(|| panic!("no label {name}: {entry:?}"))
}

/// The number in `/item/N?..`.
fn item(fields: &Value) -> u64 {
    let path = fields["path"].as_str().expect("every line has a path");
    let digits: String = path.chars().skip("/item/".len()).take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}
