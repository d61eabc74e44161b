//! `PutAnomalyDetector`: of one metric (in the newer or the older form), or of metric math.

use serde_json::{Map, Value};

use super::datum::{dimensions, namespace};
use super::{invalid, list, missing, text, time};
use crate::aws::Node;
use crate::aws::error::Refusal;
use crate::aws::taken::MetricAnomalyDetector;

// === impl Node ===

impl Node {
    pub(super) fn put_metric_anomaly_detector(&self, asked: &Map<String, Value>) -> Result<(), Refusal> {
        let single = asked.get("SingleMetricAnomalyDetector").and_then(Value::as_object);
        let math = asked.get("MetricMathAnomalyDetector").and_then(Value::as_object);
        let old = asked.contains_key("MetricName");
        let combination = || {
            let text =
                "Exactly one of SingleMetricAnomalyDetector, MetricMathAnomalyDetector and MetricName must be given.";
            Refusal::new("InvalidParameterCombination", text)
        };
        if usize::from(single.is_some()) + usize::from(math.is_some()) + usize::from(old) != 1 {
            return Err(combination());
        }
        let mut detector = MetricAnomalyDetector {
            namespace: String::new(),
            metric: String::new(),
            dimensions: Vec::new(),
            statistic: String::new(),
            excluded: Vec::new(),
            time_zone: None,
        };
        match math {
            Some(math) if list(math, "MetricDataQueries").is_empty() => {
                return Err(missing("MetricMathAnomalyDetector.MetricDataQueries"));
            }
            Some(_) => {}
            None => {
                let metric = single.unwrap_or(asked);
                detector.namespace = namespace(metric)?;
                detector.metric = text(metric, "MetricName").ok_or_else(|| missing("MetricName"))?.to_owned();
                detector.dimensions = dimensions(metric, "SingleMetricAnomalyDetector")?;
                detector.statistic = text(metric, "Stat").ok_or_else(|| missing("Stat"))?.to_owned();
                if !is_statistic(&detector.statistic) {
                    return Err(invalid("Stat", &detector.statistic));
                }
            }
        }
        if let Some(configuration) = asked.get("Configuration").and_then(Value::as_object) {
            for range in list(configuration, "ExcludedTimeRanges") {
                let end = |name: &str| range.get(name).and_then(time).ok_or_else(|| missing(name));
                let (from, to) = (end("StartTime")?, end("EndTime")?);
                if from >= to {
                    return Err(invalid("ExcludedTimeRanges", "a range that ends before it starts"));
                }
                detector.excluded.push((from, to));
            }
            detector.time_zone = text(configuration, "MetricTimezone").map(str::to_owned);
            if detector.time_zone.as_ref().is_some_and(|zone| jiff::tz::TimeZone::get(zone).is_err()) {
                return Err(invalid("MetricTimezone", "not a name of the time zone database"));
            }
        }
        self.taken.change(|taken| {
            let same = |other: &MetricAnomalyDetector| {
                (&other.namespace, &other.metric, &other.dimensions, &other.statistic)
                    == (&detector.namespace, &detector.metric, &detector.dimensions, &detector.statistic)
            };
            taken.metric_anomaly_detectors.retain(|other| !same(other));
            taken.metric_anomaly_detectors.push(detector);
        });
        Ok(())
    }
}

/// The plain ones, percentiles and their like (`p99.9`, `tm90`), and what is in brackets, `TM(1:2)`, unread.
fn is_statistic(name: &str) -> bool {
    let plain = ["SampleCount", "Average", "Sum", "Minimum", "Maximum", "IQM"];
    let ranked = ["p", "tc", "tm", "ts", "wm"].iter().any(|prefix| {
        let number = name.strip_prefix(prefix).and_then(|number| number.parse::<f64>().ok());
        number.is_some_and(|number| (0.0..=100.0).contains(&number))
    });
    let bracket =
        ["TM(", "TC(", "TS(", "WM(", "PR("].iter().any(|prefix| name.starts_with(prefix) && name.ends_with(')'));
    plain.contains(&name) || ranked || bracket
}
