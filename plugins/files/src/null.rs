//! The output `null`: takes everything and keeps nothing. The ledger still counts.

use suiro_record::Signal;
use suiro_sdk::output::Delivering;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivery, Outcome, Output};

/// What `suiro list` says.
pub(crate) const ABOUT: &str = "takes everything and keeps nothing";

#[derive(Debug)]
struct Null;

/// Reads the settings: there are none.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Output>, Reported> {
    section.finish()?;
    Ok(Box::new(Null))
}

impl Output for Null {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Logs, Signal::Traces, Signal::Metrics]
    }

    fn takes_packed(&self) -> bool {
        true
    }

    fn deliver<'a>(&'a self, _delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(std::future::ready(Outcome::Delivered))
    }
}
