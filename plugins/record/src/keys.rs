//! The keys of a batch, interned.
//!
//! Each key is kept once, in the form it has in tight JSON: `"key":`, escapes canonical, so that the writer copies it and
//! the parser compares it with the source in one go. Log records repeat: after `host` came `level` last time, so the
//! parser asks for `level` first ([`Keys::follow`]) and finds most keys without looking for their end or hashing them.
//!
//! Hashes are seeded per process: nobody outside can choose keys that collide. Id 0 is always [`LOG_KEY`], so that a line
//! of text can be kept whatever else the table holds.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::LOG_KEY;
use crate::escape;
use crate::node::{NO_KEY, NodeId};

/// Distinct keys a batch may hold, `log` among them.
pub const MAX_KEYS: usize = NO_KEY as usize;

/// Id of [`LOG_KEY`] in every batch.
pub(crate) const LOG_ID: u16 = 0;

/// All the parser needs of a key, in one cache line.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The first 16 bytes of the quoted form, and which of them count.
    head: u128,
    mask: u128,
    /// Start of `"key":` in `bytes`.
    quoted: u32,
    /// Start of the key as it is, within the quoted form where nothing is escaped.
    plain: u32,
    quoted_len: u32,
    plain_len: u32,
    /// The container the key was last seen in.
    stamp: NodeId,
    /// The key that last followed this one, or [`NO_KEY`].
    next: u16,
}

/// A key found where it was expected.
pub(crate) struct Followed {
    pub(crate) key: u16,
    /// Length of `"key":`.
    pub(crate) len: usize,
    /// The container the key was last seen in, before this one.
    pub(crate) seen: NodeId,
    /// What to expect behind it.
    pub(crate) next: u16,
}

const RECENT: usize = 64;

#[derive(Clone)]
pub(crate) struct Keys {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// The key records begin with.
    pub(crate) first: u16,
    ids: HashTable<u16>,
    /// Ids of the keys of whole shapes, for parsers.
    pub(crate) shapes: Vec<crate::shape::ShapeKeys>,
    hasher: DefaultHashBuilder,
    /// Keys asked for lately, by length and ends: most questions repeat, and comparing is cheaper than hashing.
    recent: [u16; RECENT],
}

// === impl Keys ===

impl Default for Keys {
    fn default() -> Self {
        let mut keys = Keys {
            bytes: Vec::new(),
            entries: Vec::new(),
            first: NO_KEY,
            ids: HashTable::new(),
            shapes: Vec::new(),
            hasher: DefaultHashBuilder::default(),
            recent: [LOG_ID; RECENT],
        };
        keys.intern(LOG_KEY);
        keys
    }
}

impl Keys {
    /// Id of `key`, new if need be; `None` when the table is full.
    pub(crate) fn intern(&mut self, key: &str) -> Option<u16> {
        let slot = recent_slot(key.as_bytes());
        let recent = self.recent[slot];
        if self.entries.get(usize::from(recent)).is_some_and(|_| self.plain(recent) == key.as_bytes()) {
            return Some(recent);
        }
        let hash = self.hasher.hash_one(key.as_bytes());
        let id = match self.ids.find(hash, |&id| self.plain(id) == key.as_bytes()) {
            Some(&id) => id,
            None => self.add(key, hash)?,
        };
        self.recent[slot] = id;
        Some(id)
    }

    #[cold]
    fn add(&mut self, key: &str, hash: u64) -> Option<u16> {
        let id = u16::try_from(self.entries.len()).ok().filter(|&id| id != NO_KEY)?;
        // Escaped, a byte takes six at most; then the key as it is.
        if self.bytes.len().checked_add(key.len().checked_mul(7)?)? > u32::MAX as usize - 3 {
            return None;
        }
        let quoted = self.bytes.len();
        let escaped = escape::write_json_str(key, &mut self.bytes);
        self.bytes.push(b':');
        let quoted_len = self.bytes.len() - quoted;
        let plain = if escaped {
            self.bytes.extend_from_slice(key.as_bytes());
            quoted + quoted_len
        } else {
            quoted + 1
        };
        let (head, mask) = head_of(&self.bytes[quoted..quoted + quoted_len]);
        self.entries.push(Entry {
            head,
            mask,
            quoted: quoted as u32,
            plain: plain as u32,
            quoted_len: quoted_len as u32,
            plain_len: key.len() as u32,
            stamp: 0,
            next: NO_KEY,
        });
        let Keys { ids, entries, bytes, hasher, .. } = self;
        ids.insert_unique(hash, id, |&id| {
            let e = entries[id as usize];
            hasher.hash_one(&bytes[e.plain as usize..][..e.plain_len as usize])
        });
        Some(id)
    }

