//! `Retry-After`: how long the other side wants to be left alone.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// Longer is not believed: a date far ahead would park an output until somebody looks.
const MAX: Duration = Duration::from_secs(3600);

/// Reads the value of `Retry-After`: seconds, or an HTTP date. At most an hour; a date in the past is no wait at all.
pub fn retry_after(value: &[u8], now: Timestamp) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are longer than anything believed.
        return Some(text.parse().map_or(MAX, Duration::from_secs).min(MAX));
    }
    static PARSER: DateTimeParser = DateTimeParser::new();
    let at = PARSER.parse_timestamp(text).ok()?;
    let wait = at.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO).min(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_dates_and_nonsense() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        for (value, wait) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("7200", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(3600)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value.as_bytes(), now), wait.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(&[0xff, b'1'], now), None);
    }
}
