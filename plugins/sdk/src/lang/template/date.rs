//! Dates in templates. Most are days, and records of a batch share theirs: what was rendered last is kept for as long as
//! it can't change.

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use crate::time::SECOND;

/// The longest format, bytes. With paddings, which end at 20, it bounds what is rendered.
const MAX_LEN: usize = 256;

/// A format as `strftime` has it, rendered in UTC.
#[derive(Clone, Debug)]
pub(super) struct DateFormat {
    format: String,
    /// Nanoseconds for which a rendered date holds.
    holds: i64,
}

/// A rendered date and the span of time it holds for.
#[derive(Clone, Debug, Default)]
pub(super) struct Rendered {
    slot: Option<i64>,
    text: String,
}

// === impl DateFormat ===

impl DateFormat {
    /// Or what is wrong, and help.
    pub(super) fn parse(format: &str) -> Result<DateFormat, (String, &'static str)> {
        const HELP: &str = "for example {@time:%Y.%m.%d}";
        if !format.contains('%') {
            return Err(("a date format has directives, such as %Y".to_owned(), HELP));
        }
        if format.len() > MAX_LEN {
            return Err((format!("a date format has at most {MAX_LEN} bytes"), HELP));
        }
        let (format, holds) = compile(format);
        let date = DateFormat { format, holds };
        date.format(0).map_err(|why| (format!("this date format can't be written: {why}"), HELP))?;
        Ok(date)
    }

    pub(super) fn render(&self, ns: i64, last: &mut Rendered, out: &mut Vec<u8>) {
        let slot = ns.div_euclid(self.holds);
        if last.slot != Some(slot) {
            // Checked when it was parsed, for a time like any other.
            last.text = self.format(ns).unwrap_or_default();
            last.slot = Some(slot);
        }
        out.extend_from_slice(last.text.as_bytes());
    }

    fn format(&self, ns: i64) -> Result<String, jiff::Error> {
        let time = Timestamp::from_nanosecond(i128::from(ns))?.to_zoned(TimeZone::UTC);
        BrokenDownTime::from(&time).to_string(&self.format)
    }
}

/// The format with `%L` (milliseconds elsewhere) as jiff calls it, and how long what it renders holds.
fn compile(format: &str) -> (String, i64) {
    let mut out = String::with_capacity(format.len());
    let mut holds = 86_400 * SECOND;
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c != '%' {
            continue;
        }
        let directive = chars.by_ref().find(|c| {
            let flag = matches!(c, '-' | '_' | '^' | '#' | '.' | ':' | '0'..='9');
            if flag {
                out.push(*c);
            }
            !flag
        });
        let Some(directive) = directive else { break };
        match directive {
            'L' => out.push_str("3f"),
            other => out.push(other),
        }
        holds = holds.min(match directive {
            'Y' | 'y' | 'C' | 'm' | 'd' | 'e' | 'j' | 'F' | 'D' | 'B' | 'b' | 'h' | 'A' | 'a' | 'u' | 'w' | 'U'
            | 'W' | 'V' | 'G' | 'g' | 'q' | 'n' | 't' | 'z' | 'Z' | 'Q' | '%' => 86_400 * SECOND,
            'H' | 'I' | 'k' | 'l' | 'p' | 'P' => 3_600 * SECOND,
            'M' | 'R' => 60 * SECOND,
            'S' | 'T' | 's' => SECOND,
            _ => 1,
        });
    }
    (out, holds)
}
