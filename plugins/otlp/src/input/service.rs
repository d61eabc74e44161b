//! Requests, and their answers in the sender's own terms.

use std::net::SocketAddr;

use suiro_record::{Batch, Signal};
use suiro_sdk::Reason;
use suiro_sdk::intake::{Ack, Desk};
use suiro_sdk::serve::{Body, Refusal, Request, Response, Service, StatusCode, answer, grpc};

use crate::codec::answer::{Encoding, PartialSuccess, Status};
use crate::codec::{self, DecodeError, json};

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `Export` of the three services.
    Grpc,
    /// `/v1/logs` and its kin.
    Http,
}

/// What answers requests on one port.
pub(super) struct Receiver {
    pub(super) protocol: Protocol,
    /// Where the other protocol is spoken.
    pub(super) other: Option<SocketAddr>,
    pub(super) ack: Ack,
    pub(super) desk: Desk,
}

const SERVICES: [(Signal, &str, &str); 3] = [
    (Signal::Logs, "/v1/logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
    (Signal::Traces, "/v1/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
    (Signal::Metrics, "/v1/metrics", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
];

// === impl Receiver ===

impl Service for Receiver {
    async fn call(&self, request: &mut Request) -> Response {
        match self.protocol {
            Protocol::Grpc => self.grpc(request).await,
            Protocol::Http => self.http(request).await,
        }
    }
}

impl Receiver {
    async fn grpc(&self, request: &mut Request) -> Response {
        if !grpc::is_grpc(request) {
            request.turn_away(Reason::MALFORMED);
            let there = self.elsewhere("OTLP over HTTP");
            return Refusal::media_type(&request.media_type(), &format!("gRPC (application/grpc){there}"))
                .into_response();
        }
        if let Err(refusal) = grpc::expect_call(request) {
            request.turn_away(Reason::MALFORMED);
            return refusal.into_response();
        }
        let service = SERVICES.iter().find(|(_, _, method)| *method == request.path);
        let Some((signal, ..)) = service else {
            request.turn_away(Reason::MALFORMED);
            let paths = "Export of the services for logs, traces and metrics";
            return grpc::refuse(&Refusal::not_found(&request.path, paths));
        };
        let taken = match grpc::message(request).await {
            Ok(body) => self.take(*signal, Encoding::Protobuf, body).await,
            Err(refusal) => Err(refusal),
        };
        match taken {
            Ok(partial) => {
                let mut message = Vec::new();
                partial.write(*signal, Encoding::Protobuf, &mut message);
                grpc::reply(&message)
            }
            Err(refusal) => grpc::refuse(&refusal),
        }
    }

    async fn http(&self, request: &mut Request) -> Response {
        let encoding = match request.media_type().as_str() {
            "application/x-protobuf" => Encoding::Protobuf,
            "application/json" => Encoding::Json,
            "application/grpc" => {
                request.turn_away(Reason::MALFORMED);
                let there = self.elsewhere("gRPC");
                let types = format!("application/x-protobuf or application/json{there}");
                return Refusal::media_type("application/grpc", &types).into_response();
            }
            other => match Self::find(request) {
                Ok(_) => {
                    request.turn_away(Reason::MALFORMED);
                    return Refusal::media_type(other, "application/x-protobuf or application/json").into_response();
                }
                Err(refusal) => return refusal.into_response(),
            },
        };
        let answered = async {
            let signal = Self::find(request)?;
            let body = request.body().await?;
            Ok::<_, Refusal>((signal, self.take(signal, encoding, body).await?))
        };
        let mut body = Vec::new();
        match answered.await {
            Ok((signal, partial)) => {
                partial.write(signal, encoding, &mut body);
                answer(StatusCode::OK, media_type(encoding), body)
            }
            Err(refusal) => {
                let code = grpc::Code::of(refusal.status) as i32;
                // `Retry-After` says when to come again.
                Status { code, message: refusal.why.clone(), retry: None }.write(encoding, &mut body);
                refusal.with_body(media_type(encoding), body)
            }
        }
    }

    /// What a request over HTTP is about.
    fn find(request: &Request) -> Result<Signal, Refusal> {
        let service = SERVICES.iter().find(|(_, path, _)| *path == request.path);
        let found = match service {
            Some((signal, ..)) => request.expect_post().map(|()| *signal),
            None => Err(Refusal::not_found(&request.path, "POST /v1/logs, /v1/traces and /v1/metrics")),
        };
        found.inspect_err(|_| request.turn_away(Reason::MALFORMED))
    }

    /// Takes a request in, and says what the answer says of it.
    async fn take(&self, signal: Signal, encoding: Encoding, body: Body) -> Result<PartialSuccess, Refusal> {
        let Body { bytes, mut room, wire, .. } = body;
        let request = match encoding {
            Encoding::Protobuf => bytes,
            Encoding::Json => json::to_protobuf(signal, &bytes).map_err(|error| self.malformed(error))?,
        };
        let source = self.desk.origin();
        let mut new_batch = |scope| self.desk.batch(scope, signal);
        let decoded = codec::decode(signal, request, &source, &mut new_batch).map_err(|error| self.malformed(error))?;
        let codec::Decoded { batches, refused, why } = decoded;
        let records: usize = batches.iter().map(Batch::len).sum();
        if let Some(error) = &why
            && records == 0
        {
            self.desk.turn_away(Reason::MALFORMED, refused);
            return Err(Refusal::bad_request(format!("none of the {refused} records can be read: {error}")));
        }
        // What the records take, in place of what the body took.
        room.resize(batches.iter().map(Batch::used).sum())?;
        self.desk.submit(room, batches, wire).wait(self.ack).await?;
        let Some(error) = why else { return Ok(PartialSuccess::default()) };
        self.desk.turn_away(Reason::MALFORMED, refused);
        let message = format!("{refused} of {} records can't be read: {error}", records + refused);
        Ok(PartialSuccess { rejected: i64::try_from(refused).unwrap_or(i64::MAX), message })
    }

    fn malformed(&self, error: DecodeError) -> Refusal {
        self.desk.turn_away(Reason::MALFORMED, 1);
        Refusal::bad_request(format!("the request can't be read: {error}"))
    }

    /// Where to go with a request that came to the wrong port.
    fn elsewhere(&self, what: &str) -> String {
        self.other.map_or_else(String::new, |address| format!("; {what} is at {address}"))
    }
}

fn media_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    }
}
