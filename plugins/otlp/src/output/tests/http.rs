//! Plain HTTP.

use std::io::Read as _;
use std::time::Duration;

use suiro_record::Signal;
use suiro_sdk::http::test_kit::{Reply, Server};
use suiro_sdk::ledger::read;
use suiro_sdk::{Outcome, Reason, Verdict};

use super::{built, count, mixed, three};
use crate::codec::answer::{Encoding, PartialSuccess, Status};
use crate::codec::json;

fn partial(rejected: i64, message: &str, encoding: Encoding) -> Vec<u8> {
    let mut body = Vec::new();
    PartialSuccess { rejected, message: message.to_owned() }.write(Signal::Logs, encoding, &mut body);
    body
}

#[tokio::test]
async fn a_request_is_sent_as_configured() {
    let server = Server::start(|_| Reply::text(200, "")).await.unwrap();
    let (output, setup) = built(&server.url, "headers = { x-key = 'k' }");
    assert_eq!(output.deliver(&three()).await, Outcome::Delivered);
    let (output, _) = built(&format!("{}/base/v1/logs", server.url), "encoding = 'json'\ncompression = 'gzip'");
    assert_eq!(output.deliver(&three()).await, Outcome::Delivered);
    let (output, _) = built(&server.url, "compression = 'zstd'");
    assert_eq!(output.deliver(&three()).await, Outcome::Delivered);

    let requests = server.requests();
    let first = &requests[0];
    assert_eq!((first.method.as_str(), first.target.as_str()), ("POST", "/v1/logs"));
    assert_eq!((first.header("content-type"), first.header("x-key")), (Some("application/x-protobuf"), Some("k")));
    assert_eq!(count(Signal::Logs, &first.body), 3);
    assert_eq!(read(&setup.ledger.bytes), first.body.len() as u64);

    let second = &requests[1];
    assert_eq!((second.target.as_str(), second.header("content-type")), ("/base/v1/logs", Some("application/json")));
    assert_eq!(second.header("content-encoding"), Some("gzip"));
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(second.body.as_slice()).read_to_end(&mut text).unwrap();
    assert_eq!(json::to_protobuf(Signal::Logs, &text).unwrap(), first.body);

    assert_eq!(requests[2].header("content-encoding"), Some("zstd"));
    assert_eq!(zstd::stream::decode_all(requests[2].body.as_slice()).unwrap(), first.body);
}

#[tokio::test]
async fn each_answer() {
    let refused = |detail: &str| Outcome::Refused { reason: Reason::REJECTED, detail: detail.to_owned() };
    let retry = |why: &str, after: Option<u64>, degraded| Outcome::Retry {
        why: why.to_owned(),
        after: after.map(Duration::from_secs),
        degraded,
    };
    let unidentified =
        |rejected, detail: &str| Outcome::Unidentified { rejected: Some(rejected), detail: detail.to_owned() };
    let status = |message: &str, retry: Option<u64>| {
        let mut body = Vec::new();
        Status { code: 3, message: message.to_owned(), retry: retry.map(Duration::from_secs) }
            .write(Encoding::Protobuf, &mut body);
        body
    };
    let help = "; is `url` right, and does the server take logs? If not, leave logs out of `signal`";
    let cases: Vec<(Reply, Outcome)> = vec![
        (Reply::text(200, ""), Outcome::Delivered),
        (Reply::text(202, "accepted"), Outcome::Delivered),
        (Reply::text(200, partial(0, "slow down", Encoding::Protobuf)), Outcome::Delivered),
        (Reply::text(200, partial(2, "too old", Encoding::Protobuf)), unidentified(2, "too old")),
        (Reply::text(200, partial(1, "", Encoding::Json)), unidentified(1, "")),
        (Reply::text(200, "<html>Welcome</html>"), retry(&format!("200 OK: Welcome{help}"), None, true)),
        (Reply::text(429, "busy").with("retry-after", "7"), retry("429 Too Many Requests: busy", Some(7), false)),
        (Reply::text(502, ""), retry("502 Bad Gateway", None, false)),
        (Reply::text(503, status("full", Some(9))), retry("503 Service Unavailable: full", Some(9), false)),
        (Reply::text(504, ""), retry("504 Gateway Timeout", None, false)),
        (Reply::text(413, "big"), Outcome::TooLarge),
        (Reply::text(400, status("bad", None)), refused("400 Bad Request: bad")),
        (Reply::text(500, "oops"), refused("500 Internal Server Error: oops")),
        (Reply::text(408, ""), refused("408 Request Timeout")),
        (Reply::text(401, "who"), retry("401 Unauthorized: who", None, true)),
        (Reply::text(403, ""), retry("403 Forbidden", None, true)),
        (Reply::text(404, ""), retry(&format!("404 Not Found{help}"), None, true)),
    ];
    for (reply, wanted) in cases {
        let shown = format!("{reply:?}");
        let server = Server::start(move |_| reply.clone()).await.unwrap();
        let (output, _) = built(&server.url, "");
        assert_eq!(output.deliver(&three()).await, wanted, "{shown}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_lost_connection_and_silence_are_tried_again() {
    for reply in [Reply::Reset, Reply::Silent] {
        let server = Server::start(move |_| reply.clone()).await.unwrap();
        let (output, _) = built(&server.url, "timeout = '300ms'");
        assert!(matches!(output.deliver(&three()).await, Outcome::Retry { degraded: false, .. }));
    }
}

/// Signals of one delivery have a request each; what one server has refused is told from what it has.
#[tokio::test]
async fn several_signals_have_a_request_each() {
    let server = Server::start(|request| match request.target.as_str() {
        "/v1/traces" => Reply::text(400, "no spans"),
        _ => Reply::text(200, ""),
    })
    .await
    .unwrap();
    let (output, _) = built(&server.url, "");
    let detail = "400 Bad Request: no spans".to_owned();
    let verdict = Verdict::Refused { reason: Reason::REJECTED, detail };
    assert_eq!(output.deliver(&mixed()).await, Outcome::Partial(vec![(2, verdict)]));
    let requests = server.requests();
    let sent: Vec<_> = requests.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(sent, ["/v1/logs", "/v1/traces"]);
    assert_eq!(count(Signal::Logs, &requests[0].body), 3);
    assert_eq!(count(Signal::Traces, &requests[1].body), 1);
}

#[tokio::test]
async fn one_of_several_signals_is_halved_where_it_is_too_large() {
    let server = Server::start(|request| {
        let logs = request.target == "/v1/logs";
        Reply::text(if logs && count(Signal::Logs, &request.body) > 1 { 413 } else { 200 }, "")
    })
    .await
    .unwrap();
    let (output, _) = built(&server.url, "");
    assert_eq!(output.deliver(&mixed()).await, Outcome::Delivered);
    let counts: Vec<_> = server
        .requests()
        .iter()
        .filter(|request| request.target == "/v1/logs")
        .map(|request| count(Signal::Logs, &request.body))
        .collect();
    assert_eq!(counts, [3, 1, 2, 1, 1]);
}
