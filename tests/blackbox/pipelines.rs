//! Whole pipelines, each record compared.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use suiro_test_servers::{Elasticsearch, ElasticsearchOptions, Loki, LokiOptions, Sink};

use crate::agent::Site;
use crate::records::{TAIL_JSON, TAIL_TEXT, assert_numbered, by_number, elasticsearch, numbered, text};

/// Lines of JSON with all that makes them different from one another.
fn varied(count: u64) -> Vec<Value> {
    let levels = ["info", "debug", "warn", "error"];
    (0..count)
        .map(|n| {
            json!({
                "n": n,
                "level": levels[(n % 4) as usize],
                "ts": format!("2026-03-01T10:{:02}:{:02}.{:03}Z", n / 60 % 60, n % 60, 1 + n % 999),
                "message": format!("\"quoted\" \\ naïve 水路 \u{1F6B0} \u{7} line {n}\nand another"),
                "nested": { "a": { "b": [n, { "c": null }, true] }, "gone": "x", "dotted.key": 1.5e300 },
                "big": "18446744073709551615123",
                "empty": { "map": {}, "list": [], "text": "" },
            })
        })
        .collect()
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

#[test]
fn json_parsed_filtered_and_changed_arrives_at_elasticsearch() {
    let server = Elasticsearch::with(ElasticsearchOptions { data_streams: true, ..Default::default() }).unwrap();
    let site = Site::new(&format!(
        "{TAIL_JSON}\n\
         [[filter]]\nname = 'no-debug'\ntype = 'drop'\nmatch = 'app'\nwhen = 'level == \"debug\"'\n\
         [[filter]]\nname = 'change'\ntype = 'modify'\nrename = {{ message = 'msg' }}\nset = {{ env = 'test', 'nested.n' = 'n{{n}}' }}\n\
         remove = ['nested.gone']\n{}",
        elasticsearch(&server, "compression = 'gzip'")
    ));
    let records = varied(1000);
    site.write("app.log", lines(&records));
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!((ledger.input("in", "received"), ledger.input("in", "parse_errors")), (1000, 0));
    assert_eq!(ledger.filter("no-debug", "dropped"), 250);
    assert_eq!(ledger.output("es", "delivered"), 750);
    let documents = by_number(&server);
    assert_eq!(documents.len(), 750);
    for record in records.into_iter().filter(|record| record["level"] != "debug") {
        let mut want = record;
        let n = want["n"].as_u64().unwrap();
        let map = want.as_object_mut().unwrap();
        let message = map.remove("message").unwrap();
        map.insert("msg".to_owned(), message);
        map.insert("env".to_owned(), "test".into());
        want["nested"].as_object_mut().unwrap().remove("gone");
        want["nested"]["n"] = format!("n{n}").into();
        assert_eq!(documents[&n], want);
    }
    // The time is the record's own.
    let first: Value = serde_json::from_str(&server.documents()[0].source).unwrap();
    assert_eq!(first["@timestamp"], "2026-03-01T10:00:00.001Z");
    assert_eq!(server.documents()[0].index, "app");
}

#[test]
fn the_index_goes_by_the_records_day() {
    let server = Elasticsearch::start().unwrap();
    let output = elasticsearch(&server, "").replace("'app'", "'app-{team|none}-{@time:%Y.%m.%d}'");
    let site = Site::new(&format!("{TAIL_JSON}{output}"));
    site.write(
        "app.log",
        "{\"time\":\"2026-02-28T23:59:59.999Z\"}\n{\"time\":\"2026-03-01T01:00:00+01:00\",\"team\":\"a\"}\n",
    );
    assert_eq!(site.once().all_well().output("es", "delivered"), 2);
    let mut indexes: Vec<String> = server.documents().into_iter().map(|document| document.index).collect();
    indexes.sort();
    assert_eq!(indexes, ["app-a-2026.03.01", "app-none-2026.02.28"]);
}

#[test]
fn an_untouched_record_is_sent_as_it_was_written() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "")));
    let odd =
        r#"{"@timestamp":"2026-01-01T00:00:00Z" , "a" :1.0,"b":-0,"c":123456789012345678901234567890,"d":"\u0041\/"}"#;
    site.write("app.log", format!("{odd}\n"));
    site.once().all_well();
    assert_eq!(server.documents()[0].source, odd);
}

