//! What the two services differ in.

use suiro_sdk::aws;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Kinesis Data Streams.
    Streams,
    /// Data Firehose.
    Firehose,
}

/// Bounds of a request. Bytes are those of the data before base64, and of the partition keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Records.
    pub(crate) records: usize,
    /// Bytes of one record.
    pub(crate) record: usize,
    /// Bytes of all of them, but for a record that is larger by itself.
    pub(crate) request: usize,
}

// === impl Service ===

impl Service {
    /// What its hosts and signatures are called.
    pub(crate) fn endpoint(self) -> aws::Service {
        match self {
            Service::Streams => aws::Service::KINESIS,
            Service::Firehose => aws::Service::FIREHOSE,
        }
    }

    /// `X-Amz-Target`
    pub(crate) fn target(self) -> &'static str {
        match self {
            Service::Streams => "Kinesis_20131202.PutRecords",
            Service::Firehose => "Firehose_20150804.PutRecordBatch",
        }
    }

    /// Its bounds, where nothing else is set.
    pub(crate) fn bounds(self) -> Bounds {
        match self {
            Service::Streams => Bounds { records: 500, record: 1 << 20, request: 5 << 20 },
            Service::Firehose => Bounds { records: 500, record: 1_000 << 10, request: 4 << 20 },
        }
    }

    /// The longest name of a stream.
    pub(crate) fn longest_name(self) -> usize {
        match self {
            Service::Streams => 128,
            Service::Firehose => 64,
        }
    }

    /// Source bytes of a delivery: JSON adds to lines of text, and a delivery should be one request.
    pub(crate) fn likes(self) -> usize {
        match self {
            Service::Streams => 4 << 20,
            Service::Firehose => 3 << 20,
        }
    }
}
