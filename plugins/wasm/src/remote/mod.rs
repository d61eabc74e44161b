//! Modules that are not files: from `https://`, and from OCI registries.
//!
//! # Constraints
//!
//! - Nothing runs that is not pinned. From `https` the setting `sha256` is required; of an image the reference says the
//!   manifest's digest, which names the layer's, or `sha256` says the layer's, which is the module's. What comes is
//!   compared before it is kept or looked at.
//! - Fetched once: what was fetched is kept in the [`Cache`] under its digest, and looked for there first. A start with
//!   what is pinned in the cache takes no network. What is remote is never loaded anew while running: the pin would have
//!   to change, and with it the configuration.
//! - Bounded: a module by [`MAX_MODULE`], the other answers by [`MAX_ANSWER`], all of it by `fetch_timeout`, on a thread of
//!   its own while the pipeline is built, before there is a worker.
//! - `http` is for the loopback alone, and no redirect leads from `https` to it.

mod challenge;
mod oci;
mod reference;
mod session;

#[cfg(test)]
mod tests;

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use suiro_sdk::http::header::{AUTHORIZATION, HeaderMap};
use suiro_sdk::http::{Auth, Tls, Url, Ways, is_loopback};
use suiro_sdk::settings::{Reported, Section, Value};

use self::oci::Registry;
use self::reference::Reference;
use self::session::Session;
use crate::cache::Cache;
use crate::inspect::{MAX_MODULE, Refusal};
use crate::program::{Checked, Wanted};

/// Largest manifest, and largest answer of a token's server, bytes: what registries take.
const MAX_ANSWER: usize = 4 << 20;
/// For all of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A module that is somewhere else.
pub(crate) struct Remote {
    place: Place,
    auth: Option<Auth>,
    tls: Option<Tls>,
    patience: Duration,
    wanted: Wanted,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Url(Url),
    Image(Reference),
}

/// A SHA-256.
type Hash = [u8; 32];

// === impl Remote ===

impl Remote {
    /// Whether that is a module that is somewhere else, and not a file.
    pub(crate) fn is_one(module: &str) -> bool {
        module.contains("://")
    }

    /// Reads `module`, which is one, and the settings such have.
    pub(crate) fn read(section: &Section, module: &Value, wanted: Wanted) -> Result<Remote, Reported> {
        let auth = Auth::read(section, Ways::default());
        let tls = Tls::read(section);
        let patience = section.within("fetch_timeout", Duration::from_millis(100)..=Duration::from_secs(3600));
        let text = module.text("the path of a .wasm file")?;
        if text.split('/').nth(2).is_some_and(|host| host.contains('@')) {
            module.mask();
            let help = "give them as auth = { user = \"..\", password = { env = \"..\" } }";
            return Err(module.error("an address holds no user and password", help));
        }
        let place = Place::parse(text).map_err(|refusal| module.error(refusal.message, refusal.help))?;
        match &place {
            Place::Url(url) if wanted.sha256.is_none() => {
                let help = format!("sha256 = \"..\" with the digits that `curl -L {url} | sha256sum` prints");
                return Err(module.error("a module from an address needs `sha256`, so that no other code runs", help));
            }
            Place::Image(image) if image.digest.is_none() && wanted.sha256.is_none() => {
                let help = format!(
                    "write the digest behind it, as `oras resolve {0}` prints it: \"oci://{0}@sha256:..\"; or set `sha256` to \
                     that of the module",
                    image.name()
                );
                return Err(module.error("a tag can be moved: an image needs a digest", help));
            }
            _ => {}
        }
        let (auth, tls) = (auth?, tls?);
        if tls.is_some() && matches!(&place, Place::Url(url) if url.scheme() == "http") {
            let message = "`tls` is set, but `module` is plain http: nothing would be encrypted";
            return Err(section.error_at("tls", message, "write https:// in `module`, or leave `tls` out"));
        }
        Ok(Remote { place, auth, tls, patience: patience.unwrap_or(PATIENCE), wanted })
    }

    /// The module: from the cache, or fetched and kept there. Takes as long as `fetch_timeout`: not for a worker's thread.
    pub(crate) fn obtain(&self, cache: &Cache) -> Result<Checked, Refusal> {
        if let Some(bytes) = self.kept(cache)? {
            return self.wanted.check(bytes);
        }
        tracing::info!("fetching {self}");
        // The caller may be inside of a runtime, which can't wait for another one.
        let fetched = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("wasm:fetch".to_owned());
            let failed =
                |error: std::io::Error| Refusal::new(format!("no thread to be had for fetching it: {error}"), "");
            let thread = thread.spawn_scoped(scope, move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
                runtime.block_on(self.fetch(cache))
            });
            thread.map_err(failed)?.join().unwrap_or_else(|_| Err(Refusal::new("fetching it failed", "")))
        })?;
        let sha256 = Sha256::digest(&fetched).into();
        let checked = self.wanted.check(fetched)?;
        cache.keep_fetched(&sha256, checked.bytes());
        Ok(checked)
    }

    /// The module as it was fetched before.
    fn kept(&self, cache: &Cache) -> Result<Option<Vec<u8>>, Refusal> {
        match (&self.place, &self.wanted.sha256) {
            (_, Some(sha256)) => Ok(cache.fetched(sha256)),
            (Place::Image(Reference { digest: Some(digest), .. }), None) => oci::kept(cache, digest),
            _ => Ok(None),
        }
    }

    async fn fetch(&self, cache: &Cache) -> Result<Vec<u8>, Refusal> {
        let session = Session::new(self.tls.clone(), self.patience)?;
        match &self.place {
            Place::Url(url) => {
                let mut headers = HeaderMap::new();
                headers.extend(self.auth.as_ref().and_then(Auth::header).map(|value| (AUTHORIZATION, value)));
                session.get(url, &headers, MAX_MODULE).await?.body()
            }
            Place::Image(image) => {
                let mut registry = Registry {
                    session: &session,
                    image,
                    auth: self.auth.as_ref(),
                    encrypted: self.tls.is_some(),
                    authorization: None,
                };
                oci::pull(&mut registry, self.wanted.sha256, cache).await
            }
        }
    }
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Url(url) => f.write_str(&session::shown(url)),
            Place::Image(image) => write!(f, "oci://{image}"),
        }
    }
}

// === impl Place ===

impl Place {
    fn parse(text: &str) -> Result<Place, Refusal> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        match scheme {
            "oci" => Ok(Place::Image(Reference::parse(rest)?)),
            "https" | "http" => {
                let url = Url::parse(text).map_err(|error| {
                    Refusal::new(
                        format!("this is not a URL: {error}"),
                        "for example: \"https://example.com/redact.wasm\"",
                    )
                })?;
                if scheme == "http" && !is_loopback(&url) {
                    let help = "write https://; http is for servers on this machine";
                    return Err(Refusal::new("a module is not fetched over plain http", help));
                }
                Ok(Place::Url(url))
            }
            _ => {
                let help = "a module is a file, or at https://HOST/PATH, or at oci://REGISTRY/REPOSITORY:TAG";
                Err(Refusal::new(format!("a module can't be fetched by `{scheme}`"), help))
            }
        }
    }
}
