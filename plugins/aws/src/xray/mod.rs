//! AWS X-Ray: segments in ([`input`]).

pub mod input;

use suiro_sdk::Registry;

/// The body key under which a record keeps a segment document as it came, JSON as a text. The output sends that text as it is.
pub(crate) const SEGMENT: &str = "xray.segment";

/// Adds the plugins of this folder.
pub(crate) fn register(registry: &mut Registry) {
    registry.input("xray", "the X-Ray daemon's protocol: segments over UDP, sampling rules over HTTP", input::build);
}
