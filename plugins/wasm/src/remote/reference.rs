//! References of images: `REGISTRY/REPOSITORY[:TAG][@sha256:DIGEST]`, by the grammar of the distribution specification.

use suiro_sdk::http::{Url, is_loopback};

use super::Hash;
use crate::inspect::Refusal;
use crate::program::{from_hex, hex};

/// An image in a registry. It has a tag, a digest, or both, and then the digest counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    /// Of its manifest.
    pub(super) digest: Option<Hash>,
}

// === impl Reference ===

impl Reference {
    pub(super) fn parse(text: &str) -> Result<Reference, Refusal> {
        const HELP: &str = "for example: \"oci://ghcr.io/owner/redact:1.2\"";
        let wrong = |what: &str| Err(Refusal::new(what.to_owned(), HELP));
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => match digest.strip_prefix("sha256:").and_then(from_hex) {
                Some(digest) => (name, Some(digest)),
                None => return wrong("behind `@` there must be `sha256:` and 64 hexadecimal digits"),
            },
            None => (text, None),
        };
        let Some((registry, path)) = name.split_once('/') else {
            return wrong("it names a registry and no repository");
        };
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        if !is_registry(registry) {
            return wrong("its registry is no host");
        }
        if repository.len() > 255 || !repository.split('/').all(is_component) {
            return wrong(
                "its repository must be of lower case letters, digits, and single `.`, `_` and `-` between them",
            );
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return wrong("its tag must have from 1 to 128 letters, digits, `.`, `_` and `-`");
        }
        if tag.is_none() && digest.is_none() {
            return wrong("it has neither a tag nor a digest");
        }
        Ok(Reference {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// Without the digest.
    pub(super) fn name(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        format!("{}/{}{tag}", self.registry, self.repository)
    }

    /// The scope of a token to pull it.
    pub(super) fn scope(&self) -> String {
        format!("repository:{}:pull", self.repository)
    }

    /// Where the manifest is: that of the digest, or of the tag.
    pub(super) fn manifest(&self, digest: Option<&Hash>, encrypted: bool) -> Result<Url, Refusal> {
        let which = match (digest, &self.tag) {
            (Some(digest), _) => format!("sha256:{}", hex(digest)),
            (None, Some(tag)) => tag.clone(),
            (None, None) => String::new(),
        };
        self.url(&format!("manifests/{which}"), encrypted)
    }

    /// Where a layer is.
    pub(super) fn blob(&self, digest: &Hash, encrypted: bool) -> Result<Url, Refusal> {
        self.url(&format!("blobs/sha256:{}", hex(digest)), encrypted)
    }

    /// By `https`, but for registries on this machine, unless they are to be spoken to `encrypted`.
    fn url(&self, path: &str, encrypted: bool) -> Result<Url, Refusal> {
        // The registry that goes by that name.
        let host = if self.registry == "docker.io" { "registry-1.docker.io" } else { &self.registry };
        let wrong = |error| Refusal::new(format!("`{host}` is no registry: {error}"), "");
        let mut url = Url::parse(&format!("https://{host}/v2/{}/{path}", self.repository)).map_err(wrong)?;
        if !encrypted && is_loopback(&url) {
            url = Url::parse(&format!("http://{host}/v2/{}/{path}", self.repository)).map_err(wrong)?;
        }
        Ok(url)
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())?;
        self.digest.map_or(Ok(()), |digest| write!(f, "@sha256:{}", hex(&digest)))
    }
}

fn is_registry(text: &str) -> bool {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    !text.is_empty() && text.chars().all(sound) && Url::parse(&format!("https://{text}/")).is_ok()
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = text.split(is_word).filter(|separator| !separator.is_empty());
    text.starts_with(is_word)
        && text.ends_with(is_word)
        && separators.all(|s| matches!(s, "." | "_" | "__") || s.chars().all(|c| c == '-'))
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(is_word) && text.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_an_image_is() {
        let digest = "ab".repeat(32);
        for (text, manifest) in [
            ("ghcr.io/o/r:1.2".to_owned(), "https://ghcr.io/v2/o/r/manifests/1.2".to_owned()),
            (format!("h:5000/r@sha256:{digest}"), format!("https://h:5000/v2/r/manifests/sha256:{digest}")),
            (format!("h/a/b__c/d--e:t@sha256:{digest}"), format!("https://h/v2/a/b__c/d--e/manifests/sha256:{digest}")),
            ("docker.io/library/r:_t".to_owned(), "https://registry-1.docker.io/v2/library/r/manifests/_t".to_owned()),
            ("localhost:5000/r:t".to_owned(), "http://localhost:5000/v2/r/manifests/t".to_owned()),
            ("[::1]:5000/r:t".to_owned(), "http://[::1]:5000/v2/r/manifests/t".to_owned()),
        ] {
            let reference = Reference::parse(&text).unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.manifest(reference.digest.as_ref(), false).unwrap().as_str(), manifest);
        }
        let local = Reference::parse("127.0.0.1:1/r:t").unwrap();
        assert_eq!(
            local.blob(&[0xab; 32], true).unwrap().as_str(),
            format!("https://127.0.0.1:1/v2/r/blobs/sha256:{digest}")
        );
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "ghcr.io",
            "ghcr.io/",
            "ghcr.io/o/r",
            "/o/r:t",
            "h/R:t",
            "h/a//b:t",
            "h/../b:t",
            "h/a:",
            "h/a:-t",
            "h/a.:t",
            "h/a..b:t",
            "h/a:t@sha256:12",
            "h/a:t@md5:12",
            "u:p@h/a:t",
            "h h/a:t",
            "h/a:t?x=1",
            "h/a%2e:t",
            "h:99999/a:t",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        assert!(Reference::parse(&format!("h/a:{}", "t".repeat(129))).is_err());
    }
}
