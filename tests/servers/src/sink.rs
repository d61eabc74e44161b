//! A plain HTTP server that keeps bodies, for the `http` output.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::{Fault, Faults};
use crate::http::{Answer, Head, Request, Server, Service};
use crate::store::Store;

/// Most bytes of a body.
const MAX_BODY: usize = 100 << 20;

/// A request that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// `POST`
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Decoded.
    pub bytes: Vec<u8>,
}

/// A server that is up as long as the value is.
#[derive(Debug)]
pub struct Sink {
    server: Server,
    node: Arc<Node>,
}

#[derive(Debug, Default)]
struct Node {
    bodies: Store<Vec<Body>>,
}

// === impl Sink ===

impl Sink {
    /// Listens.
    pub fn start() -> io::Result<Sink> {
        let node = Arc::<Node>::default();
        Ok(Sink { server: Server::start(Arc::clone(&node))?, node })
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

    /// What was taken, in order.
    pub fn bodies(&self) -> Vec<Body> {
        self.node.bodies.lock().clone()
    }

    /// All lines of all bodies, those without content aside.
    pub fn lines(&self) -> Vec<String> {
        let bodies = self.node.bodies.lock();
        let lines = bodies.iter().flat_map(|body| body.bytes.split(|byte| *byte == b'\n'));
        lines.filter(|line| !line.is_empty()).map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// Waits for `n` lines; says whether they came.
    pub fn wait_for_lines(&self, n: usize, patience: Duration) -> bool {
        let count = |body: &Body| body.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        self.node.bodies.wait(patience, |bodies| bodies.iter().map(count).sum::<usize>() >= n)
    }
}

impl Service for Node {
    fn max_body(&self) -> usize {
        MAX_BODY
    }

    fn turn_away(&self, head: &Head) -> Option<Answer> {
        (!matches!(head.method.as_str(), "POST" | "PUT" | "PATCH")).then(|| Answer::empty(405))
    }

    fn too_large(&self) -> Answer {
        Answer::new(413, "text/plain", "too large")
    }

    fn undecodable(&self, encoding: &str) -> Option<Answer> {
        Some(Answer::new(415, "text/plain", format!("can't decode {encoding}")))
    }

    fn overloaded(&self, _: &Head, status: u16) -> Answer {
        Answer::new(status, "text/plain", "not now")
    }

    fn take(&self, request: &Request, fault: Option<&Fault>) -> Answer {
        if fault.is_some() {
            return self.overloaded(&request.head, 429);
        }
        let Request { head, body, .. } = request;
        self.bodies.change(|bodies| {
            bodies.push(Body {
                method: head.method.clone(),
                path: head.path.clone(),
                headers: head.headers().to_vec(),
                bytes: body.clone(),
            });
        });
        Answer::new(200, "text/plain", "ok")
    }
}
