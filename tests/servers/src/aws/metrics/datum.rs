//! `PutMetricData`: what a metric must be.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{invalid, list, missing, number, text, time};
use crate::aws::Node;
use crate::aws::error::Refusal;
use crate::aws::taken::{MetricDatum, Statistics};

const MAX_METRICS: usize = 1000;
const MAX_DIMENSIONS: usize = 30;
const MAX_VALUES: usize = 150;
const HOUR: i64 = 3_600_000;
const UNITS: [&str; 27] = [
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
    "None",
];

// === impl Node ===

impl Node {
    pub(super) fn put_metric_data(&self, asked: &Map<String, Value>) -> Result<(), Refusal> {
        let namespace = namespace(asked)?;
        let plain = list(asked, "MetricData").iter();
        let entities = list(asked, "EntityMetricData").iter().filter_map(Value::as_object);
        let all: Vec<&Value> = plain.chain(entities.flat_map(|one| list(one, "MetricData"))).collect();
        if all.is_empty() {
            return Err(missing("MetricData"));
        }
        if all.len() > MAX_METRICS {
            let text = format!("The collection MetricData must not have a size greater than {MAX_METRICS}.");
            return Err(Refusal::new("InvalidParameterValue", text));
        }
        let now = self.now();
        let mut metrics = Vec::with_capacity(all.len());
        for (at, value) in (1..).zip(all) {
            let path = format!("MetricData.member.{at}");
            let value = value.as_object().ok_or_else(|| invalid(&path, "not a structure"))?;
            metrics.push(datum(value, &path, &namespace, now)?);
        }
        self.taken.change(|taken| taken.metrics.append(&mut metrics));
        Ok(())
    }
}

/// `Namespace`, which must be one of the client's own.
pub(super) fn namespace(asked: &Map<String, Value>) -> Result<String, Refusal> {
    let namespace = text(asked, "Namespace").ok_or_else(|| missing("Namespace"))?;
    if !plain(namespace, 255) || namespace.starts_with(':') {
        return Err(invalid("Namespace", namespace));
    }
    if namespace.starts_with("AWS/") {
        return Err(invalid("Namespace", "names that begin with AWS/ are the services' own"));
    }
    Ok(namespace.to_owned())
}

/// Printable ASCII that is not only white space.
fn plain(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.bytes().any(|byte| byte != b' ')
}

/// Names and values of dimensions, in order.
pub(super) fn dimensions(metric: &Map<String, Value>, path: &str) -> Result<Vec<(String, String)>, Refusal> {
    let all = list(metric, "Dimensions");
    let path = format!("{path}.Dimensions");
    if all.len() > MAX_DIMENSIONS {
        return Err(invalid(&path, &format!("more than {MAX_DIMENSIONS}")));
    }
    let mut seen = HashSet::new();
    let mut dimensions = Vec::with_capacity(all.len());
    for one in all {
        let one = one.as_object().ok_or_else(|| invalid(&path, "not a structure"))?;
        let name = text(one, "Name").ok_or_else(|| missing(&format!("{path}.Name")))?;
        let value = text(one, "Value").ok_or_else(|| missing(&format!("{path}.Value")))?;
        if !plain(name, 255) || name.starts_with(':') || !seen.insert(name) {
            return Err(invalid(&path, &format!("the name {name:?}")));
        }
        if !plain(value, 1024) {
            return Err(invalid(&path, &format!("the value {value:?} of {name}")));
        }
        dimensions.push((name.to_owned(), value.to_owned()));
    }
    Ok(dimensions)
}

