//! The settings of the `cloudwatch_metrics` output.

use suiro_sdk::aws::{AccountSettings, client_settings};
use suiro_sdk::compress::Compression;
use suiro_sdk::http::ClientSettings;
use suiro_sdk::lang::{Destination, Glob};
use suiro_sdk::settings::{Reported, Section};

use super::detector::Wanted;
use super::head::Resolution;

/// The settings.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) account: AccountSettings,
    pub(super) client: ClientSettings,
    pub(super) namespace: Destination,
    /// Attributes of points that are dimensions.
    pub(super) dimensions: Vec<Glob>,
    /// Attributes of resources that are.
    pub(super) resource_dimensions: Vec<Glob>,
    pub(super) resolution: Resolution,
    pub(super) histograms: Histograms,
    pub(super) summaries: Summaries,
    pub(super) cumulative: Cumulative,
    pub(super) detectors: Vec<Wanted>,
}

/// How histograms are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Histograms {
    /// As values that stand for buckets: percentiles can be had.
    Values,
    /// As count, sum, minimum and maximum.
    Statistics,
}

/// How summaries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Summaries {
    /// StatsD's as statistics, others by quantile.
    Auto,
    /// As count, sum, minimum and maximum.
    Statistics,
    /// Each quantile a metric.
    Quantiles,
}

/// What becomes of sums that count since a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cumulative {
    /// They are set aside.
    Refuse,
    /// They are sent as they are.
    AsIs,
}

/// Attributes of a resource that tell its metrics from those of another one.
pub(in crate::cloudwatch) const RESOURCE_DIMENSIONS: [&str; 3] = ["service.name", "service.namespace", "host.name"];

// === impl Settings ===

impl Settings {
    /// Reads them.
    pub(super) fn read(settings: &Section) -> Result<Settings, Reported> {
        let account = AccountSettings::read(settings);
        let client = client_settings(settings, false);
        let namespace = match settings.value("namespace") {
            Some(value) => Destination::read_checked(&value, namespace_check),
            None => Err(settings.missing("namespace", "\"Shop\"")),
        };
        let dimensions = globs(settings, "dimensions", &["*"]);
        let resource_dimensions = globs(settings, "resource_dimensions", &RESOURCE_DIMENSIONS);
        let resolution = settings
            .choice("storage_resolution", &[("60s", Resolution::Minute), ("1s", Resolution::Second)])
            .unwrap_or(Resolution::Minute);
        let histograms = settings
            .choice("histograms", &[("values", Histograms::Values), ("statistics", Histograms::Statistics)])
            .unwrap_or(Histograms::Values);
        let summaries = settings
            .choice(
                "summaries",
                &[
                    ("auto", Summaries::Auto),
                    ("statistics", Summaries::Statistics),
                    ("quantiles", Summaries::Quantiles),
                ],
            )
            .unwrap_or(Summaries::Auto);
        let cumulative = settings
            .choice("cumulative", &[("refuse", Cumulative::Refuse), ("as_is", Cumulative::AsIs)])
            .unwrap_or(Cumulative::Refuse);
        let compression = settings
            .choice("compression", &[("gzip", Compression::Gzip), ("none", Compression::None)])
            .unwrap_or(Compression::Gzip);
        let literal = namespace.as_ref().ok().and_then(Destination::is_literal);
        let detectors = settings.sections("anomaly_detectors").iter().map(|one| Wanted::read(one, literal)).collect();
        settings.finish()?;
        let (account, mut client, namespace) = (account?, client?, namespace?);
        let detectors: Result<Vec<Wanted>, Reported> = detectors;
        client.compression = compression;
        Ok(Settings {
            account,
            client,
            namespace,
            dimensions,
            resource_dimensions,
            resolution,
            histograms,
            summaries,
            cumulative,
            detectors: detectors?,
        })
    }
}

pub(in crate::cloudwatch) fn globs(settings: &Section, key: &str, default: &[&str]) -> Vec<Glob> {
    if settings.has(key) {
        return settings.list::<Glob>(key);
    }
    // These are patterns.
    default.iter().filter_map(|text| Glob::parse(text).ok()).collect()
}

/// Whether a text may name a namespace.
pub(in crate::cloudwatch) fn namespace_check(text: &str) -> Result<(), &'static str> {
    if text.trim_ascii().is_empty() {
        return Err("is empty");
    }
    if text.len() > 255 {
        return Err("is longer than 255 bytes");
    }
    if text.starts_with(':') {
        return Err("begins with `:`");
    }
    if text.starts_with("AWS/") {
        return Err("begins with `AWS/`, which is for AWS's own");
    }
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_/#: ".contains(&byte)) {
        Ok(())
    } else {
        Err("holds a character a namespace can't: letters, digits and . - _ / # : and the space")
    }
}
