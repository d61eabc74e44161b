//! The input: its sockets, and what workers read of it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use suiro_sdk::intake::{Desk, Intake};
use suiro_sdk::serve::Door;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Flow, Input, Polled, Source, SourceSetup, StartError};

use super::api::Api;
use super::receive::{Gate, Socket};
use super::settings::Settings;

struct Xray {
    settings: Settings,
    intake: Arc<Intake>,
    gate: Arc<Gate>,
}

/// What a worker reads: what is handed over, and at the end what was read and not yet taken.
struct XraySource {
    inner: Box<dyn Source>,
    gate: Arc<Gate>,
    last: VecDeque<Flow>,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    let settings = Settings::read(section)?;
    Ok(Box::new(Xray { intake: settings.server.intake(), settings, gate: Arc::default() }))
}

impl Input for Xray {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        if let Some(desk) = self.intake.desk(&setup)? {
            let Settings { udp, tcp, receive_buffer, .. } = self.settings;
            let socket = udp.map(|address| Socket::open(address, receive_buffer, desk.name())).transpose()?;
            let door = tcp.map(|address| Door::open(address, "tcp", &self.settings.server)).transpose()?;
            let api = tcp.map(|_| Api::new(&self.settings.sampling, desk.clone())).transpose()?;
            let served = door.zip(api);
            let (format, gate) = (self.settings.format, self.gate.clone());
            gate.open();
            desk.spawn(move |desk| async move {
                let reader = socket.map(|socket| socket.read(desk.clone(), format, gate));
                serve(desk, served, reader).await;
            })?;
        }
        let inner = self.intake.source(&setup);
        Ok(Some(Box::new(XraySource { inner, gate: self.gate.clone(), last: VecDeque::new() })))
    }
}

/// Until the agent stops, or who reads segments has died: then all of it is opened anew.
async fn serve(
    desk: Desk,
    served: Option<(Door, Api)>,
    reader: Option<(super::receive::Reading, tokio::task::JoinHandle<()>)>,
) {
    let stopping = desk.stopping();
    let answering = async {
        if let Some((door, api)) = served {
            door.serve(desk.clone(), Arc::new(api)).await;
        }
    };
    // Whoever ends this, ends the reading.
    let (_reading, thread) = reader.unzip();
    let read = async {
        match thread {
            Some(thread) => thread.await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = async { tokio::join!(answering, stopping) } => {}
        ended = read => {
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Source for XraySource {
    fn poll(&mut self) -> Polled {
        self.inner.poll()
    }

    /// Nobody sends a segment again: what was handed over is taken. The gate is closed first, so that nothing is handed over
    /// behind that.
    fn stop(&mut self) {
        self.gate.close();
        // It panics if the network side has died: there is nothing more then.
        while let Ok(polled) = catch_unwind(AssertUnwindSafe(|| self.inner.poll())) {
            match polled {
                Polled::Batch(flow) => self.last.push_back(flow),
                Polled::Idle { until: Some(_) } => {}
                Polled::Idle { until: None } | Polled::Done => break,
            }
        }
        self.inner.stop();
    }

    fn finish(&mut self) -> Option<Flow> {
        self.last.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use suiro_record::{Row, Scope, Signal};

    use super::*;
    use crate::xray::input::tests::setup;

    #[test]
    fn what_was_read_is_handed_on_when_the_agent_stops() {
        let setup = setup();
        let intake = Intake::new(1 << 20);
        let desk = intake.desk(&setup).unwrap().unwrap();
        let gate = Arc::<Gate>::default();
        let inner = intake.source(&setup);
        let mut source = XraySource { inner, gate: gate.clone(), last: VecDeque::new() };
        for _ in 0..2 {
            let mut batch = desk.batch(Arc::new(Scope::new(desk.origin())), Signal::Traces);
            let root = batch.new_object();
            batch.rows.push(Row::new(root, 0, 0, 1));
            drop(desk.submit(desk.try_room(1).unwrap(), vec![batch], 1));
        }
        source.stop();
        for _ in 0..2 {
            source.finish().expect("a batch").custody.settle();
        }
        assert!(source.finish().is_none() && gate.is_closed());
        assert_eq!((setup.ledger.received(), setup.ledger.settled_records()), (2, 2));
    }
}
