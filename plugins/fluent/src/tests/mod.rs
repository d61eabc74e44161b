//! Messages of all kinds, what becomes of them, and connections over a Unix socket.

mod arbitrary;
mod handshake;
mod kit;
mod loopback;
mod patience;
mod records;
mod settings;
