//! Documents: metrics of one time, namespace and set of dimensions.

use std::io::Write as _;

use hashbrown::HashMap;
use suiro_record::write_json_str;
use suiro_sdk::Verdict;
use suiro_sdk::point::Point;

use super::Settings;
use super::identity::Identity;
use super::translate::{Worth, translate};
use crate::cloudwatch::metrics::head::MAX_DIMENSIONS;
use crate::cloudwatch::metrics::verdict::{TOO_MANY_DIMENSIONS, malformed, refused};

/// Metrics of a directive.
const MAX_METRICS: usize = 100;
/// Values of a metric in one document.
const MAX_VALUES: usize = 100;
/// A document takes no more metrics when it has so many bytes, so that it stays below what the smallest event may have.
const FULL: usize = 96 << 10;

/// The dimension of a summary's quantile.
const QUANTILE: &str = "quantile";
/// The member that makes a document one.
const ROOT: &str = "_aws";

/// A document.
#[derive(Debug)]
pub(crate) struct Document {
    /// Nanoseconds since the epoch.
    pub(crate) time: i64,
    /// As JSON.
    pub(crate) text: Vec<u8>,
    /// Numbers of the records it is made of.
    pub(crate) records: Vec<u32>,
}

/// Documents being made.
#[derive(Debug, Default)]
pub(super) struct Documents {
    drafts: Vec<Draft>,
    /// By head: the last draft that has it.
    open: HashMap<Vec<u8>, usize>,
}

#[derive(Debug)]
struct Draft {
    time: i64,
    /// Namespace and dimensions, as the directive has them.
    directive: Vec<u8>,
    names: Vec<String>,
    /// The list of metrics, as the directive has it.
    metrics: Vec<u8>,
    /// Dimensions and metrics with their values.
    members: Vec<u8>,
    records: Vec<u32>,
}

// === impl Documents ===

impl Documents {
    /// Adds what a point says.
    pub(super) fn add(
        &mut self,
        settings: &Settings,
        namespace: &[u8],
        point: &Point<'_>,
        identity: &Identity,
        number: u32,
    ) -> Result<(), Box<Verdict>> {
        let Identity { name, dimensions, .. } = identity;
        let (all_said, unit) = translate(settings, point)?;
        if name == ROOT || dimensions.iter().any(|(key, _)| key == name || key == ROOT) {
            return Err(malformed("a metric, its dimensions and `_aws` can't have one name"));
        }
        let has_quantiles = all_said.iter().any(|said| said.quantile.is_some());
        if has_quantiles && dimensions.len() == MAX_DIMENSIONS {
            return Err(refused(TOO_MANY_DIMENSIONS, "it has thirty dimensions, and `quantile` would be one more"));
        }
        if has_quantiles && name == QUANTILE {
            return Err(malformed("a summary with quantiles can't be called `quantile`"));
        }
        for said in &all_said {
            let quantile = said.quantile.map(|quantile| quantile.to_string());
            let head =
                Head { time: point.time.div_euclid(1_000_000), namespace, dimensions, quantile: quantile.as_deref() };
            match &said.worth {
                Worth::Values(values) => {
                    for values in values.chunks(MAX_VALUES) {
                        let draft = self.draft(&head, point.time, name);
                        draft.put(name, unit.name, settings.high_resolution, number, |out| write_values(values, out));
                    }
                }
                Worth::Statistics { count, sum, min, max } => {
                    let draft = self.draft(&head, point.time, name);
                    draft.put(name, unit.name, settings.high_resolution, number, |out| {
                        out.push(b'{');
                        write_statistics(*count, *sum, *min, *max, out);
                        out.push(b'}');
                    });
                }
            }
        }
        Ok(())
    }

    /// The draft with this head that has room for the metric.
    fn draft(&mut self, head: &Head<'_>, time: i64, name: &str) -> &mut Draft {
        let mut key = Vec::new();
        head.write_key(&mut key);
        let at = match self.open.get(&key) {
            Some(&at) if self.drafts[at].has_room(name) => at,
            _ => {
                self.drafts.push(Draft::new(head, time));
                self.open.insert(key, self.drafts.len() - 1);
                self.drafts.len() - 1
            }
        };
        &mut self.drafts[at]
    }

    pub(super) fn finish(self) -> Vec<Document> {
        self.drafts.into_iter().map(Draft::finish).collect()
    }
}

/// What all metrics of a document have in common.
struct Head<'h> {
    /// Milliseconds since the epoch.
    time: i64,
    namespace: &'h [u8],
    dimensions: &'h [(String, String)],
    quantile: Option<&'h str>,
}

// === impl Head ===

