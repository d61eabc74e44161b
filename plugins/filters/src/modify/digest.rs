//! Hiding a value and keeping it comparable.

use sha2::{Digest as _, Sha256};

/// Bytes of the hash that are kept: enough that no two values of any log share one.
const KEPT: usize = 16;

/// SHA-256, with a salt before the text.
#[derive(Clone)]
pub(super) struct Digest(Sha256);

// === impl Digest ===

impl Digest {
    pub(super) fn new(salt: Option<&str>) -> Self {
        let mut start = Sha256::new();
        if let Some(salt) = salt {
            // Its length first: no salt and text can be told apart otherwise.
            start.update((salt.len() as u64).to_be_bytes());
            start.update(salt);
        }
        Digest(start)
    }

    /// The hash of a text, in hex.
    pub(super) fn hex(&self, text: &[u8]) -> String {
        let mut hash = self.0.clone();
        hash.update(text);
        let digits =
            |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
        hash.finalize()[..KEPT].iter().flat_map(digits).collect()
    }
}

/// The state holds the salt.
impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_head_of_sha_256() {
        assert_eq!(Digest::new(None).hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223");
        let salted = Digest::new(Some("pepper"));
        assert_ne!(salted.hex(b"abc"), Digest::new(None).hex(b"abc"));
        assert_ne!(salted.hex(b"abc"), Digest::new(Some("peppera")).hex(b"bc"));
        assert_eq!(salted.hex(b"abc"), Digest::new(Some("pepper")).hex(b"abc"));
        assert_eq!(format!("{salted:?}"), "Digest(***)");
    }
}
