//! What filters share that read, merge and make metric points.
//!
//! | | |
//! | --- | --- |
//! | [`number`], [`histogram`], [`exponential`] | values of points: adding, subtracting, taking in single values |
//! | [`point`] | a point as it is read from a record, and what series it is of |
//! | [`edit`] | writing a value into a record |
//! | [`step`] | from a cumulative point to what came since the one before |
//! | [`table`] | series that a filter makes, bounded, and their points as they are sent on |
//! | [`resources`] | what such series keep of the resources of records |
//! | [`settings`] | settings that several filters have |
//!
//! All of it reads what came from outside: lists of buckets are bounded ([`MAX_BUCKETS`]), counts saturate, and a point that
//! contradicts itself (counts of another number than bounds want, say) is none.

pub(crate) mod edit;
pub(crate) mod exponential;
pub(crate) mod histogram;
pub(crate) mod number;
pub(crate) mod point;
pub(crate) mod resources;
pub(crate) mod settings;
pub(crate) mod step;
pub(crate) mod table;

pub(crate) use self::exponential::Exponential;
pub(crate) use self::histogram::Histogram;
pub(crate) use self::number::Number;
pub(crate) use self::point::{Data, Point, Points, SeriesKey, Temporality};
pub(crate) use self::resources::{Kept, Resources};
pub(crate) use self::table::{Exemplar, Made, Series, Table, What};

/// Buckets of one point; one with more is not read.
pub(crate) const MAX_BUCKETS: usize = 4096;
