//! One JSON value per line.
//!
//! A value that is not a map becomes `{ "log": value }`. White space around the value is fine; anything else behind it is
//! not. Without `time_key`, the time is the first of `@timestamp`, `timestamp`, `time`, `ts` that is one; it stays in the
//! record.

use std::ops::Range;
use std::sync::Arc;

use suiro_record::{Batch, Kind, RootId};
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{ParseError, Parser, TimeRule};

use crate::time::time_rule;

/// The parser `json`.
#[derive(Debug)]
pub struct Json {
    time: TimeRule,
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Arc<dyn Parser>, Reported> {
    let time = time_rule(settings, TimeRule::Auto);
    settings.finish()?;
    Ok(Arc::new(Json { time }))
}

impl Default for Json {
    fn default() -> Self {
        Json { time: TimeRule::Auto }
    }
}

impl Parser for Json {
    fn parse(&self, batch: &mut Batch, span: Range<usize>) -> Result<RootId, ParseError> {
        let root = batch.parse_json(span)?;
        if batch.body(root).kind() == Kind::Object { Ok(root) } else { Ok(batch.wrap_body(root)) }
    }

    fn time(&self) -> &TimeRule {
        &self.time
    }
}

#[cfg(test)]
mod tests {
    use suiro_sdk::OnParseError;

    use super::*;
    use crate::test_kit::{build_with, decode, fails};

    #[test]
    fn maps_stay_and_the_rest_is_wrapped() {
        let decoded = decode(
            Arc::new(Json::default()),
            OnParseError::Keep,
            &[r#"{"a":1, "b":{"c":null}}"#, r#" [1, "x"] "#, "7.50", "\"text\"", "{}"],
        );
        assert_eq!(
            decoded.bodies,
            [r#"{"a":1, "b":{"c":null}}"#, r#"{"log":[1, "x"]}"#, r#"{"log":7.50}"#, r#"{"log":"text"}"#, "{}",]
        );
        assert_eq!(decoded.parse_errors, 0);
    }

    #[test]
    fn what_is_no_json_stays_text_or_goes() {
        let lines = ["{", r#"{"a":1} x"#, "plain", r#"{"a":1}"#, "\0\u{1}", &"[".repeat(100_000)];
        let kept = decode(Arc::new(Json::default()), OnParseError::Keep, &lines);
        assert_eq!(kept.bodies.len(), 6);
        assert_eq!(kept.bodies[1], r#"{"log":"{\"a\":1} x"}"#);
        assert_eq!(kept.bodies[3], r#"{"a":1}"#);
        assert_eq!(kept.parse_errors, 5);
    }

    #[test]
    fn times_are_found() {
        let second = 1_000_000_000;
        let auto = decode(
            Arc::new(Json::default()),
            OnParseError::Keep,
            &[
                r#"{"time":"no","ts":1700000000}"#,
                r#"{"@timestamp":"2023-11-14T22:13:21Z","ts":5}"#,
                r#"{"when":1700000000}"#,
            ],
        );
        assert_eq!(auto.times, [Some(1_700_000_000 * second), Some(1_700_000_001 * second), None]);
        let text = "time_key = 'a.when'\ntime_format = '%Y/%m/%d %H:%M'\ntime_zone = '+01:00'\nkeep_time = false";
        let own = decode(
            build_with(build, text),
            OnParseError::Keep,
            &[r#"{"a":{"when":"1970/01/01 01:01","b":1}}"#, r#"{"a":{"when":"soon","b":1}}"#],
        );
        assert_eq!(own.times, [Some(60 * second), None]);
        assert_eq!(own.bodies, [r#"{"a":{"b":1}}"#, r#"{"a":{"when":"soon","b":1}}"#]);
    }

    #[test]
    fn mistakes_in_settings_are_named() {
        assert!(fails(build, "time_format = 'epoch'").contains("needs `time_key`"));
        assert!(fails(build, "time_key = 'a'\ntime_format = 'iso'").contains("is no time format"));
        assert!(fails(build, "time_key = 'a..b'").contains("field name"));
        assert!(fails(build, "tiem_key = 'a'").contains("did you mean `time_key`"));
    }
}
