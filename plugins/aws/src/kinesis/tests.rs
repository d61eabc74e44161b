//! The outputs as a whole: what is sent, and what becomes of what is answered.

mod bodies;
mod outcomes;

use suiro_sdk::settings::Section;

use super::service::Service;
use super::settings::Settings;

/// Who signs, and for where, in tests.
const ACCOUNT: &str =
    "region = 'eu-central-1'\ncredentials = { access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }\n";

fn settings(service: Service, text: &str) -> Settings {
    let (section, diagnostics) = Section::from_text("[[output]] kinesis", &format!("{ACCOUNT}{text}"));
    let Ok(settings) = Settings::read(&section, service) else { panic!("{}", diagnostics.render(false)) };
    settings
}

#[test]
fn settings_are_checked() {
    for (service, text, message) in [
        (Service::Streams, "", "stream"),
        (Service::Streams, "stream = 'a b'", "name of a stream"),
        (Service::Streams, "stream = 'a'\nstream_arn = 'arn:aws:kinesis:r:1:stream/a'", "both"),
        (Service::Streams, "stream_arn = 'arn:aws:kinesis:eu-central-1::stream/a'", "not the ARN"),
        (Service::Streams, "stream_arn = 'app-logs'", "not the ARN"),
        (Service::Streams, "stream = 'a'\nmax_record = '11MiB'", "max_record"),
        (Service::Streams, "stream = 'a'\npartition_key = '{a'", "never closed"),
        (Service::Streams, "stream = 'a'\nformat = 'xml'", "json"),
        (Service::Streams, "stream = 'a'\nurl = 'http://h'", "url"),
        (Service::Firehose, "stream_arn = 'arn:aws:kinesis:r:1:stream/a'", "stream"),
        (Service::Firehose, "stream = 'a'\npartition_key = '{a}'", "partition_key"),
        (Service::Firehose, "stream = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'", "1 to 64"),
    ] {
        let (section, diagnostics) = Section::from_text("[[output]] kinesis", &format!("{ACCOUNT}{text}"));
        assert!(Settings::read(&section, service).is_err(), "{text}");
        assert!(diagnostics.render(false).contains(message), "{text}: {}", diagnostics.render(false));
    }
    assert!(settings(Service::Firehose, "stream = 'a'").newline);
    assert!(!settings(Service::Streams, "stream = 'a'").newline);
    let large = settings(Service::Streams, "stream = 'a'\nmax_record = '10MiB'").bounds;
    assert_eq!((large.record, large.request), (10 << 20, 5 << 20));
}
