//! The client against servers that behave, and servers that don't.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpListener;

use super::test_kit::{Reply, Server};
use super::{Answer, Client, ClientSettings, Failure, Offer, Request, judge};
use crate::ledger::{OutputLedger, read};
use crate::output::Outcome;
use crate::settings::Section;

const OFFER: Offer = Offer { url: "", several: true, api_key: true, compression: true };

fn client(text: &str) -> (Client, Arc<OutputLedger>) {
    let (section, diagnostics) = Section::from_text("[[output]] x", text);
    let settings = ClientSettings::read(&section, OFFER);
    assert!(section.finish().is_ok(), "{}", diagnostics.render(false));
    let ledger = Arc::new(OutputLedger::default());
    (Client::new(settings.unwrap(), ledger.clone()).unwrap(), ledger)
}

async fn post(client: &Client, body: &[u8], limit: usize) -> Result<Answer, Failure> {
    let mut buffer = client.buffer();
    buffer.bytes.extend_from_slice(body);
    let content_type = "text/plain";
    client.send(Request { method: reqwest::Method::POST, body: buffer, content_type, header: None, limit }).await
}

fn why(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Retry { why, .. } => why,
        Outcome::Refused { detail, .. } => detail,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_is_what_the_settings_say_and_connections_are_kept() {
    let server = Server::start(|_| Reply::text(200, "fine")).await.unwrap();
    let (client, ledger) = client(&format!(
        "url = '{}/in?a=b'\nauth = {{ user = 'u', password = 'p' }}\nheaders = {{ X-Key = 'k' }}",
        server.url
    ));
    for body in ["one", "two", "three"] {
        let answer = post(&client, body.as_bytes(), 100).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..], answer.cut), (200, &b"fine"[..], false));
    }
    assert_eq!(server.connections(), 1);
    let requests = server.requests();
    let bodies: Vec<String> = requests.iter().map(|r| r.text()).collect();
    assert_eq!(bodies, ["one", "two", "three"]);
    let first = &requests[0];
    assert_eq!((first.method.as_str(), first.target.as_str()), ("POST", "/in?a=b"));
    assert_eq!(first.header("authorization"), Some("Basic dTpw"));
    assert_eq!(first.header("x-key"), Some("k"));
    assert_eq!(first.header("content-type"), Some("text/plain"));
    assert_eq!(first.header("content-length"), Some("3"));
    assert!(first.header("user-agent").unwrap().starts_with("suiro/"));
    assert_eq!(read(&ledger.bytes), 11);
}

#[tokio::test]
async fn gzip_is_announced_and_counted_as_sent() {
    let server = Server::start(|_| Reply::text(204, "")).await.unwrap();
    let (client, ledger) = client(&format!("url = '{}'\ncompression = 'gzip'", server.url));
    let plain = b"the same again\n".repeat(1000);
    for _ in 0..3 {
        post(&client, &plain, 100).await.unwrap();
    }
    let requests = server.requests();
    for request in requests.iter() {
        assert_eq!(request.header("content-encoding"), Some("gzip"));
        let mut out = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&request.body[..]), &mut out).unwrap();
        assert!(out == plain);
    }
    let sent: usize = requests.iter().map(|r| r.body.len()).sum();
    assert!(sent < plain.len() / 5);
    assert_eq!(read(&ledger.bytes), sent as u64);
}

#[tokio::test]
async fn an_answer_of_10_gb_is_cut() {
    for status in [200, 500] {
        let server = Server::start(move |_| Reply::Endless(status)).await.unwrap();
        let (client, _) = client(&format!("url = '{}'", server.url));
        let answer = post(&client, b"x", 100_000).await.unwrap();
        assert!(answer.cut);
        assert_eq!(answer.body.len(), 100_000);
        assert!(answer.summary().chars().count() < 400);
        drop(answer);
        // The connection ends; what was taken is bounded by the buffers of the sockets in between.
        assert!(server.taken_of_endless().await < 50 << 20);
    }
}

