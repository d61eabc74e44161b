//! `url`: where requests go, and which of several is next.

use std::cell::Cell;
use std::time::{Duration, Instant};

use reqwest::Url;

use crate::settings::{Reported, Setting, Value};

/// How long an endpoint that could not be reached is passed over while there are others.
const PASSED_OVER: Duration = Duration::from_secs(10);

/// A URL: `http` or `https`, with a host, without credentials and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Several URLs of one system, taken in turn. One that can't be reached is passed over for a while.
#[derive(Debug)]
pub struct Endpoints {
    all: Vec<One>,
    next: Cell<usize>,
}

#[derive(Debug)]
struct One {
    url: Url,
    shunned_until: Cell<Option<Instant>>,
}

// === impl Endpoint ===

impl Endpoint {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The same with `path` behind its own, unless it ends with it already.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        let own = self.0.path().trim_end_matches('/');
        if !own.ends_with(path) {
            let path = format!("{own}{path}");
            self.0.set_path(&path);
        }
        self
    }

    /// The same without `path` at the end of its own.
    #[must_use]
    pub fn without_path(mut self, path: &str) -> Self {
        if let Some(own) = self.0.path().trim_end_matches('/').strip_suffix(path) {
            let own = own.to_owned();
            self.0.set_path(&own);
        }
        self
    }

    /// The same with a query parameter more.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        self.0.query_pairs_mut().append_pair(name, value);
        self
    }

    /// The endpoint of a `url`; otherwise what is wrong with it, and how to mend it.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        let wrong = |message: String, help: &str| Err((message, help.to_owned()));
        let has_scheme = text.contains("://");
        let url = match Url::parse(text) {
            Ok(url) if has_scheme => url,
            _ if !has_scheme => {
                // What may be a password is not repeated.
                let meant = if text.contains('@') { "host:port" } else { text };
                return wrong("a URL starts with http:// or https://".to_owned(), &format!("write \"http://{meant}\""));
            }
            Ok(_) => return wrong("this is not a URL".to_owned(), "write \"http://host:port\""),
            Err(error) => return wrong(format!("this is not a URL: {error}"), "write \"http://host:port\""),
        };
        if !matches!(url.scheme(), "http" | "https") {
            return wrong(format!("`{}` can't be spoken to", url.scheme()), "a URL starts with http:// or https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            // Such a URL would be printed in logs.
            return wrong(
                "a URL holds no user and password".to_owned(),
                "give them as auth = { user = \"...\", password = { env = \"...\" } }",
            );
        }
        if url.fragment().is_some() {
            return wrong("a `#` and what follows is never sent".to_owned(), "leave it out");
        }
        Ok(Endpoint(url))
    }
}

impl Setting for Endpoint {
    fn read(value: &Value) -> Result<Self, Reported> {
        let text = value.text("a URL such as \"http://127.0.0.1:8080\"")?;
        if text.contains('@') {
            // Most likely credentials: the line is shown without them.
            value.mask();
        }
        Endpoint::parse(text).map_err(|(message, help)| value.error(message, help))
    }
}

// === impl Endpoints ===

impl Endpoints {
    /// These, which are at least one.
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        let all = endpoints.into_iter().map(|e| One { url: e.0, shunned_until: Cell::new(None) }).collect();
        Endpoints { all, next: Cell::new(0) }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The order in which to try them now: each once, those that could not be reached of late last.
    pub(super) fn order(&self) -> Vec<usize> {
        let first = self.next.get();
        self.next.set((first + 1) % self.all.len().max(1));
        let mut order: Vec<usize> = (0..self.all.len()).map(|i| (first + i) % self.all.len()).collect();
        if order.len() > 1 {
            let now = Instant::now();
            order.sort_by_key(|&i| self.all[i].shunned_until.get().is_some_and(|until| until > now));
        }
        order
    }

    pub(super) fn url(&self, at: usize) -> &Url {
        &self.all[at].url
    }

    /// Notes whether `at` could be reached.
    pub(super) fn note(&self, at: usize, reached: bool) {
        self.all[at].shunned_until.set((!reached).then(|| Instant::now() + PASSED_OVER));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    #[test]
    fn paths_go_behind_the_urls_own() {
        for (url, path, full) in [
            ("http://h:1", "/_bulk", "http://h:1/_bulk"),
            ("http://h:1/", "/_bulk", "http://h:1/_bulk"),
            ("https://h/es/", "/_bulk", "https://h/es/_bulk"),
            ("http://h/loki/api/v1/push", "/loki/api/v1/push", "http://h/loki/api/v1/push"),
            ("http://h?a=b", "/x", "http://h/x?a=b"),
        ] {
            assert_eq!(endpoint(url).with_path(path).url().as_str(), full);
        }
        assert_eq!(endpoint("http://h").with_query("pipeline", "a&b c").url().as_str(), "http://h/?pipeline=a%26b+c");
    }

    #[test]
    fn says_what_is_no_url() {
        for (text, message) in [
            ("localhost:9200", "starts with http"),
            ("10.0.0.1", "starts with http"),
            ("ftp://h", "can't be spoken to"),
            ("http://", "not a URL"),
            ("http://h:99999", "not a URL"),
            ("http://me:secret@h", "no user and password"),
            ("http://h/#x", "never sent"),
            ("", "starts with http"),
        ] {
            let (got, help) = Endpoint::parse(text).expect_err(text);
            assert!(got.contains(message), "{text}: {got}");
            assert!(!help.is_empty());
        }
    }

    #[test]
    fn endpoints_take_turns_and_the_unreachable_comes_last() {
        let endpoints = Endpoints::new(["http://a", "http://b", "http://c"].map(endpoint).to_vec());
        assert_eq!(endpoints.order(), [0, 1, 2]);
        assert_eq!(endpoints.order(), [1, 2, 0]);
        endpoints.note(2, false);
        assert_eq!(endpoints.order(), [0, 1, 2]);
        assert_eq!(endpoints.order(), [0, 1, 2]);
        assert_eq!(endpoints.order(), [1, 0, 2]);
        endpoints.note(2, true);
        assert_eq!(endpoints.order(), [2, 0, 1]);
    }
}
