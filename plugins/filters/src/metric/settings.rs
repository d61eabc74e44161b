//! Settings that filters which make metrics have.

use std::sync::Arc;
use std::time::Duration;

use suiro_sdk::reroute::{MAX_TAG, is_tag};
use suiro_sdk::settings::Section;

use super::table::Rules;
use super::{Data, Exponential, Histogram, Temporality};

/// OpenTelemetry's default bounds for durations in seconds.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds that a setting may name.
const MAX_BOUNDS: usize = 1000;

const SECOND: Duration = Duration::from_secs(1);

/// What kind of histogram is made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Explicit(Arc<[f64]>),
    /// With so many buckets a side.
    Exponential(usize),
}

/// `interval`, `max_series`, `expire`.
pub(crate) fn rules(settings: &Section, repeat: bool) -> Rules {
    Rules {
        interval: settings.within("interval", SECOND..=86_400 * SECOND).unwrap_or(60 * SECOND),
        max_series: settings.within("max_series", 1..=10_000_000_usize).unwrap_or(10_000),
        expire: expire(settings),
        repeat,
    }
}

/// `expire`: after that much time without a point, a series is forgotten.
pub(crate) fn expire(settings: &Section) -> Duration {
    settings.within("expire", SECOND..=30 * 86_400 * SECOND).unwrap_or(900 * SECOND)
}

/// `temporality` of what is made.
pub(crate) fn temporality(settings: &Section) -> Temporality {
    settings.choice("temporality", &Temporality::CHOICES).unwrap_or(Temporality::Cumulative)
}

/// `tag` of what is made.
pub(crate) fn tag(settings: &Section, default: &str) -> String {
    let tag = settings.or("tag", default.to_owned());
    if !is_tag(&tag) {
        let message = format!("`tag` must have from 1 to {MAX_TAG} bytes, without control characters");
        settings.error_at("tag", message, "");
    }
    tag
}

// === impl Shape ===

impl Shape {
    /// `histogram`, `bounds`, `max_buckets`.
    pub(crate) fn read(settings: &Section) -> Shape {
        let exponential =
            settings.choice("histogram", &[("explicit", false), ("exponential", true)]).unwrap_or_default();
        let most = settings.within("max_buckets", 2..=super::MAX_BUCKETS);
        let bounds: Vec<f64> = settings.list("bounds");
        if exponential && settings.has("bounds") {
            settings.error_at("bounds", "an exponential histogram has no `bounds`", "");
        }
        if !exponential && most.is_some() {
            let message = "`max_buckets` is for exponential histograms";
            settings.error_at("max_buckets", message, "for others write `bounds`");
        }
        if bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
            settings.error_at("bounds", "`bounds` must grow from one to the next", "");
        }
        if bounds.len() > MAX_BOUNDS {
            settings.error_at("bounds", format!("there are more than {MAX_BOUNDS} `bounds`"), "");
        }
        match (exponential, settings.has("bounds")) {
            (true, _) => Shape::Exponential(most.unwrap_or(160)),
            (false, true) => Shape::Explicit(bounds.into()),
            (false, false) => Shape::Explicit(SECONDS.as_slice().into()),
        }
    }

    /// One of nothing.
    pub(crate) fn empty(&self) -> Data {
        match self {
            Shape::Explicit(bounds) => Data::Histogram(Histogram::new(bounds.clone())),
            Shape::Exponential(_) => Data::Exponential(Exponential::new()),
        }
    }

    /// Takes in a value.
    pub(crate) fn record(&self, data: &mut Data, value: f64) {
        match data {
            Data::Histogram(histogram) => histogram.record(value),
            Data::Exponential(histogram) => {
                let Shape::Exponential(most) = self else { return };
                histogram.record(value, *most);
            }
            Data::Gauge(_) | Data::Sum { .. } => {}
        }
    }
}
