//! `${VAR}`, `${VAR:-default}` and `$$` in the strings of a configuration.
//!
//! Replaced after TOML has parsed the file, so that no value can add keys, tables or quotes; and never scanned again, so
//! that no value can name another variable. A `$` before anything else is itself: regular expressions stay readable.
//! As in a shell, the default also stands in for a variable that is set but empty.

use super::node::Expansion;

/// The longest value taken from the environment, in bytes.
const MAX_VALUE: usize = 64 * 1024;
/// The longest string after replacement: many references in one string must not multiply without bound.
const MAX_STRING: usize = 1024 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Range of the string as TOML has it.
    pub(super) at: std::ops::Range<usize>,
    pub(super) message: String,
    pub(super) help: String,
}

/// The string with the environment in place, and where it was put. `None` if there is nothing to replace.
pub(super) fn expand(
    written: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(String, Vec<Expansion>)>, Failure> {
    let Some(first) = written.find('$') else { return Ok(None) };
    let mut value = String::with_capacity(written.len() + 32);
    let mut expansions = Vec::new();
    let mut at = first;
    value.push_str(&written[..first]);
    while at < written.len() {
        let rest = &written[at..];
        let from = value.len();
        if rest.starts_with("$$") {
            value.push('$');
            expansions.push(Expansion { written: at..at + 2, value: from..from + 1, variable: false });
            at += 2;
        } else if rest.starts_with("${") {
            let (length, text) = reference(rest, env).map_err(|(length, message, help)| Failure {
                at: at..at + length,
                message,
                help,
            })?;
            if value.len() + text.len() > MAX_STRING {
                return Err(Failure {
                    at: at..at + length,
                    message: "the string is too long with its variables in place".to_owned(),
                    help: format!("at most {MAX_STRING} bytes"),
                });
            }
            value.push_str(&text);
            expansions.push(Expansion { written: at..at + length, value: from..value.len(), variable: true });
            at += length;
        } else {
            let next = rest.char_indices().skip(1).find(|(_, c)| *c == '$').map_or(rest.len(), |(next, _)| next);
            value.push_str(&rest[..next]);
            at += next;
        }
    }
    if expansions.is_empty() { Ok(None) } else { Ok(Some((value, expansions))) }
}

type Complaint = (usize, String, String);

/// Reads one `${…}` at the start of `rest`: its length and what it stands for.
fn reference(rest: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<(usize, String), Complaint> {
    let Some(close) = rest.find('}') else {
        return Err((
            rest.len().min(2),
            "`${` is never closed".into(),
            "write `${NAME}`, or `$${` for a literal `${`".into(),
        ));
    };
    let length = close + 1;
    let inside = &rest[2..close];
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !valid {
        return Err((
            length,
            "not the name of an environment variable".into(),
            "write `${NAME}` or `${NAME:-default}`; `$$` stands for a literal `$`".into(),
        ));
    }
    match (env(name), default) {
        (Some(value), _) if value.len() > MAX_VALUE => Err((
            length,
            format!("the environment variable `{name}` is too long"),
            format!("at most {MAX_VALUE} bytes"),
        )),
        (Some(value), None) => Ok((length, value)),
        (Some(value), Some(_)) if !value.is_empty() => Ok((length, value)),
        (_, Some(default)) => Ok((length, default.to_owned())),
        (None, None) => Err((
            length,
            format!("the environment variable `{name}` is not set"),
            format!("set it, or give a default: `${{{name}:-value}}`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("loki".into()),
            "EMPTY" => Some(String::new()),
            "SLY" => Some("${HOST}$$".into()),
            _ => None,
        }
    }

    fn value(written: &str) -> String {
        expand(written, &env).unwrap().map_or_else(|| written.to_owned(), |(value, _)| value)
    }

    #[test]
    fn replaces() {
        for (written, expected) in [
            ("http://${HOST}:3100", "http://loki:3100"),
            ("${NOPE:-a:-b}", "a:-b"),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY}", ""),
            ("${NOPE:-}", ""),
            ("$${HOST}", "${HOST}"),
            ("^a$", "^a$"),
            ("$1 $", "$1 $"),
            ("$$$", "$$"),
            ("水${HOST}路", "水loki路"),
        ] {
            assert_eq!(value(written), expected, "{written}");
        }
    }

    #[test]
    fn what_was_put_in_is_not_scanned() {
        assert_eq!(value("${SLY}"), "${HOST}$$");
    }

    #[test]
    fn remembers_where() {
        let (value, expansions) = expand("a$$${HOST}b", &env).unwrap().unwrap();
        assert_eq!(value, "a$lokib");
        assert_eq!(
            expansions,
            [
                Expansion { written: 1..3, value: 1..2, variable: false },
                Expansion { written: 3..10, value: 2..6, variable: true },
            ]
        );
    }

    #[test]
    fn refuses() {
        for (written, at, message) in [
            ("x${NOPE}", 1..8, "the environment variable `NOPE` is not set"),
            ("${HOST", 0..2, "`${` is never closed"),
            ("${}", 0..3, "not the name of an environment variable"),
            ("${1}", 0..4, "not the name of an environment variable"),
            ("${A B}", 0..6, "not the name of an environment variable"),
        ] {
            let failure = expand(written, &env).unwrap_err();
            assert_eq!((failure.at, failure.message.as_str()), (at, message), "{written}");
        }
    }

    #[test]
    fn growth_is_bounded() {
        let long = |_: &str| Some("x".repeat(MAX_VALUE));
        assert!(expand(&"${A}".repeat(17), &long).is_err());
    }
}
