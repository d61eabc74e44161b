//! Why a point is not sent.

use suiro_sdk::{Reason, Verdict};

/// A count since some start: CloudWatch adds up itself.
pub(in crate::cloudwatch) const CUMULATIVE: Reason = Reason("cumulative");
/// The point says that it has no value, or nothing was measured.
pub(in crate::cloudwatch) const NO_VALUE: Reason = Reason("no_value");
/// NaN or infinite.
pub(in crate::cloudwatch) const NOT_FINITE: Reason = Reason("not_finite");
/// Beyond 2^360.
pub(in crate::cloudwatch) const OUT_OF_RANGE: Reason = Reason("out_of_range");
/// Older than two weeks.
pub(in crate::cloudwatch) const TOO_OLD: Reason = Reason("too_old");
/// More than two hours ahead.
pub(in crate::cloudwatch) const TOO_NEW: Reason = Reason("too_new");
/// More than thirty.
pub(in crate::cloudwatch) const TOO_MANY_DIMENSIONS: Reason = Reason("too_many_dimensions");

pub(in crate::cloudwatch) fn refused(reason: Reason, detail: &str) -> Box<Verdict> {
    Box::new(Verdict::Refused { reason, detail: detail.to_owned() })
}

pub(in crate::cloudwatch) fn malformed(why: &str) -> Box<Verdict> {
    refused(Reason::MALFORMED, why)
}

pub(in crate::cloudwatch) fn drop(reason: Reason) -> Box<Verdict> {
    Box::new(Verdict::Drop(reason))
}
