//! The output as a whole: what is sent, and what becomes of what is answered.

mod bodies;
mod decode;
mod outcomes;

use suiro_sdk::http::Buffers;
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Output, OutputSetup};

use self::decode::{Stream, decode};
use crate::output::{self, Encoding};
use crate::settings::Settings;

/// 2026-11-22T16:29:03Z
const TIME: i64 = 1_795_364_943_000_000_000;

fn settings(text: &str) -> Settings {
    let (section, diagnostics) = Section::from_text("[[output]] loki", &format!("url = 'http://h'\n{text}"));
    let Ok(settings) = Settings::read(&section) else { panic!("{}", diagnostics.render(false)) };
    settings
}

/// The requests for a delivery, decoded.
fn requests(text: &str, delivery: &Delivery) -> Vec<Vec<Stream>> {
    let mut requests = Vec::new();
    Encoding::new(settings(text)).encode(delivery, &Buffers::default(), |body| requests.push(decode(body)));
    requests
}

fn built(url: &str, text: &str) -> (Box<dyn Output>, OutputSetup) {
    let (section, diagnostics) = Section::from_text("[[output]] loki", &format!("url = '{url}'\n{text}"));
    let Ok(mut output) = output::build(&section) else { panic!("{}", diagnostics.render(false)) };
    let setup = suiro_sdk::http::test_kit::setup();
    output.start(&setup).unwrap();
    (output, setup)
}
