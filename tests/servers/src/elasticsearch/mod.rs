//! Elasticsearch, as far as `_bulk` goes.
//!
//! A document is known by index and id: `create` of one that is there is refused with a 409, `index` replaces it. Documents
//! are looked at as a mapping would: duplicate keys, depth beyond 20, anything but an object, and, by rule, whatever contains
//! `"refuse_me":true`, is a 400 for that item alone. What poisons a whole request at a real node does here.

mod bulk;
mod check;
mod items;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::fault::{Fault, Faults};
use crate::http::{Answer, Head, Request, Server, Service};
use crate::store::Store;

/// Sees every document that is stored, once, in the order they arrive.
pub type Observer = Arc<dyn Fn(&str, &str, &[u8]) + Send + Sync>;

/// How the server is set up.
#[derive(Clone)]
pub struct ElasticsearchOptions {
    /// The value of `Authorization` that is required; `None`: all may write.
    pub authorization: Option<String>,
    /// Most bytes of a body, decoded. Default 100 MiB.
    pub max_body: usize,
    /// Most bytes of a request that the node finds room for; a larger one is answered with 429 for ever. Default: no bound.
    pub max_coordinating: usize,
    /// Indices are data streams: only `create`, and a document needs `@timestamp`.
    pub data_streams: bool,
    /// Called with index, id and source of every new document.
    pub observer: Option<Observer>,
    /// Whether sources are kept. Without, a document is known by its id only, and `documents` are empty of content.
    pub keep_sources: bool,
}

/// A document that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The index it was sent to.
    pub index: String,
    /// Its id, the server's if the client gave none.
    pub id: String,
    /// Its text, as sent.
    pub source: String,
}

/// A server that is up as long as the value is.
#[derive(Debug)]
pub struct Elasticsearch {
    server: Server,
    node: Arc<Node>,
}

/// What the server knows.
struct Node {
    options: ElasticsearchOptions,
    indices: Store<Indices>,
    conflicts: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Indices {
    /// Place in `documents`, by index and id.
    by_id: HashMap<String, HashMap<String, usize>>,
    documents: Vec<Document>,
    /// Documents, those whose source was not kept included.
    count: u64,
    generated: u64,
}

// === impl ElasticsearchOptions ===

impl Default for ElasticsearchOptions {
    fn default() -> Self {
        ElasticsearchOptions {
            authorization: None,
            max_body: 100 << 20,
            max_coordinating: usize::MAX,
            data_streams: false,
            observer: None,
            keep_sources: true,
        }
    }
}

// === impl Elasticsearch ===

impl Elasticsearch {
    /// A node with the default options.
    pub fn start() -> io::Result<Elasticsearch> {
        Elasticsearch::with(ElasticsearchOptions::default())
    }

    /// A node with these options.
    pub fn with(options: ElasticsearchOptions) -> io::Result<Elasticsearch> {
        let node = Arc::new(Node {
            options,
            indices: Store::new(Indices::default()),
            conflicts: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        Ok(Elasticsearch { server: Server::start(Arc::clone(&node))?, node })
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

    /// Items answered with 409 so far.
    pub fn conflicts(&self) -> u64 {
        self.node.conflicts.load(Ordering::Relaxed)
    }

    /// Items refused so far, conflicts aside.
    pub fn refused(&self) -> u64 {
        self.node.refused.load(Ordering::Relaxed)
    }

    /// Documents there are.
    pub fn len(&self) -> usize {
        self.node.indices.lock().count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All documents, in the order in which they arrived.
    pub fn documents(&self) -> Vec<Document> {
        self.node.indices.lock().documents.clone()
    }

    /// Waits for `n` documents; says whether they came.
    pub fn wait_for(&self, n: usize, patience: Duration) -> bool {
        self.node.indices.wait(patience, |indices| indices.count >= n as u64)
    }

    /// Forgets all documents.
    pub fn clear(&self) {
        self.node.indices.change(|indices| *indices = Indices { generated: indices.generated, ..Indices::default() });
    }
}

// === impl Node ===

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("indices", &self.indices).finish_non_exhaustive()
    }
}

/// An error of the whole request.
fn failure(status: u16, kind: &str, reason: &str) -> Answer {
    let cause = json!({ "type": kind, "reason": reason });
    let body = json!({ "error": { "root_cause": [cause], "type": kind, "reason": reason }, "status": status });
    json_answer(status, body.to_string())
}

fn json_answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer::new(status, "application/json; charset=UTF-8", body)
}

impl Service for Node {
    fn max_body(&self) -> usize {
        self.options.max_body
    }

    fn turn_away(&self, head: &Head) -> Option<Answer> {
        if let Some(wanted) = &self.options.authorization
            && head.header("authorization") != Some(wanted)
        {
            let reason = format!("missing authentication credentials for REST request [{}]", head.path);
            let answer = failure(401, "security_exception", &reason);
            return Some(answer.with("www-authenticate", "Basic realm=\"security\" charset=\"UTF-8\""));
        }
        let (method, path) = (head.method.as_str(), head.path.as_str());
        if path == "/" && matches!(method, "GET" | "HEAD") {
            let about = json!({
                "name": "test", "cluster_name": "test", "version": { "number": "8.15.0" },
                "tagline": "You Know, for Search",
            });
            return Some(json_answer(200, about.to_string()));
        }
        if path != "/_bulk" && !path.ends_with("/_bulk") {
            let text = format!("no handler found for uri [{path}] and method [{method}]");
            return Some(json_answer(400, json!({ "error": text }).to_string()));
        }
        if !matches!(method, "POST" | "PUT") {
            let text = format!("Incorrect HTTP method for uri [{path}] and method [{method}], allowed: [PUT, POST]");
            return Some(json_answer(405, json!({ "error": text, "status": 405 }).to_string()));
        }
        let kind = head.header("content-type").unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !matches!(essence, "application/json" | "application/x-ndjson") {
            let text = format!("Content-Type header [{kind}] is not supported");
            return Some(json_answer(406, json!({ "error": text, "status": 406 }).to_string()));
        }
        None
    }

    fn too_large(&self) -> Answer {
        Answer::empty(413)
    }

    fn undecodable(&self, _: &str) -> Option<Answer> {
        None
    }

    fn overloaded(&self, _: &Head, status: u16) -> Answer {
        if status == 429 {
            let reason = "rejected execution of coordinating operation [coordinating_and_primary_bytes=77000000, \
                          replica_bytes=0, all_bytes=77000000, coordinating_operation_bytes=1200000, \
                          max_coordinating_and_primary_bytes=77850214]";
            failure(429, "es_rejected_execution_exception", reason)
        } else {
            failure(
                status,
                "cluster_block_exception",
                "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];",
            )
        }
    }

    fn take(&self, request: &Request, fault: Option<&Fault>) -> Answer {
        let size = request.body.len();
        if size > self.options.max_coordinating {
            let reason = format!(
                "rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, \
                 all_bytes=0, coordinating_operation_bytes={size}, max_coordinating_and_primary_bytes={}]",
                self.options.max_coordinating
            );
            return failure(429, "es_rejected_execution_exception", &reason);
        }
        let refuse_every = match fault {
            Some(Fault::RefuseSome(every) | Fault::RefuseSomeWith(every, _)) => Some((*every).max(1)),
            _ => None,
        };
        match self.bulk(request, refuse_every) {
            Ok(answer) => json_answer(200, answer),
            Err(refusal) => *refusal,
        }
    }
}
