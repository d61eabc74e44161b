//! The embedded metric format: metric points as events of a log stream, of which CloudWatch makes metrics.
//!
//! ```json
//! {"_aws":{"Timestamp":1795364943000,"CloudWatchMetrics":[{"Namespace":"Shop","Dimensions":[["host.name","path"]],
//!  "Metrics":[{"Name":"latency","Unit":"Milliseconds"},{"Name":"requests","Unit":"Count"}]}]},
//!  "host.name":"web-1","path":"/cart","latency":{"Values":[1.5,7],"Counts":[3,1],"Max":7,"Min":1.5,"Count":4,"Sum":11.5},"requests":4}
//! ```
//!
//! # Settings
//!
//! At the output's top level, with `format = "emf"` only. They mean what they do in `cloudwatch_metrics`.
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `namespace` | | a destination |
//! | `dimensions` | `"*"` | patterns: attributes of points that are dimensions |
//! | `resource_dimensions` | `service.name`, `service.namespace`, `host.name` | attributes of resources that are |
//! | `storage_resolution` | `"60s"` | or `"1s"` |
//! | `cumulative` | `"refuse"` | or `"as_is"`: sums that count since a start |
//!
//! # What becomes of a point
//!
//! | point | member |
//! | --- | --- |
//! | `gauge`, delta `sum`, cumulative `sum` that is not monotonic | a number |
//! | `values`, delta `histogram`, `exponential_histogram` | `Values` with `Counts`, and their `Max`, `Min`, `Count`, `Sum` ([`distribution`](super::distribution)) |
//! | the same without buckets, StatsD's `summary` | `Max`, `Min`, `Count`, `Sum` |
//! | any other `summary` | each quantile a number, in a document with the dimension `quantile` |
//! | cumulative and monotonic | refused, `cumulative` |
//!
//! Points of one time, namespace and set of dimensions are one document, up to 100 metrics and the largest message; of more
//! than 100 values the rest is in further documents. So a record can be in several documents, and a document of several records.

mod document;
mod translate;

#[cfg(test)]
mod tests;

use suiro_sdk::lang::{Destination, Glob};
use suiro_sdk::point::Point;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivery, Reason, Verdict};

pub(crate) use self::document::Document;
use self::document::Documents;
use super::metrics::head::Head;
use super::metrics::settings::{RESOURCE_DIMENSIONS, globs, namespace_check};

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    namespace: Destination,
    dimensions: Vec<Glob>,
    resource_dimensions: Vec<Glob>,
    /// Kept by the second, not by the minute.
    high_resolution: bool,
    /// Sums that count since a start are sent as they are.
    cumulative_as_is: bool,
}

/// Where a record stands in a delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Its number.
    pub(crate) number: u32,
    /// Its part.
    pub(crate) part: u32,
    /// Its row in the part's batch.
    pub(crate) row: u32,
}

/// What became of points.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) documents: Vec<Document>,
    /// Points that are in none.
    pub(crate) apart: Vec<(usize, Verdict)>,
    /// Numbers of points whose names or dimensions are not what they were.
    pub(crate) altered: Vec<usize>,
}

// === impl Settings ===

impl Settings {
    /// Reads them; `None` where the format is another one, in which they are mistakes.
    pub(crate) fn read(settings: &Section, is_emf: bool) -> Result<Option<Settings>, Reported> {
        if !is_emf {
            for key in ["namespace", "dimensions", "resource_dimensions", "storage_resolution", "cumulative"] {
                if settings.has(key) {
                    settings.error_at(key, format!("`{key}` is of the embedded metric format"), "set format = \"emf\"");
                }
            }
            return Ok(None);
        }
        let namespace = match settings.value("namespace") {
            Some(value) => Destination::read_checked(&value, namespace_check),
            None => Err(settings.missing("namespace", "\"Shop\"")),
        };
        let dimensions = globs(settings, "dimensions", &["*"]);
        let resource_dimensions = globs(settings, "resource_dimensions", &RESOURCE_DIMENSIONS);
        let high_resolution = settings.choice("storage_resolution", &[("60s", false), ("1s", true)]);
        let cumulative_as_is = settings.choice("cumulative", &[("refuse", false), ("as_is", true)]);
        Ok(Some(Settings {
            namespace: namespace?,
            dimensions,
            resource_dimensions,
            high_resolution: high_resolution.unwrap_or_default(),
            cumulative_as_is: cumulative_as_is.unwrap_or_default(),
        }))
    }
}

/// Documents of these points, of at most `most` bytes; only one metric that is larger by itself makes a larger one.
pub(crate) fn write(settings: &Settings, delivery: &Delivery, places: &[Place], most: usize) -> Written {
    let mut written = Written::default();
    let mut documents = Documents::new(most);
    let mut namespace = Vec::new();
    let mut at = 0;
    while let Some(part_at) = places.get(at).map(|place| place.part) {
        let of_part = places[at..].iter().take_while(|place| place.part == part_at).count();
        let batch = &delivery.parts[part_at as usize].batch;
        let destination = settings.namespace.prepare(batch);
        for place in &places[at..at + of_part] {
            let row = &batch.rows[place.row as usize];
            namespace.clear();
            let added = match destination.render(batch, row, &mut namespace) {
                Ok(()) => {
                    let point = Point::read(batch, row);
                    let resource = (&batch.scope(row).resource[..], &settings.resource_dimensions[..]);
                    Head::new((&point, &settings.dimensions), resource).and_then(|head| {
                        written.altered.extend(head.altered.then_some(place.number as usize));
                        documents.add(settings, &namespace, &point, &head, place.number)
                    })
                }
                Err(refusal) if refusal.is_drop() => Err(Box::new(Verdict::Drop(Reason::MISSING_FIELD))),
                Err(refusal) => Err(Box::new(Verdict::Refused {
                    reason: refusal.reason(),
                    detail: format!("`namespace`: {refusal}"),
                })),
            };
            if let Err(verdict) = added {
                written.apart.push((place.number as usize, *verdict));
            }
        }
        at += of_part;
    }
    written.documents = documents.finish();
    written
}
