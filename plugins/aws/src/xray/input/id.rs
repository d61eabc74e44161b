//! Ids of traces and segments, as digits.

/// The 32 digits of a trace's id, in lower case, not all 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceId([u8; 32]);

/// The 16 digits of a segment's id, in lower case, not all 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanId([u8; 16]);

// === impl TraceId ===

impl TraceId {
    /// Reads X-Ray's form, `1-5759e988-bd862e3fe1be46a994272793`, or the 32 digits alone.
    pub(crate) fn read(text: &str) -> Option<TraceId> {
        let mut digits = [0; 32];
        match text.as_bytes() {
            [b'1', b'-', rest @ ..] if rest.len() == 33 && rest[8] == b'-' => {
                let (time, random) = (rest.get(..8)?, rest.get(9..)?);
                digits[..8].copy_from_slice(time);
                digits[8..].copy_from_slice(random);
            }
            plain => digits.copy_from_slice(plain.first_chunk::<32>().filter(|_| plain.len() == 32)?),
        }
        lower(&mut digits).then_some(TraceId(digits))
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

// === impl SpanId ===

impl SpanId {
    /// Reads 16 digits.
    pub(crate) fn read(text: &str) -> Option<SpanId> {
        let mut digits = <[u8; 16]>::try_from(text.as_bytes()).ok()?;
        lower(&mut digits).then_some(SpanId(digits))
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Makes digits lower case; whether they are hexadecimal digits, and not all 0.
fn lower(digits: &mut [u8]) -> bool {
    digits.make_ascii_lowercase();
    digits.iter().all(u8::is_ascii_hexdigit) && digits.iter().any(|digit| *digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_of_a_trace_id() {
        let digits = "5759e988bd862e3fe1be46a994272793";
        for text in ["1-5759e988-bd862e3fe1be46a994272793", digits, "1-5759E988-BD862E3FE1BE46A994272793"] {
            assert_eq!(TraceId::read(text).as_ref().map(TraceId::as_str), Some(digits), "{text}");
        }
        for text in [
            "",
            "1-",
            "2-5759e988-bd862e3fe1be46a994272793",
            "1-5759e988bbd862e3fe1be46a994272793",
            "1-5759e988-bd862e3fe1be46a99427279",
            "1-5759e988-bd862e3fe1be46a9942727933",
            "1-5759e988-bd862e3fe1be46a99427279g",
            "1-5759e988-bd862e3fe1be46a9942727é",
            "1-00000000-000000000000000000000000",
            "5759e988bd862e3fe1be46a99427279",
        ] {
            assert_eq!(TraceId::read(text), None, "{text}");
        }
    }

    #[test]
    fn reads_the_id_of_a_segment() {
        assert_eq!(SpanId::read("53995C3F42CD8AD8").as_ref().map(SpanId::as_str), Some("53995c3f42cd8ad8"));
        for text in ["", "0000000000000000", "53995c3f42cd8ad", "53995c3f42cd8ad80", "53995c3f42cd8adx"] {
            assert_eq!(SpanId::read(text), None, "{text}");
        }
    }
}
