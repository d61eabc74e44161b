//! stub
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivery, Verdict};
#[derive(Clone, Debug)]
pub(crate) struct Settings {}
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) number: u32,
    pub(crate) part: u32,
    pub(crate) row: u32,
}
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) time: i64,
    pub(crate) text: Vec<u8>,
    pub(crate) records: Vec<u32>,
}
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) documents: Vec<Document>,
    pub(crate) apart: Vec<(usize, Verdict)>,
    pub(crate) dimensions_limited: usize,
}
impl Settings {
    pub(crate) fn read(_s: &Section, is_emf: bool) -> Result<Option<Settings>, Reported> {
        Ok(is_emf.then_some(Settings {}))
    }
}
pub(crate) fn write(_s: &Settings, _d: &Delivery, _p: &[Place]) -> Written {
    Written::default()
}
