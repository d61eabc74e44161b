//! The HTTP server that inputs share: the mirror image of [`http`](crate::http), in the same words.
//!
//! An input reads [`ServerSettings`], opens a [`Door`] inside `Input::source` (so that a port in use is an error at the
//! start), and serves it inside [`Desk::spawn`](crate::intake::Desk::spawn) with a [`Service`] of its own. The service looks at
//! method, path and content type first, and asks for the body last:
//!
//! ```ignore
//! impl Service for Spans {
//!     async fn call(&self, request: &mut Request) -> Response {
//!         self.take(request).await.unwrap_or_else(Refusal::into_response)
//!     }
//! }
//!
//! async fn take(&self, request: &mut Request) -> Result<Response, Refusal> {
//!     if request.path != "/api/v2/spans" {
//!         return Err(Refusal::not_found(&request.path, "POST /api/v2/spans"));
//!     }
//!     request.expect_post()?;
//!     let Body { bytes, room, wire } = request.body().await?;
//!     let batches = decode(&self.desk, &bytes).map_err(..)?;
//!     self.desk.submit(room, batches, wire).wait(self.ack).await?;
//!     Ok(empty(StatusCode::ACCEPTED))
//! }
//! ```
//!
//! # Constraints
//!
//! - The other side is not trusted. Memory: a body is read into room of the intake ([`Room`](crate::intake::Room)), so all
//!   bodies together stay below `max_pending`; beside it a connection costs at most its flow-control window (256 KiB), and the
//!   one body that is being decompressed at most `max_body`.
//! - Time: headers, bodies and quiet connections have deadlines; a body must come with 16 KiB/s or so.
//! - `auth` comes before everything else, and is compared in constant time. Nothing of a body is read for those who don't
//!   show it, save to throw it away.
//! - HTTP/1.1 and HTTP/2 on the same port: by ALPN over TLS, by its preface without.
//! - What is refused is told why in a text that says what would be right, and counted at the door
//!   ([`Desk::turn_away`](crate::intake::Desk::turn_away)) as one, unless its sender is told to come again: then it is not lost.
//!
//! # What refusals mean
//!
//! | status | gRPC | when |
//! | --- | --- | --- |
//! | 400 | `INVALID_ARGUMENT` | the body is not what it is said to be, or broke off |
//! | 401 | `UNAUTHENTICATED` | `auth` |
//! | 404, 405 | `UNIMPLEMENTED` | no such path; not by this method |
//! | 408 | `DEADLINE_EXCEEDED` | the body came too slowly |
//! | 413 | `RESOURCE_EXHAUSTED` | larger than `max_body` |
//! | 415 | `INVALID_ARGUMENT`, or `UNIMPLEMENTED` for an encoding | another content type or encoding |
//! | 503 with `Retry-After` | `UNAVAILABLE` with `RetryInfo` | no room, or no answer in time |

mod answer;
mod auth;
mod door;
pub mod grpc;
mod request;
mod settings;
mod tls;
pub mod unix;

#[cfg(test)]
mod tests;

pub use self::answer::{Answer, Refusal, Response, answer, empty};
pub use self::auth::Auth;
pub use self::door::{Door, Service, bind};
pub use self::request::{Body, Request};
pub use self::settings::{ServerSettings, bounds, listen};
pub use self::tls::Tls;

pub use hyper::{Method, StatusCode, header};