    /// Id of `key`, if any record of the batch has it.
    pub(crate) fn find(&self, key: &str) -> Option<u16> {
        self.find_bytes(key.as_bytes())
    }

    /// As [`Keys::find`], of what should be UTF-8.
    pub(crate) fn find_bytes(&self, key: &[u8]) -> Option<u16> {
        let recent = self.recent[recent_slot(key)];
        if self.plain(recent) == key {
            return Some(recent);
        }
        self.ids.find(self.hasher.hash_one(key), |&id| self.plain(id) == key).copied()
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The key as it is.
    #[inline]
    pub(crate) fn plain(&self, id: u16) -> &[u8] {
        let e = &self.entries[id as usize];
        &self.bytes[e.plain as usize..][..e.plain_len as usize]
    }

    /// The key as `"key":`.
    #[inline]
    pub(crate) fn quoted(&self, id: u16) -> &[u8] {
        let e = &self.entries[id as usize];
        &self.bytes[e.quoted as usize..][..e.quoted_len as usize]
    }

    /// Length of `"key":`.
    #[inline]
    pub(crate) fn quoted_len(&self, id: u16) -> usize {
        self.entries[id as usize].quoted_len as usize
    }

    /// If `source` starts with key `guess` as `"key":`, notes that it was seen in `container`.
    #[inline]
    pub(crate) fn follow(&mut self, guess: u16, source: &[u8], container: NodeId) -> Option<Followed> {
        let e = self.entries.get_mut(usize::from(guess))?;
        let len = e.quoted_len as usize;
        match source.first_chunk::<16>() {
            // One wide compare settles nearly all keys.
            Some(head) if (u128::from_le_bytes(*head) ^ e.head) & e.mask != 0 => return None,
            Some(_) if len <= 16 => {}
            _ if source.starts_with(&self.bytes[e.quoted as usize..][..len]) => {}
            _ => return None,
        }
        Some(Followed { key: guess, len, seen: std::mem::replace(&mut e.stamp, container), next: e.next })
    }

    /// Notes that key `id` was seen in `container`; where it was seen before, and what to expect behind it.
    pub(crate) fn stamp(&mut self, id: u16, container: NodeId) -> (NodeId, u16) {
        let e = &mut self.entries[id as usize];
        (std::mem::replace(&mut e.stamp, container), e.next)
    }

    /// The key to expect behind `id`, or at the start of a record where that is [`NO_KEY`], is `next` from now on.
    pub(crate) fn set_next(&mut self, id: u16, next: u16) {
        match self.entries.get_mut(usize::from(id)) {
            Some(e) => e.next = next,
            None => self.first = next,
        }
    }

    /// Forgets all keys and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.ids.clear();
        self.shapes.clear();
        self.recent = [LOG_ID; RECENT];
        self.first = NO_KEY;
        self.intern(LOG_KEY);
    }

    /// Forgets the keys from id `len` on. Nothing may hold their ids any more.
    pub(crate) fn truncate(&mut self, len: usize) {
        let Some(first) = self.entries.get(len) else { return };
        let end = first.quoted as usize;
        for id in len..self.entries.len() {
            let hash = self.hasher.hash_one(self.plain(id as u16));
            if let Ok(found) = self.ids.find_entry(hash, |&own| usize::from(own) == id) {
                found.remove();
            }
        }
        self.bytes.truncate(end);
        self.entries.truncate(len);
        self.shapes.retain(|(_, ids)| ids.iter().all(|&id| usize::from(id) < len));
        // Guesses of what follows a key may stay: they are compared before they are believed.
        self.recent.iter_mut().filter(|id| usize::from(**id) >= len).for_each(|id| *id = LOG_ID);
    }

    /// Bytes this table occupies.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>() + self.ids.capacity() * 3
    }
}

fn recent_slot(key: &[u8]) -> usize {
    let ends = match key {
        [first, .., last] => usize::from(*first) * 7 + usize::from(*last),
        _ => 0,
    };
    (ends + key.len()) % RECENT
}

fn head_of(quoted: &[u8]) -> (u128, u128) {
    let len = quoted.len().min(16);
    let mut head = [0; 16];
    head[..len].copy_from_slice(&quoted[..len]);
    let mask = if len == 16 { u128::MAX } else { (1 << (8 * len)) - 1 };
    (u128::from_le_bytes(head), mask)
}
