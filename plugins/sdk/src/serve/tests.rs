//! Requests of all kinds against a door.

mod hostile;
mod kit;
mod requests;
mod tls;
