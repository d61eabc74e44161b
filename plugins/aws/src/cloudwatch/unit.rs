//! From units as OpenTelemetry writes them (UCUM) to CloudWatch's.
//!
//! CloudWatch knows 27 words and keeps data of different units apart. What it has no word for but one of the same kind is
//! converted, so nanoseconds become microseconds; its kilobyte is a thousand bytes, so `KiBy` become bytes.

/// A unit of CloudWatch's, and what values are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Unit {
    /// `None`: nothing is said.
    pub(crate) name: Option<&'static str>,
    pub(crate) factor: f64,
}

/// CloudWatch's own words: who writes them gets them.
const NAMES: [&str; 26] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
];

/// What things are counted in, apart from what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Amounts that are added up.
    Sum,
    /// A count over a time, by the second.
    Rate,
    /// Anything else.
    Level,
}

// === impl Unit ===

impl Unit {
    /// Nothing is said, and nothing converted.
    pub(crate) const NONE: Unit = Unit { name: None, factor: 1.0 };

    /// The unit for `unit` of a metric.
    pub(crate) fn of(unit: &str, counted: Counted) -> Unit {
        let plain = |name| Unit { name: Some(name), factor: 1.0 };
        let times = |name, factor| Unit { name: Some(name), factor };
        match unit {
            "" | "1" if counted == Counted::Rate => plain("Count/Second"),
            "1" if counted == Counted::Sum => plain("Count"),
            "" | "1" => Unit::NONE,
            "ns" => times("Microseconds", 1e-3),
            "us" | "µs" | "μs" => plain("Microseconds"),
            "ms" => plain("Milliseconds"),
            "s" => plain("Seconds"),
            "min" => times("Seconds", 60.0),
            "h" => times("Seconds", 3600.0),
            "d" => times("Seconds", 86_400.0),
            "%" => plain("Percent"),
            _ if NAMES.contains(&unit) => Unit { name: NAMES.iter().find(|name| **name == unit).copied(), factor: 1.0 },
            _ => match unit.strip_suffix("/s") {
                Some(rest) => amount(rest, true).unwrap_or(Unit::NONE),
                None => amount(unit, false).unwrap_or(Unit::NONE),
            },
        }
    }
}

/// Bytes, bits and counts, or so many of them a second.
fn amount(unit: &str, each_second: bool) -> Option<Unit> {
    const KI: f64 = 1024.0;
    let (name, by_second, factor) = match unit {
        "By" => ("Bytes", "Bytes/Second", 1.0),
        "kBy" => ("Kilobytes", "Kilobytes/Second", 1.0),
        "MBy" => ("Megabytes", "Megabytes/Second", 1.0),
        "GBy" => ("Gigabytes", "Gigabytes/Second", 1.0),
        "TBy" => ("Terabytes", "Terabytes/Second", 1.0),
        "KiBy" => ("Bytes", "Bytes/Second", KI),
        "MiBy" => ("Bytes", "Bytes/Second", KI * KI),
        "GiBy" => ("Bytes", "Bytes/Second", KI * KI * KI),
        "TiBy" => ("Bytes", "Bytes/Second", KI * KI * KI * KI),
        "bit" => ("Bits", "Bits/Second", 1.0),
        "kbit" => ("Kilobits", "Kilobits/Second", 1.0),
        "Mbit" => ("Megabits", "Megabits/Second", 1.0),
        "Gbit" => ("Gigabits", "Gigabits/Second", 1.0),
        "Tbit" => ("Terabits", "Terabits/Second", 1.0),
        // `{request}`: what is counted, in words.
        _ if unit.starts_with('{') && unit.ends_with('}') => ("Count", "Count/Second", 1.0),
        "1" if each_second => ("Count", "Count/Second", 1.0),
        _ => return None,
    };
    Some(Unit { name: Some(if each_second { by_second } else { name }), factor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_cloudwatchs() {
        for (unit, counted, name, factor) in [
            ("", Counted::Level, None, 1.0),
            ("1", Counted::Level, None, 1.0),
            ("1", Counted::Sum, Some("Count"), 1.0),
            ("", Counted::Rate, Some("Count/Second"), 1.0),
            ("ns", Counted::Level, Some("Microseconds"), 1e-3),
            ("s", Counted::Sum, Some("Seconds"), 1.0),
            ("min", Counted::Level, Some("Seconds"), 60.0),
            ("%", Counted::Level, Some("Percent"), 1.0),
            ("By", Counted::Sum, Some("Bytes"), 1.0),
            ("KiBy", Counted::Level, Some("Bytes"), 1024.0),
            ("MBy/s", Counted::Level, Some("Megabytes/Second"), 1.0),
            ("GiBy/s", Counted::Level, Some("Bytes/Second"), 1_073_741_824.0),
            ("{request}", Counted::Sum, Some("Count"), 1.0),
            ("{request}/s", Counted::Level, Some("Count/Second"), 1.0),
            ("1/s", Counted::Level, Some("Count/Second"), 1.0),
            ("Kilobytes", Counted::Level, Some("Kilobytes"), 1.0),
            ("Cel", Counted::Level, None, 1.0),
            ("/s", Counted::Level, None, 1.0),
        ] {
            assert_eq!(Unit::of(unit, counted), Unit { name, factor }, "{unit}");
        }
    }
}
