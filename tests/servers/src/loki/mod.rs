//! Grafana Loki, as far as its push goes, with its default limits.
//!
//! Its peculiarities are here, too: a 400 may have stored what is valid, and tells no positions; what the ingester refuses
//! (entries too far behind) is told only of the last stream of a request; a request over 4 MiB decoded is a 500 that will
//! never go away, and one over the rate's burst a 429 of the same kind.

mod labels;
mod limits;
mod push;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::fault::{Fault, Faults};
use crate::http::{Answer, Head, Request, Server, Service};
use crate::store::Store;
use push::Push;

/// Sees every entry that is stored, once, in the order they arrive.
pub type EntryObserver = Arc<dyn Fn(&Entry) + Send + Sync>;

/// How the server is set up.
#[derive(Clone)]
pub struct LokiOptions {
    /// `auth_enabled`: requests name a tenant.
    pub multi_tenant: bool,
    /// Tenants whose ingestion is blocked: they get a 260.
    pub blocked: Vec<String>,
    /// Streams a tenant may have. Default 5000.
    pub max_streams: usize,
    /// Bytes of lines and metadata a tenant may send in a second, as the texts say it. Default 4 MiB.
    pub rate: usize,
    /// Bytes of lines and metadata a single request may have: the rate's burst. Default 6 MB.
    pub burst: usize,
    /// Bytes of a decoded request. Default 4 MiB.
    pub max_message: usize,
    /// Bytes of a body. Default 100 MiB.
    pub max_body: usize,
    /// Whether entries older than 7 days or 10 minutes ahead are refused. Default true.
    pub check_age: bool,
    /// Called with every new entry.
    pub observer: Option<EntryObserver>,
    /// Whether entries are kept. Without, they are known and counted, and `streams` have none.
    pub keep_entries: bool,
}

/// An entry that was stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Nanoseconds since 1970.
    pub time: i64,
    /// The line; invalid UTF-8 replaced.
    pub line: String,
    /// Structured metadata, in the order sent.
    pub metadata: Vec<(String, String)>,
}

/// A stream and its entries, in the order they arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The tenant, `fake` where there is but one.
    pub tenant: String,
    /// Its labels as sent.
    pub labels: BTreeMap<String, String>,
    /// What was stored. Exact repeats are there once.
    pub entries: Vec<Entry>,
}

/// A server that is up as long as the value is.
#[derive(Debug)]
pub struct Loki {
    server: Server,
    node: Arc<Node>,
}

struct Node {
    options: LokiOptions,
    state: Store<State>,
}

#[derive(Debug, Default)]
struct State {
    streams: BTreeMap<(String, BTreeMap<String, String>), Stored>,
    entries: usize,
}

#[derive(Debug, Default)]
struct Stored {
    entries: Vec<Entry>,
    /// Hashes of all entries.
    known: HashSet<u64>,
    newest: i64,
}

/// Why entries of a request were not stored: a status and a text.
type Refusal = (u16, String);

// === impl LokiOptions ===

impl Default for LokiOptions {
    fn default() -> Self {
        LokiOptions {
            multi_tenant: false,
            blocked: Vec::new(),
            max_streams: 5000,
            rate: 4 << 20,
            burst: 6_000_000,
            max_message: 4 << 20,
            max_body: 100 << 20,
            check_age: true,
            observer: None,
            keep_entries: true,
        }
    }
}

// === impl Loki ===

impl Loki {
    /// A server with the default options.
    pub fn start() -> io::Result<Loki> {
        Loki::with(LokiOptions::default())
    }

    /// A server with these options.
    pub fn with(options: LokiOptions) -> io::Result<Loki> {
        let node = Arc::new(Node { options, state: Store::new(State::default()) });
        Ok(Loki { server: Server::start(Arc::clone(&node))?, node })
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        self.server.faults()
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.server.requests()
    }

