//! Why a point is not sent.

use suiro_sdk::{Reason, Verdict};

/// A count since some start: CloudWatch adds up itself.
pub(super) const CUMULATIVE: Reason = Reason("cumulative");
/// The point says that it has no value, or nothing was measured.
pub(super) const NO_VALUE: Reason = Reason("no_value");
/// NaN or infinite.
pub(super) const NOT_FINITE: Reason = Reason("not_finite");
/// Beyond 2^360.
pub(super) const OUT_OF_RANGE: Reason = Reason("out_of_range");
/// Older than two weeks.
pub(super) const TOO_OLD: Reason = Reason("too_old");
/// More than two hours ahead.
pub(super) const TOO_NEW: Reason = Reason("too_new");
/// More than thirty.
pub(super) const TOO_MANY_DIMENSIONS: Reason = Reason("too_many_dimensions");

pub(super) fn refused(reason: Reason, detail: &str) -> Box<Verdict> {
    Box::new(Verdict::Refused { reason, detail: detail.to_owned() })
}

pub(super) fn malformed(why: &str) -> Box<Verdict> {
    refused(Reason::MALFORMED, why)
}

pub(super) fn drop(reason: Reason) -> Box<Verdict> {
    Box::new(Verdict::Drop(reason))
}
