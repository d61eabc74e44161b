//! The settings of the `loki` output.

use suiro_sdk::compress::Compression;
use suiro_sdk::http::{ClientSettings, Offer};
use suiro_sdk::lang::{Destination, Template};
use suiro_sdk::settings::{Reported, Section};

use crate::labels::{self, Labels};

const OFFER: Offer = Offer { url: "\"http://127.0.0.1:3100\"", several: false, api_key: false, compression: false };

const PATH: &str = "/loki/api/v1/push";

/// Entries of structured metadata Loki takes by default.
const MAX_METADATA: usize = 128;
/// The longest tenant Loki takes.
const MAX_TENANT: usize = 150;

/// The settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where and how.
    pub client: ClientSettings,
    /// What makes a stream.
    pub labels: Labels,
    /// By name.
    pub structured_metadata: Vec<(String, Template)>,
    /// The line, if it isn't the default one.
    pub line: Option<Template>,
    /// `X-Scope-OrgID`
    pub tenant: Option<Destination>,
    /// Of the body.
    pub format: Format,
    /// Label sets in use at a time.
    pub max_streams: usize,
    /// Streams a request carries, at most.
    pub streams_per_request: usize,
}

/// The format of a request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Protobuf in snappy's block format.
    #[default]
    Protobuf,
    /// JSON.
    Json,
}

// === impl Settings ===

impl Settings {
    /// Reads them.
    pub fn read(settings: &Section) -> Result<Settings, Reported> {
        let client = ClientSettings::read(settings, OFFER);
        let labels = Labels::read(settings);
        let structured_metadata = settings.map::<Template>("structured_metadata");
        if structured_metadata.len() > MAX_METADATA {
            let message = format!("Loki takes at most {MAX_METADATA} entries of structured metadata");
            settings.error_at("structured_metadata", message, "");
        }
        for (name, _) in &structured_metadata {
            labels::check_name(settings, "structured_metadata", name);
        }
        let line = settings.get::<Template>("line");
        let tenant = settings.value("tenant").map(|value| Destination::read_checked(&value, check_tenant)).transpose();
        let format =
            settings.choice("format", &[("protobuf", Format::Protobuf), ("json", Format::Json)]).unwrap_or_default();
        let compression = match format {
            Format::Protobuf => {
                settings.choice("compression", &[("snappy", ())]);
                Compression::None
            }
            Format::Json => Compression::read(settings),
        };
        let max_streams = settings.within("max_streams", 1..=100_000_usize).unwrap_or(1000);
        let streams_per_request = settings.within("streams_per_request", 1..=10_000_usize).unwrap_or(1);
        settings.finish()?;
        let mut client = client?.with_path(PATH);
        client.compression = compression;
        Ok(Settings {
            client,
            labels: labels?,
            structured_metadata,
            line,
            tenant: tenant?,
            format,
            max_streams,
            streams_per_request,
        })
    }
}

/// What Loki takes for a tenant.
fn check_tenant(tenant: &str) -> Result<(), &'static str> {
    if tenant.is_empty() {
        Err("is empty")
    } else if tenant.len() > MAX_TENANT {
        Err("is longer than the 150 characters Loki takes")
    } else if tenant == "." || tenant == ".." {
        Err("can't be `.` or `..`")
    } else if !tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b"!-_.*'()".contains(&b)) {
        Err("holds a character other than letters, digits and !-_.*'()")
    } else {
        Ok(())
    }
}
