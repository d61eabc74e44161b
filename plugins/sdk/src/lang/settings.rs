//! Reading the languages from settings, mistakes reported where they stand.

use suiro_record::Path;

use super::check::{self, Check};
use super::destination::OnMissing;
use super::{Condition, Destination, Glob, LangError, TagMatch, Template};
use crate::settings::{Data, Reported, Setting, Value};

fn report(value: &Value, error: LangError) -> Reported {
    value.error_in_string(error.at, error.len, error.message, error.help)
}

impl Setting for Condition {
    fn read(value: &Value) -> Result<Self, Reported> {
        let text = value.text("a condition such as 'level == \"debug\"'")?;
        Condition::parse(text).map_err(|error| report(value, error))
    }
}

impl Setting for Template {
    fn read(value: &Value) -> Result<Self, Reported> {
        let text = value.text("a text, with fields as in \"app-{service}\"")?;
        Template::parse(text).map_err(|error| report(value, error))
    }
}

impl Setting for Glob {
    fn read(value: &Value) -> Result<Self, Reported> {
        let text = value.text("a pattern such as \"team-*\"")?;
        Glob::parse(text).map_err(|error| report(value, error))
    }
}

impl Setting for TagMatch {
    /// A glob or a list of them.
    fn read(value: &Value) -> Result<Self, Reported> {
        let items = value.one_or_many();
        if items.is_empty() {
            let help = "for every tag leave it out, or write \"*\"";
            return Err(value.error(format!("{} is an empty list", value.name()), help));
        }
        let mut all = TagMatch::default();
        let mut failed = None;
        for item in items {
            let read = item
                .text("a glob over tags such as \"app.*\", or a list of them")
                .and_then(|text| all.add(text).map_err(|error| report(&item, error)));
            failed = failed.or(read.err());
        }
        failed.map_or(Ok(all), Err)
    }
}

impl Setting for Path {
    fn read(value: &Value) -> Result<Self, Reported> {
        let text = value.text("the path of a field, such as \"http.status\"")?;
        Path::parse(text).map_err(|error| {
            let len = text.get(error.at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            value.error_in_string(error.at, len, error.message, "")
        })
    }
}

impl Setting for Destination {
    /// With [`check::printable`]; for another see [`Destination::read_checked`].
    fn read(value: &Value) -> Result<Self, Reported> {
        Destination::read_checked(value, check::printable)
    }
}

impl Destination {
    /// Reads a template, or a table of `value`, `allow` and `missing`. What it renders must pass `check`; what can be seen
    /// to fail already is reported.
    pub fn read_checked(value: &Value, check: Check) -> Result<Destination, Reported> {
        let (place, template, allow, missing) = match value.data() {
            Data::Table => {
                let section = value.section()?;
                let template = section.require::<Template>("value", "\"{team}\"");
                let allow = section.list::<Glob>("allow");
                let missing = section.get::<String>("missing");
                let place = section.value("value").unwrap_or_else(|| value.clone());
                let template = template?;
                section.finish()?;
                (place, template, allow, missing)
            }
            Data::String(_) => (value.clone(), value.read::<Template>()?, Vec::new(), None),
            _ => return Err(value.expected("a text such as \"logs-{service}\", or { value = ..., allow = [...] }")),
        };
        let missing = match missing.as_deref() {
            None | Some("dead_letter") => OnMissing::DeadLetter,
            Some("drop") => OnMissing::Drop,
            Some(text) => OnMissing::Default(text.to_owned()),
        };
        Destination::new(template, allow, missing, check)
            .map_err(|error| place.error(format!("{}: {}", value.name(), error.message), error.help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Section;

    fn report_of<T: Setting>(text: &str) -> String {
        let (section, diagnostics) = Section::from_text("block", text);
        assert!(section.get::<T>("x").is_none(), "{text}");
        assert!(section.finish().is_err());
        assert_eq!(diagnostics.errors(), 1, "{}", diagnostics.render(false));
        diagnostics.render(false)
    }

    #[test]
    fn mistakes_are_shown_where_they_stand() {
        for (report, place, word) in [
            (report_of::<Condition>("x = 'a = 1'"), ":1:8", "=="),
            (report_of::<Template>("x = \"\\u0061{b\""), ":1:12", "never closed"),
            (report_of::<TagMatch>("x = ['a', '!b{c}']"), ":1:14", "groups"),
            (report_of::<TagMatch>("x = []"), ":1:5", "empty list"),
            (report_of::<TagMatch>("x = [1]"), ":1:6", "a glob over tags"),
            (report_of::<Path>("x = 'a..b'"), ":1:8", "field name"),
            (report_of::<Glob>("x = ''"), ":1:6", "empty pattern"),
            (report_of::<Destination>("x = '{a}'"), ":1:5", "freely"),
            (report_of::<Destination>("x = { value = '{a}', alow = 'b' }"), ":1:22", "allow"),
            (report_of::<Destination>("x = 5"), ":1:5", "a text such as"),
        ] {
            assert!(report.contains(place), "{place}: {report}");
            assert!(report.contains(word), "{word}: {report}");
        }
    }

    #[test]
    fn settings_are_read() {
        let (section, diagnostics) = Section::from_text(
            "block",
            "a = { value = '{t}', allow = 'team-*', missing = 'drop' }\nb = 'logs'\nmatch = 'a.*'\nwhen = 'a == 1'",
        );
        assert!(section.get::<Destination>("a").is_some());
        let index =
            section.value("b").and_then(|value| Destination::read_checked(&value, check::elasticsearch_index).ok());
        assert_eq!(index.as_ref().and_then(Destination::is_literal), Some("logs"));
        assert!(section.get::<TagMatch>("match").is_some_and(|tags| tags.matches("a.b") && !tags.matches("b")));
        assert!(section.get::<Condition>("when").is_some());
        assert!(section.finish().is_ok(), "{}", diagnostics.render(false));
    }
}
