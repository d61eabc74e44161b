//! The settings every HTTP output has: `url`, `auth`, `tls`, `headers`, `timeout`, `compression`.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::auth::{Auth, Ways};
use super::endpoint::Endpoint;
use super::sign::Sign;
use super::tls::Tls;
use crate::compress::Compression;
use crate::settings::{Reported, Secret, Section};

/// What an output offers of it.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// An example of its URL, as it is typed.
    pub url: &'static str,
    /// Whether `url` may be a list.
    pub several: bool,
    /// Whether `auth` may be an `api_key`.
    pub api_key: bool,
    /// Whether `compression` is a setting.
    pub compression: bool,
}

/// The settings, checked.
///
/// | setting | default | |
/// | --- | --- | --- |
/// | `url` | | where requests go |
/// | `auth` | none | `{ user, password }`, `{ bearer }`, `{ aws = { service, … } }`, or `{ api_key }` where the system has such |
/// | `tls` | the system's trust | see [`Tls`] |
/// | `headers` | none | sent with every request; values may be secrets |
/// | `timeout` | 30s | for one request, its answer included |
/// | `compression` | none | `gzip` |
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// Sent with every request, `Authorization` included.
    pub headers: HeaderMap,
    /// `None`: nothing was said.
    pub tls: Option<Tls>,
    /// For one request.
    pub timeout: Duration,
    /// Of request bodies.
    pub compression: Compression,
    /// Who signs each request, where `auth` says so.
    pub signer: Option<Arc<dyn Sign>>,
}

/// Headers the client writes itself.
const OURS: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

// === impl ClientSettings ===

impl ClientSettings {
    /// Reads them. Unpack the result behind `settings.finish()?`, so that all mistakes are reported.
    pub fn read(settings: &Section, offer: Offer) -> Result<ClientSettings, Reported> {
        Self::read_as(settings, "url", offer, None)
    }

    /// As [`ClientSettings::read`], of a system that is found without a `url`: requests go to `default` then.
    pub fn read_or(settings: &Section, offer: Offer, default: Option<Endpoint>) -> Result<ClientSettings, Reported> {
        Self::read_as(settings, "url", offer, default)
    }

    /// As [`ClientSettings::read`], for one whose URLs are called `key`.
    pub fn read_at(settings: &Section, key: &str, offer: Offer) -> Result<ClientSettings, Reported> {
        Self::read_as(settings, key, offer, None)
    }

    /// Reads all but `url` and `auth`: of a system whose address comes from elsewhere, and which has its own way to
    /// authenticate.
    pub fn read_without_url(settings: &Section, compression: bool) -> Result<ClientSettings, Reported> {
        let tls = Tls::read(settings);
        let headers = read_headers(settings);
        let timeout = read_timeout(settings);
        let compression = if compression { Compression::read(settings) } else { Compression::None };
        let (tls, headers) = (tls?, headers?);
        Ok(ClientSettings { endpoints: Vec::new(), headers, tls, timeout, compression, signer: None })
    }

    fn read_as(
        settings: &Section,
        key: &str,
        offer: Offer,
        default: Option<Endpoint>,
    ) -> Result<ClientSettings, Reported> {
        let endpoints = match settings.value(key) {
            None if default.is_some() => Ok(default.into_iter().collect()),
            None => Err(settings.missing(key, offer.url)),
            Some(value) if offer.several => match value.read::<Vec<Endpoint>>() {
                Ok(endpoints) if endpoints.is_empty() => {
                    let message = format!("`{key}` must name at least one URL");
                    Err(value.error(message, format!("for example: {key} = {}", offer.url)))
                }
                read => read,
            },
            Some(value) => value.read().map(|endpoint| vec![endpoint]),
        };
        let auth = Auth::read(settings, Ways { api_key: offer.api_key, aws: true });
        let tls = Tls::read(settings);
        let headers = read_headers(settings);
        let timeout = read_timeout(settings);
        let compression = if offer.compression { Compression::read(settings) } else { Compression::None };

        let (endpoints, auth, tls, mut headers) = (endpoints?, auth?, tls?, headers?);
        if tls.is_some() && !endpoints.iter().any(Endpoint::is_https) {
            let message = format!("`tls` is set, but `{key}` is plain http: nothing would be encrypted");
            let help = format!("write https:// in `{key}`, or leave `tls` out");
            return Err(settings.error_at("tls", message, help));
        }
        if auth.is_some() && headers.contains_key(AUTHORIZATION) {
            let message = "both `auth` and the header `Authorization` are set";
            return Err(settings.error_at("auth", message, "leave one of them out"));
        }
        if let Some(value) = auth.as_ref().and_then(Auth::header) {
            headers.insert(AUTHORIZATION, value);
        }
        let signer = auth.as_ref().and_then(Auth::signer);
        Ok(ClientSettings { endpoints, headers, tls, timeout, compression, signer })
    }

    /// The same with `path` behind the path of each URL.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        self.endpoints = self.endpoints.into_iter().map(|endpoint| endpoint.with_path(path)).collect();
        self
    }

    /// The same with a query parameter more on each URL.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        self.endpoints = self.endpoints.into_iter().map(|endpoint| endpoint.with_query(name, value)).collect();
        self
    }
}

