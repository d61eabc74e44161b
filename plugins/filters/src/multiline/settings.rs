//! Reading the settings of `multiline`.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use suiro_record::{LOG_KEY, Path, PathRoot};
use suiro_sdk::FilterFactory;
use suiro_sdk::settings::{ByteSize, Data, Reported, Section, Value};

use super::Multiline;
use super::trace::{Matcher, PATTERNS};

/// Defaults.
const TIMEOUT: Duration = Duration::from_secs(1);
const MAX_LINES: usize = 1000;
const MAX_BYTES: usize = 1 << 20;
const MAX_HELD: usize = 16 << 20;

/// What is joined, and its bounds.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) path: Path,
    /// The path is `log`.
    pub(super) is_log: bool,
    pub(super) matcher: Matcher,
    pub(super) timeout: Duration,
    pub(super) max_lines: usize,
    pub(super) max_bytes: usize,
    pub(super) max_held: usize,
    /// The lines come from an input as it read them: each begins where the one before ended.
    pub(super) adjacent: bool,
}

/// Reads the settings of a filter.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    read(settings, false)
}

fn read(settings: &Section, adjacent: bool) -> Result<Box<dyn FilterFactory>, Reported> {
    let matcher = matcher(settings);
    let path = settings.get::<Path>("path");
    if path.as_ref().is_some_and(|path| path.root() != PathRoot::Body) {
        settings.error_at("path", "`path` must name a field of the record's own", "");
    }
    let timeout = settings.within("timeout", Duration::from_millis(10)..=3600 * TIMEOUT).unwrap_or(TIMEOUT);
    let max_lines = settings.within("max_lines", 2..=1_000_000_usize).unwrap_or(MAX_LINES);
    let bytes =
        |key, default| settings.within(key, ByteSize::kib(1)..=ByteSize::mib(512)).map_or(default, ByteSize::as_usize);
    let (max_bytes, max_held) = (bytes("max_bytes", MAX_BYTES), bytes("max_held", MAX_HELD));
    settings.finish()?;
    let path = path.unwrap_or_else(|| Path::key(LOG_KEY));
    let is_log = path.as_str() == LOG_KEY;
    let settings = Settings { path, is_log, matcher: matcher?, timeout, max_lines, max_bytes, max_held, adjacent };
    Ok(Box::new(Multiline(Arc::new(settings))))
}

/// Reads an input's `multiline`: the name of a pattern, or a table of the filter's settings.
pub fn multiline_from_value(value: &Value) -> Result<Box<dyn FilterFactory>, Reported> {
    match value.data() {
        Data::String(_) => {
            let matcher = value.choice(&PATTERNS)?;
            let path = Path::key(LOG_KEY);
            Ok(Box::new(Multiline(Arc::new(Settings {
                path,
                is_log: true,
                matcher,
                timeout: TIMEOUT,
                max_lines: MAX_LINES,
                max_bytes: MAX_BYTES,
                max_held: MAX_HELD,
                adjacent: true,
            }))))
        }
        Data::Table => read(&value.section()?, true),
        _ => Err(value.expected("the name of a pattern such as \"java\", or a table such as { start = '^\\d' }")),
    }
}

fn matcher(settings: &Section) -> Result<Matcher, Reported> {
    let pattern = settings.choice("pattern", &PATTERNS);
    let start = settings.get::<Regex>("start");
    let continued = settings.get::<Regex>("continue");
    let given: Vec<&str> = ["pattern", "start", "continue"].into_iter().filter(|key| settings.has(key)).collect();
    if let [first, second, ..] = *given {
        let message = format!("`{first}` and `{second}` say the same thing in two ways");
        return Err(settings.error_at(second, message, "set one of `pattern`, `start` and `continue`"));
    }
    let by = |regex: &Regex| regex::bytes::Regex::new(regex.as_str());
    let by_regex = match (&start, &continued) {
        (Some(regex), _) => by(regex).map(Matcher::Start).ok(),
        (_, Some(regex)) => by(regex).map(Matcher::Continue).ok(),
        _ => None,
    };
    match pattern.or(by_regex) {
        Some(matcher) => Ok(matcher),
        None if given.is_empty() => Err(settings
            .missing("pattern", "\"java\"   (or \"python\", \"go\", or a regular expression: start = '^\\d{4}-')")),
        // Reported where it stands.
        None => settings.finish().map(|()| Matcher::JAVA),
    }
}
