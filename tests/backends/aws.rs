//! AWS by its own SDK for Python, through `python/aws.py`, and the clients of `python/clients.py`.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::otlp;
use super::server::Server;

/// What an output that speaks to AWS is told, under the name `out`.
pub(crate) fn output(kind: &str, url: &str, more: &str) -> String {
    format!(
        "[[output]]\ntype = '{kind}'\nname = 'out'\nregion = 'eu-central-1'\nendpoint = '{url}'\n\
         credentials = {{ access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }}\n{more}\n"
    )
}

/// Lets boto3 do `command` at `url`; returns its one JSON value.
pub(crate) fn ask(python: &Server, command: &str, url: &str, arguments: &[&str]) -> Value {
    let said = run(python, "aws", &[&[command, url], arguments].concat());
    serde_json::from_str(&said).expect("one JSON value")
}

/// Lets a client send; returns what it says that it sent, a JSON value a line.
pub(crate) fn client(python: &Server, arguments: &[&str]) -> Vec<Value> {
    let said = run(python, "clients", arguments);
    said.lines().map(|line| serde_json::from_str(line).expect("a JSON value a line")).collect()
}

fn run(python: &Server, script: &str, arguments: &[&str]) -> String {
    let run = Command::new(Path::new(&python.url).join("venv-aws/bin/python"))
        .args(["-W", "ignore", python.word(script)])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{script} {arguments:?}: {}\n{said}", run.status);
    String::from_utf8(run.stdout).expect("JSON is UTF-8")
}

/// A text member.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}"))
}

/// A text member that is base64.
pub(crate) fn bytes(value: &Value, name: &str) -> Vec<u8> {
    otlp::base64(text(value, name))
}
