//! Passwords, tokens and keys.
//!
//! A secret is a string, `{ env = "NAME" }` or `{ file = "path" }`; the end of a file's last line is taken off. It prints
//! as `***`; reports mask the literal wherever a line of the file is shown; and no report holds its content.

use std::fmt;
use std::fs::File;
use std::io::Read;

use super::Setting;
use super::diagnostic::Reported;
use super::value::{Data, Value};

/// Larger than any key or certificate chain that is a secret.
const MAX_BYTES: u64 = 64 * 1024;

/// A string that must not be seen. Its memory isn't wiped: the agent's core dumps are as secret as its configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

// === impl Secret ===

impl Secret {
    /// Makes a string secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into_boxed_str())
    }

    /// The string, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Setting for Secret {
    fn read(value: &Value) -> Result<Self, Reported> {
        const WHAT: &str = "a string, { env = \"NAME\" } or { file = \"/path\" }";
        value.mask();
        match value.data() {
            Data::String("") => Err(value.expected("a secret that isn't empty")),
            Data::String(text) => Ok(Secret::new(text)),
            Data::Table => from_table(value, WHAT),
            _ => Err(value.error(format!("{} must be {WHAT}", value.name()), "")),
        }
    }
}

fn from_table(value: &Value, what: &str) -> Result<Secret, Reported> {
    let section = value.section()?;
    let (env, file) = (section.value("env"), section.value("file"));
    let text = match (&env, &file) {
        (Some(name), None) => from_environment(name),
        (None, Some(path)) => from_file(path),
        _ => Err(value.error(format!("{} must be {what}", value.name()), "exactly one of `env` and `file`")),
    }?;
    if text.is_empty() {
        let origin = env.or(file).unwrap_or_else(|| value.clone());
        return Err(origin.error(format!("the secret {} is empty", value.name()), ""));
    }
    Ok(Secret::new(text))
}

fn from_environment(name: &Value) -> Result<String, Reported> {
    let variable = name.text("the name of an environment variable")?;
    name.environment()(variable).ok_or_else(|| {
        name.error(
            format!("the environment variable `{variable}` is not set"),
            "it holds a secret: set it before suiro starts",
        )
    })
}

fn from_file(value: &Value) -> Result<String, Reported> {
    let path = value.resolve_path(value.text("the path of a file")?);
    let complain = |why: String| value.error(format!("can't read the secret in {}: {why}", path.display()), "");
    let file = File::open(&path).map_err(|error| complain(error.to_string()))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(complain("it is a folder".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| complain(error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(complain(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| complain("it isn't UTF-8".to_owned()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
