//! A small HTTP/1.1 server that can do wrong.

mod connection;
mod message;
mod server;

pub(crate) use message::{Answer, Head, Request, decode};
pub(crate) use server::Server;

use crate::fault::Fault;

/// Who answers requests. Called from many threads.
pub(crate) trait Service: Send + Sync + 'static {
    /// Most bytes of a body, as sent and decoded.
    fn max_body(&self) -> usize;

    /// The answer to a request that should be turned away before its body is looked at.
    fn turn_away(&self, head: &Head) -> Option<Answer>;

    /// The answer to a request whose body is too large.
    fn too_large(&self) -> Answer;

    /// Whether a body is decoded as its `Content-Encoding` says. If not, it is taken as sent.
    fn decodes(&self, _head: &Head) -> bool {
        true
    }

    /// A fault of this request alone, which comes before those of the whole server.
    fn fault(&self, _head: &Head) -> Option<Fault> {
        None
    }

    /// The answer to a body that is not what its `Content-Encoding` says; `None`: the connection is closed.
    fn undecodable(&self, encoding: &str) -> Option<Answer>;

    /// The server's own way to say that it is busy (429) or not there (503).
    fn overloaded(&self, head: &Head, status: u16) -> Answer;

    /// The error the server calls so ([`Fault::Named`]).
    fn named(&self, _head: &Head, name: &str) -> Answer {
        Answer::new(400, "text/plain", name)
    }

    /// Takes what the request holds, and answers. `fault` is [`Fault::RefuseSome`], [`Fault::RefuseSomeWith`] or none of
    /// this one's business.
    fn take(&self, request: &Request, fault: Option<&Fault>) -> Answer;
}
