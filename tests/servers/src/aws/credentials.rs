//! Keys that are known, and credentials of roles.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::AwsOptions;

/// A role that can be assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `arn:aws:iam::123456789012:role/suiro`
    pub arn: String,
    /// The external id that must be given; `None`: none is asked for.
    pub external_id: Option<String>,
}

/// What is known of an access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) secret: String,
    pub(super) session: Option<Session>,
}

/// The session a temporary key is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) token: String,
    /// Milliseconds since 1970.
    pub(super) expires: i64,
}

/// All keys, by id.
#[derive(Debug, Default)]
pub(super) struct Keys {
    known: HashMap<String, Key>,
    issued: u64,
}

// === impl Keys ===

impl Keys {
    pub(super) fn new(options: &AwsOptions) -> Self {
        let mut keys = Keys::default();
        keys.add(&options.access_key_id, &options.secret_access_key);
        keys
    }

    pub(super) fn add(&mut self, id: &str, secret: &str) {
        self.known.insert(id.to_owned(), Key { secret: secret.to_owned(), session: None });
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.known.remove(id);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Key> {
        self.known.get(id)
    }

    /// Ends all sessions.
    pub(super) fn expire(&mut self) {
        self.known.values_mut().filter_map(|key| key.session.as_mut()).for_each(|session| session.expires = 0);
    }

    /// A temporary key: its id, secret and token.
    pub(super) fn issue(&mut self, role: &str, expires: i64) -> (String, String, String) {
        self.issued += 1;
        let id = format!("ASIA{:016}", self.issued);
        let derived = |what: &str| hex(&Sha256::digest(format!("{what} {role} {id}")));
        let (secret, token) = (derived("secret"), derived("token"));
        let session = Session { token: token.clone(), expires };
        self.known.insert(id.clone(), Key { secret: secret.clone(), session: Some(session) });
        (id, secret, token)
    }
}

/// In lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
