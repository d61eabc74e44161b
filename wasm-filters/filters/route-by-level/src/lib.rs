//! `route-by-level`: gives records a tag by their level, so that outputs behind it can tell them apart.
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `tags` | required | `{ error = "app.errors", warn = "app.warnings" }`: a tag for a level |
//! | `field` | `"level"` | a path: where the level is |
//! | `default` | none: the tag stays | the tag of records whose level is missing, unknown, or not among `tags` |
//!
//! Levels are `trace`, `debug`, `info`, `warn`, `error`, `fatal`, whatever the case, and what else they are called: `dbg`,
//! `notice`, `warning`, `err`, `critical`, `panic`, and the like. Numbers are those of pino and bunyan: 10 is `trace`, 60 is
//! `fatal`.

use suiro_filter::{Config, Field, Record, Setup, filter};

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];

/// The filter's state.
pub struct Route {
    field: Field,
    tags: [Option<String>; LEVELS.len()],
    default: Option<String>,
}

impl Setup for Route {
    fn setup(config: &Config) -> Result<Route, String> {
        config.only(&["tags", "field", "default"])?;
        let table: Vec<(String, String)> = config.require("tags", "{ error = \"app.errors\" }")?;
        let mut tags = [const { None }; LEVELS.len()];
        for (name, tag) in table {
            let level = LEVELS.iter().position(|&level| level == name);
            let level = level.ok_or_else(|| format!("`tags`: `{name}` is none of {}", LEVELS.join(", ")))?;
            tags[level] = Some(check(tag)?);
        }
        let field: String = config.get_or("field", "level".to_owned())?;
        Ok(Route {
            field: Field::parse(&field).map_err(|error| format!("`field`: {error}"))?,
            tags,
            default: config.get("default")?.map(check).transpose()?,
        })
    }
}

/// The filter.
#[filter]
pub fn route_by_level(record: &mut Record, route: &mut Route) -> suiro_filter::Result<()> {
    let level = record.text(&route.field).and_then(level_of);
    if let Some(tag) = level.and_then(|level| route.tags[level].as_ref()).or(route.default.as_ref()) {
        record.set_tag(tag)?;
    }
    Ok(())
}

/// What the agent would refuse for each record is refused at start.
fn check(tag: String) -> Result<String, String> {
    if tag.is_empty() || tag.len() > 256 || tag.chars().any(char::is_control) {
        return Err(format!("a tag has 1 to 256 bytes and no control characters: \"{}\"", tag.escape_default()));
    }
    Ok(tag)
}

/// The level's place among [`LEVELS`].
fn level_of(text: &str) -> Option<usize> {
    let mut lower = [0; 13];
    let lower = lower.get_mut(..text.len())?;
    lower.copy_from_slice(text.as_bytes());
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"trace" | b"trc" | b"verbose" | b"finest" | b"10" => 0,
        b"debug" | b"dbg" | b"fine" | b"20" => 1,
        b"info" | b"inf" | b"information" | b"informational" | b"notice" | b"30" => 2,
        b"warn" | b"wrn" | b"warning" | b"40" => 3,
        b"error" | b"err" | b"eror" | b"severe" | b"50" => 4,
        b"fatal" | b"ftl" | b"critical" | b"crit" | b"alert" | b"emerg" | b"emergency" | b"panic" | b"60" => 5,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use suiro_filter::testing::{Host, set_up_with};

    use super::*;

    #[test]
    fn the_sample_is_routed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let outcome = Host::new().check_sample(route_by_level, folder);
        let tags = fs::read_to_string(folder.join("expected.tags")).unwrap();
        assert_eq!(outcome.tags(), tags.lines().collect::<Vec<_>>());
    }

    #[test]
    fn without_a_default_the_tag_stays() {
        let config = r#"{"tags":{"warn":"w"},"field":"a.b"}"#;
        let lines = [r#"{"a":{"b":"WARNING"}}"#, r#"{"a":{"b":"info"}}"#, "{}"];
        let outcome = Host::new().tag("mine").config(config).run(route_by_level, &lines).unwrap();
        assert_eq!(outcome.tags(), ["w", "mine", "mine"]);
    }

    #[test]
    fn settings_that_are_wrong_are_named() {
        let wrong = |json: &str| set_up_with::<Route>(json).err().expect("it is wrong");
        assert!(wrong("{}").contains("`tags` is missing"));
        assert!(wrong(r#"{"tags":{"warning":"x"}}"#).contains("`warning` is none of trace, debug"));
        assert!(wrong(r#"{"tags":{"warn":""}}"#).contains("1 to 256"));
        assert!(wrong(r#"{"tags":{},"default":"a\nb"}"#).contains("control"));
    }
}