fn read_timeout(settings: &Section) -> Duration {
    let range = Duration::from_millis(1)..=Duration::from_secs(3600);
    settings.within("timeout", range).unwrap_or(Duration::from_secs(30))
}

/// Values are read as secrets: that is what most headers an operator sets by hand are.
fn read_headers(settings: &Section) -> Result<HeaderMap, Reported> {
    let mut headers = HeaderMap::new();
    let mut failed = None;
    for (name, value) in settings.map::<Secret>("headers") {
        let mut report = |message: String| failed = Some(settings.error_at_key("headers", &name, message, ""));
        let Ok(key) = HeaderName::from_bytes(name.as_bytes()) else {
            report(format!("`{name}` can't be the name of a header"));
            continue;
        };
        if OURS.contains(&key.as_str()) {
            report(format!("the header `{name}` is not for the configuration to set"));
            continue;
        }
        let Ok(mut value) = HeaderValue::from_str(value.expose()) else {
            report(format!("the header `{name}` holds characters that no header can"));
            continue;
        };
        value.set_sensitive(true);
        if headers.insert(key, value).is_some() {
            report(format!("the header `{name}` is set twice"));
        }
    }
    failed.map_or(Ok(headers), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer = Offer { url: "\"http://127.0.0.1:9200\"", several: true, api_key: true, compression: true };

    fn read(text: &str) -> (Result<ClientSettings, Reported>, String) {
        let (section, diagnostics) = Section::from_text("[[output]] x", text);
        let settings = ClientSettings::read(&section, OFFER);
        let finished = section.finish();
        let settings = settings.and_then(|settings| finished.map(|()| settings));
        (settings, diagnostics.render(false))
    }

    #[test]
    fn reads_them_all() {
        let (settings, shown) = read(
            "url = ['https://a:1', 'http://b']\ntimeout = '5s'\ncompression = 'gzip'\nauth = { user = 'u', password = 'pa55' }\n\
             tls = { insecure_skip_verify = true }\nheaders = { 'X-Scope' = 'one', x-key = 'pa55' }",
        );
        let settings = settings.unwrap_or_else(|_| panic!("{shown}")).with_path("/_bulk").with_query("a", "b");
        let urls: Vec<&str> = settings.endpoints.iter().map(|e| e.url().as_str()).collect();
        assert_eq!(urls, ["https://a:1/_bulk?a=b", "http://b/_bulk?a=b"]);
        assert_eq!((settings.timeout, settings.compression), (Duration::from_secs(5), Compression::Gzip));
        assert_eq!(settings.headers.len(), 3);
        assert_eq!(settings.headers["x-scope"], "one");
        assert!(!format!("{settings:?}").contains("pa55"));
        assert!(shown.contains("anybody on the way"), "{shown}");
    }

    #[test]
    fn defaults() {
        let settings = read("url = 'http://a'").0.unwrap();
        assert_eq!((settings.timeout, settings.compression), (Duration::from_secs(30), Compression::None));
        assert!(settings.headers.is_empty() && settings.tls.is_none());
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, message) in [
            ("", "url"),
            ("url = []", "at least one URL"),
            ("url = 'h:1'", "starts with http://"),
            ("url = 'http://u:pa55@h'", "no user and password"),
            ("url = 'u:pa55@h:1'", "starts with http://"),
            ("url = 'http://h'\ntls = { }", "plain http"),
            ("url = 'https://h'\ntls = { cert_file = '/c.pem' }", "needs a `key_file`"),
            ("url = 'https://h'\ntls = { ca_file = '/no/such/file.pem' }", "can't read /no/such/file.pem"),
            ("url = 'https://h'\ntls = { ca_file = '/dev/null' }", "no certificate"),
            ("url = 'https://h'\ntls = { ca_file = '/dev/null', insecure_skip_verify = true }", "useless"),
            ("url = 'https://h'\ntls = { cafile = '/dev/null' }", "ca_file"),
            ("url = 'http://h'\nheaders = { 'a b' = 'x' }", "name of a header"),
            ("url = 'http://h'\nheaders = { Host = 'x' }", "not for the configuration"),
            ("url = 'http://h'\nheaders = { a = \"x\\ny\" }", "no header can"),
            ("url = 'http://h'\nheaders = { a = 'x', A = 'y' }", "set twice"),
            ("url = 'http://h'\nheaders = { authorization = 'x' }\nauth = { bearer = 'pa55' }", "both `auth`"),
            ("url = 'http://h'\ntimeout = '0s'", "timeout"),
            ("url = 'http://h'\ncompression = 'br'", "compression"),
        ] {
            let (settings, shown) = read(text);
            assert!(settings.is_err(), "{text}");
            assert!(shown.contains(message), "{text}:\n{shown}");
            assert_eq!(shown.matches("error: ").count(), 1, "{shown}");
            assert!(!shown.contains("pa55"), "{shown}");
        }
    }
}
