//! Who may send: `shared_key` and `users`, as Fluentd's protocol has them.
//!
//! ```text
//! agent   HELO { nonce, auth, keepalive }
//! client  PING hostname, salt, sha512(salt hostname nonce key), user, sha512(auth user password)
//! agent   PONG true, "", hostname, sha512(salt hostname nonce key)      or PONG false, why, "", ""
//! ```
//!
//! Digests are hexadecimal. No key goes over the wire, but who listens can try guesses at it: keys should be long, or there
//! should be TLS. All users and all keys are tried, in constant time each, whichever is right.

use sha2::{Digest as _, Sha512};
use subtle::{Choice, ConstantTimeEq as _};
use suiro_sdk::settings::Secret;

use crate::msgpack::{Broken, Head, Reader};

/// Bytes of a PING, at most.
pub(crate) const MAX_PING: usize = 8 << 10;

/// Who may send.
#[derive(Clone, Debug)]
pub(crate) struct Security {
    /// Any of these: so that one can be replaced.
    pub(crate) keys: Vec<Secret>,
    /// Names and passwords; none: who knows the key.
    pub(crate) users: Vec<(String, Secret)>,
    /// What the agent calls itself. Fluentd refuses to send to its own name.
    pub(crate) hostname: String,
}

/// What the agent chose for one connection.
#[derive(Clone, Debug)]
pub(crate) struct Helo {
    nonce: String,
    auth: String,
}

/// What the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pong {
    /// Whether it may send.
    pub(crate) outcome: Result<(), &'static str>,
    /// The message.
    pub(crate) bytes: Vec<u8>,
}

/// What a client says of itself.
struct Ping<'b> {
    hostname: &'b [u8],
    salt: &'b [u8],
    digest: &'b [u8],
    user: &'b [u8],
    password: &'b [u8],
}

// === impl Helo ===

impl Helo {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        // Texts of digits, since some clients take nothing else for a text.
        let word = || format!("{:032x}", rand::random::<u128>());
        Helo { nonce: word(), auth: word() }
    }

    /// The message. Without users nothing is asked of users.
    pub(crate) fn bytes(&self, security: &Security) -> Vec<u8> {
        let mut out = vec![0x92];
        put(&mut out, b"HELO");
        out.push(0x83);
        put(&mut out, b"nonce");
        put(&mut out, self.nonce.as_bytes());
        put(&mut out, b"auth");
        put(&mut out, if security.users.is_empty() { b"" } else { self.auth.as_bytes() });
        put(&mut out, b"keepalive");
        out.push(0xc3);
        out
    }

    /// The answer to a PING.
    pub(crate) fn answer(&self, ping: &[u8], security: &Security) -> Pong {
        let outcome = match Ping::read(ping) {
            Ok(Some(ping)) => self.check(&ping, security).map(|key| (ping, key)),
            Ok(None) | Err(_) => Err("invalid ping message"),
        };
        let mut bytes = vec![0x95];
        put(&mut bytes, b"PONG");
        match outcome {
            Ok((ping, key)) => {
                bytes.push(0xc3);
                put(&mut bytes, b"");
                put(&mut bytes, security.hostname.as_bytes());
                let parts = [ping.salt, security.hostname.as_bytes(), self.nonce.as_bytes(), key.expose().as_bytes()];
                put(&mut bytes, digest(&parts).as_bytes());
                Pong { outcome: Ok(()), bytes }
            }
            Err(why) => {
                bytes.push(0xc2);
                put(&mut bytes, why.as_bytes());
                put(&mut bytes, b"");
                put(&mut bytes, b"");
                Pong { outcome: Err(why), bytes }
            }
        }
    }

    /// The key the client knows.
    fn check<'s>(&self, ping: &Ping<'_>, security: &'s Security) -> Result<&'s Secret, &'static str> {
        let mut found = None;
        for key in &security.keys {
            let parts = [ping.salt, ping.hostname, self.nonce.as_bytes(), key.expose().as_bytes()];
            if bool::from(digest(&parts).as_bytes().ct_eq(ping.digest)) {
                found = Some(key);
            }
        }
        let key = found.ok_or("shared_key mismatch")?;
        let mut known = Choice::from(u8::from(security.users.is_empty()));
        for (name, password) in &security.users {
            let parts = [self.auth.as_bytes(), name.as_bytes(), password.expose().as_bytes()];
            known |= digest(&parts).as_bytes().ct_eq(ping.password) & name.as_bytes().ct_eq(ping.user);
        }
        if known.into() { Ok(key) } else { Err("username/password mismatch") }
    }
}

// === impl Ping ===

impl<'b> Ping<'b> {
    /// `["PING", hostname, salt, digest, user, password]`
    fn read(bytes: &'b [u8]) -> Result<Option<Self>, Broken> {
        let mut reader = Reader::new(bytes, 0..bytes.len());
        if reader.head()? != Head::Array(6) {
            return Ok(None);
        }
        let mut parts = [&[][..]; 6];
        for part in &mut parts {
            let Some(span) = reader.text()? else { return Ok(None) };
            *part = &bytes[span];
        }
        let [word, hostname, salt, digest, user, password] = parts;
        Ok((word == b"PING").then_some(Ping { hostname, salt, digest, user, password }))
    }
}

/// In hexadecimal digits.
pub(crate) fn digest(parts: &[&[u8]]) -> String {
    use std::fmt::Write as _;
    let mut hash = Sha512::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().fold(String::with_capacity(128), |mut text, byte| {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A text. What the agent says is shorter than 64 KiB; of more, the beginning.
fn put(out: &mut Vec<u8>, text: &[u8]) {
    let text = &text[..text.len().min(usize::from(u16::MAX))];
    match u8::try_from(text.len()) {
        Ok(length @ 0..=31) => out.push(0xa0 | length),
        Ok(length) => out.extend([0xd9, length]),
        Err(_) => {
            out.push(0xda);
            out.extend((text.len() as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}
