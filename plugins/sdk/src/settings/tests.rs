//! What a reader of settings and its user see.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;

mod broken;
mod hostile;
mod reading;

/// Parses a text with an environment of two variables.
fn parsed(text: &str) -> (Section, Diagnostics) {
    let diagnostics = Diagnostics::default();
    let environment: Environment = Arc::new(|name| match name {
        "HOST" => Some("loki.example".to_owned()),
        "WORKERS" => Some("4".to_owned()),
        _ => None,
    });
    let source = Source::new("suiro.toml", "/etc/suiro", text, 0);
    (parse(&source, &environment, &diagnostics), diagnostics)
}

/// Reads what the tests' plugin reads, as plugins should: all, then `finish`.
fn read_loki(section: &Section) -> Result<(), Reported> {
    let url = section.require::<String>("url", "\"http://127.0.0.1:3100\"");
    section.map::<String>("labels");
    section.or("timeout", Duration::from_secs(30));
    section.get::<ByteSize>("max_size");
    section.get::<Secret>("token");
    section.get::<PathBuf>("path");
    section.get::<std::net::SocketAddr>("listen");
    section.get::<regex::Regex>("pattern");
    section.within("concurrency", 1..=64_u32);
    section.choice("format", &[("protobuf", 1), ("json", 2)]);
    section.flag("ordered");
    let retry = section.section_or_empty("retry");
    retry.or("initial", Duration::from_millis(500));
    retry.or("max", Duration::from_secs(30));
    section.finish()?;
    url.map(|_| ())
}

/// The report on a text read as an output of type loki.
fn report(text: &str) -> String {
    let (section, diagnostics) = parsed(text);
    section.set_label("[[output]] loki");
    let read = read_loki(&section);
    assert!(read.is_ok() || diagnostics.errors() > 0, "failed in silence");
    diagnostics.render(false)
}
