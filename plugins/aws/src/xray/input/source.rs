//! The input: its sockets, and what workers read of it.

use std::sync::Arc;

use suiro_sdk::datagrams::{Datagrams, Gate, SpanReader};
use suiro_sdk::intake::{Desk, Intake};
use suiro_sdk::serve::Door;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Input, Source, SourceSetup, StartError};

use super::api::Api;
use super::decode::{Decoder, Format};
use super::settings::Settings;

struct Xray {
    settings: Settings,
    intake: Arc<Intake>,
    gate: Arc<Gate>,
}

/// Where it listens.
struct Doors {
    segments: Option<Datagrams>,
    requests: Option<(Door, Api)>,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    let settings = Settings::read(section)?;
    Ok(Box::new(Xray { intake: settings.server.intake(), settings, gate: Arc::default() }))
}

impl Input for Xray {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        if let Some(desk) = self.intake.desk(&setup)? {
            let doors = Doors::open(&self.settings, &desk)?;
            let (format, gate) = (self.settings.format, self.gate.clone());
            gate.open();
            desk.spawn(move |desk| doors.serve(desk, format, gate))?;
        }
        Ok(Some(self.gate.source(self.intake.source(&setup))))
    }
}

// === impl Doors ===

impl Doors {
    fn open(settings: &Settings, desk: &Desk) -> Result<Doors, StartError> {
        let Settings { udp, tcp, receive_buffer, .. } = *settings;
        let datagrams = |address| Datagrams::udp(desk, "udp", address, receive_buffer, ", perhaps the X-Ray daemon");
        let segments = udp.map(datagrams).transpose()?;
        let door = tcp.map(|address| Door::open(address, "tcp", &settings.server)).transpose()?;
        let api = tcp.map(|_| Api::new(&settings.sampling, desk.clone())).transpose()?;
        Ok(Doors { segments, requests: door.zip(api) })
    }

    /// Until the agent stops, or who reads segments has died: then all of it is opened anew.
    async fn serve(self, desk: Desk, format: Format, gate: Arc<Gate>) {
        let stopping = desk.stopping();
        let answered = async {
            if let Some((door, api)) = self.requests {
                door.serve(desk.clone(), Arc::new(api)).await;
            }
        };
        let read = async {
            let Some(segments) = self.segments else { return std::future::pending().await };
            let mut reader = SpanReader::new(desk.clone(), gate, Decoder::new(format));
            segments.read(desk.clone(), move |burst| reader.take(burst)).await;
        };
        tokio::select! {
            _ = async { tokio::join!(answered, stopping) } => {}
            () = read => {}
        }
    }
}
