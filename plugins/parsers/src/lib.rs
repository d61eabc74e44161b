//! Parsers: from the text of a line to the body of a record.
//!
//! | type | reads | settings |
//! | --- | --- | --- |
//! | `json` | one JSON value per line | those of time |
//! | `regex` | named groups of a regular expression | `pattern`, `types`, those of time |
//! | `apache_combined` | the access logs of Apache and nginx, combined or common | `keep_time` |
//!
//! Those of time are `time_key`, `time_format`, `time_zone` and `keep_time`: see [`mod@time`].
//!
//! None of them copies a text: what they build are spans of the line they were given.

pub mod apache;
pub mod json;
pub mod regex;
pub mod time;

#[cfg(test)]
mod test_kit;

use suiro_sdk::Registry;

/// Adds the parsers.
pub fn register(registry: &mut Registry) {
    registry.parser("json", "one JSON value per line", json::build);
    registry.parser("regex", "named groups of a regular expression", regex::build);
    registry.parser("apache_combined", "access logs of Apache and nginx, combined or common format", apache::build);
}
