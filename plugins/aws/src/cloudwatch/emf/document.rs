//! Documents: metrics of one time, namespace and set of dimensions.

use std::io::Write as _;

use hashbrown::HashMap;
use suiro_record::write_json_str;
use suiro_sdk::Verdict;
use suiro_sdk::point::Point;

use super::Settings;
use super::translate::{Worth, translate};
use crate::cloudwatch::metrics::head::{Head as Identity, MAX_DIMENSIONS};
use crate::cloudwatch::metrics::verdict::{TOO_MANY_DIMENSIONS, malformed, refused};

/// Metrics of a directive.
const MAX_METRICS: usize = 100;
/// Values of a metric in one document.
const MAX_VALUES: usize = 100;
/// Bytes of a document around its directive, metrics and members, at most.
const FRAME: usize = 96;

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
#[derive(Debug)]
pub(super) struct Documents {
    /// Bytes of a document.
    most: usize,
    drafts: Vec<Draft>,
    /// By head: the last draft that has it.
    open: HashMap<Vec<u8>, usize>,
    entry: Entry,
}

/// A metric as a document has it. The memory goes round.
#[derive(Debug, Default)]
struct Entry {
    /// In the directive's list.
    listed: Vec<u8>,
    /// Its member.
    member: Vec<u8>,
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
    /// None yet; each has at most so many bytes, if its first metric lets it.
    pub(super) fn new(most: usize) -> Documents {
        Documents { most, drafts: Vec::new(), open: HashMap::new(), entry: Entry::default() }
    }

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
            let head = (&head, point.time);
            let metric = Metric { name, unit: unit.name, high_resolution: settings.high_resolution, number };
            match &said.worth {
                Worth::Values(values) => {
                    for values in values.chunks(MAX_VALUES) {
                        self.put(head, &metric, |out| write_values(values, out));
                    }
                }
                Worth::Statistics { count, sum, min, max } => self.put(head, &metric, |out| {
                    out.push(b'{');
                    write_statistics(*count, *sum, *min, *max, out);
                    out.push(b'}');
                }),
            }
        }
        Ok(())
    }

    /// Puts a metric into the draft with this head that has room for it.
    fn put(&mut self, (head, time): (&Head<'_>, i64), metric: &Metric<'_>, worth: impl FnOnce(&mut Vec<u8>)) {
        let mut entry = std::mem::take(&mut self.entry);
        entry.write(metric, worth);
        self.draft(head, time, metric.name, entry.len()).put(metric, &entry);
        self.entry = entry;
    }

    /// The draft with this head that has room for so many bytes of the metric.
    fn draft(&mut self, head: &Head<'_>, time: i64, name: &str, bytes: usize) -> &mut Draft {
        let mut key = Vec::new();
        head.write_key(&mut key);
        let at = match self.open.get(&key) {
            Some(&at) if self.drafts[at].has_room(name, bytes, self.most) => at,
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

/// A metric of a record's.
struct Metric<'m> {
    name: &'m str,
    unit: Option<&'static str>,
    high_resolution: bool,
    /// The record's.
    number: u32,
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

// === impl Entry ===

impl Entry {
    fn write(&mut self, metric: &Metric<'_>, worth: impl FnOnce(&mut Vec<u8>)) {
        let Entry { listed, member } = self;
        listed.clear();
        listed.extend_from_slice(b",{\"Name\":");
        write_json_str(metric.name, listed);
        if let Some(unit) = metric.unit {
            listed.extend_from_slice(b",\"Unit\":");
            write_json_str(unit, listed);
        }
        if metric.high_resolution {
            listed.extend_from_slice(b",\"StorageResolution\":1");
        }
        listed.push(b'}');
        member.clear();
        member.push(b',');
        write_json_str(metric.name, member);
        member.push(b':');
        worth(member);
    }

    fn len(&self) -> usize {
        self.listed.len() + self.member.len()
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

    fn has_room(&self, name: &str, bytes: usize, most: usize) -> bool {
        self.names.len() < MAX_METRICS
            && FRAME + self.directive.len() + self.metrics.len() + self.members.len() + bytes <= most
            && !self.names.iter().any(|known| known == name)
    }

    fn put(&mut self, metric: &Metric<'_>, Entry { listed, member }: &Entry) {
        // The first has nothing before it that it would be parted from.
        let parting = usize::from(self.names.is_empty());
        self.metrics.extend_from_slice(&listed[parting..]);
        self.members.extend_from_slice(member);
        self.names.push(metric.name.to_owned());
        if self.records.last() != Some(&metric.number) {
            self.records.push(metric.number);
        }
    }

    fn finish(self) -> Document {
        let Draft { time, directive, metrics, members, records, .. } = self;
        let mut text = Vec::with_capacity(directive.len() + metrics.len() + members.len() + FRAME);
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
