//! Metric families: what a sample's name means under the type its family has.

/// A type, as `# TYPE` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    /// `untyped`, `unknown`, or none given.
    #[default]
    Unknown,
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
    /// The same of what goes up and down.
    GaugeHistogram,
    /// Quantiles, a sum and a count.
    Summary,
    /// Labels that say something, with the value 1.
    Info,
    /// One of several states.
    StateSet,
}

/// What a sample is of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The value itself.
    Value,
    /// One quantile of a summary.
    Quantile,
    /// One bucket of a histogram.
    Bucket,
    Sum,
    Count,
    /// When it began.
    Created,
}

// === impl Type ===

impl Type {
    pub(crate) fn parse(word: &[u8]) -> Option<Type> {
        Some(match word {
            b"counter" => Type::Counter,
            b"gauge" => Type::Gauge,
            b"histogram" => Type::Histogram,
            b"gaugehistogram" => Type::GaugeHistogram,
            b"summary" => Type::Summary,
            b"info" => Type::Info,
            b"stateset" => Type::StateSet,
            b"untyped" | b"unknown" => Type::Unknown,
            _ => return None,
        })
    }

    /// What a sample of the name `name` is in the family `family` of this type; `None`: it is of another family.
    pub(crate) fn role(self, family: &[u8], name: &[u8]) -> Option<Role> {
        let suffix = name.strip_prefix(family)?;
        Some(match (self, suffix) {
            (Type::Histogram, b"_bucket") | (Type::GaugeHistogram, b"_bucket") => Role::Bucket,
            (Type::Histogram | Type::Summary, b"_sum") | (Type::GaugeHistogram, b"_gsum") => Role::Sum,
            (Type::Histogram | Type::Summary, b"_count") | (Type::GaugeHistogram, b"_gcount") => Role::Count,
            (Type::Summary, b"") => Role::Quantile,
            (Type::Histogram | Type::Summary | Type::Counter, b"_created") => Role::Created,
            (Type::Counter, b"" | b"_total") | (Type::Info, b"" | b"_info") => Role::Value,
            (Type::Gauge | Type::StateSet | Type::Unknown, b"") => Role::Value,
            _ => return None,
        })
    }

    /// Whether several samples make one point.
    pub(crate) fn is_gathered(self) -> bool {
        matches!(self, Type::Histogram | Type::GaugeHistogram | Type::Summary)
    }

    /// `metadata.type`, where the point's kind does not say it.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Type::Unknown => Some("unknown"),
            Type::Info => Some("info"),
            Type::StateSet => Some("stateset"),
            Type::GaugeHistogram => Some("gaugehistogram"),
            Type::Counter | Type::Gauge | Type::Histogram | Type::Summary => None,
        }
    }
}
