//! Starting a real server through its script, or knowing why not.
//!
//! The contract with the scripts (`loki/start` and its like): stdout carries one line
//! `READY http://127.0.0.1:PORT WORD=VALUE ...`, the words being what else there is to know; the server ends on SIGTERM or
//! when its stdin does; exit code 77 means "can't be had here", the reason on stderr.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

/// Long enough for a first build of Loki on a slow machine; a started server is ready in seconds.
const START_LIMIT: Duration = Duration::from_secs(40 * 60);
const SKIP: i32 = 77;

/// A server that runs, until this process ends.
pub(crate) struct Server {
    /// `http://127.0.0.1:PORT`, no slash at the end.
    pub(crate) url: String,
    /// What its script said behind that.
    words: HashMap<String, String>,
    /// Holds the pipe whose end is the server's end.
    _child: Child,
}

/// A function for each server: the one of this run, or `None` where it is skipped, which is said on stderr.
macro_rules! servers {
    ($($name:ident: $what:literal,)*) => {
        $(#[doc = $what] pub(crate) fn $name() -> Option<&'static Server> {
            static SERVER: OnceLock<Option<Server>> = OnceLock::new();
            gated(stringify!($name), &SERVER)
        })*
    };
}

servers! {
    opensearch: "An OpenSearch node.",
    loki: "A Grafana Loki.",
    collector: "An OpenTelemetry Collector that writes what it gets to files: `grpc`, a URL, and `files`, their folder.",
    jaeger: "A Jaeger; its URL is that of the query API. `otlp` (HTTP), `grpc` (OTLP), `thrift`: URLs.",
    zipkin: "A Zipkin.",
    prometheus: "A Prometheus that takes remote writes; `targets`: the folder for files that say what to scrape.",
    python: "No server, but SDKs for Python: the URL is the folder of their environments; `script`, `aws`, `clients`: what to run.",
    moto: "moto, which stands for AWS: all services at its URL.",
}

impl Server {
    /// What the script said behind the URL.
    pub(crate) fn word(&self, name: &str) -> &str {
        self.words.get(name).unwrap_or_else(|| panic!("the script says no `{name}`, but {:?}", self.words))
    }
}

fn gated(name: &str, server: &'static OnceLock<Option<Server>>) -> Option<&'static Server> {
    let wanted = std::env::var("SUIRO_BACKENDS").unwrap_or_default();
    if wanted != "1" && !wanted.split(',').any(|wanted| wanted == name) {
        say(&format!("skipped: {name}: set SUIRO_BACKENDS=1 (or to names of servers) or run tests/backends/run"));
        return None;
    }
    server.get_or_init(|| start(name)).as_ref()
}

fn start(name: &str) -> Option<Server> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends").join(name).join("start");
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
    let stderr = File::create(&log).expect("the test folder takes a log file");
    let mut child = Command::new(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", script.display()));

    let stdout = child.stdout.take().expect("stdout is piped");
    let (sender, line) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines();
        // Nobody listens any more after the limit; the end of the lines is the end of the sender.
        while let Some(Ok(line)) = lines.next() {
            let _ = sender.send(line);
        }
    });
    match line.recv_timeout(START_LIMIT) {
        Ok(line) => {
            let said = line.strip_prefix("READY ").unwrap_or_else(|| panic!("{name} said {line:?}, not READY"));
            say(&format!("{name}: {said}, log in {}", log.display()));
            let mut words = said.split(' ');
            let url = words.next().unwrap_or_default().to_owned();
            let words = words.filter_map(|word| word.split_once('='));
            let words = words.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            Some(Server { url, words, _child: child })
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let status = child.wait().expect("the script ends with its stdout");
            let said = fs::read_to_string(&log).unwrap_or_default();
            assert_eq!(status.code(), Some(SKIP), "{} failed: {status}\n{said}", script.display());
            say(&format!("skipped: {}", said.trim().trim_start_matches("skip: ")));
            None
        }
        Err(mpsc::RecvTimeoutError::Timeout) => {
            drop(child.stdin.take());
            panic!("{name} was not ready in {START_LIMIT:?}, see {}", log.display());
        }
    }
}

/// Past the test harness, which keeps what a passing test prints: a skipped test must be seen to be one.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
