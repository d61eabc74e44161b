//! `WWW-Authenticate`: how a registry wants to know who asks.

use suiro_sdk::http::{Url, is_loopback};

use crate::inspect::Refusal;

/// What a registry asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token, which is to be had there.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
    /// User and password.
    Basic,
}

// === impl Challenge ===

impl Challenge {
    /// The one to be met, of the headers of an answer: a token where there is a choice.
    pub(super) fn of(headers: &[String]) -> Option<Challenge> {
        let all: Vec<Scheme> = headers.iter().flat_map(|header| schemes(header)).collect();
        let scheme = |name: &str| all.iter().find(|scheme| scheme.name.eq_ignore_ascii_case(name));
        if let Some(bearer) = scheme("bearer")
            && let Some(realm) = bearer.parameter("realm")
        {
            return Some(Challenge::Bearer {
                realm,
                service: bearer.parameter("service"),
                scope: bearer.parameter("scope").filter(|scope| !scope.is_empty()),
            });
        }
        scheme("basic").map(|_| Challenge::Basic)
    }
}

/// Where a token is to be had: the registry says so, so it is looked at twice before credentials go there.
pub(super) fn token_url(realm: &str, service: Option<&str>, scope: &str, registry: &Url) -> Result<Url, Refusal> {
    let wrong = |what: &str| Refusal::new(format!("the registry sends for a token to `{realm}`, {what}"), "");
    let mut url = Url::parse(realm).map_err(|error| wrong(&format!("which is no URL: {error}")))?;
    let local = url.scheme() == "http" && registry.scheme() == "http" && is_loopback(&url);
    if url.scheme() != "https" && !local {
        return Err(wrong("which is not https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("with a user's name"));
    }
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        query.append_pair("scope", scope);
    }
    Ok(url)
}

/// A scheme with its parameters.
#[derive(Debug, Default)]
struct Scheme {
    name: String,
    parameters: Vec<(String, String)>,
}

impl Scheme {
    fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    }
}

/// A word in front of `=` is a parameter, another one the next scheme.
fn schemes(header: &str) -> Vec<Scheme> {
    let mut all: Vec<Scheme> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some(first) = rest.chars().next() else { return all };
        let end = rest.find([' ', '\t', ',', '=', '"']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if word.is_empty() {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        match behind.trim_start().strip_prefix('=') {
            Some(value) => {
                let (value, behind) = value_of(value.trim_start());
                if let Some(scheme) = all.last_mut() {
                    scheme.parameters.push((word.to_owned(), value));
                }
                rest = behind;
            }
            None => {
                all.push(Scheme { name: word.to_owned(), parameters: Vec::new() });
                rest = behind;
            }
        }
    }
}

/// A value, quoted or not, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(headers: &[&str]) -> Option<Challenge> {
        Challenge::of(&headers.iter().map(|&header| header.to_owned()).collect::<Vec<_>>())
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |text: &str| text.to_owned();
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(owned), scope: scope.map(owned) })
    }

    #[test]
    fn reads_what_registries_send() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let scope = Some("repository:a/b:pull,push");
        assert_eq!(of(&[hub]), bearer("https://auth.docker.io/token", Some("registry.docker.io"), scope));
        assert_eq!(
            of(&[r#"bearer realm=https://a , service = "x \"y\"""#]),
            bearer("https://a", Some("x \"y\""), None)
        );
        assert_eq!(of(&[r#"Basic realm="r", Bearer realm="https://a""#]), bearer("https://a", None, None));
        assert_eq!(of(&["Negotiate", r#"Basic realm="r""#]), Some(Challenge::Basic));
        assert_eq!(of(&[r#"Bearer scope="x""#]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn credentials_go_nowhere_in_the_clear() {
        let (far, near) = (Url::parse("https://r/").unwrap(), Url::parse("http://127.0.0.1:1/").unwrap());
        assert_eq!(
            token_url("https://a/t?x=1", Some("s&"), "repository:r:pull", &far).unwrap().as_str(),
            "https://a/t?x=1&service=s%26&scope=repository%3Ar%3Apull"
        );
        assert!(token_url("http://127.0.0.1/t", None, "s", &near).is_ok());
        for (realm, registry) in [
            ("http://a/t", &far),
            ("http://a/t", &near),
            ("http://127.0.0.1/t", &far),
            ("/t", &far),
            ("https://u:p@a/", &far),
        ] {
            assert!(token_url(realm, None, "s", registry).is_err(), "{realm}");
        }
    }

    proptest! {
        #[test]
        fn takes_anything(header in r#"([a-z]|[ ,="\\é]){0,40}"#) {
            let _ = of(&[&header]);
        }
    }
}
