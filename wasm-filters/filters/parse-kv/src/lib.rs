//! `parse-kv`: makes fields of the `key=value` pairs in a text, as in logfmt: `level=info msg="it works" took=12ms`.
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `field` | `"log"` | a path: where the text is |
//! | `into` | the record itself | a path: where the map of all pairs goes, replacing what is there |
//! | `types` | `true` | numbers, `true`, `false` and `null` become what they are; else all values are texts |
//! | `remove` | `false` | whether the text goes, where it had a pair |
//! | `overwrite` | `false` | without `into`: whether a pair replaces a field of the same name |
//!
//! Blanks stand between pairs. A value in double quotes may hold blanks, and `\"`, `\\`, `\n`, `\t`, `\r`. A word without
//! `=` is passed over. Of a key that stands there twice the last value counts. At most 256 pairs are read.

mod pairs;

use suiro_filter::json::{Object, members, quote};
use suiro_filter::{Config, Field, Record, Setup, counter, filter};

use pairs::pairs;

/// The filter's state.
pub struct ParseKv {
    field: Field,
    into: Option<Field>,
    types: bool,
    remove: bool,
    overwrite: bool,
}

impl Setup for ParseKv {
    fn setup(config: &Config) -> Result<ParseKv, String> {
        config.only(&["field", "into", "types", "remove", "overwrite"])?;
        let field = |name: &str, path: &str| Field::parse(path).map_err(|error| format!("`{name}`: {error}"));
        let into: Option<String> = config.get("into")?;
        let overwrite: Option<bool> = config.get("overwrite")?;
        if into.is_some() && overwrite.is_some() {
            return Err("`overwrite` needs pairs in the record itself: leave out `into`".to_owned());
        }
        Ok(ParseKv {
            field: field("field", &config.get_or("field", "log".to_owned())?)?,
            into: into.map(|path| field("into", &path)).transpose()?,
            types: config.get_or("types", true)?,
            remove: config.get_or("remove", false)?,
            overwrite: overwrite.unwrap_or(false),
        })
    }
}

/// The filter.
#[filter]
pub fn parse_kv(record: &mut Record, settings: &mut ParseKv) -> suiro_filter::Result<()> {
    let Some(text) = record.str(&settings.field) else { return Ok(()) };
    let found = pairs(text);
    if found.is_empty() {
        counter!("without_pairs").add(1);
        return Ok(());
    }
    let json = |object: Object, value: &str| {
        (object, if settings.types && is_literal(value) { value.to_owned() } else { quoted(value) })
    };
    let add = |object: Object, (key, value): &(&str, std::borrow::Cow<'_, str>)| {
        let (object, value) = json(object, value);
        object.json(key, &value)
    };
    if settings.remove {
        record.remove(&settings.field)?;
    }
    if let Some(into) = &settings.into {
        record.set_json(into, &found.iter().fold(Object::new(), add).finish())?;
        return Ok(());
    }
    // Fields and pairs of one name: either the one or the other.
    let own = record.json();
    let is_pair = |name: &str| found.iter().any(|(key, _)| *key == name);
    let is_own = |key: &str| members(own).any(|(name, _)| name == key);
    let kept = members(own).filter(|(name, _)| !settings.overwrite || !is_pair(name));
    let object = kept.fold(Object::new(), |object, (name, value)| object.json(&name, value));
    let new = found.iter().filter(|(key, _)| settings.overwrite || !is_own(key));
    record.replace_json(&new.fold(object, add).finish())?;
    Ok(())
}

fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    quote(text, &mut json);
    json
}

/// Whether a text is `true`, `false`, `null`, or a JSON number.
fn is_literal(text: &str) -> bool {
    if matches!(text, "true" | "false" | "null") {
        return true;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    digits(whole) && digits(fraction) && digits(exponent) && (whole == "0" || !whole.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use suiro_filter::testing::{Host, set_up_with};

    use super::*;

    #[test]
    fn the_sample_is_parsed() {
        let outcome = Host::new().check_sample(parse_kv, env!("CARGO_MANIFEST_DIR"));
        assert_eq!((outcome.failures(), outcome.counter("without_pairs")), (vec![], 2));
    }

    #[test]
    fn where_pairs_go_is_set() {
        let line = r#"{"log":"a=1 b=x a=2","b":"mine"}"#;
        for (config, want) in [
            (r#"{"into":"kv.all"}"#, r#"{"log":"a=1 b=x a=2","b":"mine","kv":{"all":{"a":2,"b":"x"}}}"#),
            (r#"{"overwrite":true,"remove":true}"#, r#"{"a":2,"b":"x"}"#),
            (r#"{"types":false}"#, r#"{"log":"a=1 b=x a=2","b":"mine","a":"2"}"#),
            (r#"{"field":"b"}"#, line),
        ] {
            assert_eq!(Host::new().config(config).run(parse_kv, &[line]).unwrap().lines(), [want], "{config}");
        }
    }

    #[test]
    fn settings_that_are_wrong_are_named() {
        let wrong = |json: &str| set_up_with::<ParseKv>(json).err().expect("it is wrong");
        assert!(wrong(r#"{"field":""}"#).contains("`field`"));
        assert!(wrong(r#"{"into":"a","overwrite":true}"#).contains("leave out `into`"));
        assert!(wrong(r#"{"types":1}"#).contains("`types` must be true or false"));
    }
}
