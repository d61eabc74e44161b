//! The settings of the `otlp` output.

use suiro_record::Signal;
use suiro_sdk::compress::Compression;
use suiro_sdk::http::{ClientSettings, Endpoint, Offer};
use suiro_sdk::settings::{Reported, Section};

use crate::codec::answer::Encoding;

const OFFER: Offer = Offer { url: "\"http://127.0.0.1:4317\"", several: true, api_key: false, compression: false };

/// gRPC's own port.
const GRPC_PORT: u16 = 4317;

/// The settings.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Where and how. With HTTP, the URLs are those of all signals, without `/v1/…`.
    pub(super) client: ClientSettings,
    pub(super) protocol: Protocol,
    pub(super) encoding: Encoding,
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// gRPC, over HTTP/2.
    Grpc,
    /// Plain HTTP/1.1.
    Http,
}

// === impl Settings ===

impl Settings {
    /// Reads them.
    pub(super) fn read(settings: &Section) -> Result<Settings, Reported> {
        let client = ClientSettings::read(settings, OFFER);
        let protocol = settings.choice("protocol", &[("grpc", Protocol::Grpc), ("http", Protocol::Http)]);
        let encoding = settings.choice("encoding", &[("protobuf", Encoding::Protobuf), ("json", Encoding::Json)]);
        let compression = Compression::read_with_zstd(settings);
        settings.finish()?;
        let mut client = client?;
        client.compression = compression;
        let protocol = protocol.unwrap_or_else(|| {
            let grpc = client.endpoints.iter().all(|endpoint| endpoint.url().port() == Some(GRPC_PORT));
            if grpc { Protocol::Grpc } else { Protocol::Http }
        });
        let encoding = encoding.unwrap_or_default();
        if protocol == Protocol::Grpc && encoding == Encoding::Json {
            let message = "gRPC carries protobuf, not JSON";
            let help = "leave `encoding` out, or set `protocol = \"http\"` (and its port, usually 4318)";
            return Err(settings.error_at("encoding", message, help));
        }
        if protocol == Protocol::Grpc && client.signer.is_some() {
            let message = "requests over gRPC can't be signed for AWS, whose OTLP endpoints speak HTTP only";
            let help = "set `protocol = \"http\"`, and the `url` of an endpoint for HTTP";
            return Err(settings.error_at("auth", message, help));
        }
        client.endpoints = client.endpoints.into_iter().map(bare).collect();
        Ok(Settings { client, protocol, encoding })
    }

    /// Where a signal goes.
    pub(super) fn endpoints(&self, signal: Signal) -> Vec<Endpoint> {
        let endpoints = self.client.endpoints.iter().cloned();
        match self.protocol {
            Protocol::Grpc => endpoints.collect(),
            Protocol::Http => endpoints.map(|endpoint| endpoint.with_path(path(signal))).collect(),
        }
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self.encoding {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }
}

fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "/v1/logs",
        Signal::Traces => "/v1/traces",
        Signal::Metrics => "/v1/metrics",
    }
}

/// Some documents name the URL of one signal: that of the others is beside it.
fn bare(endpoint: Endpoint) -> Endpoint {
    [Signal::Logs, Signal::Traces, Signal::Metrics]
        .into_iter()
        .fold(endpoint, |endpoint, signal| endpoint.without_path(path(signal)))
}
