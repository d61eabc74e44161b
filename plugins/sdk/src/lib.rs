//! What a plugin of suiro is, and what plugins share.
//!
//! | a plugin that is | implements | and is called |
//! | --- | --- | --- |
//! | an input | [`Input`], [`Source`] | on one worker's thread |
//! | a parser | [`Parser`] | on the input's worker, line by line |
//! | a filter | [`FilterFactory`], [`Filter`] | on the worker, a batch at a time |
//! | an output | [`Output`] | on its own thread, inside its own tokio runtime |
//!
//! Each crate of plugins has `register(&mut Registry)`. What a plugin answers for, and to whom, is in [`custody`] and
//! [`ledger`].

#[cfg(feature = "aws")]
pub mod aws;
pub mod complaint;
pub mod compress;
pub mod custody;
pub mod datagrams;
pub mod decode;
pub mod decompress;
pub mod document;
pub mod filter;
pub mod flow;
pub mod health;
pub mod http;
pub mod input;
pub mod intake;
pub mod killpoint;
pub mod lang;
pub mod ledger;
pub mod metrics;
pub mod output;
pub mod parser;
pub mod point;
pub mod pool;
pub mod protobuf;
pub mod registry;
pub mod reroute;
pub mod serve;
pub mod settings;
pub mod spans;
pub mod tag;
pub mod time;
pub mod varint;

pub use complaint::Complaint;
pub use custody::{Custody, Position, Receipt, Tracker};
pub use decode::{Decoder, Line, OnParseError};
pub use filter::{Filter, FilterContext, FilterFactory, FilterSetup, FilterState, Stateless};
pub use flow::{Flow, Selection};
pub use health::{BlockHealth, ReportHealth};
pub use input::{Input, Polled, Progress, Source, SourceSetup, StartError, Waker};
pub use ledger::{FilterLedger, InputLedger, OutputLedger, Reason};
pub use metrics::Metrics;
pub use output::{Delivering, Delivery, Limits, Outcome, Output, OutputSetup, Part, Rows, Verdict};
pub use parser::{ParseError, Parser, TimeRule};
pub use pool::{Pool, SharedBatch};
pub use registry::Registry;
pub use suiro_record as record;
