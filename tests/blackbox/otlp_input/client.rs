//! Requests of OTLP: made of what `opentelemetry-proto` says they are, sent by a client that does nothing on its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::body::{Body, Frame};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::PATIENCE;

/// The three services, and the paths they have over HTTP.
pub(crate) const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
pub(crate) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(crate) const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// An answer; trailers are among the headers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A connection for gRPC.
pub(crate) struct Grpc {
    runtime: Runtime,
    sender: SendRequest<Once>,
}

/// A body in one piece.
pub(crate) struct Once(Option<Bytes>);

// === impl Answer ===

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `grpc-status`, of an answer that is one of gRPC's.
    pub(crate) fn code(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        self.header("grpc-status")
    }

    /// The message of an answer that went well.
    pub(crate) fn message(&self) -> &[u8] {
        assert_eq!(self.code(), "0", "{self:?}");
        self.body.get(5..).expect("a frame")
    }
}

// === impl Grpc ===

impl Grpc {
    /// Connects in the clear.
    pub(crate) fn connect(address: &str) -> Grpc {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stream = runtime.block_on(tokio::net::TcpStream::connect(address)).unwrap();
        Grpc::over(runtime, stream)
    }

    /// Connects over TLS to who has this certificate.
    pub(crate) fn connect_tls(address: &str, ca: &rcgen::Certificate) -> Grpc {
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connecting = async {
            let stream = tokio::net::TcpStream::connect(address).await?;
            TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await
        };
        let stream = runtime.block_on(connecting).unwrap();
        Grpc::over(runtime, stream)
    }

    fn over(runtime: Runtime, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Grpc {
        let connecting = handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = runtime.block_on(connecting).unwrap();
        runtime.spawn(connection);
        Grpc { runtime, sender }
    }

    /// Calls with a message as it is.
    pub(crate) fn call(&mut self, service: &str, message: &[u8]) -> Answer {
        self.call_with(service, &[], &frame(0, message))
    }

    /// Calls with further headers and a body, its frame included.
    pub(crate) fn call_with(&mut self, service: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_call(service, headers, body).expect("an answer")
    }

    /// The same; an error if there is no answer.
    pub(crate) fn try_call(
        &mut self,
        service: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, hyper::Error> {
        let mut request = hyper::Request::post(format!("http://127.0.0.1{service}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Once(Some(Bytes::copy_from_slice(body)))).unwrap();
        let asked = self.sender.send_request(request);
        self.runtime.block_on(async {
            let (parts, mut body) = asked.await?.into_parts();
            let mut answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body: Vec::new() };
            while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                match frame?.into_data() {
                    Ok(data) => answer.body.extend_from_slice(&data),
                    Err(frame) => answer.headers.extend(frame.into_trailers().unwrap_or_default()),
                }
            }
            Ok(answer)
        })
    }
}

impl Body for Once {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }
}

/// A message in gRPC's frame.
pub(crate) fn frame(compressed: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[compressed][..], &length, message].concat()
}

/// A `POST` over HTTP/1.1; `None` if the connection is closed without an answer.
pub(crate) fn try_post(address: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    head += &format!("content-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    // Who does not read all of it may have answered already.
    let _ = stream.write_all(&[head.as_bytes(), b"\r\n", body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        headers.append(hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    Some(Answer { status, headers, body: answer[end + 4..].to_vec() })
}

/// The same of one that is answered.
pub(crate) fn post(address: &str, path: &str, kind: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let headers = [&[("content-type", kind)], headers].concat();
    try_post(address, path, &headers, body).expect("an answer")
}

// === what is sent ===

fn text(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) })
}

pub(crate) fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: text(value), ..KeyValue::default() }
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: vec![pair("service.name", "shop")], ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "lib".to_owned(), ..InstrumentationScope::default() })
}

/// Log records with the texts `record {from}..`.
pub(crate) fn logs(from: usize, count: usize) -> ExportLogsServiceRequest {
    let record = |n: usize| LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000 + n as u64,
        severity_text: "INFO".to_owned(),
        severity_number: 9,
        body: text(&format!("record {n}")),
        attributes: vec![pair("http.route", "/cart")],
        ..LogRecord::default()
    };
    let log_records = (from..from + count).map(record).collect();
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }],
    }
}

/// Spans with the names `span {from}..`.
pub(crate) fn spans(from: usize, count: usize) -> ExportTraceServiceRequest {
    let span = |n: usize| Span {
        trace_id: (n as u128 + 1).to_be_bytes().to_vec(),
        span_id: (n as u64 + 1).to_be_bytes().to_vec(),
        name: format!("span {n}"),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_500_000_000,
        ..Span::default()
    };
    let scope_spans =
        vec![ScopeSpans { scope: scope(), spans: (from..from + count).map(span).collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }],
    }
}

/// A gauge with points whose values are `{from}..`.
pub(crate) fn points(from: usize, count: usize) -> ExportMetricsServiceRequest {
    let point = |n: usize| NumberDataPoint {
        time_unix_nano: 1_700_000_000_000_000_000,
        value: Some(number_data_point::Value::AsInt(n as i64)),
        ..NumberDataPoint::default()
    };
    let data = Some(Data::Gauge(Gauge { data_points: (from..from + count).map(point).collect() }));
    let metrics = vec![Metric { name: "queue.length".to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() }],
    }
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(plain).unwrap();
    to.finish().unwrap()
}

pub(crate) fn zstd(plain: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(plain, 1).unwrap()
}
