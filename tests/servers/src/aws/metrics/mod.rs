//! CloudWatch metrics: `PutMetricData` and `PutAnomalyDetector`, by the Query protocol and by AWS JSON 1.0.
//!
//! A request is at most 1 MB when decoded and has at most 1,000 metrics, those with entities included. A metric has at most
//! 30 dimensions and 150 values, no name twice; values are finite and within ±2^360; a time is at most two weeks ago and two
//! hours ahead; texts are ASCII; namespaces don't begin with `AWS/`; units are the service's list; a resolution is 1 or 60
//! seconds. One fault refuses the request whole, as the service does. [`Fault::RefuseSome`](crate::Fault::RefuseSome) throttles.

mod datum;
mod detector;
pub(super) mod query;

use serde_json::{Map, Value};

use super::error::Refusal;
use super::route::{Protocol, Route};
use super::{Node, Signed};
use crate::http::Answer;

// === impl Node ===

impl Node {
    /// The action, which may be in the body, and the answer.
    pub(super) fn monitoring(&self, route: &Route, signed: &Signed<'_>) -> (String, Result<Answer, Refusal>) {
        let body = &signed.request.body;
        let (action, asked) = match route.protocol {
            Protocol::Query => match query::read(body, "2010-08-01") {
                Ok(asked) => asked,
                Err(refusal) => return (route.action.clone(), Err(refusal)),
            },
            _ => match super::logs::read::<Map<String, Value>>(body) {
                Ok(asked) => (route.action.clone(), asked),
                Err(refusal) => return (route.action.clone(), Err(refusal)),
            },
        };
        let done = match action.as_str() {
            _ if signed.fault.is_some() => Err(route.overloaded(429).with_status(400)),
            _ if body.len() > self.options.max_metric_body => {
                Err(Refusal::new("RequestEntityTooLarge", "Request entity too large"))
            }
            "PutMetricData" => self.put_metric_data(&asked),
            "PutAnomalyDetector" => self.put_metric_anomaly_detector(&asked),
            _ => {
                Err(Refusal::new("InvalidAction", format!("Could not find operation {action} for version 2010-08-01")))
            }
        };
        let answer = done.map(|()| match route.protocol {
            Protocol::Query => query::done(&action),
            _ => Answer::new(200, "application/x-amz-json-1.0", "{}"),
        });
        (action, answer)
    }
}

/// A text; numbers count as texts, for the Query protocol has no other.
fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name)?.as_str()
}

/// A number, also one written as a text.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }
}

/// A time in milliseconds since 1970: RFC 3339, or seconds since 1970.
fn time(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => {
            // The documentation has times without an offset, too.
            let zoned = text.parse::<jiff::Timestamp>().ok();
            let plain = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
            zoned.or_else(|| Some(plain()?.timestamp())).map(jiff::Timestamp::as_millisecond)
        }
        other => other.as_f64().map(|seconds| (seconds * 1000.0).round() as i64),
    }
}

fn list<'a>(map: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    map.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn invalid(parameter: &str, why: &str) -> Refusal {
    Refusal::new("InvalidParameterValue", format!("The value for parameter {parameter} is invalid: {why}"))
}

fn missing(parameter: &str) -> Refusal {
    Refusal::new("MissingParameter", format!("The parameter {parameter} is required."))
}