fn datum(value: &Map<String, Value>, path: &str, namespace: &str, now: i64) -> Result<MetricDatum, Refusal> {
    let name = text(value, "MetricName").ok_or_else(|| missing(&format!("{path}.MetricName")))?;
    if !plain(name, 255) {
        return Err(invalid(&format!("{path}.MetricName"), name));
    }
    let at = match value.get("Timestamp") {
        None => now,
        Some(at) => time(at).ok_or_else(|| invalid(&format!("{path}.Timestamp"), "not a time"))?,
    };
    if at < now - 14 * 24 * HOUR || at > now + 2 * HOUR {
        return Err(invalid(&format!("{path}.Timestamp"), "more than two weeks ago, or more than two hours ahead"));
    }
    let unit = text(value, "Unit").unwrap_or("None");
    if !UNITS.contains(&unit) {
        return Err(invalid(&format!("{path}.Unit"), unit));
    }
    let resolution = value.get("StorageResolution").map_or(Some(60.0), number);
    let resolution = match resolution {
        Some(1.0) => 1,
        Some(60.0) => 60,
        _ => return Err(invalid(&format!("{path}.StorageResolution"), "neither 1 nor 60")),
    };
    let (values, statistics) = values(value, path)?;
    let dimensions = dimensions(value, path)?;
    Ok(MetricDatum {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dimensions,
        time: at,
        unit: unit.to_owned(),
        resolution,
        values,
        statistics,
    })
}

type Content = (Vec<(f64, f64)>, Option<Statistics>);

/// Exactly one of `Value`, `Values` (with `Counts`) and `StatisticValues`.
fn values(datum: &Map<String, Value>, path: &str) -> Result<Content, Refusal> {
    let given: Vec<&str> =
        ["Value", "Values", "StatisticValues"].into_iter().filter(|name| datum.contains_key(*name)).collect();
    let one = match given[..] {
        [one] => one,
        [] => return Err(missing(&format!("{path}.Value"))),
        _ => {
            let text = format!("The parameters {path}.{} are mutually exclusive.", given.join(", "));
            return Err(Refusal::new("InvalidParameterCombination", text));
        }
    };
    let finite = |name: &str, value: &Value| {
        let value = number(value).filter(|value| value.abs() <= 2f64.powi(360));
        value.ok_or_else(|| invalid(&format!("{path}.{name}"), "not a number within ±2^360"))
    };
    match one {
        "Value" => Ok((vec![(finite("Value", &datum["Value"])?, 1.0)], None)),
        "Values" => {
            let values = list(datum, "Values");
            if values.is_empty() || values.len() > MAX_VALUES {
                return Err(invalid(&format!("{path}.Values"), &format!("not 1 to {MAX_VALUES} values")));
            }
            let values: Vec<f64> = values.iter().map(|value| finite("Values", value)).collect::<Result<_, _>>()?;
            let counts: Vec<f64> = match datum.get("Counts") {
                None => vec![1.0; values.len()],
                Some(_) => {
                    list(datum, "Counts").iter().map(|count| finite("Counts", count)).collect::<Result<_, _>>()?
                }
            };
            if counts.len() != values.len() || counts.iter().any(|count| *count <= 0.0) {
                return Err(invalid(&format!("{path}.Counts"), "as many as values, and above 0"));
            }
            let unique: HashSet<u64> = values.iter().map(|value| value.to_bits()).collect();
            if unique.len() != values.len() {
                return Err(invalid(&format!("{path}.Values"), "values must be unique"));
            }
            Ok((values.into_iter().zip(counts).collect(), None))
        }
        _ => {
            let set = datum["StatisticValues"].as_object().ok_or_else(|| invalid(path, "StatisticValues"))?;
            let part = |name: &str| {
                let value = set.get(name).ok_or_else(|| missing(&format!("{path}.StatisticValues.{name}")))?;
                finite(name, value)
            };
            let statistics = Statistics {
                samples: part("SampleCount")?,
                sum: part("Sum")?,
                minimum: part("Minimum")?,
                maximum: part("Maximum")?,
            };
            if statistics.samples <= 0.0 || statistics.minimum > statistics.maximum {
                return Err(invalid(&format!("{path}.StatisticValues"), "no samples, or a minimum above the maximum"));
            }
            Ok((Vec::new(), Some(statistics)))
        }
    }
}
