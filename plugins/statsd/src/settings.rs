//! What can be set.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use suiro_sdk::datagrams::receive_buffer;
use suiro_sdk::serve::listen;
use suiro_sdk::settings::{ByteSize, Data, Reported, Section};

use crate::parse::Kind;

/// The input's settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where datagrams come by UDP.
    pub(crate) udp: Option<SocketAddr>,
    /// A Unix socket for datagrams.
    pub(crate) unix: Option<PathBuf>,
    /// A Unix socket for streams of datagrams, each behind its length.
    pub(crate) unix_stream: Option<PathBuf>,
    /// Bytes the system keeps for datagrams nobody has read yet; `None`: as many as are good.
    pub(crate) receive_buffer: Option<usize>,
    /// Bytes of records handed over and not yet taken.
    pub(crate) max_pending: usize,
    /// How values become points.
    pub(crate) shape: Shape,
}

/// How values become points.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    /// How long a window is; `None`: every value is a point.
    pub(crate) interval: Option<Duration>,
    /// Counts as rates.
    pub(crate) rates: bool,
    /// `+1` and `-1` change a gauge instead of setting it.
    pub(crate) relative_gauges: bool,
    /// What timers and histograms become.
    pub(crate) timers: Spread,
    /// What distributions become.
    pub(crate) distributions: Spread,
    /// Series of a window, at most.
    pub(crate) max_series: usize,
}

/// What timers, histograms and distributions become.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Spread {
    /// Count, sum and these quantiles, 0 and 1 among them.
    Summary(Vec<f64>),
    /// Counts between these bounds.
    Histogram(Vec<f64>),
    /// All values as they came.
    Values,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SpreadName {
    Summary,
    Histogram,
    Values,
}

const PERCENTILES: [f64; 4] = [50.0, 90.0, 95.0, 99.0];

// === impl Settings ===

impl Settings {
    pub(crate) fn read(section: &Section) -> Result<Settings, Reported> {
        let off = matches!(section.value("udp").as_ref().map(|value| value.data()), Some(Data::Bool(false)));
        let udp = (!off).then(|| listen(section, "udp", "127.0.0.1:8125"));
        let path = |key: &str| section.get::<String>(key).map(|path| section.resolve_path(&path));
        let (unix, unix_stream) = (path("unix"), path("unix_stream"));
        if off && unix.is_none() && unix_stream.is_none() {
            section.error_at(
                "udp",
                "the input would listen nowhere",
                "leave `udp` out, or set `unix` or `unix_stream`",
            );
        }
        let receive_buffer = receive_buffer(section);
        let pending = ByteSize(64 << 10)..=ByteSize::mib(1024);
        let max_pending = section.within("max_pending", pending).unwrap_or(ByteSize::mib(16)).as_usize();
        let shape = Shape::read(section);
        section.finish()?;
        Ok(Settings { udp, unix, unix_stream, receive_buffer, max_pending, shape })
    }
}

// === impl Shape ===

impl Shape {
    fn read(section: &Section) -> Shape {
        let aggregate = section.or("aggregate", true);
        let bounds = Duration::from_millis(100)..=Duration::from_secs(3600);
        let interval = section.within("interval", bounds).unwrap_or(Duration::from_secs(10));
        if !aggregate {
            for key in ["interval", "percentiles", "bounds", "timers", "distributions", "gauge_signs", "max_series"] {
                if section.has(key) {
                    let help = "without aggregation every value is a point of its own; leave it out";
                    section.error_at(key, format!("`{key}` has no use with `aggregate = false`"), help);
                }
            }
        }
        let counters = [("count", false), ("rate", true)];
        let rates = section.choice("counters", &counters).unwrap_or_default();
        if rates && !aggregate {
            section.error_at(
                "counters",
                "a rate needs an interval",
                "set `aggregate = true`, or `counters = \"count\"`",
            );
        }
        let signs = [("relative", true), ("absolute", false)];
        let relative_gauges = section.choice("gauge_signs", &signs).unwrap_or(true);
        let names =
            [("summary", SpreadName::Summary), ("histogram", SpreadName::Histogram), ("values", SpreadName::Values)];
        let named = ["timers", "distributions"].map(|key| section.choice(key, &names).unwrap_or(SpreadName::Summary));
        let percentiles: Vec<f64> = section.list("percentiles");
        let bounds: Vec<f64> = section.list("bounds");
        if percentiles.iter().any(|percentile| !(0.0..=100.0).contains(percentile)) {
            section.error_at(
                "percentiles",
                "a percentile is from 0 to 100",
                "for example percentiles = [50, 99, 99.9]",
            );
        }
        if !named.contains(&SpreadName::Summary) && !percentiles.is_empty() {
            let help = "set `timers` or `distributions` to \"summary\", or leave it out";
            section.error_at("percentiles", "`percentiles` are of summaries", help);
        }
        match (named.contains(&SpreadName::Histogram), bounds.is_empty()) {
            (true, true) => {
                section.missing("bounds", "[5, 10, 25, 50, 100, 250, 500, 1000]");
            }
            (true, false) if !bounds.is_sorted_by(|a, b| a < b) => {
                section.error_at("bounds", "the bounds must ascend", "for example bounds = [5, 10, 25, 50, 100]");
            }
            (false, false) => {
                let help = "set `timers` or `distributions` to \"histogram\", or leave it out";
                section.error_at("bounds", "`bounds` are of histograms", help);
            }
            _ => {}
        }
        let spread = |name| match name {
            SpreadName::Summary => {
                let given = if percentiles.is_empty() { &PERCENTILES[..] } else { &percentiles };
                let mut quantiles: Vec<f64> = given.iter().map(|percentile| percentile / 100.0).collect();
                // OpenTelemetry's way of saying least and greatest.
                quantiles.extend([0.0, 1.0]);
                quantiles.sort_by(f64::total_cmp);
                quantiles.dedup();
                Spread::Summary(quantiles)
            }
            SpreadName::Histogram => Spread::Histogram(bounds.clone()),
            SpreadName::Values => Spread::Values,
        };
        let [timers, distributions] = named.map(spread);
        let max_series = section.within("max_series", 1..=10_000_000_u64).unwrap_or(100_000);
        let max_series = usize::try_from(max_series).unwrap_or(usize::MAX);
        Shape { interval: aggregate.then_some(interval), rates, relative_gauges, timers, distributions, max_series }
    }
    /// What values of that kind become.
    pub(crate) fn spread(&self, kind: Kind) -> &Spread {
        if kind == Kind::Distribution { &self.distributions } else { &self.timers }
    }
}
