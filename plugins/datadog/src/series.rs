//! From a point to the items of a request's list.

use std::borrow::Cow;
use std::io::Write as _;

use suiro_record::{Kind, NodeRef, write_json_str};
use suiro_sdk::point::Point;
use suiro_sdk::{Reason, Verdict};

use crate::tags;

/// Where a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/api/v2/series`
    Series,
    /// `/api/v1/distribution_points`
    Distributions,
}

/// A count since some start: Datadog wants what was added.
const CUMULATIVE: Reason = Reason("cumulative");
/// The point says that it has no value.
const NO_VALUE: Reason = Reason("no_value");

/// What a value sent for another one repeats it, at most, to stand for those a client did not send.
const MAX_REPEAT: f64 = 10_000.0;

#[derive(Clone, Copy)]
enum Type {
    Count = 1,
    Rate = 2,
    Gauge = 3,
}

/// What all series of a point share.
pub(crate) struct Shared<'a> {
    pub(crate) point: &'a Point<'a>,
    /// Items of a JSON list.
    pub(crate) tags: &'a [u8],
    pub(crate) host: Option<&'a str>,
}

/// Series of a point, one behind the other with commas between.
struct Items<'a> {
    shared: Shared<'a>,
    out: &'a mut Vec<u8>,
    from: usize,
    /// A number that is none was met.
    unsound: bool,
}

/// Appends the items of a point and says where they go, or what becomes of it instead; then nothing is appended.
pub(crate) fn write(shared: Shared<'_>, out: &mut Vec<u8>) -> Result<Route, Verdict> {
    let from = out.len();
    let mut items = Items { shared, out, from, unsound: false };
    let route = items.write();
    let Items { out, unsound, .. } = items;
    let route = match route {
        Ok(_) if unsound => Err(malformed("a number of the point is not finite")),
        Ok(_) if out.len() == from => Err(Verdict::Drop(NO_VALUE)),
        route => route,
    };
    if route.is_err() {
        out.truncate(from);
    }
    route
}

fn malformed(detail: &str) -> Verdict {
    Verdict::Refused { reason: Reason::MALFORMED, detail: detail.to_owned() }
}

fn cumulative(what: &str) -> Verdict {
    let detail = format!("a cumulative {what}; put the filter `delta` before this output");
    Verdict::Refused { reason: CUMULATIVE, detail }
}

// === impl Items ===

