//! Ids of traces and segments.
//!
//! | | a record | X-Ray |
//! | --- | --- | --- |
//! | trace | 32 hexadecimal digits (W3C), or 16, which have zeros in front (B3) | `1-` 8 digits `-` 24 digits |
//! | span, segment | 16 digits | 16 digits |
//!
//! Neither is ever 0. X-Ray's first 8 digits are the time of the trace, which it no longer looks at, so a trace id of the
//! W3C's is split, not changed.

use std::fmt;

use suiro_sdk::record::NodeRef;

/// A trace's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TraceId(u128);

/// A span's id, which is that of its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SegmentId(u64);

/// An id as a record has it: so many hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits<const N: usize>([u8; N]);

// === impl TraceId ===

impl TraceId {
    /// In any of the three forms.
    pub(crate) fn parse(text: &str) -> Option<TraceId> {
        let id = match text.len() {
            16 | 32 => hex(text)?,
            35 => {
                let (time, rest) = text.strip_prefix("1-")?.split_once('-')?;
                if time.len() != 8 {
                    return None;
                }
                hex(time)? << 96 | hex(rest)?
            }
            _ => return None,
        };
        TraceId::new(id)
    }

    /// As a record has it.
    pub(crate) fn of(node: NodeRef<'_>) -> Option<TraceId> {
        match node.hex_bytes() {
            Some(bytes) => TraceId::new(u128::from_be_bytes(bytes.try_into().ok()?)),
            None => TraceId::parse(&node.as_str()?),
        }
    }

    /// As a record has it.
    pub(crate) fn digits(self) -> Digits<32> {
        Digits::of(self.0)
    }

    fn new(id: u128) -> Option<TraceId> {
        (id != 0).then_some(TraceId(id))
    }
}

/// In X-Ray's form.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1-{:08x}-{:024x}", self.0 >> 96, self.0 & (u128::MAX >> 32))
    }
}

// === impl SegmentId ===

impl SegmentId {
    pub(crate) fn parse(text: &str) -> Option<SegmentId> {
        if text.len() != 16 {
            return None;
        }
        SegmentId::new(u64::try_from(hex(text)?).ok()?)
    }

    /// As a record has it.
    pub(crate) fn of(node: NodeRef<'_>) -> Option<SegmentId> {
        match node.hex_bytes() {
            Some(bytes) => SegmentId::new(u64::from_be_bytes(bytes.try_into().ok()?)),
            None => SegmentId::parse(&node.as_str()?),
        }
    }

    /// As a record has it.
    pub(crate) fn digits(self) -> Digits<16> {
        Digits::of(self.0.into())
    }

    fn new(id: u64) -> Option<SegmentId> {
        (id != 0).then_some(SegmentId(id))
    }

    /// An id for something that is made of this segment and has none, the `part`-th of its kind. It is always the same
    /// for the same segment: what is sent twice is stored once.
    pub(crate) fn derived(self, trace: TraceId, kind: Derived, part: usize) -> SegmentId {
        let folded = (trace.0 >> 64) as u64 ^ (trace.0 as u64).rotate_left(29);
        let mut id = mixed(self.0 ^ mixed(folded));
        for word in [kind as u64, part as u64] {
            id = mixed(id ^ word.wrapping_add(1));
        }
        SegmentId(id.max(1))
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

// === impl Digits ===

impl<const N: usize> Digits<N> {
    fn of(id: u128) -> Self {
        let mut digits = [0; N];
        for (at, digit) in digits.iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(id >> (4 * at)) as usize & 15];
        }
        Digits(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What an id is derived for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Derived {
    /// The segment of a service whose span became a subsegment.
    Service = 1,
    /// An exception.
    Exception = 2,
    /// A subsegment with what had no room in its segment.
    Rest = 3,
}

/// Spreads a change of any bit over all of them (the finalizer of SplitMix64).
fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

/// Digits and nothing else: no sign.
fn hex(text: &str) -> Option<u128> {
    let sound = text.bytes().all(|b| b.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|_| sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_a_trace() {
        let shown = |text: &str| TraceId::parse(text).map(|id| id.to_string());
        let w3c = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(shown(w3c).as_deref(), Some("1-4bf92f35-77b34da6a3ce929d0e0e4736"));
        assert_eq!(shown(&w3c.to_uppercase()), shown(w3c));
        assert_eq!(shown("1-4bf92f35-77b34da6a3ce929d0e0e4736"), shown(w3c));
        assert_eq!(shown("a3ce929d0e0e4736").as_deref(), Some("1-00000000-00000000a3ce929d0e0e4736"));
        for text in [
            "",
            "0",
            "00000000000000000000000000000000",
            "0000000000000000",
            "1-00000000-000000000000000000000000",
            "2-4bf92f35-77b34da6a3ce929d0e0e4736",
            "1-4bf92f3577b34da6a3ce929d0e0e4736-",
            "1-4bf92f3-577b34da6a3ce929d0e0e4736",
            "+bf92f3577b34da6a3ce929d0e0e4736",
            "4bf92f3577b34da6a3ce929d0e0e473",
            "4bf92f3577b34da6a3ce929d0e0e473g",
            "1-+bf92f35-77b34da6a3ce929d0e0e4736",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn digits_as_a_record_has_them() {
        for text in ["4bf92f3577b34da6a3ce929d0e0e4736", "000000000000000000000000000000f0"] {
            assert_eq!(TraceId::parse(text).unwrap().digits().as_str(), text);
        }
        assert_eq!(SegmentId::parse("00F067aa0ba902b7").unwrap().digits().as_str(), "00f067aa0ba902b7");
    }

    #[test]
    fn a_segment() {
        assert_eq!(SegmentId::parse("00F067aa0ba902b7").unwrap().to_string(), "00f067aa0ba902b7");
        for text in ["", "0000000000000000", "f067aa0ba902b7", "00f067aa0ba902b7a", "+0f067aa0ba902b7"] {
            assert_eq!(SegmentId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn derived_ids_repeat_and_differ() {
        let trace = TraceId(1 << 64 | 5);
        let segment = SegmentId(7);
        let all = |trace: TraceId, segment: SegmentId| {
            let kinds = [Derived::Service, Derived::Exception, Derived::Rest];
            kinds.into_iter().flat_map(move |kind| (0..50).map(move |part| segment.derived(trace, kind, part)))
        };
        let ids: Vec<SegmentId> =
            all(trace, segment).chain(all(TraceId(5), segment)).chain(all(trace, SegmentId(8))).collect();
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len());
        assert!(all(trace, segment).eq(ids.iter().copied().take(150)));
        assert!(!ids.contains(&segment));
    }
}
