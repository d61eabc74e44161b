//! The filter's settings: `config = { .. }` in its block.

use std::fmt::Display;

use crate::texts::Texts;
use crate::{Error, json, sys};

/// The settings. Given to [`Setup::setup`](crate::Setup::setup), where every mistake in them should be found: a filter that
/// refuses to start says so before it has touched a record.
#[derive(Debug)]
pub struct Config {
    _private: (),
}

/// What a setting can be read as: texts, numbers, booleans, and lists of them.
pub trait Setting: Sized {
    /// What it is called in messages: "a text".
    const WHAT: &'static str;

    /// Reads it from JSON.
    fn read(json: &str) -> Option<Self>;
}

// === impl Config ===

impl Config {
    pub(crate) const fn new() -> Config {
        Config { _private: () }
    }

    /// All of it, as JSON.
    pub fn json(&self) -> String {
        Config::ask("").unwrap_or_else(|| "{}".to_owned())
    }

    /// One setting as JSON, by its name.
    pub fn json_of(&self, name: &str) -> Option<String> {
        // By the agent's own look-up a text comes without its quotes, and "true" would read like `true`.
        let all = self.json();
        json::members(&all).filter(|(key, _)| key == name).last().map(|(_, value)| value.to_owned())
    }

    /// A setting that may be left out.
    pub fn get<T: Setting>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(json) = self.json_of(name) else { return Ok(None) };
        T::read(&json).map(Some).ok_or_else(|| format!("`{name}` must be {}, and is {json}", T::WHAT))
    }

    /// A setting with a default.
    pub fn get_or<T: Setting>(&self, name: &str, default: T) -> Result<T, String> {
        Ok(self.get(name)?.unwrap_or(default))
    }

    /// A setting that must be there; `example` is a value it could have.
    pub fn require<T: Setting>(&self, name: &str, example: impl Display) -> Result<T, String> {
        self.get(name)?.ok_or_else(|| format!("`{name}` is missing: config = {{ {name} = {example} }}"))
    }

    /// Refuses settings other than these: one that is mistyped would silently do nothing.
    pub fn only(&self, names: &[&str]) -> Result<(), String> {
        let all = self.json();
        let unknown = json::members(&all).find(|(key, _)| !names.contains(&key.as_ref()));
        match unknown {
            Some((key, _)) if names.is_empty() => Err(format!("unknown setting `{key}`; this filter has none")),
            Some((key, _)) => Err(format!("unknown setting `{key}`; there are: {}", names.join(", "))),
            None => Ok(()),
        }
    }

    fn ask(path: &str) -> Option<String> {
        let texts = Texts::new();
        match texts.ask(|buffer| sys::config(path, buffer)) {
            Ok(text) => Some(text.to_owned()),
            Err(Error::Absent) => None,
            Err(error) => {
                crate::error!("settings can't be read: {error}");
                None
            }
        }
    }
}

// === impl Setting ===

impl Setting for String {
    const WHAT: &'static str = "a text";

    fn read(json: &str) -> Option<String> {
        json::text(json).map(|text| text.into_owned())
    }
}

impl Setting for bool {
    const WHAT: &'static str = "true or false";

    fn read(json: &str) -> Option<bool> {
        json.parse().ok()
    }
}

impl Setting for i64 {
    const WHAT: &'static str = "a whole number";

    fn read(json: &str) -> Option<i64> {
        json.parse().ok()
    }
}

impl Setting for f64 {
    const WHAT: &'static str = "a number";

    fn read(json: &str) -> Option<f64> {
        json.parse().ok().filter(|number: &f64| number.is_finite())
    }
}

impl Setting for Vec<String> {
    const WHAT: &'static str = "a list of texts";

    fn read(json: &str) -> Option<Vec<String>> {
        if !json.starts_with('[') {
            return None;
        }
        json::elements(json).map(String::read).collect()
    }
}

/// A table of texts.
impl Setting for Vec<(String, String)> {
    const WHAT: &'static str = "a table of texts";

    fn read(json: &str) -> Option<Vec<(String, String)>> {
        if !json.starts_with('{') {
            return None;
        }
        json::members(json).map(|(key, value)| Some((key.into_owned(), String::read(value)?))).collect()
    }
}