impl Items<'_> {
    fn write(&mut self) -> Result<Route, Verdict> {
        let point = self.shared.point;
        if point.name.is_empty() {
            return Err(malformed("the record has no metric's `name`"));
        }
        if point.unrecorded {
            return Err(Verdict::Drop(NO_VALUE));
        }
        if let Some(values) = point.values {
            self.distribution(values);
            return Ok(Route::Distributions);
        }
        match &*point.kind {
            "gauge" if point.source_type == "rate" => self.some("", Type::Rate, point.value),
            "gauge" => self.some("", Type::Gauge, point.value),
            "sum" if point.cumulative && point.monotonic => return Err(cumulative("sum")),
            "sum" if point.cumulative => self.some("", Type::Gauge, point.value),
            "sum" => self.some("", Type::Count, point.value),
            "histogram" | "exponential_histogram" if point.cumulative => return Err(cumulative("histogram")),
            "histogram" | "exponential_histogram" => self.histogram(),
            "summary" => self.summary(),
            "" => return Err(malformed("the record has no metric's `kind`")),
            other => return Err(malformed(&format!("`kind` is `{other}`, which is no metric's"))),
        }
        Ok(Route::Series)
    }

    fn histogram(&mut self) {
        let point = self.shared.point;
        self.some(".count", Type::Count, point.count);
        self.some(".sum", Type::Count, point.sum);
        self.some(".min", Type::Gauge, point.min);
        self.some(".max", Type::Gauge, point.max);
        let (Some(bounds), Some(buckets)) = (point.bounds, point.buckets) else { return };
        let bounds: Vec<f64> = bounds.children().filter_map(NodeRef::as_f64).collect();
        for (at, count) in buckets.children().filter_map(NodeRef::as_f64).enumerate() {
            if count == 0.0 {
                continue;
            }
            let bound = |at: Option<usize>, none: &str| {
                at.and_then(|at| bounds.get(at)).map_or(none.to_owned(), f64::to_string)
            };
            let (lower, upper) = (bound(at.checked_sub(1), "-inf"), bound(Some(at), "inf"));
            self.series(
                ".bucket",
                Type::Count,
                count,
                &[format!("lower_bound:{lower}"), format!("upper_bound:{upper}")],
            );
        }
    }

    fn summary(&mut self) {
        let point = self.shared.point;
        let counted = if point.is_statsd() { Type::Count } else { Type::Gauge };
        self.some(".count", counted, point.count);
        self.some(".sum", counted, point.sum);
        if let (true, Some(count), Some(sum)) = (point.is_statsd(), point.count, point.sum)
            && count > 0.0
        {
            self.some(".avg", Type::Gauge, Some(sum / count));
        }
        for (at, value) in point.quantiles() {
            let name: Cow<'_, str> = if at <= 0.0 {
                ".min".into()
            } else if at >= 1.0 {
                ".max".into()
            } else if at == 0.5 {
                ".median".into()
            } else {
                // 0.57 * 100 is 56.99999999999999 to a float.
                format!(".{}percentile", (at * 1e8).round() / 1e6).into()
            };
            self.some(&name, Type::Gauge, Some(value));
        }
    }

    fn some(&mut self, suffix: &str, kind: Type, value: Option<f64>) {
        if let Some(value) = value {
            self.series(suffix, kind, value, &[]);
        }
    }

    fn series(&mut self, suffix: &str, kind: Type, value: f64, more: &[String]) {
        let point = self.shared.point;
        self.open(suffix);
        self.unsound |= !value.is_finite();
        let time = point.time.div_euclid(1_000_000_000);
        self.raw(format_args!(",\"type\":{},\"points\":[{{\"timestamp\":{time},\"value\":{value}}}]", kind as u8));
        if let (Type::Count | Type::Rate, Some(seconds)) = (kind, point.seconds()) {
            self.raw(format_args!(",\"interval\":{seconds}"));
        }
        if let Some(unit) = unit(&point.unit).filter(|_| !matches!(suffix, ".count" | ".bucket")) {
            self.raw(format_args!(",\"unit\":\"{unit}\""));
        }
        if let Some(host) = self.shared.host {
            self.out.extend_from_slice(b",\"resources\":[{\"name\":");
            write_json_str(host, self.out);
            self.out.extend_from_slice(b",\"type\":\"host\"}]");
        }
        self.close(more);
    }

    /// A client that sends a share of its values says how many there were: each stands for several.
    fn distribution(&mut self, values: NodeRef<'_>) {
        let point = self.shared.point;
        let numbers = || values.children().filter(|node| node.kind() == Kind::Number);
        let sent = numbers().count();
        if sent == 0 {
            return;
        }
        let times = point.count.map_or(1.0, |count| (count / sent as f64).round()).clamp(1.0, MAX_REPEAT) as usize;
        self.open("");
        self.raw(format_args!(",\"points\":[[{},[", point.time.div_euclid(1_000_000_000)));
        let mut first = true;
        for value in numbers().filter_map(NodeRef::as_f64).flat_map(|value| std::iter::repeat_n(value, times)) {
            self.unsound |= !value.is_finite();
            let comma = if std::mem::take(&mut first) { "" } else { "," };
            self.raw(format_args!("{comma}{value}"));
        }
        self.out.extend_from_slice(b"]]]");
        if let Some(host) = self.shared.host {
            self.out.extend_from_slice(b",\"host\":");
            write_json_str(host, self.out);
        }
        self.close(&[]);
    }

    fn open(&mut self, suffix: &str) {
        if self.out.len() > self.from {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"metric\":");
        let name = &self.shared.point.name;
        if suffix.is_empty() {
            write_json_str(name, self.out);
        } else {
            write_json_str(&format!("{name}{suffix}"), self.out);
        }
    }

    fn close(&mut self, more: &[String]) {
        self.out.extend_from_slice(b",\"tags\":[");
        self.out.extend_from_slice(self.shared.tags);
        more.iter().for_each(|tag| tags::push(tag, self.out));
        self.out.extend_from_slice(b"]}");
    }

    fn raw(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a `Vec` has no way to fail.
        let _ = self.out.write_fmt(text);
    }
}

/// Datadog's word for a unit of OpenTelemetry's. One it has no word for is left out.
fn unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "ns" => "nanosecond",
        "us" => "microsecond",
        "ms" => "millisecond",
        "s" => "second",
        "min" => "minute",
        "h" => "hour",
        "d" => "day",
        "By" => "byte",
        "KiBy" => "kibibyte",
        "MiBy" => "mebibyte",
        "GiBy" => "gibibyte",
        "bit" => "bit",
        "%" => "percent",
        "Hz" => "hertz",
        "{request}" | "{requests}" => "request",
        "{error}" | "{errors}" => "error",
        _ => return None,
    })
}
