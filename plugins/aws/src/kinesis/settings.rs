//! The settings of `kinesis` and `firehose`.

use suiro_sdk::aws::{AccountSettings, client_settings};
use suiro_sdk::http::ClientSettings;
use suiro_sdk::lang::Template;
use suiro_sdk::settings::{ByteSize, Reported, Section};

use super::service::{Bounds, Service};
use crate::format::Format;

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Which service.
    pub(crate) service: Service,
    /// Where to.
    pub(crate) stream: Stream,
    /// Of `kinesis`, if it isn't the record's id.
    pub(crate) partition_key: Option<Template>,
    /// Of a request.
    pub(crate) bounds: Bounds,
    /// What a record looks like.
    pub(crate) format: Format,
    /// Whether a line feed ends it.
    pub(crate) newline: bool,
    /// Who signs.
    pub(crate) account: AccountSettings,
    /// How requests go.
    pub(crate) client: ClientSettings,
}

/// A stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Of the account's own.
    Name(String),
    /// Of any account.
    Arn(String),
}

/// The largest record any stream takes, bytes.
const MAX_RECORD: u64 = 10 << 20;

// === impl Settings ===

impl Settings {
    /// Reads them.
    pub(crate) fn read(settings: &Section, service: Service) -> Result<Settings, Reported> {
        let stream = Stream::read(settings, service);
        let mut bounds = service.bounds();
        let mut partition_key = None;
        if service == Service::Streams {
            partition_key = settings.get::<Template>("partition_key");
            let largest = ByteSize::kib(1)..=ByteSize::kib(MAX_RECORD >> 10);
            bounds.record = settings.within("max_record", largest).map_or(bounds.record, ByteSize::as_usize);
        }
        let formats = [("json", Format::Json), ("raw", Format::Raw), ("full", Format::Full)];
        let format = settings.choice("format", &formats).unwrap_or_default();
        let newline = settings.or("newline", service == Service::Firehose);
        let account = AccountSettings::read(settings);
        let client = client_settings(settings, false);
        settings.finish()?;
        Ok(Settings {
            service,
            stream: stream?,
            partition_key,
            bounds,
            format,
            newline,
            account: account?,
            client: client?,
        })
    }
}

// === impl Stream ===

impl Stream {
    fn read(settings: &Section, service: Service) -> Result<Stream, Reported> {
        let arn = if service == Service::Streams { settings.get::<String>("stream_arn") } else { None };
        let Some(arn) = arn else {
            let name = settings.require::<String>("stream", "\"app-logs\"")?;
            let longest = service.longest_name();
            if name.is_empty() || name.len() > longest || !name.bytes().all(is_of_a_name) {
                let message = format!("`{name}` can't be the name of a stream");
                let help = format!("a name has 1 to {longest} letters, digits, `_`, `.` and `-`");
                return Err(settings.error_at("stream", message, help));
            }
            return Ok(Stream::Name(name));
        };
        if settings.has("stream") {
            return Err(settings.error_at("stream_arn", "both `stream` and `stream_arn` are set", "leave one out"));
        }
        // arn:PARTITION:kinesis:REGION:ACCOUNT:stream/NAME
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let name = parts.get(5).and_then(|resource| resource.strip_prefix("stream/")).unwrap_or_default();
        let whole = arn.bytes().all(|b| is_of_a_name(b) || b == b':' || b == b'/')
            && parts[1..].iter().all(|part| !part.is_empty());
        if parts.first() != Some(&"arn") || parts.get(2) != Some(&"kinesis") || name.is_empty() || !whole {
            let message = format!("`{arn}` is not the ARN of a stream");
            let help = "for example: stream_arn = \"arn:aws:kinesis:eu-central-1:123456789012:stream/app-logs\"";
            return Err(settings.error_at("stream_arn", message, help));
        }
        Ok(Stream::Arn(arn))
    }

    /// For messages.
    pub(crate) fn describe(&self) -> &str {
        match self {
            Stream::Name(text) | Stream::Arn(text) => text,
        }
    }

    /// The setting it comes from.
    pub(crate) fn setting(&self) -> &'static str {
        match self {
            Stream::Name(_) => "stream",
            Stream::Arn(_) => "stream_arn",
        }
    }
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}
