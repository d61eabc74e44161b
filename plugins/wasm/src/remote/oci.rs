//! Pulling a module from a registry: the manifest, and of it the one layer that is a module.
//!
//! ```text
//! GET /v2/<repository>/manifests/<tag or digest>   a manifest, or an index that names one for wasm
//! GET /v2/<repository>/blobs/<digest of a layer>   the module
//! ```
//!
//! A registry that wants to know who asks says so (`WWW-Authenticate`): a token is to be had elsewhere, by anybody or for
//! user and password; or it takes these itself. Manifests that were asked for by digest are kept, as modules are: they
//! say which module is meant.

use serde::Deserialize;
use suiro_sdk::http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use suiro_sdk::http::{Auth, Url, excerpt};

use super::challenge::{Challenge, token_url};
use super::reference::Reference;
use super::session::{Response, Session};
use super::{Hash, MAX_ANSWER};
use crate::cache::Cache;
use crate::inspect::{MAX_MODULE, Refusal};
use crate::program::{from_hex, hex};

const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                        application/vnd.docker.distribution.manifest.v2+json, \
                        application/vnd.docker.distribution.manifest.list.v2+json";
/// Media types of a layer that is a module: the one of the WebAssembly working group's artifacts, and those before it.
const MODULES: [&str; 3] = [
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
];

/// A manifest or an index, as far as it matters.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Manifest {
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    size: u64,
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
}

#[derive(Debug, Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// What a manifest says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// The layer that is the module.
    Module(Hash),
    /// The manifest that knows.
    Elsewhere(Hash),
}

/// An index leads to a manifest, and that to no other.
const MANIFESTS: usize = 2;

/// The module of the image with that digest, as it was fetched before.
pub(super) fn kept(cache: &Cache, digest: &Hash) -> Result<Option<Vec<u8>>, Refusal> {
    let mut digest = *digest;
    for _ in 0..MANIFESTS {
        let Some(manifest) = cache.fetched(&digest) else { return Ok(None) };
        match read(&manifest)? {
            Said::Module(module) => return Ok(cache.fetched(&module)),
            Said::Elsewhere(manifest) => digest = manifest,
        }
    }
    Ok(None)
}

/// Pulls the module of an image; `sha256` is what it must be, if that is known.
pub(super) async fn pull(registry: &mut Registry<'_>, sha256: Option<Hash>, cache: &Cache) -> Result<Vec<u8>, Refusal> {
    let image = registry.image;
    let mut digest = image.digest;
    for _ in 0..MANIFESTS {
        let url = image.manifest(digest.as_ref(), registry.encrypted)?;
        let response = registry.get(&url, MAX_ANSWER).await?;
        let manifest = match &digest {
            Some(digest) => {
                let manifest = response.body_of(digest)?;
                cache.keep_fetched(digest, &manifest);
                manifest
            }
            None => response.body()?,
        };
        match read(&manifest)? {
            Said::Elsewhere(manifest) => digest = Some(manifest),
            Said::Module(module) => {
                if let Some(wanted) = sha256
                    && wanted != module
                {
                    let message =
                        format!("the SHA-256 of its module is {}, `sha256` says {}", hex(&module), hex(&wanted));
                    return Err(Refusal::new(message, "the image is another one than was pinned"));
                }
                let url = image.blob(&module, registry.encrypted)?;
                return registry.get(&url, MAX_MODULE).await?.body_of(&module);
            }
        }
    }
    Err(Refusal::new("it is an index of indexes", ""))
}

/// A registry, and what it wants to be told.
pub(super) struct Registry<'a> {
    pub(super) session: &'a Session,
    pub(super) image: &'a Reference,
    pub(super) auth: Option<&'a Auth>,
    /// Even where it is on this machine.
    pub(super) encrypted: bool,
    /// Since it asked.
    pub(super) authorization: Option<HeaderValue>,
}

impl Registry<'_> {
    async fn get(&mut self, url: &Url, limit: usize) -> Result<Response, Refusal> {
        let response = self.session.get(url, &self.headers(), limit).await?;
        if !response.is_refused() || self.authorization.is_some() {
            return Ok(response);
        }
        let header = self.auth.and_then(Auth::header);
        self.authorization = match (Challenge::of(&response.fetched.challenges), self.auth) {
            // A token of the operator's own is not shown to anybody but the registry.
            (_, Some(Auth::Bearer(_))) | (Some(Challenge::Basic), Some(_)) => header,
            (Some(Challenge::Bearer { realm, service, scope }), _) => {
                let scope = scope.unwrap_or_else(|| self.image.scope());
                Some(self.token(&token_url(&realm, service.as_deref(), &scope, url)?, header).await?)
            }
            _ => return Ok(response),
        };
        self.session.get(url, &self.headers(), limit).await
    }

    /// Asks for a token: with user and password where there are some, like anybody otherwise.
    async fn token(&self, url: &Url, credentials: Option<HeaderValue>) -> Result<HeaderValue, Refusal> {
        let mut headers = HeaderMap::new();
        headers.extend(credentials.map(|value| (AUTHORIZATION, value)));
        let answer = self.session.get(url, &headers, MAX_ANSWER).await?.body()?;
        let wrong = || Refusal::new(format!("{}: the answer holds no token", super::session::shown(url)), "");
        let token: Token = serde_json::from_slice(&answer).map_err(|_| wrong())?;
        let token = token.token.or(token.access_token).filter(|token| !token.is_empty()).ok_or_else(wrong)?;
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        headers.extend(self.authorization.clone().map(|value| (AUTHORIZATION, value)));
        headers
    }
}

