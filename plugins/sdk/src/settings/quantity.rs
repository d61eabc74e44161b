//! Settings with a unit: durations (`"5s"`) and sizes (`"64MiB"`).
//!
//! A duration always has a unit, so that nobody has to guess whether `timeout = 30` are seconds. A plain number is a size
//! in bytes. Parts add up (`"1h30m"`); sizes take a decimal point (`"1.5GiB"`), computed exactly.

use std::fmt;
use std::time::Duration;

use super::Setting;
use super::diagnostic::Reported;
use super::value::{Data, Value};

/// Longer than any real duration, and short enough that adding it to a clock can't overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

const TIME_UNITS: &str = "units are us, ms, s, m, h and d";
const SIZE_UNITS: &str = "units are B, KiB, MiB, GiB, TiB, KB, MB, GB and TB";

/// A number of bytes: `"64MiB"`, `"10MB"`, `4096`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// A setting that can be compared with bounds, see [`Section::within`](super::Section::within).
pub trait Quantity: Setting + PartialOrd {
    /// As the user would write it.
    fn written(&self) -> String;
}

// === impl ByteSize ===

impl ByteSize {
    /// KiB.
    pub const fn kib(number: u64) -> Self {
        Self(number << 10)
    }

    /// MiB.
    pub const fn mib(number: u64) -> Self {
        Self(number << 20)
    }

