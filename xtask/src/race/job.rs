//! The jobs of the race: which file is read, what is done to its records, and which system they go to.

use clap::ValueEnum;

use super::agents::Kind;

/// One job. The order is the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Job {
    /// Tail text, to Loki.
    TextLoki,
    /// Tail text, to CloudWatch Logs: signed.
    #[value(name = "cloudwatch")]
    TextCloudWatch,
    /// Tail JSON, parse, to Elasticsearch bulk.
    JsonEs,
    /// The same; records at level debug dropped, one field set, one removed.
    JsonFilterEs,
    /// Tail Apache combined, parse, to Elasticsearch bulk.
    ApacheEs,
    /// Tail JSON, parse, a WASM filter that reads `level` and sets one field, to Elasticsearch bulk.
    WasmEs,
}

/// The files the jobs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Corpus {
    /// Application log lines, plain text.
    Text,
    /// Application log lines, nested JSON.
    Json,
    /// Web server access lines, Apache combined.
    Apache,
}

/// The system at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Destination {
    /// `POST /loki/api/v1/push`.
    Loki,
    /// `PutLogEvents`.
    CloudWatchLogs,
    /// `POST /_bulk`.
    Elasticsearch,
}

/// What is asked of one in a job: so many times the MB per CPU second of another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Of whom it is asked.
    pub(crate) who: Kind,
    /// The other one.
    pub(crate) than: Kind,
    /// The least ratio.
    pub(crate) ratio: f64,
}

impl Job {
    /// Every job, in the order of the tables.
    pub(crate) const ALL: [Self; 6] =
        [Self::TextLoki, Self::TextCloudWatch, Self::JsonEs, Self::JsonFilterEs, Self::ApacheEs, Self::WasmEs];

    /// The name on the command line and in file names.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Self::TextLoki => "text-loki",
            Self::TextCloudWatch => "cloudwatch",
            Self::JsonEs => "json-es",
            Self::JsonFilterEs => "json-filter-es",
            Self::ApacheEs => "apache-es",
            Self::WasmEs => "wasm-es",
        }
    }

    /// The name in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::TextLoki => "tail text, to Loki",
            Self::TextCloudWatch => "tail text, to CloudWatch Logs, signed",
            Self::JsonEs => "tail JSON, parse, to Elasticsearch bulk",
            Self::JsonFilterEs => "the same, dropping debug, setting and removing a field",
            Self::ApacheEs => "tail Apache combined, parse, to Elasticsearch bulk",
            Self::WasmEs => {
                "tail JSON, parse, a WASM filter that reads `level` and sets a field, to Elasticsearch bulk"
            }
        }
    }

    /// What the hand-written loop does, in words; `None` where there is none.
    pub(crate) fn loop_steps(self) -> Option<&'static str> {
        Some(match self {
            Self::TextLoki => "read, split, protobuf, snappy, send",
            Self::JsonEs => "read, split, validate, splice, send",
            Self::JsonFilterEs => "read, split, validate, find level, splice, send",
            Self::ApacheEs => "read, split, captures of the regex crate, write JSON, send",
            Self::TextCloudWatch | Self::WasmEs => return None,
        })
    }

    /// The file this job reads.
    pub(crate) fn corpus(self) -> Corpus {
        match self {
            Self::TextLoki | Self::TextCloudWatch => Corpus::Text,
            Self::JsonEs | Self::JsonFilterEs | Self::WasmEs => Corpus::Json,
            Self::ApacheEs => Corpus::Apache,
        }
    }

    /// Where its records go.
    pub(crate) fn destination(self) -> Destination {
        match self {
            Self::TextLoki => Destination::Loki,
            Self::TextCloudWatch => Destination::CloudWatchLogs,
            Self::JsonEs | Self::JsonFilterEs | Self::ApacheEs | Self::WasmEs => Destination::Elasticsearch,
        }
    }

    /// Who takes part.
    pub(crate) fn takes(self, kind: Kind) -> bool {
        match kind {
            Kind::Suiro | Kind::FluentBit => true,
            Kind::Vector | Kind::Loop => !matches!(self, Self::WasmEs | Self::TextCloudWatch),
            Kind::SuiroModify | Kind::SuiroSameWasm => self == Self::WasmEs,
        }
    }

    /// What is asked of suiro (medians, MB per CPU second).
    pub(crate) fn targets(self) -> Vec<Target> {
        let (to_fluent_bit, to_loop) = match self {
            Self::TextLoki => (2.0, 0.65),
            Self::TextCloudWatch => {
                return vec![Target { who: Kind::Suiro, than: Kind::FluentBit, ratio: 3.0 }];
            }
            Self::JsonEs | Self::JsonFilterEs => (10.0, 0.50),
            Self::ApacheEs => (6.0, 1.0),
            Self::WasmEs => {
                return vec![
                    Target { who: Kind::Suiro, than: Kind::FluentBit, ratio: 10.0 },
                    Target { who: Kind::SuiroSameWasm, than: Kind::FluentBit, ratio: 4.0 },
                    Target { who: Kind::Suiro, than: Kind::SuiroModify, ratio: 0.80 },
                ];
            }
        };
        vec![
            Target { who: Kind::Suiro, than: Kind::FluentBit, ratio: to_fluent_bit },
            Target { who: Kind::Suiro, than: Kind::Loop, ratio: to_loop },
        ]
    }
}
