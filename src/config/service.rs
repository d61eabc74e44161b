//! `[service]`: the settings of the agent itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use suiro_sdk::settings::{ByteSize, Data, Diagnostic, Environment, Section, Value};

/// Settings of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `data_dir`: where checkpoints, disk queues and dead letters are; created with mode 0700. Default:
    /// `/var/lib/suiro` where it can be written, else `$XDG_STATE_HOME/suiro`, else `~/.local/state/suiro`.
    pub data_dir: PathBuf,
    /// `memory_limit`: bytes of batches in queues and of bodies of requests. Default 64 MiB, at least 64 KiB.
    pub memory_limit: u64,
    /// `shutdown_timeout`: how long queues may drain after SIGTERM. Default 25 s: orchestrators kill after 30.
    pub shutdown_timeout: Duration,
    /// `workers`: threads that run chains. Default 1, at most 64.
    pub workers: usize,
    /// `api`: where the HTTP API listens, `{ listen = "127.0.0.1:2020" }` by default; `None` for `api = false`.
    pub api: Option<SocketAddr>,
    /// `log_level`: what the agent logs about itself. Default `info`.
    pub log_level: LogLevel,
}

/// How much the agent logs about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what needs someone to act.
    Error,
    /// And what may.
    Warn,
    /// And what changes.
    #[default]
    Info,
    /// For those who look for a fault.
    Debug,
    /// For those who write the agent.
    Trace,
}

/// The settings of `[service]`.
pub(super) const SETTINGS: [&str; 6] = ["data_dir", "memory_limit", "shutdown_timeout", "workers", "api", "log_level"];

const DEFAULT_API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 2020);

// === impl LogLevel ===

impl LogLevel {
    const NAMES: [(&'static str, LogLevel); 5] = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, level)| *level == self).map_or("info", |(name, _)| name)
    }
}

// === reading ===

/// The `[service]` table of a file, if it has one.
pub(super) fn section_of(root: &Section) -> Option<Section> {
    let value = root.value("service")?;
    if value.data() == Data::List {
        let message = "there is one service: it takes single brackets";
        value.error(message, "write [service]");
    }
    let table = value.one_or_many().into_iter().next()?;
    table.unit("[service]").ok()
}

/// Reads the tables of all files. Each setting may be in one of them.
pub(super) fn read(sections: Vec<Section>, environment: &Environment) -> Service {
    let layers = Layers(sections);
    let service = Service {
        data_dir: layers
            .get("data_dir", |section, key| section.get(key))
            .unwrap_or_else(|| default_data_dir(environment, can_write)),
        memory_limit: layers
            .get("memory_limit", |section, key| section.within(key, ByteSize::kib(64)..=ByteSize::gib(1024)))
            .unwrap_or(ByteSize::mib(64))
            .bytes(),
        shutdown_timeout: layers
            .get("shutdown_timeout", |section, key| section.within(key, Duration::ZERO..=Duration::from_secs(86_400)))
            .unwrap_or(Duration::from_secs(25)),
        workers: layers.get("workers", |section, key| section.within(key, 1..=64)).unwrap_or(1),
        api: layers.get("api", |section, key| section.value(key).map(|value| api(&value))).unwrap_or(Some(DEFAULT_API)),
        log_level: layers.get("log_level", |section, key| section.choice(key, &LogLevel::NAMES)).unwrap_or_default(),
    };
    for section in &layers.0 {
        // What is wrong is in the diagnostics; the rest is of use for finding more.
        let _ = section.finish();
    }
    service
}

struct Layers(Vec<Section>);

impl Layers {
    fn get<T>(&self, key: &str, read: impl Fn(&Section, &str) -> Option<T>) -> Option<T> {
        debug_assert!(SETTINGS.contains(&key));
        let mut given = self.0.iter().filter(|section| section.has(key)).collect::<Vec<_>>().into_iter();
        let first = given.next()?;
        for other in given {
            let place = other.place_of_key(key);
            let error = Diagnostic::error(place, format!("`{key}` is set in two files"), "keep one of them");
            let earlier = first.place_of_key(key).unwrap_or_else(|| first.place());
            other.diagnostics().report(error.with_note(earlier, "it is set here first"));
        }
        read(first, key)
    }
}

fn api(value: &Value) -> Option<SocketAddr> {
    let section = match value.data() {
        Data::Bool(true) => return Some(DEFAULT_API),
        Data::Bool(false) => return None,
        Data::Table => value.section().ok()?,
        _ => {
            value.expected("{ listen = \"127.0.0.1:2020\" } or false");
            return None;
        }
    };
    let listen = section.or("listen", DEFAULT_API);
    if !listen.ip().is_loopback() {
        section.warning_at(
            "listen",
            format!("the API can be reached by others: {listen} isn't a loopback address"),
            "it shows counters and the names of inputs and outputs to all who can connect",
        );
    }
    Some(listen)
}

/// Where the agent keeps its state unless told.
fn default_data_dir(environment: &Environment, can_write: impl Fn(&Path) -> bool) -> PathBuf {
    let system = PathBuf::from("/var/lib/suiro");
    if can_write(&system) {
        return system;
    }
    let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    // Without a home, the error that comes of it later names the folder most people expect.
    state.map_or(system, |state| state.join("suiro"))
}

/// Whether this process may create or use the folder. Judged without touching it: `check` must change nothing.
fn can_write(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    // The owner of one's own entry in /proc is the effective user.
    let Ok(own) = std::fs::metadata("/proc/self").map(|metadata| metadata.uid()) else { return false };
    match std::fs::metadata(folder) {
        Ok(metadata) => metadata.is_dir() && (own == 0 || (metadata.uid() == own && metadata.mode() & 0o200 != 0)),
        Err(_) => own == 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn state_goes_where_it_can_be_written() {
        let environment = |pairs: &'static [(&'static str, &'static str)]| -> Environment {
            Arc::new(|name| pairs.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned()))
        };
        let both = environment(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "/state")]);
        assert_eq!(default_data_dir(&both, |_| true), Path::new("/var/lib/suiro"));
        assert_eq!(default_data_dir(&both, |_| false), Path::new("/state/suiro"));
        let home = environment(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "relative")]);
        assert_eq!(default_data_dir(&home, |_| false), Path::new("/home/a/.local/state/suiro"));
        assert_eq!(default_data_dir(&environment(&[]), |_| false), Path::new("/var/lib/suiro"));
    }
}
