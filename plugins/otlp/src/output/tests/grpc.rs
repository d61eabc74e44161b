//! gRPC, against a server of hyper's that says what it is told.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use suiro_record::{Batch, Signal};
use suiro_sdk::http::test_kit::delivery;
use suiro_sdk::{Outcome, Reason};
use tokio::net::TcpListener;

use super::{built, count, lines, mixed, read, three};
use crate::codec::answer::{Encoding, PartialSuccess, Status};

/// What came in.
#[derive(Debug)]
struct Call {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// What goes out.
#[derive(Clone, Debug, Default)]
struct Script {
    http: u16,
    headers: Vec<(&'static str, String)>,
    message: Option<Vec<u8>>,
    trailers: Vec<(&'static str, String)>,
}

struct Frames(VecDeque<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

struct Server {
    url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    connections: Arc<AtomicUsize>,
}

fn map(headers: &[(&'static str, String)]) -> HeaderMap {
    headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

async fn start(script: impl Fn(&Call) -> Script + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (calls, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let server = Server { url, calls: calls.clone(), connections: connections.clone() };
    let script = Arc::new(script);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Relaxed);
            let (calls, script) = (calls.clone(), script.clone());
            let service = service_fn(move |request: Request<Incoming>| answer(request, calls.clone(), script.clone()));
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    server
}

async fn answer(
    request: Request<Incoming>,
    calls: Arc<Mutex<Vec<Call>>>,
    script: Arc<impl Fn(&Call) -> Script>,
) -> Result<Response<Frames>, std::convert::Infallible> {
    let (head, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
        body.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    let call = Call { path: head.uri.path().to_owned(), headers: head.headers, body };
    let Script { http, headers, message, trailers } = script(&call);
    calls.lock().unwrap().push(call);
    let mut frames = VecDeque::new();
    if let Some(message) = message {
        let mut framed = vec![0];
        framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
        framed.extend_from_slice(&message);
        frames.push_back(Frame::data(Bytes::from(framed)));
    }
    if !trailers.is_empty() {
        frames.push_back(Frame::trailers(map(&trailers)));
    }
    let mut response = Response::new(Frames(frames));
    *response.status_mut() = hyper::StatusCode::from_u16(http).unwrap();
    *response.headers_mut() = map(&headers);
    Ok(response)
}

fn ok(message: Vec<u8>) -> Script {
    Script {
        http: 200,
        headers: vec![("content-type", "application/grpc".to_owned())],
        message: Some(message),
        trailers: vec![("grpc-status", "0".to_owned())],
    }
}

fn failed(code: i32, message: &str, details: Option<Duration>) -> Script {
    let mut trailers = vec![("grpc-status", code.to_string()), ("grpc-message", message.to_owned())];
    if let Some(after) = details {
        let mut status = Vec::new();
        Status { code, message: message.to_owned(), retry: Some(after) }.write(Encoding::Protobuf, &mut status);
        trailers.push(("grpc-status-details-bin", STANDARD_NO_PAD.encode(status)));
    }
    Script { http: 200, headers: vec![("content-type", "application/grpc".to_owned())], message: None, trailers }
}

fn message(call: &Call) -> Vec<u8> {
    let (frame, rest) = call.body.split_at(5);
    assert_eq!(u32::from_be_bytes(frame[1..].try_into().unwrap()) as usize, rest.len());
    match (frame[0], call.headers.get("grpc-encoding").and_then(|value| value.to_str().ok())) {
        (0, None) => rest.to_vec(),
        (1, Some("zstd")) => zstd::stream::decode_all(rest).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn calls_are_made_as_configured_and_share_a_connection() {
    let server = start(|_| ok(Vec::new())).await;
    let settings = "protocol = 'grpc'\ncompression = 'zstd'\nheaders = { x-key = 'k' }";
    let (output, _) = built(&server.url, settings);
    let (first, second) = (three(), mixed());
    let both = futures_util::future::join(output.deliver(&first), output.deliver(&second)).await;
    assert_eq!(both, (Outcome::Delivered, Outcome::Delivered));
    let (plain, _) = built(&server.url, "protocol = 'grpc'");
    assert_eq!(plain.deliver(&first).await, Outcome::Delivered);
    assert_eq!(server.connections.load(Relaxed), 2);

    let calls = server.calls.lock().unwrap();
    let mut paths: Vec<_> = calls.iter().map(|call| call.path.as_str()).collect();
    paths.sort_unstable();
    let logs = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    assert_eq!(paths, [logs, logs, logs, "/opentelemetry.proto.collector.trace.v1.TraceService/Export"]);
    for call in calls.iter() {
        assert_eq!(call.headers["content-type"], "application/grpc");
        assert_eq!(call.headers["te"], "trailers");
        let (signal, records) = if call.path == logs { (Signal::Logs, 3) } else { (Signal::Traces, 1) };
        assert_eq!(count(signal, &message(call)), records);
    }
    assert_eq!(calls[0].headers["x-key"], "k");
}

#[tokio::test]
async fn each_answer() {
    let after = Some(Duration::from_millis(1500));
    let retry = |why: &str, after, degraded| Outcome::Retry { why: why.to_owned(), after, degraded };
    let refused = |detail: &str| Outcome::Refused { reason: Reason::REJECTED, detail: detail.to_owned() };
    let partial = |rejected, text: &str| {
        let mut body = Vec::new();
        PartialSuccess { rejected, message: text.to_owned() }.write(Signal::Logs, Encoding::Protobuf, &mut body);
        ok(body)
    };
    let help = "; is `url` right, and does the server take logs? If not, leave logs out of `signal`";
    let html = Script {
        http: 502,
        headers: vec![("content-type", "text/html".to_owned()), ("retry-after", "3".to_owned())],
        ..Script::default()
    };
    let cut = Script { trailers: Vec::new(), ..ok(Vec::new()) };
    let trailers_only = Script {
        headers: vec![("content-type", "application/grpc".to_owned()), ("grpc-status", "14".to_owned())],
        http: 200,
        ..Script::default()
    };
    let three_s = Some(Duration::from_secs(3));
    let unidentified = Outcome::Unidentified { rejected: Some(2), detail: "too old".to_owned() };
    let cases: Vec<(Script, Outcome)> = vec![
        (ok(Vec::new()), Outcome::Delivered),
        (partial(0, "slow"), Outcome::Delivered),
        (partial(2, "too old"), unidentified),
        (failed(14, "down%20again", None), retry("UNAVAILABLE (14): down again", None, false)),
        (failed(14, "x", after), retry("UNAVAILABLE (14): x", after, false)),
        (failed(1, "", None), retry("CANCELLED (1): ", None, false)),
        (failed(4, "", None), retry("DEADLINE_EXCEEDED (4): ", None, false)),
        (failed(10, "", None), retry("ABORTED (10): ", None, false)),
        (failed(11, "", None), retry("OUT_OF_RANGE (11): ", None, false)),
        (failed(15, "", None), retry("DATA_LOSS (15): ", None, false)),
        (failed(8, "quota", None), refused("RESOURCE_EXHAUSTED (8): quota")),
        (failed(8, "quota", after), retry("RESOURCE_EXHAUSTED (8): quota", after, false)),
        (failed(8, "grpc: received message larger than max (9 vs. 4)", None), Outcome::TooLarge),
        (failed(3, "bad", None), refused("INVALID_ARGUMENT (3): bad")),
        (failed(2, "", None), refused("UNKNOWN (2): ")),
        (failed(13, "", None), refused("INTERNAL (13): ")),
        (failed(16, "who", None), retry("UNAUTHENTICATED (16): who", None, true)),
        (failed(7, "", None), retry("PERMISSION_DENIED (7): ", None, true)),
        (failed(12, "unknown service", None), retry(&format!("UNIMPLEMENTED (12): unknown service{help}"), None, true)),
        (failed(99, "", None), refused("a code gRPC does not know (99): ")),
        (html, retry("UNAVAILABLE (14): this is no gRPC server: 502 Bad Gateway ", three_s, false)),
        (cut, refused("UNKNOWN (2): the call ended without a status: 200 OK ")),
        (trailers_only, retry("UNAVAILABLE (14): ", None, false)),
    ];
    for (script, wanted) in cases {
        let shown = format!("{script:?}");
        let server = start(move |_| script.clone()).await;
        let (output, _) = built(&server.url, "protocol = 'grpc'");
        assert_eq!(output.deliver(&three()).await, wanted, "{shown}");
        assert_eq!(server.calls.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn requests_nobody_looked_into_leave_as_they_came() {
    let mut request = Vec::new();
    let lines = lines(3);
    crate::codec::encode(Signal::Logs, lines.rows.iter().map(|row| (&lines, row)), &mut request);
    let twice = [request.as_slice(), &request].concat();
    for (settings, plain) in [("", true), ("\ncompression = 'gzip'", false)] {
        let server = start(|_| ok(Vec::new())).await;
        let (output, setup) = built(&server.url, &format!("protocol = 'grpc'{settings}"));
        let batches = [read(Signal::Logs, &request), read(Signal::Logs, &request)].concat();
        assert!(batches.iter().all(Batch::is_packed));
        assert_eq!(output.deliver(&delivery(batches)).await, Outcome::Delivered);
        let calls = server.calls.lock().unwrap();
        let [call] = calls.as_slice() else { panic!("{} calls", calls.len()) };
        assert_eq!(setup.ledger.bytes.load(Relaxed), call.body.len() as u64);
        assert_eq!(call.body[0], u8::from(!plain));
        assert_eq!(call.body[1..5], (call.body.len() as u32 - 5).to_be_bytes());
        assert_eq!(call.body[5..] == twice, plain);
    }
}

#[tokio::test]
async fn nobody_there_and_a_server_of_http_1_are_tried_again() {
    let (output, _) = built("http://127.0.0.1:1", "protocol = 'grpc'");
    assert!(matches!(output.deliver(&three()).await, Outcome::Retry { .. }));
    let old =
        suiro_sdk::http::test_kit::Server::start(|_| suiro_sdk::http::test_kit::Reply::text(200, "")).await.unwrap();
    let (output, _) = built(&old.url, "protocol = 'grpc'\ntimeout = '2s'");
    assert!(matches!(output.deliver(&three()).await, Outcome::Retry { .. }));
}