#[tokio::test]
async fn a_server_that_never_answers_costs_the_timeout() {
    let server = Server::start(|_| Reply::Silent).await.unwrap();
    let (client, _) = client(&format!("url = '{}'\ntimeout = '50ms'", server.url));
    let failure = post(&client, b"x", 100).await.unwrap_err();
    assert!(!failure.unsent);
    assert!(failure.to_string().starts_with("no answer in time (127.0.0.1:"), "{failure}");
    assert!(matches!(failure.into_outcome(), Outcome::Retry { degraded: false, after: None, .. }));
}

#[tokio::test]
async fn a_reset_is_tried_again() {
    let server = Server::start(|_| Reply::Reset).await.unwrap();
    let (client, _) = client(&format!("url = '{}'", server.url));
    let failure = post(&client, &[b'x'; 100_000], 100).await.unwrap_err();
    assert!(failure.to_string().starts_with("the connection broke (127.0.0.1:"), "{failure}");
    assert!(!failure.unsent);
}

#[tokio::test]
async fn a_body_that_breaks_off_keeps_its_status() {
    let server = Server::start(|_| Reply::Broken(202, b"half of".to_vec())).await.unwrap();
    let (client, _) = client(&format!("url = '{}'", server.url));
    let answer = post(&client, b"x", 100).await.unwrap();
    assert_eq!(answer.status.as_u16(), 202);
    assert!(answer.broken.is_some());
    assert_eq!(judge(&answer), Outcome::Delivered);
}

#[tokio::test]
async fn html_and_retry_after() {
    let html = "<html><head><title>503</title></head><body>\r\n<h1>Back\tsoon</h1></body></html>";
    let server = Server::start(move |_| Reply::text(503, html).with("Retry-After", "7")).await.unwrap();
    let (client, _) = client(&format!("url = '{}'", server.url));
    let outcome = judge(&post(&client, b"x", 1000).await.unwrap());
    let why = "503 Service Unavailable: 503 Back soon".to_owned();
    assert_eq!(outcome, Outcome::Retry { why, after: Some(Duration::from_secs(7)), degraded: false });
}

#[tokio::test]
async fn a_redirect_is_shown_not_followed() {
    let elsewhere = Server::start(|_| Reply::text(200, "")).await.unwrap();
    let to = elsewhere.url.clone();
    let server = Server::start(move |_| Reply::text(307, "").with("location", to.clone())).await.unwrap();
    let (client, _) = client(&format!("url = '{}'", server.url));
    let outcome = judge(&post(&client, b"x", 1000).await.unwrap());
    assert!(why(&outcome).contains(&elsewhere.url), "{outcome:?}");
    assert!(matches!(outcome, Outcome::Retry { degraded: true, .. }));
    assert_eq!(elsewhere.connections(), 0);
}

/// A port nobody listens on.
async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn the_next_endpoint_is_tried_where_nothing_was_sent() {
    let dead = closed_port().await;
    let hits = Arc::new(AtomicUsize::new(0));
    let count = hits.clone();
    let live = Server::start(move |_| {
        count.fetch_add(1, Relaxed);
        Reply::text(200, "")
    })
    .await
    .unwrap();
    let (client, ledger) = client(&format!("url = ['{dead}', '{}']", live.url));
    for _ in 0..4 {
        post(&client, b"body", 100).await.unwrap();
    }
    assert_eq!(hits.load(Relaxed), 4);
    // The dead one was tried once, then passed over.
    assert_eq!(read(&ledger.bytes), 5 * 4);
}

#[tokio::test]
async fn nobody_there() {
    let (client, _) = client(&format!("url = ['{}', '{}']", closed_port().await, closed_port().await));
    let failure = post(&client, b"x", 100).await.unwrap_err();
    assert!(failure.unsent);
    assert!(failure.to_string().starts_with("can't connect (127.0.0.1:"), "{failure}");
    assert!(failure.to_string().contains("refused"), "{failure}");
}

#[tokio::test]
async fn what_answers_in_another_protocol_is_a_broken_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.2\r\n").await;
        }
    });
    let (client, _) = client(&format!("url = '{url}'"));
    let failure = post(&client, b"x", 100).await.unwrap_err();
    assert!(!failure.unsent || failure.to_string().contains("can't connect"), "{failure}");
}
