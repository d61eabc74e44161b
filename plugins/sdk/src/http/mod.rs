//! The HTTP client that outputs share, and a [`Fetcher`] of documents.
//!
//! # Constraints
//!
//! - The other side is not trusted. Of an answer, at most what the caller asks for is read (`limit`), then the connection
//!   is dropped; what is quoted of it in logs and dead letters is cleaned and at most [`EXCERPT`] characters long.
//! - A request either ends within `timeout`, body of the answer included, or counts as failed.
//! - No redirect is followed: a body of records goes only where the configuration says. (A [`Fetcher`] sends none, and does
//!   follow them.) No proxy is taken from the environment: an agent's environment is its host's, and what leaves by a proxy
//!   should be written down.
//! - HTTP/1.1 with kept connections, `TCP_NODELAY`. One delivery is one request; multiplexing would buy nothing. gRPC has
//!   HTTP/2 ([`Client::http2`]).
//! - What signs requests ([`Sign`]) sees them as they are sent: behind compression, with the URL of this attempt.
//! - A body is built in a [`Buffer`] whose memory goes round, and is handed to the socket as it stands there.
//! - TLS is rustls with ring. Trust is the system's (its certificates are read when the first `https` client is made), or
//!   `tls.ca_file` and nothing else. Plain `http` loads no certificates.
//!
//! # What answers mean
//!
//! [`judge`] is the table, for systems without one of their own:
//!
//! | answer | outcome |
//! | --- | --- |
//! | 2xx | delivered |
//! | 408, 425, 429, any 5xx but those below | retry, when `Retry-After` says |
//! | 401, 403, 407, 501, 505, 511, any 3xx | retry, degraded: an operator must mend it |
//! | 413 | too large: in halves |
//! | other 4xx | refused |
//! | no connection, a reset, a timeout | retry |

mod answer;
mod auth;
mod buffer;
mod client;
mod endpoint;
mod failure;
mod fetch;
mod grpc;
mod judge;
mod relay;
mod requests;
mod retry_after;
mod settings;
mod sign;
#[cfg(any(test, feature = "test-kit"))]
pub mod test_kit;
mod tls;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

pub use self::answer::{Answer, EXCERPT, excerpt};
pub use self::auth::{Auth, Ways};
pub use self::buffer::{Buffer, Buffers};
pub use self::client::{Client, Request};
pub use self::endpoint::{Endpoint, Endpoints};
pub use self::failure::Failure;
pub use self::fetch::{Fetched, Fetcher, is_loopback};
pub use self::grpc::{CallAnswer, FRAME};
pub use self::judge::{Answered, judge, one_outcome, set_apart, verdicts};
pub use self::relay::Relay;
pub use self::requests::{Tried, in_requests};
pub use self::retry_after::retry_after;
pub use self::settings::{ClientSettings, Offer};
pub use self::sign::{Sign, Signable, Signing};
pub use self::tls::Tls;
pub(crate) use self::tls::read_file;

pub use reqwest::{StatusCode, Url, header};
