//! The settings with which a parser says where a record's time is.
//!
//! | setting | |
//! | --- | --- |
//! | `time_key` | the field, a path; what is found where nothing is said depends on the parser |
//! | `time_format` | `auto` (default), `rfc3339`, `epoch`, or a format such as `%d/%b/%Y:%H:%M:%S %z` |
//! | `time_zone` | where the text has no offset: `Europe/Paris`, `local`, `+09:00`; default UTC |
//! | `keep_time` | whether the field stays in the record; default `true` |
//!
//! A field that is no time stays, and the record has the time of reading.

use suiro_record::Path;
use suiro_sdk::TimeRule;
use suiro_sdk::settings::Section;
use suiro_sdk::time::TimeFormat;

/// Reads the settings. `default` holds where there is no `time_key`; then the other settings have nothing to say, and
/// saying something is a mistake.
pub fn time_rule(settings: &Section, default: TimeRule) -> TimeRule {
    let path = settings.get::<Path>("time_key");
    let format = TimeFormat::from_section(settings);
    let keep = settings.or("keep_time", true);
    match path {
        Some(path) => TimeRule::Field { path, format, keep },
        None => {
            if !settings.has("time_key") {
                for key in ["time_format", "time_zone", "keep_time"] {
                    if settings.has(key) {
                        let message = format!("`{key}` needs `time_key`, the field it is about");
                        settings.error_at(key, message, "for example: time_key = \"time\"");
                    }
                }
            }
            default
        }
    }
}
