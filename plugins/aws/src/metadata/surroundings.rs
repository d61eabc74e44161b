//! The environment and the few files that metadata is read from.

use std::io::Read as _;
use std::path::PathBuf;

/// The process's surroundings; of tests, others.
#[derive(Debug)]
pub(super) struct Surroundings {
    variable: fn(&str) -> Option<String>,
    /// Where the service account's files are.
    account: PathBuf,
}

/// Longest file that is read, bytes.
const MAX_FILE: u64 = 1024;

// === impl Surroundings ===

impl Surroundings {
    /// The process's.
    pub(super) fn real() -> Surroundings {
        let variable = |name: &str| std::env::var(name).ok();
        Surroundings { variable, account: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount") }
    }

    /// Made up.
    #[cfg(test)]
    pub(super) fn of(variable: fn(&str) -> Option<String>, account: PathBuf) -> Surroundings {
        Surroundings { variable, account }
    }

    /// An environment variable that says something.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// The first of these variables that says something.
    pub(super) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.variable(name))
    }

    /// The namespace of the pod, as its service account's folder says.
    pub(super) fn namespace(&self) -> Option<String> {
        let mut text = String::new();
        let file = std::fs::File::open(self.account.join("namespace")).ok()?;
        file.take(MAX_FILE).read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned())
    }
}