    /// Entries there are.
    pub fn len(&self) -> usize {
        self.node.state.lock().entries
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All streams, by tenant and labels.
    pub fn streams(&self) -> Vec<Stream> {
        let state = self.node.state.lock();
        let stream = |((tenant, labels), stored): (&(String, BTreeMap<String, String>), &Stored)| Stream {
            tenant: tenant.clone(),
            labels: labels.clone(),
            entries: stored.entries.clone(),
        };
        state.streams.iter().map(stream).collect()
    }

    /// All lines, stream by stream, in the order they arrived.
    pub fn lines(&self) -> Vec<String> {
        self.streams().into_iter().flat_map(|stream| stream.entries).map(|entry| entry.line).collect()
    }

    /// Waits for `n` entries; says whether they came.
    pub fn wait_for(&self, n: usize, patience: Duration) -> bool {
        self.node.state.wait(patience, |state| state.entries >= n)
    }
}

fn text(status: u16, text: impl Into<String>) -> Answer {
    Answer::new(status, "text/plain; charset=utf-8", text.into() + "\n").with("x-content-type-options", "nosniff")
}

// === impl Node ===

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Node {
    /// The tenant of a request.
    fn tenant(&self, head: &Head) -> Result<String, Answer> {
        if !self.options.multi_tenant {
            return Ok("fake".to_owned());
        }
        let Some(tenant) = head.header("x-scope-orgid").filter(|tenant| !tenant.is_empty()) else {
            return Err(text(401, "no org id"));
        };
        if tenant.contains('|') {
            return Err(text(400, "multiple org IDs present"));
        }
        if tenant.len() > 150 {
            return Err(text(400, "tenant ID is too long: max 150 characters"));
        }
        match tenant.chars().find(|c| !c.is_ascii_alphanumeric() && !"!-_.*'()".contains(*c)) {
            Some(c) => Err(text(400, format!("tenant ID '{tenant}' contains unsupported character '{c}'"))),
            None => Ok(tenant.to_owned()),
        }
    }

    fn push(&self, request: &Request) -> Result<(), Refusal> {
        let Push { streams, decoded } = push::read(request)?;
        if streams.is_empty() {
            return Err((422, "error at least one valid stream is required for ingestion".to_owned()));
        }
        let tenant = self
            .tenant(&request.head)
            .map_err(|answer| (answer.status, String::from_utf8_lossy(&answer.body).trim_end().to_owned()))?;
        if self.options.blocked.contains(&tenant) {
            let text =
                format!("ingestion blocked for user '{tenant}' until '2030-01-01T00:00:00Z' with status code '260'");
            return Err((260, text));
        }
        // One label set that can't be read stops them all.
        let mut parsed = Vec::new();
        for (labels, entries) in streams {
            parsed.push((labels::parse(&labels).map_err(|text| (400, text))?, entries));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as i64);
        let now = self.options.check_age.then_some(now);
        let mut failures = Vec::new();
        let mut valid = Vec::new();
        let (mut lines, mut bytes) = (0, 0);
        for (labels, entries) in parsed {
            if let Err(failure) = limits::stream(&labels) {
                failures.push(failure);
                continue;
            }
            let shown = labels::show(&labels);
            let (good, bad): (Vec<_>, Vec<_>) = entries
                .into_iter()
                .map(|entry| (limits::entry(&entry, &shown, now), entry))
                .partition(|(ok, _)| ok.is_ok());
            failures.extend(bad.into_iter().filter_map(|(failure, _)| failure.err()));
            let good: Vec<Entry> = good.into_iter().map(|(_, entry)| entry).collect();
            lines += good.len();
            bytes += good.iter().map(limits::size).sum::<usize>();
            valid.push((labels.into_iter().collect::<BTreeMap<_, _>>(), good));
        }
        if bytes > self.options.burst {
            let text = format!(
                "ingestion rate limit exceeded for user {tenant} (limit: {} bytes/sec) while attempting to ingest \
                 '{lines}' lines totaling '{bytes}' bytes, reduce log volume or contact your Loki administrator to see if \
                 the limit can be increased",
                self.options.rate
            );
            return Err((429, text));
        }
        if decoded > self.options.max_message {
            let text = format!(
                "rpc error: code = ResourceExhausted desc = grpc: received message larger than max ({decoded} vs. {})",
                self.options.max_message
            );
            return Err((500, text));
        }
        let last = self.state.change(|state| state.ingest(&tenant, valid, &self.options));
        if !failures.is_empty() {
            return Err((400, limits::join(failures)));
        }
        last
    }
}

impl Service for Node {
    fn max_body(&self) -> usize {
        self.options.max_body
    }

    fn turn_away(&self, head: &Head) -> Option<Answer> {
        if head.path != "/loki/api/v1/push" {
            return Some(text(404, "404 page not found"));
        }
        if head.method != "POST" {
            return Some(Answer::empty(405));
        }
        if let Err(refusal) = self.tenant(head) {
            return Some(refusal);
        }
        let Some(kind) = head.header("content-type").filter(|kind| !kind.is_empty()) else {
            return Some(text(400, "mime: no media type"));
        };
        debug_assert!(!kind.is_empty());
        None
    }

    fn too_large(&self) -> Answer {
        let max = self.options.max_body;
        let text = text(413, format!("request body too large: message size too large than max ({} vs {max})", max + 1));
        text.with("connection", "close")
    }

    fn undecodable(&self, encoding: &str) -> Option<Answer> {
        Some(text(400, format!("Content-Encoding {encoding:?} not supported")))
    }

    fn overloaded(&self, _: &Head, status: u16) -> Answer {
        if status == 429 {
            let body = "ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to ingest \
                        '100' lines totaling '10000' bytes, reduce log volume or contact your Loki administrator to see if \
                        the limit can be increased";
            text(429, body)
        } else {
            text(status, "empty ring")
        }
    }

    fn take(&self, request: &Request, fault: Option<&Fault>) -> Answer {
        if fault.is_some() {
            return self.overloaded(&request.head, 429);
        }
        match self.push(request) {
            Ok(()) => Answer::empty(204),
            Err((status, reason)) => text(status, reason),
        }
    }
}

// === impl State ===

impl State {
    /// Stores what each stream may have. What is told is what happened to the last one.
    fn ingest(
        &mut self,
        tenant: &str,
        streams: Vec<(BTreeMap<String, String>, Vec<Entry>)>,
        options: &LokiOptions,
    ) -> Result<(), Refusal> {
        let mut last = Ok(());
        for (labels, entries) in streams {
            let shown = labels::show_map(&labels);
            let key = (tenant.to_owned(), labels);
            if !self.streams.contains_key(&key)
                && self.streams.keys().filter(|(own, _)| own == tenant).count() >= options.max_streams
            {
                last = Err((429, limits::too_many_streams(tenant, &shown)));
                continue;
            }
            let stored = self.streams.entry(key).or_default();
            let all = entries.len();
            let mut behind = Vec::new();
            for entry in entries {
                if entry.time < stored.newest - limits::BEHIND {
                    behind.push(entry.time);
                    continue;
                }
                stored.newest = stored.newest.max(entry.time);
                let mut hasher = DefaultHasher::new();
                entry.hash(&mut hasher);
                if !stored.known.insert(hasher.finish()) {
                    continue;
                }
                self.entries += 1;
                if let Some(observer) = &options.observer {
                    observer(&entry);
                }
                if options.keep_entries {
                    stored.entries.push(entry);
                }
            }
            last = if behind.is_empty() {
                Ok(())
            } else {
                Err((400, limits::too_far_behind(tenant, &shown, &behind, all, stored.newest)))
            };
        }
        last
    }
}
