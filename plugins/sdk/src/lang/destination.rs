//! Templates that choose a destination: an index, a log group, a tenant, a path, a topic.
//!
//! A record must not choose freely where it goes. So a destination that holds a field of a record begins with a fixed
//! text, or names what is allowed; and every rendered result passes a [`Check`], is at most 4,096 bytes long,
//! and matches the allow-list where there is one. `{@input}`, `{@signal}` and dates are not a record's to choose.
//!
//! ```toml
//! index = "logs-{service}"
//! tenant = { value = "{@k8s.namespace.label.team}", allow = ["team-*"], missing = "dead_letter" }
//! ```
//!
//! `missing` is what happens to a record that lacks a field: `dead_letter` (default), `drop`, or a text that is the
//! destination then.

use std::cell::RefCell;

use suiro_record::{Batch, Path, Row};

use super::check::{self, Check};
use super::error::LangError;
use super::glob::Glob;
use super::template::{Missing, Template, TemplatePrepared};
use crate::ledger::Reason;

/// The longest rendered destination, bytes.
const MAX_RENDERED: usize = 4096;

/// A template that chooses a destination.
#[derive(Clone, Debug)]
pub struct Destination {
    template: Template,
    allow: Vec<Glob>,
    missing: OnMissing,
    check: Check,
}

/// What happens to a record that lacks a field of the template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// It is set aside.
    #[default]
    DeadLetter,
    /// It is dropped, counted.
    Drop,
    /// It goes here.
    Default(String),
}

/// Why a record has no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal<'d> {
    /// A field is missing.
    #[error("the record has no `{path}`")]
    Missing {
        /// The field.
        path: &'d Path,
        /// `missing = "drop"`: otherwise the record is set aside.
        drop: bool,
    },
    /// What was rendered is no name, or isn't allowed.
    #[error("the rendered destination {0}")]
    NotAllowed(&'static str),
}

/// A destination and what its paths mean in one batch.
#[derive(Debug)]
pub struct DestinationPrepared<'d> {
    destination: &'d Destination,
    template: TemplatePrepared<'d>,
    /// What passed last: records that follow each other mostly go to the same place.
    passed: RefCell<Vec<u8>>,
}

// === impl Destination ===

impl Destination {
    /// Parses a template that must begin with a fixed text if it has fields; checked by [`check::printable`].
    pub fn parse(text: &str) -> Result<Destination, LangError> {
        Destination::new(Template::parse(text)?, Vec::new(), OnMissing::DeadLetter, check::printable)
    }

    /// Of its parts. Fails where a record could choose freely, or the check shows that no result will do.
    pub fn new(
        template: Template,
        allow: Vec<Glob>,
        missing: OnMissing,
        check: Check,
    ) -> Result<Destination, LangError> {
        let whole = template.as_str().len();
        // A prefix of signs alone, such as `/`, holds nothing back.
        let anchored = template.literal_prefix().contains(char::is_alphanumeric);
        if let Some(path) = template.first_foreign().filter(|_| !anchored && allow.is_empty()) {
            return Err(LangError::new(
                0,
                whole,
                format!("`{path}` would choose the destination freely"),
                format!(
                    "begin with fixed text, or name what is allowed: {{ value = \"{template}\", allow = [\"team-*\"] }}"
                ),
            ));
        }
        let destination = Destination { template, allow, missing, check };
        destination.examine()
    }

    /// The same with another check.
    pub fn with_check(self, check: Check) -> Result<Destination, LangError> {
        Destination { check, ..self }.examine()
    }

    /// Whether it can do at all: with a digit, a character every kind of name takes, for each field.
    fn examine(self) -> Result<Destination, LangError> {
        let sample = self.template.sample("0");
        if let Err(why) = (self.check)(&sample) {
            return Err(LangError::new(0, self.template.as_str().len(), format!("`{sample}` {why}"), ""));
        }
        if self.is_literal().is_some_and(|text| !self.is_listed(text)) {
            return Err(LangError::new(
                0,
                self.template.as_str().len(),
                format!("`{sample}` isn't in its own `allow`"),
                "",
            ));
        }
        if let OnMissing::Default(text) = &self.missing
            && let Err(why) = (self.check)(text)
        {
            return Err(LangError::new(0, self.template.as_str().len(), format!("`missing`: `{text}` {why}"), ""));
        }
        Ok(self)
    }

    /// The destination it always is, if it has no placeholders.
    pub fn is_literal(&self) -> Option<&str> {
        self.template.is_literal()
    }

    /// The template.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Looks the paths up in `batch`. Holds until a key is added to it.
    pub fn prepare(&self, batch: &Batch) -> DestinationPrepared<'_> {
        DestinationPrepared { destination: self, template: self.template.prepare(batch), passed: RefCell::default() }
    }

    fn is_listed(&self, text: &str) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|glob| glob.matches(text))
    }

    fn judge(&self, rendered: &[u8]) -> Result<(), &'static str> {
        if rendered.len() > MAX_RENDERED {
            return Err("is longer than 4096 bytes");
        }
        let text = std::str::from_utf8(rendered).map_err(|_| "isn't UTF-8")?;
        (self.check)(text)?;
        if self.is_listed(text) { Ok(()) } else { Err("isn't in its `allow`") }
    }
}

// === impl DestinationPrepared ===