    /// GiB.
    pub const fn gib(number: u64) -> Self {
        Self(number << 30)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes, or the most that memory can address.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.iter().find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Setting for ByteSize {
    fn read(value: &Value) -> Result<Self, Reported> {
        const WHAT: &str = "a size such as \"64MiB\"";
        match value.data() {
            Data::Integer(number) => match u64::try_from(number) {
                Ok(number) => Ok(ByteSize(number)),
                Err(_) => Err(value.error(format!("{} must not be negative", value.name()), "")),
            },
            Data::String(text) => parse_size(text).map(ByteSize).map_err(|(at, len, message)| {
                let help = if message.contains("unit") { SIZE_UNITS } else { "" };
                value.error_in_string(at, len, format!("{} must be {WHAT}: {message}", value.name()), help)
            }),
            _ => Err(value.expected(WHAT)),
        }
    }
}

impl Quantity for ByteSize {
    fn written(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Setting for Duration {
    fn read(value: &Value) -> Result<Self, Reported> {
        const WHAT: &str = "a duration such as \"5s\" or \"500ms\"";
        match value.data() {
            Data::String(text) => parse_duration(text).map_err(|(at, len, message)| {
                let help = if message.contains("unit") { TIME_UNITS } else { "" };
                value.error_in_string(at, len, format!("{} must be {WHAT}: {message}", value.name()), help)
            }),
            Data::Integer(number) => Err(value.error(
                format!("{} must be {WHAT}, found a number without a unit", value.name()),
                format!("write \"{number}s\" for seconds; {TIME_UNITS}"),
            )),
            _ => Err(value.expected(WHAT)),
        }
    }
}

impl Quantity for Duration {
    fn written(&self) -> String {
        let micros = self.as_micros();
        let units = [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1000, "ms")];
        match units.iter().find(|(unit, _)| micros >= *unit && micros.is_multiple_of(*unit)) {
            Some((unit, name)) => format!("\"{}{name}\"", micros / unit),
            None if micros == 0 => "\"0s\"".to_owned(),
            None => format!("\"{micros}us\""),
        }
    }
}

// === parsing ===

/// Where in the text (offset, length), and what is wrong.
type Complaint = (usize, usize, &'static str);

fn parse_duration(text: &str) -> Result<Duration, Complaint> {
    let mut total = Duration::ZERO;
    let mut at = 0;
    while at < text.len() || at == 0 {
        let digits = run(text, at, |b| b.is_ascii_digit());
        let number: u64 = match text[at..at + digits].parse() {
            Ok(number) => number,
            Err(_) if digits == 0 => return Err((at, text.len() - at, "a whole number is expected here")),
            Err(_) => return Err((at, digits, "the number is too large")),
        };
        let unit_at = at + digits;
        let letters = run(text, unit_at, |b| !b.is_ascii_digit());
        let micros = match &text[unit_at..unit_at + letters] {
            "us" | "µs" => 1,
            "ms" => 1000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000_u64,
            "" => return Err((at, digits, "the unit is missing")),
            _ => return Err((unit_at, letters, "this isn't a unit")),
        };
        let part = number.checked_mul(micros).map(Duration::from_micros);
        total = match part.and_then(|part| total.checked_add(part)) {
            Some(total) if total <= LONGEST => total,
            _ => return Err((at, digits + letters, "longer than a hundred years")),
        };
        at = unit_at + letters;
    }
    Ok(total)
}

fn parse_size(text: &str) -> Result<u64, Complaint> {
    let digits = run(text, 0, |b| b.is_ascii_digit() || b == b'.');
    let (whole, fraction) = text[..digits].split_once('.').unwrap_or((&text[..digits], ""));
    if whole.is_empty() || (fraction.is_empty() && digits != whole.len()) || fraction.contains('.') {
        return Err((0, text.len(), "a number is expected here"));
    }
    if whole.len() > 20 || fraction.len() > 6 {
        return Err((0, digits, "the number is too long"));
    }
    let blank = run(text, digits, |b| b == b' ');
    let unit_at = digits + blank;
    let unit: u128 = match text[unit_at..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err((unit_at, text.len() - unit_at, "this isn't a unit")),
    };
    // Both are digits only, few enough for 128 bits.
    let number = |digits: &str| digits.parse::<u128>().unwrap_or(0);
    let part = number(fraction) * unit / 10_u128.pow(fraction.len() as u32);
    u64::try_from(number(whole) * unit + part).map_err(|_| (0, text.len(), "the size is too large"))
}

/// How many bytes from `at` on satisfy `wanted`.
fn run(text: &str, at: usize, wanted: impl Fn(u8) -> bool) -> usize {
    text.as_bytes()[at..].iter().take_while(|b| wanted(**b)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, micros) in [
            ("5s", 5_000_000),
            ("500ms", 500_000),
            ("1m", 60_000_000),
            ("2h", 7_200_000_000),
            ("1d", 86_400_000_000),
            ("1h30m", 5_400_000_000),
            ("0s", 0),
            ("50us", 50),
            ("50µs", 50),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for (text, at, len) in [
            ("", 0, 0),
            ("5", 0, 1),
            ("5sec", 1, 3),
            ("s", 0, 1),
            ("-5s", 0, 3),
            ("1h30", 2, 2),
            ("99999999999999999999s", 0, 20),
            ("36501d", 0, 6),
            ("1.5s", 1, 1),
            ("5水", 1, 3),
        ] {
            let complaint = parse_duration(text).unwrap_err();
            assert_eq!((complaint.0, complaint.1), (at, len), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("1GiB", 1 << 30),
            ("10MB", 10_000_000),
            ("1.5GiB", 3 << 29),
            ("0.1KB", 100),
            ("512", 512),
            ("7 kb", 7000),
            ("18446744073709551615B", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "MiB",
            "1.MiB",
            "1..5MiB",
            "5X",
            "5M",
            "-1",
            "18446744073709551616",
            "99999999TiB",
            "1.0000001KB",
            "5水",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["64MiB", "1GiB", "1000B", "0B", "3TiB"] {
            assert_eq!(ByteSize(parse_size(text).unwrap()).to_string(), text);
        }
        for text in ["5s", "90s", "2h", "1d", "500ms", "7us", "0s"] {
            assert_eq!(parse_duration(text).unwrap().written(), format!("\"{text}\""));
        }
    }
}
