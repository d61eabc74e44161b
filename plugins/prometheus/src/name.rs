//! Names: from those of OpenTelemetry to those Prometheus takes, as the OpenTelemetry specification of compatibility with
//! Prometheus has it.
//!
//! - What is no letter, digit, `_` or `:` becomes `_`, several of them one. A name that is valid stays as it is.
//! - The unit goes behind the name, in Prometheus's words (`By` → `bytes`, `m/s` → `meters_per_second`, `1` of a gauge →
//!   `ratio`, `{requests}` → nothing), unless the name ends with it.
//! - `_total` goes behind a counter's.

use std::borrow::Cow;

use crate::text::Type;

/// Units of UCUM and what Prometheus calls them.
const UNITS: [(&str, &str); 40] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("KB", "kilobytes"),
    ("MB", "megabytes"),
    ("GB", "gigabytes"),
    ("TB", "terabytes"),
    ("bit", "bits"),
    ("Kbit", "kilobits"),
    ("kbit", "kilobits"),
    ("Mbit", "megabits"),
    ("Gbit", "gigabits"),
    ("m", "meters"),
    ("km", "kilometers"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("kJ", "kilojoules"),
    ("W", "watts"),
    ("kW", "kilowatts"),
    ("g", "grams"),
    ("kg", "kilograms"),
    ("Cel", "celsius"),
    ("K", "kelvin"),
    ("Hz", "hertz"),
    ("%", "percent"),
];

/// What stands behind `/`.
const PER: [(&str, &str); 8] = [
    ("s", "second"),
    ("m", "minute"),
    ("min", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The name of a metric's family, `_total` of a counter included.
pub(crate) fn metric_name<'n>(name: &'n str, unit: &str, kind: Type) -> Cow<'n, str> {
    let clean = clean_metric(name);
    let suffix = unit_suffix(unit, kind);
    let total = kind == Type::Counter;
    let has_unit = |base: &str| suffix.is_empty() || ends_with_word(base, &suffix);
    let base = if total { clean.strip_suffix("_total").unwrap_or(&clean) } else { &clean };
    if has_unit(base) && (!total || base.len() < clean.len()) {
        return clean;
    }
    let mut out = base.to_owned();
    if !has_unit(&out) {
        out.push('_');
        out.push_str(&suffix);
    }
    if total {
        out.push_str("_total");
    }
    Cow::Owned(out)
}

/// The unit as it stands behind a family's name.
pub(crate) fn unit_suffix(unit: &str, kind: Type) -> String {
    let unit = without_remarks(unit);
    let unit = unit.trim();
    if unit == "1" {
        return if kind == Type::Gauge { "ratio".to_owned() } else { String::new() };
    }
    let (whole, per) = match unit.split_once('/') {
        Some((whole, per)) => (whole.trim(), Some(per.trim()).filter(|per| !per.is_empty())),
        None => (unit, None),
    };
    let word = |unit: &str, table: &[(&'static str, &'static str)]| {
        let known = table.iter().find(|(short, _)| *short == unit).map(|(_, long)| (*long).to_owned());
        known.unwrap_or_else(|| clean_unit(unit))
    };
    let mut out = if whole == "1" { String::new() } else { word(whole, &UNITS) };
    if let Some(per) = per {
        let per = word(per, &PER);
        if !per.is_empty() {
            out.push_str(if out.is_empty() { "per_" } else { "_per_" });
            out.push_str(&per);
        }
    }
    out
}

/// A unit without what stands in braces, which is a remark.
fn without_remarks(unit: &str) -> String {
    let mut depth = 0_u32;
    unit.chars()
        .filter(|&c| {
            match c {
                '{' => depth += 1,
                '}' => {
                    depth = depth.saturating_sub(1);
                    return false;
                }
                _ => {}
            }
            depth == 0
        })
        .collect()
}

fn clean_unit(unit: &str) -> String {
    let clean: String = unit.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    clean.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

fn ends_with_word(name: &str, word: &str) -> bool {
    name.strip_suffix(word).is_some_and(|head| head.is_empty() || head.ends_with('_'))
}

fn clean_metric(name: &str) -> Cow<'_, str> {
    let start = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':');
    let inner = |c: char| start(c) || c.is_ascii_digit();
    if name.starts_with(start) && name.chars().all(inner) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 1);
    for c in name.chars() {
        match c {
            c if inner(c) && c != '_' => out.push(c),
            _ if out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    while out.ends_with('_') && out.len() > 1 {
        out.pop();
    }
    if !out.starts_with(start) {
        out.insert(0, '_');
    }
    Cow::Owned(out)
}

/// The name of a label. Those that begin with `__` are Prometheus's own.
pub(crate) fn label_name(name: &str) -> Cow<'_, str> {
    let start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let inner = |c: char| start(c) || c.is_ascii_digit();
    let reserved = name.starts_with("__");
    if name.starts_with(start) && name.chars().all(inner) && !reserved {
        return Cow::Borrowed(name);
    }
    let clean: String = name.chars().map(|c| if inner(c) { c } else { '_' }).collect();
    if clean.starts_with("__") {
        return Cow::Owned(format!("key{clean}"));
    }
    Cow::Owned(if clean.starts_with(start) { clean } else { format!("key_{clean}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_the_specification_has_them() {
        for (name, unit, kind, want) in [
            ("http.server.request.duration", "s", Type::Histogram, "http_server_request_duration_seconds"),
            ("http_requests_total", "", Type::Counter, "http_requests_total"),
            ("http.requests", "{request}", Type::Counter, "http_requests_total"),
            ("http.requests", "1", Type::Counter, "http_requests_total"),
            ("process_cpu_seconds_total", "seconds", Type::Counter, "process_cpu_seconds_total"),
            ("cpu.time", "s", Type::Counter, "cpu_time_seconds_total"),
            ("memory.utilization", "1", Type::Gauge, "memory_utilization_ratio"),
            ("system.memory.usage", "By", Type::Gauge, "system_memory_usage_bytes"),
            ("speed", "m/s", Type::Gauge, "speed_meters_per_second"),
            ("rate", "{packets}/s", Type::Gauge, "rate_per_second"),
            ("(lambda).function.executions(#)", "", Type::Gauge, "_lambda_function_executions"),
            ("1st", "", Type::Gauge, "_1st"),
            ("水", "", Type::Gauge, "_"),
            ("a__b:c", "", Type::Gauge, "a__b:c"),
            ("x", "foo-bar", Type::Gauge, "x_foo_bar"),
            ("bytes", "By", Type::Gauge, "bytes"),
            ("kilobytes", "By", Type::Gauge, "kilobytes_bytes"),
            ("up", "}{{", Type::Unknown, "up"),
        ] {
            assert_eq!(metric_name(name, unit, kind), want, "{name} {unit}");
        }
    }

    #[test]
    fn labels_keep_to_their_letters() {
        for (name, want) in [
            ("a_b1", "a_b1"),
            ("http.method", "http_method"),
            ("1a", "key_1a"),
            ("__name__", "key__name__"),
            ("", "key_"),
            ("..x", "key__x"),
        ] {
            assert_eq!(label_name(name), want);
        }
    }
}
