//! The settings of the `datadog_metrics` output.

use suiro_sdk::compress::Compression;
use suiro_sdk::http::header::{HeaderName, HeaderValue};
use suiro_sdk::http::{ClientSettings, Endpoint, Offer};
use suiro_sdk::lang::Template;
use suiro_sdk::settings::{Reported, Secret, Section};

const OFFER: Offer = Offer { url: "\"https://api.datadoghq.com\"", several: false, api_key: false, compression: false };

/// Where the account is, if nobody says.
const SITE: &str = "datadoghq.com";

const API_KEY: HeaderName = HeaderName::from_static("dd-api-key");

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where and how; without a path.
    pub(crate) client: ClientSettings,
    /// The host a point is of; `None`: the resource's `host.name`.
    pub(crate) host: Option<Template>,
    /// Tags of every point: `env:prod`.
    pub(crate) tags: Vec<String>,
    /// All attributes of the resource are tags.
    pub(crate) resource_tags: bool,
}

// === impl Settings ===

impl Settings {
    /// Reads them.
    pub(crate) fn read(settings: &Section) -> Result<Settings, Reported> {
        let site = settings.get::<String>("site");
        if site.is_some() && settings.has("url") {
            settings.error_at("site", "both `site` and `url` are set", "leave one of them out");
        }
        let default = Endpoint::parse(&format!("https://api.{}", site.as_deref().unwrap_or(SITE)));
        let client = match default {
            Ok(default) if is_site(site.as_deref().unwrap_or(SITE)) => {
                ClientSettings::read_or(settings, OFFER, Some(default))
            }
            _ => Err(settings.error_at(
                "site",
                "`site` is the name of a Datadog site",
                "such as \"datadoghq.com\", \"datadoghq.eu\" or \"us5.datadoghq.com\"; for any other server use `url`",
            )),
        };
        let key = settings.require::<Secret>("api_key", "{ env = \"DD_API_KEY\" }").and_then(|key| {
            HeaderValue::from_str(key.expose())
                .map_err(|_| settings.error_at("api_key", "`api_key` holds characters that no HTTP header can", ""))
        });
        let host = settings.get::<Template>("host");
        let tags = settings.list::<String>("tags");
        if tags.iter().any(String::is_empty) {
            settings.error_at("tags", "a tag can't be empty", "write tags = [\"env:prod\"]");
        }
        let resource_tags = settings.flag("resource_tags");
        let compression = settings
            .choice("compression", &[("deflate", Compression::Deflate), ("none", Compression::None)])
            .unwrap_or(Compression::Deflate);
        settings.finish()?;
        let (mut client, mut key) = (client?, key?);
        key.set_sensitive(true);
        client.headers.insert(API_KEY, key);
        client.compression = compression;
        Ok(Settings { client, host, tags, resource_tags })
    }
}

/// Whether it is the name of a host: what would be more of a URL than that sends keys elsewhere.
fn is_site(site: &str) -> bool {
    !site.is_empty() && site.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
}
