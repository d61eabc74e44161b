//! Segment headers and frame prefixes: the part of the format that says where things are.
//!
//! All numbers are little endian.
//!
//! ```text
//! segment: magic "suiroseg" | version u32 | base u64 | crc32c of the 20 bytes before, u32 | frame*
//! frame:   payload_len u32 | records u32 | crc32c of the payload u32 | crc32c of the 12 bytes before, u32 | payload
//! ```
//!
//! The prefix has a checksum of its own: where only a payload is damaged, its length and its count of records can still be
//! trusted, and nothing but that frame is lost. A prefix of zeros (a file grown by a crash, its bytes never written) does
//! not pass.

/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER: u64 = 24;
/// Bytes of a frame's prefix.
pub(super) const PREFIX: usize = 16;
/// Largest payload, bytes. A record whose text is larger is dropped as `too_large`: a batch ends at 1 GiB long before.
pub(super) const MAX_PAYLOAD: usize = 1 << 30;
/// Positions end here: a higher one in a file's name or in the state is damage, not a queue that took 4 EiB.
pub(super) const MAX_POSITION: u64 = 1 << 62;

const MAGIC: &[u8; 8] = b"suiroseg";
const VERSION: u32 = 1;

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    /// Bytes.
    pub(super) payload_len: u32,
    /// Records in it.
    pub(super) records: u32,
    /// Checksum of the payload.
    pub(super) crc: u32,
}

// === impl Prefix ===

impl Prefix {
    /// The prefix of `payload`.
    pub(super) fn of(payload: &[u8], records: u32) -> Self {
        Prefix { payload_len: payload.len() as u32, records, crc: crc32c::crc32c(payload) }
    }

    /// As written.
    pub(super) fn to_bytes(self) -> [u8; PREFIX] {
        let mut bytes = [0; PREFIX];
        bytes[0..4].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.records.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..12]);
        bytes[12..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// As read; `None` if it is damaged.
    pub(super) fn read(bytes: &[u8; PREFIX]) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let prefix = Prefix { payload_len: word(0), records: word(4), crc: word(8) };
        let sound = word(12) == crc32c::crc32c(&bytes[..12]);
        (sound && prefix.records > 0 && prefix.payload_len as usize <= MAX_PAYLOAD).then_some(prefix)
    }

    /// Bytes of the frame.
    pub(super) fn frame_len(self) -> u64 {
        PREFIX as u64 + u64::from(self.payload_len)
    }

    /// Whether `payload` is what was written.
    pub(super) fn matches(self, payload: &[u8]) -> bool {
        payload.len() == self.payload_len as usize && crc32c::crc32c(payload) == self.crc
    }
}

// === segments ===

/// The header of the segment that starts at `base`.
pub(super) fn segment_header(base: u64) -> [u8; SEGMENT_HEADER as usize] {
    let mut bytes = [0; SEGMENT_HEADER as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&base.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..20]);
    bytes[20..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Name of the segment that starts at `base`.
pub(super) fn segment_name(base: u64) -> String {
    format!("{base:016x}.seg")
}

/// Where the segment of that name starts; `None` if it is none of ours.
pub(super) fn segment_base(name: &str) -> Option<u64> {
    let base = u64::from_str_radix(name.strip_suffix(".seg")?, 16).ok()?;
    (base <= MAX_POSITION && segment_name(base) == name).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_survive_and_damage_is_seen() {
        let prefix = Prefix::of(b"payload", 3);
        let bytes = prefix.to_bytes();
        assert_eq!(Prefix::read(&bytes), Some(prefix));
        assert!(prefix.matches(b"payload") && !prefix.matches(b"Payload") && !prefix.matches(b"payloa"));
        for bit in 0..PREFIX * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Prefix::read(&bad), None, "bit {bit}");
        }
        assert_eq!(Prefix::read(&[0; PREFIX]), None);
    }

    #[test]
    fn names_are_positions() {
        assert_eq!(segment_name(255), "00000000000000ff.seg");
        assert_eq!(segment_base("00000000000000ff.seg"), Some(255));
        for other in
            ["ff.seg", "00000000000000FF.seg", "00000000000000ff", "ffffffffffffffff.seg", "+0000000000000ff.seg"]
        {
            assert_eq!(segment_base(other), None, "{other}");
        }
    }
}
