//! The input: what it answers.

use std::net::SocketAddr;
use std::sync::Arc;

use suiro_record::{Batch, Signal};
use suiro_sdk::intake::{Ack, Desk, Intake};
use suiro_sdk::serve::{Body, Door, Refusal, Request, Response, ServerSettings, Service, StatusCode, empty, listen};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::spans::Spans;
use suiro_sdk::{Input, Reason, Source, SourceSetup, StartError};

use crate::decode::{DecodeError, Format, decode};

const LISTEN: &str = "127.0.0.1:9411";
const PATH: &str = "/api/v2/spans";
const TYPES: &str = "application/json or application/x-protobuf";

struct Zipkin {
    address: SocketAddr,
    settings: ServerSettings,
    ack: Ack,
    intake: Arc<Intake>,
}

/// Takes spans.
struct Collector {
    desk: Desk,
    ack: Ack,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    let address = listen(section, "listen", LISTEN);
    let settings = ServerSettings::read(section, &[address]);
    let ack = Ack::read(section);
    section.finish()?;
    let settings = settings?;
    let intake = settings.intake();
    Ok(Box::new(Zipkin { address, settings, ack, intake }))
}

impl Input for Zipkin {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        if let Some(desk) = self.intake.desk(&setup)? {
            let door = Door::open(self.address, "listen", &self.settings)?;
            let ack = self.ack;
            desk.spawn(move |desk| door.serve(desk.clone(), Arc::new(Collector { desk, ack })))?;
        }
        Ok(Some(self.intake.source(&setup)))
    }
}

impl Service for Collector {
    async fn call(&self, request: &mut Request) -> Response {
        self.take(request).await.unwrap_or_else(Refusal::into_response)
    }
}

// === impl Collector ===

impl Collector {
    async fn take(&self, request: &mut Request) -> Result<Response, Refusal> {
        let format = check(request).inspect_err(|_| request.turn_away(Reason::MALFORMED))?;
        let Body { bytes, mut room, wire, .. } = request.body().await?;
        let (batches, used) = self.decode(&bytes, format).map_err(|error| {
            request.turn_away(Reason::MALFORMED);
            Refusal::bad_request(format!("this is no list of spans of Zipkin's: {error}"))
        })?;
        // From here on the batches take memory, and the body none.
        drop(bytes);
        room.resize(used)?;
        self.desk.submit(room, batches, wire).wait(self.ack).await?;
        Ok(empty(StatusCode::ACCEPTED))
    }

    /// Batches, and the memory they take.
    fn decode(&self, bytes: &[u8], format: Format) -> Result<(Vec<Batch>, usize), DecodeError> {
        let mut open = |scope| self.desk.batch(scope, Signal::Traces);
        let mut spans = Spans::new(&mut open);
        decode(bytes, format, self.desk.origin(), &mut spans)?;
        let used = spans.used();
        Ok((spans.finish(), used))
    }
}

/// What the body is written in.
fn check(request: &Request) -> Result<Format, Refusal> {
    if request.path != PATH {
        return Err(Refusal::not_found(&request.path, "POST /api/v2/spans"));
    }
    request.expect_post()?;
    match &*request.media_type() {
        // Zipkin takes what says nothing for JSON.
        "application/json" | "" => Ok(Format::Json),
        "application/x-protobuf" => Ok(Format::Protobuf),
        other => Err(Refusal::media_type(other, TYPES)),
    }
}
