//! From StatsD to Datadog through the agent, types intact.

use std::net::UdpSocket;

use serde_json::Value;
use suiro_test_servers::{Fault, Sink};

use crate::agent::Site;

fn site(sink: &Sink, input: &str) -> Site {
    Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'statsd'\nudp = '127.0.0.1:0'\n{input}\n\
         [[output]]\nname = 'dd'\ntype = 'datadog_metrics'\nurl = '{}'\napi_key = 'k3y'\ncompression = 'none'\n\
         retry = {{ initial = '10ms', max = '50ms' }}\nbatch = {{ timeout = '20ms' }}\n",
        sink.url()
    ))
}

/// All items of requests to that path.
fn items(sink: &Sink, path: &str) -> Vec<Value> {
    let bodies = sink.bodies();
    let mut items = Vec::new();
    for body in bodies.iter().filter(|body| body.path == path) {
        assert!(body.headers.iter().any(|(name, value)| name == "dd-api-key" && value == "k3y"));
        let value: Value = serde_json::from_slice(&body.bytes).expect("JSON");
        items.extend(value["series"].as_array().expect("a list").iter().cloned());
    }
    items
}

#[test]
fn types_keep_their_meaning_from_end_to_end() {
    let sink = Sink::start().unwrap();
    // The server is overloaded at first.
    sink.faults().script(vec![Fault::Busy(None); 2]);
    let site = site(&sink, "interval = '300ms'\ndistributions = 'values'");
    let running = site.start();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let text = "hits:1|c|#a:1,blue\nhits:2|c|@0.5|#blue,a:1\ndepth:7|g\nsize:1:2|d\nusers:anna|s\ntime:5|ms";
    client.send_to(text.as_bytes(), running.listens("setting=udp ")).unwrap();
    running.wait_for_ledger("all points", |ledger| ledger.output("dd", "delivered") == 5);
    let ledger = running.stop().all_well().clone();
    assert_eq!((ledger.input("in", "received"), ledger.input("in", "turned_away")), (5, 0));
    assert!(ledger.output("dd", "retries") > 0);

    let series = items(&sink, "/api/v2/series");
    let find = |name: &str| series.iter().find(|item| item["metric"] == name).unwrap_or_else(|| panic!("no {name}"));
    let brief = |name: &str| (find(name)["type"].as_u64().unwrap(), find(name)["points"][0]["value"].as_f64().unwrap());
    assert_eq!((brief("hits"), brief("depth"), brief("users")), ((1, 5.0), (3, 7.0), (3, 1.0)));
    assert_eq!(find("hits")["tags"], serde_json::json!(["a:1", "blue"]));
    assert_eq!((brief("time.count"), brief("time.max")), ((1, 1.0), (3, 5.0)));
    let distributions = items(&sink, "/api/v1/distribution_points");
    assert_eq!(distributions.len(), 1);
    assert_eq!(
        (&distributions[0]["metric"], &distributions[0]["points"][0][1]),
        (&"size".into(), &serde_json::json!([1, 2]))
    );
}

#[test]
fn a_stop_ends_the_window() {
    let sink = Sink::start().unwrap();
    let site = site(&sink, "interval = '1h'\ncounters = 'rate'");
    let running = site.start();
    let address = running.listens("setting=udp ");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"hits:100|c", address).unwrap();
    // What is no line is counted at once; what came before it is in the window then.
    client.send_to(b"no line", address).unwrap();
    running.wait_for_ledger("what is no line", |ledger| ledger.input("in", "turned_away") == 1);
    let ledger = running.stop().all_well().clone();
    assert_eq!((ledger.input("in", "received"), ledger.output("dd", "delivered")), (1, 1));
    let series = items(&sink, "/api/v2/series");
    assert_eq!((&series[0]["metric"], &series[0]["type"]), (&"hits".into(), &2.into()));
}
