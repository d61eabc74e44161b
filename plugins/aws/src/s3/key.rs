//! What objects are called.
//!
//! ```text
//! logs/shop/2026/11/29/15/  20261129T153012Z-9f86d081884c7d659a2feaa0c55ad015  .jsonl.gz
//! `key`, rendered           time of the first record, and its records' id      format and compression
//! ```
//!
//! The id is the head of a SHA-256 over the output's name and the origins of all records, in order. An origin holds 128 random bits of its
//! source and never stands for two contents, so no two agents, outputs or deliveries come to one key; and the
//! same records, tried again, come to the same one.

use sha2::{Digest as _, Sha256};
use suiro_record::Origin;
use suiro_sdk::compress::Compression;
use suiro_sdk::time;

/// The longest key, bytes.
const MAX_KEY: usize = 1024;
/// What is put behind the rendered part, at most: `20261129T153012Z-`, 32 digits, `.jsonl.zst`.
const MAX_NAME: usize = 17 + 32 + 10;

/// Hashes origins into the id of an object.
#[derive(Clone, Debug)]
pub(crate) struct Identity(Sha256);

// === impl Identity ===

impl Identity {
    /// Of an object of the output `output`.
    pub(crate) fn new(output: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update((output.len() as u64).to_be_bytes());
        hash.update(output.as_bytes());
        Identity(hash)
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, origin: &Origin<'_>) {
        let mut bytes = [0; 16 + 8 + 8 + 4 + 8];
        bytes[..16].copy_from_slice(&origin.source.incarnation().to_be_bytes());
        bytes[16..24].copy_from_slice(&origin.start.to_be_bytes());
        bytes[24..32].copy_from_slice(&origin.end.to_be_bytes());
        bytes[32..36].copy_from_slice(&origin.ordinal.to_be_bytes());
        bytes[36..].copy_from_slice(&origin.salt.to_be_bytes());
        self.0.update(bytes);
    }

    /// The key of an object that begins with `prefix` and whose first record is of the time `first`.
    pub(crate) fn key(self, prefix: &str, first: i64, suffix: &str, compression: Compression) -> String {
        let mut key = String::with_capacity(prefix.len() + MAX_NAME);
        key.push_str(prefix);
        let mut text = Vec::with_capacity(30);
        // Towards zero: the second below the earliest time is none that can be told.
        time::write_rfc3339(first - first % time::SECOND, &mut text);
        key.extend(text.iter().filter(|byte| !matches!(byte, b'-' | b':')).map(|&byte| char::from(byte)));
        key.push('-');
        for byte in &self.0.finalize()[..16] {
            for digit in [byte >> 4, byte & 15] {
                key.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        key.push_str(suffix);
        key.push_str(match compression {
            Compression::None => "",
            Compression::Gzip | Compression::Deflate => ".gz",
            Compression::Zstd => ".zst",
        });
        key
    }
}

/// Whether keys may begin with a text.
pub(crate) fn check(prefix: &str) -> Result<(), &'static str> {
    if prefix.len() > MAX_KEY - MAX_NAME {
        return Err("is longer than 965 bytes: with its name, a key has at most 1,024");
    }
    if prefix.chars().any(char::is_control) {
        return Err("holds a control character");
    }
    if prefix.starts_with('/') {
        return Err("begins with `/`: keys do not");
    }
    let mut folders = prefix.split('/');
    // What is behind the last `/` becomes part of the object's name.
    folders.next_back();
    // Clients take such parts out of a path, which is then no longer the one that was signed.
    if folders.any(|folder| matches!(folder, "." | "..")) { Err("has a part that is `.` or `..`") } else { Ok(()) }
}

/// Appends a text for a URL's path (`/` stays) or, if `query`, for the value of a parameter.
pub(crate) fn push_encoded(text: &str, query: bool, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if !query => out.push('/'),
            _ => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use suiro_record::Source;

    use super::*;

    fn key(output: &str, origins: &[(u128, u64)]) -> String {
        let mut identity = Identity::new(output);
        for &(incarnation, start) in origins {
            let source = Source::new("in".into(), incarnation);
            identity.add(&Origin { source: &source, start, end: start + 1, ordinal: 0, salt: 0 });
        }
        identity.key("a/", 1_795_966_212_999_000_000, ".jsonl", Compression::Zstd)
    }

    #[test]
    fn the_same_records_are_the_same_object_and_others_are_not() {
        let all = [
            key("s3", &[(1, 0), (1, 1)]),
            key("s3", &[(2, 0), (2, 1)]),
            key("s3", &[(1, 0)]),
            key("s3", &[(1, 1), (1, 0)]),
            key("s3.2", &[(1, 0), (1, 1)]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(one.starts_with("a/20261129T") && one.ends_with(".jsonl.zst"), "{one}");
            assert_eq!(one.len(), 2 + MAX_NAME);
            assert!(!all[..at].contains(one));
        }
        assert_eq!(all[0], key("s3", &[(1, 0), (1, 1)]));
    }

    /// Seconds are cut off, not rounded down: below the earliest time is none.
    #[test]
    fn any_time_has_a_key() {
        for (time, expected) in [
            (0, "19700101T000000Z-"),
            (1_795_966_212_999_999_999, "20261129T153012Z-"),
            (-1_500_000_000, "19691231T235959Z-"),
            (i64::MAX, "22620411T234716Z-"),
            (i64::MIN, "16770921T001244Z-"),
        ] {
            let key = Identity::new("s3").key("a/", time, ".jsonl", Compression::Zstd);
            assert_eq!((&key[2..19], key.len()), (expected, 2 + MAX_NAME));
        }
    }

    #[test]
    fn what_keys_may_begin_with() {
        for prefix in ["", "a/", "a/b-", "a//b/", "a/..", "a/.x/", &"x".repeat(965)] {
            assert_eq!(check(prefix), Ok(()), "{prefix}");
        }
        for prefix in ["/a", "a/../b", "./a", "a/./", "a\nb", &"x".repeat(966)] {
            assert!(check(prefix).is_err(), "{prefix}");
        }
    }

    #[test]
    fn encoding() {
        let encoded = |text, query| {
            let mut out = String::new();
            push_encoded(text, query, &mut out);
            out
        };
        assert_eq!(encoded("a/b c+d=é~*'", false), "a/b%20c%2Bd%3D%C3%A9~%2A%27");
        assert_eq!(encoded("a/b&c", true), "a%2Fb%26c");
    }
}