impl Head<'_> {
    /// Names and values of its dimensions.
    fn dimensions(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.dimensions.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let own = own.filter(|(key, _)| self.quantile.is_none() || *key != QUANTILE);
        own.chain(self.quantile.map(|quantile| (QUANTILE, quantile)))
    }

    /// What tells one document from another.
    fn write_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time.to_ne_bytes());
        self.write_names(out);
        for (_, value) in self.dimensions() {
            write_json_str(value, out);
        }
    }

    /// `"Namespace":"N","Dimensions":[["a","b"]]`
    fn write_names(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"Namespace\":");
        write_json_str(&String::from_utf8_lossy(self.namespace), out);
        out.extend_from_slice(b",\"Dimensions\":[[");
        for (at, (key, _)) in self.dimensions().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_json_str(key, out);
        }
        out.extend_from_slice(b"]]");
    }
}

// === impl Draft ===

impl Draft {
    fn new(head: &Head<'_>, time: i64) -> Draft {
        let mut directive = Vec::new();
        head.write_names(&mut directive);
        let mut members = Vec::new();
        for (key, value) in head.dimensions() {
            members.push(b',');
            write_json_str(key, &mut members);
            members.push(b':');
            write_json_str(value, &mut members);
        }
        Draft { time, directive, names: Vec::new(), metrics: Vec::new(), members, records: Vec::new() }
    }

    fn has_room(&self, name: &str) -> bool {
        self.names.len() < MAX_METRICS
            && self.metrics.len() + self.members.len() < FULL
            && !self.names.iter().any(|known| known == name)
    }

    fn put(
        &mut self,
        name: &str,
        unit: Option<&str>,
        high_resolution: bool,
        number: u32,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if !self.names.is_empty() {
            self.metrics.push(b',');
        }
        self.metrics.extend_from_slice(b"{\"Name\":");
        write_json_str(name, &mut self.metrics);
        if let Some(unit) = unit {
            self.metrics.extend_from_slice(b",\"Unit\":");
            write_json_str(unit, &mut self.metrics);
        }
        if high_resolution {
            self.metrics.extend_from_slice(b",\"StorageResolution\":1");
        }
        self.metrics.push(b'}');
        self.members.push(b',');
        write_json_str(name, &mut self.members);
        self.members.push(b':');
        write(&mut self.members);
        self.names.push(name.to_owned());
        if self.records.last() != Some(&number) {
            self.records.push(number);
        }
    }

    fn finish(self) -> Document {
        let Draft { time, directive, metrics, members, records, .. } = self;
        let mut text = Vec::with_capacity(directive.len() + metrics.len() + members.len() + 96);
        // Writing to a `Vec` has no way to fail.
        let _ = write!(text, "{{\"_aws\":{{\"Timestamp\":{},\"CloudWatchMetrics\":[{{", time.div_euclid(1_000_000));
        text.extend_from_slice(&directive);
        text.extend_from_slice(b",\"Metrics\":[");
        text.extend_from_slice(&metrics);
        text.extend_from_slice(b"]}]}");
        text.extend_from_slice(&members);
        text.push(b'}');
        Document { time, text, records }
    }
}

/// A number, or values with how often each occurred.
fn write_values(values: &[(f64, f64)], out: &mut Vec<u8>) {
    if let [(value, 1.0)] = values {
        write_number(*value, out);
        return;
    }
    let list = |out: &mut Vec<u8>, name: &str, of: fn(&(f64, f64)) -> f64| {
        out.extend_from_slice(name.as_bytes());
        for (at, pair) in values.iter().enumerate() {
            out.push(if at == 0 { b'[' } else { b',' });
            write_number(of(pair), out);
        }
        out.extend_from_slice(b"],");
    };
    out.push(b'{');
    list(out, "\"Values\":", |(value, _)| *value);
    list(out, "\"Counts\":", |(_, count)| *count);
    let count = values.iter().map(|(_, count)| count).sum();
    let sum = values.iter().map(|(value, count)| value * count).sum();
    let least = values.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min);
    let most = values.iter().map(|(value, _)| *value).fold(f64::NEG_INFINITY, f64::max);
    write_statistics(count, sum, least, most, out);
    out.push(b'}');
}

fn write_statistics(count: f64, sum: f64, min: f64, max: f64, out: &mut Vec<u8>) {
    for (at, (name, value)) in [("Max", max), ("Min", min), ("Count", count), ("Sum", sum)].into_iter().enumerate() {
        let _ = write!(out, "{}\"{name}\":", if at == 0 { "" } else { "," });
        write_number(value, out);
    }
}

/// A finite number as JSON has it, without a fraction where there is none.
fn write_number(value: f64, out: &mut Vec<u8>) {
    let _ =
        if value.fract() == 0.0 && value.abs() < 1e15 { write!(out, "{value:.0}") } else { write!(out, "{value:?}") };
}
