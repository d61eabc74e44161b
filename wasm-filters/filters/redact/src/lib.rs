//! `redact`: hides e-mail addresses, card numbers, tokens, and what else is asked for, in all strings of a record.
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `emails`, `cards`, `tokens` | `true` | what is looked for |
//! | `patterns` | none | `{ name = 'pattern' }`: more of it; see [`pattern`] |
//! | `replacement` | `[email]`, `[card]`, `[token]`, `[name]` | what stands there instead |
//!
//! Keys stay as they are, and so do numbers. A string that has nothing to hide is not written.

mod card;
mod email;
pub mod pattern;
mod scan;
mod signs;
mod token;

use suiro_filter::{Config, Record, Setup, counter, filter};

use pattern::Pattern;
use scan::{Found, Scanner};

/// The filter's state.
pub struct Redact {
    scanner: Scanner,
    /// A string as it will be.
    out: String,
}

impl Setup for Redact {
    fn setup(config: &Config) -> Result<Redact, String> {
        config.only(&["emails", "cards", "tokens", "patterns", "replacement"])?;
        let patterns: Vec<(String, String)> = config.get_or("patterns", Vec::new())?;
        let patterns: Result<Vec<(String, Pattern)>, String> = patterns
            .into_iter()
            .map(|(name, text)| match Pattern::parse(&text) {
                Ok(pattern) => Ok((name, pattern)),
                Err(why) => Err(format!("`patterns`: `{name}`: {why}")),
            })
            .collect();
        let scanner = Scanner::new(
            [config.get_or("emails", true)?, config.get_or("cards", true)?, config.get_or("tokens", true)?],
            patterns?,
            config.get("replacement")?,
        );
        Ok(Redact { scanner, out: String::new() })
    }
}

/// The filter.
#[filter]
pub fn redact(record: &mut Record, state: &mut Redact) -> suiro_filter::Result<()> {
    let Redact { scanner, out } = state;
    if !scanner.may_hold(record.json()) {
        return Ok(());
    }
    let mut failed = None;
    record.strings(|value| {
        let Some(found) = scanner.rewrite(value.text(), out) else { return };
        if let Err(error) = value.set(&*out) {
            failed = Some(error);
        }
        count(found);
    });
    // What can't be hidden must not go on.
    failed.map_or(Ok(()), |error| Err(format!("a string can't be redacted: {error}").into()))
}

fn count(found: Found) {
    let Found { emails, cards, tokens, patterns } = found;
    let all = [
        (counter!("redacted_emails"), emails),
        (counter!("redacted_cards"), cards),
        (counter!("redacted_tokens"), tokens),
        (counter!("redacted_patterns"), patterns),
    ];
    for (counter, n) in all {
        if n > 0 {
            counter.add(n);
        }
    }
}

#[cfg(test)]
mod tests {
    use suiro_filter::testing::{Host, set_up_with};

    use super::*;

    #[test]
    fn the_sample_is_redacted() {
        let outcome = Host::new().check_sample(redact, env!("CARGO_MANIFEST_DIR"));
        assert_eq!(outcome.failures(), [""; 0]);
        assert!(outcome.counter("redacted_emails") > 0 && outcome.counter("redacted_patterns") > 0);
    }

    #[test]
    fn each_kind_can_be_left_alone() {
        let line = r#"{"a":"x@example.com 4111111111111111 Bearer abcd1234efgh"}"#;
        for (config, want) in [
            (r#"{"emails":false}"#, r#"{"a":"x@example.com [card] Bearer [token]"}"#),
            (r#"{"cards":false}"#, r#"{"a":"[email] 4111111111111111 Bearer [token]"}"#),
            (r#"{"tokens":false}"#, r#"{"a":"[email] [card] Bearer abcd1234efgh"}"#),
            (r#"{"replacement":"***"}"#, r#"{"a":"*** *** Bearer ***"}"#),
        ] {
            assert_eq!(Host::new().config(config).run(redact, &[line]).unwrap().lines(), [want]);
        }
    }

    #[test]
    fn settings_that_are_wrong_are_named() {
        let wrong = |json: &str| set_up_with::<Redact>(json).err().expect("it is wrong");
        assert!(wrong(r#"{"email":true}"#).contains("unknown setting `email`"));
        assert!(wrong(r#"{"emails":"yes"}"#).contains("`emails` must be true or false"));
        assert!(wrong(r#"{"patterns":{"id":"a|b"}}"#).contains("`patterns`: `id`: `|`"));
    }
}
