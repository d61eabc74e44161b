//! The settings. What comes in is tested with the built agent.

use suiro_sdk::settings::Section;

use super::*;

fn built(text: &str) -> (Result<Otlp, Reported>, String) {
    let (section, diagnostics) = Section::from_text("[[input]] otlp", text);
    (read(&section), diagnostics.render(false))
}

#[test]
fn each_protocol_has_its_port_and_can_be_left_out() {
    let addresses = |text: &str| {
        let (otlp, shown) = built(text);
        let otlp = otlp.unwrap_or_else(|_| panic!("{shown}"));
        [otlp.grpc, otlp.http].map(|address| address.map(|address| address.to_string()))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(addresses(""), [some("127.0.0.1:4317"), some("127.0.0.1:4318")]);
    assert_eq!(addresses("grpc = false\nhttp = true"), [None, some("127.0.0.1:4318")]);
    assert_eq!(addresses("grpc = '0.0.0.0:1'\nhttp = false"), [some("0.0.0.0:1"), None]);
    for (text, message) in [
        ("grpc = false\nhttp = false", "neither `grpc` nor `http`"),
        ("grpc = '127.0.0.1:4318'", "the same address"),
        ("grpc = 4317", "or false"),
        ("http = ':4318'", "0.0.0.0:4318"),
        ("ack = 'sent'", "queued"),
        ("port = 1", "unknown setting"),
        ("auth = { user = 'me' }", "needs a `password`"),
    ] {
        let (otlp, shown) = built(text);
        assert!(otlp.is_err(), "{text}");
        assert!(shown.contains(message), "{text}:\n{shown}");
    }
}