impl<'d> DestinationPrepared<'d> {
    /// Appends the destination of a record; UTF-8. If it is refused, `out` is as it was.
    pub fn render(&self, batch: &Batch, row: &Row, out: &mut Vec<u8>) -> Result<(), Refusal<'d>> {
        if let Some(text) = self.destination.is_literal() {
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        let before = out.len();
        if let Err(Missing { path }) = self.template.render(batch, row, out) {
            return match &self.destination.missing {
                OnMissing::Default(text) => {
                    out.extend_from_slice(text.as_bytes());
                    Ok(())
                }
                other => Err(Refusal::Missing { path, drop: *other == OnMissing::Drop }),
            };
        }
        let mut passed = self.passed.borrow_mut();
        if !passed.is_empty() && *passed == out[before..] {
            return Ok(());
        }
        match self.destination.judge(&out[before..]) {
            Ok(()) => {
                passed.clear();
                passed.extend_from_slice(&out[before..]);
                Ok(())
            }
            Err(why) => {
                out.truncate(before);
                Err(Refusal::NotAllowed(why))
            }
        }
    }
}

// === impl Refusal ===

impl Refusal<'_> {
    /// Whether the record is dropped rather than set aside.
    pub fn is_drop(&self) -> bool {
        matches!(self, Refusal::Missing { drop: true, .. })
    }

    /// The ledger's word for it.
    pub fn reason(&self) -> Reason {
        match self {
            Refusal::Missing { .. } => Reason::MISSING_FIELD,
            Refusal::NotAllowed(_) => Reason::NOT_ALLOWED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::template::test_batch;
    use super::*;

    fn render(destination: &Destination, json: &str) -> Result<String, (Reason, bool)> {
        let batch = test_batch(json);
        let mut out = b"before ".to_vec();
        let result = destination.prepare(&batch).render(&batch, &batch.rows[0], &mut out);
        let text = String::from_utf8(out).unwrap();
        let rest = text.strip_prefix("before ").unwrap().to_owned();
        match result {
            Ok(()) => Ok(rest),
            Err(refusal) => {
                assert_eq!(rest, "");
                Err((refusal.reason(), refusal.is_drop()))
            }
        }
    }

    #[test]
    fn a_record_does_not_choose_freely() {
        for text in [
            "{x}",
            "{@tag}",
            "{@k8s.namespace.name}",
            "{@input}-{x}",
            "{x|default}",
            "{@attributes.x}-{@time:%Y}",
            "/{x}",
            "./{x}/a",
        ] {
            assert!(Destination::parse(text).is_err(), "{text}");
        }
        for text in ["logs-{x}", "{@input}", "{@signal}-{@time:%Y.%m.%d}", "logs"] {
            assert!(Destination::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_rendered_is_checked() {
        let index = Destination::parse("logs-{x}").unwrap().with_check(check::elasticsearch_index).unwrap();
        assert_eq!(render(&index, r#"{"x":"app"}"#).as_deref(), Ok("logs-app"));
        assert_eq!(render(&index, r#"{"x":"App"}"#), Err((Reason::NOT_ALLOWED, false)));
        assert_eq!(render(&index, r#"{"x":{"y":1}}"#), Err((Reason::NOT_ALLOWED, false)));
        assert_eq!(render(&index, "{}"), Err((Reason::MISSING_FIELD, false)));
        let file = Destination::parse("/var/log/{x}.log").unwrap().with_check(check::file_path).unwrap();
        assert_eq!(render(&file, r#"{"x":"a"}"#).as_deref(), Ok("/var/log/a.log"));
        for x in ["../../etc/passwd\\u0000", "a/../b", "../a", "a\\u0000b"] {
            assert_eq!(render(&file, &format!(r#"{{"x":"{x}"}}"#)), Err((Reason::NOT_ALLOWED, false)), "{x}");
        }
        assert!(render(&file, &format!(r#"{{"x":"{}"}}"#, "a/".repeat(3000))).is_err());
    }

    #[test]
    fn allow_lists_and_missing() {
        let allow = || vec![Glob::parse("team-*").unwrap(), Glob::parse("ops").unwrap()];
        let template = || Template::parse("{x}").unwrap();
        let tenant = Destination::new(template(), allow(), OnMissing::Drop, check::printable).unwrap();
        assert_eq!(render(&tenant, r#"{"x":"team-a"}"#).as_deref(), Ok("team-a"));
        assert_eq!(render(&tenant, r#"{"x":"ops"}"#).as_deref(), Ok("ops"));
        assert_eq!(render(&tenant, r#"{"x":"admin"}"#), Err((Reason::NOT_ALLOWED, false)));
        assert_eq!(render(&tenant, "{}"), Err((Reason::MISSING_FIELD, true)));
        let fallback = OnMissing::Default("nobody".to_owned());
        let tenant = Destination::new(template(), allow(), fallback, check::printable).unwrap();
        assert_eq!(render(&tenant, "{}").as_deref(), Ok("nobody"));
    }

    #[test]
    fn hopeless_ones_are_found_early() {
        let parse = |text: &str| Destination::parse(text).unwrap().with_check(check::elasticsearch_index);
        assert_eq!(parse("Logs-{x}").unwrap_err().message, "`Logs-0` isn't lower case");
        assert!(parse("logs-{x|A}").is_err());
        assert!(parse("_all").is_err());
        assert!(Destination::parse("").is_err());
        let fallback = OnMissing::Default("A".to_owned());
        let template = Template::parse("a{x}").unwrap();
        assert!(Destination::new(template, Vec::new(), fallback, check::elasticsearch_index).is_err());
    }
}
