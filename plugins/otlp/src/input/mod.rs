//! The input `otlp`: what OpenTelemetry SDKs and collectors send, over gRPC and HTTP.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `grpc` | `127.0.0.1:4317` | where gRPC is listened to; `false`: nowhere |
//! | `http` | `127.0.0.1:4318` | where HTTP is listened to, for `/v1/logs`, `/v1/traces`, `/v1/metrics`; `false`: nowhere |
//! | `ack` | `queued` | when a request is answered: once every output's queue has its records, or once they are `delivered` |
//! | `ack_timeout` | 8s | then its sender is told to send it again |
//! | `auth`, `tls`, `max_body`, `max_pending`, `max_connections`, `timeout` | | see [`ServerSettings`] |
//!
//! # Constraints
//!
//! - A request's records have an incarnation of their own; `start..end` are the bytes of the record in the request, as
//!   protobuf.
//! - The tag is the input's, whatever a request says of itself: no peer chooses where its records go.
//! - A record whose inside is broken is refused alone, and the answer says how many there were (`partial_success`); a request
//!   that is broken outside of its records is refused whole.
//!
//! # Guarantee
//!
//! A request that was answered with success has its records in every queue, or delivered, as `ack` says. One that was
//! answered otherwise, or not at all, may be in there as well: its sender sends it again, and the records arrive twice.

mod service;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use suiro_sdk::intake::{Ack, Intake};
use suiro_sdk::serve::{Door, ServerSettings};
use suiro_sdk::settings::{Data, Reported, Section};
use suiro_sdk::{Input, Source, SourceSetup, StartError};

use self::service::{Protocol, Receiver};

/// What `suiro list` says.
pub(crate) const ABOUT: &str = "logs, traces and metrics from OpenTelemetry SDKs and collectors, over gRPC and HTTP";

struct Otlp {
    grpc: Option<SocketAddr>,
    http: Option<SocketAddr>,
    server: ServerSettings,
    ack: Ack,
    intake: Arc<Intake>,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    Ok(Box::new(read(section)?))
}

fn read(section: &Section) -> Result<Otlp, Reported> {
    let grpc = address(section, "grpc", 4317);
    let http = address(section, "http", 4318);
    let listening: Vec<SocketAddr> = [&grpc, &http].into_iter().filter_map(|address| *address.as_ref().ok()?).collect();
    let server = ServerSettings::read(section, &listening);
    let ack = Ack::read(section);
    if let (Ok(None), Ok(None)) = (&grpc, &http) {
        section.error_at("http", "neither `grpc` nor `http` is listened to", "leave one of them out");
    }
    if let (Ok(Some(one)), Ok(Some(other))) = (&grpc, &http)
        && one == other
        && one.port() != 0
    {
        let help = "each has a port of its own: 4317 and 4318 by default";
        section.error_at("http", "`grpc` and `http` are the same address", help);
    }
    section.finish()?;
    let server = server?;
    let intake = server.intake();
    Ok(Otlp { grpc: grpc?, http: http?, server, ack, intake })
}

/// An address; `None` where the setting is `false`.
fn address(section: &Section, key: &str, port: u16) -> Result<Option<SocketAddr>, Reported> {
    let default = SocketAddr::from(([127, 0, 0, 1], port));
    let Some(value) = section.value(key) else { return Ok(Some(default)) };
    match value.data() {
        Data::Bool(on) => Ok(on.then_some(default)),
        Data::String(_) => value.read().map(Some),
        _ => Err(value.expected("an address and port such as \"127.0.0.1:4317\", or false")),
    }
}

// === impl Otlp ===

impl Input for Otlp {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        if let Some(desk) = self.intake.desk(&setup)? {
            let open = |address: Option<SocketAddr>, setting| {
                address.map(|address| Door::open(address, setting, &self.server)).transpose()
            };
            let (grpc, http) = (open(self.grpc, "grpc")?, open(self.http, "http")?);
            let addresses = (grpc.as_ref().map(Door::address), http.as_ref().map(Door::address));
            let ack = self.ack;
            desk.spawn(move |desk| async move {
                let receiver = |protocol, other| Arc::new(Receiver { protocol, other, ack, desk: desk.clone() });
                tokio::join!(
                    serve(grpc, receiver(Protocol::Grpc, addresses.1)),
                    serve(http, receiver(Protocol::Http, addresses.0)),
                );
            })?;
        }
        Ok(Some(self.intake.source(&setup)))
    }
}

async fn serve(door: Option<Door>, receiver: Arc<Receiver>) {
    if let Some(door) = door {
        door.serve(receiver.desk.clone(), receiver).await;
    }
}