/// What a manifest says.
fn read(manifest: &[u8]) -> Result<Said, Refusal> {
    const HELP: &str =
        "push it as one layer of type application/wasm: oras push REGISTRY/REPOSITORY:TAG FILE.wasm:application/wasm";
    let wrong = |what: String| Refusal::new(what, HELP);
    let manifest: Manifest = serde_json::from_slice(manifest)
        .map_err(|error| wrong(format!("the image's manifest can't be read: {error}")))?;
    if let Some(manifests) = &manifest.manifests {
        let is_wasm = |one: &&Descriptor| one.platform.as_ref().is_some_and(|p| p.architecture == "wasm");
        let found = match manifests.as_slice() {
            [only] => Some(only),
            several => several.iter().find(is_wasm),
        };
        let one = found.ok_or_else(|| wrong("the image is an index in which nothing is for `wasm`".to_owned()))?;
        return Ok(Said::Elsewhere(one.hash()?));
    }
    let layers = manifest.layers.unwrap_or_default();
    let mut modules = layers.iter().filter(|layer| MODULES.contains(&layer.media_type.as_str()));
    let layer = match (modules.next(), modules.next(), layers.as_slice()) {
        (Some(one), None, _) => one,
        (Some(_), Some(_), _) => return Err(wrong("the image has several modules".to_owned())),
        // Pushed by somebody who said nothing of its type. An archive is none.
        (None, _, [only]) if !only.media_type.contains("tar") => only,
        (None, _, layers) => {
            let types: Vec<&str> = layers.iter().take(4).map(|layer| layer.media_type.as_str()).collect();
            let shown = excerpt(types.join(", ").as_bytes());
            return Err(wrong(format!("the image has no layer that is a module: its layers are of type {shown}")));
        }
    };
    if layer.size > MAX_MODULE as u64 {
        return Err(Refusal::new(format!("the image's module is larger than {} MiB", MAX_MODULE >> 20), ""));
    }
    Ok(Said::Module(layer.hash()?))
}

impl Descriptor {
    fn hash(&self) -> Result<Hash, Refusal> {
        let digest = self.digest.strip_prefix("sha256:").and_then(from_hex);
        digest.ok_or_else(|| Refusal::new("the image has a digest that is no SHA-256", ""))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layers(layers: &[(&str, u64)]) -> Result<Said, Refusal> {
        let digest = "0a".repeat(32);
        let layers: Vec<String> = layers
            .iter()
            .map(|(media, size)| format!(r#"{{"mediaType":"{media}","digest":"sha256:{digest}","size":{size}}}"#))
            .collect();
        read(format!(r#"{{"schemaVersion":2,"config":{{}},"layers":[{}]}}"#, layers.join(",")).as_bytes())
    }

    #[test]
    fn the_module_is_found_among_the_layers() {
        let module = Ok(Said::Module([0x0a; 32]));
        assert_eq!(layers(&[("application/wasm", 10)]), module);
        assert_eq!(layers(&[("text/plain", 1), (MODULES[1], 10), ("application/json", 1)]), module);
        assert_eq!(layers(&[("application/octet-stream", 10)]), module);
        for (wrong, says) in [
            (layers(&[]), "no layer that is a module"),
            (layers(&[("application/vnd.oci.image.layer.v1.tar+gzip", 10)]), "tar+gzip"),
            (layers(&[("a/b", 1), ("c/d", 1)]), "a/b, c/d"),
            (layers(&[("application/wasm", 1), ("application/wasm", 1)]), "several"),
            (layers(&[("application/wasm", 100 << 20)]), "larger than 32 MiB"),
            (read(b"<html>"), "can't be read"),
            (read(br#"{"layers":[{"mediaType":"application/wasm","digest":"sha512:00"}]}"#), "no SHA-256"),
            (read(br#"{"manifests":[]}"#), "nothing is for `wasm`"),
        ] {
            let message = wrong.unwrap_err().message;
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn an_index_leads_to_the_manifest_for_wasm() {
        let one = |byte: &str, architecture: &str| {
            let digest = byte.repeat(32);
            format!(r#"{{"digest":"sha256:{digest}","platform":{{"architecture":"{architecture}","os":"x"}}}}"#)
        };
        let index = |of: &[String]| read(format!(r#"{{"manifests":[{}]}}"#, of.join(",")).as_bytes());
        assert_eq!(index(&[one("0a", "amd64"), one("0b", "wasm")]), Ok(Said::Elsewhere([0x0b; 32])));
        assert_eq!(index(&[one("0a", "amd64")]), Ok(Said::Elsewhere([0x0a; 32])));
        assert!(index(&[one("0a", "amd64"), one("0b", "arm64")]).is_err());
    }

    proptest! {
        #[test]
        fn takes_anything(text in r#"\{"(layers|manifests)":(\[|\{|\}|\]|"digest"|:|"sha256:00"|,|1){0,12}"#) {
            let _ = read(text.as_bytes());
        }
    }
}
