//! Reading files of `/proc` and `/sys`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use suiro_sdk::Reason;
use suiro_sdk::ledger::InputLedger;

/// A file, or a part of one, that could not be read or understood.
const UNREADABLE: Reason = Reason("unreadable");

/// Processes, containers or points beyond a limit.
const OVER_LIMIT: Reason = Reason("over_limit");

/// Bytes of a file that are read. The longest are `mountinfo` and `stat` of large hosts.
const MAX_FILE: u64 = 8 << 20;
/// Kinds of failures that are told apart in the log.
const MAX_SAID: usize = 256;

/// Reads files, and keeps the books of those that can't be.
#[derive(Debug)]
pub(crate) struct Reader {
    name: Arc<str>,
    /// The host's root.
    root: PathBuf,
    ledger: Arc<InputLedger>,
    said: BTreeSet<(&'static str, String)>,
}

// === impl Reader ===

impl Reader {
    pub(crate) fn new(name: Arc<str>, root: PathBuf, ledger: Arc<InputLedger>) -> Reader {
        Reader { name, root, ledger, said: BTreeSet::new() }
    }

    /// A path of the host's.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether the host's root is somewhere else than the agent's: it is in a container.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.root != Path::new("/")
    }

    /// A folder of `/proc` that tells of the host: the agent's own, or that of its first process.
    pub(crate) fn own(&self) -> &'static str {
        if self.is_elsewhere() { "proc/1" } else { "proc/self" }
    }

    /// The text of a file that is there wherever this works at all; `what` is what is missing otherwise.
    pub(crate) fn text(&mut self, what: &'static str, path: &str) -> Option<String> {
        match self.try_text(path) {
            Ok(text) => Some(text),
            Err(error) => {
                self.failed(what, &format!("{}: {error}", self.path(path).display()));
                None
            }
        }
    }

    /// The text of a file that may not be there.
    pub(crate) fn try_text(&self, path: &str) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        File::open(self.path(path))?.take(MAX_FILE).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == MAX_FILE {
            // What is cut in a line is no line.
            bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0));
        }
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Something could not be read or understood: counted, and said once.
    pub(crate) fn failed(&mut self, what: &'static str, why: &str) {
        self.ledger.turned_away.add(UNREADABLE, 1);
        self.say(what, why);
    }

    /// What failed of a process or a container: one that is gone meanwhile did not.
    pub(crate) fn failed_of_many(&mut self, what: &'static str, error: &std::io::Error) {
        // ESRCH: a process that ended while its file was open.
        if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32) {
            return;
        }
        self.ledger.turned_away.add(UNREADABLE, 1);
        self.say(what, &error.to_string());
    }

    /// More was found than a limit lets through.
    pub(crate) fn too_many(&mut self, what: &'static str, n: usize, why: &str) {
        self.ledger.turned_away.add(OVER_LIMIT, n);
        self.say(what, &format!("there are more than {why}"));
    }

    fn say(&mut self, what: &'static str, why: &str) {
        if self.said.len() < MAX_SAID && self.said.insert((what, why.to_owned())) {
            tracing::warn!(input = %self.name, "{what} left out: {why} (said once)");
        }
    }
}

/// Numbers of a line, up to the first word that is none.
pub(crate) fn numbers(words: &str) -> impl Iterator<Item = u64> + '_ {
    words.split_ascii_whitespace().map_while(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_counted_and_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::<InputLedger>::default();
        let mut reader = Reader::new("host".into(), folder.path().to_owned(), ledger.clone());
        assert_eq!(reader.text("load", "proc/loadavg"), None);
        assert_eq!(reader.text("load", "proc/loadavg"), None);
        assert_eq!((reader.said.len(), ledger.turned_away.total()), (1, 2));
        reader.failed_of_many("files", &ErrorKind::NotFound.into());
        reader.failed_of_many("files", &std::io::Error::from_raw_os_error(3));
        assert_eq!(ledger.turned_away.total(), 2);
        reader.failed_of_many("files", &ErrorKind::PermissionDenied.into());
        assert_eq!((reader.said.len(), ledger.turned_away.total()), (2, 3));
        std::fs::create_dir(folder.path().join("proc")).unwrap();
        std::fs::write(folder.path().join("proc/loadavg"), [b'1', 0xff, b'\n']).unwrap();
        assert_eq!(reader.text("load", "/proc/loadavg").unwrap(), "1\u{fffd}\n");
    }
}
