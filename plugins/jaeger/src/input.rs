//! The input: where it listens, and what it answers over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use suiro_record::{Batch, Signal};
use suiro_sdk::datagrams::{Datagrams, Gate, SpanReader, receive_buffer};
use suiro_sdk::intake::{Ack, Desk, Intake};
use suiro_sdk::serve::{Body, Door, Refusal, Request, Response, ServerSettings, Service, StatusCode, empty};
use suiro_sdk::settings::{Data, Reported, Section};
use suiro_sdk::spans::Spans;
use suiro_sdk::{Input, Reason, Source, SourceSetup, StartError};

use crate::decode::{DecodeError, Form, decode};
use crate::thrift::Protocol;
use crate::udp::Messages;

const HTTP: &str = "127.0.0.1:14268";
const COMPACT: &str = "127.0.0.1:6831";
const BINARY: &str = "127.0.0.1:6832";

const PATH: &str = "/api/traces";
const TYPES: &str =
    "application/x-thrift, application/vnd.apache.thrift.binary or application/vnd.apache.thrift.compact";

struct Jaeger {
    http: Option<SocketAddr>,
    /// What is spoken there, and what the address is called.
    udp: Vec<(SocketAddr, Protocol, &'static str)>,
    /// Bytes the system keeps for datagrams nobody has read yet; `None`: as many as are good.
    receive_buffer: Option<usize>,
    settings: ServerSettings,
    ack: Ack,
    intake: Arc<Intake>,
    /// Of datagrams.
    gate: Arc<Gate>,
}

/// Where it listens.
struct Doors {
    http: Option<Door>,
    udp: Vec<(Datagrams, Protocol)>,
}

/// Takes spans over HTTP.
struct Traces {
    desk: Desk,
    ack: Ack,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    let http = address(section, "listen", HTTP);
    let udp = [("udp_compact", COMPACT, Protocol::Compact), ("udp_binary", BINARY, Protocol::Binary)];
    let udp = udp.map(|(key, default, protocol)| address(section, key, default).map(|at| (at, protocol, key)));
    let udp: Vec<_> = udp.into_iter().flatten().collect();
    let settings = ServerSettings::read(section, http.as_slice());
    let ack = Ack::read(section);
    if http.is_none() && udp.is_empty() {
        let help = "leave one of `listen`, `udp_compact` and `udp_binary` out, or set it to an address";
        section.error("this input listens nowhere", help);
    }
    let receive_buffer = receive_buffer(section);
    section.finish()?;
    let settings = settings?;
    let intake = settings.intake();
    Ok(Box::new(Jaeger { http, udp, receive_buffer, settings, ack, intake, gate: Arc::default() }))
}

/// An address, or `false` for none.
fn address(section: &Section, key: &str, default: &str) -> Option<SocketAddr> {
    let value = section.value(key);
    match value.as_ref().map(|value| value.data()) {
        Some(Data::Bool(false)) => None,
        Some(Data::Bool(true)) | None => default.parse().ok(),
        Some(_) => section.get(key),
    }
}

impl Input for Jaeger {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        if let Some(desk) = self.intake.desk(&setup)? {
            let doors = self.open(&desk)?;
            let (ack, gate) = (self.ack, self.gate.clone());
            gate.open();
            desk.spawn(move |desk| doors.serve(desk, ack, gate))?;
        }
        Ok(Some(self.gate.source(self.intake.source(&setup))))
    }
}

// === impl Jaeger ===

impl Jaeger {
    fn open(&self, desk: &Desk) -> Result<Doors, StartError> {
        let http = self.http.map(|address| Door::open(address, "listen", &self.settings)).transpose()?;
        let open = |&(address, protocol, setting)| {
            let socket = Datagrams::udp(desk, setting, address, self.receive_buffer, "");
            socket.map(|socket| (socket, protocol))
        };
        let udp = self.udp.iter().map(open).collect::<Result<Vec<_>, StartError>>()?;
        Ok(Doors { http, udp })
    }
}

// === impl Doors ===

impl Doors {
    /// Until the agent stops, or who reads datagrams has died: then all of it is opened anew.
    async fn serve(self, desk: Desk, ack: Ack, gate: Arc<Gate>) {
        let stopping = desk.stopping();
        let answered = async {
            if let Some(door) = self.http {
                door.serve(desk.clone(), Arc::new(Traces { desk: desk.clone(), ack })).await;
            }
        };
        let read = |(socket, protocol): (Datagrams, Protocol)| {
            let mut reader = SpanReader::new(desk.clone(), gate.clone(), Messages::new(protocol));
            socket.read(desk.clone(), move |burst| reader.take(burst))
        };
        let mut read: FuturesUnordered<_> = self.udp.into_iter().map(read).collect();
        tokio::select! {
            _ = async { tokio::join!(answered, stopping) } => {}
            Some(()) = read.next() => {}
        }
    }
}

impl Service for Traces {
    async fn call(&self, request: &mut Request) -> Response {
        self.take(request).await.unwrap_or_else(Refusal::into_response)
    }
}

// === impl Traces ===

impl Traces {
    async fn take(&self, request: &mut Request) -> Result<Response, Refusal> {
        let protocol = check(request).inspect_err(|_| request.turn_away(Reason::MALFORMED))?;
        let Body { bytes, mut room, wire, .. } = request.body().await?;
        let (batches, used) = self.decode(&bytes, protocol).map_err(|error| {
            request.turn_away(Reason::MALFORMED);
            Refusal::bad_request(format!("this is no batch of Jaeger's in Thrift: {error}"))
        })?;
        // From here on the batches take memory, and the body none.
        drop(bytes);
        room.resize(used)?;
        self.desk.submit(room, batches, wire).wait(self.ack).await?;
        Ok(empty(StatusCode::ACCEPTED))
    }

    /// Batches, and the memory they take.
    fn decode(&self, bytes: &[u8], protocol: Protocol) -> Result<(Vec<Batch>, usize), DecodeError> {
        let mut open = |scope| self.desk.batch(scope, Signal::Traces);
        let mut spans = Spans::new(&mut open);
        decode(bytes, protocol, Form::Batch, &self.desk.origin(), 0, &mut spans)?;
        let used = spans.used();
        Ok((spans.finish(), used))
    }
}

/// Which protocol the body is in.
fn check(request: &Request) -> Result<Protocol, Refusal> {
    if request.path != PATH {
        return Err(Refusal::not_found(&request.path, "POST /api/traces"));
    }
    request.expect_post()?;
    match &*request.media_type() {
        "application/x-thrift" | "application/vnd.apache.thrift.binary" => Ok(Protocol::Binary),
        "application/vnd.apache.thrift.compact" => Ok(Protocol::Compact),
        other => Err(Refusal::media_type(other, TYPES)),
    }
}