#[test]
fn text_arrives_at_loki_repeats_included() {
    for format in ["protobuf", "json"] {
        let server = Loki::start().unwrap();
        let site = Site::new(&format!(
            "{TAIL_TEXT}[[output]]\nname = 'loki'\ntype = 'loki'\nurl = '{}'\nformat = '{format}'\n\
             labels = {{ job = 'app', file = '{{@file.name}}' }}\n",
            server.url()
        ));
        let lines: Vec<String> = (0..600)
            .map(|n| match n % 10 {
                0 => "heartbeat".to_owned(),
                1 => format!("  line {n} \twith blanks, \"quotes\" and 水路  "),
                _ => format!("line {n}"),
            })
            .collect();
        site.write("app.log", lines.join("\n") + "\n");
        let outcome = site.once();
        assert_eq!(outcome.all_well().output("loki", "delivered"), 600);
        let streams = server.streams();
        assert_eq!(streams.len(), 1);
        let labels: BTreeMap<String, String> =
            [("job", "app"), ("file", "app.log")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(streams[0].labels, labels);
        assert_eq!(server.lines(), lines, "{format}");
    }
}

#[test]
fn access_logs_are_parsed() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'tail'\npath = 'access.log'\nparser = 'apache_combined'\n{}",
        elasticsearch(&server, "")
    ));
    let log: String = (0..300)
        .map(|n| {
            format!(
                "10.0.0.{} - - [22/Nov/2026:10:{:02}:{:02} +0100] \"GET /item/{n}?q=\\\"x\\\" HTTP/1.1\" {} {n} \"-\" \"agent 水 {n}\"\n",
                n % 256,
                n / 60,
                n % 60,
                [200, 404][n % 2]
            )
        })
        .collect();
    site.write("access.log", log);
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!((ledger.input("in", "parse_errors"), ledger.output("es", "delivered")), (0, 300));
    for (n, document) in server.documents().iter().enumerate() {
        let value: Value = serde_json::from_str(&document.source).unwrap();
        assert_eq!(value["@timestamp"], format!("2026-11-22T09:{:02}:{:02}Z", n / 60, n % 60));
        assert_eq!(
            (value["host"].as_str(), value["method"].as_str()),
            (Some(&*format!("10.0.0.{}", n % 256)), Some("GET"))
        );
        assert_eq!((value["status"].as_u64(), value["size"].as_u64()), (Some([200, 404][n % 2]), Some(n as u64)));
        assert_eq!(value["agent"], format!("agent 水 {n}"));
        assert!(value.get("referer").is_none() && value.get("user").is_none());
    }
}

#[test]
fn several_outputs_each_get_what_they_ask_for() {
    // The records are older than Loki likes.
    let loki = Loki::with(LokiOptions { check_age: false, ..Default::default() }).unwrap();
    let (es, sink) = (Elasticsearch::start().unwrap(), Sink::start().unwrap());
    let site = Site::new(&format!(
        "{TAIL_JSON}{}\n\
         [[output]]\nname = 'loki'\ntype = 'loki'\nmatch = 'app'\nurl = '{}'\nlabels = {{ job = 'app', level = '{{level}}' }}\nline = '{{n}}'\n\
         [[output]]\nname = 'http'\ntype = 'http'\nurl = '{}/in?x=1'\nheaders = {{ x-key = 'k' }}\n\
         [[output.filter]]\nname = 'thin'\ntype = 'modify'\nremove = ['nested', 'message', 'empty', 'big', 'ts']\n",
        elasticsearch(&es, "when = 'level in [\"warn\", \"error\"]'"),
        loki.url(),
        sink.url()
    ));
    let records = varied(400);
    site.write("app.log", lines(&records));
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!(["es", "loki", "http"].map(|name| ledger.output(name, "delivered")), [200, 400, 400]);
    // What one output's filter took away is there for the others.
    let documents = by_number(&es);
    for record in records.iter().filter(|record| record["level"] == "warn" || record["level"] == "error") {
        assert_eq!(&documents[&record["n"].as_u64().unwrap()], record);
    }
    let mut numbers: Vec<u64> = loki.lines().iter().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..400).collect::<Vec<_>>());
    assert_eq!(loki.streams().len(), 4);
    let thin: Vec<Value> = sink.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(thin.len(), 400);
    for (record, thin) in records.iter().zip(thin) {
        assert_eq!(thin, json!({ "n": record["n"], "level": record["level"] }));
    }
    let body = &sink.bodies()[0];
    assert_eq!((body.method.as_str(), body.path.as_str()), ("POST", "/in"));
    assert!(body.headers.contains(&("x-key".to_owned(), "k".to_owned())));
}

#[test]
fn records_are_routed_by_the_tag_they_get() {
    let (one, two) = (Elasticsearch::start().unwrap(), Sink::start().unwrap());
    let site = Site::new(&format!(
        "{TAIL_JSON}[[filter]]\ntype = 'retag'\ntag = 'level.{{level}}'\n{}\n\
         [[output]]\nname = 'http'\ntype = 'http'\nmatch = ['level.*', '!level.warn', '!level.debug']\nurl = '{}'\n",
        elasticsearch(&one, "match = 'level.warn'"),
        two.url()
    ));
    site.write("app.log", lines(&varied(100)));
    let outcome = site.once();
    // Nobody takes `level.debug`: with --once that is a failure.
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!(ledger.unrouted(), 25);
    assert_eq!((ledger.output("es", "delivered"), ledger.output("http", "delivered")), (25, 50));
    assert!(by_number(&one).values().all(|record| record["level"] == "warn"));
    assert!(two.lines().iter().all(|line| line.contains("\"level\":\"info\"") || line.contains("\"level\":\"error\"")));
}

