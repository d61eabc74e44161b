//! `suiro health`, as health checks of containers call it.

use std::net::TcpListener;

use suiro_test_servers::{Elasticsearch, Fault};

use crate::agent::{Outcome, Running, Site};
use crate::records::{TAIL_JSON, elasticsearch, numbered};

/// The URL of its API.
fn url(running: &Running) -> String {
    let said = running.stderr();
    let (_, rest) = said.split_once("api=").expect("it said so");
    let address: String =
        rest.trim_start_matches('"').chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
    format!("http://{address}")
}

/// Exit code, and the line it says.
fn said(outcome: &Outcome) -> (i32, &str) {
    assert_eq!(outcome.stdout.lines().count(), 1, "{}", outcome.stdout);
    (outcome.code(), outcome.stdout.trim_end())
}

#[test]
fn it_says_whether_the_agent_is_well() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", elasticsearch(&server, "batch = { timeout = '10ms' }")));
    let running = site.start();
    let url = url(&running);
    assert_eq!(said(&site.command(&["health", "--url", &url])), (0, "ok"));
    assert_eq!(said(&site.command(&["health", "--url", &url, "--ready"])), (0, "ready"));
    // As the configuration has it.
    let listen = url.trim_start_matches("http://");
    site.write(
        "here.toml",
        format!("[service]\napi = {{ listen = '{listen}' }}\n[[output]]\ntype = 'of another version'\n"),
    );
    assert_eq!(said(&site.command(&["health", "-c", "here.toml"])), (0, "ok"));

    server.faults().always(Fault::Status(401, "who are you?".to_owned()));
    site.write("app.log", numbered(0, 1));
    running.wait_for("trouble", |running| running.get("/api/v1/health").0 == 500);
    let outcome = site.command(&["health", "--url", &url]);
    let (code, line) = said(&outcome);
    assert!(code == 1 && line.starts_with("degraded: es: ") && line.contains("401"), "{line}");
    assert_eq!(said(&site.command(&["health", "--url", &url, "--ready"])), (0, "ready"));
    server.faults().heal();
    running.wait_for("all to be well", |running| running.get("/api/v1/health").0 == 200);
    assert_eq!(said(&site.command(&["health", "--url", &url])), (0, "ok"));
    running.wait_for_ledger("the record", |ledger| ledger.output("es", "delivered") == 1);
    running.stop().all_well();
    let outcome = site.command(&["health", "--url", &url]);
    let (code, line) = said(&outcome);
    assert!(code == 1 && line.starts_with(&format!("no answer from {listen}")), "{line}");
}

#[test]
fn whatever_goes_wrong_is_exit_code_1_and_a_line() {
    let site = Site::new("");
    site.write("off.toml", "[service]\napi = false\n");
    site.write("any.toml", "[service]\napi = { listen = '127.0.0.1:0' }\n");
    // It takes connections and never says a word.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("http://{}", mute.local_addr().unwrap());
    for (arguments, why) in [
        (&["health", "-c", "off.toml"][..], "api = false"),
        (&["health", "-c", "any.toml"], "--url"),
        (&["health", "-c", "missing.toml"], "can't be read"),
        (&["health", "--url", "https://127.0.0.1"], "plain HTTP"),
        (&["health", "--url", &mute, "--timeout", "1"], "in time"),
    ] {
        let outcome = site.command(arguments);
        let (code, line) = said(&outcome);
        assert!(code == 1 && line.contains(why), "{arguments:?}: {line}");
    }
    assert_eq!(site.command(&["health", "--url", "http://a", "-c", "b"]).code(), 2);
}
