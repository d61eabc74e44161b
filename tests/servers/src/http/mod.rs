//! A small HTTP/1.1 server that can do wrong.

mod connection;
mod message;
mod server;

pub(crate) use message::{Answer, Head, Request};
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

    /// The answer to a body that is not what its `Content-Encoding` says; `None`: the connection is closed.
    fn undecodable(&self, encoding: &str) -> Option<Answer>;

    /// The server's own way to say that it is busy (429) or not there (503).
    fn overloaded(&self, status: u16) -> Answer;

    /// Takes what the request holds, and answers. `fault` is [`Fault::RefuseSome`] or none of this one's business.
    fn take(&self, request: &Request, fault: Option<&Fault>) -> Answer;
}
