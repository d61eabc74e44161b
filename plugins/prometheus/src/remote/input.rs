//! The input `prometheus_remote_write`: what Prometheus and its agents send.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `listen` | `127.0.0.1:9201` | |
//! | `path` | `/api/v1/write` | |
//! | `ack`, `ack_timeout` | `queued`, 8s | when a request is answered, see [`suiro_sdk::intake::Ack`] |
//! | `auth`, `tls`, `max_body`, `max_pending`, `max_connections`, `timeout` | | see [`suiro_sdk::serve::ServerSettings`] |
//!
//! # What is answered
//!
//! 204 when every record is answered for, with the counts of what was written. 400 with what is wrong where the request is
//! no protobuf (nothing is taken then), or where series of it are wrong (the others are taken: the counts say so). Senders
//! drop what they get a 400 for, and send again what they get a 503 for.

use std::net::SocketAddr;
use std::sync::Arc;

use suiro_record::{Scope, Signal};
use suiro_sdk::decompress::Encoding;
use suiro_sdk::intake::{Ack, Desk, Intake};
use suiro_sdk::serve::{
    Body, Door, Refusal, Request, Response, ServerSettings, Service, StatusCode, empty, header, listen,
};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Input, Reason, Source, SourceSetup, StartError};

use super::decode::{self, Version, Written};
use super::output::{EXEMPLARS_WRITTEN, HISTOGRAMS_WRITTEN, SAMPLES_WRITTEN};

/// What `suiro list` says.
pub(crate) const ABOUT: &str = "what Prometheus sends by remote write 1.0 and 2.0";

const TYPES: &str =
    "application/x-protobuf, with proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request";

struct RemoteWrite {
    listen: SocketAddr,
    path: String,
    ack: Ack,
    server: ServerSettings,
    intake: Arc<Intake>,
}

struct Receiver {
    desk: Desk,
    path: String,
    ack: Ack,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    let listen = listen(section, "listen", "127.0.0.1:9201");
    let path: String = section.or("path", "/api/v1/write".to_owned());
    if !path.starts_with('/') {
        section.error_at("path", "`path` is a path, such as \"/api/v1/write\"", "");
    }
    let ack = Ack::read(section);
    let server = ServerSettings::read(section, &[listen]);
    section.finish()?;
    let server = server?;
    let intake = server.intake();
    Ok(Box::new(RemoteWrite { listen, path, ack, server, intake }))
}

impl Input for RemoteWrite {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        if let Some(desk) = self.intake.desk(&setup)? {
            let door = Door::open(self.listen, "listen", &self.server)?;
            let receiver = Arc::new(Receiver { desk: desk.clone(), path: self.path.clone(), ack: self.ack });
            desk.spawn(|desk| door.serve(desk, receiver))?;
        }
        Ok(Some(self.intake.source(&setup)))
    }
}

impl Service for Receiver {
    async fn call(&self, request: &mut Request) -> Response {
        self.take(request).await.unwrap_or_else(Refusal::into_response)
    }
}

// === impl Receiver ===

impl Receiver {
    async fn take(&self, request: &mut Request) -> Result<Response, Refusal> {
        if request.path != self.path {
            return Err(Refusal::not_found(&request.path, &format!("POST {}", self.path)));
        }
        request.expect_post()?;
        let version = version_of(request)?;
        // Snappy, said or not: there is nothing else.
        let said = request.header(header::CONTENT_ENCODING).trim();
        let Body { bytes, room, wire, .. } = if matches!(said, "" | "snappy") {
            request.body_as(Encoding::Snappy).await?
        } else {
            request.body().await?
        };
        let scope = Arc::new(Scope::new(self.desk.origin()));
        let mut batch = self.desk.batch(scope, Signal::Metrics);
        let written = match decode::read(version, &bytes, &mut batch) {
            Ok(written) => written,
            Err(error) => {
                request.turn_away(Reason::MALFORMED);
                return Err(Refusal::bad_request(format!("the request can't be read: {error}")));
            }
        };
        drop(bytes);
        self.desk.turn_away(Reason::MALFORMED, written.refused);
        self.desk.submit(room, vec![batch], wire).wait(self.ack).await?;
        Ok(answer(&written))
    }
}

fn answer(written: &Written) -> Response {
    let mut response = match &written.first_refused {
        None => empty(StatusCode::NO_CONTENT),
        Some(why) => {
            let why = format!("{} of the samples were not taken, the first since {why}", written.refused);
            Refusal::bad_request(why).into_response()
        }
    };
    let counts = [
        (SAMPLES_WRITTEN, written.samples),
        (HISTOGRAMS_WRITTEN, written.histograms),
        (EXEMPLARS_WRITTEN, written.exemplars),
    ];
    for (name, n) in counts {
        response.headers_mut().insert(name, header::HeaderValue::from(n));
    }
    response
}

/// The version, by the content type.
fn version_of(request: &Request) -> Result<Version, Refusal> {
    let given = request.header(header::CONTENT_TYPE);
    let proto = given.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("proto="));
    match (request.media_type().as_str(), proto.map(|proto| proto.trim_matches('"'))) {
        ("application/x-protobuf", None | Some("prometheus.WriteRequest")) => Ok(Version::V1),
        ("application/x-protobuf", Some("io.prometheus.write.v2.Request")) => Ok(Version::V2),
        _ => {
            request.turn_away(Reason::MALFORMED);
            Err(Refusal::media_type(given, TYPES))
        }
    }
}
