//! Regular expressions.

use regex::Regex;

use super::Setting;
use super::diagnostic::Reported;
use super::value::Value;

impl Setting for Regex {
    fn read(value: &Value) -> Result<Self, Reported> {
        let pattern = value.text("a regular expression")?;
        Regex::new(pattern).map_err(|error| complain(value, pattern, &error))
    }
}

/// The library's own message is a drawing of several lines; its parser, asked again, gives the place.
fn complain(value: &Value, pattern: &str, error: &regex::Error) -> Reported {
    let (span, why) = match regex_syntax::parse(pattern) {
        Err(regex_syntax::Error::Parse(error)) => (*error.span(), error.kind().to_string()),
        Err(regex_syntax::Error::Translate(error)) => (*error.span(), error.kind().to_string()),
        _ => {
            let why = match error {
                regex::Error::CompiledTooBig(limit) => format!("it compiles to more than {limit} bytes"),
                other => other.to_string().lines().last().unwrap_or_default().to_owned(),
            };
            return value.error(format!("{} isn't a regular expression: {why}", value.name()), "");
        }
    };
    let (start, end) = (span.start.offset, span.end.offset);
    let help = if why.contains("look-around") || why.contains("backreference") {
        "the expressions are those of Rust's regex crate: matching takes linear time, which these would break"
    } else {
        ""
    };
    value.error_in_string(
        start,
        end.saturating_sub(start),
        format!("{} isn't a regular expression: {why}", value.name()),
        help,
    )
}
