//! `--config` and `--config-file`: what stands in a filter's `config = { .. }`.
//!
//! A file goes first, then each `--config` in turn; a later value replaces an earlier one, tables are joined. Keys are TOML
//! keys, so `--config patterns.id=..` sets one in a table.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::sync::Arc;

use suiro_record::Value;
use suiro_sdk::settings::{Diagnostics, Environment, MAX_FILE_BYTES, Source, parse, process_environment};

use super::Stop;

/// All settings, as one map.
pub(super) fn read(settings: &[String], file: Option<&Path>) -> Result<Value, Stop> {
    let mut config = match file {
        Some(file) => from_file(file)?,
        None => Value::Object(Vec::new()),
    };
    for setting in settings {
        join(&mut config, from_word(setting)?);
    }
    Ok(config)
}

fn from_file(file: &Path) -> Result<Value, Stop> {
    let failed = |error: std::io::Error| Stop::Usage(format!("--config-file {}: {error}", file.display()));
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(failed)?;
    opened.take(MAX_FILE_BYTES as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() > MAX_FILE_BYTES {
        return Err(Stop::Usage(format!("--config-file {}: it is larger than 1 MiB", file.display())));
    }
    table(&file.display().to_string(), &text, &process_environment())
        .map_err(|report| Stop::Usage(format!("--config-file {} can't be used\n{}", file.display(), report.trim_end())))
}

fn from_word(setting: &str) -> Result<Value, Stop> {
    let Some((key, value)) = setting.split_once('=') else {
        return Err(Stop::Usage(format!("--config {setting}: a setting is KEY=VALUE")));
    };
    // No line may begin another setting.
    if key.contains(['\n', '\r']) {
        return Err(Stop::Usage(format!("--config {key:?}: a key has one line")));
    }
    let nothing: Environment = Arc::new(|_| None);
    // What is no TOML is a text: `--config host=example.com`.
    let literal = format!("{key} = {value}");
    if !value.contains(['\n', '\r'])
        && let Ok(found) = table("--config", &literal, &nothing)
    {
        return Ok(found);
    }
    let text = format!("{key} = {}", quoted(value));
    table("--config", &text, &nothing).map_err(|_| {
        Stop::Usage(format!("--config {setting}: `{key}` is no key; write a name, or names joined by dots: a.b=1"))
    })
}

/// A text as TOML writes it. `$` is doubled, since one may begin a variable.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '$' => quoted += "$$",
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn table(name: &str, text: &str, environment: &Environment) -> Result<Value, String> {
    let diagnostics = Diagnostics::default();
    let section = parse(&Source::new(name, "", text, 0), environment, &diagnostics);
    let config = suiro_wasm::config(&section);
    match (diagnostics.check(), config) {
        (Ok(()), Ok(config)) => Ok(config),
        _ => Err(diagnostics.render(std::io::stderr().is_terminal())),
    }
}

/// Puts `more` into `all`.
fn join(all: &mut Value, more: Value) {
    match (all, more) {
        (Value::Object(all), Value::Object(more)) => {
            for (key, value) in more {
                match all.iter_mut().find(|(own, _)| *own == key) {
                    Some((_, own)) => join(own, value),
                    None => all.push((key, value)),
                }
            }
        }
        (all, more) => *all = more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &[&str], file: Option<&Path>) -> String {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        match read(&settings, file) {
            Ok(config) => {
                let mut json = Vec::new();
                config.write_json(&mut json);
                String::from_utf8(json).unwrap()
            }
            Err(Stop::Usage(message) | Stop::Failed(message)) => message,
            Err(Stop::Closed) => String::new(),
        }
    }

    #[test]
    fn values_are_toml_where_they_can_be_and_texts_elsewhere() {
        for (setting, json) in [
            ("a=1", r#"{"a":1}"#),
            ("a=true", r#"{"a":true}"#),
            ("a=\"x\"", r#"{"a":"x"}"#),
            ("a=[1, \"b\"]", r#"{"a":[1,"b"]}"#),
            ("a={b=1}", r#"{"a":{"b":1}}"#),
            ("a.b=1", r#"{"a":{"b":1}}"#),
            ("a=example.com", r#"{"a":"example.com"}"#),
            ("a=", r#"{"a":""}"#),
            ("a=b=c", r#"{"a":"b=c"}"#),
            (r"a=\d+ ${X}", r#"{"a":"\\d+ ${X}"}"#),
            ("a=1\nb=2", r#"{"a":"1\nb=2"}"#),
        ] {
            assert_eq!(config(&[setting], None), json, "{setting}");
        }
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for (setting, why) in [("a", "KEY=VALUE"), ("=1", "no key"), ("a b=1", "no key"), ("a\nb=1", "one line")] {
            assert!(config(&[setting], None).contains(why), "{setting}");
        }
    }

    #[test]
    fn later_values_replace_earlier_ones_and_tables_are_joined() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "a = 1\nb = 2\n[t]\nx = 1\ny = 1\n").unwrap();
        assert_eq!(config(&["b=3", "t.y=2", "t.z=3"], Some(&file)), r#"{"a":1,"b":3,"t":{"x":1,"y":2,"z":3}}"#);
        std::fs::write(&file, "a = \n").unwrap();
        assert!(config(&[], Some(&file)).contains("config.toml:1"));
        assert!(config(&[], Some(folder.path())).contains("--config-file"));
    }
}
