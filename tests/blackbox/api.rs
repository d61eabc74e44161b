//! The HTTP API on loopback.

use suiro_test_servers::Elasticsearch;

use crate::PATIENCE;
use crate::agent::Site;
use crate::records::{TAIL_JSON, elasticsearch, numbered};

/// A sample of a Prometheus text.
fn sample(text: &str, name: &str, labels: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(&format!("{name}{{{labels}}} "))?.parse().ok())
}

#[test]
fn it_tells_how_things_are() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!(
        "{TAIL_JSON}[[filter]]\nname = 'thin'\ntype = 'drop'\nwhen = 'n == 7'\n{}",
        elasticsearch(&server, "batch = { timeout = '20ms' }")
    ));
    site.write("app.log", numbered(0, 200));
    let running = site.start();
    assert!(server.wait_for(199, PATIENCE));
    running.wait_for_ledger("all to be settled", |ledger| ledger.is_settled() && ledger.input("in", "received") == 200);

    assert_eq!(running.get("/ready"), (200, "ready\n".to_owned()));
    assert_eq!(running.get("/api/v1/health"), (200, "ok\n".to_owned()));
    assert!(running.get("/").1.contains("suiro"));
    assert_eq!(running.get("/nothing").0, 404);

    let ledger = running.ledger();
    ledger.assert_settled();
    assert_eq!((ledger.filter("thin", "dropped"), ledger.output("es", "delivered")), (1, 199));

    let (status, metrics) = running.get("/metrics");
    assert_eq!(status, 200);
    for (name, labels, value) in [
        ("suiro_input_records_total", r#"input="in""#, 200.0),
        ("suiro_input_settled_records_total", r#"input="in""#, 200.0),
        ("suiro_input_in_flight_records", r#"input="in""#, 0.0),
        ("suiro_filter_dropped_records_total", r#"filter="thin",reason="filtered""#, 1.0),
        ("suiro_output_delivered_records_total", r#"output="es""#, 199.0),
        ("suiro_output_in_flight_records", r#"output="es""#, 0.0),
    ] {
        assert_eq!(sample(&metrics, name, labels), Some(value), "{name} in\n{metrics}");
    }
    // Each sample has its kind before it, each name once.
    let mut known = Vec::new();
    for line in metrics.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge"].contains(&kind) && !known.contains(&name), "{line}");
            known.push(name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(known.last(), Some(&name), "{line}");
            assert!(line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(), "{line}");
        }
    }
    running.stop().all_well();
}

#[test]
fn an_address_that_is_taken_is_an_error_that_names_the_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new(&format!(
        "[service]\ndata_dir = 'data'\napi = {{ listen = '{address}' }}\n[[input]]\ntype = 'stdin'\n[[output]]\ntype = 'null'\n"
    ));
    let outcome = site.once();
    assert_eq!(outcome.code(), 1);
    assert!(outcome.stderr.contains(&address.to_string()) && outcome.stderr.contains("listen"), "{}", outcome.stderr);
}

#[test]
fn it_is_ready_soon() {
    let site = Site::new("[[input]]\ntype = 'tail'\npath = '*.log'\n[[output]]\ntype = 'null'\n");
    let running = site.start();
    let said = running.stderr();
    let (_, rest) = said.split_once("ready in ").expect("it says so");
    let milliseconds: f64 = rest.split_whitespace().next().unwrap().parse().unwrap();
    // 50 ms is the aim for the release build on an idle machine; this is neither.
    assert!(milliseconds < 1000.0, "{said}");
    running.stop().all_well();
}