#[test]
fn lists_become_records_of_their_own() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!(
        "{TAIL_JSON}[[filter]]\nname = 'split'\ntype = 'split'\npath = 'items'\n{}",
        elasticsearch(&server, "")
    ));
    let log: String = (0..100)
        .map(|n| {
            let items: Vec<Value> = (0..n % 5).map(|i| json!({ "same": i / 2 })).collect();
            format!("{}\n", json!({ "line": n, "items": items }))
        })
        .collect();
    site.write("app.log", log);
    let outcome = site.once();
    let ledger = outcome.all_well();
    // Of each five lines: one without items stays as it is, the others become 1 + 2 + 3 + 4.
    let split = |count: &str| ledger.filter("split", count);
    assert_eq!((split("in"), split("created"), split("absorbed"), split("out")), (100, 200, 80, 220));
    assert_eq!(ledger.output("es", "delivered"), 220);
    let mut seen: BTreeMap<(u64, Option<u64>), u64> = BTreeMap::new();
    for document in server.documents() {
        let value: Value = serde_json::from_str(&document.source).unwrap();
        *seen.entry((value["line"].as_u64().unwrap(), value["items"]["same"].as_u64())).or_default() += 1;
    }
    // Equal items have ids of their own.
    assert_eq!((seen[&(4, Some(0))], seen[&(4, Some(1))], seen[&(3, Some(1))], seen[&(0, None)]), (2, 2, 1, 1));
    assert_eq!(server.len(), 220);
}

#[test]
fn stack_traces_are_joined() {
    let sink = Sink::start().unwrap();
    let site = Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'tail'\npath = 'app.log'\nmultiline = 'java'\n\
         [[output]]\nname = 'http'\ntype = 'http'\nurl = '{}'\n",
        sink.url()
    ));
    let trace = |n: u32| {
        format!(
            "java.lang.IllegalStateException: number {n}\n\tat com.example.A.b(A.java:{n})\n\tat com.example.Main.main(Main.java:1)\n\
             Caused by: java.io.IOException: disk\n\t... 2 more"
        )
    };
    // The line that was logged before a trace belongs to it.
    let want: Vec<String> =
        (0..50).flat_map(|n| [format!("line {n}"), format!("caught {n}\n{}", trace(n)), trace(n + 100)]).collect();
    site.write("app.log", want.join("\n") + "\n");
    site.once().all_well();
    let got: Vec<Value> = sink.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(got, want.iter().map(|line| text(line)).collect::<Vec<_>>());
}

#[test]
fn repeats_are_joined_and_counted() {
    let sink = Sink::start().unwrap();
    let site = Site::new(&format!(
        "{TAIL_JSON}[[filter]]\nname = 'dedupe'\ntype = 'dedupe'\nkey = 'text'\n\
         [[output]]\nname = 'http'\ntype = 'http'\nurl = '{}'\n",
        sink.url()
    ));
    let log: String = (0..300).map(|n| format!("{{\"text\":\"kind {}\"}}\n", n % 3)).collect();
    site.write("app.log", log);
    let outcome = site.once();
    let ledger = outcome.all_well();
    assert_eq!((ledger.input("in", "received"), ledger.input("in", "settled")), (300, 300));
    let absorbed = ledger.filter("dedupe", "absorbed");
    assert_eq!(absorbed + ledger.filter("dedupe", "out"), 300 + ledger.filter("dedupe", "created"));
    let delivered = ledger.output("http", "delivered");
    assert!((3..=6).contains(&delivered), "{delivered} of 3 kinds");
    for kind in 0..3 {
        assert!(sink.lines().iter().any(|line| line.contains(&format!("kind {kind}"))));
    }
}

#[test]
fn standard_input_to_standard_output() {
    let site = Site::new(
        "[[input]]\nname = 'in'\ntype = 'stdin'\nparser = 'json'\n[[output]]\nname = 'out'\ntype = 'stdout'\n",
    );
    let outcome = site.once_with_stdin(numbered(0, 500).as_bytes());
    assert_eq!(outcome.all_well().output("out", "delivered"), 500);
    let numbers: Vec<u64> = outcome
        .stdout
        .lines()
        .map(|line| {
            let at = line.find('{').unwrap_or_else(|| panic!("no JSON in {line}"));
            serde_json::from_str::<Value>(&line[at..]).unwrap()["n"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
}

#[test]
fn a_disk_queue_passes_everything_on() {
    let server = Elasticsearch::start().unwrap();
    let site =
        Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "queue = { type = 'disk', max_size = '64MiB' }")));
    let records = varied(500);
    site.write("app.log", lines(&records));
    let outcome = site.once();
    assert_eq!(outcome.all_well().output("es", "delivered"), 500);
    let documents = by_number(&server);
    for record in records {
        assert_eq!(documents[&record["n"].as_u64().unwrap()], record);
    }
}

#[test]
fn a_second_run_finds_only_what_is_new() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "")));
    site.write("app.log", numbered(0, 100));
    assert_eq!(site.once().all_well().input("in", "received"), 100);
    assert_eq!(site.once().all_well().input("in", "received"), 0);
    site.append("app.log", numbered(100, 20));
    assert_eq!(site.once().all_well().input("in", "received"), 20);
    assert_numbered(&server, 120);
    assert_eq!(server.conflicts(), 0);
}
